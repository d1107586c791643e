//! Transactions that read on a replica while servers change their roles, die and come back.

use super::{EVERYBODY, is_refused, outcomes, outcomes_of, run, until_a_read_waits};
use crate::support::{Bed, Plan, one};
use crate::switch::{AUTO, Fleet};
use landbridge::lab::{Flavor, Server};
use landbridge::topology::{Health, ServerView};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};
use std::time::Duration;

/// Longer than anything here takes, shorter than anybody's patience.
const SOON: Duration = Duration::from_secs(30);
const WAITS: &str =
    "[route]\ntransactions = \"optimistic\"\nprimary_down = \"wait 60s\"\n[consistency]\nwait = \"10s\"\n";

async fn at(server: &Server, sql: &str) -> String {
    server.sql(sql).await.expect("administrator")[0][0].clone().unwrap_or_default()
}

fn code<T: std::fmt::Debug>(result: mysql_async::Result<T>) -> u16 {
    match result {
        Err(Error::Server(error)) => error.code,
        other => panic!("{other:?}"),
    }
}

/// A client whose transaction has read a row on the replica.
async fn reading(fleet: &Fleet, begin: &str, id: u32) -> Conn {
    let mut client = fleet.client().await;
    let before = outcomes_of(&fleet.app, "begun");
    let reading = async {
        while outcomes_of(&fleet.app, "begun") == before {
            run(&mut client, &["ROLLBACK", begin]).await;
            assert_eq!(one::<u32>(&mut client, &format!("SELECT n FROM t WHERE id = {id}")).await, id);
        }
    };
    tokio::time::timeout(SOON, reading).await.expect("it is read there");
    client
}

