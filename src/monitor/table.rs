//! All that is known of the servers, and the snapshot made of it. Pure: time is a parameter, and
//! what a person should hear comes out as [`Event`]s.

use super::health::{Opinion, Thresholds};
use super::lag::{Evidence, History};
use super::report::{Gtids, Replication, Report, Threads};
use super::roles::{Choice, Claim, choose};
use super::rtt::RoundTrips;
use super::{Planned, ServerPlan};
use crate::consistency::gtid::{Family, GtidSet};
use crate::topology::{Health, Lag, Role, ServerId, ServerView, Snapshot};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Something a person should hear of, told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// A server answers.
    Up(ServerId),
    /// A server does not answer.
    Down(ServerId, Arc<str>),
    /// A replica's replication is stopped.
    ReplicationStopped {
        /// The replica.
        id: ServerId,
        /// Whom it followed.
        source: String,
        /// The last error, if any.
        error: Option<String>,
    },
    /// A replica's replication runs again.
    ReplicationRuns(ServerId),
    /// The monitor may not ask how a server's replication is.
    ReplicationHidden(ServerId, Family),
    /// This server takes writes from now on.
    PrimaryIs(ServerId),
    /// No server takes writes any more.
    NoPrimary,
    /// Servers besides the primary take writes.
    Rivals(Vec<ServerId>),
}

/// A successful probe.
#[derive(Debug)]
pub(super) struct Probed {
    /// When the server was asked for what it has executed.
    pub(super) asked: Instant,
    /// When it had answered that.
    pub(super) answered: Instant,
    /// What it said.
    pub(super) report: Report,
}

/// The servers.
#[derive(Debug)]
pub(super) struct Table {
    servers: Vec<Entry>,
    thresholds: Thresholds,
    /// A primary that did not answer for this long is out of sight.
    sight: Duration,
    choice: Choice,
    history: History,
    snapshot: Arc<Snapshot>,
}

#[derive(Debug)]
struct Entry {
    id: ServerId,
    name: Arc<str>,
    plan: ServerPlan,
    opinion: Opinion,
    round_trips: RoundTrips,
    /// When a full probe last succeeded.
    seen_at: Option<Instant>,
    family: Option<Family>,
    is_writable: bool,
    gtids: Gtids,
    replication: Replication,
    /// Whether it may ask for replication, as far as people were told.
    told_hidden: bool,
    told_stopped: bool,
    /// When its replication was last seen running.
    ran_at: Option<Instant>,
    lag: Lag,
}

impl Table {
    /// Servers nothing is known of, in configuration order.
    pub(super) fn new(servers: Vec<(ServerId, Arc<str>, ServerPlan)>, thresholds: Thresholds, sight: Duration) -> Self {
        let servers = servers.into_iter().map(|(id, name, plan)| Entry::new(id, name, plan)).collect();
        let mut table = Self {
            servers,
            thresholds,
            sight,
            choice: Choice::default(),
            history: History::default(),
            snapshot: Arc::default(),
        };
        table.choice = choose(&table.claims(), None);
        table.publish();
        table
    }

    /// What was last published.
    pub(super) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// A full probe succeeded.
    pub(super) fn probed(&mut self, id: ServerId, probed: Probed) -> Vec<Event> {
        let Probed { asked, answered, report } = probed;
        let thresholds = self.thresholds;
        let Some(entry) = self.entry(id) else { return Vec::new() };
        entry.round_trips.record(answered.saturating_duration_since(asked));
        let mut events = entry.judge(|opinion| opinion.succeeded(thresholds));
        entry.learn(report, answered, &mut events);
        self.choose(&mut events);
        let entry = self.servers.iter().find(|s| s.id == id);
        let logged = entry.filter(|_| self.choice.primary == Some(id)).and_then(|s| s.gtids.logged.as_ref());
        if let Some(logged) = logged {
            self.history.record(asked + answered.saturating_duration_since(asked) / 2, logged);
        }
        self.measure(id, answered);
        events
    }

    /// A replica was asked for its GTIDs between two full probes. Returns whether they are news.
    pub(super) fn applied(&mut self, id: ServerId, asked: Instant, answered: Instant, applied: GtidSet) -> bool {
        let Some(entry) = self.entry(id) else { return false };
        entry.round_trips.record(answered.saturating_duration_since(asked));
        let is_news = entry.gtids.applied.as_deref() != Some(&applied);
        if is_news {
            entry.gtids.applied = Some(Arc::new(applied));
        }
        self.measure(id, answered);
        is_news
    }

