//! What a client is told of a statement whose connection was lost: never that it was undone where it may not be.

use crate::support::{Bed, Plan, one, run};
use landbridge::backend::conn::Ready;
use landbridge::backend::query::Reply;
use landbridge::lab::Flavor;
use landbridge::protocol::exchange::Expect;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};
use std::time::Duration;

/// A statement is executed, and its answer never arrives; what the client is told. `there`: what the primary shows when
/// it has run.
async fn lose(bed: &Bed, client: &mut Conn, statement: &str, there: &str) -> String {
    bed.ocean.hold_answers();
    let cut = async {
        bed.until_sql(there, "1").await;
        bed.ocean.cut_existing();
    };
    let (lost, ()) = tokio::join!(client.query_drop(statement), cut);
    bed.ocean.resume();
    match lost {
        Err(Error::Server(error)) if error.code == 2013 => error.message,
        other => panic!("{statement}: {other:?}"),
    }
}

async fn what_may_be_committed_is_not_called_undone(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { quiet: true, ..Plan::default() }).await;
    let create = "CREATE PROCEDURE app.commits() BEGIN COMMIT; INSERT INTO app.t (n) VALUES (-1); COMMIT; END";
    bed.pair.primary.sql(create).await.expect("a procedure");
    let unknown = "may have run";
    let maybe = "may or may not be committed";
    for (n, before, last, told) in [
        // The session only holds the connection: each statement commits by itself.
        (1, &["SELECT GET_LOCK('lost', 0)"][..], "INSERT INTO t (n) VALUES (1)", unknown),
        (2, &["SET autocommit = 0", "INSERT INTO t (n) VALUES (2)"], "SET autocommit = 1", maybe),
        (3, &["BEGIN", "INSERT INTO t (n) VALUES (3)"], "BEGIN", maybe),
        (4, &["BEGIN", "INSERT INTO t (n) VALUES (4)"], "CALL commits()", maybe),
        (5, &["BEGIN", "INSERT INTO t (n) VALUES (5)"], "CREATE TABLE made (n INT)", maybe),
        (6, &["BEGIN", "INSERT INTO t (n) VALUES (6)"], "COMMIT", maybe),
        // Nobody knows whether the error ended the transaction.
        (7, &["SELECT GET_LOCK('lost', 0)", "DO 1"], "INSERT INTO t (n) VALUES (7)", unknown),
    ] {
        bed.warm().await;
        let mut client = bed.client().await;
        run(&mut client, before).await;
        let there = format!("SELECT COUNT(*) FROM app.t WHERE n = {n}");
        let message = lose(&bed, &mut client, last, &there).await;
        assert!(message.contains(told), "{last}: {message}");
    }
    bed.stop().await;
}

async fn what_is_undone_is_called_so(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { quiet: true, ..Plan::default() }).await;
    let sleeps =
        "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'INSERT INTO t (n) SELECT SLEEP%'";
    for before in
        [&["BEGIN", "INSERT INTO t (n) VALUES (1)"][..], &["SET autocommit = 0", "INSERT INTO t (n) VALUES (1)"]]
    {
        bed.warm().await;
        let mut client = bed.client().await;
        run(&mut client, before).await;
        let message = lose(&bed, &mut client, "INSERT INTO t (n) SELECT SLEEP(600)", sleeps).await;
        assert!(message.contains("it was rolled back"), "{message}");
        bed.until_sql(sleeps, "0").await;
        assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 0);
    }
    bed.warm().await;
    let mut client = bed.client().await;
    run(&mut client, &["BEGIN", "INSERT INTO t (n) VALUES (1)"]).await;
    // Nobody knows whether the error ended the transaction: in any case it is not committed.
    client.query_drop("INSERT INTO t (n) VALUES ('x')").await.expect_err("no number");
    let ended = "SELECT COUNT(*) = 0 FROM information_schema.innodb_trx";
    let message = lose(&bed, &mut client, "ROLLBACK", ended).await;
    assert!(message.contains("it was rolled back"), "{message}");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 0);
    bed.stop().await;
}

