//! `[[rule]]`: where reads go by the file, and who is asked where a replica has no row; and the heartbeat by
//! which their lag is measured.

use crate::support::{Bed, Plan, one};
use landbridge::lab::{Flavor, accounts};
use landbridge::topology::{Lag, Snapshot};
use mysql_async::prelude::*;
use std::time::Duration;

const BY_TABLE: &str = r#"
[[rule]]
schema = "elsewhere"
read = "primary"
[[rule]]
table = ["app.carts", "stock"]
read = "primary"
"#;

async fn table(bed: &Bed, sql: &str) {
    bed.pair.primary.sql(sql).await.expect("administrator");
}

/// How many statements went where they went for this reason.
fn times(bed: &Bed, reason: &str) -> String {
    bed.metric_of("landbridge_statements_total", reason).abs().to_string()
}

/// Tables on both servers, each with one row; then the applier stops and somebody adds another.
async fn bed_with_a_late_replica(flavor: Flavor, extra: &'static str, tables: &[&str]) -> Bed {
    let bed = Bed::with(flavor, Plan { extra, ..Plan::default() }).await;
    for name in tables {
        table(&bed, &format!("CREATE TABLE app.{name} (id INT PRIMARY KEY, s VARCHAR(20))")).await;
        table(&bed, &format!("INSERT INTO app.{name} VALUES (1, 'old')")).await;
    }
    bed.pair.wait_caught_up().await.expect("catches up");
    bed.pair.stop_applier().await.expect("stops");
    for name in tables {
        table(&bed, &format!("INSERT INTO app.{name} VALUES (2, 'new')")).await;
    }
    bed
}

/// Reads of the tables that a rule names go to the primary, others do not.
async fn a_rule_sends_reads_of_its_tables_to_the_primary(flavor: Flavor) {
    let bed = bed_with_a_late_replica(flavor, BY_TABLE, &["carts", "stock", "other"]).await;
    // Each asks as somebody new: what was seen at the primary must be seen by the same user from then on.
    let mut seen = Vec::new();
    for from in ["other", "carts", "other o JOIN stock USING (id)", "`app`.`Stock`"] {
        let mut client = bed.client().await;
        let hint = if from.contains("JOIN") { "/* landbridge: replica */ " } else { "" };
        if from.contains("Stock") {
            // Names compare as servers compare them: there is no such table.
            assert!(client.query_drop(format!("SELECT COUNT(*) FROM {from}")).await.is_err());
            continue;
        }
        let rows: u64 = one(&mut client, &format!("{hint}SELECT COUNT(*) FROM {from}")).await;
        seen.push((rows, times(&bed, "rule")));
        client.disconnect().await.expect("goodbye");
    }
    assert_eq!(seen[..2], [(1, "0".into()), (2, "1".into())], "the replica for others, the primary for the rule");
    assert_eq!(seen[2].1, "1", "a hint counts more than a rule");
    let mut client = bed.client().await;
    let rows: Option<u64> = client.exec_first("SELECT COUNT(*) FROM carts WHERE id > ?", (0,)).await.expect("prepared");
    assert_eq!(rows, Some(2), "prepared");
    assert_eq!(times(&bed, "rule"), "2", "prepared");
    client.disconnect().await.expect("goodbye");
    bed.stop().await;
}

const ON_EMPTY: &str = r#"
[[rule]]
table = "files"
on_empty = "primary"
[consistency]
scope = "off"
"#;

