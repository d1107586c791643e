//! What is counted, read back for people: the console shows it.

use prometheus::proto::{MetricFamily, MetricType};

/// A counter or gauge, with its labels, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The name of the metric.
    pub name: String,
    /// Its labels with their values, by name.
    pub labels: Vec<(String, String)>,
    /// What it says.
    pub value: f64,
}

impl Reading {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

/// All counters and gauges.
pub(super) fn of(families: &[MetricFamily]) -> Vec<Reading> {
    let readings = |family: &MetricFamily| {
        let kind = family.get_field_type();
        let reading = |metric: &prometheus::proto::Metric| {
            let value = match kind {
                MetricType::COUNTER => metric.get_counter().get_value(),
                MetricType::GAUGE => metric.get_gauge().get_value(),
                _ => return None,
            };
            let labels =
                metric.get_label().iter().map(|pair| (pair.name().to_owned(), pair.value().to_owned())).collect();
            Some(Reading { name: family.name().to_owned(), labels, value })
        };
        family.get_metric().iter().filter_map(reading).collect::<Vec<_>>()
    };
    families.iter().flat_map(readings).collect()
}
