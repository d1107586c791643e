//! What others see of a session: what it holds (registry), how long its statements took (digests, slow log).
//!
//! A statement costs two looks at the clock and, where there are digests, its fingerprint (some 30 instructions for
//! each byte) and a row of a table: about 100 ns for
//! `SELECT c FROM sbtest1 WHERE id=501234`, in the best of several measurements on a busy machine. So that long
//! texts do not cost more, of those beyond [`READ_WHOLE`] only some are read, and count for several.

use super::digests::Seen;
use super::holds::Holds;
use super::job::{Job, JobCommand};
use super::logged::{Answer, Took};
use super::prepared::Prepared;
use super::session::Session;
use crate::route::Reason;
use crate::sql::{self, Mode};
use crate::state::SessionState;
use crate::topology::ServerId;
use std::sync::Arc;
use std::time::Instant;

/// Longer texts are read for their digest only now and then.
const READ_WHOLE: usize = 128;

/// Where a job went, and why.
#[derive(Debug, Clone, Copy)]
pub(super) struct Went {
    /// The server.
    pub server: ServerId,
    /// Whether that is the primary.
    pub at_primary: bool,
    /// Why.
    pub reason: Reason,
    /// When it had a connection.
    pub at: Instant,
    /// When the answer was whole.
    pub ended: Option<Instant>,
    /// What came back, if anything did.
    pub answer: Option<Answer>,
}

/// When a job began, and how its text is to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    pub(super) began: Instant,
    /// `None` if nobody wants to see the text.
    mode: Option<Mode>,
}

/// What the registry was last told.
#[derive(Debug, Default)]
pub(super) struct Registered {
    holds: u64,
    state: Option<Arc<SessionState>>,
}

impl Session {
    /// Tells others who this is.
    pub(super) fn introduce(&mut self) {
        let handle = self.entry.handle();
        handle.set_user(&self.account.user, self.sight.shared_with());
        self.registered.state = None;
        self.show();
    }

    /// Tells others what it holds and where it is, where that has changed.
    pub(super) fn show(&mut self) {
        let holds = Holds::encode(&self.binding);
        if holds != self.registered.holds {
            self.entry.handle().set_holds(holds);
            self.registered.holds = holds;
        }
        if !self.registered.state.as_ref().is_some_and(|state| Arc::ptr_eq(state, &self.state)) {
            self.entry.handle().set_schema(self.state.schema());
            self.registered.state = Some(self.state.clone());
        }
    }

    /// A job begins.
    pub(super) fn watch(&mut self, job: &Job) -> Watch {
        let began = Instant::now();
        (self.went, self.began) = (None, Some(began));
        let is_of_interest = self.shared.digests.is_some() || self.settings().slow.is_some();
        Watch { began, mode: is_of_interest.then(|| self.mode_of_job(job)) }
    }

    /// How the text of a job is to be read for its digest.
    pub(super) fn mode_of_job(&mut self, job: &Job) -> Mode {
        match &job.command {
            // It may have been another one when it was prepared; and what is no literal then may be one now.
            JobCommand::Execute(execution) => execution.statement.mode,
            _ => self.mode(),
        }
    }

    /// It is over.
    pub(super) fn watched(&mut self, watch: Watch, job: &Job) {
        let (Watch { began, mode }, Some(went)) = (watch, self.went) else { return };
        let ended = went.ended.unwrap_or_else(Instant::now);
        let took = Took { waited: went.at.duration_since(began), ran: ended.duration_since(went.at) };
        let metrics = &self.shared.metrics;
        metrics.wait_seconds.add(went.at_primary, took.waited);
        metrics.run_seconds.add(went.at_primary, took.ran);
        let Some(mode) = mode else { return };
        let Some(text) = job.statement() else { return };
        self.entry.handle().set_rested(ended);
        let is_slow = self.settings().slow.is_some_and(|slow| took.in_all() >= slow);
        if let Some(digests) = &self.shared.digests {
            let Went { at_primary, reason, .. } = went;
            let prepared = job.prepared();
            let weight = match prepared {
                Some(prepared) if prepared.has_fingerprint() => 1,
                _ => u32::try_from(text.len() / READ_WHOLE).unwrap_or(u32::MAX).saturating_add(1),
            };
            // Sessions begin at different places, so that also many short ones count their due.
            self.long_statements = self.long_statements.wrapping_add(u32::from(weight > 1));
            let is_due = self.long_statements.wrapping_add(self.entry.id()).is_multiple_of(weight);
            if weight == 1 || is_due {
                let fingerprint = prepared.map_or_else(|| sql::fingerprint(text, mode), Prepared::fingerprint);
                digests.add(&Seen { text, mode, fingerprint, at_primary, reason, took: took.in_all(), ended, weight });
            }
        }
        if is_slow {
            self.log_slow(text, mode, &went, took);
        }
    }
}