    /// A probe failed.
    pub(super) fn failed(&mut self, id: ServerId, why: &Arc<str>) -> Vec<Event> {
        let thresholds = self.thresholds;
        self.lost(id);
        let Some(entry) = self.entry(id) else { return Vec::new() };
        let mut events = entry.judge(|opinion| opinion.failed(thresholds, why));
        if matches!(entry.opinion.health(), Health::Down(_)) {
            entry.lag = Lag::Unknown;
        }
        self.choose(&mut events);
        events
    }

    /// The server refused the monitor's account: it is there, and nothing else is known of it.
    pub(super) fn refused(&mut self, id: ServerId) -> Vec<Event> {
        let thresholds = self.thresholds;
        self.lost(id);
        let Some(entry) = self.entry(id) else { return Vec::new() };
        entry.lag = Lag::Unknown;
        let mut events = entry.judge(|opinion| opinion.succeeded(thresholds));
        self.choose(&mut events);
        events
    }

    /// The control connection broke. A server that restarts after a crash may have lost its last
    /// transactions, so nothing it was known to contain is believed until it answers again.
    pub(super) fn lost(&mut self, id: ServerId) {
        if let Some(applied) = self.entry(id).and_then(|s| s.gtids.applied.as_mut()) {
            *applied = Arc::new(GtidSet::empty(applied.family()));
        }
    }

    /// Makes a new snapshot if anything changed; `None` if nothing did.
    pub(super) fn publish(&mut self) -> Option<Arc<Snapshot>> {
        let views = || self.servers.iter().map(|s| s.view(self.choice.role(s.id)));
        let published = &self.snapshot.servers;
        if published.len() == self.servers.len() && views().zip(published).all(|(new, old)| is_same(&new, old)) {
            return None;
        }
        self.snapshot = Arc::new(Snapshot { servers: views().collect() });
        Some(self.snapshot.clone())
    }

    /// What the primary has executed, if `id` is the primary and names its transactions.
    pub(super) fn committed(&self, id: ServerId) -> Option<Arc<GtidSet>> {
        let entry = self.servers.iter().find(|s| s.id == id && self.choice.primary == Some(id))?;
        entry.gtids.committed.clone()
    }

    /// A set that every replica contains that may ever serve reads; one that is down counts too,
    /// because it will come back with what it had.
    pub(super) fn everywhere(&self) -> Option<Arc<GtidSet>> {
        let replicas = || self.servers.iter().filter(|s| self.choice.primary != Some(s.id) && s.plan.weight > 0);
        let sets: Vec<_> = replicas().map(|s| s.gtids.applied.as_ref()).collect::<Option<_>>()?;
        let least = sets.iter().find(|least| sets.iter().all(|set| set.contains(least)));
        match least {
            Some(least) => Some((*least).clone()),
            // They do not contain one another where each has transactions of its own.
            None => self.history.contained_in_all(&sets),
        }
    }

    /// Whether `id` is a replica whose GTIDs can be asked for between full probes.
    pub(super) fn is_tracked_replica(&self, id: ServerId) -> bool {
        let entry = self.servers.iter().find(|s| s.id == id);
        self.choice.primary != Some(id) && entry.is_some_and(|s| s.gtids.applied.is_some())
    }

    fn entry(&mut self, id: ServerId) -> Option<&mut Entry> {
        self.servers.iter_mut().find(|s| s.id == id)
    }

    fn claims(&self) -> Vec<Claim> {
        self.servers.iter().map(Entry::claim).collect()
    }

    fn choose(&mut self, events: &mut Vec<Event>) {
        let choice = choose(&self.claims(), self.choice.primary);
        if choice == self.choice {
            return;
        }
        if choice.primary != self.choice.primary {
            // Samples of another server's history say nothing about this one's replicas.
            self.history = History::default();
            events.push(choice.primary.map_or(Event::NoPrimary, Event::PrimaryIs));
        }
        if !choice.rivals.is_empty() && choice.rivals != self.choice.rivals {
            events.push(Event::Rivals(choice.rivals.clone()));
        }
        self.choice = choice;
    }

