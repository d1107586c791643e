//! What must never cross from one session to another, get lost, or be told wrongly: each test was
//! once a way to make it happen.

#![allow(
    clippy::let_underscore_must_use,
    clippy::many_single_char_names,
    clippy::similar_names,
    clippy::unwrap_used,
    reason = "short scripts of what clients a, b and c do"
)]

use crate::support::{APP, Bed, Plan, one};
use landbridge::backend::query::Reply;
use landbridge::lab::Flavor;
use landbridge::protocol::exchange::Expect;
use mysql_async::prelude::*;
use std::time::Duration;

async fn solo(f: Flavor) -> Bed {
    Bed::with(f, Plan { min_warm: 1, max: 1, ..Plan::default() }).await
}
const P: &str = "/* landbridge: primary */ ";

async fn warn_then_set(f: Flavor) {
    let bed = solo(f).await;
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    a.query_drop("SELECT CAST('1x' AS SIGNED)").await.unwrap();
    a.query_drop("SET time_zone='+03:00'").await.unwrap();
    let tz: String = one(&mut b, &format!("{P}SELECT @@time_zone")).await;
    assert_ne!(tz, "+03:00", "B sees A's time zone");
}

async fn warn_then_use(f: Flavor) {
    let bed = solo(f).await;
    bed.pair.primary.sql("CREATE DATABASE IF NOT EXISTS other").await.unwrap();
    let _ = bed.pair.primary.sql(&format!("GRANT ALL ON other.* TO '{APP}'@'%'")).await;
    bed.pair.wait_caught_up().await.unwrap();
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    a.query_drop("SELECT CAST('1x' AS SIGNED)").await.unwrap();
    a.query_drop("USE other").await.unwrap();
    let db: String = one(&mut b, &format!("{P}SELECT DATABASE()")).await;
    assert_eq!(db, "app");
}

async fn autocommit_on_in_transaction(f: Flavor) {
    let bed = solo(f).await;
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    a.query_drop("SET autocommit=0").await.unwrap();
    a.query_drop("INSERT INTO t (n) VALUES (1)").await.unwrap();
    a.query_drop("SET autocommit=1").await.unwrap();
    b.query_drop("SET autocommit=0").await.unwrap();
    b.query_drop("INSERT INTO t (n) VALUES (77)").await.unwrap();
    b.query_drop("ROLLBACK").await.unwrap();
    let n: u64 = one(&mut a, &format!("{P}SELECT COUNT(*) FROM t WHERE n=77")).await;
    assert_eq!(n, 0, "rolled back insert persists");
}

async fn insert_id_of_another(f: Flavor) {
    let bed = solo(f).await;
    bed.pair.primary.sql("CREATE TABLE app.plain (n INT)").await.unwrap();
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    for _ in 0..5 {
        a.query_drop("INSERT INTO t (n) VALUES (1)").await.unwrap();
    }
    b.query_drop("INSERT INTO plain VALUES (1)").await.unwrap();
    let id: u64 = one(&mut b, "SELECT LAST_INSERT_ID()").await;
    assert_eq!(id, 0, "B got A's insert id");
}

async fn insert_id_in_transaction(f: Flavor) {
    let bed = solo(f).await;
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    b.query_drop("INSERT INTO t (n) VALUES (1)").await.unwrap();
    for _ in 0..5 {
        a.query_drop("INSERT INTO t (n) VALUES (1)").await.unwrap();
    }
    b.query_drop("BEGIN").await.unwrap();
    b.query_drop("SELECT COUNT(*) FROM t").await.unwrap();
    let id: u64 = one(&mut b, "SELECT LAST_INSERT_ID()").await;
    assert_eq!(id, 1, "B got A's insert id inside its transaction");
}

async fn insert_id_after_warning_commit(f: Flavor) {
    let bed = solo(f).await;
    let mut b = bed.client().await;
    b.query_drop("BEGIN").await.unwrap();
    b.query_drop("INSERT IGNORE INTO t (n) VALUES ('7x')").await.unwrap();
    b.query_drop("COMMIT").await.unwrap();
    let id: u64 = one(&mut b, "SELECT LAST_INSERT_ID()").await;
    assert_eq!(id, 1);
}

async fn insert_id_after_unlock(f: Flavor) {
    let bed = solo(f).await;
    let mut b = bed.client().await;
    b.query_drop("LOCK TABLES t WRITE").await.unwrap();
    b.query_drop("INSERT INTO t (n) VALUES (7)").await.unwrap();
    b.query_drop("UNLOCK TABLES").await.unwrap();
    let id: u64 = one(&mut b, "SELECT LAST_INSERT_ID()").await;
    assert_eq!(id, 1);
}

