//! What is known of the servers: an immutable snapshot, published by the monitor, read by routing.

use crate::consistency::gtid::{Family, GtidSet};
use std::sync::Arc;
use std::time::Duration;

/// A server, by its place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub u16);

/// What a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows the primary.
    Replica,
}

/// Whether a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Not probed yet.
    Unknown,
    /// It answers.
    Up,
    /// It does not; why, in words for a person.
    Down(Arc<str>),
}

/// How far a replica is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// Not known: not probed, or the probe may not ask.
    Unknown,
    /// About this much.
    Behind(Duration),
    /// Replication is stopped or broken.
    Stopped,
}

/// One server as last seen.
#[derive(Debug, Clone)]
pub struct ServerView {
    /// Its place in the configuration.
    pub id: ServerId,
    /// Its name.
    pub name: Arc<str>,
    /// Whether it is in the region where this sidecar runs.
    pub local: bool,
    /// Its role, as configured or discovered.
    pub role: Role,
    /// Whether it answers.
    pub health: Health,
    /// How far it is behind.
    pub lag: Lag,
    /// Reads go elsewhere when it is further behind than this.
    pub max_lag: Duration,
    /// Share of reads among equals; 0 takes none.
    pub weight: u32,
    /// Time of one round trip, measured.
    pub rtt: Option<Duration>,
    /// Its family, once known.
    pub family: Option<Family>,
    /// Transactions it has executed, as last seen; `None` without GTIDs.
    pub executed: Option<Arc<GtidSet>>,
}

impl ServerView {
    /// Whether statements may be sent to it: it answers, or nobody asked yet.
    pub fn is_usable(&self) -> bool {
        !matches!(self.health, Health::Down(_))
    }

    /// Whether reads may go to it as a replica: it answers and is not too far behind.
    ///
    /// A stopped replica still serves those who wrote nothing: what it has is merely old, and the
    /// consistency rule keeps writers away from it; `max_lag` decides how old is too old.
    pub fn serves_reads(&self) -> bool {
        let fresh = match self.lag {
            Lag::Behind(lag) => lag <= self.max_lag,
            Lag::Unknown | Lag::Stopped => true,
        };
        self.is_usable() && self.weight > 0 && fresh
    }
}

/// All servers at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// In configuration order.
    pub servers: Vec<ServerView>,
}

impl Snapshot {
    /// The server that takes writes.
    pub fn primary(&self) -> Option<&ServerView> {
        self.servers.iter().find(|s| s.role == Role::Primary)
    }

    /// A server by id.
    pub fn server(&self, id: ServerId) -> Option<&ServerView> {
        self.servers.get(usize::from(id.0))
    }

    /// Replicas that may serve reads now.
    pub fn readable_replicas(&self) -> impl Iterator<Item = &ServerView> {
        self.servers.iter().filter(|s| s.role == Role::Replica && s.serves_reads())
    }
}
