//! No statement of a client runs in a state other than the one the client was told about, whatever
//! happens to the prelude: killed, refused, cut off.

use crate::support::{APP, Bed, Plan, one};
use landbridge::backend::conn::Ready;
use landbridge::backend::query::Reply;
use landbridge::lab::Flavor;
use landbridge::protocol::exchange::Expect;
use mysql_async::Error;
use mysql_async::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn code(failure: &Error) -> u16 {
    match failure {
        Error::Server(error) => error.code,
        other => panic!("not a server's error: {other}"),
    }
}

/// One write, as text or prepared; true if it was acknowledged.
async fn write(client: Ready, sql: &str, prepared: bool) -> (Ready, Result<(), u16>) {
    let mut busy = client.begin();
    if prepared {
        busy.command(Expect::Prepare, &[b"\x16", sql.as_bytes()]);
        busy.flush().await.expect("sent");
        let id = match busy.reply().await.expect("answer") {
            Reply::Prepared { id } => id,
            Reply::Err(error) => return (busy.finish().expect("finished"), Err(error.code)),
            other => panic!("{other:?}"),
        };
        busy.command(Expect::Results, &[b"\x17", &id.to_le_bytes(), &[0, 1, 0, 0, 0]]);
    } else {
        busy.command(Expect::Results, &[b"\x03", sql.as_bytes()]);
    }
    busy.flush().await.expect("sent");
    let told = match busy.reply().await.expect("answer") {
        Reply::Ok { .. } => Ok(()),
        Reply::Err(error) => Err(error.code),
        other => panic!("{other:?}"),
    };
    (busy.finish().expect("finished"), told)
}

/// Sessions of different states share two connections while somebody kills whatever runs there, at
/// every point of a flight. A row says in which state it was written.
async fn killed_anywhere(flavor: Flavor) {
    const WRITES: usize = 60;
    let bed = Bed::with(flavor, Plan { min_warm: 2, max: 2, ..Plan::default() }).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    for (n, zone) in ["+01:00", "+02:00", "+03:00"].into_iter().enumerate() {
        let (client, _) = bed.raw_client().await.query(&format!("SET time_zone = '{zone}'")).await.expect("set");
        writers.spawn(async move {
            let (mut client, mut acknowledged, mut unknown) = (client, 0u64, 0u64);
            for round in 0..WRITES {
                // Behind one that generates no id nothing is asked: silence must be noticed otherwise.
                client = client.query("DELETE FROM t WHERE n = -1").await.expect("answer").0;
                let sql = format!("INSERT INTO t (n, s) VALUES ({n}, @@time_zone)");
                let told;
                (client, told) = write(client, &sql, round % 2 == 0).await;
                match told {
                    Ok(()) => acknowledged += 1,
                    // Interrupted, in the statement or ahead of it; a reset that is interrupted is taken
                    // for a lost connection.
                    Err(1317 | 2013) => unknown += 1,
                    // Opening a connection was interrupted: nothing was sent.
                    Err(2003) => {}
                    Err(other) => panic!("{zone}, write {round}: error {other}"),
                }
            }
            (n, zone, acknowledged, unknown)
        });
    }
    let killing = async {
        let mut kills = 0u64;
        while !over.load(Ordering::Relaxed) {
            let running = bed
                .pair
                .primary
                .sql(&format!("SELECT id FROM information_schema.processlist WHERE user = '{APP}'"))
                .await
                .expect("list");
            for id in running.into_iter().filter_map(|row| row[0].clone()) {
                kills += u64::from(bed.pair.primary.sql(&format!("KILL QUERY {id}")).await.is_ok());
            }
            tokio::task::yield_now().await;
        }
        kills
    };
    let writing = async {
        let mut told = Vec::new();
        while let Some(writer) = writers.join_next().await {
            told.push(writer.expect("writer"));
        }
        over.store(true, Ordering::Relaxed);
        told
    };
    let (kills, told) = tokio::join!(killing, writing);
    assert!(kills > 0);
    for (n, zone, acknowledged, unknown) in told {
        let rows = bed.pair.primary.sql(&format!("SELECT s, COUNT(*) FROM app.t WHERE n = {n} GROUP BY s")).await;
        let rows = rows.expect("rows");
        assert!(rows.iter().all(|row| row[0].as_deref() == Some(zone)), "{zone}: {rows:?}");
        let written: u64 = rows.first().and_then(|row| row[1].as_deref()?.parse().ok()).unwrap_or(0);
        assert!(
            (acknowledged..=acknowledged + unknown).contains(&written),
            "{zone}: {written} rows, {acknowledged} acknowledged, {unknown} interrupted"
        );
    }
    bed.stop().await;
}

