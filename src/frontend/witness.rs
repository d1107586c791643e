//! What an exchange wrote and saw: who learns of it, and who is asked what it was.

use super::binding::{Open, PINNING};
use super::handling::ASKING;
use super::job::{Job, JobCommand};
use super::naming::Unnamed;
use super::session::Session;
use super::settle::{LAST_QUESTION, is_opaque};
use super::shared::Shared;
use super::summary::Summary;
use super::tenure::Tenure;
use crate::backend::executed::{executed, executed_sql};
use crate::consistency::gtid::GtidSet;
use crate::consistency::token::{Changed, Noted};
use crate::consistency::touched::Touch;
use crate::pool::{Disposition, Lease};
use crate::route::{Need, Reason};
use crate::sql::{Traits, Why};
use crate::topology::{Health, ServerId, Snapshot};
use std::io;
use std::time::Instant;

/// A server as it is seen behind an exchange.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a server")]
struct Seen {
    is_primary: bool,
    is_retired: bool,
    /// Whether it tells which transactions it has executed.
    names_gtids: bool,
    /// Whether any server but the primary may ever serve reads.
    has_replicas: bool,
    /// The replicas that serve reads.
    epoch: u64,
}

impl Seen {
    fn of(snapshot: &Snapshot, id: ServerId) -> Self {
        let server = snapshot.server(id);
        Self {
            is_primary: snapshot.is_primary(id),
            is_retired: server.is_some_and(|server| server.health == Health::Retired),
            names_gtids: server.is_some_and(|server| server.executed.is_some()),
            has_replicas: snapshot.has_replicas(),
            epoch: snapshot.epoch,
        }
    }
}

impl Session {
    /// What was written or seen raises the tokens of the session's scopes. `named`: what the server had executed
    /// behind the job, if it was asked, and since when.
    pub(super) fn remember_writes(
        &mut self,
        server: ServerId,
        job: &Job,
        tenure: &Tenure,
        summary: &Summary,
        named: Option<&(Instant, GtidSet)>,
    ) {
        let Seen { is_primary, is_retired, names_gtids, has_replicas, epoch: epoch_now } =
            Seen::of(&self.shared.topology.borrow(), server);
        if let Some((asked, gtids)) = named {
            if is_primary {
                self.sight.named(&self.shared, *asked, gtids);
            } else {
                // A replica has not got all that somebody else may have seen at the primary.
                self.note(&Noted::Gtids(gtids.clone()), Changed::Data);
            }
        }
        if named.is_none() && job.shows_data() && is_retired {
            // It may have been the primary, and nobody will ask it any more.
            self.sight.observes(server);
        }
        let (reason, epoch) = tenure.chosen().map(|chosen| (chosen.reason, chosen.epoch)).unzip();
        let lingers = self.shared.succession.is_lingering();
        let somebody_reads_elsewhere = has_replicas || lingers;
        if named.is_none() && job.shows_data() && is_primary && names_gtids && somebody_reads_elsewhere {
            if reason == Some(Reason::PrimaryIsNearer) {
                // The next read comes here as well. Should it not, the monitor will have asked by then.
                self.sight.note(&self.shared, &Noted::Unnamed, Changed::Data);
            } else {
                self.sight.observes(server);
            }
        }
        if job.shows_data() && !is_primary && epoch.is_some() {
            self.sight.read_from(server);
            let is_other = reason == Some(Reason::OtherReplica);
            if lingers || named.is_none() && (is_other || Some(epoch_now) != epoch) {
                // Others serve reads, now or at all, who may not have what was just seen.
                self.sight.observes(server);
            }
        }
        if let Some(gtids) = &summary.gtids {
            self.note(&Noted::Gtids((**gtids).clone()), job.changes());
        }
        let writes = !job.need.is_read() && !matches!(job.command, JobCommand::Prepare(..));
        // An error names no transactions, but what ran before it may have committed some.
        // A statement that fails has committed what went before it all the same, if it does so at all.
        let commits = job.ends.is_some() || job.traits.contains(Traits::IMPLICIT_COMMIT);
        let partly = summary.error.is_some() && (is_opaque(job) || commits);
        // It may have switched off the report.
        let silent = self.reports.any() && summary.gtids.is_none();
        match (writes, names_gtids) {
            (true, true) if partly || silent => self.note(&Noted::Uncertain, job.changes()),
            (true, false) if partly || summary.is_ok() => self.note(&Noted::Untold, job.changes()),
            _ => {}
        }
        if is_opaque(job) && is_primary && job.shows_data() && summary.gtids.is_some() {
            // What other statements of it have seen, no GTID of its own names.
            self.sight.observes(server);
        }
        if self.is_open(job, summary) == Open::No {
            self.sight.doubt(&self.shared);
        }
    }

