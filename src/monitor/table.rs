//! All that is known of the servers, and the snapshot made of it. Pure: time is a parameter, and
//! what a person should hear comes out as [`Event`]s.

mod between;
mod configure;
mod entry;

use self::entry::{Entry, Place};
use super::health::Thresholds;
use super::heartbeat::Pulse;
use super::lag::{Evidence, History};
use super::report::Report;
use super::roles::{Choice, Claim, choose};
use super::{Planned, ServerPlan};
use crate::consistency::floor::Floor;
use crate::consistency::gtid::{Family, GtidSet};
use crate::topology::{FloorView, Health, Lag, PrimaryReport, ServerId, ServerView, Snapshot, readers};
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
    /// The server that the file calls the primary refuses writes.
    PrimaryReadOnly(ServerId),
    /// It takes them again.
    PrimaryWritable(ServerId),
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
    /// The primary, while it is one by the file alone: it answers, and refuses writes.
    read_only: Option<ServerId>,
    /// The primary, or the last one there was.
    last_primary: Option<ServerId>,
    /// Since when there is none, although all servers answer.
    between_since: Option<Instant>,
    /// Since when it is the primary that is.
    primary_since: Instant,
    /// What was sent to a server on a connection that broke may still be on its way for about this long.
    grace: Duration,
    history: History,
    /// Its heartbeat.
    pulse: Pulse,
    report: Option<PrimaryReport>,
    floor: Floor,
    snapshot: Arc<Snapshot>,
}

impl Table {
    /// Servers nothing is known of, in configuration order.
    pub(super) fn new(
        servers: Vec<(ServerId, Arc<str>, ServerPlan)>,
        thresholds: Thresholds,
        [sight, grace]: [Duration; 2],
        now: Instant,
    ) -> Self {
        let servers = servers.into_iter().map(|(id, name, plan)| Entry::new(id, name, plan, Place::Original)).collect();
        let mut floor = Floor::default();
        // Before this process, clients may have written and seen anything.
        floor.unknown(now);
        let mut table = Self {
            servers,
            thresholds,
            sight,
            choice: Choice::default(),
            read_only: None,
            last_primary: None,
            between_since: None,
            primary_since: now,
            grace,
            history: History::default(),
            pulse: Pulse::default(),
            report: None,
            floor,
            snapshot: Arc::default(),
        };
        table.choice = choose(&table.claims(), None);
        table.last_primary = table.choice.primary;
        table.publish(now);
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
        let newest = report.heartbeat.newest();
        entry.learn(report, answered, &mut events);
        let gtids = entry.gtids.clone();
        self.choose(&mut events, asked);
        self.look_for_writes(id, &mut events);
        if self.choice.primary == Some(id) {
            if let Some(logged) = &gtids.logged {
                self.history.record(asked + answered.saturating_duration_since(asked) / 2, logged);
            }
            self.pulse.told(asked, newest);
            self.primary_told(id, asked, gtids.committed);
        } else if let Some(applied) = &gtids.applied {
            self.floor.told(id, false, asked, applied);
        }
        let heartbeat = newest.and_then(|newest| self.pulse.behind(newest, answered));
        if let Some(entry) = self.entry(id) {
            entry.heartbeat = heartbeat;
        }
        self.measure(id, answered);
        events
    }

    fn primary_told(&mut self, id: ServerId, asked: Instant, committed: Option<Arc<GtidSet>>) {
        let Some(executed) = committed else {
            self.report = None;
            self.floor.give_up();
            return;
        };
        self.floor.told(id, true, asked, &executed);
        let nothing_on_its_way = asked.checked_sub(self.grace).unwrap_or(asked);
        self.report = Some(PrimaryReport { asked, nothing_on_its_way, primary_since: self.primary_since, executed });
    }

    /// A replica was asked for its GTIDs between two full probes. Returns whether they are news.
    pub(super) fn applied(&mut self, id: ServerId, asked: Instant, answered: Instant, applied: GtidSet) -> bool {
        let Some(entry) = self.entry(id) else { return false };
        entry.round_trips.record(answered.saturating_duration_since(asked));
        let is_news = entry.gtids.applied.as_deref() != Some(&applied);
        if is_news {
            entry.gtids.applied = Some(Arc::new(applied));
        }
        if let Some(applied) = entry.gtids.applied.clone() {
            self.floor.told(id, false, asked, &applied);
        }
        self.measure(id, answered);
        is_news
    }

