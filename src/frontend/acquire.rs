//! Where a job runs: on the connection the session holds, or on one of the server it is routed to.

use super::binding::{Binding, Open, PinReason, PinSet};
use super::circumstances::Circumstances;
use super::commands::{PINNED, asked_elsewhere};
use super::handling::ASKING;
use super::job::Job;
use super::outlast::{Denied, Ended};
use super::session::Session;
use super::tenure::{Chosen, Tenure};
use super::whom::Whom;
use crate::consistency::gtid::GtidSet;
use crate::pool::{CheckoutError, Disposition, Lease, Pool};
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use crate::route::{self, Need, NoRoute, Reader, Reason, Route, another_replica};
use crate::sql::Traits;
use crate::topology::{ServerView, Snapshot};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A lease from a pool, and how its server was chosen.
pub(super) type Taken = (Lease, Chosen);

/// A lease for a job, and how it came about.
pub(super) struct Acquired {
    /// The lease.
    pub lease: Lease,
    /// How the job has it.
    pub tenure: Tenure,
}

/// How long clients wait for the first probes of the servers.
const FIRST_PROBES: Duration = Duration::from_secs(10);
/// How long a read may look for a server, while that the primary is gone has not been noticed.
pub(super) const PATIENCE: Duration = FIRST_PROBES;
/// So long a read may ask a replica again that is behind, once the primary is known to be gone.
const A_MOMENT_BEHIND: Duration = Duration::from_millis(500);
/// A primary that cannot be reached, and is not known to be down, is tried again after this: that it lets us in again is
/// not always a change that is told.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Session {
    /// The connection the session holds, or one from the pool of the server it is routed to.
    pub(super) async fn acquire(&mut self, job: &Job, whom: Whom) -> Result<Acquired, ServerError> {
        if let Some(acquired) = self.acquire_on_trial(job, whom).await? {
            return Ok(acquired);
        }
        let mut beside = self.may_run_beside(job);
        if beside && matches!(self.binding, Binding::InTransaction(_)) {
            // Nearby or not at all: here there is a connection that can do it.
            match self.acquire_nearby(job, whom).await? {
                Some(acquired) => return Ok(acquired),
                None => beside = false,
            }
        }
        if job.semicolons.may_separate() && job.need != Need::Read && self.is_held_by_replica() {
            // Of several statements, the one that asks is most often not the first.
            self.release_brief().await;
        }
        if !beside && let Some((lease, pins)) = self.still_held(job).await {
            if job.need != Need::Read && pins.is_brief() && !self.is_at_primary(&lease) {
                // It asks for what a read left on a replica, in order to write.
                self.binding = Binding::Pinned(lease, pins);
                return Err(asked_elsewhere());
            }
            let open = Open::on(lease.conn());
            return Ok(Acquired { lease, tenure: Tenure::Own { pins, open } });
        }
        let need = self.need(job, beside);
        let (lease, chosen) = self.acquire_for(job, need, whom).await?;
        let tenure = if beside { Tenure::Beside(chosen) } else { Tenure::Taken(chosen) };
        Ok(Acquired { lease, tenure })
    }

    /// What matters of this session where a job may be read.
    pub(super) fn reader(&mut self, job: &Job, snapshot: &Snapshot) -> Reader {
        let patience = Some(self.wait_budget(snapshot));
        // A moment ago is as good: doubts last a moment longer then.
        let now = self.began.take().unwrap_or_else(Instant::now);
        Reader { patience, ..self.sight.reader(&self.shared, (job, now), snapshot) }
    }

    fn is_held_by_replica(&self) -> bool {
        self.binding.lease().is_some_and(|lease| !self.is_at_primary(lease))
    }

    /// A connection to a replica, beside the one that the session holds.
    async fn acquire_nearby(&mut self, job: &Job, whom: Whom) -> Result<Option<Acquired>, ServerError> {
        let snapshot = self.shared.snapshot();
        let reader = self.reader(job, &snapshot);
        let Ok(route) = route::decide(Need::Read, &reader, &snapshot) else { return Ok(None) };
        let is_far = self.beside_a_successor(job, Need::Read, &snapshot) != Need::Read;
        if is_far || !whom.is_first() || snapshot.is_primary(route.server) {
            return Ok(None);
        }
        let lease = match self.lease_for(&route, job).await {
            Ok(Ok(lease)) => lease,
            Err(Denied::Over(error)) => return Err(error),
            Ok(Err(_)) | Err(_) => return Ok(None),
        };
        let (lease, chosen) = taken(lease, route.reason, &snapshot);
        Ok(Some(Acquired { lease, tenure: Tenure::Beside(chosen) }))
    }

    /// What `SET TRANSACTION` said of the next transaction concerns this job, which is one by itself:
    /// when its effect is over, only the connection it runs on will know.
    pub(super) fn heed_next_transaction(&self, job: &mut Job) {
        let concerned = self.next_transaction.is_some() && matches!(self.binding, Binding::Free);
        if concerned && !self.may_run_beside(job) && !job.only_prepares() {
            (job.need, job.pins) = (PINNED, Some(PinReason::SessionVariable));
        }
    }

    /// Whether a job may run on another connection than the session's transaction, or before the
    /// session's transaction begins: it sees nothing of it and adds nothing to it.
    pub(super) fn may_run_beside(&self, job: &Job) -> bool {
        match &self.binding {
            Binding::Begun(_) | Binding::Optimistic(..) | Binding::InTransaction(_) => job.only_prepares(),
            Binding::Free => {
                self.autocommit_off()
                    && (job.only_prepares() || (job.need == Need::Read && job.traits.contains(Traits::TABLE_FREE)))
            }
            Binding::Pinned(..) => false,
        }
    }

    /// A connection from a pool for a job, and how its server was chosen; if it must be, later.
    pub(super) async fn acquire_for(&mut self, job: &Job, need: Need, whom: Whom) -> Result<Taken, ServerError> {
        let taken = match self.acquire_now(job, need, whom).await {
            Ok(taken) => taken,
            Err(denied) => self.outlast(job, need, whom, denied).await?,
        };
        self.keep_defaults_for(job);
        Ok(taken)
    }

    /// A connection for a job, unless none can be had now.
    pub(super) async fn acquire_now(&mut self, job: &Job, need: Need, whom: Whom) -> Result<Taken, Denied> {
        let (lease, chosen) = loop {
            match self.acquire_anyway(job, need, whom).await {
                Ok(taken) => break taken,
                // The configuration has changed, and what was chosen may have gone with the one before.
                Err(_) if self.keep_up() => {}
                Err(denied) => return Err(denied),
            }
        };
        // Transactions may come to their end, at the primary if they have to go there.
        if self.shared.gate.is_paused() && !matches!(self.binding, Binding::Optimistic(..)) {
            lease.give_back(Disposition::Clean);
            return Err(Denied::Paused);
        }
        Ok((lease, chosen))
    }

    async fn acquire_anyway(&mut self, job: &Job, need: Need, whom: Whom) -> Result<Taken, Denied> {
        // What belongs at the primary for the session's sake, such as the first read of a transaction, waits for it.
        if whom == Whom::WithoutPrimary && need == Need::Read {
            let error = errno::unreachable("the primary", "each connection to it was lost");
            return self.acquire_without_primary(job, error).await;
        }
        let mut snapshot = self.shared.snapshot();
        if !job.shows_data() {
            snapshot = snapshot.resigned();
        }
        let need = self.beside_a_successor(job, need, &snapshot);
        let reader = self.reader(job, &snapshot);
        let decide = |snapshot: &Snapshot| match whom {
            Whom::Routed { .. } => route::decide(need, &reader, snapshot),
            Whom::PrimaryFirst => route::to_primary(snapshot, Reason::NoReplica)
                .or_else(|down| route::decide(need, &reader, snapshot).map_err(|_| down)),
            Whom::OnlyPrimary | Whom::WithoutPrimary => route::to_primary(snapshot, Reason::NoReplica),
        };
        let mut decided = decide(&snapshot);
        let may_soon_be = |snapshot: &Snapshot| match need {
            Need::Read => snapshot.may_soon_be_proven(),
            Need::Primary(_) => snapshot.is_unsettled(),
        };
        if decided.is_err() && may_soon_be(&snapshot) {
            // Clients may be earlier than the first probes, or in the middle of a change of roles.
            let settled = |snapshot: &Snapshot| decide(snapshot).is_ok() || !may_soon_be(snapshot);
            self.wait_until_seen(FIRST_PROBES, settled).await.map_err(Denied::Refused)?;
            // Whoever has waited long enough goes on with what there is.
            snapshot = self.shared.snapshot().resigned();
            decided = decide(&snapshot);
        }
        let route = decided.map_err(|e| no_route(&e))?;
        match self.lease_for(&route, job).await {
            Ok(Ok(lease)) => Ok(taken(lease, route.reason, &snapshot)),
            Ok(Err(seen)) => {
                // As others see it by now.
                let snapshot = self.shared.snapshot();
                let other = seen.and_then(|seen| another_replica(&reader, &snapshot, route.server, &seen));
                if let Some(other) = other
                    && let Ok(Ok(lease)) = self.lease_for(&other, job).await
                {
                    return Ok(taken(lease, other.reason, &snapshot));
                }
                self.fall_back_on_primary(job, Reason::ReplicaBehind).await
            }
            Err(Denied::Over(error)) => Err(Denied::Over(error)),
            Err(_) if need == Need::Read && !snapshot.is_primary(route.server) => {
                self.fall_back_on_primary(job, Reason::NoReplica).await
            }
            Err(Denied::ForNow(error)) if need == Need::Read && (whom.has_patience() || whom == Whom::PrimaryFirst) => {
                self.acquire_without_primary(job, error).await
            }
            Err(error) => Err(error),
        }
    }

    /// The connection the session holds. One held only in case the next statement asks about the
    /// last is given back when this one does not.
    async fn still_held(&mut self, job: &Job) -> Option<(Lease, PinSet)> {
        if !job.traits.intersects(ASKING) && !job.only_prepares() {
            self.release_brief().await;
        }
        self.binding.take_lease()
    }

    /// What a job needs, given the session's transaction.
    fn need(&self, job: &Job, beside: bool) -> Need {
        let circumstances = Circumstances {
            in_transaction: !beside && (self.binding.is_begun() || self.autocommit_off()),
            session_mode: self.settings().session_mode.is_for(&self.account.user),
            about_server: !self.is_about_data(job),
        };
        circumstances.need(job.need, job.traits)
    }

    /// For a read that no replica can answer now.
    async fn fall_back_on_primary(&mut self, job: &Job, reason: Reason) -> Result<Taken, Denied> {
        match self.lease_primary(job, reason).await {
            // Either of them may only be away, or behind, for a moment; and it may have been found to be gone just now.
            Err(Denied::ForNow(error)) => self.acquire_without_primary(job, error).await,
            other => other,
        }
    }

    /// A read was to go to the primary, which cannot be reached although nobody has noticed yet.
    async fn acquire_without_primary(&mut self, job: &Job, error: ServerError) -> Result<Taken, Denied> {
        let give_up = Instant::now() + PATIENCE;
        let mut behind_until = None;
        loop {
            let mut is_behind = false;
            let snapshot = self.shared.snapshot();
            let reader = self.reader(job, &snapshot);
            let is_noticed = snapshot.primary().is_none_or(|primary| !primary.is_usable());
            // What somebody has seen is unseen only if the monitor, too, finds nobody to name it.
            let is_seen = reader.token.unnamed_since.is_some() || snapshot.floor.pending;
            if is_noticed || !(is_seen || self.shared.succession.is_lingering()) {
                let without = snapshot.without_primary(&error.message);
                if let Ok(route) = route::decide(Need::Read, &reader, &without) {
                    match self.lease_for(&route, job).await {
                        Ok(Ok(lease)) => return Ok(taken(lease, route.reason, &snapshot)),
                        Ok(Err(_)) => is_behind = true,
                        Err(Denied::Over(error)) => return Err(Denied::Over(error)),
                        Err(_) => {}
                    }
                }
            }
            // What a replica has not got, the primary has, if it is only away for a moment; and the replica may be about
            // to have it.
            let is_open = snapshot.may_soon_be_proven();
            let until = if is_noticed && is_behind {
                *behind_until.get_or_insert_with(|| Instant::now() + A_MOMENT_BEHIND)
            } else {
                give_up
            };
            // In doubt it will soon be found to be gone, or there.
            let is_hopeless = is_noticed && !is_behind && !is_open;
            if is_hopeless || Instant::now() > until {
                return Err(Denied::ForNow(error));
            }
            if is_noticed {
                let changes = |snapshot: &Snapshot| {
                    snapshot.primary().is_some_and(ServerView::is_usable) || is_open != snapshot.may_soon_be_proven()
                };
                self.wait_until_seen(LOOK_AGAIN, changes).await.map_err(Denied::Refused)?;
            } else {
                self.wait_for_notice().await.map_err(Denied::Refused)?;
            }
            let snapshot = self.shared.snapshot();
            let need = self.beside_a_successor(job, Need::Read, &snapshot);
            if let Ok(route) = route::decide(need, &reader, &snapshot)
                && let Ok(Ok(lease)) = self.lease_for(&route, job).await
            {
                return Ok(taken(lease, route.reason, &snapshot));
            }
        }
    }

    /// Waits until the primary that could not be asked is known to be gone, or until it is time to try it again.
    pub(super) async fn wait_for_notice(&mut self) -> Result<(), ServerError> {
        let is_gone = |snapshot: &Snapshot| snapshot.primary().is_none_or(|primary| !primary.is_usable());
        self.wait_until_seen(LOOK_AGAIN, is_gone).await
    }

    /// Where another process serves new clients, only the primary has all that those wrote and saw.
    pub(super) fn beside_a_successor(&self, job: &Job, need: Need, snapshot: &Snapshot) -> Need {
        let concerned = need == Need::Read && self.shared.succession.is_lingering();
        if !concerned || !self.sight.is_consistent() || job.traits.contains(Traits::TABLE_FREE) {
            return need;
        }
        // Without a primary nothing can be proven, and reads go on.
        let is_there = snapshot.primary().is_some_and(ServerView::is_usable);
        if is_there { Need::Primary(Reason::TakenOver) } else { need }
    }

    async fn lease_primary(&mut self, job: &Job, reason: Reason) -> Result<Taken, Denied> {
        let snapshot = self.shared.snapshot();
        let route = route::to_primary(&snapshot, reason).map_err(|e| no_route(&e))?;
        match self.lease_for(&route, job).await? {
            Ok(lease) => Ok(taken(lease, reason, &snapshot)),
            Err(_) => Err(no_route(&NoRoute::NoPrimary)),
        }
    }

    /// A connection for a route. The inner error is of a replica that does not catch up in time: what it has
    /// executed instead, if it told.
    async fn lease_for(&mut self, route: &Route, job: &Job) -> Result<Result<Lease, Option<Arc<GtidSet>>>, Denied> {
        let Some(pool) = self.pools.get(usize::from(route.server.0)).cloned() else {
            return Err(no_route(&NoRoute::NoPrimary));
        };
        if let Some(gtids) = &route.wait_for
            && let Err(seen) = self.catch_up(&pool, route.server, job, gtids).await
        {
            return Ok(Err(seen));
        }
        match pool.checkout_idle(&self.state) {
            Some(lease) => Ok(Ok(lease)),
            None => self.wait_in_line(&pool).await.map(Ok),
        }
    }

    /// Waits for a connection. Nothing is sent for a client that has left meanwhile, or for a session that is to end.
    async fn wait_in_line(&mut self, pool: &Arc<Pool>) -> Result<Lease, Denied> {
        let state = self.state.clone();
        match self.hear_until(pool.checkout(&state)).await {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(error)) => Err(checkout_error(pool, &error)),
            Err(Ended::Told(error)) => Err(Denied::Over(error)),
            Err(Ended::Left(_) | Ended::TooLong) => Err(Denied::Over(errno::left_while_waiting())),
        }
    }
}

fn no_route(error: &NoRoute) -> Denied {
    Denied::ForNow(match error {
        NoRoute::Down { server, why } => errno::unreachable(server, why),
        NoRoute::NoPrimary => errno::unreachable("the primary", &error.to_string()),
    })
}

fn checkout_error(pool: &Pool, error: &CheckoutError) -> Denied {
    let server = &pool.server().name;
    match error {
        CheckoutError::Exhausted { waited, max } => Denied::Refused(errno::pool_exhausted(server, *waited, *max)),
        // What a server says of the account is for the client to see as it is.
        CheckoutError::Unreachable(dial) => match dial.server_error() {
            Some(error) if !errno::is_about_server(error) => Denied::Refused(error.clone()),
            _ => Denied::ForNow(errno::unreachable(server, &dial.to_string())),
        },
        CheckoutError::Slow(_) => Denied::ForNow(errno::unreachable(server, &error.to_string())),
        CheckoutError::Closed => Denied::Refused(errno::unreachable(server, &error.to_string())),
    }
}

fn taken(lease: Lease, reason: Reason, snapshot: &Snapshot) -> Taken {
    let at_primary = snapshot.is_primary(lease.pool().server().id);
    (lease, Chosen { reason, epoch: snapshot.epoch, at_primary })
}
