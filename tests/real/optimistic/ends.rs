//! How transactions that began on a replica end, and what is open behind that: whatever a client does to them.

use super::{bed, is_refused, outcomes, run};
use crate::support::{Bed, one};
use landbridge::lab::Flavor;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};
use std::time::Duration;

async fn at_primary(bed: &Bed, id: u32) -> String {
    let rows = bed.pair.primary.sql(&format!("SELECT n FROM app.t WHERE id = {id}")).await.expect("administrator");
    rows[0][0].clone().unwrap_or_default()
}

/// A read that nobody has read before, so that none is known not to keep.
fn read(id: u32) -> String {
    format!("SELECT n AS n{id} FROM t WHERE id = {id}")
}

fn code<T: std::fmt::Debug>(result: mysql_async::Result<T>) -> u16 {
    match result {
        Err(Error::Server(error)) => error.code,
        other => panic!("{other:?}"),
    }
}

/// Whether the session is in a transaction: what it writes then is not committed, and can be undone.
async fn is_open(bed: &Bed, client: &mut Conn) -> bool {
    run(client, &["UPDATE t SET n = n + 1 WHERE id = 10"]).await;
    let before = at_primary(bed, 10).await;
    let n = one::<String>(client, "SELECT n FROM t WHERE id = 10 FOR UPDATE").await;
    run(client, &["ROLLBACK"]).await;
    n != before
}

/// Nothing is committed by itself, and nothing stays open, without autocommit.
async fn without_autocommit(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    run(&mut client, &["SET autocommit = 0"]).await;
    for first in
        ["SELECT 1", "SELECT n FROM t WHERE id = 1", "SAVEPOINT a", "SHOW TABLES", "SELECT n FROM t FOR UPDATE"]
    {
        run(&mut client, &[first, "UPDATE t SET n = 100 WHERE id = 1"]).await;
        assert_eq!(at_primary(&bed, 1).await, "1", "behind {first}");
        run(&mut client, &["ROLLBACK"]).await;
        run(&mut client, &[first, &read(2)]).await;
        assert!(is_open(&bed, &mut client).await, "behind {first}");
        assert_eq!(at_primary(&bed, 10).await, "10");
    }
    // It commits, and what comes next is by itself.
    run(&mut client, &[&read(3), "SET autocommit = 1", "UPDATE t SET n = 30 WHERE id = 3"]).await;
    assert_eq!(at_primary(&bed, 3).await, "30");
    run(&mut client, &["BEGIN", &read(4), "SET autocommit = 0", "UPDATE t SET n = 40 WHERE id = 4", "ROLLBACK"]).await;
    assert_eq!(at_primary(&bed, 4).await, "4");
    run(&mut client, &[&read(4), "UPDATE t SET n = 41 WHERE id = 4", "COMMIT"]).await;
    assert_eq!(at_primary(&bed, 4).await, "41");
    bed.stop().await;
}