    /// Judges the lag of a server that just told what it has executed.
    fn measure(&mut self, id: ServerId, now: Instant) {
        let is_primary = self.choice.primary == Some(id);
        let primary = self.servers.iter().find(|s| Some(s.id) == self.choice.primary);
        let seen_at = primary.and_then(|s| s.seen_at);
        let primary_is_seen = seen_at.is_some_and(|at| now.saturating_duration_since(at) <= self.sight);
        let Some(entry) = self.servers.iter_mut().find(|s| s.id == id) else { return };
        let evidence = Evidence {
            applied: entry.gtids.applied.as_deref(),
            replication: &entry.replication,
            ran_at: entry.ran_at,
            primary_is_seen,
            max_lag: entry.plan.max_lag,
        };
        entry.lag = if is_primary { Lag::Behind(Duration::ZERO) } else { evidence.lag(&self.history, now) };
    }
}

impl Entry {
    fn new(id: ServerId, name: Arc<str>, plan: ServerPlan) -> Self {
        Self {
            id,
            name,
            plan,
            opinion: Opinion::new(),
            round_trips: RoundTrips::default(),
            seen_at: None,
            family: None,
            is_writable: false,
            gtids: Gtids::default(),
            replication: Replication::Hidden,
            told_hidden: false,
            told_stopped: false,
            ran_at: None,
            lag: Lag::Unknown,
        }
    }

    /// Changes the opinion and tells if it became another one.
    fn judge(&mut self, change: impl FnOnce(&mut Opinion)) -> Vec<Event> {
        let was_up = (self.opinion.health() != &Health::Unknown).then(|| self.opinion.health() == &Health::Up);
        change(&mut self.opinion);
        match self.opinion.health() {
            Health::Up if was_up != Some(true) => vec![Event::Up(self.id)],
            Health::Down(why) if was_up != Some(false) => vec![Event::Down(self.id, why.clone())],
            _ => Vec::new(),
        }
    }

    fn learn(&mut self, report: Report, now: Instant, events: &mut Vec<Event>) {
        let Report { family, variables, replication } = report;
        self.seen_at = Some(now);
        self.family = Some(family);
        self.is_writable = !variables.read_only;
        self.gtids = variables.gtids;
        self.replication = replication;
        let is_stopped = match &self.replication {
            Replication::Configured(channels) => match channels.threads {
                Threads::Running { .. } => {
                    self.ran_at = Some(now);
                    false
                }
                Threads::Connecting => self.told_stopped,
                Threads::Stopped => true,
            },
            Replication::Hidden | Replication::Absent => false,
        };
        match &self.replication {
            Replication::Configured(channels) if is_stopped && !self.told_stopped => {
                events.push(Event::ReplicationStopped {
                    id: self.id,
                    source: channels.source.clone(),
                    error: channels.error.clone(),
                });
            }
            Replication::Configured(_) if !is_stopped && self.told_stopped => {
                events.push(Event::ReplicationRuns(self.id));
            }
            Replication::Hidden if self.plan.role.asks_replication() && !self.told_hidden => {
                self.told_hidden = true;
                events.push(Event::ReplicationHidden(self.id, family));
            }
            _ => {}
        }
        self.told_stopped = is_stopped;
    }

    fn claim(&self) -> Claim {
        Claim {
            id: self.id,
            planned: self.plan.role,
            health: self.opinion.health().clone(),
            answers_now: self.opinion.answers_now(),
            is_writable: self.is_writable,
            follows: match &self.replication {
                Replication::Hidden => None,
                Replication::Absent => Some(false),
                Replication::Configured(channels) => Some(channels.is_alive),
            },
        }
    }

    fn view(&self, role: Role) -> ServerView {
        ServerView {
            id: self.id,
            name: self.name.clone(),
            local: self.plan.local,
            role,
            health: self.opinion.health().clone(),
            lag: self.lag,
            max_lag: self.plan.max_lag,
            weight: self.plan.weight,
            rtt: self.round_trips.steady(),
            family: self.family,
            executed: match role {
                Role::Primary => self.gtids.committed.clone(),
                Role::Replica => self.gtids.applied.clone(),
            },
        }
    }
}

impl Planned {
    /// Whether it matters how its replication is.
    pub(super) fn asks_replication(self) -> bool {
        self != Self::Primary
    }
}

/// Whether two views of one server say the same; what is only configured does not change.
fn is_same(a: &ServerView, b: &ServerView) -> bool {
    let seen = |s: &ServerView| (s.id, s.role, s.lag, s.rtt, s.family);
    let is_same_set = match (&a.executed, &b.executed) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
        (a, b) => a.is_none() && b.is_none(),
    };
    seen(a) == seen(b) && is_same_set && a.health == b.health
}

#[cfg(test)]
mod tests;
