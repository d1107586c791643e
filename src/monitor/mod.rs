//! Probes of all servers, and the [`Snapshot`](crate::topology::Snapshot) made of what they find.
//!
//! One task per server keeps a control connection of the monitor's account and asks in turn for
//! everything (role, replication, GTIDs) and, on replicas, more often for GTIDs alone. Everything
//! that decides is pure and takes time as a parameter: `report` reads rows, `health` has
//! hysteresis, `lag` measures by GTIDs, `heartbeat` by a table, `roles` finds the primary, `table` puts it together. Only
//! `probe` talks to servers and only `publish` to the rest of the program. A session never asks a
//! server how it is: it reads the snapshot.

mod calls;
mod handle;
mod health;
pub mod heartbeat;
mod lag;
mod log;
mod probe;
mod publish;
mod report;
mod roles;
mod rtt;
mod table;
mod watcher;

pub use self::handle::{Monitor, Watched};
pub use self::report::{replication_privilege, replication_sql};

use self::health::Thresholds;
use self::heartbeat::HeartbeatTable;
use std::time::Duration;

/// How to probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorSettings {
    /// From the start of one full probe of a server to the start of the next.
    pub interval: Duration,
    /// How often a replica is asked for its GTIDs alone; a far one less often.
    pub replica_interval: Duration,
    /// How often the names of servers are resolved.
    pub dns_interval: Duration,
    /// A probe without an answer for this long has failed.
    pub timeout: Duration,
    /// Failed probes in a row that take a server out.
    pub down_after: u32,
    /// Successful probes in a row that take it back.
    pub up_after: u32,
    /// The table by which lag is measured, if there is one.
    pub heartbeat: Option<HeartbeatTable>,
}

impl MonitorSettings {
    fn thresholds(&self) -> Thresholds {
        Thresholds { down_after: self.down_after, up_after: self.up_after }
    }

    /// How long a primary that does not answer counts as in sight, and how long what was sent on a connection that
    /// broke may be on its way.
    fn patience(&self) -> [Duration; 2] {
        [self.interval * 2 + self.timeout, self.timeout]
    }
}

/// What the configuration says of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPlan {
    /// Its role.
    pub role: Planned,
    /// Whether it is in the region where this sidecar runs.
    pub local: bool,
    /// Share of reads among equals.
    pub weight: u32,
    /// Reads go elsewhere when it is further behind than this.
    pub max_lag: Duration,
}

/// A role as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// Takes writes, whatever it says itself.
    Primary,
    /// Follows the primary, and is never made one.
    Replica,
    /// Takes writes if it allows them and follows nobody.
    Auto,
}
