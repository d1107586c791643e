//! The end: what is begun may end, nothing is left behind.

use super::process::{Process, signal};
use crate::support::{APP, one};
use landbridge::lab::{Flavor, Pair, accounts};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};
use rustix::process::Signal;
use std::time::Duration;

async fn bed(flavor: Flavor, more: &str) -> (Pair, Process) {
    let pair = Pair::start(flavor).await.expect("servers");
    pair.primary.sql("CREATE TABLE app.t (n INT)").await.expect("table");
    let mut process = Process::new(&pair, more);
    process.start().await;
    (pair, process)
}

fn code(error: &Error) -> Option<u16> {
    if let Error::Server(error) = error { Some(error.code) } else { None }
}

async fn connections(pair: &Pair) -> u64 {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER IN ('{APP}', '{}')",
        accounts::MONITOR.user
    );
    let mut all = 0;
    for server in [&pair.primary, &pair.replica] {
        all += server.sql(&sql).await.expect("counts")[0][0].as_deref().expect("a number").parse::<u64>().expect("one");
    }
    all
}

/// How many connections ended without a goodbye.
async fn aborted(pair: &Pair) -> u64 {
    let mut all = 0;
    for server in [&pair.primary, &pair.replica] {
        let rows = server.sql("SHOW GLOBAL STATUS LIKE 'Aborted_clients'").await.expect("told");
        all += rows[0][1].as_deref().expect("a number").parse::<u64>().expect("one");
    }
    all
}

