//! Where a statement goes, and why: pure, total, explained.
//!
//! The [`Reason`] is the metric label, the log field and what `landbridge explain` prints.

pub mod rules;

use crate::consistency::gtid::GtidSet;
use crate::consistency::token::Token;
use crate::sql::{HintTarget, Kind, Statement, Why};
use crate::topology::{Health, Lag, Role, ServerId, ServerView, Snapshot, distance};
use std::sync::Arc;
use std::time::Duration;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a statement went where it went. `docs/routing.md` explains them to operators.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            /// The statement itself needs the primary.
            Statement(Why),
            $($(#[$doc])* $name,)*
        }
        impl Reason {
            /// All but those of statements, which are [`Why::ALL`].
            pub const OTHERS: &'static [Self] = &[$(Self::$name,)*];
            /// How many there are.
            pub const COUNT: usize = Why::ALL.len() + Self::OTHERS.len();

            /// All of them.
            pub fn all() -> impl Iterator<Item = Self> {
                Why::ALL.iter().map(|why| Self::Statement(*why)).chain(Self::OTHERS.iter().copied())
            }

            /// Its place among all of them.
            pub fn place(self) -> usize {
                #[expect(clippy::enum_variant_names, reason = "the names are those of the reasons")]
                enum Other { $($name,)* }
                match self {
                    Self::Statement(why) => why as usize,
                    $(Self::$name => Why::ALL.len() + Other::$name as usize,)*
                }
            }

            /// Its name in metrics, logs and `explain`.
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::Statement(why) => why.as_str(),
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// It belongs to a transaction.
    InTransaction = "in_transaction",
    /// The session's state lives on one connection.
    Pinned = "pinned",
    /// The session holds one connection for its whole life (`pool.mode = "session"`).
    SessionMode = "session_mode",
    /// A comment in the statement asked for it.
    Hint = "hint",
    /// A rule of the file sends it there.
    Rule = "rule",
    /// A read that any fresh replica may answer.
    Read = "read",
    /// A read whose replica is known to contain what its scope wrote.
    ReadAfterWrite = "read_after_write",
    /// A read that waits until its replica contains what its scope wrote.
    ReadAfterWait = "read_after_wait",
    /// A read of somebody whose write no replica is known to contain in time.
    ReplicaBehind = "replica_behind",
    /// A read soon after a write, on servers without GTIDs or after a lost answer.
    RecentWrite = "recent_write",
    /// A read that another replica answers, because the first one did not catch up in time.
    OtherReplica = "other_replica",
    /// What was seen at the primary, or on a replica that is gone, is not known to be on a replica yet.
    Unproven = "unproven",
    /// The connection's rule or hint asks again at the primary, because a replica had no row.
    OnEmpty = "on_empty",
    /// No replica may serve reads now.
    NoReplica = "no_replica",
    /// The primary is nearer than any replica.
    PrimaryIsNearer = "primary_is_nearer",
    /// Another process serves new clients, and this one reads where it sees what those write.
    TakenOver = "taken_over",
    /// A read of a transaction that has only read so far, on a replica.
    Optimistic = "optimistic",
    /// A replica behind its `max_lag` answers because the primary does not.
    PrimaryIsDown = "primary_is_down",
}

impl Reason {
    /// Whether a replica, asked at once, might have shown less than the reader had to see.
    pub fn avoids_stale_read(self) -> bool {
        use Reason::{OtherReplica, ReadAfterWait, RecentWrite, ReplicaBehind, TakenOver, Unproven};
        matches!(self, TakenOver | ReadAfterWait | ReplicaBehind | OtherReplica | RecentWrite | Unproven)
    }
}

/// What a statement needs, before the servers are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The primary.
    Primary(Reason),
    /// Any server that is fresh enough.
    Read,
}

impl Need {
    /// Whether it is a read, wherever it goes by somebody's wish.
    pub fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::Primary(Reason::Hint | Reason::Rule | Reason::OnEmpty))
    }

    /// What `statement` needs outside of a transaction.
    pub fn of(statement: &Statement<'_>) -> Self {
        match &statement.kind {
            Kind::Write(why) => Self::Primary(Reason::Statement(*why)),
            Kind::Begin(_) | Kind::Commit(_) | Kind::Rollback(_) | Kind::Savepoint => {
                Self::Primary(Reason::InTransaction)
            }
            Kind::Read | Kind::Set(_) | Kind::Use(_) | Kind::Empty => match statement.hint.target {
                Some(HintTarget::Primary) => Self::Primary(Reason::Hint),
                _ => Self::Read,
            },
        }
    }
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The server.
    pub server: ServerId,
    /// Why.
    pub reason: Reason,
    /// What the server must contain first, and is not known to.
    pub wait_for: Option<Arc<GtidSet>>,
}

