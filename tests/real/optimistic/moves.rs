//! Transactions that write after they have read.

use super::{bed, is_refused, outcomes, run, trips};
use crate::support::{Bed, one};
use landbridge::lab::Flavor;
use mysql_async::Conn;
use mysql_async::prelude::*;

const READS: [&str; 5] = [
    "SELECT n FROM t WHERE id = 1",
    "SELECT n FROM t WHERE id = 2",
    "SELECT id, n FROM t ORDER BY n DESC",
    "SELECT COUNT(*) FROM t",
    "SELECT n FROM t WHERE id = 99",
];

/// What it costs: one round trip for the first write with all that was read before, one for each further statement.
async fn a_transaction_that_writes_pays_from_its_first_write_on(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    let before = trips(&bed);
    run(&mut client, &["BEGIN"]).await;
    run(&mut client, &READS).await;
    run(&mut client, &["UPDATE t SET n = 11 WHERE id = 1", "COMMIT"]).await;
    assert_eq!(trips(&bed) - before, 2, "text");
    assert_eq!(one::<u64>(&mut client, "SELECT n FROM t WHERE id = 1").await, 11);

    let before = trips(&bed);
    run(&mut client, &["BEGIN"]).await;
    for id in 1..=5 {
        client.exec_drop("SELECT n FROM t WHERE id = ?", (id,)).await.expect("a read");
    }
    client.exec_drop("UPDATE t SET n = ? WHERE id = ?", (12, 1)).await.expect("a write");
    run(&mut client, &["COMMIT"]).await;
    assert_eq!(trips(&bed) - before, 2, "prepared");
    assert_eq!(one::<u64>(&mut client, "SELECT n FROM t WHERE id = 1").await, 12);

    let before = trips(&bed);
    run(&mut client, &["SET autocommit = 0"]).await;
    run(&mut client, &READS).await;
    run(&mut client, &["INSERT INTO t (n) VALUES (20)", "SELECT n FROM t WHERE id = 1", "COMMIT"]).await;
    assert_eq!(trips(&bed) - before, 3, "without autocommit");
    run(&mut client, &["SET autocommit = 1"]).await;

    let before = trips(&bed);
    run(&mut client, &["BEGIN", READS[0], "SAVEPOINT a", READS[1], "SAVEPOINT b"]).await;
    run(&mut client, &["UPDATE t SET n = 100 WHERE id = 5", "ROLLBACK TO b", "ROLLBACK TO a", "COMMIT"]).await;
    assert_eq!(trips(&bed) - before, 4, "savepoints go along");
    assert_eq!(one::<u64>(&mut client, "SELECT n FROM t WHERE id = 5").await, 5);

    let before = trips(&bed);
    run(&mut client, &["SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN"]).await;
    run(&mut client, &READS).await;
    run(&mut client, &["DELETE FROM t WHERE id = 6", "COMMIT"]).await;
    assert_eq!(trips(&bed) - before, 2, "nothing has to be read again");
    assert_eq!((outcomes(&bed, "moved"), outcomes(&bed, "refused")), (5, 0));
    bed.stop().await;
}

/// What a client sees of a transaction that moved is what it would have seen at the primary.
async fn nobody_can_tell_that_it_moved(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut moved = bed.client().await;
    let mut direct = bed.client().await;
    run(&mut moved, &["SET @who = 'me', time_zone = '+03:00'"]).await;
    run(&mut direct, &["SET @who = 'me', time_zone = '+03:00'"]).await;
    run(&mut moved, &["BEGIN", READS[2]]).await;
    run(&mut direct, &["/* landbridge: transactions=primary */ BEGIN", READS[2]]).await;
    run(&mut moved, &["INSERT INTO t (n, s) VALUES (1, @who), (2, @@time_zone)"]).await;
    let seen = |conn: &Conn| (conn.affected_rows(), conn.get_warnings(), conn.info().into_owned());
    run(&mut direct, &["INSERT INTO t (n, s) VALUES (1, @who), (2, @@time_zone)"]).await;
    assert_eq!(seen(&moved), seen(&direct));
    for question in ["SELECT ROW_COUNT()", "SELECT @who", "SELECT @@time_zone", "SELECT COUNT(*) FROM t"] {
        assert_eq!(one::<String>(&mut moved, question).await, one::<String>(&mut direct, question).await, "{question}");
    }
    let id: u64 = one(&mut moved, "SELECT LAST_INSERT_ID()").await;
    let last: u64 = one(&mut direct, "SELECT LAST_INSERT_ID()").await;
    assert_eq!(id + 2, last);
    run(&mut moved, &["COMMIT"]).await;
    run(&mut direct, &["COMMIT"]).await;
    assert_eq!(one::<u64>(&mut moved, "SELECT COUNT(*) FROM t").await, 14);
    bed.stop().await;
}

