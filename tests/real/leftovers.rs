//! What a statement leaves for the next one (counts, ids, warnings, one-shot settings, locks): told to
//! the session that left it, and to nobody else. Each test was once a way to get it wrong.

use crate::support::{Bed, Plan, one};
use landbridge::backend::query::Reply;
use landbridge::lab::Flavor;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};

pub(super) const P: &str = "/* landbridge: primary */ ";

pub(super) async fn solo(flavor: Flavor) -> Bed {
    Bed::with(flavor, Plan { min_warm: 1, max: 1, ..Plan::default() }).await
}

pub(super) async fn run(client: &mut Conn, sql: &str) {
    client.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

pub(super) fn code(failure: Result<(), Error>) -> u16 {
    match failure {
        Err(Error::Server(error)) => error.code,
        other => panic!("not a server's error: {other:?}"),
    }
}

/// A write that asks what a read left on a replica must not follow it there.
async fn found_rows_in_a_write(flavor: Flavor) {
    // However busy the machine is, the read is answered nearby.
    let plan = Plan { extra: "[consistency]\nwait = \"10s\"\n", ..Plan::default() };
    let bed = Bed::with(flavor, plan).await;
    let mut client = bed.client().await;
    run(&mut client, "INSERT INTO t (n) VALUES (1), (2), (3)").await;
    bed.pair.wait_caught_up().await.expect("caught up");
    run(&mut client, "SELECT SQL_CALC_FOUND_ROWS n FROM t LIMIT 1").await;
    assert_eq!(code(client.query_drop("INSERT INTO t (n) VALUES (FOUND_ROWS())").await), 1235);
    assert_eq!(one::<u64>(&mut client, "SELECT FOUND_ROWS()").await, 3, "the connection was kept");
    run(&mut client, "SELECT CAST('1x' AS SIGNED)").await;
    assert_eq!(code(client.query_drop("INSERT INTO t (n) SELECT @@warning_count").await), 1235);
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 3);
    bed.stop().await;
}

/// `SET @n = ROW_COUNT()` must not ask a connection that has served others since.
async fn row_count_in_a_set(flavor: Flavor) {
    let bed = solo(flavor).await;
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    run(&mut a, "INSERT INTO t (n) VALUES (1), (2), (3)").await;
    run(&mut b, "UPDATE t SET n = 9 WHERE n = 1").await;
    assert_eq!(code(a.query_drop("SET @n = ROW_COUNT()").await), 1235);
    run(&mut a, "BEGIN").await;
    run(&mut a, "UPDATE t SET n = n + 1").await;
    run(&mut a, "SET @n = ROW_COUNT()").await;
    assert_eq!(one::<i64>(&mut a, "SELECT @n").await, 3, "in a transaction it may");
    bed.stop().await;
}

/// What MariaDB keeps for a connection, of sequences and of transactions, another client's statements have overwritten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequences_and_transactions_of_others() {
    let bed = solo(Flavor::MariaDb).await;
    bed.pair.primary.sql("CREATE SEQUENCE app.s").await.expect("a sequence");
    bed.pair.wait_caught_up().await.expect("caught up");
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    assert_eq!(one::<u64>(&mut a, "SELECT NEXTVAL(s)").await, 1);
    assert_eq!(one::<u64>(&mut b, "SELECT NEXTVAL(s)").await, 2);
    for sql in ["SELECT LASTVAL(s)", "SELECT PREVIOUS VALUE FOR s", "INSERT INTO t (n) VALUES (LASTVAL(s))"] {
        assert_eq!(code(a.query_drop(sql).await), 1235, "{sql}");
    }
    run(&mut a, "BEGIN").await;
    let next = one::<u64>(&mut a, "SELECT NEXTVAL(s)").await;
    assert_eq!(one::<u64>(&mut a, "SELECT LASTVAL(s)").await, next, "in a transaction it may");
    run(&mut a, "COMMIT").await;

    // Here the connection has numbers of another client.
    run(&mut b, "BEGIN").await;
    run(&mut b, "INSERT INTO t (n) VALUES (1)").await;
    assert_eq!(code(b.query_drop("SELECT LASTVAL(s)").await), 1235);
    run(&mut b, "ROLLBACK").await;

    let mut third = bed.client().await;
    assert_eq!(one::<String>(&mut third, "SELECT @@last_gtid").await, "");
    run(&mut third, "BEGIN").await;
    run(&mut third, "SELECT 1 FROM t FOR UPDATE").await;
    assert_eq!(one::<String>(&mut third, "SELECT @@last_gtid").await, "");
    run(&mut third, "COMMIT").await;
    let position = "SELECT @@global.gtid_binlog_pos";
    run(&mut a, "INSERT INTO t (n) VALUES (1)").await;
    let of_a = bed.pair.primary.sql(position).await.expect("a position")[0][0].clone().expect("one");
    run(&mut b, "INSERT INTO t (n) VALUES (2)").await;
    let of_b = bed.pair.primary.sql(position).await.expect("a position")[0][0].clone().expect("one");
    for (client, own) in [(&mut a, &of_a), (&mut b, &of_b)] {
        assert_eq!(one::<String>(client, "SELECT @@last_gtid").await, *own);
        run(client, "BEGIN").await;
        run(client, "SELECT 1 FROM t FOR UPDATE").await;
        assert_eq!(one::<String>(client, "SELECT @@last_gtid").await, *own, "whatever the connection did before");
        run(client, "COMMIT").await;
    }
    bed.stop().await;
}

