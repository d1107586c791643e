//! What is known of the servers: an immutable snapshot, published by the monitor, read by routing.

use crate::consistency::gtid::{Family, GtidSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A server, by its place among all that the configuration had since the start: it never becomes another one's.
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
    /// The configuration has it no more. What began there may end there; nothing new goes to it.
    Retired,
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
    /// How old what it has is, where limits are held against it, if that is known: rises at once, and falls once
    /// the lag has fallen well below, so that who is near a limit does not flutter.
    pub held_lag: Option<Duration>,
    /// Reads go elsewhere when it is further behind than this.
    pub max_lag: Duration,
    /// Share of reads among equals; 0 takes none.
    pub weight: u32,
    /// Whether it takes writes, as far as it said, and follows nobody. A replica that does is about to be the primary, or
    /// thinks so: what it shows, nobody else may ever have.
    pub is_rival: bool,
    /// Whether it did not answer when it was last asked, while a rival takes writes: if it is the primary, it may not be
    /// any more.
    pub is_doubtful: bool,
    /// Time of one round trip, measured.
    pub rtt: Option<Duration>,
    /// Its family, once known.
    pub family: Option<Family>,
    /// Transactions it has executed, as last seen; `None` without GTIDs.
    pub executed: Option<Arc<GtidSet>>,
}

impl ServerView {
    /// A server that answers, is not behind, and of which nothing else is known. A replica is near.
    pub fn of(id: ServerId, name: &str, role: Role) -> Self {
        Self {
            id,
            name: name.into(),
            local: role == Role::Replica,
            role,
            health: Health::Up,
            lag: Lag::Behind(Duration::ZERO),
            held_lag: Some(Duration::ZERO),
            max_lag: Duration::from_secs(10),
            weight: 1,
            is_rival: false,
            is_doubtful: false,
            rtt: None,
            family: None,
            executed: None,
        }
    }

    /// Whether statements may be sent to it: it answers, or nobody asked yet.
    pub fn is_usable(&self) -> bool {
        !matches!(self.health, Health::Down(_) | Health::Retired)
    }

    /// Whether reads may go to it as a replica: it answers and is not too far behind.
    ///
    /// A stopped replica still serves those who wrote nothing: what it has is merely old, and the
    /// consistency rule keeps writers away from it; `max_lag` decides how old is too old.
    pub fn serves_reads(&self) -> bool {
        self.is_usable() && self.weight > 0 && !self.is_rival && self.held_lag.is_none_or(|lag| lag <= self.max_lag)
    }

    /// Whether it is known not to be further behind than this.
    pub fn is_within(&self, max_lag: Duration) -> bool {
        self.held_lag.is_some_and(|lag| lag <= max_lag)
    }
}

/// What the primary last told of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrimaryReport {
    /// When it was asked.
    pub asked: Instant,
    /// What was sent to it before this moment, on connections that broke, has run by then or never will.
    pub nothing_on_its_way: Instant,
    /// Since when it is the primary, as far as known here.
    pub primary_since: Instant,
    /// All it had executed.
    pub executed: Arc<GtidSet>,
}

/// What everybody must see, whatever they wrote themselves: see [`Floor`](crate::consistency::floor::Floor).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FloorView {
    /// As far as it is known.
    pub gtids: Option<Arc<GtidSet>>,
    /// Whether there is more that is not known yet: until it is, only the primary has it for certain.
    pub pending: bool,
}

/// All servers at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// By id, retired ones too.
    pub servers: Vec<ServerView>,
    /// The nearest of the replicas that may serve reads; each scope reads from one of them.
    pub readers: Arc<[ServerId]>,
    /// Counts the changes of `readers`.
    pub epoch: u64,
    /// What the primary last told, if it names its transactions.
    pub report: Option<PrimaryReport>,
    /// A set that every replica contains that may ever serve reads.
    pub everywhere: Option<Arc<GtidSet>>,
    /// What everybody must see.
    pub floor: FloorView,
    /// Whether every server answers and none is the primary, but one is about to be, as in a planned change of roles.
    pub between_primaries: bool,
}

impl Snapshot {
    /// These servers, about which nothing else is known.
    pub fn of(servers: Vec<ServerView>) -> Self {
        Self { readers: readers(&servers), servers, ..Self::default() }
    }

    /// The server that takes writes.
    pub fn primary(&self) -> Option<&ServerView> {
        self.servers.iter().find(|s| s.role == Role::Primary)
    }

    /// Whether this is the server that takes writes.
    pub fn is_primary(&self, id: ServerId) -> bool {
        self.primary().is_some_and(|primary| primary.id == id)
    }

    /// The same, with a primary that is found not to answer.
    pub fn without_primary(&self, why: &str) -> Self {
        let mut snapshot = self.clone();
        for server in snapshot.servers.iter_mut().filter(|server| server.role == Role::Primary) {
            server.health = Health::Down(why.into());
        }
        snapshot
    }

    /// A server by id.
    pub fn server(&self, id: ServerId) -> Option<&ServerView> {
        self.servers.get(usize::from(id.0))
    }

    /// Whether it will soon be known better who the primary is: some servers have not been asked yet, or the one
    /// that was is in doubt.
    pub fn is_unsettled(&self) -> bool {
        let is_open = |s: &ServerView| s.health == Health::Unknown || (s.role == Role::Primary && s.is_doubtful);
        self.servers.iter().any(is_open)
    }

    /// The same, with nobody to wait for who would be the primary.
    pub fn resigned(self: Arc<Self>) -> Arc<Self> {
        if self.between_primaries { Arc::new(Self { between_primaries: false, ..(*self).clone() }) } else { self }
    }

    /// Whether there will soon be a primary that tells what must be seen, so that a read had better wait for its word.
    pub fn may_soon_be_proven(&self) -> bool {
        self.is_unsettled() || self.between_primaries
    }

    /// Whether any server but the primary may ever serve reads.
    pub fn has_replicas(&self) -> bool {
        self.servers.iter().any(|s| s.role == Role::Replica && s.weight > 0)
    }
}

/// The nearest of the replicas that may serve reads now.
pub fn readers(servers: &[ServerView]) -> Arc<[ServerId]> {
    let readable = || servers.iter().filter(|s| s.role == Role::Replica && s.serves_reads());
    let rank = |s: &ServerView| (!s.local, distance(s.rtt));
    let best = readable().map(rank).min();
    readable().filter(|s| Some(rank(s)) == best).map(|s| s.id).collect()
}

/// Round-trip times in classes, so that noise does not decide: below 2 ms, 4 ms, 8 ms ..
pub fn distance(rtt: Option<Duration>) -> u32 {
    let millis = rtt.map_or(0, |rtt| u64::try_from(rtt.as_millis()).unwrap_or(u64::MAX));
    (millis / 2).checked_ilog2().map_or(0, |log| log + 1)
}