async fn prepare_leak(f: Flavor) {
    let bed = solo(f).await;
    let mut b = bed.client().await;
    for n in 0..600 {
        let s = b.prep(format!("SELECT {n}, ?")).await.unwrap();
        b.close(s).await.unwrap();
    }
    let mut left = vec![];
    for s in [&bed.pair.primary, &bed.pair.replica] {
        left.push(
            s.sql("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'").await.unwrap()[0][1]
                .clone()
                .unwrap()
                .parse::<u64>()
                .unwrap(),
        );
    }
    assert!(left.iter().all(|n| *n <= 210), "{left:?}");
}

async fn prepared_keeps_schema(f: Flavor) {
    let bed = solo(f).await;
    bed.pair.primary.sql("CREATE DATABASE IF NOT EXISTS other").await.unwrap();
    let _ = bed.pair.primary.sql(&format!("GRANT ALL ON other.* TO '{APP}'@'%'")).await;
    bed.pair.primary.sql("CREATE TABLE other.t (id INT AUTO_INCREMENT PRIMARY KEY, n INT)").await.unwrap();
    bed.pair.wait_caught_up().await.unwrap();
    // truth
    let mut b = bed.client().await;
    let s = b.prep("INSERT INTO t (n) VALUES (?)").await.unwrap();
    b.query_drop("USE other").await.unwrap();
    b.exec_drop(&s, (99,)).await.unwrap();
    let rows = bed
        .pair
        .primary
        .sql("SELECT (SELECT COUNT(*) FROM app.t WHERE n=99), (SELECT COUNT(*) FROM other.t WHERE n=99)")
        .await
        .unwrap();
    assert_eq!(rows[0], [Some("1".to_owned()), Some("0".to_owned())], "(app, other)");
}

async fn lock_in_function(f: Flavor) {
    let bed = solo(f).await;
    bed.pair
        .primary
        .sql("CREATE FUNCTION app.lk(n VARCHAR(20)) RETURNS INT NOT DETERMINISTIC NO SQL RETURN GET_LOCK(n, 0)")
        .await
        .unwrap();
    let mut a = bed.client().await;
    a.query_drop("BEGIN").await.unwrap();
    assert_eq!(one::<i64>(&mut a, "SELECT lk('job')").await, 1);
    a.query_drop("INSERT INTO t (n) VALUES (7)").await.unwrap();
    a.query_drop("COMMIT").await.unwrap();
    a.disconnect().await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let used = bed.pair.primary.sql("SELECT IS_USED_LOCK('job')").await.unwrap();
    assert_eq!(used[0][0], None, "lock leaked on a pooled connection after its client has gone");
}

async fn lock_in_function_lost(f: Flavor) {
    let bed = solo(f).await;
    bed.pair
        .primary
        .sql("CREATE FUNCTION app.lk(n VARCHAR(20)) RETURNS INT NOT DETERMINISTIC NO SQL RETURN GET_LOCK(n, 0)")
        .await
        .unwrap();
    let mut a = bed.client().await;
    assert_eq!(one::<i64>(&mut a, "SELECT lk('job')").await, 1);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let used = bed.pair.primary.sql("SELECT IS_USED_LOCK('job')").await.unwrap();
    assert_ne!(used[0][0], None, "the client holds the lock, the server does not");
}

async fn savepoint(f: Flavor) {
    let bed = Bed::with(f, Plan { min_warm: 2, max: 2, ..Plan::default() }).await;
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    a.query_drop("SET autocommit=0").await.unwrap();
    a.query_drop("SAVEPOINT s1").await.unwrap();
    b.query_drop("SET autocommit=0").await.unwrap();
    b.query_drop("INSERT INTO t (n) VALUES (6)").await.unwrap();
    a.query_drop("INSERT INTO t (n) VALUES (5)").await.unwrap();
    a.query_drop("ROLLBACK TO SAVEPOINT s1").await.expect("savepoint is there");
}

