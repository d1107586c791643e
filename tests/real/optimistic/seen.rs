//! What transactions on a replica see, and may ask of what they saw.

use super::{EVERYBODY, bed, outcomes, run, tables_are_known};
use crate::support::{Bed, Plan, one};
use landbridge::lab::Flavor;
use mysql_async::Error;
use mysql_async::prelude::*;
use std::time::Duration;

const PER_TABLE: &str =
    "[route]\ntransactions = \"optimistic\"\n[consistency]\nscope = \"connection\"\nper_table = true\n";
const BY_KEY: &str = "[route]\ntransactions = \"optimistic\"\n[consistency]\nscope = \"key\"\n";

async fn bed_with(flavor: Flavor, extra: &'static str) -> Bed {
    let bed = Bed::with(flavor, Plan { extra, ..Plan::default() }).await;
    let mut client = bed.client().await;
    run(&mut client, &["INSERT INTO t (id, n) VALUES (1, 1), (2, 2)"]).await;
    run(&mut client, &["CREATE TABLE u (id INT PRIMARY KEY, n INT)", "INSERT INTO u VALUES (1, 1)"]).await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    tables_are_known(&bed, &mut client).await;
    client.disconnect().await.expect("goodbye");
    bed
}

/// Lets the replica go on, and waits until it has all.
async fn go_on(bed: &Bed) {
    bed.pair.start_applier().await.expect("started");
    bed.pair.wait_caught_up().await.expect("the replica follows");
}

/// All its reads see one state: the first of them must find all that any of them may have to see.
async fn the_first_read_waits_for_all_tables(flavor: Flavor) {
    let bed = bed_with(flavor, PER_TABLE).await;
    let mut client = bed.client().await;
    for (n, first) in (10_u64..).zip(["SELECT n FROM t WHERE id = 1", "EXPLAIN SELECT n FROM t WHERE id = 1"]) {
        bed.pair.stop_applier().await.expect("stopped");
        run(&mut client, &[&format!("UPDATE u SET n = {n} WHERE id = 1"), "BEGIN", first]).await;
        go_on(&bed).await;
        assert_eq!(one::<u64>(&mut client, "SELECT n FROM u WHERE id = 1").await, n, "behind {first}");
        run(&mut client, &["COMMIT"]).await;
    }
    bed.stop().await;
}

/// The same where reads name keys: what a later one must see, the first one may not have waited for.
async fn reads_that_name_another_key(flavor: Flavor) {
    let bed = bed_with(flavor, BY_KEY).await;
    let (mut writer, mut reader) = (bed.client().await, bed.client().await);
    bed.pair.stop_applier().await.expect("stopped");
    run(&mut writer, &["/* landbridge: key=k2 */ UPDATE t SET n = 99 WHERE id = 2"]).await;
    run(&mut reader, &["BEGIN", "/* landbridge: key=k1 */ SELECT n FROM t WHERE id = 1"]).await;
    go_on(&bed).await;
    assert_eq!(one::<u64>(&mut reader, "/* landbridge: key=k2 */ SELECT n FROM t WHERE id = 2").await, 99);
    run(&mut reader, &["COMMIT"]).await;
    bed.stop().await;
}

/// What describes tables may fix what is seen, and shows what its own user has defined.
async fn what_describes_waits_as_well(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { extra: EVERYBODY, ..Plan::default() }).await;
    let mut client = bed.client().await;
    run(&mut client, &["INSERT INTO t (id, n) VALUES (1, 1)"]).await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    for (n, what) in
        (10_u64..).zip(["EXPLAIN SELECT n FROM t WHERE id = 1", "DESCRIBE t", "SHOW TABLES", "SHOW INDEX FROM t"])
    {
        bed.pair.stop_applier().await.expect("stopped");
        run(&mut client, &[&format!("UPDATE t SET n = {n} WHERE id = 1"), "BEGIN", "SELECT 1", what]).await;
        go_on(&bed).await;
        assert_eq!(one::<u64>(&mut client, "SELECT n FROM t WHERE id = 1").await, n, "behind {what}");
        run(&mut client, &["COMMIT"]).await;
    }
    bed.pair.stop_applier().await.expect("stopped");
    run(&mut client, &["CREATE TABLE made (n INT)", "BEGIN", "SELECT 1"]).await;
    let tables: Vec<String> = client.query("SHOW TABLES").await.expect("tables");
    assert!(tables.contains(&"made".to_owned()), "{tables:?}");
    run(&mut client, &["COMMIT"]).await;
    go_on(&bed).await;
    bed.stop().await;
}