impl Route {
    fn to(server: &ServerView, reason: Reason) -> Self {
        Self { server: server.id, reason, wait_for: None }
    }
}

/// No server can take the statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// The primary does not answer.
    #[error("{server} does not answer: {why}")]
    Down {
        /// The server's name.
        server: String,
        /// Why, as the monitor found.
        why: String,
    },
    /// No server is configured or known as the primary.
    #[error("no server is known to be the primary")]
    NoPrimary,
}

/// What matters of whoever reads.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    /// What must be seen.
    pub token: Token,
    /// Whether nothing that was seen may be unseen.
    pub is_consistent: bool,
    /// Any number: equal replicas share readers by it. Who sees what others saw has the same one.
    pub pick: u64,
    /// A replica further behind than this will not do.
    pub max_lag: Option<Duration>,
    /// How long it would wait for a replica.
    pub patience: Option<Duration>,
}

/// A replica that is so many times further behind than a reader has patience is not waited for.
const HOPELESS: u32 = 4;

/// Decides.
///
/// # Errors
/// When the only server that would do is known to be down.
pub fn decide(need: Need, reader: &Reader, snapshot: &Snapshot) -> Result<Route, NoRoute> {
    match need {
        Need::Primary(reason) => to_primary(snapshot, reason),
        Need::Read => read(reader, snapshot),
    }
}

/// The primary, if it answers.
///
/// # Errors
/// It does not, or there is none.
pub fn to_primary(snapshot: &Snapshot, reason: Reason) -> Result<Route, NoRoute> {
    let primary = snapshot.primary().ok_or(NoRoute::NoPrimary)?;
    match &primary.health {
        _ if primary.is_doubtful => Err(NoRoute::Down {
            server: primary.name.to_string(),
            why: "it did not answer the last probe, and another server takes writes".into(),
        }),
        Health::Down(why) => Err(NoRoute::Down { server: primary.name.to_string(), why: why.to_string() }),
        Health::Retired => Err(NoRoute::NoPrimary),
        Health::Up | Health::Unknown => Ok(Route::to(primary, reason)),
    }
}

fn read(reader: &Reader, snapshot: &Snapshot) -> Result<Route, NoRoute> {
    let token = &reader.token;
    if token.primary_until.is_some() {
        return to_primary(snapshot, Reason::RecentWrite);
    }
    if token.uncertain_since.is_some() {
        match to_primary(snapshot, Reason::RecentWrite) {
            // Nobody was told that it was written.
            Err(_) if !snapshot.may_soon_be_proven() => {}
            decided => return decided,
        }
    }
    let is_unproven = token.unnamed_since.is_some() || (reader.is_consistent && snapshot.floor.pending);
    let Some(replica) = assigned(snapshot, reader) else {
        // Old data is better than none, and nobody is promised fresher than his own writes.
        let late = || late_replica(snapshot, token).filter(|_| !(is_unproven && snapshot.between_primaries));
        return to_primary(snapshot, Reason::NoReplica).or_else(|down| late().ok_or(down));
    };
    if let Some(primary) = snapshot.primary().filter(|p| p.is_usable() && is_much_nearer(p, replica)) {
        return Ok(Route::to(primary, Reason::PrimaryIsNearer));
    }
    if is_unproven {
        match to_primary(snapshot, Reason::Unproven) {
            Ok(route) => return Ok(route),
            Err(unknown) if snapshot.may_soon_be_proven() => return Err(unknown),
            // Without a primary nobody can prove it, and reads go on.
            Err(_) => {}
        }
    }
    let floor = snapshot.floor.gtids.as_ref().filter(|_| reader.is_consistent);
    let lacked = [token.gtids.as_ref().filter(|_| !token.is_satisfied_on(replica.id)), floor];
    let mut lacked = lacked.into_iter().flatten().filter(|gtids| !has(replica, gtids));
    match (lacked.next(), lacked.next()) {
        (None, _) if token.gtids.is_none() => Ok(Route::to(replica, Reason::Read)),
        (None, _) => Ok(Route::to(replica, Reason::ReadAfterWrite)),
        (Some(_), _)
            if is_hopeless(replica, reader.patience) && snapshot.primary().is_some_and(ServerView::is_usable) =>
        {
            to_primary(snapshot, Reason::ReplicaBehind)
        }
        (Some(one), other) => {
            let wait_for = match other {
                Some(other) => united(one, other),
                None => one.clone(),
            };
            Ok(Route { wait_for: Some(wait_for), ..Route::to(replica, Reason::ReadAfterWait) })
        }
    }
}