/// Somebody else has changed what it read.
async fn changed(bed: &Bed, id: u32) {
    bed.pair.primary.sql(&format!("UPDATE app.t SET n = n + 1000 WHERE id = {id}")).await.expect("a write");
}

async fn is_at(bed: &Bed, sql: &str) -> String {
    bed.pair.primary.sql(sql).await.expect("administrator")[0][0].clone().unwrap_or_default()
}

/// What it read has changed: it is told so, nothing of it remains, and its client can go on.
async fn a_transaction_that_read_what_has_changed_is_refused(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    let (update, insert) = ("UPDATE t SET s = 'x' WHERE id = 7", "INSERT INTO t (s) VALUES ('x')");
    for (write, is_prepared) in [(update, false), (insert, true), (update, true)] {
        run(&mut client, &["BEGIN", READS[0]]).await;
        changed(&bed, 1).await;
        let before = trips(&bed);
        is_refused(if is_prepared { client.exec_drop(write, ()).await } else { client.query_drop(write).await });
        assert_eq!(trips(&bed) - before, 2, "it, and the rollback");
        assert_eq!(is_at(&bed, "SELECT COUNT(*) FROM app.t WHERE s = 'x'").await, "0");
        // No transaction is open any more: this holds at once.
        run(&mut client, &["UPDATE t SET s = 'y' WHERE id = 8"]).await;
        assert_eq!(is_at(&bed, "SELECT s FROM app.t WHERE id = 8").await, "y");
        bed.pair.wait_caught_up().await.expect("the replica follows");
        // What it saw there has been named: until then reads stay at the primary.
        bed.settled_but(1).await;
    }
    assert_eq!(outcomes(&bed, "refused"), 3);
    // It has differed often: transactions read it at the primary now.
    run(&mut client, &["BEGIN", READS[0]]).await;
    changed(&bed, 2).await;
    run(&mut client, &["UPDATE t SET s = 'x' WHERE id = 7", "COMMIT"]).await;
    assert_eq!(is_at(&bed, "SELECT COUNT(*) FROM app.t WHERE s = 'x'").await, "1");
    bed.settled_but(1).await;
    bed.stop().await;
}

