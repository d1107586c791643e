//! The spine: one command of a client, from its route to the end of its answer.

use super::acquire::{Acquired, PATIENCE};
use super::binding::{Binding, Open};
use super::confirm::in_schema;
use super::flight::{self, Failed};
use super::job::{Job, JobCommand};
use super::record::Record;
use super::ruled::{at_the_primary, wherever_it_can};
use super::session::{Gone, Session};
use super::settle::LAST_QUESTION;
use super::tenure::Tenure;
use super::watched::Went;
use super::whom::Whom;
use crate::metrics::Saved;
use crate::pool::{Disposition, Lease};
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use crate::route::{Need, Reason};
use crate::sql::Traits;
use crate::state::SessionState;
use crate::topology::{Health, ServerId};
use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many dead connections are taken out of a pool at most before a statement is sent again on the next one.
const MOST_FOUND_DEAD: u32 = 64;

/// For so long connections are looked at before they are used: one that is silent takes [`LAST_QUESTION`] of it.
const LONGEST_DOUBT: Duration = Duration::from_secs(10);

/// What has been tried for a job.
#[derive(Debug, Default)]
struct Tries {
    /// Whom to ask next.
    whom: Whom,
    /// Whether anything had to be waited for.
    has_waited: bool,
    /// Connections that turned out to be dead before anything was sent on them.
    found_dead: u32,
    /// Since when connections have been looked at before they are used.
    in_doubt_since: Option<Instant>,
    primary_lost_since: Option<Instant>,
    /// A replica's refusal to prepare, until the primary has been asked.
    refusal: Option<ServerError>,
    /// The job's transaction, which has lost its connection and is to be run again.
    record: Option<Box<Record>>,
}

impl Tries {
    /// Whether a connection must show that it lives before it is used: where one was lost, the others of its pool most
    /// often were at the same moment.
    fn doubt(&mut self, tenure: &Tenure) -> bool {
        let is_again = !self.whom.is_first() || matches!(tenure, Tenure::Again { .. });
        is_again
            && !tenure.was_held()
            && self.found_dead < MOST_FOUND_DEAD
            && self.in_doubt_since.get_or_insert_with(Instant::now).elapsed() < LONGEST_DOUBT
    }

    /// Whether there is time for another one.
    fn have_patience(&self) -> bool {
        self.whom.has_patience() || self.primary_lost_since.is_some_and(|at| at.elapsed() < PATIENCE)
    }
}

impl Session {
    /// Runs a job and answers the client.
    pub(super) async fn execute(&mut self, mut job: Job) -> Result<(), Gone> {
        job.stay_if_identified();
        self.heed_next_transaction(&mut job);
        let mut homeless = None;
        let watch = self.watch(&job);
        let done = self.attempt(&job, &mut homeless, watch.began).await;
        self.watched(watch, &job);
        if let Some(before) = homeless
            && self.state.schema().is_none()
        {
            self.state = in_schema(&self.state, before.schema());
        }
        done
    }