async fn backslashes(f: Flavor) {
    let bed = solo(f).await;
    let mut a = bed.client().await;
    a.query_drop("SET SESSION sql_mode='NO_BACKSLASH_ESCAPES'").await.unwrap();
    a.query_drop(r"SET @x='\'', @injected=666, @z='''").await.ok();
    a.query_drop(r"SET @x='\'', sql_mode=''-- '").await.ok();
    a.query_drop(r"SET @x='\', @y='b'").await.expect("plain");
    let r: Result<Option<Option<String>>, _> = a.query_first(format!("{P}SELECT @x")).await;
    assert_eq!(r.expect("state restored").flatten().as_deref(), Some(r"\"));
}

async fn latin1_variable(f: Flavor) {
    let bed = solo(f).await;
    let mut a = bed.client().await;
    a.query_drop("SET NAMES latin1").await.unwrap();
    a.query_drop("SET @x='a'").await.unwrap();
    let r: (String,) = a.query_first(format!("{P}SELECT CHARSET(@x)")).await.expect("restored").unwrap();
    assert_eq!(r.0, "latin1");
}

async fn isolation_after_begin(f: Flavor) {
    let bed = solo(f).await;
    let mut a = bed.client().await;
    a.query_drop("BEGIN").await.unwrap();
    a.query_drop("SET SESSION TRANSACTION READ ONLY").await.unwrap();
    a.query_drop("INSERT INTO t (n) VALUES (5)").await.expect("the open transaction is read-write");
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

async fn lock_leaks(f: Flavor) {
    let bed = solo(f).await;
    bed.pair
        .primary
        .sql("CREATE FUNCTION app.lk(n VARCHAR(20)) RETURNS INT NOT DETERMINISTIC NO SQL RETURN GET_LOCK(n, 0)")
        .await
        .unwrap();
    let mut a = bed.client().await;
    a.query_drop("BEGIN").await.unwrap();
    a.query_drop("INSERT INTO t (n) VALUES (7)").await.unwrap();
    assert_eq!(one::<i64>(&mut a, "SELECT lk('job')").await, 1);
    a.query_drop("COMMIT").await.unwrap();
    a.disconnect().await.unwrap();
    tokio::time::sleep(ms(500)).await;
    let used = bed.pair.primary.sql("SELECT IS_USED_LOCK('job')").await.unwrap();
    assert_eq!(used[0][0], None, "lock stays on a pooled connection after its client has gone");
}

async fn insert_seen_by_second_connection(f: Flavor) {
    let bed = Bed::with(f, Plan { rtt: ms(200), extra: "pipelining = \"off\"", ..Plan::default() }).await;
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    b.query_drop("SELECT 1").await.unwrap();
    bed.pair.stop_applier().await.unwrap();
    a.query_drop("INSERT INTO t (n) VALUES (1)").await.unwrap();
    let n: u64 = one(&mut b, "SELECT COUNT(*) FROM t").await;
    assert_eq!(n, 1, "stale");
}

async fn insert_seen_by_second_connection_pipelined(f: Flavor) {
    let bed = Bed::with(f, Plan { rtt: ms(200), ..Plan::default() }).await;
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    b.query_drop("SELECT 1").await.unwrap();
    bed.pair.stop_applier().await.unwrap();
    let mut stale = 0;
    for i in 1..30u64 {
        a.query_drop("INSERT INTO t (n) VALUES (1)").await.unwrap();
        let n: u64 = one(&mut b, "SELECT COUNT(*) FROM t").await;
        stale += u64::from(n != i);
    }
    assert_eq!(stale, 0, "stale");
}

async fn failed_call_is_a_write(f: Flavor) {
    let bed = Bed::new(f).await;
    bed.pair.primary.sql("CREATE PROCEDURE app.p() BEGIN INSERT INTO app.t (n) VALUES (1); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='x'; END").await.unwrap();
    bed.pair.wait_caught_up().await.unwrap();
    let mut a = bed.client().await;
    bed.pair.stop_applier().await.unwrap();
    assert!(a.query_drop("CALL p()").await.is_err());
    let n: u64 = one(&mut a, "SELECT COUNT(*) FROM t").await;
    assert_eq!(n, 1, "stale");
}

async fn call_begins_transaction_and_fails(f: Flavor) {
    let bed = solo(f).await;
    bed.pair.primary.sql("CREATE PROCEDURE app.p() BEGIN START TRANSACTION; INSERT INTO app.t (n) VALUES (1); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='x'; END").await.unwrap();
    let mut a = bed.client().await;
    assert!(a.query_drop("CALL p()").await.is_err());
    a.query_drop("COMMIT").await.unwrap();
    let n: u64 = one(&mut a, &format!("{P}SELECT COUNT(*) FROM t")).await;
    assert_eq!(n, 1, "COMMIT said OK");
}

async fn pinned_connection_lost(f: Flavor) {
    let bed = solo(f).await;
    let mut a = bed.client().await;
    let _: u64 = one(&mut a, "SELECT @x := 5").await;
    let id: u64 = one(&mut a, "SELECT CONNECTION_ID()+0").await;
    assert_eq!(one::<i64>(&mut a, "SELECT GET_LOCK('job', 0)").await, 1);
    bed.pair.primary.sql(&format!("KILL {id}")).await.unwrap();
    tokio::time::sleep(ms(100)).await;
    let _ = a.query_drop("SELECT 1").await;
    let second: Result<Option<Option<u64>>, _> = a.query_first("SELECT @x").await;
    assert!(second.is_err() || second.unwrap() == Some(Some(5)), "the session goes on without its state");
}

async fn kill_query_late(f: Flavor) {
    let bed = Bed::with(f, Plan { rtt: ms(300), min_warm: 1, max: 1, quiet: true, ..Plan::default() }).await;
    let (mut a, mut b, mut c) = (bed.client().await, bed.client().await, bed.client().await);
    let id: u64 = one(&mut a, "SELECT CONNECTION_ID()").await;
    let a = tokio::spawn(async move {
        let mut a = a;
        let _: Result<Option<u8>, _> = a.query_first(format!("{P}SELECT SLEEP(0.3)")).await;
        a
    });
    tokio::time::sleep(ms(450)).await;
    let k = tokio::spawn(async move {
        let _ = b.query_drop(format!("KILL QUERY {id}")).await;
        b
    });
    let _a = a.await.unwrap();
    let r: Result<Option<u8>, _> = c.query_first(format!("{P}SELECT SLEEP(4)")).await;
    k.await.unwrap();
    assert!(matches!(r, Ok(Some(0))), "an innocent client's query was killed: {r:?}");
}

async fn cursors(f: Flavor) {
    let bed = solo(f).await;
    let client = bed.raw_client().await;
    let mut busy = client.begin();
    let text: &[u8] = b"SELECT CAST(1 AS CHAR) UNION ALL SELECT '2' UNION ALL SELECT '3'";
    let prep = async |busy: &mut landbridge::backend::conn::Busy, text: &[u8]| {
        busy.command(Expect::Prepare, &[&[0x16], text]);
        busy.flush().await.unwrap();
        match busy.reply().await.unwrap() {
            Reply::Prepared { id } => id,
            r => panic!("{r:?}"),
        }
    };
    let one = prep(&mut busy, text).await;
    let two = prep(&mut busy, text).await;
    let three = prep(&mut busy, b"SELECT 5").await;
    let exec = async |busy: &mut landbridge::backend::conn::Busy, id: u32| {
        busy.command(Expect::Results, &[&[0x17], &id.to_le_bytes(), &[1, 1, 0, 0, 0]]);
        busy.flush().await.unwrap();
        busy.reply().await.unwrap()
    };
    let fetch = async |busy: &mut landbridge::backend::conn::Busy, id: u32| {
        busy.command(Expect::Rows, &[&[0x1C], &id.to_le_bytes(), &[1, 0, 0, 0]]);
        busy.flush().await.unwrap();
        busy.reply().await.unwrap()
    };
    exec(&mut busy, one).await;
    exec(&mut busy, two).await;
    let r = fetch(&mut busy, one).await;
    busy.silent_command(&[&[0x19], &three.to_le_bytes()]);
    let q = fetch(&mut busy, one).await;
    assert!(format!("{r:?}").contains("\"1\"") && format!("{q:?}").contains("\"2\""), "{r:?} {q:?}");
}

async fn black_hole_in_flight(f: Flavor) {
    let bed = Bed::new(f).await;
    let mut a = bed.client().await;
    a.query_drop("BEGIN").await.unwrap();
    a.query_drop("INSERT INTO t (n) VALUES (1)").await.unwrap();
    bed.ocean.black_hole();
    let r = tokio::time::timeout(Duration::from_secs(25), a.query_drop("INSERT INTO t (n) VALUES (2)")).await;
    assert!(r.is_ok(), "still hangs after 25 s");
}

crate::on_both!(
    warn_then_set,
    warn_then_use,
    autocommit_on_in_transaction,
    insert_id_of_another,
    insert_id_in_transaction,
    insert_id_after_warning_commit,
    insert_id_after_unlock,
    prepare_leak,
    prepared_keeps_schema,
    lock_in_function,
    lock_in_function_lost,
    savepoint,
    backslashes,
    latin1_variable,
    isolation_after_begin,
    lock_leaks,
    insert_seen_by_second_connection,
    insert_seen_by_second_connection_pipelined,
    failed_call_is_a_write,
    call_begins_transaction_and_fails,
    pinned_connection_lost,
    kill_query_late,
    cursors,
    black_hole_in_flight,
);