/// Another replica, where the one that was to answer has not got what it should in time: one that is known to
/// have that, and all that was seen on the first.
pub fn another_replica(reader: &Reader, snapshot: &Snapshot, not: ServerId, seen: &GtidSet) -> Option<Route> {
    let token = &reader.token;
    if token.keeps_to_primary() || snapshot.floor.pending {
        return None;
    }
    let mut others = snapshot.readers.iter().filter(|id| **id != not).filter_map(|id| snapshot.server(*id));
    let floor = snapshot.floor.gtids.as_deref();
    let has_all = |server: &&ServerView| {
        contains(server, token) && has(server, seen) && floor.is_none_or(|floor| has(server, floor))
    };
    let fits = |server: &&ServerView| reader.max_lag.is_none_or(|max_lag| server.is_within(max_lag));
    others.find(|server| fits(server) && has_all(server)).map(|server| Route::to(server, Reason::OtherReplica))
}

/// Whether a replica is known to be so far behind that waiting for it is in vain.
fn is_hopeless(replica: &ServerView, patience: Option<Duration>) -> bool {
    match replica.lag {
        Lag::Stopped => true,
        Lag::Behind(lag) => patience.is_some_and(|patience| lag > patience * HOPELESS),
        Lag::Unknown => false,
    }
}

fn united(a: &Arc<GtidSet>, b: &Arc<GtidSet>) -> Arc<GtidSet> {
    let mut both = (**a).clone();
    match both.union(b) {
        Ok(()) => Arc::new(both),
        // What is known to be needed of a server of another family cannot be had: the wait will show it.
        Err(_) => a.clone(),
    }
}

/// A replica further behind than it should be, for when the primary does not answer.
fn late_replica(snapshot: &Snapshot, token: &Token) -> Option<Route> {
    let may_serve = |s: &ServerView| s.role == Role::Replica && s.weight > 0 && s.is_usable() && !s.is_rival;
    let late = || snapshot.servers.iter().filter(|s| may_serve(s) && contains(s, token));
    // One that has what others have seen is better than one that has not.
    let has_floor = |s: &&ServerView| snapshot.floor.gtids.as_ref().is_none_or(|gtids| has(s, gtids));
    late().find(has_floor).or_else(|| late().next()).map(|replica| Route::to(replica, Reason::PrimaryIsDown))
}

/// Whether `server` is known to contain everything in `token`.
fn contains(server: &ServerView, token: &Token) -> bool {
    let Some(gtids) = &token.gtids else { return true };
    token.is_satisfied_on(server.id) || has(server, gtids)
}

fn has(server: &ServerView, gtids: &GtidSet) -> bool {
    server.executed.as_ref().is_some_and(|executed| executed.contains(gtids))
}

/// The one of the nearest replicas that this reader reads from, by weight. As long as the same ones serve
/// reads it is the same one: what was seen on one may not be on another yet.
fn assigned<'a>(snapshot: &'a Snapshot, reader: &Reader) -> Option<&'a ServerView> {
    let equals = || snapshot.readers.iter().filter_map(|id| snapshot.server(*id));
    let total: u64 = equals().map(|s| u64::from(s.weight)).sum();
    let mut at = reader.pick.checked_rem(total)?;
    let found = equals().find(|s| {
        let weight = u64::from(s.weight);
        let found = at < weight;
        at = at.saturating_sub(weight);
        found
    });
    found.filter(|server| reader.max_lag.is_none_or(|max_lag| server.is_within(max_lag)))
}

fn is_much_nearer(primary: &ServerView, replica: &ServerView) -> bool {
    debug_assert!(primary.role == Role::Primary, "only the primary competes with replicas");
    !replica.local && (primary.local || distance(primary.rtt) < distance(replica.rtt))
}

#[cfg(test)]
mod tests;
