//! Clients that go away, servers that die, links that are cut.

use crate::support::{Bed, Plan, one};
use landbridge::lab::Flavor;
use landbridge::protocol::exchange::Expect;
use landbridge::topology::{Health, Role};
use mysql_async::Error;
use mysql_async::prelude::*;
use std::time::{Duration, Instant};

fn code(failure: &Error) -> u16 {
    match failure {
        Error::Server(error) => error.code,
        other => panic!("not a server's error: {other}"),
    }
}

const OPEN_TRANSACTIONS: &str = "SELECT COUNT(*) FROM information_schema.innodb_trx";

const SLEEPING: &str = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'DO SLEEP%'";

/// A client that disconnects in a transaction, in the middle of a result or of a statement leaves
/// no lock, no open transaction, no running statement and no missing connection.
async fn clients_that_leave(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { min_warm: 2, max: 2, ..Plan::default() }).await;
    let mut setup = bed.client().await;
    setup.query_drop("INSERT INTO t (n, s) VALUES (1, REPEAT('x', 200))").await.expect("insert");
    for _ in 0..12 {
        setup.query_drop("INSERT INTO t (n, s) SELECT n, s FROM t").await.expect("doubled");
    }
    setup.disconnect().await.expect("goodbye");
    for _ in 0..3 {
        let mut client = bed.client().await;
        client.query_drop("BEGIN").await.expect("begin");
        client.query_drop("UPDATE t SET n = 2 WHERE id = 1").await.expect("lock");
        drop(client);

        let mut reading = bed.raw_client().await.begin();
        reading.command(Expect::Results, &[b"\x03", b"/* landbridge: primary */ SELECT a.s FROM t a, t b"]);
        reading.flush().await.expect("sent");
        reading.packets().buffer_at_least(100_000).await.expect("rows come");
        drop(reading);

        let mut sleeping = bed.raw_client().await.begin();
        sleeping.command(Expect::Results, &[b"\x03", b"DO SLEEP(600)"]);
        sleeping.flush().await.expect("sent");
        bed.until_sql(SLEEPING, "1").await;
        drop(sleeping);
    }
    bed.until_sql(OPEN_TRANSACTIONS, "0").await;
    bed.until_sql(SLEEPING, "0").await;
    let mut client = bed.client().await;
    client.query_drop("UPDATE t SET n = 3 WHERE id = 1").await.expect("the row is not locked");
    assert_eq!(one::<u64>(&mut client, "SELECT n FROM t WHERE id = 1").await, 3);
    bed.stop().await;
}

/// The connection is reset right when the answer of a write arrives: the server has run it. The
/// client learns that it is not known, and nothing is sent twice.
async fn a_write_is_never_sent_twice(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { quiet: true, ..Plan::default() }).await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (id, n) VALUES (1, 0)").await.expect("insert");
    let (mut round, mut lost, mut tried) = (0u32, 0, 0);
    while lost < 10 {
        tried += 1;
        assert!(tried < 100, "{lost} answers were cut, and {round} statements have run");
        bed.warm().await;
        bed.ocean.cut_on_next_server_bytes();
        // The cut may meet an answer to the monitor instead, which looks at once where something was lost, or to a dial.
        match client.query_drop("UPDATE t SET n = n + 1 WHERE id = 1").await {
            Ok(()) => round += 1,
            Err(error) if error.to_string().contains("was not sent") => {}
            Err(error) => {
                assert_eq!(code(&error), 2013, "{error}");
                (round, lost) = (round + 1, lost + 1);
            }
        }
        bed.ocean.resume();
        let n = bed.pair.primary.sql("SELECT n FROM app.t WHERE id = 1").await.expect("n")[0][0].clone();
        assert_eq!(n.as_deref(), Some(round.to_string().as_str()), "once");
        // The session lives on, and the reader sees what the lost answer stood for.
        assert_eq!(one::<u32>(&mut client, "SELECT n FROM t WHERE id = 1").await, round);
    }
    bed.stop().await;
}

/// Idle connections that die are found before a request finds them.
async fn dead_idle_connections_are_not_used(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    for _ in 0..5 {
        client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
        // All of them idle: one that is still asked something behind the write would not die of idleness.
        bed.settled_but(1).await;
        let dead = bed.metric("landbridge_idle_deaths_total");
        bed.ocean.cut_existing_and_wait().await;
        bed.shore.cut_existing_and_wait().await;
        // Those of the primary and of the replica.
        bed.until(|| bed.metric("landbridge_idle_deaths_total") >= dead + 8.0).await;
    }
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 5);
    bed.stop().await;
}

