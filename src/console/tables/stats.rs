//! `SHOW STATS`

use super::{Table, cell};
use crate::metrics::Reading;

/// What is shown of the metrics, and what it is called.
const SHOWN: [(&str, &str); 11] = [
    ("landbridge_statements_total", "statements"),
    ("landbridge_round_trips_saved_total", "round trips saved"),
    ("landbridge_stale_reads_avoided_total", "stale reads avoided"),
    ("landbridge_gtid_waits_total", "waits for a replica"),
    ("landbridge_pins_total", "pins"),
    ("landbridge_errors_total", "errors told to clients"),
    ("landbridge_lost_connections_total", "connections lost in a statement"),
    ("landbridge_retried_reads_total", "tried again"),
    ("landbridge_cold_checkouts_total", "checkouts that had to wait"),
    ("landbridge_dials_total", "connections opened"),
    ("landbridge_login_failures_total", "logins refused"),
];

/// The table.
pub(in crate::console) fn table(readings: &[Reading]) -> Table {
    let mut table = Table::new(&["what", "by", "#value"]);
    for (name, what) in SHOWN {
        for reading in readings.iter().filter(|reading| reading.name == name) {
            let by = reading.labels.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ");
            table.add([cell(what), cell(by), cell(reading.value)]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::route::Reason;

    #[test]
    fn metrics_by_name() {
        let metrics = Metrics::new("f00").expect("no name is used twice");
        for _ in 0..3 {
            metrics.session.statements.count(false, Reason::Read);
        }
        metrics.for_pool("primary").dials.inc();
        let table = table(&metrics.readings());
        let rows: Vec<Vec<String>> = table.rows.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
        // Prometheus sorts labels by name.
        assert!(rows.contains(&vec!["statements".into(), "read replica".into(), "3".into()]), "{rows:?}");
        assert!(rows.contains(&vec!["connections opened".into(), "primary".into(), "1".into()]), "{rows:?}");
        assert!(rows.contains(&vec!["stale reads avoided".into(), String::new(), "0".into()]), "{rows:?}");
    }

    #[test]
    fn every_metric_that_is_shown_exists() {
        let metrics = Metrics::new("f00").expect("no name is used twice");
        for (name, _) in SHOWN {
            assert!(metrics.entries().iter().any(|entry| entry.name == name), "{name}");
        }
    }
}