/// Ids that come from elsewhere than an `INSERT`, and go elsewhere.
async fn ids_of_other_statements(flavor: Flavor) {
    let bed = solo(flavor).await;
    for sql in [
        "CREATE TABLE app.seen (id INT PRIMARY KEY, ref INT, value INT)",
        "INSERT INTO app.seen VALUES (1, NULL, NULL)",
        "CREATE TRIGGER app.sees BEFORE UPDATE ON app.seen FOR EACH ROW SET NEW.ref = LAST_INSERT_ID()",
        "CREATE TRIGGER app.counts AFTER INSERT ON app.seen FOR EACH ROW SET @counted = NEW.ref",
    ] {
        bed.pair.primary.sql(sql).await.expect(sql);
    }
    bed.pair.wait_caught_up().await.expect("caught up");
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    run(&mut a, "INSERT INTO t (n) VALUES (5), (6)").await;
    let ahead = one::<u64>(&mut a, "SELECT LAST_INSERT_ID()").await;
    assert!(ahead > 0);
    // A table made of rows gives ids as well.
    run(&mut b, "CREATE TABLE made (id INT AUTO_INCREMENT PRIMARY KEY, a INT) AUTO_INCREMENT = 77 SELECT 5 AS a").await;
    assert_eq!(one::<u64>(&mut b, "SELECT LAST_INSERT_ID()").await, 77);
    assert_eq!(one::<u64>(&mut a, &format!("{P}SELECT LAST_INSERT_ID()")).await, ahead);
    // A trigger sees the id of the session that fires it.
    run(&mut b, "UPDATE seen SET value = 1").await;
    assert_eq!(one::<u64>(&mut b, "SELECT ref FROM seen WHERE id = 1").await, 77);
    run(&mut a, "UPDATE seen SET value = 2").await;
    assert_eq!(one::<u64>(&mut a, "SELECT ref FROM seen WHERE id = 1").await, ahead);
    // What a trigger assigns is the session's, whatever else its statement says.
    run(&mut a, "INSERT INTO seen (id, ref) VALUES (2, LAST_INSERT_ID())").await;
    assert_eq!(one::<Option<u64>>(&mut a, "SELECT @counted").await, Some(ahead));
    a.disconnect().await.expect("goodbye");
    bed.warm().await;
    assert_eq!(one::<Option<u64>>(&mut b, &format!("{P}SELECT @counted")).await, None);
    if flavor == Flavor::MariaDb {
        let pins = bed.metric("landbridge_pins_total");
        // Servers say no more of it than of any other such statement: it ties the session to nothing.
        run(&mut b, "SET STATEMENT max_statement_time = 9 FOR INSERT INTO seen (id, ref) VALUES (3, 55)").await;
        run(&mut b, &format!("SET STATEMENT max_statement_time = 9 FOR {P}SELECT 1")).await;
        let mut c = bed.client().await;
        assert_eq!(one::<Option<u64>>(&mut c, &format!("{P}SELECT @counted")).await, None);
        assert!(bed.metric("landbridge_pins_total") - pins < 0.5, "nothing is held for them");
    }
    bed.stop().await;
}

