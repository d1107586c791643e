//! Transactions that read on a replica while the file changes.

use super::{outcomes, run, until_a_read_waits};
use crate::reload::base;
use crate::support::{Bed, Plan, one};
use landbridge::config::{ReadWait, Secret, Settings, Transactions, User};
use landbridge::lab::Flavor;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error, Opts};
use std::time::Duration;

/// Longer than anything here takes, shorter than anybody's patience.
const SOON: Duration = Duration::from_secs(20);

/// A bed with rows and a second user, and its file.
async fn bed(flavor: Flavor) -> (Bed, Settings) {
    let bed = Bed::with(flavor, Plan::default()).await;
    for sql in [
        "INSERT INTO app.t (id, n) VALUES (1, 1), (2, 2)",
        "CREATE USER extra@'%' IDENTIFIED BY 'extra-secret'",
        "GRANT ALL ON app.* TO extra@'%'",
    ] {
        bed.pair.primary.sql(sql).await.expect(sql);
    }
    bed.pair.wait_caught_up().await.expect("there, too");
    let mut settings = base(&bed);
    settings.route.transactions = Transactions::Optimistic;
    settings.consistency.wait = ReadWait::AtMost(Duration::from_secs(10));
    let password = Secret::new("extra-secret".into());
    settings.users.push(User { name: "extra".into(), password, ..settings.users[0].clone() });
    bed.app().reload(settings.clone()).await.expect("applied");
    bed.warm().await;
    (bed, settings)
}

/// A client of the second user whose transaction has read a row on the replica.
async fn reading(bed: &Bed, before_it: &[&str]) -> Conn {
    let opts = bed.opts().user(Some("extra")).pass(Some("extra-secret"));
    let mut client = Conn::new(Opts::from(opts)).await.expect("a client can connect");
    run(&mut client, before_it).await;
    let before = outcomes(bed, "begun");
    let reading = async {
        while outcomes(bed, "begun") == before {
            run(&mut client, &["ROLLBACK", "BEGIN"]).await;
            assert_eq!(one::<u32>(&mut client, "SELECT n FROM t WHERE id = 1").await, 1);
        }
    };
    tokio::time::timeout(SOON, reading).await.expect("it is read there");
    client
}

async fn rows(bed: &Bed) -> String {
    let rows = bed.pair.primary.sql("SELECT GROUP_CONCAT(n ORDER BY n) FROM app.t").await.expect("administrator");
    rows[0][0].clone().unwrap_or_default()
}

/// What was begun goes on as it was begun; what begins goes by the file of today.
async fn transactions_are_tried_no_more(flavor: Flavor) {
    let (bed, mut settings) = bed(flavor).await;
    let mut client = reading(&bed, &[]).await;
    settings.route.transactions = Transactions::Primary;
    bed.app().reload(settings).await.expect("applied");
    run(&mut client, &["SELECT n FROM t WHERE id = 2"]).await;
    assert_eq!((outcomes(&bed, "begun"), outcomes(&bed, "moved")), (1, 0), "on the replica");
    run(&mut client, &["INSERT INTO t (n) VALUES (10)", "COMMIT"]).await;
    assert_eq!(outcomes(&bed, "moved"), 1);
    run(&mut client, &["BEGIN", "SELECT n FROM t WHERE id = 2", "INSERT INTO t (n) VALUES (11)", "COMMIT"]).await;
    assert_eq!(outcomes(&bed, "begun"), 1, "at the primary from the start");
    assert_eq!(rows(&bed).await, "1,2,10,11");
    bed.stop().await;
}

/// Its replica is not listed any more: who reads there comes to an end.
async fn the_replica_is_removed(flavor: Flavor) {
    let (bed, mut settings) = bed(flavor).await;
    let mut client = reading(&bed, &[]).await;
    let mut each = reading(&bed, &["SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"]).await;
    let mut prepared = reading(&bed, &[]).await;
    assert_eq!(prepared.exec_first("SELECT n FROM t WHERE id = ?", (2,)).await.expect("a read"), Some(2));
    let mut only_reads = reading(&bed, &[]).await;
    settings.servers.remove(1);
    bed.app().reload(settings).await.expect("applied");
    for client in [&mut client, &mut each, &mut only_reads] {
        assert_eq!(one::<u32>(client, "SELECT n FROM t WHERE id = 2").await, 2);
    }
    run(&mut client, &["INSERT INTO t (n) VALUES (10)", "COMMIT"]).await;
    run(&mut each, &["INSERT INTO t (n) VALUES (20)", "COMMIT"]).await;
    prepared.exec_drop("INSERT INTO t (n) VALUES (?)", (30,)).await.expect("at the primary");
    run(&mut prepared, &["COMMIT"]).await;
    run(&mut only_reads, &["COMMIT", "INSERT INTO t (n) VALUES (40)"]).await;
    assert_eq!(rows(&bed).await, "1,2,10,20,30,40");
    let drained = bed.shore.wait_until(|stats| stats.connections_open == 0);
    assert!(tokio::time::timeout(SOON, drained).await.is_ok(), "{:?}", bed.shore.stats());
    bed.stop().await;
}

/// The user is not listed any more: it finishes its transaction, wherever that is, and has to go.
async fn the_user_is_removed(flavor: Flavor) {
    let (bed, mut settings) = bed(flavor).await;
    let mut holder = bed.client().await;
    let mut client = reading(&bed, &[]).await;
    let mut only_reads = reading(&bed, &[]).await;
    let mut on_its_way = reading(&bed, &[]).await;
    run(&mut holder, &["LOCK TABLES t WRITE"]).await;
    let write = tokio::spawn(async move {
        let done = on_its_way.query_drop("INSERT INTO t (n) VALUES (10)").await;
        (on_its_way, done)
    });
    until_a_read_waits(&bed).await;
    settings.users.remove(1);
    bed.app().reload(settings).await.expect("applied");
    run(&mut holder, &["UNLOCK TABLES"]).await;
    let (mut on_its_way, done) = tokio::time::timeout(SOON, write).await.expect("it ends").expect("no panic");
    done.expect("it was on its way");
    run(&mut on_its_way, &["COMMIT"]).await;
    run(&mut client, &["SELECT n FROM t WHERE id = 2", "INSERT INTO t (n) VALUES (20)", "COMMIT"]).await;
    run(&mut only_reads, &["SELECT n FROM t WHERE id = 2", "COMMIT"]).await;
    for mut client in [client, only_reads, on_its_way] {
        let told = client.query_drop("INSERT INTO t (n) VALUES (30)").await.expect_err("it has to go");
        assert!(matches!(&told, Error::Server(error) if error.code == 1045), "{told}");
    }
    assert_eq!(rows(&bed).await, "1,2,10,20");
    let count = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'extra'";
    bed.until_sql_at(&bed.pair.primary, count, "0").await;
    bed.until_sql_at(&bed.pair.replica, count, "0").await;
    bed.stop().await;
}

crate::on_both!(transactions_are_tried_no_more, the_replica_is_removed, the_user_is_removed);