/// `AND CHAIN`, what commits by itself, and brackets within brackets.
async fn ends_of_all_kinds(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    for end in ["COMMIT AND CHAIN", "ROLLBACK AND CHAIN"] {
        run(&mut client, &["BEGIN", &read(1), end]).await;
        assert!(is_open(&bed, &mut client).await, "{end}");
        run(&mut client, &["BEGIN", &read(1), end, &read(2)]).await;
        assert!(is_open(&bed, &mut client).await, "{end}, and a read");
    }
    run(&mut client, &["BEGIN", &read(1), "BEGIN", &read(2)]).await;
    assert!(is_open(&bed, &mut client).await);
    run(&mut client, &["BEGIN", &read(1), "START TRANSACTION WITH CONSISTENT SNAPSHOT"]).await;
    assert!(is_open(&bed, &mut client).await);
    client.exec_drop("SELECT n FROM t WHERE id = ?", (1,)).await.expect("a read");
    run(&mut client, &["BEGIN", &read(1)]).await;
    client.exec_drop("COMMIT", ()).await.expect("prepared");
    run(&mut client, &["UPDATE t SET n = 20 WHERE id = 2"]).await;
    assert_eq!(at_primary(&bed, 2).await, "20", "by itself");
    run(&mut client, &["BEGIN", &read(1), "CREATE TABLE made (n INT)", "UPDATE t SET n = 21 WHERE id = 2"]).await;
    assert_eq!(at_primary(&bed, 2).await, "21", "definitions commit");
    run(&mut client, &["BEGIN", &read(1), "SELECT n FROM t WHERE id = 3; UPDATE t SET n = 30 WHERE id = 3"]).await;
    assert_eq!(at_primary(&bed, 3).await, "3", "several in one text");
    run(&mut client, &["ROLLBACK", "BEGIN", &read(1), "SELECT 1; COMMIT", "UPDATE t SET n = 31 WHERE id = 3"]).await;
    assert_eq!(at_primary(&bed, 3).await, "31", "it was committed");
    run(&mut client, &["START TRANSACTION READ ONLY", &read(4)]).await;
    assert_eq!(code(client.query_drop("UPDATE t SET n = 40 WHERE id = 4").await), 1792);
    run(&mut client, &["ROLLBACK", "UPDATE t SET n = 41 WHERE id = 4"]).await;
    assert_eq!(at_primary(&bed, 4).await, "41");
    // Its schema goes along, and changes there.
    run(
        &mut client,
        &["CREATE DATABASE app2", "CREATE TABLE app2.t (id INT, n INT)", "INSERT INTO app2.t VALUES (1, 7)"],
    )
    .await;
    run(&mut client, &["BEGIN", &read(5), "USE app2", "UPDATE app.t SET n = 50 WHERE id = 5"]).await;
    assert_eq!(one::<u64>(&mut client, "SELECT n FROM t WHERE id = 1").await, 7);
    run(&mut client, &["ROLLBACK"]).await;
    assert_eq!((at_primary(&bed, 5).await, one::<u64>(&mut client, "SELECT n FROM t").await), ("5".into(), 7));
    run(&mut client, &["BEGIN", "SELECT n FROM app.t"]).await;
    client.reset().await.expect("reset");
    client.query_drop("COMMIT AND RELEASE").await.ok();
    bed.stop().await;
}

/// Savepoints keep their names, also those that the relay uses itself.
async fn savepoints_by_any_name(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    for is_prepared in [false, true] {
        run(&mut client, &["BEGIN", &read(1), "SAVEPOINT landbridge_guard", &read(2), "SAVEPOINT `A`", "SAVEPOINT b"])
            .await;
        run(&mut client, &["ROLLBACK TO a", "SAVEPOINT c", "RELEASE SAVEPOINT `C`"]).await;
        let write = "UPDATE t SET n = n + 100 WHERE id = 1";
        if is_prepared {
            client.exec_drop(write, ()).await.expect("a write");
        } else {
            run(&mut client, &[write]).await;
        }
        assert_eq!(code(client.query_drop("ROLLBACK TO b").await), 1305);
        assert_eq!(code(client.query_drop("ROLLBACK TO c").await), 1305);
        run(&mut client, &["ROLLBACK TO LANDBRIDGE_GUARD"]).await;
        assert_eq!(one::<u64>(&mut client, "SELECT n FROM t WHERE id = 1").await, 1);
        assert_eq!(code(client.query_drop("ROLLBACK TO a").await), 1305);
        run(&mut client, &["UPDATE t SET n = n + 1 WHERE id = 2", "COMMIT"]).await;
    }
    assert_eq!((at_primary(&bed, 1).await, at_primary(&bed, 2).await), ("1".into(), "4".into()));
    bed.stop().await;
}

