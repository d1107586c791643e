//! Where a job runs: on the connection the session holds, or on one of the server it is routed to.

use super::binding::{Binding, PinReason, PinSet};
use super::commands::{ASKING, PINNED, asked_elsewhere};
use super::job::Job;
use super::outlast::Denied;
use super::session::Session;
use super::whom::Whom;
use crate::consistency::gtid::GtidSet;
use crate::pool::{CheckoutError, Disposition, Lease, Pool};
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use crate::route::{self, Need, NoRoute, Reader, Reason, Route, another_replica};
use crate::sql::{Traits, Why};
use crate::topology::{ServerView, Snapshot};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A lease for a job, and how it came about.
pub(super) struct Acquired {
    /// The lease.
    pub lease: Lease,
    /// What the session held of it already.
    pub held: Held,
    /// Why it is on that server.
    pub reason: Reason,
}

/// What the session held when a job began.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    /// Whether it held the connection the job runs on.
    pub connection: bool,
    /// Why, besides a transaction.
    pub pins: PinSet,
    /// Whether the job runs beside the session's transaction, on another connection.
    pub beside: bool,
    /// Why another connection was chosen, if one was.
    pub reason: Option<Reason>,
    /// The replicas that served reads when that was decided.
    pub epoch: u64,
}

/// How long clients wait for the first probes of the servers.
const FIRST_PROBES: Duration = Duration::from_secs(10);
/// How long a read may look for a server, while that the primary is gone has not been noticed.
pub(super) const PATIENCE: Duration = FIRST_PROBES;
/// A primary that cannot be reached, and is not known to be down, is tried again after this.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Session {
    /// The connection the session holds, or one from the pool of the server it is routed to.
    pub(super) async fn acquire(&mut self, job: &Job, whom: Whom) -> Result<Acquired, ServerError> {
        let mut beside = self.may_run_beside(job);
        if beside && matches!(self.binding, Binding::InTransaction(_)) {
            // Nearby or not at all: here there is a connection that can do it.
            match self.acquire_nearby(job, whom).await {
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
            let reason = if pins.is_empty() { Reason::InTransaction } else { Reason::Pinned };
            let held = Held { connection: true, pins, beside, ..Held::default() };
            return Ok(Acquired { lease, held, reason });
        }
        let need = self.need(job, beside);
        let acquired = self.acquire_for(job, need, whom).await?;
        Ok(Acquired { held: Held { beside, ..acquired.held }, ..acquired })
    }

    /// What matters of this session where a job may be read.
    fn reader(&mut self, job: &Job, snapshot: &Snapshot) -> Reader {
        let patience = Some(self.wait_budget());
        Reader { patience, ..self.sight.reader(&self.shared, job, snapshot) }
    }

    fn is_held_by_replica(&self) -> bool {
        self.binding.lease().is_some_and(|lease| !self.is_at_primary(lease))
    }

    /// A connection to a replica, beside the one that the session holds.
    async fn acquire_nearby(&mut self, job: &Job, whom: Whom) -> Option<Acquired> {
        let snapshot = self.shared.snapshot();
        let reader = self.reader(job, &snapshot);
        let route = route::decide(Need::Read, &reader, &snapshot).ok()?;
        let is_far = self.beside_a_successor(job, Need::Read, &snapshot) != Need::Read;
        if is_far || !whom.is_first() || snapshot.primary().is_some_and(|primary| primary.id == route.server) {
            return None;
        }
        let Ok(Ok(lease)) = self.lease_for(&route, job).await else { return None };
        Some(Acquired { lease, held: Held { beside: true, ..Held::default() }, reason: route.reason })
    }

    /// What `SET TRANSACTION` said of the next transaction concerns this job, which is one by itself:
    /// when its effect is over, only the connection it runs on will know.
    pub(super) fn with_next_transaction(&self, job: Job) -> Job {
        let concerned = self.next_transaction.is_some() && matches!(self.binding, Binding::Free);
        if !concerned || self.may_run_beside(&job) || job.only_prepares() {
            return job;
        }
        Job { need: PINNED, pins: Some(PinReason::SessionVariable), ..job }
    }

    /// Whether a job may run on another connection than the session's transaction, or before the
    /// session's transaction begins: it sees nothing of it and adds nothing to it.
    fn may_run_beside(&self, job: &Job) -> bool {
        match &self.binding {
            Binding::Begun(_) | Binding::InTransaction(_) => job.only_prepares(),
            Binding::Free => {
                self.autocommit_off()
                    && (job.only_prepares() || (job.need == Need::Read && job.traits.contains(Traits::TABLE_FREE)))
            }
            Binding::Pinned(..) => false,
        }
    }

    async fn acquire_for(&mut self, job: &Job, need: Need, whom: Whom) -> Result<Acquired, ServerError> {
        match self.acquire_now(job, need, whom).await {
            Ok(acquired) => Ok(acquired),
            Err(denied) => self.outlast(job, need, whom, denied).await,
        }
    }

    /// A connection for a job, unless none can be had now.
    pub(super) async fn acquire_now(&mut self, job: &Job, need: Need, whom: Whom) -> Result<Acquired, Denied> {
        let acquired = loop {
            match self.acquire_anyway(job, need, whom).await {
                Ok(acquired) => break acquired,
                // The configuration has changed, and what was chosen may have gone with the one before.
                Err(_) if self.keep_up() => {}
                Err(denied) => return Err(denied),
            }
        };
        if self.shared.gate.is_paused() {
            acquired.lease.give_back(Disposition::Clean);
            return Err(Denied::Paused);
        }
        Ok(acquired)
    }

    async fn acquire_anyway(&mut self, job: &Job, need: Need, whom: Whom) -> Result<Acquired, Denied> {
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
            let mut topology = self.shared.topology.clone();
            let (stop, leave) = (self.entry.handle().stop.clone(), self.entry.handle().leave.clone());
            let settled = topology.wait_for(|snapshot| decide(snapshot).is_ok() || !may_soon_be(snapshot));
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Denied::Refused(errno::shutting_down())),
                () = leave.cancelled() => return Err(Denied::Refused(self.why_to_leave())),
                // What it returns keeps the topology from being published: it must be gone before that is read again.
                waited = tokio::time::timeout(FIRST_PROBES, settled) => drop(waited),
            }
            // Whoever has waited long enough goes on with what there is.
            snapshot = self.shared.snapshot().resigned();
            decided = decide(&snapshot);
        }
        let route = decided.map_err(|e| no_route(&e))?;
        match self.lease_for(&route, job).await {
            Ok(Ok(lease)) => Ok(acquired(lease, route.reason, snapshot.epoch)),
            Ok(Err(seen)) => {
                // As others see it by now.
                let snapshot = self.shared.snapshot();
                let other = seen.and_then(|seen| another_replica(&reader, &snapshot, route.server, &seen));
                if let Some(other) = other
                    && let Ok(Ok(lease)) = self.lease_for(&other, job).await
                {
                    return Ok(acquired(lease, other.reason, snapshot.epoch));
                }
                self.lease_primary(job, Reason::ReplicaBehind).await
            }
            Err(_) if need == Need::Read && Some(route.server) != snapshot.primary().map(|p| p.id) => {
                self.lease_primary(job, Reason::NoReplica).await
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
        if !beside && (self.binding.is_begun() || self.autocommit_off()) {
            return Need::Primary(Reason::InTransaction);
        }
        if self.shared.settings().session_mode.is_for(&self.account.user) {
            return Need::Primary(Reason::SessionMode);
        }
        // Unqualified names in these schemas speak of the server itself.
        let about_server = self.state.schema().is_some_and(is_about_server);
        if job.need == Need::Read && about_server && !job.traits.contains(Traits::TABLE_FREE) {
            return Need::Primary(Reason::Statement(Why::ServerLocal));
        }
        job.need
    }

    /// A read was to go to the primary, which cannot be reached although nobody has noticed yet.
    async fn acquire_without_primary(&mut self, job: &Job, error: ServerError) -> Result<Acquired, Denied> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let snapshot = self.shared.snapshot();
            let reader = self.reader(job, &snapshot);
            let is_noticed = snapshot.primary().is_none_or(|primary| !primary.is_usable());
            // What somebody has seen is unseen only if the monitor, too, finds nobody to name it.
            let is_seen = reader.token.unnamed_since.is_some() || snapshot.floor.pending;
            if is_noticed || !(is_seen || self.shared.succession.is_lingering()) {
                let without = snapshot.without_primary(&error.message);
                if let Ok(route) = route::decide(Need::Read, &reader, &without)
                    && let Ok(Ok(lease)) = self.lease_for(&route, job).await
                {
                    return Ok(acquired(lease, route.reason, snapshot.epoch));
                }
            }
            // What a replica has not got, the primary has, if it is only away for a moment.
            if is_noticed || Instant::now() > give_up {
                return Err(Denied::ForNow(error));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            let snapshot = self.shared.snapshot();
            let need = self.beside_a_successor(job, Need::Read, &snapshot);
            if let Ok(route) = route::decide(need, &reader, &snapshot)
                && let Ok(Ok(lease)) = self.lease_for(&route, job).await
            {
                return Ok(acquired(lease, route.reason, snapshot.epoch));
            }
        }
    }

    /// Where another process serves new clients, only the primary has all that those wrote and saw.
    fn beside_a_successor(&self, job: &Job, need: Need, snapshot: &Snapshot) -> Need {
        let concerned = need == Need::Read && self.shared.succession.is_lingering();
        if !concerned || !self.sight.is_consistent() || job.traits.contains(Traits::TABLE_FREE) {
            return need;
        }
        // Without a primary nothing can be proven, and reads go on.
        let is_there = snapshot.primary().is_some_and(ServerView::is_usable);
        if is_there { Need::Primary(Reason::TakenOver) } else { need }
    }

    async fn lease_primary(&mut self, job: &Job, reason: Reason) -> Result<Acquired, Denied> {
        let snapshot = self.shared.snapshot();
        let route = route::to_primary(&snapshot, reason).map_err(|e| no_route(&e))?;
        match self.lease_for(&route, job).await? {
            Ok(lease) => Ok(acquired(lease, reason, snapshot.epoch)),
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
        pool.checkout(&self.state).await.map(Ok).map_err(|error| checkout_error(&pool, &error))
    }
}

/// Whether a schema holds tables about the server rather than data.
pub fn is_about_server(schema: &[u8]) -> bool {
    const SCHEMAS: [&[u8]; 4] = [b"information_schema", b"mysql", b"performance_schema", b"sys"];
    SCHEMAS.iter().any(|known| schema.eq_ignore_ascii_case(known))
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

fn acquired(lease: Lease, reason: Reason, epoch: u64) -> Acquired {
    Acquired { lease, held: Held { reason: Some(reason), epoch, ..Held::default() }, reason }
}