async fn what_was_begun_ends_and_nothing_is_left(flavor: Flavor) {
    let (pair, mut process) = bed(flavor, "").await;
    let before = aborted(&pair).await;
    let (mut busy, mut idle) = (process.client().await, process.client().await);
    assert_eq!(one::<u8>(&mut idle, "SELECT 1").await, 1);
    busy.query_drop("BEGIN").await.expect("begins");
    busy.query_drop("INSERT INTO t VALUES (1)").await.expect("writes");
    assert!(connections(&pair).await > 0);
    signal(process.pid(), Signal::TERM);
    process.until_logged("draining", 1).await;
    let error = idle.query_drop("SELECT 1").await.expect_err("told to go");
    assert_eq!(code(&error), Some(1053), "{error}");
    assert!(Conn::new(process.opts()).await.is_err() && Conn::new(process.local_opts()).await.is_err());
    assert!(!process.socket().exists());
    let (status, page) = process.http("/readyz").await.expect("answers until the end");
    assert!(status == 503 && page.contains("draining"), "{page}");
    assert_eq!(process.http("/healthz").await.expect("answers until the end").0, 200);
    busy.query_drop("INSERT INTO t VALUES (2)").await.expect("goes on");
    busy.query_drop("COMMIT").await.expect("ends");
    assert_eq!(process.ended().await.code(), Some(0));
    let gone = async {
        while connections(&pair).await > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("no connection is left");
    // All but a probe of either server that is just under way.
    assert!(aborted(&pair).await <= before + 2, "servers were told goodbye");
    assert_eq!(pair.primary.sql("SELECT COUNT(*) FROM app.t").await.expect("counts")[0][0].as_deref(), Some("2"));
}

async fn told_twice_it_ends_at_once(flavor: Flavor) {
    let (_pair, mut process) = bed(flavor, "[shutdown]\ndrain_timeout = \"1h\"").await;
    let mut busy = process.client().await;
    busy.query_drop("BEGIN").await.expect("begins");
    busy.query_drop("INSERT INTO t VALUES (1)").await.expect("writes");
    signal(process.pid(), Signal::INT);
    process.until_logged("draining", 1).await;
    signal(process.pid(), Signal::TERM);
    assert_eq!(process.ended().await.code(), Some(0));
    assert!(process.log().contains("ending at once"));
}

/// A process that lingers drains like any other; the one that took over is not concerned.
async fn who_lingers_drains_by_itself(flavor: Flavor) {
    let (_pair, mut process) = bed(flavor, "").await;
    let (mut busy, mut idle) = (process.client().await, process.client().await);
    let id: u32 = one(&mut idle, "SELECT CONNECTION_ID()").await;
    busy.query_drop("BEGIN").await.expect("begins");
    busy.query_drop("INSERT INTO t VALUES (1)").await.expect("writes");
    process.hand_over().await;
    let mut new = process.client().await;
    assert!(one::<u32>(&mut new, "SELECT CONNECTION_ID()").await > id, "ids are not given twice");
    let error = new.query_drop(format!("KILL {id}")).await.expect_err("it lives elsewhere");
    assert_eq!(code(&error), Some(1094), "{error}");
    assert_eq!(one::<u8>(&mut idle, "SELECT 1").await, 1, "it stays");
    signal(process.pid(), Signal::TERM);
    process.until_logged("draining", 1).await;
    assert_eq!(code(&idle.query_drop("SELECT 1").await.expect_err("told to go")), Some(1053));
    busy.query_drop("COMMIT").await.expect("ends");
    assert_eq!(process.ended().await.code(), Some(0));
    assert!(process.socket().exists(), "it is the other's");
    assert_eq!(one::<u8>(&mut new, "SELECT COUNT(*) FROM t").await, 1);
}

async fn who_stays_too_long_is_told_to_go(flavor: Flavor) {
    let (_pair, mut process) = bed(flavor, "[shutdown]\ntakeover_timeout = \"200ms\"").await;
    let mut idle = process.client().await;
    process.hand_over().await;
    assert_eq!(process.ended().await.code(), Some(0));
    assert_eq!(code(&idle.query_drop("SELECT 1").await.expect_err("told to go")), Some(1053));
}

/// If the process that took over dies, the one before it serves again.
async fn the_old_one_serves_again_if_the_new_one_dies(flavor: Flavor) {
    let (pair, process) = bed(flavor, "").await;
    let mut old = process.client().await;
    process.hand_over().await;
    let mut new = process.client().await;
    pair.stop_applier().await.expect("stops");
    new.query_drop("INSERT INTO t VALUES (1)").await.expect("writes");
    signal(process.newest(), Signal::KILL);
    process.until_logged("serving again", 1).await;
    assert_eq!(one::<u8>(&mut process.client().await, "SELECT COUNT(*) FROM t").await, 1, "what the dead one wrote");
    assert_eq!(one::<u8>(&mut old, "SELECT COUNT(*) FROM t").await, 1, "what the dead one wrote");
    pair.start_applier().await.expect("starts");
    signal(process.pid(), Signal::USR2);
    process.until_logged("another process has taken over", 2).await;
    assert_eq!(one::<u8>(&mut process.client().await, "SELECT COUNT(*) FROM t").await, 1);
}

/// Of several that linger only the last may go on without the newest: the others do not know of it.
async fn two_never_serve_without_knowing_of_each_other(flavor: Flavor) {
    let (_pair, mut process) = bed(flavor, "").await;
    let mut oldest = process.client().await;
    process.hand_over().await;
    let mut middle = process.client().await;
    process.hand_over().await;
    oldest.query_drop("INSERT INTO t VALUES (1)").await.expect("writes");
    assert_eq!(one::<u8>(&mut middle, "SELECT COUNT(*) FROM t").await, 1);
    signal(process.newest(), Signal::KILL);
    process.until_logged("serving again", 1).await;
    assert_eq!(process.ended().await.code(), Some(0), "the oldest one ends");
    assert!(oldest.query_drop("SELECT 1").await.is_err());
    assert_eq!(one::<u8>(&mut middle, "SELECT COUNT(*) FROM t").await, 1);
    assert_eq!(one::<u8>(&mut process.client().await, "SELECT COUNT(*) FROM t").await, 1);
}

crate::on_both!(
    what_was_begun_ends_and_nothing_is_left,
    told_twice_it_ends_at_once,
    who_lingers_drains_by_itself,
    who_stays_too_long_is_told_to_go,
    the_old_one_serves_again_if_the_new_one_dies,
    two_never_serve_without_knowing_of_each_other,
);
