//! Whether a replica shows a transaction what its reads must see.

use super::fate::Fate;
use crate::consistency::scopes::Key;
use crate::consistency::touched::Touch;
use crate::frontend::handling::ASKING;
use crate::frontend::job::Job;
use crate::frontend::session::Session;
use crate::route::{self, Need};
use crate::sql::Traits;
use crate::topology::ServerId;
use std::borrow::Cow;
use std::time::Duration;

/// What a statement asks for of the state that it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AskedFor {
    key: Option<Key>,
    max_lag: Option<Duration>,
}

/// What a transaction sees so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Whether all its reads see the same.
    pub(super) is_repeatable: bool,
    /// Whether what that is may be fixed already.
    pub(super) is_fixed: bool,
    /// What its first look at data asked for, if there was one.
    pub(super) asked_for: Option<AskedFor>,
}

/// Whether a job on a replica may show what is in tables or how they are made, and so fix what its transaction sees.
pub(super) fn looks(job: &Job, fate: Fate) -> bool {
    match fate {
        Fate::Reads => true,
        Fate::Passes => !job.traits.intersects(Traits::TABLE_FREE | ASKING),
        Fate::Savepoint | Fate::Moves => false,
    }
}

impl Session {
    /// Whether a job that stays in a transaction on this replica sees there what it must.
    pub(super) async fn sees_there(&mut self, job: &Job, fate: Fate, server: ServerId, seen: Seen) -> bool {
        if !looks(job, fate) {
            return true;
        }
        // The state that all see was chosen for what was asked for then.
        if seen.is_repeatable && seen.asked_for.is_some_and(|before| before != self.asks_for(job)) {
            return false;
        }
        if seen.is_repeatable && seen.is_fixed {
            return true;
        }
        let for_all = self.for_all_reads(job, seen.is_repeatable);
        self.is_fresh(&for_all, server).await
    }

    pub(super) fn asks_for(&self, job: &Job) -> AskedFor {
        AskedFor { key: self.sight.key(job), max_lag: job.wishes.max_lag }
    }

    /// A job as it is to be routed: where all reads of a transaction see the same, its first one must find there what
    /// any other may have to see, whatever tables that reads.
    pub(super) fn for_all_reads<'j>(&self, job: &'j Job, is_repeatable: bool) -> Cow<'j, Job> {
        if is_repeatable && self.shared.definitions.tell_apart && matches!(job.touch, Touch::Reads(_)) {
            return Cow::Owned(Job { touch: Touch::Anything, ..job.clone() });
        }
        Cow::Borrowed(job)
    }

    /// Whether the replica has by now what a read must see.
    async fn is_fresh(&mut self, job: &Job, server: ServerId) -> bool {
        let snapshot = self.shared.snapshot();
        if self.beside_a_successor(job, Need::Read, &snapshot) != Need::Read {
            return false;
        }
        let reader = self.reader(job, &snapshot);
        let Ok(route) = route::decide(Need::Read, &reader, &snapshot) else { return false };
        let Some(pool) = self.pools.get(usize::from(server.0)).cloned().filter(|_| route.server == server) else {
            return false;
        };
        match &route.wait_for {
            Some(gtids) => self.catch_up(&pool, server, job, gtids).await.is_ok(),
            None => true,
        }
    }
}