/// Questions about the statement before, prepared.
async fn prepared_questions(flavor: Flavor) {
    let bed = solo(flavor).await;
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    run(&mut a, "INSERT INTO t (n) VALUES (1), (2), (3)").await;
    run(&mut b, "UPDATE t SET n = 9 WHERE n = 1").await;
    assert_eq!(a.exec_first::<i64, _, _>("SELECT ROW_COUNT()", ()).await.expect("answer"), Some(3));
    assert_eq!(a.query::<u32, _>("SELECT n FROM t").await.expect("rows").len(), 3);
    assert_eq!(a.exec_first::<i64, _, _>("SELECT FOUND_ROWS()", ()).await.expect("answer"), Some(3));
    let failed = a.exec_drop("SELECT ROW_COUNT() + ?", (1,)).await;
    assert!(failed.is_ok() || code(failed) == 1235);
    bed.stop().await;
}

/// `LAST_INSERT_ID()` on a connection that a session came to keep after others had used it.
async fn insert_id_on_a_kept_connection(flavor: Flavor) {
    let bed = solo(flavor).await;
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    run(&mut b, "INSERT INTO t (n) VALUES (1)").await;
    for _ in 0..3 {
        run(&mut a, "INSERT INTO t (n) VALUES (1)").await;
    }
    run(&mut b, &format!("{P}SELECT SQL_CALC_FOUND_ROWS n FROM t LIMIT 1")).await;
    let (rows, id): (u64, u64) =
        b.query_first("SELECT FOUND_ROWS(), LAST_INSERT_ID()").await.expect("answer").expect("row");
    assert_eq!((rows, id), (4, 1));
    // And on one that is given back with news.
    run(&mut b, &format!("{P}SELECT SQL_CALC_FOUND_ROWS n FROM t LIMIT 1")).await;
    run(&mut b, "INSERT INTO t (n) VALUES (FOUND_ROWS())").await;
    assert_eq!(one::<u64>(&mut b, "SELECT LAST_INSERT_ID()").await, 5);
    bed.stop().await;
}

/// Text that is not understood may do anything: lock, insert, set.
async fn opaque_statements(flavor: Flavor) {
    if flavor == Flavor::MySql {
        return; // EXECUTE IMMEDIATE is MariaDB's
    }
    let bed = solo(flavor).await;
    let mut a = bed.client().await;
    run(&mut a, "EXECUTE IMMEDIATE 'INSERT INTO t (n) VALUES (1)'").await;
    assert_eq!(one::<u64>(&mut a, "SELECT LAST_INSERT_ID()").await, 1);
    run(&mut a, "EXECUTE IMMEDIATE 'DO GET_LOCK(\"job\", 0)'").await;
    let held = bed.pair.primary.sql("SELECT IS_USED_LOCK('job')").await.expect("asked");
    assert!(held[0][0].is_some(), "as long as its session lives");
    a.disconnect().await.expect("goodbye");
    bed.settled().await;
    let held = bed.pair.primary.sql("SELECT IS_USED_LOCK('job')").await.expect("asked");
    assert_eq!(held[0][0], None, "and no longer");
    bed.stop().await;
}

/// What a failed statement committed before it failed is a write, too.
async fn a_failed_statement_may_commit(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    bed.pair.stop_applier().await.expect("stopped");
    run(&mut client, "BEGIN").await;
    run(&mut client, "INSERT INTO t (n) VALUES (1)").await;
    assert_eq!(code(client.query_drop("CREATE TABLE t (n INT)").await), 1050);
    let mut other = bed.client().await;
    assert_eq!(one::<u64>(&mut other, "SELECT COUNT(*) FROM t").await, 1, "the same user sees it");
    bed.stop().await;
}

/// A client that leaves before it has its answer may come back to look.
async fn a_write_whose_client_left(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let before = bed.metric_of("landbridge_statements_total", "recent_write");
    let mut leaving = bed.raw_client().await.begin();
    leaving
        .command(landbridge::protocol::exchange::Expect::Results, &[b"\x03", b"INSERT INTO t (n) SELECT SLEEP(600)"]);
    leaving.flush().await.expect("sent");
    let running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'INSERT%'";
    bed.until_sql(running, "1").await;
    drop(leaving);
    bed.until(|| bed.app().shared.registry.is_empty()).await;
    bed.until_sql(running, "0").await;
    // MySQL ends the SLEEP and inserts the row, MariaDB ends the statement.
    let there = bed.pair.primary.sql("SELECT COUNT(*) FROM app.t").await.expect("rows")[0][0].clone();
    let mut back = bed.client().await;
    assert_eq!(Some(one::<u64>(&mut back, "SELECT COUNT(*) FROM t").await.to_string()), there);
    let after = bed.metric_of("landbridge_statements_total", "recent_write");
    assert!(after > before, "asked the primary: {before} {after}");
    bed.stop().await;
}

