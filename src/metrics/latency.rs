//! Times of statements: a histogram for each kind of server, at the cost of two relaxed additions.
//!
//! The crate's own histogram takes four atomic steps and a loop, which is fine for what happens now and then. The
//! price here: somebody who looks while a time is added may find it in the sum and not yet in its bucket.

use super::catalogue::{Made, SECONDS};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where a statement ran, in the order of the times.
const TARGETS: [&str; 2] = ["primary", "replica"];

/// Histograms by `target`.
#[derive(Debug, Clone)]
pub struct Latency {
    desc: Desc,
    times: Arc<[Times; TARGETS.len()]>,
}

/// On cache lines of its own: others are written for every statement, too.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Times {
    /// By bucket, not cumulative; the last one has what is longer than all bounds.
    counts: [AtomicU64; SECONDS.len() + 1],
    nanos: AtomicU64,
}

impl Latency {
    pub(super) fn new(name: &str, help: &str) -> Made<Self> {
        let desc = Desc::new(name.into(), help.into(), vec!["target".into()], HashMap::new())?;
        Ok(Self { desc, times: Arc::default() })
    }

    /// Adds a time.
    pub fn add(&self, at_primary: bool, time: Duration) {
        let [primary, replica] = &*self.times;
        let times = if at_primary { primary } else { replica };
        let seconds = time.as_secs_f64();
        let place = SECONDS.iter().position(|bound| seconds <= *bound).unwrap_or(SECONDS.len());
        if let Some(count) = times.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        times.nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Times {
    fn histogram(&self) -> Histogram {
        let mut total = 0;
        let mut cumulative = self.counts.iter().map(|count| {
            total += count.load(Ordering::Relaxed);
            total
        });
        let bucket = |(bound, count): (&f64, u64)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(count);
            bucket
        };
        let buckets = SECONDS.iter().zip(&mut cumulative).map(bucket).collect();
        let count = cumulative.next().unwrap_or_default();
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(count);
        histogram.set_sample_sum(Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).as_secs_f64());
        histogram
    }
}

impl Collector for Latency {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let metric = |(target, times): (&str, &Times)| {
            let mut label = LabelPair::default();
            label.set_name("target".into());
            label.set_value(target.into());
            let mut metric = Metric::from_label(vec![label]);
            metric.set_histogram(times.histogram());
            metric
        };
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(TARGETS.into_iter().zip(&*self.times).map(metric).collect());
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Encoder, TextEncoder};

    #[test]
    fn times_are_counted_as_prometheus_reads_them() {
        let latency = Latency::new("l_seconds", "Times of statements").expect("a name");
        for micros in [100, 101, 2_000, 20_000_000] {
            latency.add(true, Duration::from_micros(micros));
        }
        latency.add(false, Duration::ZERO);
        let mut text = Vec::new();
        TextEncoder::new().encode(&latency.collect(), &mut text).expect("renders");
        let text = String::from_utf8(text).expect("text");
        for line in [
            "# TYPE l_seconds histogram",
            "l_seconds_bucket{target=\"primary\",le=\"0.0001\"} 1",
            "l_seconds_bucket{target=\"primary\",le=\"0.00025\"} 2",
            "l_seconds_bucket{target=\"primary\",le=\"0.0025\"} 3",
            "l_seconds_bucket{target=\"primary\",le=\"10\"} 3",
            "l_seconds_bucket{target=\"primary\",le=\"+Inf\"} 4",
            "l_seconds_sum{target=\"primary\"} 20.002201",
            "l_seconds_count{target=\"primary\"} 4",
            "l_seconds_bucket{target=\"replica\",le=\"0.0001\"} 1",
            "l_seconds_count{target=\"replica\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }
}
