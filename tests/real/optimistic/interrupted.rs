//! Transactions whose reads do not come to their end where they are to move: they stay where they are, and go later.

use super::{bed, outcomes, run, tables_are_known};
use crate::reload::base;
use crate::support::{Bed, one};
use landbridge::config::{Secret, User};
use landbridge::lab::Flavor;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error, Opts};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Longer than anything here takes, shorter than anybody's patience.
const SOON: Duration = Duration::from_secs(20);

/// How many reads of a transaction that moves wait for the table.
const WAITING: &str = "SELECT COUNT(*) FROM information_schema.processlist \
    WHERE state LIKE 'Waiting for table%' AND info LIKE 'SELECT n AS read_again%'";
const READ: &str = "SELECT n AS read_again FROM t WHERE id = 1";
const WRITE: &str = "INSERT INTO u VALUES (1)";

/// A bed with a table `u`, and somebody who can keep others from `t` at the primary.
async fn bed_with_lock(flavor: Flavor) -> (Bed, Conn) {
    let bed = bed(flavor).await;
    let mut holder = bed.client().await;
    run(&mut holder, &["CREATE TABLE u (n INT)"]).await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    tables_are_known(&bed, &mut holder).await;
    (bed, holder)
}

type Write = JoinHandle<(Conn, mysql_async::Result<()>)>;

/// Waits until a statement that mentions this waits for a row. The server shows what it has seen a moment ago: that the
/// statement has a name of its own tells it from those before.
async fn waits_for_a_row(bed: &Bed, name: &str) {
    let waiting = format!(
        "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE '%{name}%'"
    );
    bed.until_sql(&waiting, "1").await;
}

/// Begins a transaction that reads nearby. What was done at the primary ahead of it may have to be named first.
async fn reads_nearby(bed: &Bed, client: &mut Conn, is_prepared: bool) {
    let before = outcomes(bed, "begun");
    let reading = async {
        while outcomes(bed, "begun") == before {
            run(client, &["ROLLBACK", "BEGIN"]).await;
            if is_prepared {
                client.exec_drop(READ, ()).await.expect("a read");
            } else {
                run(client, &[READ]).await;
            }
        }
    };
    tokio::time::timeout(SOON, reading).await.expect("it can be read there");
}

/// Has a transaction read, and then write something while its read must wait at the primary.
async fn held(bed: &Bed, holder: &mut Conn, mut client: Conn, write: &'static str, is_prepared: bool) -> Write {
    reads_nearby(bed, &mut client, is_prepared).await;
    run(holder, &["LOCK TABLES t WRITE"]).await;
    let write = tokio::spawn(async move {
        let done = if is_prepared { client.exec_drop(write, ()).await } else { client.query_drop(write).await };
        (client, done)
    });
    bed.until_sql(WAITING, "1").await;
    write
}

async fn ended(write: Write) -> (Conn, mysql_async::Result<()>) {
    tokio::time::timeout(SOON, write).await.expect("it ends").expect("no panic")
}

fn is_error<T: std::fmt::Debug>(result: mysql_async::Result<T>, code: u16, state: &str) {
    match result {
        Err(Error::Server(error)) => assert_eq!((error.code, &*error.state), (code, state), "{error}"),
        other => panic!("{other:?}"),
    }
}

async fn rows(bed: &Bed) -> String {
    let rows = bed.pair.primary.sql("SELECT COUNT(*) FROM app.u").await.expect("administrator");
    rows[0][0].clone().unwrap_or_default()
}

/// `KILL QUERY` ends the statement, not the transaction: it reads on nearby, and moves when it writes again.
async fn a_read_that_is_killed_on_its_way(flavor: Flavor) {
    let (bed, mut holder) = bed_with_lock(flavor).await;
    let mut other = bed.client().await;
    for (n, (write, is_prepared)) in
        [(WRITE, false), (WRITE, true), ("INSERT INTO u SELECT 1 FROM t WHERE id = 1", false)].into_iter().enumerate()
    {
        let mut client = bed.client().await;
        let id = one::<u32>(&mut client, "SELECT CONNECTION_ID()").await;
        let held = held(&bed, &mut holder, client, write, is_prepared).await;
        run(&mut other, &[&format!("KILL QUERY {id}")]).await;
        // The lock is still there: what was sent behind the read is not waited for.
        let (mut client, done) = ended(held).await;
        is_error(done, 1317, "70100");
        run(&mut client, &[READ, "SELECT COUNT(*) FROM u"]).await;
        run(&mut holder, &["UNLOCK TABLES"]).await;
        assert_eq!(rows(&bed).await, n.to_string());
        run(&mut client, &[write]).await;
        assert_eq!(rows(&bed).await, n.to_string(), "its transaction is open");
        run(&mut client, &["COMMIT"]).await;
        assert_eq!(rows(&bed).await, (n + 1).to_string(), "once");
        client.disconnect().await.expect("goodbye");
        bed.pair.wait_caught_up().await.expect("the replica follows");
        bed.settled_but(2).await;
    }
    assert_eq!((outcomes(&bed, "moved"), outcomes(&bed, "refused")), (3, 0));
    bed.stop().await;
}

