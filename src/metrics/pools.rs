//! What pools of connections to servers count.

use super::catalogue::{Catalogue, Made};
use super::traffic::Traffic;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};

/// What one pool counts.
#[derive(Debug, Clone)]
pub struct PoolMetrics {
    /// Connections opened.
    pub dials: IntCounter,
    /// Connections that could not be opened.
    pub dial_errors: IntCounter,
    /// Time to open one, login and set-up included.
    pub dial_seconds: Histogram,
    /// The parts of that time.
    pub dial_phases: DialPhases,
    /// Checkouts that found no idle connection.
    pub waited: IntCounter,
    /// How long those waited.
    pub wait_seconds: Histogram,
    /// Idle connections found dead.
    pub died_idle: IntCounter,
    /// Connections cleaned after a client left state behind.
    pub resets: IntCounter,
    /// Statements killed because their client had gone.
    pub kills: IntCounter,
    /// Flights that were sent for clients, and answered.
    pub round_trips: IntCounter,
    /// Bytes of connections that are logged in.
    pub traffic: Traffic,
}

/// What opening a connection consists of.
#[derive(Debug, Clone)]
pub struct DialPhases {
    /// Finding the address and the TCP handshake.
    pub tcp: Histogram,
    /// The greeting and the TLS handshake.
    pub tls: Histogram,
    /// Proving the password.
    pub login: Histogram,
    /// What the connection needs before it serves anybody.
    pub setup: Histogram,
}

#[derive(Debug, Clone)]
pub(super) struct PoolVecs {
    dials: IntCounterVec,
    dial_errors: IntCounterVec,
    dial_seconds: HistogramVec,
    dial_phases: HistogramVec,
    waited: IntCounterVec,
    wait_seconds: HistogramVec,
    died_idle: IntCounterVec,
    resets: IntCounterVec,
    kills: IntCounterVec,
    round_trips: IntCounterVec,
    bytes: IntCounterVec,
}

impl PoolVecs {
    pub(super) fn new(c: &mut Catalogue) -> Made<Self> {
        let by = &["server"];
        Ok(Self {
            dials: c.counters("landbridge_dials_total", "Connections opened to servers", by)?,
            dial_errors: c.counters("landbridge_dial_errors_total", "Connections that could not be opened", by)?,
            dial_seconds: c.histograms(
                "landbridge_dial_seconds",
                "Time to open a connection, login and set-up included",
                by,
            )?,
            dial_phases: c.histograms(
                "landbridge_dial_phase_seconds",
                "Parts of the time to open a connection",
                &["server", "phase"],
            )?,
            waited: c.counters(
                "landbridge_cold_checkouts_total",
                "Checkouts that found no idle connection and waited",
                by,
            )?,
            wait_seconds: c.histograms("landbridge_checkout_wait_seconds", "Time those checkouts waited", by)?,
            died_idle: c.counters(
                "landbridge_idle_deaths_total",
                "Idle connections found dead before a request used them",
                by,
            )?,
            resets: c.counters(
                "landbridge_resets_total",
                "Connections cleaned after a client left state behind",
                by,
            )?,
            kills: c.counters("landbridge_kills_total", "Statements killed because their client had gone", by)?,
            round_trips: c.counters(
                "landbridge_round_trips_total",
                "Round trips to servers that clients caused: flights that were sent and answered",
                by,
            )?,
            bytes: c.counters(
                "landbridge_server_bytes_total",
                "Bytes of the protocol from and to servers, logins and TLS aside",
                &["server", "direction"],
            )?,
        })
    }

    /// The children for one server.
    pub(super) fn of(&self, server: &str) -> PoolMetrics {
        let labels = &[server];
        let phase = |phase| self.dial_phases.with_label_values(&[server, phase]);
        PoolMetrics {
            dials: self.dials.with_label_values(labels),
            dial_errors: self.dial_errors.with_label_values(labels),
            dial_seconds: self.dial_seconds.with_label_values(labels),
            dial_phases: DialPhases {
                tcp: phase("tcp"),
                tls: phase("tls"),
                login: phase("login"),
                setup: phase("setup"),
            },
            waited: self.waited.with_label_values(labels),
            wait_seconds: self.wait_seconds.with_label_values(labels),
            died_idle: self.died_idle.with_label_values(labels),
            resets: self.resets.with_label_values(labels),
            kills: self.kills.with_label_values(labels),
            round_trips: self.round_trips.with_label_values(labels),
            traffic: Traffic::of(&self.bytes, labels),
        }
    }
}
