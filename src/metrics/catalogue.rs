//! Registers metrics, and knows what was registered.

use super::latency::Latency;
use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Buckets for what takes from a loopback hop to a stalled ocean, in seconds.
pub(super) const SECONDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts times by how long they were.
    Histogram,
}

/// A metric of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its labels, by name.
    pub labels: Vec<String>,
    /// What it says.
    pub help: String,
}

/// Fails only when two metrics have the same name, which a test would show.
#[derive(Default)]
pub(super) struct Catalogue {
    registry: Registry,
    entries: Vec<Entry>,
}

pub(super) type Made<T> = Result<T, prometheus::Error>;

impl Catalogue {
    fn note(&mut self, desc: &Desc, kind: Kind) {
        let mut labels = desc.variable_labels.clone();
        labels.sort();
        self.entries.push(Entry { name: desc.fq_name.clone(), kind, labels, help: desc.help.clone() });
    }

    fn add<C: Collector + Clone + 'static>(&mut self, kind: Kind, metric: C) -> Made<C> {
        for desc in metric.desc() {
            self.note(desc, kind);
        }
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    pub(super) fn counter(&mut self, name: &str, help: &str) -> Made<IntCounter> {
        self.add(Kind::Counter, IntCounter::new(name, help)?)
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str) -> Made<IntGauge> {
        self.add(Kind::Gauge, IntGauge::new(name, help)?)
    }

    pub(super) fn counters(&mut self, name: &str, help: &str, labels: &[&str]) -> Made<IntCounterVec> {
        self.add(Kind::Counter, IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn gauges(&mut self, name: &str, help: &str, labels: &[&str]) -> Made<IntGaugeVec> {
        self.add(Kind::Gauge, IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// Gauges of what is not counted but measured.
    pub(super) fn measures(&mut self, name: &str, help: &str, labels: &[&str]) -> Made<GaugeVec> {
        self.add(Kind::Gauge, GaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn histograms(&mut self, name: &str, help: &str, labels: &[&str]) -> Made<HistogramVec> {
        self.add(Kind::Histogram, HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), labels)?)
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str) -> Made<Histogram> {
        self.add(Kind::Histogram, Histogram::with_opts(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()))?)
    }

    /// Times of statements, by the kind of server they ran on.
    pub(super) fn latency(&mut self, name: &str, help: &str) -> Made<Latency> {
        self.add(Kind::Histogram, Latency::new(name, help)?)
    }

    /// What the system says of the process.
    pub(super) fn process(&mut self, collector: ProcessCollector) -> Made<()> {
        for desc in collector.desc() {
            let kind = if desc.fq_name.ends_with("_total") { Kind::Counter } else { Kind::Gauge };
            self.note(desc, kind);
        }
        self.registry.register(Box::new(collector))
    }

    pub(super) fn into_parts(mut self) -> (Registry, Vec<Entry>) {
        self.entries.sort_by(|a, b| a.name.cmp(&b.name));
        (self.registry, self.entries)
    }
}