    /// Runs a job that began at a moment where it belongs, or where it can be run instead. `homeless`: its state
    /// before, where it runs in no schema, because the session's own is gone.
    async fn attempt(
        &mut self,
        job: &Job,
        homeless: &mut Option<Arc<SessionState>>,
        began: Instant,
    ) -> Result<(), Gone> {
        if matches!(self.binding, Binding::Free) {
            // Whatever came before has ended, or never began.
            self.sight.ends();
        }
        let _changing = self.keep_definitions(job);
        self.sight.begins(&self.shared, job);
        let mut job = Cow::Borrowed(job);
        let mut tries = Tries::default();
        loop {
            let record = tries.record.take();
            let acquiring = async {
                match record {
                    Some(record) => self.acquire_again(&job, record).await,
                    None => self.acquire(&job, tries.whom).await,
                }
            };
            let (acquired, has_waited) = with_waits(pin!(acquiring)).await;
            tries.has_waited |= has_waited;
            let Acquired { mut lease, tenure } = match acquired {
                Ok(acquired) => acquired,
                Err(_) if job.need == Need::Primary(Reason::OnEmpty) => {
                    job = Cow::Owned(wherever_it_can(job.into_owned()));
                    continue;
                }
                Err(error) => return self.refuse(&tries.refusal.unwrap_or(error)).await,
            };
            let keep = self.keep_record(&job, &tenure);
            if let Some(error) = self.deposed(&lease, &tenure, &job) {
                drop(lease);
                if self.may_run_again(&job, &tenure, keep, false) {
                    tries.record = self.lose_but_remember();
                    continue;
                }
                return self.leave_deposed(&tenure, &error).await;
            }
            if tries.doubt(&tenure) {
                tries.has_waited = true;
                if !still_answers(&mut lease).await {
                    tries.found_dead += 1;
                    tries.record = self.put_back(lease, tenure);
                    continue;
                }
            }
            if self.is_outdated(&lease, &tenure) {
                tries.record = self.put_back(lease, tenure);
                continue;
            }
            // Who has waited for nothing had its connection as it began: one look at the clock is enough.
            let at = if std::mem::replace(&mut tries.has_waited, true) { Instant::now() } else { began };
            self.count(&job, &lease, &tenure, at);
            match flight::exchange(self, &mut lease, &job, &tenure).await {
                Ok(summary) if !summary.untold => return self.settle(lease, (tenure, keep), &job, summary).await,
                Ok(summary) => {
                    if summary.error.is_none() && job.wishes.on_empty {
                        job = Cow::Owned(at_the_primary(&job));
                    } else {
                        // The replica may only be late: what is an error is for the primary to say.
                        tries.refusal = summary.error.map(|error| *error).filter(|_| tenure.on_trial().is_none());
                        tries.whom = Whom::OnlyPrimary;
                    }
                    self.let_others_try(lease, tenure);
                }
                Err(Failed::Lost { sent, .. }) if self.may_run_again(&job, &tenure, keep, sent) => {
                    drop(lease);
                    self.shared.metrics.lost.inc();
                    tries.record = self.lose_but_remember();
                }
                Err(Failed::Lost { sent, .. }) if self.may_try_again(&tries, &job, &tenure, sent) => {
                    if let Err(error) = self.try_again(&mut tries, &job, lease, tenure).await {
                        return self.refuse(&error).await;
                    }
                }
                Err(Failed::Refused(error)) if homeless.is_none() && has_no_home(&job, &tenure, &error) => {
                    drop(lease);
                    self.shared.proven.forget();
                    // A replica may not have it yet. On the primary somebody dropped it, or took it from this user:
                    // who is in it can go on, as on a direct connection, with what needs no schema.
                    if tries.whom == Whom::OnlyPrimary || job.need != Need::Read {
                        let homeless_state = in_schema(&self.state, None);
                        *homeless = Some(std::mem::replace(&mut self.state, homeless_state));
                    }
                    tries.whom = Whom::OnlyPrimary;
                }
                Err(failed) => return self.fail(lease, tenure, &job, failed).await,
            }
        }
    }

    /// A connection is not used, and nothing was sent on it: a transaction that was to go there is where it was. The one
    /// to be run again, if that is what it was for.
    fn put_back(&mut self, lease: Lease, tenure: Tenure) -> Option<Box<Record>> {
        if let Tenure::Again { record, .. } = tenure {
            self.binding = Binding::Free;
            return Some(record);
        }
        self.back_on_trial(lease, tenure);
        None
    }

    /// A server answered that it is not for it to answer.
    fn let_others_try(&mut self, lease: Lease, tenure: Tenure) {
        match tenure {
            Tenure::OnTrial { .. } => self.back_on_trial(lease, tenure),
            _ => lease.give_back(Disposition::Clean),
        }
    }

    /// Whether a job may be tried again whose connection was lost.
    fn may_try_again(&self, tries: &Tries, job: &Job, tenure: &Tenure, sent: bool) -> bool {
        if self.client.answered {
            return false;
        }
        let is_alone = !tenure.has_own();
        let may_be_repeated = is_alone && tries.have_patience() && (!sent || job.is_repeatable());
        tenure.on_trial().is_some() || may_be_repeated
    }