/// A lock that is not had in time is told as such, and so is what somebody has taken away the right to read.
async fn reads_that_fail_on_their_way(flavor: Flavor) {
    let (bed, mut holder) = bed_with_lock(flavor).await;
    for is_prepared in [false, true] {
        let mut client = bed.client().await;
        run(&mut client, &["SET lock_wait_timeout = 1"]).await;
        let held = held(&bed, &mut holder, client, WRITE, is_prepared).await;
        let (mut client, done) = ended(held).await;
        is_error(done, 1205, "HY000");
        run(&mut holder, &["UNLOCK TABLES"]).await;
        run(&mut client, &[READ, WRITE, "ROLLBACK"]).await;
        assert_eq!(rows(&bed).await, "0");
    }

    for sql in [
        "CREATE USER narrow@'%' IDENTIFIED BY 'narrow-secret'",
        "GRANT SELECT ON app.t TO narrow@'%'",
        "GRANT SELECT, INSERT ON app.u TO narrow@'%'",
    ] {
        bed.pair.primary.sql(sql).await.expect(sql);
    }
    bed.pair.wait_caught_up().await.expect("there, too");
    let mut settings = base(&bed);
    settings.route.transactions = landbridge::config::Transactions::Optimistic;
    let password = Secret::new("narrow-secret".into());
    settings.users.push(User { name: "narrow".into(), password, ..settings.users[0].clone() });
    bed.app().reload(settings).await.expect("applied");
    for is_prepared in [false, true] {
        let opts = bed.opts().user(Some("narrow")).pass(Some("narrow-secret"));
        let mut client = Conn::new(Opts::from(opts)).await.expect("known now");
        reads_nearby(&bed, &mut client, is_prepared).await;
        bed.pair.stop_applier().await.expect("stopped");
        bed.pair.primary.sql("REVOKE SELECT ON app.t FROM narrow@'%'").await.expect("revoked");
        is_error(client.query_drop(WRITE).await, 1142, "42000");
        run(&mut client, &[READ]).await;
        bed.pair.primary.sql("GRANT SELECT ON app.t TO narrow@'%'").await.expect("granted");
        bed.pair.start_applier().await.expect("started");
        run(&mut client, &[WRITE, "ROLLBACK"]).await;
        bed.pair.wait_caught_up().await.expect("the replica follows");
    }
    assert_eq!((rows(&bed).await, outcomes(&bed, "refused")), ("0".into(), 0));
    bed.stop().await;
}

/// An operator of the server ends the connection while reads are run again: the transaction is over.
async fn a_connection_that_is_killed_on_its_way(flavor: Flavor) {
    let (bed, mut holder) = bed_with_lock(flavor).await;
    let thread = WAITING.replace("COUNT(*)", "MAX(id)");
    let client = bed.client().await;
    let write = held(&bed, &mut holder, client, WRITE, false).await;
    let at_primary = bed.pair.primary.sql(&thread).await.expect("administrator")[0][0].clone().expect("it waits");
    bed.pair.primary.sql(&format!("KILL {at_primary}")).await.expect("killed");
    let (mut client, done) = ended(write).await;
    is_error(done, 2013, "HY000");
    run(&mut holder, &["UNLOCK TABLES"]).await;
    assert_eq!(rows(&bed).await, "0");
    // No transaction is open any more.
    run(&mut client, &[WRITE]).await;
    assert_eq!((rows(&bed).await, outcomes(&bed, "moved")), ("1".into(), 0));
    bed.stop().await;
}

/// The first write itself is killed, when its reads have shown the same: its transaction is open, at the primary.
async fn a_write_that_is_killed_there(flavor: Flavor) {
    let (bed, mut holder) = bed_with_lock(flavor).await;
    let mut killer = bed.client().await;
    for (n, (name, is_prepared)) in [("killed text", false), ("killed prepared", true)].into_iter().enumerate() {
        let mut client = bed.client().await;
        let id = one::<u32>(&mut client, "SELECT CONNECTION_ID()").await;
        reads_nearby(&bed, &mut client, is_prepared).await;
        let begin = "/* landbridge: transactions=primary */ BEGIN";
        run(&mut holder, &[begin, "UPDATE t SET s = 'holder' WHERE id = 2"]).await;
        let write = tokio::spawn(async move {
            let sql = format!("UPDATE t SET s = '{name}' WHERE id = 2");
            let done = if is_prepared { client.exec_drop(sql, ()).await } else { client.query_drop(sql).await };
            (client, done)
        });
        waits_for_a_row(&bed, name).await;
        run(&mut killer, &[&format!("KILL QUERY {id}")]).await;
        let (mut client, done) = ended(write).await;
        is_error(done, 1317, "70100");
        run(&mut holder, &["ROLLBACK"]).await;
        run(&mut client, &[WRITE]).await;
        assert_eq!(rows(&bed).await, n.to_string());
        run(&mut client, &["COMMIT"]).await;
        assert_eq!(rows(&bed).await, (n + 1).to_string());
        client.disconnect().await.expect("goodbye");
        bed.pair.wait_caught_up().await.expect("the replica follows");
        bed.settled_but(2).await;
    }
    let written = "SELECT COUNT(*) FROM app.t WHERE s IS NOT NULL";
    assert_eq!(bed.pair.primary.sql(written).await.expect("administrator")[0][0].as_deref(), Some("0"));
    assert_eq!((outcomes(&bed, "moved"), outcomes(&bed, "refused")), (2, 0));
    bed.stop().await;
}

