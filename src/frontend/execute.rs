//! The spine: one command of a client, from its route to the end of its answer.

use super::acquire::{Acquired, Held, LOOK_AGAIN, PATIENCE};
use super::binding::{Binding, PinReason};
use super::confirm::in_schema;
use super::flight::{self, Failed};
use super::job::{Job, JobCommand};
use super::ruled::{at_the_primary, wherever_it_can};
use super::session::{Gone, Session};
use super::settle::LAST_QUESTION;
use super::summary::Summary;
use super::watched::Went;
use super::whom::Whom;
use crate::consistency::token::Noted;
use crate::metrics::Saved;
use crate::pool::{Disposition, Lease};
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use crate::route::{Need, Reason};
use crate::sql::Traits;
use crate::topology::Health;
use std::borrow::Cow;
use std::io;
use std::time::Instant;

/// So many dead connections are taken out of a pool at most before a statement is sent again on the next one.
const MOST_FOUND_DEAD: u32 = 64;

impl Session {
    /// Runs a job and answers the client.
    pub(super) async fn execute(&mut self, job: Job) -> Result<(), Gone> {
        let job = self.with_next_transaction(job.staying_if_identified());
        let before = self.state.clone();
        let mut homeless = false;
        let watch = self.watch(&job);
        let done = self.attempt(&job, &mut homeless).await;
        self.watched(watch, &job);
        if homeless && self.state.schema().is_none() {
            self.state = in_schema(&self.state, before.schema());
        }
        done
    }

    /// Runs a job where it belongs, or where it can be run instead. `homeless`: in no schema, because the
    /// session's own is gone.
    async fn attempt(&mut self, job: &Job, homeless: &mut bool) -> Result<(), Gone> {
        if matches!(self.binding, Binding::Free) {
            // Whatever came before has ended, or never began.
            self.sight.ends();
        }
        let _changing = self.keep_definitions(job);
        self.sight.begins(&self.shared, job);
        let mut job = Cow::Borrowed(job);
        let (mut whom, mut found_dead) = (Whom::FIRST, 0);
        let mut primary_lost_since: Option<Instant> = None;
        // A replica's refusal to prepare, until the primary has been asked.
        let mut refusal = None;
        loop {
            let Acquired { mut lease, held, reason } = match self.acquire(&job, whom).await {
                Ok(acquired) => acquired,
                Err(_) if job.need == Need::Primary(Reason::OnEmpty) => {
                    job = Cow::Owned(wherever_it_can(job.into_owned()));
                    continue;
                }
                Err(error) => return self.refuse(&refusal.unwrap_or(error)).await,
            };
            if held.connection
                && let Some(error) = self.deposed(&lease, &job)
            {
                drop(lease);
                return self.leave_deposed(&held, &error).await;
            }
            if !whom.is_first() && !held.connection && found_dead < MOST_FOUND_DEAD && !still_answers(&mut lease).await
            {
                found_dead += 1;
                continue;
            }
            self.count(&job, &lease, reason);
            match flight::exchange(self, &mut lease, &job, &held).await {
                Ok(Summary { untold: true, error: None, .. }) if job.wishes.on_empty => {
                    lease.give_back(Disposition::Clean);
                    job = Cow::Owned(at_the_primary(&job));
                }
                Ok(Summary { untold: true, error, .. }) => {
                    lease.give_back(Disposition::Clean);
                    refusal = error;
                    whom = Whom::OnlyPrimary;
                }
                Ok(summary) => return self.settle(lease, held, &job, summary).await,
                Err(Failed::ClientLeft(error, thread_id)) => {
                    self.is_uncertain(&job);
                    return Err(self.abandon(lease, thread_id, &error));
                }
                Err(Failed::Stopped(thread_id)) => {
                    self.is_uncertain(&job);
                    lease.kill(thread_id);
                    return Err(Gone::Left("it was told to go while a statement ran".into()));
                }
                Err(Failed::Lost { sent, .. })
                    if !held.connection
                        && !self.client.answered
                        && (whom.has_patience()
                            || primary_lost_since.is_some_and(|since| since.elapsed() < PATIENCE))
                        && (!sent || job.is_repeatable()) =>
                {
                    self.shared.metrics.retried_reads.inc();
                    whom = whom.after_loss(job.need == Need::Read && self.is_at_primary(&lease));
                    if whom == Whom::WithoutPrimary {
                        // It may even let us in, such as one that is stopping.
                        primary_lost_since.get_or_insert_with(Instant::now);
                        tokio::time::sleep(LOOK_AGAIN).await;
                    }
                }
                Err(Failed::Lost { server, sent }) => {
                    self.lost(&job, &held, &server, sent).await?;
                    return Self::end_if_bereft(&held);
                }
                Err(Failed::Refused(error))
                    if [errno::UNKNOWN_SCHEMA, errno::SCHEMA_DENIED].contains(&error.code)
                        && !(held.connection || *homeless)
                        && job.needs_no_schema() =>
                {
                    drop(lease);
                    self.shared.proven.forget();
                    // A replica may not have it yet. On the primary somebody dropped it, or took it from this user:
                    // who is in it can go on, as on a direct connection, with what needs no schema.
                    if whom == Whom::OnlyPrimary || job.need != Need::Read {
                        *homeless = true;
                        self.state = in_schema(&self.state, None);
                    }
                    whom = Whom::OnlyPrimary;
                }
                Err(Failed::Refused(error)) => {
                    drop(lease);
                    return self.not_run(&held, error).await;
                }
            }
        }
    }

