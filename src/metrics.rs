//! Every metric there is, in one catalogue.
//!
//! Structs of ready-made children are handed to those who count; nobody else names a metric.
//! Labels are small fixed sets: never SQL text, user or schema names.

mod readings;

pub use readings::Reading;

mod saved;

pub use self::saved::Saved;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// Buckets for what takes from a loopback hop to a stalled ocean, in seconds.
const SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What one pool counts.
#[derive(Debug, Clone)]
pub struct PoolMetrics {
    /// Connections opened.
    pub dials: IntCounter,
    /// Connections that could not be opened.
    pub dial_errors: IntCounter,
    /// Time to open one, login and set-up included.
    pub dial_seconds: Histogram,
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
}

impl SessionMetrics {
    /// Counts round trips that a client did not wait for.
    pub fn saved(&self, what: Saved) {
        if let Some(counter) = self.round_trips_saved.get(what as usize) {
            counter.inc_by(what.round_trips());
        }
    }
}

/// What sessions count.
#[derive(Debug, Clone)]
pub struct SessionMetrics {
    /// Clients accepted.
    pub accepted: IntCounter,
    /// Clients that could not be accepted, for want of descriptors for example.
    pub accept_failures: IntCounter,
    /// Clients connected now.
    pub connected: IntGauge,
    /// Clients sent away because they stopped in the middle of a command or an answer.
    pub stalled: IntCounter,
    /// Logins refused.
    pub login_failures: IntCounter,
    /// Statements by where they went and why.
    pub statements: IntCounterVec,
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
    /// Errors sent to clients that are ours, by error code.
    pub own_errors: IntCounterVec,
    /// Statements that wait for a primary or for `RESUME`.
    pub waiting: IntGauge,
}

/// What the monitor shows.
#[derive(Debug, Clone)]
pub struct ServerMetrics {
    /// 1 when the server answers.
    pub up: IntGaugeVec,
    /// Lag in milliseconds; -1 when not known or stopped.
    pub lag_milliseconds: IntGaugeVec,
    /// Round-trip time in microseconds.
    pub rtt_microseconds: IntGaugeVec,
    /// Servers besides the primary that take writes.
    pub rival_primaries: IntGauge,
    /// 1 when the server that the file calls the primary refuses writes.
    pub primary_read_only: IntGauge,
    /// Connections by pool state.
    pub connections: IntGaugeVec,
}

/// What is known of the configuration.
#[derive(Debug, Clone)]
pub struct ConfigMetrics {
    info: IntGaugeVec,
    /// Reloads by result: `applied`, `unchanged` or `refused`.
    pub reloads: IntCounterVec,
    /// Looks at certificates that have changed on disk, by result: `applied` or `refused`.
    pub certificates: IntCounterVec,
}

impl ConfigMetrics {
    /// This is the configuration in use.
    pub fn is(&self, fingerprint: &str) {
        self.info.reset();
        self.info.with_label_values(&[fingerprint, env!("CARGO_PKG_VERSION")]).set(1);
    }
}

/// The catalogue.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    pool: PoolVecs,
    /// For sessions.
    pub session: SessionMetrics,
    /// For servers.
    pub server: ServerMetrics,
    /// For the configuration.
    pub config: ConfigMetrics,
}

#[derive(Debug, Clone)]
struct PoolVecs {
    dials: IntCounterVec,
    dial_errors: IntCounterVec,
    dial_seconds: HistogramVec,
    waited: IntCounterVec,
    wait_seconds: HistogramVec,
    died_idle: IntCounterVec,
    resets: IntCounterVec,
    kills: IntCounterVec,
}

/// Registers metrics; fails only when two have the same name, which a test would show.
struct Catalogue<'a>(&'a Registry);

type Made<T> = Result<T, prometheus::Error>;

impl Catalogue<'_> {
    fn add<C: prometheus::core::Collector + Clone + 'static>(&self, metric: C) -> Made<C> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> Made<IntCounter> {
        self.add(IntCounter::new(name, help)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Made<IntGauge> {
        self.add(IntGauge::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Made<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Made<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> Made<HistogramVec> {
        self.add(HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), labels)?)
    }

    fn histogram(&self, name: &str, help: &str) -> Made<Histogram> {
        self.add(Histogram::with_opts(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()))?)
    }
}