/// The replica on which they read is promoted: who has read what still holds goes on there, who has not is refused, and
/// a write in between waits for the new primary.
async fn a_planned_change_of_roles(flavor: Flavor) {
    let fleet = Fleet::start(flavor, &AUTO, WAITS).await;
    let (old, new) = (&fleet.pair.primary, &fleet.pair.replica);
    old.sql("INSERT INTO app.t (id, n) VALUES (1, 1), (2, 2), (3, 3), (4, 4)").await.expect("rows");
    fleet.pair.wait_caught_up().await.expect("the replica follows");
    let mut early = reading(&fleet, "BEGIN", 1).await;
    let mut late = reading(&fleet, "BEGIN", 2).await;
    let mut changed = reading(&fleet, "SET autocommit = 0", 3).await;
    let mut only_reads = reading(&fleet, "START TRANSACTION READ ONLY", 4).await;
    let mut each = fleet.client().await;
    run(&mut each, &["SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN", "SELECT n FROM t"]).await;

    old.sql("SET GLOBAL read_only = 1").await.expect("read-only");
    fleet.until(|t| t.primary().is_none()).await;
    let write = tokio::spawn(async move {
        let done = early.query_drop("INSERT INTO t (n) VALUES (10)").await;
        (early, done)
    });
    let waiting = async {
        while fleet.app.shared.gate.waiting() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("it waits");
    assert_eq!(one::<u32>(&mut late, "SELECT n FROM t WHERE id = 2").await, 2, "reads go on");
    new.catch_up_with(old).await.expect("caught up");
    fleet.pair.promote_replica().await.expect("promoted");
    let (mut early, done) = write.await.expect("no panic");
    done.expect("at the new primary");
    fleet.until_primary_is("b").await;
    run(&mut early, &["COMMIT"]).await;

    assert_eq!(one::<u32>(&mut late, "SELECT n FROM t WHERE id = 2").await, 2, "on its connection, to the new primary");
    run(&mut late, &["INSERT INTO t (n) VALUES (20)"]).await;
    assert_eq!(at(new, "SELECT COUNT(*) FROM app.t WHERE n = 20").await, "0", "in its transaction");
    run(&mut late, &["COMMIT"]).await;
    new.sql("UPDATE app.t SET n = 33 WHERE id = 3").await.expect("a write");
    is_refused(changed.query_drop("INSERT INTO t (n) VALUES (30)").await);
    run(&mut changed, &["INSERT INTO t (n) VALUES (31)", "COMMIT"]).await;
    run(&mut only_reads, &["SELECT n FROM t", "COMMIT", "INSERT INTO t (n) VALUES (40)"]).await;
    assert_eq!(one::<u32>(&mut each, "SELECT COUNT(*) FROM t WHERE n = 40").await, 1, "of its own user");
    run(&mut each, &["INSERT INTO t (n) VALUES (50)", "COMMIT"]).await;
    for (n, rows) in [(10, "1"), (20, "1"), (30, "0"), (31, "1"), (40, "1"), (50, "1")] {
        assert_eq!(at(new, &format!("SELECT COUNT(*) FROM app.t WHERE n = {n}")).await, rows, "{n}");
    }
    assert_eq!(at(old, "SELECT COUNT(*) FROM app.t").await, "4", "nothing at the old one");
    fleet.stop().await;
}

/// The primary dies, and another one is made without it: what was lost with it was not read, and is not missed.
async fn an_unplanned_promotion(flavor: Flavor) {
    let fleet = Fleet::start(flavor, &AUTO, WAITS).await;
    let (old, new) = (&fleet.pair.primary, &fleet.pair.replica);
    old.sql("INSERT INTO app.t (id, n) VALUES (1, 1), (2, 2)").await.expect("rows");
    fleet.pair.wait_caught_up().await.expect("the replica follows");
    let mut client = reading(&fleet, "BEGIN", 1).await;
    let mut prepared = reading(&fleet, "BEGIN", 2).await;
    assert_eq!(prepared.exec_first("SELECT n FROM t WHERE id = ?", (1,)).await.expect("a read"), Some(1));
    old.kill9().expect("killed");
    fleet.until(|t| t.servers.iter().any(|s| matches!(s.health, Health::Down(_)))).await;
    assert_eq!(one::<u32>(&mut client, "SELECT n FROM t WHERE id = 2").await, 2, "reads go on");
    fleet.pair.promote_replica().await.expect("promoted");
    fleet.until_primary_is("b").await;
    run(&mut client, &["INSERT INTO t (n) VALUES (10)", "COMMIT"]).await;
    prepared.exec_drop("INSERT INTO t (n) VALUES (?)", (20,)).await.expect("at the new one");
    run(&mut prepared, &["ROLLBACK"]).await;
    assert_eq!(at(new, "SELECT GROUP_CONCAT(n ORDER BY n) FROM app.t").await, "1,2,10");
    fleet.stop().await;
}

async fn bed(flavor: Flavor) -> Bed {
    let bed = Bed::with(flavor, Plan { extra: EVERYBODY, ..Plan::default() }).await;
    bed.pair.primary.sql("INSERT INTO app.t (id, n) VALUES (1, 1), (2, 2)").await.expect("rows");
    bed.pair.wait_caught_up().await.expect("the replica follows");
    bed
}

async fn primary_is_up(bed: &Bed) {
    bed.topology(|t| t.primary().is_some_and(ServerView::is_usable)).await;
    bed.warm().await;
}

/// Without the primary a transaction reads on; it writes when the primary is back.
async fn the_primary_dies_and_comes_back(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    run(&mut client, &["BEGIN", "SELECT n FROM t WHERE id = 1"]).await;
    assert_eq!(outcomes(&bed, "begun"), 1);
    bed.pair.primary.kill9().expect("killed");
    bed.topology(|t| t.primary().is_some_and(|p| matches!(p.health, Health::Down(_)))).await;
    for _ in 0..2 {
        assert_eq!(code(client.query_drop("INSERT INTO t (n) VALUES (10)").await), 2003);
        assert_eq!(one::<u32>(&mut client, "SELECT n FROM t WHERE id = 2").await, 2, "it reads on");
    }
    bed.pair.primary.restart().await.expect("back");
    primary_is_up(&bed).await;
    run(&mut client, &["INSERT INTO t (n) VALUES (11)", "COMMIT"]).await;
    assert_eq!(at(&bed.pair.primary, "SELECT GROUP_CONCAT(n ORDER BY n) FROM app.t").await, "1,2,11");
    bed.stop().await;
}

/// The primary dies while a transaction moves there: it is over, once, and the session is not.
async fn the_primary_dies_on_the_way(flavor: Flavor) {
    let bed = bed(flavor).await;
    let (mut client, mut holder) = (bed.client().await, bed.client().await);
    run(&mut client, &["BEGIN", "SELECT n FROM t WHERE id = 1"]).await;
    run(&mut holder, &["LOCK TABLES t WRITE"]).await;
    let write = tokio::spawn(async move {
        let done = client.query_drop("INSERT INTO t (n) VALUES (10)").await;
        (client, done)
    });
    until_a_read_waits(&bed).await;
    bed.pair.primary.kill9().expect("killed");
    let (mut client, done) = tokio::time::timeout(SOON, write).await.expect("it ends").expect("no panic");
    let told = code(done);
    assert!([2003, 2013].contains(&told), "{told}");
    drop(holder);
    bed.pair.primary.restart().await.expect("back");
    primary_is_up(&bed).await;
    run(&mut client, &["ROLLBACK", "INSERT INTO t (n) VALUES (11)"]).await;
    assert_eq!(at(&bed.pair.primary, "SELECT GROUP_CONCAT(n ORDER BY n) FROM app.t").await, "1,2,11");
    bed.stop().await;
}

/// The replica dies, between reads or on the way: the transaction needs it no more.
async fn the_replica_dies(flavor: Flavor) {
    let bed = bed(flavor).await;
    let (mut between, mut before, mut on_its_way) = (bed.client().await, bed.client().await, bed.client().await);
    let mut holder = bed.client().await;
    for client in [&mut between, &mut before, &mut on_its_way] {
        run(client, &["BEGIN", "SELECT n FROM t WHERE id = 1"]).await;
    }
    assert_eq!(outcomes(&bed, "begun"), 3);
    run(&mut holder, &["LOCK TABLES t WRITE"]).await;
    let write = tokio::spawn(async move {
        let done = on_its_way.query_drop("INSERT INTO t (n) VALUES (10)").await;
        (on_its_way, done)
    });
    until_a_read_waits(&bed).await;
    bed.pair.replica.kill9().expect("killed");
    run(&mut holder, &["UNLOCK TABLES"]).await;
    let (mut on_its_way, done) = tokio::time::timeout(SOON, write).await.expect("it ends").expect("no panic");
    done.expect("it has all it needs");
    run(&mut on_its_way, &["COMMIT"]).await;
    assert_eq!(one::<u32>(&mut between, "SELECT n FROM t WHERE id = 2").await, 2, "at the primary");
    run(&mut between, &["INSERT INTO t (n) VALUES (20)", "COMMIT"]).await;
    run(&mut before, &["INSERT INTO t (n) VALUES (30)", "COMMIT", "BEGIN", "SELECT n FROM t", "COMMIT"]).await;
    assert_eq!(at(&bed.pair.primary, "SELECT GROUP_CONCAT(n ORDER BY n) FROM app.t").await, "1,2,10,20,30");
    assert_eq!(outcomes(&bed, "moved"), 3);
    bed.stop().await;
}

crate::on_both!(
    a_planned_change_of_roles,
    an_unplanned_promotion,
    the_primary_dies_and_comes_back,
    the_primary_dies_on_the_way,
    the_replica_dies,
);
