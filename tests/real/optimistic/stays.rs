//! Transactions that only read.

use super::{bed, outcomes, run, trips};
use crate::support::{Bed, Plan, one};
use landbridge::lab::Flavor;
use mysql_async::prelude::*;

/// However long they are, nothing of them crosses the ocean.
async fn a_transaction_that_only_reads_costs_nothing(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    let before = trips(&bed);
    for end in ["COMMIT", "ROLLBACK"] {
        run(&mut client, &["START TRANSACTION"]).await;
        for id in 1..=10 {
            let n: Option<u64> = client.exec_first("SELECT n FROM t WHERE id = ?", (id,)).await.expect("a read");
            assert_eq!(n, Some(id));
            assert_eq!(one::<u64>(&mut client, &format!("SELECT n FROM t WHERE id = {id}")).await, id);
        }
        run(&mut client, &["SAVEPOINT a", "SELECT COUNT(*) FROM t", "ROLLBACK TO a", "RELEASE SAVEPOINT a"]).await;
        run(&mut client, &["SELECT NOW()", "SHOW TABLES", "SELECT 1", end]).await;
    }
    run(&mut client, &["SET autocommit = 0", "SELECT n FROM t", "SELECT n FROM t", "COMMIT"]).await;
    run(&mut client, &["SELECT n FROM t", "ROLLBACK", "SET autocommit = 1"]).await;
    run(&mut client, &["START TRANSACTION READ ONLY", "SELECT n FROM t", "COMMIT"]).await;
    assert_eq!(trips(&bed) - before, 0);
    assert_eq!((outcomes(&bed, "begun"), outcomes(&bed, "ended_locally")), (5, 5));
    bed.stop().await;
}

/// It sees one state of the data, whatever is written meanwhile, and its own user's writes before it.
async fn it_sees_one_state(flavor: Flavor) {
    let bed = bed(flavor).await;
    let (mut reader, mut writer) = (bed.client().await, bed.client().await);
    for round in 100..110_u64 {
        run(&mut writer, &[&format!("UPDATE t SET n = {round} WHERE id IN (1, 2)")]).await;
        run(&mut reader, &["BEGIN"]).await;
        assert_eq!(one::<u64>(&mut reader, "SELECT n FROM t WHERE id = 1").await, round);
        run(&mut writer, &["UPDATE t SET n = 0 WHERE id IN (1, 2)"]).await;
        bed.pair.wait_caught_up().await.expect("the replica follows");
        assert_eq!(one::<u64>(&mut reader, "SELECT n FROM t WHERE id = 2").await, round);
        run(&mut reader, &["COMMIT"]).await;
        assert_eq!(one::<u64>(&mut reader, "SELECT n FROM t WHERE id = 2").await, 0);
    }
    // At READ COMMITTED each read sees what its user has written meanwhile.
    run(&mut reader, &["SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN"]).await;
    for round in 200..205_u64 {
        run(&mut writer, &[&format!("UPDATE t SET n = {round} WHERE id = 1")]).await;
        assert_eq!(one::<u64>(&mut reader, "SELECT n FROM t WHERE id = 1").await, round);
    }
    run(&mut reader, &["COMMIT"]).await;
    bed.stop().await;
}

/// Who says that it will not write reads nearby without being asked, and is refused what it may not do.
async fn a_transaction_that_says_read_only(flavor: Flavor) {
    let extra = "[consistency]\nwait = \"10s\"\n";
    let bed = Bed::with(flavor, Plan { quiet: true, extra, ..Plan::default() }).await;
    let mut client = bed.client().await;
    run(&mut client, &["INSERT INTO t (id, n) VALUES (1, 1)"]).await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    bed.settled_but(1).await;
    let before = trips(&bed);
    for begin in ["START TRANSACTION READ ONLY", "SET TRANSACTION READ ONLY; BEGIN"] {
        for part in begin.split("; ") {
            run(&mut client, &[part]).await;
        }
        run(&mut client, &["SELECT n FROM t", "SELECT COUNT(*) FROM t", "COMMIT"]).await;
    }
    run(&mut client, &["SET SESSION TRANSACTION READ ONLY", "BEGIN", "SELECT n FROM t", "ROLLBACK"]).await;
    assert_eq!(trips(&bed) - before, 0);
    run(&mut client, &["BEGIN", "SELECT n FROM t"]).await;
    let error = client.query_drop("UPDATE t SET n = 2").await.expect_err("it may not write");
    assert!(error.to_string().contains("1792"), "{error}");
    run(&mut client, &["COMMIT", "SET SESSION TRANSACTION READ WRITE"]).await;
    // What that one saw at the primary is asked for behind its end.
    bed.settled_but(1).await;
    run(&mut client, &["/* landbridge: transactions=primary */ START TRANSACTION READ ONLY", "SELECT n FROM t"]).await;
    let before = trips(&bed);
    run(&mut client, &["COMMIT", "BEGIN", "SELECT n FROM t", "COMMIT"]).await;
    assert_eq!(trips(&bed) - before, 3, "others are at the primary");
    // It would have to be kept as long as the transaction lasts.
    let long = format!("SELECT n FROM t WHERE 'a' <> '{}'", "x".repeat(64 * 1024));
    let (begun, moved) = (outcomes(&bed, "begun"), outcomes(&bed, "moved"));
    run(&mut client, &["START TRANSACTION READ ONLY", &long, "COMMIT"]).await;
    assert_eq!(outcomes(&bed, "begun"), begun, "a long statement");
    run(&mut client, &["START TRANSACTION READ ONLY", "SELECT n FROM t", &long, "SELECT n FROM t", "COMMIT"]).await;
    assert_eq!(
        (outcomes(&bed, "begun"), outcomes(&bed, "moved")),
        (begun + 1, moved + 1),
        "and one behind a short one"
    );
    bed.stop().await;
}

/// Levels that no replica can give, hints, and whoever has not asked for it.
async fn who_stays_at_the_primary(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    for begin in [
        &["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "BEGIN"][..],
        &["SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED", "START TRANSACTION"],
        &["START TRANSACTION WITH CONSISTENT SNAPSHOT"],
        &["START TRANSACTION READ WRITE"],
        &["BEGIN", "START TRANSACTION WITH CONSISTENT SNAPSHOT"],
        &["SET autocommit = 0", "START TRANSACTION WITH CONSISTENT SNAPSHOT"],
        &["SET autocommit = 0", "START TRANSACTION READ WRITE"],
        &["/* landbridge: transactions=primary */ BEGIN"],
    ] {
        run(&mut client, begin).await;
        run(&mut client, &["SELECT n FROM t", "COMMIT", "SET autocommit = 1"]).await;
    }
    for first in [
        "SELECT n FROM t WHERE id = 1 FOR UPDATE",
        "SELECT n FROM t LOCK IN SHARE MODE",
        "SELECT n, RAND() FROM t",
        "SELECT GET_LOCK('a', 0)",
        "SELECT @x := n FROM t",
        "/* landbridge: primary */ SELECT n FROM t",
    ] {
        run(&mut client, &["BEGIN", first, "ROLLBACK", "DO RELEASE_LOCK('a')"]).await;
    }
    assert_eq!(outcomes(&bed, "begun"), 0);
    bed.stop().await;
}

crate::on_both!(
    a_transaction_that_only_reads_costs_nothing,
    it_sees_one_state,
    a_transaction_that_says_read_only,
    who_stays_at_the_primary
);