    /// A probe failed.
    pub(super) fn failed(&mut self, id: ServerId, why: &Arc<str>, now: Instant) -> Vec<Event> {
        let thresholds = self.thresholds;
        self.lost(id, now);
        let Some(entry) = self.entry(id) else { return Vec::new() };
        let mut events = entry.judge(|opinion| opinion.failed(thresholds, why));
        if matches!(entry.opinion.health(), Health::Down(_)) {
            entry.lags(Lag::Unknown, None);
        }
        self.choose(&mut events, now);
        events
    }

    /// The server refused the monitor's account: it is there, and nothing else is known of it.
    pub(super) fn refused(&mut self, id: ServerId, now: Instant) -> Vec<Event> {
        let thresholds = self.thresholds;
        self.lost(id, now);
        let Some(entry) = self.entry(id) else { return Vec::new() };
        entry.lags(Lag::Unknown, None);
        let mut events = entry.judge(|opinion| opinion.succeeded(thresholds));
        self.choose(&mut events, now);
        if let Some(entry) = self.entry(id) {
            // Nobody will tell what it executes from now on.
            entry.gtids.committed = None;
        }
        if self.choice.primary == Some(id) {
            self.report = None;
            self.floor.give_up();
        }
        events
    }

    /// The control connection broke. A server that restarts after a crash may have lost its last
    /// transactions, so nothing it was known to contain is believed until it answers again.
    pub(super) fn lost(&mut self, id: ServerId, now: Instant) {
        self.floor.silent(id);
        let Some(applied) = self.entry(id).and_then(|s| s.gtids.applied.as_mut()) else { return };
        let was_known = !applied.is_empty();
        *applied = Arc::new(GtidSet::empty(applied.family()));
        if was_known && self.snapshot.readers.contains(&id) {
            // What was read there it may not have any more.
            self.floor.unknown(now);
        }
    }

    /// Makes a new snapshot if anything changed; `None` if nothing did.
    pub(super) fn publish(&mut self, now: Instant) -> Option<Arc<Snapshot>> {
        let mut servers: Vec<_> = self.servers.iter().map(|s| s.view(self.choice.role(s.id))).collect();
        if servers.iter().any(|s| s.is_rival) {
            for (view, entry) in servers.iter_mut().zip(&self.servers) {
                view.is_doubtful = !entry.opinion.answers_now();
            }
        }
        let readers = readers(&servers);
        let published = self.snapshot.clone();
        let same_readers = readers == published.readers && {
            let weight = |servers: &[ServerView], id: &ServerId| servers.get(usize::from(id.0)).map(|s| s.weight);
            readers.iter().all(|id| weight(&servers, id) == weight(&published.servers, id))
        };
        if !same_readers {
            self.replace(&published, &readers, now);
        }
        let everywhere = self.everywhere().filter(|set| !set.is_empty());
        if let Some(everywhere) = &everywhere {
            self.floor.contained(everywhere);
        }
        let floor = FloorView { gtids: self.floor.gtids().cloned(), pending: self.floor.is_pending() };
        let same_servers = published.servers.len() == servers.len()
            && servers.iter().zip(&published.servers).all(|(new, old)| is_same(new, old));
        let between_primaries = self.is_between_primaries(now);
        let same_rest = (&self.report, &everywhere, &floor, between_primaries)
            == (&published.report, &published.everywhere, &published.floor, published.between_primaries);
        if same_readers && same_servers && same_rest {
            return None;
        }
        let epoch = published.epoch + u64::from(!same_readers);
        let report = self.report.clone();
        self.snapshot = Arc::new(Snapshot { servers, readers, epoch, report, everywhere, floor, between_primaries });
        Some(self.snapshot.clone())
    }

    /// Others serve reads from now on: whoever read from a server before may find himself at another.
    fn replace(&mut self, published: &Snapshot, readers: &[ServerId], now: Instant) {
        // Among several that stay, who reads from which is another matter without the one that left.
        let only_leave = readers.len() <= 1 && readers.iter().all(|id| published.readers.contains(id));
        for id in published.readers.iter().filter(|id| !(only_leave && readers.contains(id))) {
            match self.servers.iter().find(|s| s.id == *id) {
                Some(entry) if !entry.is_retired() && *entry.opinion.health() == Health::Up => {
                    self.floor.replaced(*id, now);
                }
                _ => self.floor.unknown(now),
            }
        }
    }

    /// Servers that answer and whose GTIDs somebody waits for.
    pub(super) fn awaited(&self) -> Vec<ServerId> {
        let is_up = |id: &ServerId| self.servers.iter().any(|s| s.id == *id && s.opinion.answers_now());
        self.floor.awaited().filter_map(|replica| replica.or(self.choice.primary)).filter(is_up).collect()
    }