    /// Prepares for another try.
    ///
    /// # Errors
    /// Nobody is left to be asked.
    async fn try_again(
        &mut self,
        tries: &mut Tries,
        job: &Job,
        lease: Lease,
        tenure: Tenure,
    ) -> Result<(), ServerError> {
        self.shared.metrics.retried_reads.inc();
        if tenure.on_trial().is_some() || matches!(tenure, Tenure::Moving { .. }) {
            // What was read on the replica can be read again at the primary.
            self.back_on_trial(lease, tenure);
            tries.whom = Whom::OnlyPrimary;
            return Ok(());
        }
        tries.whom = tries.whom.after_loss(job.need == Need::Read && self.is_at_primary(&lease));
        drop(lease);
        if tries.whom == Whom::WithoutPrimary {
            // It may even let us in, such as one that is stopping.
            tries.primary_lost_since.get_or_insert_with(Instant::now);
            self.wait_for_notice().await?;
        }
        Ok(())
    }

    /// Why a job must not run on the connection that the session holds: it led to the primary, and another server is
    /// that now. What would be written, or committed, would be so where nobody looks any more; what would be read there,
    /// but for what a transaction sees, may be older than what has been written since.
    fn deposed(&self, lease: &Lease, tenure: &Tenure, job: &Job) -> Option<ServerError> {
        let server = lease.pool().server();
        let shows_no_news = tenure.open() != Open::No || job.traits.contains(Traits::TABLE_FREE);
        let only_looks = job.only_prepares() || (job.need == Need::Read && shows_no_news);
        if !tenure.was_held() || self.anchor != Some(server.id) || only_looks {
            return None;
        }
        self.successor_of(server.id).map(|primary| errno::deposed(&server.name, &primary))
    }

    /// Whether another server has become the primary while a job waited for its connection to the one that was.
    fn is_outdated(&self, lease: &Lease, tenure: &Tenure) -> bool {
        let was_primary = !tenure.was_held() && tenure.chosen().is_some_and(|chosen| chosen.at_primary);
        was_primary && self.successor_of(lease.pool().server().id).is_some()
    }

    /// Who is the primary in the place of a server that was.
    fn successor_of(&self, server: ServerId) -> Option<Arc<str>> {
        let snapshot = self.shared.snapshot();
        if snapshot.server(server).is_none_or(|seen| seen.health == Health::Retired) {
            // The file has another way to it, or another primary: whoever changed it lets transactions come to an end.
            return None;
        }
        snapshot.primary().filter(|primary| primary.id != server).map(|primary| primary.name.clone())
    }

    fn count(&mut self, job: &Job, lease: &Lease, tenure: &Tenure, at: Instant) {
        let reason = tenure.reason();
        let at_primary = tenure.chosen().map_or_else(|| self.is_at_primary(lease), |chosen| chosen.at_primary);
        self.went = Some(Went { server: lease.pool().server().id, at_primary, reason, at, ended: None, answer: None });
        let metrics = &self.shared.metrics;
        metrics.statements.count(at_primary, reason);
        if job.need == Need::Read && reason.avoids_stale_read() {
            metrics.stale_reads_avoided.inc();
        }
        match (&job.command, at_primary) {
            (JobCommand::Prepare(..), false) => metrics.saved(Saved::Prepare),
            (_, false) => metrics.saved(Saved::Read),
            (_, true) => {}
        }
    }
}

/// Whether a job could run if the session were in no schema, and was refused because of the one that it is in.
fn has_no_home(job: &Job, tenure: &Tenure, error: &ServerError) -> bool {
    [errno::UNKNOWN_SCHEMA, errno::SCHEMA_DENIED].contains(&error.code)
        && !tenure.was_held()
        && tenure.journal().is_none()
        && job.needs_no_schema()
}

/// What comes of it, and whether something had to be waited for.
async fn with_waits<T>(mut awaited: Pin<&mut impl Future<Output = T>>) -> (T, bool) {
    let mut has_waited = false;
    let came = poll_fn(|cx| {
        let polled = awaited.as_mut().poll(cx);
        has_waited |= polled.is_pending();
        polled
    });
    (came.await, has_waited)
}

/// Whether an idle connection still answers.
async fn still_answers(lease: &mut Lease) -> bool {
    let Some(conn) = lease.take() else { return false };
    let Ok(Ok(conn)) = tokio::time::timeout(LAST_QUESTION, conn.ping()).await else { return false };
    lease.put(conn);
    true
}
