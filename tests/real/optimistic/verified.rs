//! What a transaction that moves is verified against: the same statements in the same state, or nothing of it holds.

use super::{bed, is_refused, outcomes, run};
use crate::support::{Bed, one};
use landbridge::lab::Flavor;
use mysql_async::prelude::*;
use std::time::Duration;

async fn admin(bed: &Bed, statements: &[&str]) {
    for sql in statements {
        bed.pair.primary.sql(sql).await.expect(sql);
    }
}

async fn is_at(bed: &Bed, sql: &str) -> Option<String> {
    bed.pair.primary.sql(sql).await.expect("administrator")[0][0].clone()
}

/// A statement means what it meant where it was prepared, at the primary, too, and for whoever comes behind.
async fn a_statement_prepared_in_another_schema(flavor: Flavor) {
    let bed = bed(flavor).await;
    admin(&bed, &["CREATE DATABASE app2", "CREATE TABLE app2.t LIKE app.t"]).await;
    admin(&bed, &["INSERT INTO app2.t (id, n) VALUES (1, 1), (2, 2)"]).await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    let mut client = bed.client().await;
    let read = client.prep("SELECT n FROM t WHERE id = ?").await.expect("prepared");
    run(&mut client, &["USE app2", "BEGIN"]).await;
    assert_eq!(client.exec_first(&read, (1,)).await.expect("a read"), Some(1));
    admin(&bed, &["UPDATE app.t SET n = 1001 WHERE id = 1"]).await;
    // What app2.t shows is of no interest.
    is_refused(client.query_drop("UPDATE app.t SET s = 'x' WHERE id = 2").await);
    bed.pair.wait_caught_up().await.expect("the replica follows");
    run(&mut client, &["BEGIN"]).await;
    assert_eq!(client.exec_first(&read, (2,)).await.expect("a read"), Some(2));
    run(&mut client, &["UPDATE app.t SET n = 50 WHERE id = 2"]).await;
    assert_eq!(client.exec_first(&read, (2,)).await.expect("a read"), Some(50), "not that of app2");
    run(&mut client, &["COMMIT"]).await;
    bed.stop().await;
}

/// A read differs, and behind it stands one that must be prepared step by step: what was not even sent is not waited for.
async fn a_difference_ahead_of_a_statement_prepared_elsewhere(flavor: Flavor) {
    let bed = bed(flavor).await;
    admin(&bed, &["CREATE DATABASE app2", "CREATE TABLE app2.t LIKE app.t"]).await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    let mut client = bed.client().await;
    let read = client.prep("SELECT n FROM t WHERE id = ?").await.expect("prepared");
    run(&mut client, &["USE app2", "BEGIN", "SELECT n FROM app.t WHERE id = 3"]).await;
    assert_eq!(client.exec_first(&read, (1,)).await.expect("a read"), Some(1));
    admin(&bed, &["UPDATE app.t SET n = 1003 WHERE id = 3"]).await;
    let moved = client.query_drop("UPDATE app.t SET s = 'x' WHERE id = 2");
    is_refused(tokio::time::timeout(Duration::from_secs(60), moved).await.expect("an answer"));
    run(&mut client, &["BEGIN", "UPDATE app.t SET s = 'y' WHERE id = 2", "COMMIT"]).await;
    bed.stop().await;
}

/// Where the session's state cannot be had at the primary, nothing runs in another one: not then, and not later.
async fn a_state_that_the_primary_refuses(flavor: Flavor) {
    let bed = bed(flavor).await;
    admin(&bed, &["CREATE DATABASE app2", "CREATE TABLE app2.t LIKE app.t"]).await;
    admin(&bed, &["INSERT INTO app2.t (id, n) VALUES (1, 500)"]).await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    // All connections to the primary are in the schema of others.
    let mut others = Vec::new();
    for id in 4..=9 {
        let mut other = bed.client().await;
        run(&mut other, &["/* landbridge: transactions=primary */ BEGIN"]).await;
        run(&mut other, &[&format!("UPDATE t SET s = 'w' WHERE id = {id}")]).await;
        others.push(other);
    }
    for mut other in others {
        run(&mut other, &["COMMIT"]).await;
    }
    bed.pair.wait_caught_up().await.expect("the replica follows");
    let mut client = bed.client().await;
    run(&mut client, &["USE app2", "BEGIN"]).await;
    assert_eq!(one::<u64>(&mut client, "SELECT n FROM t WHERE id = 1").await, 500);
    assert_eq!(outcomes(&bed, "begun"), 1);
    bed.pair.stop_applier().await.expect("stopped");
    admin(&bed, &["DROP DATABASE app2"]).await;
    // Not with the number of a refusal: the transaction cannot be tried again.
    client.query_drop("UPDATE t SET s = 'x' WHERE id = 2").await.expect_err("there is no such schema");
    client.query_drop("UPDATE t SET s = 'x' WHERE id = 3").await.expect_err("there is no such schema");
    assert_eq!(is_at(&bed, "SELECT COUNT(*) FROM app.t WHERE s = 'x'").await.as_deref(), Some("0"));
    bed.stop().await;
}

/// Columns that have changed their names show something else, though their values are the same.
async fn columns_of_other_names(flavor: Flavor) {
    let bed = bed(flavor).await;
    admin(&bed, &["CREATE TABLE app.pair (a INT, b INT)", "INSERT INTO app.pair VALUES (1, 2)"]).await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    let mut client = bed.client().await;
    for is_prepared in [false, true] {
        run(&mut client, &["BEGIN"]).await;
        let read = format!("SELECT * FROM pair AS p{is_prepared}");
        let row: Option<(u32, u32)> =
            if is_prepared { client.exec_first(read, ()).await } else { client.query_first(read).await }
                .expect("a read");
        assert_eq!(row, Some((1, 2)));
        admin(&bed, &["ALTER TABLE app.pair RENAME COLUMN a TO b, RENAME COLUMN b TO a"]).await;
        is_refused(client.query_drop("UPDATE t SET s = 'x' WHERE id = 2").await);
        bed.pair.wait_caught_up().await.expect("the replica follows");
        bed.settled_but(1).await;
    }
    assert_eq!(is_at(&bed, "SELECT COUNT(*) FROM app.t WHERE s = 'x'").await.as_deref(), Some("0"));
    assert_eq!(outcomes(&bed, "refused"), 2);
    bed.stop().await;
}

/// What a refused transaction has prepared is not left on the connection.
async fn refusals_leave_no_statements(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    let prepared = "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'";
    let count = async || bed.pair.primary.sql(prepared).await.expect("status")[0][1].clone();
    let before = count().await;
    for id in 1..=3 {
        run(&mut client, &["BEGIN", &format!("SELECT n AS a{id} FROM t WHERE id = {id}")]).await;
        admin(&bed, &[&format!("UPDATE app.t SET n = n + 1000 WHERE id = {id}")]).await;
        is_refused(client.exec_drop(format!("UPDATE t SET s = '{id}' WHERE id = 7"), ()).await);
        bed.pair.wait_caught_up().await.expect("the replica follows");
    }
    bed.settled_but(1).await;
    // A statement is closed with the next flight at the latest.
    run(&mut client, &["UPDATE t SET s = 'y' WHERE id = 8"]).await;
    assert_eq!(count().await, before);
    bed.stop().await;
}

crate::on_both!(
    a_statement_prepared_in_another_schema,
    a_difference_ahead_of_a_statement_prepared_elsewhere,
    a_state_that_the_primary_refuses,
    columns_of_other_names,
    refusals_leave_no_statements,
);