/// What cannot be undone is sent when all is verified: tables without transactions, triggers, definitions.
async fn what_cannot_be_undone_waits_until_all_is_verified(flavor: Flavor) {
    let bed = bed(flavor).await;
    for sql in [
        "CREATE TABLE app.log (n INT) ENGINE=MyISAM",
        "CREATE TABLE app.watched (n INT)",
        "CREATE TRIGGER app.watch BEFORE INSERT ON app.watched FOR EACH ROW INSERT INTO app.log VALUES (NEW.n)",
    ] {
        bed.pair.primary.sql(sql).await.expect(sql);
    }
    bed.pair.wait_caught_up().await.expect("the replica follows");
    let mut client = bed.client().await;
    for (id, write) in [
        (1, "INSERT INTO log VALUES (1)"),
        (2, "INSERT INTO watched VALUES (1)"),
        (3, "CREATE TABLE made (n INT)"),
        (4, "INSERT INTO log SELECT n FROM t"),
        (5, "SET autocommit = 1"),
    ] {
        let read = format!("SELECT n AS n{id} FROM t WHERE id = {id}");
        run(&mut client, &["BEGIN", &read]).await;
        changed(&bed, id).await;
        is_refused(client.query_drop(write).await);
        bed.pair.wait_caught_up().await.expect("the replica follows");
    }
    assert_eq!(is_at(&bed, "SELECT COUNT(*) FROM app.log").await, "0");
    let made = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'app' AND table_name = 'made'";
    assert_eq!(is_at(&bed, made).await, "0");
    // And then it is sent.
    let writes = ["INSERT INTO log VALUES (1)", "INSERT INTO watched VALUES (2)"];
    // MySQL's GTIDs forbid the second one.
    let allowed = if flavor == Flavor::MySql { &writes[..1] } else { &writes[..] };
    for write in allowed {
        run(&mut client, &["BEGIN", "SELECT n AS n9 FROM t WHERE id = 9", write, "COMMIT"]).await;
    }
    assert_eq!(is_at(&bed, "SELECT COUNT(*) FROM app.log").await, allowed.len().to_string());
    bed.stop().await;
}

/// The order of rows counts where it was asked for, and only there.
async fn the_order_of_rows(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    // They swap places, and show the same rows.
    let swap = "UPDATE app.t SET n = 5 - n WHERE id IN (2, 3)";
    run(&mut client, &["BEGIN", "SELECT id FROM t WHERE id IN (2, 3) ORDER BY n"]).await;
    bed.pair.primary.sql(swap).await.expect("a write");
    is_refused(client.query_drop("UPDATE t SET s = 'x' WHERE id = 1").await);
    bed.pair.wait_caught_up().await.expect("the replica follows");
    run(&mut client, &["BEGIN", "SELECT id FROM t WHERE id IN (2, 3)"]).await;
    bed.pair.primary.sql(swap).await.expect("a write");
    run(&mut client, &["UPDATE t SET s = 'x' WHERE id = 1", "COMMIT"]).await;
    assert_eq!(is_at(&bed, "SELECT s FROM app.t WHERE id = 1").await, "x");
    bed.stop().await;
}

/// A replica's error is not the last word, and its end is not that of the transaction.
async fn a_replica_that_errs_or_goes(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    bed.pair.replica.sql("SET SESSION sql_log_bin = 0; DROP TABLE app.t").await.ok();
    bed.pair.replica.sql("DROP TABLE IF EXISTS app.t").await.ok();
    run(&mut client, &["BEGIN"]).await;
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 10, "the primary has it");
    run(&mut client, &["UPDATE t SET n = 7 WHERE id = 1", "COMMIT"]).await;
    let error = async {
        run(&mut client, &["BEGIN"]).await;
        client.query_drop("SELECT * FROM missing").await
    };
    let error = error.await.expect_err("there is no such table");
    assert!(error.to_string().contains("1146"), "{error}");
    run(&mut client, &["UPDATE t SET n = 8 WHERE id = 1", "COMMIT"]).await;
    assert_eq!(is_at(&bed, "SELECT n FROM app.t WHERE id = 1").await, "8");
    bed.stop().await;

    let bed = super::bed(flavor).await;
    let mut client = bed.client().await;
    run(&mut client, &["BEGIN", READS[0]]).await;
    bed.shore.cut();
    run(&mut client, &[READS[2], "UPDATE t SET n = 7 WHERE id = 1", "COMMIT"]).await;
    assert_eq!(is_at(&bed, "SELECT n FROM app.t WHERE id = 1").await, "7");
    bed.stop().await;
}

crate::on_both!(
    a_transaction_that_writes_pays_from_its_first_write_on,
    nobody_can_tell_that_it_moved,
    a_transaction_that_read_what_has_changed_is_refused,
    what_cannot_be_undone_waits_until_all_is_verified,
    the_order_of_rows,
    a_replica_that_errs_or_goes,
);