    /// A set that every replica contains that may ever serve reads; one that is down counts too,
    /// because it will come back with what it had.
    fn everywhere(&self) -> Option<Arc<GtidSet>> {
        let may_serve = |s: &&Entry| self.choice.primary != Some(s.id) && s.plan.weight > 0 && !s.is_retired();
        let replicas = || self.servers.iter().filter(may_serve);
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
        let entry = self.servers.iter().find(|s| s.id == id && !s.is_retired());
        self.choice.primary != Some(id) && entry.is_some_and(|s| s.gtids.applied.is_some())
    }

    fn entry(&mut self, id: ServerId) -> Option<&mut Entry> {
        // Nobody believes what is still on its way from one that is retired.
        self.servers.iter_mut().find(|s| s.id == id && !s.is_retired())
    }

    fn claims(&self) -> Vec<Claim> {
        self.servers.iter().filter(|s| !s.is_retired()).map(Entry::claim).collect()
    }

    fn choose(&mut self, events: &mut Vec<Event>, now: Instant) {
        let choice = choose(&self.claims(), self.choice.primary);
        if choice == self.choice {
            return;
        }
        if choice.primary != self.choice.primary {
            // Samples of another server's history say nothing about this one's replicas.
            self.history = History::default();
            self.pulse = Pulse::default();
            // Without a primary what must be seen stays what it was; one that comes back goes on with its history.
            if choice.primary.is_some() && choice.primary != self.last_primary {
                self.last_primary = choice.primary;
                self.report = None;
                self.primary_since = now;
                self.floor.begin_anew(now);
            }
            events.push(choice.primary.map_or(Event::NoPrimary, Event::PrimaryIs));
        }
        if !choice.rivals.is_empty() && choice.rivals != self.choice.rivals {
            events.push(Event::Rivals(choice.rivals.clone()));
        }
        self.choice = choice;
    }

    /// A configured primary is the primary whatever it says; that it says otherwise is worth an alarm.
    fn look_for_writes(&mut self, id: ServerId, events: &mut Vec<Event>) {
        let Some(entry) = self.servers.iter().find(|s| s.id == id && s.plan.role == Planned::Primary) else { return };
        let read_only = Some(id).filter(|_| !entry.is_writable);
        if read_only != self.read_only {
            self.read_only = read_only;
            events.push(read_only.map_or(Event::PrimaryWritable(id), Event::PrimaryReadOnly));
        }
    }

    /// How many servers besides the primary take writes, and whether the primary refuses them.
    pub(super) fn alarms(&self) -> (usize, bool) {
        (self.choice.rivals.len(), self.read_only.is_some())
    }

    /// Judges the lag of a server that just told what it has executed.
    fn measure(&mut self, id: ServerId, now: Instant) {
        let is_primary = self.choice.primary == Some(id);
        let primary = self.servers.iter().find(|s| Some(s.id) == self.choice.primary);
        let seen_at = primary.and_then(|s| s.seen_at);
        let primary_is_seen = seen_at.is_some_and(|at| now.saturating_duration_since(at) <= self.sight);
        let Some(entry) = self.servers.iter_mut().find(|s| s.id == id) else { return };
        let evidence = Evidence {
            heartbeat: entry.heartbeat,
            applied: entry.gtids.applied.as_deref(),
            replication: &entry.replication,
            ran_at: entry.ran_at,
            primary_is_seen,
            max_lag: entry.plan.max_lag,
        };
        let none = (Lag::Behind(Duration::ZERO), Some(Duration::ZERO));
        let (lag, age) = if is_primary { none } else { evidence.lag(&self.history, now) };
        entry.lags(lag, age);
    }
}

impl Planned {
    /// Whether it matters how its replication is.
    pub(super) fn asks_replication(self) -> bool {
        self != Self::Primary
    }
}

/// Whether two views of one server say the same.
fn is_same(a: &ServerView, b: &ServerView) -> bool {
    let seen = |s: &ServerView| (s.id, s.role, s.is_rival, s.is_doubtful, s.lag, s.held_lag, s.rtt, s.family);
    let planned = |s: &ServerView| (s.local, s.weight, s.max_lag);
    let is_same_set = match (&a.executed, &b.executed) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
        (a, b) => a.is_none() && b.is_none(),
    };
    seen(a) == seen(b) && planned(a) == planned(b) && is_same_set && a.health == b.health
}

#[cfg(test)]
mod tests;
