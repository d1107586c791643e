//! Nobody reads data older than their own writes.

use crate::support::{Bed, Plan, one};
use landbridge::lab::Flavor;
use mysql_async::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const PAIRS: u32 = 1_000;

/// Each pair writes on one connection and reads on a new one, while the replica's applier stops and
/// starts so that it lags between nothing and two seconds.
async fn a_lagging_replica_never_shows_the_past(flavor: Flavor) {
    let bed = Arc::new(Bed::with(flavor, Plan { max: 32, ..Plan::default() }).await);
    let done = Arc::new(AtomicBool::new(false));
    let nemesis = tokio::spawn(lag_randomly(bed.clone(), done.clone()));
    let workers = (0..8).map(|worker| {
        let bed = bed.clone();
        tokio::spawn(async move {
            let mut stale = 0;
            for n in 0..PAIRS / 8 {
                let tag = format!("w{worker}-{n}");
                let mut writer = bed.client().await;
                writer.exec_drop("INSERT INTO t (s) VALUES (?)", (&tag,)).await.expect("write");
                writer.disconnect().await.expect("goodbye");
                let mut reader = bed.client().await;
                let seen: u64 = one(&mut reader, &format!("SELECT COUNT(*) FROM t WHERE s = '{tag}'")).await;
                stale += u32::from(seen != 1);
                reader.disconnect().await.expect("goodbye");
            }
            stale
        })
    });
    let mut stale = 0;
    for worker in workers.collect::<Vec<_>>() {
        stale += worker.await.expect("worker");
    }
    done.store(true, Ordering::Relaxed);
    nemesis.await.expect("nemesis");
    assert_eq!(stale, 0, "stale reads of {PAIRS}");
    assert!(bed.metric("landbridge_gtid_waits_total") > 0.0, "some had to wait");
}

/// Stops the applier for up to two seconds at a time; a fixed sequence, so that runs are alike.
async fn lag_randomly(bed: Arc<Bed>, done: Arc<AtomicBool>) {
    let mut x = 12345_u64;
    while !done.load(Ordering::Relaxed) {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bed.pair.stop_applier().await.expect("stops");
        tokio::time::sleep(Duration::from_millis(x >> 33 & 0x7FF)).await;
        bed.pair.start_applier().await.expect("starts");
        tokio::time::sleep(Duration::from_millis(100 + (x >> 43 & 0xFF))).await;
    }
}

/// With the applier stopped for good the writer reads at the primary, promptly; others stay local.
async fn a_stopped_replica_sends_writers_to_the_primary(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    bed.pair.stop_applier().await.expect("stops");
    let mut writer = bed.client().await;
    for n in 1..=5u64 {
        writer.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
        assert_eq!(one::<u64>(&mut writer, "SELECT COUNT(*) FROM t").await, n);
        let mut other = bed.client().await;
        assert_eq!(one::<u64>(&mut other, "SELECT COUNT(*) FROM t").await, n, "a new connection of the same user");
        other.disconnect().await.expect("goodbye");
    }
    assert!(bed.metric_of("landbridge_statements_total", "replica_behind") >= 1.0);
    bed.pair.start_applier().await.expect("starts");
    bed.pair.wait_caught_up().await.expect("catches up");
    assert_eq!(one::<u64>(&mut writer, "SELECT COUNT(*) FROM t").await, 5);
    bed.stop().await;
}

/// What somebody writes on a MariaDB replica has numbers that the primary gives to others: whoever has such a number has not
/// those. Keeping tables in order is enough for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replica_wrote_itself_is_not_what_it_applied() {
    let bed = Bed::new(Flavor::MariaDb).await;
    let mut writer = bed.client().await;
    assert_eq!(one::<u64>(&mut writer, "SELECT COUNT(*) FROM t").await, 0);
    bed.pair.stop_applier().await.expect("stops");
    for _ in 0..5 {
        bed.pair.replica.sql("ANALYZE TABLE app.t").await.expect("by an administrator");
    }
    bed.settings_asked_again().await;
    for n in 1..=5u64 {
        writer.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
        assert_eq!(one::<u64>(&mut writer, "SELECT COUNT(*) FROM t").await, n);
    }
    bed.stop().await;
}

/// Writes inside transactions, multi-statements and procedures count as well.
async fn every_kind_of_write_is_seen(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    bed.pair.primary.sql("CREATE PROCEDURE app.add_row() INSERT INTO app.t (n) VALUES (9)").await.expect("procedure");
    bed.pair.wait_caught_up().await.expect("catches up");
    bed.pair.stop_applier().await.expect("stops");
    let mut client = bed.client().await;
    let mut rows = 0u64;
    for (sql, added) in [
        ("INSERT INTO t (n) VALUES (1)", 1),
        ("INSERT INTO t (n) VALUES (2); INSERT INTO t (n) VALUES (3)", 2),
        ("CALL add_row()", 1),
        ("REPLACE INTO t (id, n) VALUES (1, 5)", 0),
        ("DELETE FROM t LIMIT 1", -1i64),
    ] {
        client.query_drop(sql).await.expect(sql);
        rows = rows.checked_add_signed(added).expect("positive");
        assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, rows, "{sql}");
    }
    client.query_drop("BEGIN").await.expect("begin");
    client.query_drop("INSERT INTO t (n) VALUES (4)").await.expect("insert");
    client.query_drop("COMMIT").await.expect("commit");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, rows + 1, "transaction");
    client.query_drop("CREATE TABLE fresh (n INT)").await.expect("ddl");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM fresh").await, 0, "ddl");
    bed.stop().await;
}

/// A session that has the servers report less is not seen to have written nothing, and sees itself the
/// reports it asked for.
async fn reports_of_its_own_choice(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut writer = bed.client().await;
    let off = match flavor {
        Flavor::MySql => "SET SESSION session_track_gtids = 'OFF'",
        Flavor::MariaDb => "SET SESSION session_track_system_variables = ''",
    };
    writer.query_drop(off).await.expect("set");
    bed.pair.stop_applier().await.expect("stopped");
    for n in 0..5u32 {
        writer.query_drop(format!("INSERT INTO t (n) VALUES ({n})")).await.expect("insert");
        let mut reader = bed.client().await;
        assert_eq!(one::<Option<u32>>(&mut reader, "SELECT MAX(n) FROM t").await, Some(n), "its own write");
    }
    drop(writer);
    bed.stop().await;
}

crate::on_both!(
    reports_of_its_own_choice,
    a_lagging_replica_never_shows_the_past,
    a_stopped_replica_sends_writers_to_the_primary,
    every_kind_of_write_is_seen,
);
