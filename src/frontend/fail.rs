//! What a failed exchange means for the session, and what its client is told.

use super::binding::{Binding, Open, PinReason};
use super::flight::Failed;
use super::job::Job;
use super::loss::{Ending, Loss, Meaning};
use super::session::{Gone, Session};
use super::tenure::Tenure;
use crate::consistency::token::Noted;
use crate::pool::Lease;
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use std::io;

impl Session {
    /// A job failed for good.
    pub(super) async fn fail(&mut self, lease: Lease, tenure: Tenure, job: &Job, failed: Failed) -> Result<(), Gone> {
        match failed {
            Failed::ClientLeft(error, thread_id) => {
                self.is_uncertain(job);
                Err(self.abandon(lease, thread_id, &error))
            }
            Failed::Stopped(thread_id) => {
                self.is_uncertain(job);
                lease.kill(thread_id);
                Err(Gone::Left("it was told to go while a statement ran".into()))
            }
            Failed::Differs(read) => {
                let error = self.differs(lease, tenure, read);
                self.refuse(&error).await
            }
            Failed::Unread(error, thread_id) => {
                lease.kill(thread_id);
                self.not_run(tenure, error).await
            }
            Failed::Lost { server, sent } => {
                drop(lease);
                self.lost(job, &tenure, &server, sent).await?;
                end_if_bereft(&tenure)
            }
            Failed::Refused(error) => {
                drop(lease);
                self.not_run(tenure, error).await
            }
        }
    }

    /// Gives up a transaction on a server that is not the primary any more.
    pub(super) async fn leave_deposed(&mut self, tenure: &Tenure, error: &ServerError) -> Result<(), Gone> {
        self.binding = Binding::Free;
        self.forget_what_was_on(tenure);
        self.refuse(error).await?;
        end_if_bereft(tenure)
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

    /// A connection has gone. What only it knew, nobody knows.
    fn forget_what_was_on(&mut self, tenure: &Tenure) {
        self.last.insert_id_stale &= !tenure.has_own();
        if !tenure.is_beside() {
            self.record = None;
            self.cursors.clear();
            self.sight.doubt(&self.shared);
        }
    }

    /// A statement was not run, because what had to come ahead of it failed; its connection is gone.
    async fn not_run(&mut self, tenure: Tenure, error: ServerError) -> Result<(), Gone> {
        // What a server accepted before, one refuses now.
        self.shared.proven.forget();
        if matches!(tenure, Tenure::Moving { .. }) {
            self.stays_on_trial(tenure);
            return self.refuse(&error).await;
        }
        let again = matches!(tenure, Tenure::Again { .. });
        if again {
            self.binding = Binding::Free;
        }
        self.forget_what_was_on(&tenure);
        let error = if (tenure.was_held() || again) && !self.client.answered {
            // The transaction has gone with the connection.
            errno::lost_transaction_because(&error)
        } else {
            error
        };
        self.refuse(&error).await?;
        end_if_bereft(&tenure)
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
    async fn lost(&mut self, job: &Job, tenure: &Tenure, server: &str, sent: bool) -> Result<(), Gone> {
        self.shared.metrics.lost.inc();
        let open = if self.binding.is_begun() { Open::Yes } else { tenure.open() };
        let ending = match Ending::of(job) {
            Ending::Commits if !tenure.has_own() => Ending::MayCommit,
            _ if self.may_turn_autocommit_on(job) => Ending::MayCommit,
            ending => ending,
        };
        let loss = Loss { open: if tenure.is_beside() { Open::No } else { open }, ending, sent };
        if !tenure.is_beside() {
            self.binding = Binding::Free;
        }
        self.forget_what_was_on(tenure);
        if sent {
            self.is_uncertain(job);
        }
        if job.pins == Some(PinReason::UnknownCommand) {
            // Servers hang up on commands that they have never heard of either.
            return Err(Gone::Left(format!("{server} hung up on a command that was passed through")));
        }
        let error = match loss.meaning() {
            Meaning::RolledBack => errno::lost_transaction(server),
            Meaning::Unsent => errno::unreachable(server, "its connections broke one after another"),
            Meaning::Unknown { commits } => {
                if !job.is_repeatable() {
                    self.log_uncertain(job, server);
                }
                errno::lost_connection(server, commits)
            }
        };
        if self.client.answered {
            // In the middle of rows an error packet ends the answer properly.
            self.shared.metrics.errors.own(error.code);
            return Err(Gone::Left(error.to_string()));
        }
        self.refuse(&error).await
    }
}

/// Locks, temporary tables and variables have gone with the connection that held them. A direct connection would have
/// ended, too: going on would be going on without them.
fn end_if_bereft(tenure: &Tenure) -> Result<(), Gone> {
    if !tenure.holds_state() {
        return Ok(());
    }
    let pins: Vec<&str> = tenure.pins().map(PinReason::as_str).collect();
    Err(Gone::Left(format!("the connection with its state ({}) was lost", pins.join(", "))))
}