/// What cannot be prepared is refused before it is sent; what went ahead of it may not even have left.
async fn a_statement_that_means_nothing_any_more(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { min_warm: 1, max: 1, quiet: true, ..Plan::default() }).await;
    let without_schema = || bed.opts().db_name(None::<String>);
    let (mut client, mut other) =
        (Conn::new(without_schema()).await.expect("in"), Conn::new(without_schema()).await.expect("in"));
    let insert = client.prep("INSERT INTO app.t (n) VALUES (?)").await.expect("names its schema");
    let another = client.prep("INSERT INTO app.t (n) VALUES (? + 0)").await.expect("names its schema");
    // No connection has them prepared any more.
    bed.ocean.cut_existing_and_wait().await;
    bed.warm().await;
    for one in [&mut client, &mut other] {
        run(one, &["USE app", "INSERT INTO t (n) VALUES (0)"]).await;
    }
    // On a direct connection it would run, too.
    client.exec_drop(&insert, (1,)).await.expect("it names its schema");
    for one in [&mut client, &mut other] {
        run(one, &["SET character_set_connection = latin1", "INSERT INTO t (n) VALUES (0)"]).await;
    }
    let refused = tokio::time::timeout(Duration::from_secs(60), client.exec_drop(&another, (2,))).await;
    match refused.expect("an answer") {
        Err(Error::Server(error)) => assert_eq!(error.code, 1243, "{error:?}"),
        other => panic!("{other:?}"),
    }
    run(&mut client, &["INSERT INTO t (n) VALUES (3)"]).await;
    let mut third = bed.client().await;
    assert_eq!(one::<String>(&mut third, "SELECT GROUP_CONCAT(n ORDER BY id) FROM t").await, "0,0,1,0,0,3");
    bed.stop().await;
}

/// Whether a statement goes well, and the session goes on if it does.
async fn goes_well(client: Ready, sql: &str) -> Option<Ready> {
    let (client, reply) = client.query(sql).await.ok()?;
    (!matches!(reply, Reply::Err(_))).then_some(client)
}

/// In a transaction, with a cursor open, the connection breaks behind an answer: by then the client has it, and what
/// comes behind it is only for us. The cursor is closed. No commit is acknowledged that did not take place.
async fn a_connection_that_breaks_behind_an_answer(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { quiet: true, ..Plan::default() }).await;
    bed.pair.primary.sql("INSERT INTO app.t (n) VALUES (-1), (-2), (-3)").await.expect("rows");
    let mut broke = 0;
    for n in 0..30_u64 {
        bed.warm().await;
        let mut client = bed.raw_client().await;
        for sql in ["BEGIN", &format!("INSERT INTO t (n) VALUES ({n})")] {
            client = goes_well(client, sql).await.expect("nothing is wrong yet");
        }
        let mut busy = client.begin();
        busy.command(Expect::Prepare, &[&[0x16], b"SELECT n FROM t WHERE n < 0"]);
        busy.flush().await.expect("sent");
        let Reply::Prepared { id } = busy.reply().await.expect("an answer") else { panic!("it can be prepared") };
        let id = id.to_le_bytes();
        busy.command(Expect::Cursor, &[&[0x17], &id, &[1, 1, 0, 0, 0]]);
        busy.flush().await.expect("sent");
        busy.reply().await.expect("a cursor");
        let client = busy.finish().expect("nothing is due");
        bed.ocean.cut_after_bytes_to_client(8 * n);
        let set = goes_well(client, "SET sql_mode = ''").await;
        bed.ocean.resume();
        let was_answered = set.is_some();
        let committed = async {
            let mut busy = set?.begin();
            busy.silent_command(&[&[0x19], &id]);
            let client = goes_well(busy.finish()?, "SELECT n FROM t WHERE id = 1").await?;
            goes_well(client, "COMMIT").await
        };
        let is_committed = committed.await.is_some();
        let there = format!("SELECT COUNT(*) FROM app.t WHERE n = {n}");
        let is_there = bed.pair.primary.sql(&there).await.expect("administrator")[0][0].as_deref() == Some("1");
        assert_eq!(is_committed, is_there, "{n}: the SET was answered: {was_answered}");
        broke += u32::from(was_answered && !is_there);
    }
    assert!(broke > 0, "no connection broke behind the answer");
    bed.stop().await;
}

crate::on_both!(
    a_connection_that_breaks_behind_an_answer,
    what_may_be_committed_is_not_called_undone,
    what_is_undone_is_called_so,
    a_statement_that_means_nothing_any_more,
);
