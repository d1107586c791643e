//! `SHOW LAG`

use super::servers::lag;
use super::{Table, cell, maybe};
use crate::metrics::Reading;
use crate::status::words::{has_everything, short};
use crate::topology::{Health, Role, ServerView, Snapshot};

/// How waits for a replica may end, as `landbridge_gtid_waits_total` has it.
const OUTCOMES: [&str; 4] = ["caught_up", "shared", "timed_out", "failed"];

/// The table: one row for each replica.
pub(in crate::console) fn table(snapshot: &Snapshot, readings: &[Reading]) -> Table {
    let mut table = Table::new(&[
        "server",
        "lag_ms",
        "held_lag_ms",
        "max_lag_ms",
        "missing",
        "#caught_up",
        "#shared",
        "#timed_out",
        "#failed",
    ]);
    for server in
        snapshot.servers.iter().filter(|server| server.role == Role::Replica && server.health != Health::Retired)
    {
        let waits = OUTCOMES.map(|outcome| {
            let is_meant = |reading: &&Reading| {
                reading.name == "landbridge_gtid_waits_total"
                    && reading.label("server") == Some(&*server.name)
                    && reading.label("outcome") == Some(outcome)
            };
            cell(readings.iter().filter(is_meant).fold(0.0, |sum, reading| sum + reading.value))
        });
        let [caught_up, shared, timed_out, failed] = waits;
        table.add([
            cell(&server.name),
            cell(lag(server.lag)),
            maybe(server.held_lag.map(|lag| lag.as_millis())),
            cell(server.max_lag.as_millis()),
            cell(missing(snapshot, server)),
            caught_up,
            shared,
            timed_out,
            failed,
        ]);
    }
    table
}

/// What the primary last said it has, and this replica has not.
fn missing(snapshot: &Snapshot, server: &ServerView) -> String {
    let Some(report) = &snapshot.report else { return "unknown".to_owned() };
    match (&server.executed, has_everything(snapshot, server)) {
        (None, _) => "unknown".to_owned(),
        (_, Some(true)) => "nothing".to_owned(),
        (Some(executed), _) => format!("has {} of {}", short(executed), short(&report.executed)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::servers::example;
    use super::*;
    use crate::topology::PrimaryReport;
    use std::time::Instant;

    #[test]
    fn what_is_missing_and_how_waits_ended() {
        let servers = example();
        let (executed, now) = (servers[0].executed.clone().expect("told"), Instant::now());
        let report = PrimaryReport { asked: now, nothing_on_its_way: now, primary_since: now, executed };
        let snapshot = Snapshot { report: Some(report), ..Snapshot::of(servers) };
        let reading = |server: &str, outcome: &str, value| Reading {
            name: "landbridge_gtid_waits_total".into(),
            labels: vec![("server".into(), server.into()), ("outcome".into(), outcome.into())],
            value,
        };
        let readings = [
            reading("replica-eu", "caught_up", 3.0),
            reading("other", "caught_up", 4.0),
            reading("replica-eu", "failed", 1.0),
        ];
        let table = table(&snapshot, &readings);
        let row: Vec<_> = table.rows[0].iter().map(|cell| cell.as_deref().unwrap_or("NULL")).collect();
        assert_eq!(row, ["replica-eu", "40", "50", "10000", "has 0-1-7 of 0-1-9", "3", "0", "0", "1"]);
        assert_eq!(table.rows.len(), 1);
    }
}
