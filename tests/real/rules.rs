//! `[[rule]]`: where reads go by the file.

use crate::support::{Bed, Plan, one};
use landbridge::lab::Flavor;
use mysql_async::prelude::*;

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
        let before = bed.metric_of("landbridge_statements_total", "rule");
        let rows: u64 = one(&mut client, &format!("{hint}SELECT COUNT(*) FROM {from}")).await;
        seen.push((rows, bed.metric_of("landbridge_statements_total", "rule") - before));
        client.disconnect().await.expect("goodbye");
    }
    assert_eq!(seen[..2], [(1, 0.0), (2, 1.0)], "the replica for others, the primary for the rule");
    assert!(seen[2].1 == 0.0, "a hint counts more than a rule");
    let mut client = bed.client().await;
    let before = bed.metric_of("landbridge_statements_total", "rule");
    let rows: Option<u64> = client.exec_first("SELECT COUNT(*) FROM carts WHERE id > ?", (0,)).await.expect("prepared");
    assert_eq!(rows, Some(2), "prepared");
    assert!(bed.metric_of("landbridge_statements_total", "rule") > before, "prepared");
    client.disconnect().await.expect("goodbye");
    bed.stop().await;
}

crate::on_both!(a_rule_sends_reads_of_its_tables_to_the_primary,);
