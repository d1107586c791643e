//! What is known of one server.

use super::Event;
use crate::consistency::gtid::Family;
use crate::monitor::ServerPlan;
use crate::monitor::health::Opinion;
use crate::monitor::report::{Gtids, Replication, Report, Threads};
use crate::monitor::roles::Claim;
use crate::monitor::rtt::RoundTrips;
use crate::topology::{Health, Lag, Role, ServerId, ServerView};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Since when a server belongs to the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// From the start.
    Original,
    /// It was added while others served: it takes no reads before it has been asked how late it is.
    Added,
    /// Not any more.
    Retired,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: ServerId,
    pub(super) name: Arc<str>,
    pub(super) plan: ServerPlan,
    pub(super) place: Place,
    pub(super) opinion: Opinion,
    pub(super) round_trips: RoundTrips,
    /// When a full probe last succeeded.
    pub(super) seen_at: Option<Instant>,
    pub(super) family: Option<Family>,
    pub(super) is_writable: bool,
    pub(super) gtids: Gtids,
    pub(super) replication: Replication,
    /// Whether it may ask for replication, as far as people were told.
    pub(super) told_hidden: bool,
    pub(super) told_stopped: bool,
    /// How far it was behind by its heartbeat, when it was last asked for everything.
    pub(super) heartbeat: Option<Duration>,
    /// When its replication was last seen running.
    pub(super) ran_at: Option<Instant>,
    /// As measured.
    pub(super) lag: Lag,
    /// As limits are held against it: rises at once, and falls in steps.
    pub(super) held_lag: Option<Duration>,
}

impl Entry {
    pub(super) fn new(id: ServerId, name: Arc<str>, plan: ServerPlan, place: Place) -> Self {
        Self {
            id,
            name,
            plan,
            place,
            opinion: Opinion::new(),
            round_trips: RoundTrips::default(),
            seen_at: None,
            family: None,
            is_writable: false,
            gtids: Gtids::default(),
            replication: Replication::Hidden,
            told_hidden: false,
            told_stopped: false,
            heartbeat: None,
            ran_at: None,
            lag: Lag::Unknown,
            held_lag: None,
        }
    }

    /// Changes the opinion and tells if it became another one.
    pub(super) fn judge(&mut self, change: impl FnOnce(&mut Opinion)) -> Vec<Event> {
        let was_up = (self.opinion.health() != &Health::Unknown).then(|| self.opinion.health() == &Health::Up);
        change(&mut self.opinion);
        match self.opinion.health() {
            Health::Up if was_up != Some(true) => vec![Event::Up(self.id)],
            Health::Down(why) if was_up != Some(false) => vec![Event::Down(self.id, why.clone())],
            _ => Vec::new(),
        }
    }

    pub(super) fn learn(&mut self, report: Report, now: Instant, events: &mut Vec<Event>) {
        let Report { family, variables, replication, heartbeat: _ } = report;
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
            Replication::Silent => self.told_stopped,
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

    pub(super) fn claim(&self) -> Claim {
        Claim {
            id: self.id,
            planned: self.plan.role,
            health: self.opinion.health().clone(),
            answers_now: self.opinion.answers_now(),
            is_writable: self.is_writable,
            follows: match &self.replication {
                Replication::Hidden => None,
                Replication::Absent => Some(false),
                Replication::Silent => Some(true),
                Replication::Configured(channels) => Some(channels.is_alive),
            },
        }
    }

    pub(super) fn view(&self, role: Role) -> ServerView {
        ServerView {
            id: self.id,
            name: self.name.clone(),
            local: self.plan.local,
            role,
            health: if self.is_retired() { Health::Retired } else { self.opinion.health().clone() },
            lag: self.lag,
            held_lag: self.held_lag,
            max_lag: self.plan.max_lag,
            weight: if self.takes_reads() { self.plan.weight } else { 0 },
            is_rival: role == Role::Replica && self.claim().claims_writes(),
            is_doubtful: false,
            rtt: self.round_trips.steady(),
            family: self.family,
            executed: match role {
                Role::Primary => self.gtids.committed.clone(),
                Role::Replica => self.gtids.applied.clone(),
            },
        }
    }

    /// Whether the configuration has it no more.
    pub(super) fn is_retired(&self) -> bool {
        self.place == Place::Retired
    }

    fn takes_reads(&self) -> bool {
        match self.place {
            Place::Original => true,
            Place::Added => *self.opinion.health() != Health::Unknown,
            Place::Retired => false,
        }
    }

    /// It is this far behind now, and what it has is so old.
    pub(super) fn lags(&mut self, lag: Lag, age: Option<Duration>) {
        self.lag = lag;
        self.held_lag = match (self.held_lag, age) {
            // Whoever was too late must have caught up well before it counts as on time again.
            (Some(held), Some(age)) if age < held && age > held * 4 / 5 => Some(held),
            _ => age,
        };
    }
}