/// One-shot settings inside several statements stay with their session.
async fn one_shots_among_several(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { min_warm: 1, max: 2, ..Plan::default() }).await;
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    run(&mut a, "SELECT 1; SET TRANSACTION READ ONLY").await;
    run(&mut b, "INSERT INTO t (n) VALUES (1)").await;
    assert_eq!(code(a.query_drop("INSERT INTO t (n) VALUES (1)").await), 1792);
    a.disconnect().await.expect("goodbye");
    let mut a = bed.client().await;
    run(&mut a, "SELECT 1; SET insert_id = 100").await;
    run(&mut b, "INSERT INTO t (n) VALUES (1)").await;
    assert_eq!(one::<u64>(&mut b, "SELECT LAST_INSERT_ID()").await, 2);
    bed.stop().await;
}

/// Characteristics of one transaction are of one transaction.
async fn of_the_next_transaction_only(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    let unscoped = match flavor {
        Flavor::MySql => "SET @@transaction_read_only = 1",
        Flavor::MariaDb => "SET @@tx_read_only = 1",
    };
    for set in ["SET TRANSACTION READ ONLY", unscoped] {
        run(&mut client, set).await;
        assert_eq!(code(client.query_drop("INSERT INTO t (n) VALUES (1)").await), 1792, "{set}");
        // The failed one was none; this one is.
        run(&mut client, &format!("{P}SELECT COUNT(*) FROM t")).await;
        run(&mut client, "INSERT INTO t (n) VALUES (1)").await;
        client.reset().await.expect("reset");
        run(&mut client, "USE app").await;
    }
    run(&mut client, "SET TRANSACTION READ ONLY").await;
    run(&mut client, "BEGIN").await;
    assert_eq!(code(client.query_drop("INSERT INTO t (n) VALUES (1)").await), 1792);
    run(&mut client, "COMMIT").await;
    run(&mut client, "BEGIN").await;
    run(&mut client, "INSERT INTO t (n) VALUES (1)").await;
    run(&mut client, "COMMIT").await;
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 3);
    bed.stop().await;
}

/// What was said of the next transaction outlives a preparation, and ends with a COMMIT of nothing.
async fn until_the_next_transaction(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    run(&mut client, "SET TRANSACTION READ ONLY").await;
    assert_eq!(code(client.exec_drop("INSERT INTO t (n) VALUES (?)", (1,)).await), 1792);
    client.reset().await.expect("reset");
    run(&mut client, "USE app").await;
    run(&mut client, "SET TRANSACTION READ ONLY").await;
    run(&mut client, "COMMIT").await;
    run(&mut client, "INSERT INTO t (n) VALUES (1)").await;
    bed.stop().await;
}

/// A transaction's insert id goes with its connection, and nobody else's comes in its place.
async fn insert_id_of_a_lost_transaction(flavor: Flavor) {
    let bed = solo(flavor).await;
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    run(&mut a, "BEGIN").await;
    run(&mut a, "INSERT INTO t (n) VALUES (1)").await;
    bed.ocean.cut_existing_and_wait().await;
    assert!(a.query_drop("INSERT INTO t (n) VALUES (1)").await.is_err(), "lost");
    bed.warm().await;
    for _ in 0..5 {
        run(&mut b, "INSERT INTO t (n) VALUES (1)").await;
    }
    run(&mut a, "UPDATE t SET n = 1").await;
    assert_eq!(one::<u64>(&mut a, "SELECT LAST_INSERT_ID()").await, 0);
    bed.stop().await;
}

