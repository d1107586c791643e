//! Where a statement goes, and why: pure, total, explained.
//!
//! The [`Reason`] is the metric label, the log field and what `landbridge explain` prints.

use crate::consistency::gtid::GtidSet;
use crate::consistency::token::Token;
use crate::sql::{HintTarget, Kind, Statement, Why};
use crate::topology::{Health, Role, ServerId, ServerView, Snapshot};
use std::time::Duration;

/// Why a statement went where it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The statement itself needs the primary.
    Statement(Why),
    /// It belongs to a transaction.
    InTransaction,
    /// The session's state lives on one connection.
    Pinned,
    /// The session holds one connection for its whole life (`pool.mode = "session"`).
    SessionMode,
    /// A comment in the statement asked for it.
    Hint,
    /// A read that any fresh replica may answer.
    Read,
    /// A read whose replica is known to contain what its scope wrote.
    ReadAfterWrite,
    /// A read that waits until its replica contains what its scope wrote.
    ReadAfterWait,
    /// A read of somebody whose write no replica is known to contain in time.
    ReplicaBehind,
    /// A read soon after a write, on servers without GTIDs or after a lost answer.
    RecentWrite,
    /// No replica may serve reads now.
    NoReplica,
    /// The primary is nearer than any replica.
    PrimaryIsNearer,
    /// A replica behind its `max_lag` answers because the primary does not.
    PrimaryIsDown,
}

impl Reason {
    /// Its name in metrics, logs and `explain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Statement(why) => why.as_str(),
            Self::InTransaction => "in_transaction",
            Self::Pinned => "pinned",
            Self::SessionMode => "session_mode",
            Self::Hint => "hint",
            Self::Read => "read",
            Self::ReadAfterWrite => "read_after_write",
            Self::ReadAfterWait => "read_after_wait",
            Self::ReplicaBehind => "replica_behind",
            Self::RecentWrite => "recent_write",
            Self::NoReplica => "no_replica",
            Self::PrimaryIsNearer => "primary_is_nearer",
            Self::PrimaryIsDown => "primary_is_down",
        }
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
    pub wait_for: Option<GtidSet>,
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

/// Decides. `pick` is any number; equal replicas share reads by it.
///
/// # Errors
/// When the only server that would do is known to be down.
pub fn decide(need: Need, token: &Token, snapshot: &Snapshot, pick: u64) -> Result<Route, NoRoute> {
    match need {
        Need::Primary(reason) => to_primary(snapshot, reason),
        Need::Read => read(token, snapshot, pick),
    }
}

/// The primary, if it answers.
///
/// # Errors
/// It does not, or there is none.
pub fn to_primary(snapshot: &Snapshot, reason: Reason) -> Result<Route, NoRoute> {
    let primary = snapshot.primary().ok_or(NoRoute::NoPrimary)?;
    match &primary.health {
        Health::Down(why) => Err(NoRoute::Down { server: primary.name.to_string(), why: why.to_string() }),
        Health::Up | Health::Unknown => Ok(Route::to(primary, reason)),
    }
}

fn read(token: &Token, snapshot: &Snapshot, pick: u64) -> Result<Route, NoRoute> {
    if token.primary_until.is_some() || token.uncertain_since.is_some() {
        return to_primary(snapshot, Reason::RecentWrite);
    }
    let Some(replica) = nearest_replica(snapshot, token, pick) else {
        // Old data is better than none, and nobody is promised fresher than his own writes.
        return to_primary(snapshot, Reason::NoReplica).or_else(|down| late_replica(snapshot, token).ok_or(down));
    };
    if let Some(primary) = snapshot.primary().filter(|p| p.is_usable() && is_much_nearer(p, replica)) {
        return Ok(Route::to(primary, Reason::PrimaryIsNearer));
    }
    match &token.gtids {
        None => Ok(Route::to(replica, Reason::Read)),
        Some(_) if contains(replica, token) => Ok(Route::to(replica, Reason::ReadAfterWrite)),
        Some(gtids) => Ok(Route { wait_for: Some(gtids.clone()), ..Route::to(replica, Reason::ReadAfterWait) }),
    }
}

/// A replica further behind than it should be, for when the primary does not answer.
fn late_replica(snapshot: &Snapshot, token: &Token) -> Option<Route> {
    let late = |s: &&ServerView| s.role == Role::Replica && s.weight > 0 && s.is_usable() && contains(s, token);
    snapshot.servers.iter().find(late).map(|replica| Route::to(replica, Reason::PrimaryIsDown))
}

/// Whether `server` is known to contain everything in `token`.
fn contains(server: &ServerView, token: &Token) -> bool {
    let Some(gtids) = &token.gtids else { return true };
    token.is_satisfied_on(server.id) || server.executed.as_ref().is_some_and(|executed| executed.contains(gtids))
}

/// The nearest replica; among equally near ones those that need no wait, then by weight.
fn nearest_replica<'a>(snapshot: &'a Snapshot, token: &Token, pick: u64) -> Option<&'a ServerView> {
    let rank = |s: &ServerView| (!s.local, distance(s.rtt), !contains(s, token));
    let best = snapshot.readable_replicas().map(rank).min()?;
    let equals = || snapshot.readable_replicas().filter(|s| rank(s) == best);
    let total: u64 = equals().map(|s| u64::from(s.weight)).sum();
    let mut at = pick.checked_rem(total)?;
    equals().find(|s| {
        let weight = u64::from(s.weight);
        let found = at < weight;
        at = at.saturating_sub(weight);
        found
    })
}

/// Round-trip times in classes, so that noise does not decide: below 2 ms, 4 ms, 8 ms ..
fn distance(rtt: Option<Duration>) -> u32 {
    let millis = rtt.map_or(0, |rtt| u64::try_from(rtt.as_millis()).unwrap_or(u64::MAX));
    (millis / 2).checked_ilog2().map_or(0, |log| log + 1)
}

fn is_much_nearer(primary: &ServerView, replica: &ServerView) -> bool {
    debug_assert!(primary.role == Role::Primary, "only the primary competes with replicas");
    !replica.local && (primary.local || distance(primary.rtt) < distance(replica.rtt))
}

#[cfg(test)]
mod tests;