/// Without the primary reads go on, writes fail at once with a clear error, and all heals by itself.
async fn the_primary_goes_and_comes_back(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    bed.pair.wait_caught_up().await.expect("caught up");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 1);
    bed.pair.primary.kill9().expect("killed");
    bed.topology(|t| t.primary().is_some_and(|p| matches!(p.health, Health::Down(_)))).await;
    for _ in 0..3 {
        let started = Instant::now();
        let error = client.query_drop("INSERT INTO t (n) VALUES (2)").await.expect_err("no primary");
        assert_eq!(code(&error), 2003, "{error}");
        assert!(error.to_string().contains("primary") && error.to_string().contains("not sent"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(2), "at once");
        assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 1, "reads go on");
        let mut fresh = bed.client().await;
        assert_eq!(one::<u64>(&mut fresh, "SELECT COUNT(*) FROM t").await, 1, "for new clients, too");
    }
    bed.pair.primary.restart().await.expect("back");
    bed.topology(|t| t.primary().is_some_and(|p| p.health == Health::Up)).await;
    bed.warm().await;
    client.query_drop("INSERT INTO t (n) VALUES (3)").await.expect("writes again");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 2);
    bed.stop().await;
}

/// A silent primary is as bad as a dead one: noticed within the configured bound.
async fn a_black_hole_is_noticed(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 0);
    bed.ocean.black_hole();
    bed.topology(|t| t.primary().is_some_and(|p| matches!(p.health, Health::Down(_)))).await;
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 0, "reads go on");
    let error = client.query_drop("INSERT INTO t (n) VALUES (2)").await.expect_err("no primary");
    assert_eq!(code(&error), 2003, "{error}");
    bed.ocean.resume();
    bed.topology(|t| t.primary().is_some_and(|p| p.health == Health::Up)).await;
    client.query_drop("INSERT INTO t (n) VALUES (3)").await.expect("writes again");
    bed.stop().await;
}

/// Without the replica reads go to the primary.
async fn the_replica_goes_and_comes_back(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    bed.pair.replica.kill9().expect("killed");
    for _ in 0..20 {
        assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 1);
        let mut fresh = bed.client().await;
        assert_eq!(one::<u64>(&mut fresh, "SELECT COUNT(*) FROM t").await, 1);
    }
    bed.pair.replica.restart().await.expect("back");
    bed.topology(|t| t.servers.iter().all(|s| s.health == Health::Up || s.role == Role::Primary)).await;
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 1);
    bed.stop().await;
}

/// A backend killed in the middle of a result gives an error or an end, never a wrong result.
async fn a_server_killed_while_it_answers(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (n, s) VALUES (1, REPEAT('x', 200))").await.expect("insert");
    for _ in 0..12 {
        client.query_drop("INSERT INTO t (n, s) SELECT n, s FROM t").await.expect("doubled");
    }
    for bytes in [1, 100, 5_000, 200_000] {
        let mut reader = bed.client().await;
        bed.shore.cut_after_bytes_to_client(bytes);
        bed.ocean.cut_after_bytes_to_client(bytes);
        let read: Result<Vec<String>, Error> = reader.query("SELECT s FROM t").await;
        if let Ok(rows) = read {
            assert_eq!(rows.len(), 4096, "whole or not at all");
        }
        bed.shore.resume();
        bed.ocean.resume();
    }
    bed.warm().await;
    let mut reader = bed.client().await;
    assert_eq!(one::<u64>(&mut reader, "SELECT COUNT(*) FROM t").await, 4096);
    bed.stop().await;
}

/// A monitor whose password is wrong costs insight, not service.
async fn a_refused_monitor_stops_nobody(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { monitor_password: "wrong", ..Plan::default() }).await;
    let mut client = bed.client().await;
    for n in 1..=3u64 {
        client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
        assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, n);
    }
    bed.stop().await;
}

crate::on_both!(
    a_refused_monitor_stops_nobody,
    clients_that_leave,
    a_write_is_never_sent_twice,
    dead_idle_connections_are_not_used,
    the_primary_goes_and_comes_back,
    a_black_hole_is_noticed,
    the_replica_goes_and_comes_back,
    a_server_killed_while_it_answers,
);