/// Statements that nobody counted: the number of the next one is not foretold as a guard.
async fn numbers_nobody_counted(flavor: Flavor) {
    let bed = solo(flavor).await;
    bed.pair.primary.sql("CREATE DATABASE doomed").await.expect("schema");
    bed.pair.primary.sql(&format!("GRANT ALL ON doomed.* TO '{}'@'%'", crate::support::APP)).await.expect("grant");
    bed.pair.primary.sql("CREATE TABLE doomed.t LIKE app.t").await.expect("table");
    bed.pair.wait_caught_up().await.expect("caught up");
    let mut b = bed.client().await;
    run(&mut b, "USE doomed").await;
    let insert = b.prep("INSERT INTO t (n) VALUES (7)").await.expect("prepared");
    let mut a = bed.client().await;
    run(&mut a, "PREPARE s FROM 'SELECT 1'").await;
    a.disconnect().await.expect("goodbye");
    bed.settled_but(1).await;
    bed.pair.primary.sql("DROP DATABASE doomed").await.expect("dropped");
    assert_eq!(code(b.exec_drop(&insert, ()).await), 1049);
    let rows = bed.pair.primary.sql("SELECT COUNT(*) FROM app.t").await.expect("rows");
    assert_eq!(rows[0][0].as_deref(), Some("0"), "not in somebody else's schema");
    bed.stop().await;
}

/// `completion_type` makes COMMIT begin the next transaction.
async fn completion_type(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    run(&mut client, "SET completion_type = 1").await;
    run(&mut client, "BEGIN").await;
    run(&mut client, "COMMIT").await;
    run(&mut client, "INSERT INTO t (n) VALUES (1)").await;
    run(&mut client, "ROLLBACK").await;
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 0);
    bed.stop().await;
}

/// A statement that the primary will not prepare leaves its connection known for what it is.
async fn a_preparation_that_fails_at_the_primary(flavor: Flavor) {
    let bed = solo(flavor).await;
    bed.pair.primary.sql("CREATE TABLE app.gone (n INT)").await.expect("table");
    bed.pair.wait_caught_up().await.expect("caught up");
    bed.pair.stop_applier().await.expect("stopped");
    bed.pair.primary.sql("DROP TABLE app.gone").await.expect("dropped");
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    run(&mut b, "SET time_zone = '+03:00'").await;
    assert_eq!(code(b.exec_drop("INSERT INTO gone (n) VALUES (?)", (1,)).await), 1146);
    assert_ne!(one::<String>(&mut a, &format!("{P}SELECT @@time_zone")).await, "+03:00");
    // In a transaction it is an error like any other.
    run(&mut b, "BEGIN").await;
    assert_eq!(code(b.exec_drop("INSERT INTO gone (n) VALUES (?)", (1,)).await), 1146);
    run(&mut b, "INSERT INTO t (n) VALUES (1)").await;
    run(&mut b, "ROLLBACK").await;
    assert_eq!(one::<u64>(&mut a, &format!("{P}SELECT COUNT(*) FROM t")).await, 0);
    bed.stop().await;
}

/// What the replica does not know yet, the primary prepares.
async fn a_preparation_that_fails_at_the_replica(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    bed.pair.stop_applier().await.expect("stopped");
    bed.pair.primary.sql("CREATE TABLE app.fresh (n INT)").await.expect("by somebody else");
    let mut client = bed.client().await;
    client.exec_drop("INSERT INTO fresh (n) VALUES (?)", (1,)).await.expect("prepared at the primary");
    assert_eq!(one::<u64>(&mut client, &format!("{P}SELECT COUNT(*) FROM fresh")).await, 1);
    bed.stop().await;
}

/// A warning of a `SET` that was checked nearby is told when asked for.
async fn warnings_of_a_set(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    for _ in 0..2 {
        let client = bed.raw_client().await;
        // Too small a value is adjusted, with a warning.
        let (client, reply) = client.query("SET max_sort_length = 1").await.expect("answer");
        assert!(matches!(reply, Reply::Ok { warnings: 1, .. }), "{reply:?}");
        let (_, reply) = client.query("SHOW WARNINGS").await.expect("answer");
        let Reply::Rows { rows, .. } = reply else { panic!("{reply:?}") };
        assert_eq!(rows[0][1].as_deref(), Some("1292"), "{rows:?}");
    }
    bed.stop().await;
}

crate::on_both!(
    ids_of_other_statements,
    found_rows_in_a_write,
    row_count_in_a_set,
    prepared_questions,
    insert_id_on_a_kept_connection,
    opaque_statements,
    a_failed_statement_may_commit,
    a_write_whose_client_left,
    one_shots_among_several,
    of_the_next_transaction_only,
    until_the_next_transaction,
    insert_id_of_a_lost_transaction,
    numbers_nobody_counted,
    completion_type,
    a_preparation_that_fails_at_the_primary,
    a_preparation_that_fails_at_the_replica,
    warnings_of_a_set,
);