/// Where the replica has no row the primary's answer is the only one, in both protocols; where it has one,
/// it answers.
async fn a_missing_row_is_asked_for_at_the_primary(flavor: Flavor) {
    let bed = bed_with_a_late_replica(flavor, ON_EMPTY, &["files", "other"]).await;
    table(&bed, "UPDATE app.files SET s = 'newer' WHERE id = 1").await;
    let mut client = bed.client().await;
    let on_empty = || times(&bed, "on_empty");
    assert_eq!(client.query_first("SELECT s FROM files WHERE id = 1").await.expect("answered"), Some("old".to_owned()));
    assert_eq!(on_empty(), "0", "the replica answers what it has");
    assert_eq!(client.query_first("SELECT s FROM files WHERE id = 2").await.expect("answered"), Some("new".to_owned()));
    assert_eq!(on_empty(), "1");
    let none: Option<String> = client.query_first("SELECT s FROM other WHERE id = 2").await.expect("answered");
    assert_eq!(none, None, "no rule");
    assert_eq!(on_empty(), "1");
    let none: Option<String> = client.query_first("SELECT s FROM files WHERE id = 3").await.expect("answered");
    assert_eq!(none, None, "nobody has it");
    assert_eq!(one::<u64>(&mut client, "SELECT FOUND_ROWS()").await, 0);
    assert_eq!(on_empty(), "2");
    for (id, want) in [(1, Some("old")), (2, Some("new")), (3, None), (2, Some("new"))] {
        let found: Option<String> =
            client.exec_first("SELECT s FROM files WHERE id = ?", (id,)).await.expect("answered");
        assert_eq!(found.as_deref(), want, "prepared {id}");
    }
    assert_eq!(on_empty(), "5");
    // What the discarded answer left does not show.
    client.query_drop("SELECT s, CAST('x' AS SIGNED) FROM files WHERE id = 2").await.expect("answered");
    assert_eq!(client.get_warnings(), 1, "the primary's warning");
    let warnings: Vec<(String, u16, String)> = client.query("SHOW WARNINGS").await.expect("answered");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    client.query_drop("SELECT SQL_CALC_FOUND_ROWS s FROM files WHERE id > 1 LIMIT 1").await.expect("answered");
    assert_eq!(one::<u64>(&mut client, "SELECT FOUND_ROWS()").await, 1);
    client.query_drop("SET SESSION sql_mode = 'ANSI_QUOTES'").await.expect("answered");
    assert_eq!(
        client.query_first(r#"SELECT s FROM "files" WHERE id = 2"#).await.expect("answered"),
        Some("new".to_owned())
    );
    client.query_drop("BEGIN").await.expect("answered");
    assert_eq!(
        client.query_first("SELECT s FROM files WHERE id = 1").await.expect("answered"),
        Some("newer".to_owned())
    );
    client.query_drop("COMMIT").await.expect("answered");
    client.disconnect().await.expect("goodbye");
    bed.stop().await;
}

/// Where the primary does not answer, no row is the answer.
async fn without_a_primary_the_replica_has_the_last_word(flavor: Flavor) {
    let bed = bed_with_a_late_replica(flavor, ON_EMPTY, &["files"]).await;
    let mut client = bed.client().await;
    assert_eq!(client.query_first("SELECT s FROM files WHERE id = 2").await.expect("answered"), Some("new".to_owned()));
    bed.ocean.cut();
    let none: Option<String> = client.query_first("SELECT s FROM files WHERE id = 2").await.expect("answered");
    assert_eq!(none, None);
    assert_eq!(client.query_first("SELECT s FROM files WHERE id = 1").await.expect("answered"), Some("old".to_owned()));
    bed.stop().await;
}

const HEARTBEAT: &str = r#"
heartbeat = "app.heartbeat"
"#;

/// Lag is what a table says into which a client writes the time; without it, what it is otherwise.
async fn lag_is_measured_by_a_heartbeat(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { monitor: HEARTBEAT, ..Plan::default() }).await;
    let lag = |snapshot: &Snapshot| match snapshot.servers[1].lag {
        Lag::Behind(lag) => Some(lag),
        Lag::Unknown | Lag::Stopped => None,
    };
    // There is no such table yet, which is no reason to know nothing.
    bed.topology(|snapshot| lag(snapshot).is_some_and(|lag| lag < Duration::from_secs(5))).await;
    table(&bed, "CREATE TABLE app.heartbeat (ts VARCHAR(26) NOT NULL, server_id INT PRIMARY KEY)").await;
    table(&bed, &format!("GRANT SELECT ON app.heartbeat TO '{}'@'%'", accounts::MONITOR.user)).await;
    bed.pair.wait_caught_up().await.expect("catches up");
    // Long ago by any clock.
    table(&bed, "INSERT INTO app.heartbeat VALUES ('2020-01-01T10:00:00.000000', 1)").await;
    bed.pair.wait_caught_up().await.expect("catches up");
    bed.topology(|snapshot| lag(snapshot) == Some(Duration::ZERO)).await;
    bed.pair.stop_applier().await.expect("stops");
    table(&bed, "UPDATE app.heartbeat SET ts = '2020-01-01T10:01:30.500000'").await;
    let late = Duration::from_millis(90_500)..Duration::from_secs(120);
    bed.topology(|snapshot| lag(snapshot).is_some_and(|lag| late.contains(&lag))).await;
    bed.pair.start_applier().await.expect("starts");
    bed.topology(|snapshot| lag(snapshot) == Some(Duration::ZERO)).await;
    bed.stop().await;
}

crate::on_both!(
    lag_is_measured_by_a_heartbeat,
    a_rule_sends_reads_of_its_tables_to_the_primary,
    a_missing_row_is_asked_for_at_the_primary,
    without_a_primary_the_replica_has_the_last_word,
);