/// Its first write fails: its transaction goes on, or is over, as it would be at the primary.
async fn a_first_write_that_fails(flavor: Flavor) {
    let bed = bed(flavor).await;
    let (mut client, mut other) = (bed.client().await, bed.client().await);
    run(&mut client, &["SET innodb_lock_wait_timeout = 1"]).await;
    for is_prepared in [false, true] {
        for (write, error) in [("INSERT INTO t (id) VALUES (1)", 1062), ("UPDATE t SET nothing = 1 WHERE id = 1", 1054)]
        {
            run(&mut client, &["BEGIN", &read(1)]).await;
            let failed = if is_prepared { client.exec_drop(write, ()).await } else { client.query_drop(write).await };
            assert_eq!(code(failed), error, "{write}");
            assert!(is_open(&bed, &mut client).await, "{write}");
        }
        run(&mut other, &["/* landbridge: transactions=primary */ BEGIN", "UPDATE t SET s = 'o' WHERE id = 6"]).await;
        run(&mut client, &["BEGIN", &read(1)]).await;
        let write = "UPDATE t SET n = 60 WHERE id = 6";
        let failed = if is_prepared { client.exec_drop(write, ()).await } else { client.query_drop(write).await };
        assert_eq!(code(failed), 1205);
        assert!(is_open(&bed, &mut client).await, "a lock that was not had");
        run(&mut other, &["ROLLBACK"]).await;
        assert_eq!(at_primary(&bed, 6).await, "6");
    }
    bed.stop().await;
}

/// What reads see is compared, however it was asked for and however large it is.
async fn parameters_and_large_rows(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    let by_null = "SELECT id FROM t WHERE s <=> ? AND n < ? ORDER BY id";
    let long = "x".repeat(30_000);
    for (round, change) in [None, Some(1), Some(2)].into_iter().enumerate() {
        run(&mut client, &["BEGIN"]).await;
        let ids: Vec<u64> = client.exec(by_null, (None::<String>, 4)).await.expect("a read");
        assert!(ids.len() <= 3, "{ids:?}");
        let none: Option<u64> = client.exec_first("SELECT id FROM t WHERE s = ?", (&long,)).await.expect("a read");
        assert_eq!(none, None);
        let large =
            format!("SELECT REPEAT(CHAR(96 + n USING latin1), 500000) AS r{round} FROM t WHERE id IN (1, 2, 3)");
        let rows: Vec<Vec<u8>> = client.query(&large).await.expect("rows");
        assert_eq!(rows.len(), 3);
        if let Some(id) = change {
            let sql = format!("UPDATE app.t SET n = n + 10 WHERE id = {id}");
            bed.pair.primary.sql(&sql).await.expect("a write");
            is_refused(client.query_drop("UPDATE t SET n = 99 WHERE id = 9").await);
            bed.pair.wait_caught_up().await.expect("the replica follows");
        } else {
            run(&mut client, &["UPDATE t SET n = 90 WHERE id = 9", "COMMIT"]).await;
            bed.pair.wait_caught_up().await.expect("the replica follows");
        }
    }
    assert_eq!(at_primary(&bed, 9).await, "90");
    assert_eq!(outcomes(&bed, "refused"), 2);
    bed.stop().await;
}

/// The primary is silent while a transaction moves: it is told so in time, and nothing of it is committed.
async fn a_primary_that_falls_silent(flavor: Flavor) {
    let bed = Bed::with(flavor, crate::support::Plan { extra: super::EVERYBODY, ..Default::default() }).await;
    let mut client = bed.client().await;
    run(&mut client, &["INSERT INTO t (id, n) VALUES (1, 1), (2, 2)"]).await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    run(&mut client, &["BEGIN", &read(1)]).await;
    bed.pair.primary.pause().expect("paused");
    let write = client.query_drop("UPDATE t SET n = 20 WHERE id = 2");
    let told = tokio::time::timeout(Duration::from_secs(60), write).await.expect("no hang");
    told.expect_err("nobody answered");
    bed.pair.primary.unpause().expect("goes on");
    bed.topology(|snapshot| snapshot.primary().is_some_and(landbridge::topology::ServerView::is_usable)).await;
    assert_eq!(at_primary(&bed, 2).await, "2");
    run(&mut client, &["UPDATE t SET n = 21 WHERE id = 2"]).await;
    run(&mut client, &["COMMIT"]).await;
    assert_eq!(at_primary(&bed, 2).await, "21");
    bed.stop().await;
}

crate::on_both!(
    without_autocommit,
    ends_of_all_kinds,
    savepoints_by_any_name,
    a_first_write_that_fails,
    parameters_and_large_rows,
    a_primary_that_falls_silent,
);
