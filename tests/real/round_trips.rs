//! What crosses the ocean, counted.

use crate::support::{Bed, one};
use landbridge::lab::Flavor;
use mysql_async::prelude::*;

/// Opening a client connection and reading costs nothing; a fresh client's first write costs one
/// round trip, its state included.
async fn a_fresh_client_pays_for_its_write_alone(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let before = bed.crossed();
    let mut client = bed.client().await;
    let n: u64 = one(&mut client, "SELECT COUNT(*) FROM t").await;
    assert_eq!(n, 0);
    assert_eq!(bed.crossed().since(&before).bytes_to_server, 0, "connect and read");

    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("insert");
    assert_eq!(bed.trips_since(&before), 1, "first write");

    let id: u64 = one(&mut client, "SELECT LAST_INSERT_ID()").await;
    assert_eq!((id, client.last_insert_id()), (1, None));
    let n: u64 = one(&mut client, "SELECT COUNT(*) FROM t").await;
    assert_eq!(n, 1, "its own write");
    client.disconnect().await.expect("goodbye");

    let mut next = bed.client().await;
    let n: u64 = one(&mut next, "SELECT COUNT(*) FROM t").await;
    assert_eq!(n, 1, "the next connection of the same user sees it too");
    bed.stop().await;
}

async fn transactions(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let mut client = bed.client().await;
    let before = bed.crossed();
    client.query_drop("START TRANSACTION").await.expect("begin");
    client.query_drop("COMMIT").await.expect("commit");
    assert_eq!(bed.trips_since(&before), 0, "an empty transaction");
    client.query_drop("BEGIN").await.expect("begin");
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("insert");
    client.query_drop("UPDATE t SET n = 2").await.expect("update");
    client.query_drop("COMMIT").await.expect("commit");
    assert_eq!(bed.trips_since(&before), 3, "BEGIN rides along");
    assert_eq!(one::<u64>(&mut client, "SELECT n FROM t").await, 2);
    client.query_drop("BEGIN").await.expect("begin");
    client.query_drop("DELETE FROM t").await.expect("delete");
    client.query_drop("ROLLBACK").await.expect("rollback");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 1);
    bed.stop().await;
}

async fn prepared_statements(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let mut client = bed.client().await;
    for n in 0..5u64 {
        client.exec_drop("INSERT INTO t (n, s) VALUES (?, ?)", (n, "x".repeat(10))).await.expect("insert");
    }
    let before = bed.crossed();
    let rows: Vec<(u64, String)> =
        client.exec("SELECT n, s FROM t WHERE n >= ? ORDER BY n", (2,)).await.expect("select");
    assert_eq!(rows.len(), 3);
    assert_eq!(bed.trips_since(&before), 0, "a prepared read is local");
    bed.stop().await;
}

async fn session_state_follows_the_session(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let mut a = bed.client().await;
    let mut b = bed.client().await;
    a.query_drop("SET SESSION sql_mode = 'ANSI_QUOTES', time_zone = '+03:00', @who = 'a'").await.expect("set");
    b.query_drop("SET time_zone = '-05:00'").await.expect("set");
    let before = bed.crossed();
    for _ in 0..3 {
        a.query_drop("INSERT INTO t (n, s) VALUES (1, CONCAT(@who, @@time_zone))").await.expect("insert");
        b.query_drop("INSERT INTO t (n, s) VALUES (2, CONCAT(IFNULL(@who, 'nobody'), @@time_zone))")
            .await
            .expect("insert");
    }
    assert_eq!(bed.trips_since(&before), 6, "each statement one round trip, whatever state it needs");
    let rows: Vec<String> = a.query("SELECT DISTINCT s FROM t ORDER BY s").await.expect("rows");
    assert_eq!(rows, ["a+03:00", "nobody-05:00"]);
    let zone: String = one(&mut b, "SELECT CONCAT(@@time_zone, @@sql_mode LIKE '%ANSI_QUOTES%')").await;
    assert_eq!(zone, "-05:000");
    bed.stop().await;
}

crate::on_both!(
    a_fresh_client_pays_for_its_write_alone,
    transactions,
    prepared_statements,
    session_state_follows_the_session,
);
