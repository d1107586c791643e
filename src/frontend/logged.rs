//! Lines of the log about one statement. They show its digest, never a literal, and the trace that it says it
//! belongs to; both are looked for here only, when such a line is written.

use super::job::Job;
use super::session::Session;
use super::summary::Summary;
use super::watched::Went;
use crate::sql::{self, Mode};
use std::time::Duration;

/// What came back to the client, in numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    rows: u64,
    affected: Option<u64>,
    error: Option<u16>,
}

impl Answer {
    /// That of a response; of several results, the last one's.
    pub(super) fn of(summary: &Summary) -> Self {
        let error = summary.error.as_ref().map(|error| error.code);
        Self { rows: summary.rows, affected: summary.affected_rows, error }
    }
}

/// How long a statement took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Took {
    /// Until it had a connection.
    pub(super) waited: Duration,
    /// From then to the end of its answer.
    pub(super) ran: Duration,
}

impl Took {
    /// From the beginning to the end.
    pub(super) fn in_all(self) -> Duration {
        self.waited + self.ran
    }
}

impl Session {
    /// A statement took longer than `[log] slow`.
    pub(super) fn log_slow(&self, text: &[u8], mode: Mode, went: &Went, took: Took) {
        let server = self.shared.server(went.server).map(|server| server.name.clone()).unwrap_or_default();
        tracing::warn!(
            client = self.entry.id(),
            user = self.account.user.as_str(),
            host = self.host.as_str(),
            server,
            route = if went.at_primary { "primary" } else { "replica" },
            reason = went.reason.as_str(),
            total_ms = millis(took.in_all()),
            wait_ms = millis(took.waited),
            server_ms = millis(took.ran),
            rows = went.answer.map(|answer| answer.rows),
            affected = went.answer.and_then(|answer| answer.affected),
            error_code = went.answer.and_then(|answer| answer.error),
            digest = sql::digest(text, mode),
            traceparent = sql::traceparent(text),
            "slow statement"
        );
    }

    /// The connection was lost while a statement ran that is no read, and nobody knows whether it took effect.
    pub(super) fn log_uncertain(&mut self, job: &Job, server: &str) {
        let Some(text) = job.statement() else { return };
        let mode = self.mode_of_job(job);
        tracing::warn!(
            client = self.entry.id(),
            user = self.account.user.as_str(),
            host = self.host.as_str(),
            server,
            digest = sql::digest(text, mode),
            traceparent = sql::traceparent(text),
            "the connection was lost while a statement ran: it may have taken effect"
        );
    }
}

/// A duration as logs have it: milliseconds, to the microsecond.
pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
