//! Probes of all servers, and the [`Snapshot`] made of what they find.
//!
//! One task per server keeps a control connection of the monitor's account and asks in turn for
//! everything (role, replication, GTIDs) and, on replicas, more often for GTIDs alone. Everything
//! that decides is pure and takes time as a parameter: `report` reads rows, `health` has
//! hysteresis, `lag` measures by GTIDs, `heartbeat` by a table, `roles` finds the primary, `table` puts it together. Only
//! `probe` talks to servers and only `publish` to the rest of the program. A session never asks a
//! server how it is: it reads the snapshot.

mod calls;
mod health;
pub mod heartbeat;
mod lag;
mod probe;
mod publish;
mod report;
mod roles;
mod rtt;
mod table;
mod watcher;

use self::calls::Calls;
use self::health::Thresholds;
use self::heartbeat::HeartbeatTable;
use self::publish::Board;
use self::table::Table;
use self::watcher::Watcher;
use crate::backend::login::Account;
use crate::backend::server::Server;
use crate::metrics::ServerMetrics;
use crate::topology::Snapshot;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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

/// Starts a task for each server, in `tracker`, until `stop`. Servers are in configuration order. `news` tells
/// that clients wrote something, `doubts` that all must be asked at once.
///
/// The first snapshot has configured roles and [`Health::Unknown`](crate::topology::Health::Unknown);
/// servers whose role is to be discovered are replicas in it.
#[expect(clippy::needless_pass_by_value, reason = "every task keeps a copy, and the caller has no use for its own")]
pub fn spawn(
    settings: MonitorSettings,
    servers: Vec<(Arc<Server>, ServerPlan)>,
    account: Arc<Account>,
    (news, doubts): (watch::Receiver<()>, watch::Receiver<Option<Instant>>),
    metrics: ServerMetrics,
    tracker: &TaskTracker,
    stop: CancellationToken,
) -> watch::Receiver<Arc<Snapshot>> {
    let thresholds = Thresholds { down_after: settings.down_after, up_after: settings.up_after };
    let sight = settings.interval * 2 + settings.timeout;
    let rows = servers.iter().map(|(server, plan)| (server.id, server.name.as_str().into(), plan.clone()));
    let table = Table::new(rows.collect(), thresholds, [sight, settings.timeout], Instant::now());
    let calls = Calls::new(servers.len());
    let (board, snapshots) = Board::new(table, calls.clone(), metrics);
    let board = Arc::new(board);
    for (server, plan) in servers {
        let named = server.clone();
        let watcher = Watcher::new(
            server,
            plan.role,
            account.clone(),
            settings.clone(),
            board.clone(),
            (calls.clone(), news.clone(), doubts.clone()),
        );
        tracker.spawn(watcher.run(stop.clone()));
        if named.names.is_name() {
            let (stop, interval) = (stop.clone(), settings.dns_interval);
            tracker.spawn(async move { stop.run_until_cancelled(named.names.keep_fresh(interval)).await });
        }
    }
    snapshots
}