/// A schema that goes while sessions are in it: their statements run nowhere else.
async fn the_schema_goes(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { min_warm: 1, max: 1, ..Plan::default() }).await;
    bed.pair.primary.sql("CREATE DATABASE doomed").await.expect("schema");
    bed.pair.primary.sql(&format!("GRANT ALL ON doomed.* TO '{APP}'@'%'")).await.expect("grant");
    bed.pair.primary.sql("CREATE TABLE doomed.t LIKE app.t").await.expect("table");
    bed.pair.wait_caught_up().await.expect("caught up");
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    b.query_drop("USE doomed").await.expect("there it is");
    b.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("written");
    b.exec_drop("INSERT INTO t (n) VALUES (?)", (1,)).await.expect("written");
    a.query_drop("INSERT INTO t (n) VALUES (2)").await.expect("the connection is in app now");
    bed.pair.primary.sql("DROP DATABASE doomed").await.expect("dropped");
    // Its parameter is of another type than its column: MySQL prepares it anew, and counts that.
    let insert = a.prep("INSERT INTO t (n) VALUES (?)").await.expect("prepared");
    for _ in 0..3 {
        a.exec_drop(&insert, (2.0,)).await.expect("others are not concerned");
        let error = b.exec_drop("INSERT INTO t (n) VALUES (?)", (3,)).await.expect_err("no such schema");
        assert!([1049, 1146].contains(&code(&error)), "{error}");
    }
    for _ in 0..3 {
        let error = b.query_drop("INSERT INTO t (n) VALUES (3)").await.expect_err("no such schema");
        assert_eq!(code(&error), 1049, "{error}");
        assert!(error.to_string().contains("was not run"), "{error}");
        let error = b.exec_drop("INSERT INTO t (n) VALUES (?)", (3,)).await.expect_err("no such schema");
        assert!([1049, 1146].contains(&code(&error)), "{error}");
        a.query_drop("INSERT INTO t (n) VALUES (2)").await.expect("others are not concerned");
    }
    b.query_drop("USE app").await.expect("a way out");
    b.query_drop("INSERT INTO t (n) VALUES (4)").await.expect("written");
    let rows: Vec<u32> = b.query("SELECT DISTINCT n FROM t ORDER BY n").await.expect("rows");
    assert_eq!(rows, [2, 4]);
    bed.stop().await;
}

/// A `SET` that was right and is not any more: nothing runs without it.
async fn a_setting_stops_being_valid(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let privilege = match flavor {
        Flavor::MySql => "SESSION_VARIABLES_ADMIN",
        Flavor::MariaDb => "BINLOG ADMIN",
    };
    bed.pair.primary.sql(&format!("GRANT {privilege} ON *.* TO '{APP}'@'%'")).await.expect("grant");
    bed.pair.wait_caught_up().await.expect("caught up");
    // Privileges of the whole server count for connections that are opened from now on.
    bed.ocean.cut_existing_and_wait().await;
    bed.shore.cut_existing_and_wait().await;
    bed.settled().await;
    let mut client = bed.client().await;
    client.query_drop("SET SESSION binlog_row_image = 'MINIMAL'").await.expect("allowed");
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("written");
    bed.pair.primary.sql(&format!("REVOKE {privilege} ON *.* FROM '{APP}'@'%'")).await.expect("revoke");
    bed.pair.wait_caught_up().await.expect("caught up");
    bed.ocean.cut_existing_and_wait().await;
    bed.until(|| bed.app().is_ready()).await;
    bed.topology(|t| t.primary().is_some()).await;
    for _ in 0..3 {
        let error = client.query_drop("INSERT INTO t (n) VALUES (2)").await.expect_err("not allowed");
        assert_eq!(code(&error), 1227, "{error}");
        let error = client.exec_drop("INSERT INTO t (n) VALUES (?)", (2,)).await.expect_err("not allowed");
        assert_eq!(code(&error), 1227, "{error}");
    }
    let rows = bed.pair.primary.sql("SELECT COUNT(*) FROM app.t WHERE n = 2").await.expect("rows");
    assert_eq!(rows[0][0].as_deref(), Some("0"), "not without it");
    bed.stop().await;
}

/// The connection is cut when the answer to prelude and statement arrives: once, or not at all.
async fn cut_behind_the_prelude(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { quiet: true, ..Plan::default() }).await;
    for round in 0..8u32 {
        let zone = format!("+0{}:00", round + 1);
        let (client, _) = bed.raw_client().await.query(&format!("SET time_zone = '{zone}'")).await.expect("set");
        bed.settled_but(1).await;
        bed.ocean.cut_on_next_server_bytes();
        let sql = format!("INSERT INTO t (n, s) VALUES ({round}, @@time_zone)");
        let (client, told) = write(client, &sql, round % 2 == 1).await;
        assert_eq!(told, Err(2013), "round {round}");
        bed.ocean.resume();
        bed.settled_but(1).await;
        let (client, told) = write(client, &sql, round % 2 == 1).await;
        assert_eq!(told, Ok(()), "the session lives on, round {round}");
        client.close().await;
        let sql = format!("SELECT COUNT(*), MIN(s), MAX(s) FROM app.t WHERE n = {round}");
        let rows = bed.pair.primary.sql(&sql).await.expect("rows");
        // Of the first nobody knows: what was cut off may have been the answer to what went ahead of it.
        let count = rows[0][0].as_deref().unwrap_or_default();
        assert!(["1", "2"].contains(&count), "round {round}: {count} rows");
        assert_eq!(rows[0][1..], [Some(zone.clone()), Some(zone)], "round {round}");
    }
    let there = bed.pair.primary.sql("SELECT COUNT(*) FROM app.t").await.expect("rows")[0][0].clone();
    let mut client = bed.client().await;
    assert_eq!(Some(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await.to_string()), there);
    bed.stop().await;
}

crate::on_both!(killed_anywhere, the_schema_goes, a_setting_stops_being_valid, cut_behind_the_prelude);