/// The session is ended while its reads are run again: nothing of it remains anywhere.
async fn a_session_that_is_killed_on_its_way(flavor: Flavor) {
    let (bed, mut holder) = bed_with_lock(flavor).await;
    let (mut client, mut other) = (bed.client().await, bed.client().await);
    let id = one::<u32>(&mut client, "SELECT CONNECTION_ID()").await;
    let write = held(&bed, &mut holder, client, WRITE, true).await;
    run(&mut other, &[&format!("KILL {id}")]).await;
    let (client, done) = ended(write).await;
    done.expect_err("it is gone");
    drop(client);
    bed.until_sql(WAITING, "0").await;
    run(&mut holder, &["UNLOCK TABLES"]).await;
    for server in [&bed.pair.primary, &bed.pair.replica] {
        bed.until_sql_at(server, "SELECT COUNT(*) FROM information_schema.innodb_trx", "0").await;
    }
    assert_eq!((rows(&bed).await, outcomes(&bed, "moved")), ("0".into(), 0));
    bed.stop().await;
}

/// Where the session's state cannot be had at the primary, its transaction stays where it can.
async fn a_state_that_cannot_be_had_there(flavor: Flavor) {
    let bed = bed(flavor).await;
    for sql in ["CREATE DATABASE app2", "CREATE TABLE app2.t LIKE app.t", "INSERT INTO app2.t (id, n) VALUES (1, 500)"]
    {
        bed.pair.primary.sql(sql).await.expect(sql);
    }
    bed.pair.wait_caught_up().await.expect("the replica follows");
    let mut client = bed.client().await;
    run(&mut client, &["USE app2", "BEGIN", "SELECT n FROM t WHERE id = 1"]).await;
    bed.pair.stop_applier().await.expect("stopped");
    bed.pair.primary.sql("DROP DATABASE app2").await.expect("dropped");
    is_error(client.query_drop("UPDATE app.t SET s = 'x' WHERE id = 2").await, 1049, "42000");
    assert_eq!(one::<u64>(&mut client, "SELECT n FROM t WHERE id = 1").await, 500, "as its transaction saw it");
    run(&mut client, &["ROLLBACK"]).await;
    let written = "SELECT COUNT(*) FROM app.t WHERE s = 'x'";
    assert_eq!(bed.pair.primary.sql(written).await.expect("administrator")[0][0].as_deref(), Some("0"));
    bed.stop().await;
}

/// The first write is the victim of a deadlock, when its reads have shown the same: as at the primary.
async fn a_write_that_is_the_victim_of_a_deadlock(flavor: Flavor) {
    let (bed, mut holder) = bed_with_lock(flavor).await;
    for (name, is_prepared) in [("victim of text", false), ("victim prepared", true)] {
        let mut client = bed.client().await;
        reads_nearby(&bed, &mut client, is_prepared).await;
        let begin = "/* landbridge: transactions=primary */ BEGIN";
        run(&mut holder, &[begin]).await;
        // Row by row: a range may be scanned with rows that are not in it. The more it has done, the less it is a victim.
        for id in 2..=9 {
            run(&mut holder, &[&format!("UPDATE t SET s = 'holder' WHERE id = {id}")]).await;
        }
        let write = tokio::spawn(async move {
            let sql = format!("UPDATE t SET s = '{name}' WHERE id IN (1, 2)");
            let done = if is_prepared { client.exec_drop(sql, ()).await } else { client.query_drop(sql).await };
            (client, done)
        });
        waits_for_a_row(&bed, name).await;
        run(&mut holder, &["UPDATE t SET s = 'holder' WHERE id = 1"]).await;
        let (mut client, done) = ended(write).await;
        is_error(done, 1213, "40001");
        run(&mut holder, &["ROLLBACK"]).await;
        run(&mut client, &[WRITE]).await;
        client.disconnect().await.expect("goodbye");
        bed.pair.wait_caught_up().await.expect("the replica follows");
        bed.settled_but(1).await;
    }
    let written = "SELECT COUNT(*) FROM app.t WHERE s IS NOT NULL";
    assert_eq!(bed.pair.primary.sql(written).await.expect("administrator")[0][0].as_deref(), Some("0"));
    assert_eq!((outcomes(&bed, "moved"), outcomes(&bed, "refused")), (2, 0));
    bed.stop().await;
}

crate::on_both!(
    a_write_that_is_the_victim_of_a_deadlock,
    a_read_that_is_killed_on_its_way,
    reads_that_fail_on_their_way,
    a_connection_that_is_killed_on_its_way,
    a_write_that_is_killed_there,
    a_session_that_is_killed_on_its_way,
    a_state_that_cannot_be_had_there,
);