fn session_metrics(c: &Catalogue<'_>) -> Made<SessionMetrics> {
    let saved = c.counters(
        "landbridge_round_trips_saved_total",
        "Round trips to the primary that clients did not wait for",
        &["kind"],
    )?;
    Ok(SessionMetrics {
        accepted: c.counter("landbridge_clients_accepted_total", "Client connections accepted")?,
        accept_failures: c.counter(
            "landbridge_accept_failures_total",
            "Clients that could not be accepted, for want of descriptors for example",
        )?,
        connected: c.gauge("landbridge_clients", "Clients connected now")?,
        stalled: c.counter(
            "landbridge_stalled_clients_total",
            "Clients sent away because they stopped in the middle of a command or of taking an answer",
        )?,
        login_failures: c.counter("landbridge_login_failures_total", "Client logins refused")?,
        statements: c.counters(
            "landbridge_statements_total",
            "Statements by where they went and why",
            &["target", "reason"],
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
        keys: c.gauge("landbridge_consistency_keys", "Keys of applications whose writes are remembered")?,
        lost: c.counter("landbridge_lost_connections_total", "Connections to servers lost while a statement ran")?,
        retried_reads: c.counter(
            "landbridge_retried_reads_total",
            "Statements tried again on another connection: reads without an answer, and what had not been sent",
        )?,
        pins: c.counters("landbridge_pins_total", "Sessions that came to hold a connection, by reason", &["reason"])?,
        own_errors: c.counters(
            "landbridge_own_errors_total",
            "Errors of Landbridge itself sent to clients",
            &["code"],
        )?,
    })
}

fn config_metrics(c: &Catalogue<'_>) -> Made<ConfigMetrics> {
    let metrics = ConfigMetrics {
        info: c.gauges("landbridge_config_info", "The configuration in use", &["fingerprint", "version"])?,
        reloads: c.counters(
            "landbridge_config_reloads_total",
            "Reloads of the configuration, by result",
            &["result"],
        )?,
        certificates: c.counters(
            "landbridge_certificate_changes_total",
            "Certificates that changed on disk, by result",
            &["result"],
        )?,
    };
    for result in ["applied", "unchanged", "refused"] {
        metrics.reloads.with_label_values(&[result]);
    }
    for result in ["applied", "refused"] {
        metrics.certificates.with_label_values(&[result]);
    }
    Ok(metrics)
}

impl Metrics {
    /// Makes all metrics; `fingerprint` identifies the configuration in use.
    ///
    /// # Errors
    /// Two metrics of one name.
    pub fn new(fingerprint: &str) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let c = Catalogue(&registry);
        let pool = PoolVecs {
            dials: c.counters("landbridge_dials_total", "Connections opened to servers", &["server"])?,
            dial_errors: c.counters(
                "landbridge_dial_errors_total",
                "Connections that could not be opened",
                &["server"],
            )?,
            dial_seconds: c.histograms(
                "landbridge_dial_seconds",
                "Time to open a connection, login and set-up included",
                &["server"],
            )?,
            waited: c.counters(
                "landbridge_cold_checkouts_total",
                "Checkouts that found no idle connection and waited",
                &["server"],
            )?,
            wait_seconds: c.histograms(
                "landbridge_checkout_wait_seconds",
                "Time those checkouts waited",
                &["server"],
            )?,
            died_idle: c.counters(
                "landbridge_idle_deaths_total",
                "Idle connections found dead before a request used them",
                &["server"],
            )?,
            resets: c.counters(
                "landbridge_resets_total",
                "Connections cleaned after a client left state behind",
                &["server"],
            )?,
            kills: c.counters(
                "landbridge_kills_total",
                "Statements killed because their client had gone",
                &["server"],
            )?,
        };
        let session = session_metrics(&c)?;
        let server = ServerMetrics {
            up: c.gauges("landbridge_server_up", "1 when the server answers", &["server", "role"])?,
            lag_milliseconds: c.gauges(
                "landbridge_replica_lag_milliseconds",
                "Replication lag; -1 when unknown or stopped",
                &["server"],
            )?,
            rtt_microseconds: c.gauges(
                "landbridge_server_rtt_microseconds",
                "Round-trip time to the server",
                &["server"],
            )?,
            rival_primaries: c.gauge(
                "landbridge_rival_primaries",
                "Servers besides the primary that take writes: somebody must make them read-only",
            )?,
            primary_read_only: c
                .gauge("landbridge_primary_read_only", "1 when the server with role = primary refuses writes")?,
            connections: c.gauges(
                "landbridge_pool_connections",
                "Backend connections by state",
                &["server", "state"],
            )?,
        };
        let config = config_metrics(&c)?;
        config.is(fingerprint);
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self { registry, pool, session, server, config })
    }

    /// The children for a pool of one server.
    pub fn for_pool(&self, server: &str) -> PoolMetrics {
        let labels = &[server];
        PoolMetrics {
            dials: self.pool.dials.with_label_values(labels),
            dial_errors: self.pool.dial_errors.with_label_values(labels),
            dial_seconds: self.pool.dial_seconds.with_label_values(labels),
            waited: self.pool.waited.with_label_values(labels),
            wait_seconds: self.pool.wait_seconds.with_label_values(labels),
            died_idle: self.pool.died_idle.with_label_values(labels),
            resets: self.pool.resets.with_label_values(labels),
            kills: self.pool.kills.with_label_values(labels),
        }
    }

    /// What is counted, for people: counters and gauges by name, as far as they have labels already.
    pub fn readings(&self) -> Vec<Reading> {
        readings::of(&self.registry.gather())
    }

    /// The text Prometheus reads.
    ///
    /// # Errors
    /// When a metric cannot be written as text.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::{Metrics, Saved};

    #[test]
    fn what_is_saved_is_counted_by_kind() {
        let metrics = Metrics::new("f00").expect("no name is used twice");
        for (place, (kind, label)) in Saved::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{label}");
            metrics.session.saved(kind);
        }
        let text = String::from_utf8(metrics.render().expect("renders")).expect("text");
        assert!(text.contains("landbridge_round_trips_saved_total{kind=\"login\"} 4"));
        assert!(text.contains("landbridge_round_trips_saved_total{kind=\"chatter\"} 1"));
    }

    #[test]
    fn the_catalogue_is_consistent_and_prefixed() {
        let metrics = Metrics::new("f00").expect("no name is used twice");
        metrics.for_pool("primary").dials.inc();
        let text = String::from_utf8(metrics.render().expect("renders")).expect("text");
        assert!(text.contains("landbridge_dials_total{server=\"primary\"} 1"));
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            assert!(line.starts_with("landbridge_") || line.starts_with("process_"), "{line}");
        }
    }
}