    /// Why a job must not run on the connection that the session holds: it led to the primary, and another server is
    /// that now. What would be written, or committed, would be so where nobody looks any more.
    fn deposed(&self, lease: &Lease, job: &Job) -> Option<ServerError> {
        let server = lease.pool().server();
        if self.anchor != Some(server.id) || job.need == Need::Read || job.only_prepares() {
            return None;
        }
        let snapshot = self.shared.snapshot();
        if snapshot.server(server.id).is_none_or(|seen| seen.health == Health::Retired) {
            // The file has another way to it, or another primary: whoever changed it lets transactions come to an end.
            return None;
        }
        let primary = snapshot.primary().filter(|primary| primary.id != server.id)?;
        Some(errno::deposed(&server.name, &primary.name))
    }

    /// Gives up a transaction on a server that is not the primary any more.
    async fn leave_deposed(&mut self, held: &Held, error: &ServerError) -> Result<(), Gone> {
        self.binding = Binding::Free;
        self.sight.doubt(&self.shared);
        self.last.insert_id_stale = false;
        self.refuse(error).await?;
        Self::end_if_bereft(held)
    }

    /// The client has gone, or stopped taking its answer, while its statement ran.
    fn abandon(&self, lease: Lease, thread_id: u32, error: &io::Error) -> Gone {
        if error.kind() == io::ErrorKind::TimedOut {
            self.shared.metrics.stalled.inc();
        }
        // Without, the statement comes to its end first; the connection is closed either way.
        if self.shared.settings().kill_abandoned {
            lease.kill(thread_id);
        }
        Gone::Left(error.to_string())
    }

    /// A statement was not run, because what had to come ahead of it failed; its connection is gone.
    async fn not_run(&mut self, held: &Held, error: ServerError) -> Result<(), Gone> {
        self.sight.doubt(&self.shared);
        // What a server accepted before, one refuses now.
        self.shared.proven.forget();
        self.last.insert_id_stale &= !held.connection;
        let error = if held.connection && !self.client.answered {
            // The transaction has gone with the connection.
            errno::lost_transaction_because(&error)
        } else {
            error
        };
        self.refuse(&error).await?;
        Self::end_if_bereft(held)
    }

    fn count(&mut self, job: &Job, lease: &Lease, reason: Reason) {
        let at_primary = self.is_at_primary(lease);
        self.went =
            Some(Went { server: lease.pool().server().id, at_primary, reason, at: Instant::now(), answer: None });
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

    /// Tells the client why its statement was not run.
    pub(super) async fn refuse(&mut self, error: &ServerError) -> Result<(), Gone> {
        self.last.diagnostics = None;
        self.last.warnings = 0;
        self.shared.metrics.errors.own(error.code);
        self.last.error = Some(error.clone());
        self.last.row_count = -1;
        if self.client.answered {
            // Half an answer cannot be taken back or completed.
            return Err(Gone::Left(error.to_string()));
        }
        self.tell_successor().await?;
        Ok(self.client.send_error(error).await?)
    }

    /// Locks, temporary tables and variables have gone with the connection that held them. A direct
    /// connection would have ended, too: going on would be going on without them.
    fn end_if_bereft(held: &Held) -> Result<(), Gone> {
        if held.pins.is_empty() || held.pins.is_brief() {
            return Ok(());
        }
        let pins: Vec<&str> = held.pins.iter().map(PinReason::as_str).collect();
        Err(Gone::Left(format!("the connection with its state ({}) was lost", pins.join(", "))))
    }

    /// Nobody saw the answer to a job: if it writes, its scope must find out what was written.
    fn is_uncertain(&mut self, job: &Job) {
        if !job.is_repeatable() {
            // Only a primary that names its transactions can resolve the uncertainty later.
            let named = self.shared.snapshot().primary().is_none_or(|p| p.executed.is_some());
            let noted = if named { Noted::Uncertain } else { Noted::Untold };
            self.sight.note(&self.shared, &noted, job.changes());
        }
    }

    /// The connection was lost while the statement ran: says what that means for it.
    async fn lost(&mut self, job: &Job, held: &Held, server: &str, sent: bool) -> Result<(), Gone> {
        self.shared.metrics.lost.inc();
        // What only the lost connection knew, nobody knows.
        self.last.insert_id_stale &= !held.connection;
        let in_transaction = (held.connection || self.binding.is_begun()) && !held.beside;
        if !held.beside {
            self.binding = Binding::Free;
            self.sight.doubt(&self.shared);
        }
        let commits = (job.ends.is_some() && !job.rolls_back)
            || job.traits.intersects(Traits::IMPLICIT_COMMIT | Traits::CONTROLS_TRANSACTION);
        if sent {
            self.is_uncertain(job);
        }
        if job.pins == Some(PinReason::UnknownCommand) {
            // Servers hang up on commands that they have never heard of either.
            return Err(Gone::Left(format!("{server} hung up on a command that was passed through")));
        }
        let error = if in_transaction && !(commits && sent) {
            errno::lost_transaction(server)
        } else if !sent {
            errno::unreachable(server, "its connections broke one after another")
        } else {
            if !job.is_repeatable() {
                self.log_uncertain(job, server);
            }
            errno::lost_connection(server, held.connection && commits)
        };
        if self.client.answered {
            // In the middle of rows an error packet ends the answer properly.
            self.shared.metrics.errors.own(error.code);
            return Err(Gone::Left(error.to_string()));
        }
        self.refuse(&error).await
    }
}

/// Whether an idle connection still answers. Where one was lost, the others most often were at the same moment,
/// and none of them may have been found dead yet.
async fn still_answers(lease: &mut Lease) -> bool {
    let Some(conn) = lease.take() else { return false };
    let Ok(Ok(conn)) = tokio::time::timeout(LAST_QUESTION, conn.ping()).await else { return false };
    lease.put(conn);
    true
}
