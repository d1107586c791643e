//! What sessions count.

use super::catalogue::{Catalogue, Made};
use super::{Errors, Latency, Optimistic, Replays, Saved, Statements, Traffic};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// What sessions count.
#[derive(Debug, Clone)]
pub struct SessionMetrics {
    /// Clients accepted.
    pub accepted: IntCounter,
    /// Clients that could not be accepted, for want of descriptors for example.
    pub accept_failures: IntCounter,
    /// Clients connected now.
    pub connected: IntGauge,
    /// Clients by what they hold between two commands. Set when somebody looks.
    pub sessions: IntGaugeVec,
    /// Clients sent away because they stopped in the middle of a command or an answer.
    pub stalled: IntCounter,
    /// Logins refused.
    pub login_failures: IntCounter,
    /// Bytes of clients that are logged in.
    pub traffic: Traffic,
    /// Statements by where they went and why.
    pub statements: Statements,
    /// From when a statement was understood to when it had a connection.
    pub wait_seconds: Latency,
    /// From then to the end of its answer.
    pub run_seconds: Latency,
    /// Waits of reads for a replica to catch up, by outcome.
    pub gtid_waits: IntCounterVec,
    /// Time of those waits.
    pub gtid_wait_seconds: Histogram,
    /// Round trips to the primary that clients did not have to wait for, in the order of [`Saved`].
    round_trips_saved: [IntCounter; Saved::ALL.len()],
    /// Reads that a replica would have answered with less than they had to see.
    pub stale_reads_avoided: IntCounter,
    /// Keys of applications that are remembered.
    pub keys: IntGauge,
    /// Connections to servers lost while a statement ran.
    pub lost: IntCounter,
    /// Statements tried again on another connection: reads without an answer, and what had not been sent.
    pub retried_reads: IntCounter,
    /// Sessions that came to hold a connection, by reason.
    pub pins: IntCounterVec,
    /// Sessions that hold a connection now, by reason. Set when somebody looks.
    pub pinned: IntGaugeVec,
    /// Errors that clients were told.
    pub errors: Errors,
    /// Transactions that began on a replica.
    pub optimistic: Optimistic,
    /// Transactions that were run again.
    pub replayed: Replays,
    /// Statements that wait for a primary or for `RESUME`.
    pub waiting: IntGauge,
    /// 1 while an operator has paused. Set when somebody looks.
    pub paused: IntGauge,
}

impl SessionMetrics {
    pub(super) fn new(c: &mut Catalogue) -> Made<Self> {
        let saved = c.counters(
            "landbridge_round_trips_saved_total",
            "Round trips to the primary that clients did not wait for",
            &["kind"],
        )?;
        let bytes = c.counters(
            "landbridge_client_bytes_total",
            "Bytes of the protocol from and to clients, logins and TLS aside",
            &["direction"],
        )?;
        Ok(Self {
            accepted: c.counter("landbridge_clients_accepted_total", "Client connections accepted")?,
            accept_failures: c.counter(
                "landbridge_accept_failures_total",
                "Clients that could not be accepted, for want of descriptors for example",
            )?,
            connected: c.gauge("landbridge_clients", "Clients connected now")?,
            sessions: c.gauges(
                "landbridge_sessions",
                "Clients connected now, by what they hold between two commands",
                &["state"],
            )?,
            stalled: c.counter(
                "landbridge_stalled_clients_total",
                "Clients sent away because they stopped in the middle of a command or of taking an answer",
            )?,
            login_failures: c.counter("landbridge_login_failures_total", "Client logins refused")?,
            traffic: Traffic::of(&bytes, &[]),
            statements: Statements::new(c)?,
            wait_seconds: c.latency(
                "landbridge_statement_wait_seconds",
                "What Landbridge added to statements: until they had a connection, waits for replicas included",
            )?,
            run_seconds: c.latency(
                "landbridge_statement_run_seconds",
                "What servers and the way to them took: from then to the end of the answer",
            )?,
            gtid_waits: c.counters(
                "landbridge_gtid_waits_total",
                "Waits of reads for a replica to catch up, by outcome",
                &["server", "outcome"],
            )?,
            gtid_wait_seconds: c.histogram("landbridge_gtid_wait_seconds", "Time of those waits")?,
            round_trips_saved: Saved::ALL.map(|(_, kind)| saved.with_label_values(&[kind])),
            stale_reads_avoided: c.counter(
                "landbridge_stale_reads_avoided_total",
                "Reads that waited for a replica, or went elsewhere, because it was not known to have what they had to see",
            )?,
            waiting: c.gauge("landbridge_waiting_statements", "Statements that wait for a primary, or for RESUME")?,
            paused: c.gauge("landbridge_paused", "1 while an operator has paused: statements wait for RESUME")?,
            keys: c.gauge("landbridge_consistency_keys", "Keys of applications whose writes are remembered")?,
            lost: c
                .counter("landbridge_lost_connections_total", "Connections to servers lost while a statement ran")?,
            retried_reads: c.counter(
                "landbridge_retried_reads_total",
                "Statements tried again on another connection: reads without an answer, and what had not been sent",
            )?,
            pins: c.counters(
                "landbridge_pins_total",
                "Sessions that came to hold a connection, by reason",
                &["reason"],
            )?,
            pinned: c.gauges(
                "landbridge_pinned_sessions",
                "Sessions that hold a connection now, by reason; one may have several",
                &["reason"],
            )?,
            errors: Errors::new(c)?,
            optimistic: Optimistic::new(c)?,
            replayed: Replays::new(c)?,
        })
    }

    /// Counts round trips that a client did not wait for.
    pub fn saved(&self, what: Saved) {
        if let Some(counter) = self.round_trips_saved.get(what as usize) {
            counter.inc_by(what.round_trips());
        }
    }
}