/// What a read left on the replica is asked there, however much has been read, and nowhere else.
async fn what_a_read_left_is_asked_where_it_is(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    let fill: Vec<String> = (0..199).map(|n| format!("SELECT n FROM t WHERE id = {n}")).collect();
    let fill: Vec<&str> = fill.iter().map(String::as_str).collect();
    run(&mut client, &["BEGIN"]).await;
    run(&mut client, &fill).await;
    run(&mut client, &["SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 3"]).await;
    assert_eq!(one::<u64>(&mut client, "SELECT FOUND_ROWS()").await, 10);
    run(&mut client, &["COMMIT", "BEGIN"]).await;
    run(&mut client, &fill).await;
    run(&mut client, &["SELECT CAST('a' AS SIGNED) FROM t LIMIT 1"]).await;
    let warnings: Vec<(String, u16, String)> = client.query("SHOW WARNINGS").await.expect("warnings");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    run(&mut client, &["COMMIT", "BEGIN", "SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 3"]).await;
    // With its connection goes what only that knew.
    bed.shore.cut();
    let error = client.query_drop("SELECT FOUND_ROWS()").await.expect_err("nobody knows");
    assert!(matches!(&error, Error::Server(error) if error.code == 1235), "{error}");
    run(&mut client, &["UPDATE t SET n = 7 WHERE id = 1", "COMMIT"]).await;
    bed.stop().await;
}

/// A read that somebody ends is over: it does not begin anew elsewhere. Its transaction goes on.
async fn a_read_that_is_killed(flavor: Flavor) {
    let bed = bed(flavor).await;
    let (mut client, mut other) = (bed.client().await, bed.client().await);
    let id = one::<u32>(&mut client, "SELECT CONNECTION_ID()").await;
    run(&mut client, &["BEGIN", "SELECT n FROM t WHERE id = 1"]).await;
    let long = "SELECT COUNT(*) FROM t a, t b, t c, t d, t e, t f, t g, t h, t i, t j, t k WHERE a.n * b.n * k.n < 0";
    let running = tokio::spawn(async move {
        let killed = client.query_drop(long).await;
        (client, killed)
    });
    let runs =
        "SELECT COUNT(*) > 0 FROM information_schema.processlist WHERE info LIKE 'SELECT COUNT(*) FROM t a, t b%'";
    bed.until_sql_at(&bed.pair.replica, runs, "1").await;
    run(&mut other, &[&format!("KILL QUERY {id}")]).await;
    let ended = tokio::time::timeout(Duration::from_secs(20), running).await.expect("it ends").expect("no panic");
    let (mut client, killed) = ended;
    let error = killed.expect_err("it was killed");
    assert!(matches!(&error, Error::Server(error) if error.code == 1317), "{error}");
    assert_eq!(outcomes(&bed, "moved"), 0);
    run(&mut client, &["UPDATE t SET n = 7 WHERE id = 1", "COMMIT"]).await;
    assert_eq!(outcomes(&bed, "moved"), 1);
    bed.stop().await;
}

/// The end of the replica's connection is not that of the session, whatever it does first.
async fn a_ping_behind_the_end_of_the_connection(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    run(&mut client, &["BEGIN", "SELECT n FROM t WHERE id = 1"]).await;
    bed.shore.cut();
    client.ping().await.expect("it can go on");
    run(&mut client, &["UPDATE t SET n = 7 WHERE id = 1", "ROLLBACK"]).await;
    assert_eq!(one::<u64>(&mut client, "SELECT n FROM t WHERE id = 1").await, 1);
    bed.stop().await;
}

crate::on_both!(
    the_first_read_waits_for_all_tables,
    reads_that_name_another_key,
    what_describes_waits_as_well,
    what_a_read_left_is_asked_where_it_is,
    a_read_that_is_killed,
    a_ping_behind_the_end_of_the_connection,
);
