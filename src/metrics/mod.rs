//! Every metric there is, in one catalogue.
//!
//! Structs of ready-made children are handed to those who count; nobody else names a metric. `docs/metrics.md`
//! explains each of them, and a test sees to that. What is counted for every statement costs some relaxed additions
//! and no lookup; what can be asked when somebody looks is asked then (`frontend::gauges`).
//!
//! Labels are small fixed sets: never SQL text, user or schema names.

mod catalogue;
mod errors;
mod latency;
mod optimistic;
mod pools;
mod process;
mod readings;
mod replayed;
mod saved;
mod servers;
mod sessions;
mod statements;
mod traffic;

pub use self::catalogue::{Entry, Kind};
pub use self::errors::Errors;
pub use self::latency::Latency;
pub use self::optimistic::{Optimistic, Outcome};
pub use self::pools::{DialPhases, PoolMetrics};
pub use self::process::ConfigMetrics;
pub use self::readings::Reading;
pub use self::replayed::{Replayed, Replays};
pub use self::saved::Saved;
pub use self::servers::ServerMetrics;
pub use self::sessions::SessionMetrics;
pub use self::statements::Statements;
pub use self::traffic::Traffic;

use self::catalogue::Catalogue;
use self::pools::PoolVecs;
use prometheus::process_collector::ProcessCollector;
use prometheus::{Encoder, Registry, TextEncoder};
use std::sync::{Arc, Mutex, PoisonError};

/// All of them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    entries: Arc<[Entry]>,
    /// Held by whoever looks: what is asked then is not there for a moment.
    looking: Arc<Mutex<()>>,
    pool: PoolVecs,
    /// For sessions.
    pub session: SessionMetrics,
    /// For servers.
    pub server: ServerMetrics,
    /// For the process and its configuration.
    pub config: ConfigMetrics,
}

impl Metrics {
    /// Makes all metrics; `fingerprint` identifies the configuration in use.
    ///
    /// # Errors
    /// Two metrics of one name.
    pub fn new(fingerprint: &str) -> Result<Self, prometheus::Error> {
        let mut catalogue = Catalogue::default();
        let pool = PoolVecs::new(&mut catalogue)?;
        let session = SessionMetrics::new(&mut catalogue)?;
        let server = ServerMetrics::new(&mut catalogue)?;
        let config = ConfigMetrics::new(&mut catalogue)?;
        config.is(fingerprint);
        catalogue.process(ProcessCollector::for_self())?;
        let (registry, entries) = catalogue.into_parts();
        Ok(Self { registry, entries: entries.into(), looking: Arc::default(), pool, session, server, config })
    }

    /// What there is, in order of names.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The children for a pool of one server.
    pub fn for_pool(&self, server: &str) -> PoolMetrics {
        self.pool.of(server)
    }

    /// What is counted, for people: counters and gauges by name, as far as they have labels already.
    pub fn readings(&self) -> Vec<Reading> {
        readings::of(&self.registry.gather())
    }

    /// The text Prometheus reads, once `publish` has set what is asked instead of counted. Of several who look at once
    /// each sees all of it.
    ///
    /// # Errors
    /// When a metric cannot be written as text.
    pub fn look(&self, publish: impl FnOnce(&Self)) -> Result<Vec<u8>, prometheus::Error> {
        // What is left half done by a panic, the next one who looks does anew.
        let _looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        publish(self);
        self.render()
    }

    /// The text Prometheus reads, with gauges as they were when somebody last looked.
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
    use super::{Kind, Metrics, Saved};

    fn text(metrics: &Metrics) -> String {
        String::from_utf8(metrics.render().expect("renders")).expect("text")
    }

    #[test]
    fn what_is_saved_is_counted_by_kind() {
        let metrics = Metrics::new("f00").expect("no name is used twice");
        for (place, (kind, label)) in Saved::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{label}");
            metrics.session.saved(kind);
        }
        let text = text(&metrics);
        assert!(text.contains("landbridge_round_trips_saved_total{kind=\"login\"} 4"));
        assert!(text.contains("landbridge_round_trips_saved_total{kind=\"chatter\"} 1"));
    }

    #[test]
    fn the_catalogue_is_consistent_and_prefixed() {
        let metrics = Metrics::new("f00").expect("no name is used twice");
        metrics.for_pool("primary").dials.inc();
        let text = text(&metrics);
        assert!(text.contains("landbridge_dials_total{server=\"primary\"} 1"));
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            assert!(line.starts_with("landbridge_") || line.starts_with("process_"), "{line}");
        }
    }

    #[test]
    fn names_follow_the_conventions() {
        let metrics = Metrics::new("f00").expect("no name is used twice");
        for entry in metrics.entries() {
            let name = &entry.name;
            assert_eq!(name.ends_with("_total"), entry.kind == Kind::Counter, "{name}");
            assert!(entry.kind != Kind::Histogram || name.ends_with("_seconds"), "{name}: in base units");
            assert!(!["milli", "micro", "minutes"].iter().any(|unit| name.contains(unit)), "{name}: in base units");
            let help = &entry.help;
            assert!(help.starts_with(char::is_alphanumeric) && help.len() > 10, "{name}: {help}");
        }
    }
}