    fn note(&mut self, noted: &Noted, changed: Changed) {
        self.sight.note(&self.shared, noted, changed);
        self.shared.news.send_replace(());
    }

    /// Waits until the process that has taken over, if there is one, knows what was noted: before the client has
    /// its answer.
    ///
    /// # Errors
    /// Nobody can be told: the answer must not be given.
    pub(super) async fn tell_successor(&mut self) -> io::Result<()> {
        if !self.sight.take_untold() || self.shared.succession.told().await {
            return Ok(());
        }
        Err(io::Error::other("the process that took over cannot be told what was written"))
    }

    /// Whether what the server has executed must be asked behind this job: a client that has seen it must not
    /// unsee it on a replica.
    pub(super) fn must_ask_executed(&self, job: &Job, tenure: &Tenure, acquired_on: ServerId) -> bool {
        let reason = tenure.chosen().map(|chosen| chosen.reason);
        let of_interest = {
            let snapshot = self.shared.topology.borrow();
            if snapshot.is_primary(acquired_on) {
                // Also where nobody reads from replicas now: should the primary go, they are what is left.
                let others_may_read_elsewhere = snapshot.has_replicas() || self.shared.succession.is_lingering();
                snapshot.report.is_some() && others_may_read_elsewhere && reason != Some(Reason::PrimaryIsNearer)
            } else {
                reason == Some(Reason::OtherReplica)
            }
        };
        if !of_interest || !self.sight.is_consistent() || !job.shows_data() || tenure.is_beside() {
            return false;
        }
        // What is asked behind these would change what they left.
        let fragile = PINNING | ASKING | Traits::CALC_FOUND_ROWS | Traits::SKIPS_ROWS | Traits::ASKS_FOR_FILE;
        if job.traits.intersects(fragile) || job.pins.is_some() || tenure.pins().next().is_some() {
            return false;
        }
        let local = Need::Primary(Reason::Statement(Why::ServerLocal));
        let locking = Need::Primary(Reason::Statement(Why::LockingRead));
        let only_looks = job.need.is_read() || job.need == local || job.need == locking;
        let alone = !self.binding.is_begun() && !self.autocommit_off() && !tenure.was_held();
        let ends = job.ends.is_some_and(|end| end.chain != Some(true) && end.release != Some(true));
        // What rows were written without a look at others is named by the answer.
        let names_itself = matches!(job.touch, Touch::Commits) && self.sight.wrote_only_to_tables(&self.shared);
        (only_looks && alone) || (ends && tenure.was_held() && !names_itself)
    }

    /// Gives a connection back, once it has told what was seen on it, if nobody knows that yet.
    pub(super) fn give_back(&mut self, mut lease: Lease, disposition: Disposition) {
        let unnamed = self.sight.take_unnamed(lease.pool().server().id);
        let shared = self.shared.clone();
        match unnamed.filter(|_| shared.snapshot().has_replicas()) {
            Some(unnamed) => drop(tokio::spawn(async move {
                name([unnamed], &mut lease, &shared).await;
                lease.give_back(disposition);
            })),
            None => lease.give_back(disposition),
        }
    }

    /// Asks on another connection what was seen on the one that the session keeps: on one for all who want to know of
    /// this server.
    pub(super) fn name_elsewhere(&mut self, server: ServerId) {
        let Some(unnamed) = self.sight.take_unnamed(server) else { return };
        let Some(pool) = self.pools.get(usize::from(server.0)).cloned() else { return };
        if !self.shared.naming.add(unnamed) {
            return;
        }
        let (shared, state) = (self.shared.clone(), self.state.clone());
        tokio::spawn(async move {
            while let Some(unnamed) = shared.naming.take(server) {
                // Where nobody can be asked, the monitor's next report ends the doubt.
                let Ok(mut lease) = pool.checkout(&state).await else { continue };
                name(unnamed, &mut lease, &shared).await;
                lease.give_back(Disposition::Clean);
            }
        });
    }
}

/// Has the server of a leased connection name what was seen there.
pub(super) async fn name(unnamed: impl IntoIterator<Item = Unnamed>, lease: &mut Lease, shared: &Shared) {
    let Some(gtids) = ask_executed(lease).await else { return };
    let snapshot = shared.snapshot();
    for unnamed in unnamed {
        unnamed.named(&gtids, &snapshot);
    }
}

/// What the server of a leased connection has executed.
pub(super) async fn ask_executed(lease: &mut Lease) -> Option<GtidSet> {
    let conn = lease.take()?;
    let family = conn.family();
    let asked = tokio::time::timeout(LAST_QUESTION, conn.query(executed_sql(family))).await;
    let (conn, reply) = asked.ok()?.ok()?;
    lease.put(conn);
    executed(family, &reply)
}
