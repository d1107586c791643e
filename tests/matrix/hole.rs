//! The primary is silent, and so is the way to it: reads go on as if nothing had happened.
//!
//! `HOLE_SECONDS=60 cargo test --release --test matrix hole -- --nocapture --test-threads=1` also holds the times of
//! reads against those before.

use crate::bed::{Bed, Deadlines, PATIENCE, within};
use crate::moment::{read, write};
use crate::outcome::Outcome;
use landbridge::lab::Flavor;
use mysql_async::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long the primary is silent, unless told otherwise: longer than it takes to be found so.
const SECONDS: u64 = 8;
/// From here on times are compared, too.
const LONG: Duration = Duration::from_secs(30);
/// Reads before the hole, to compare with.
const WARM_UP: Duration = Duration::from_secs(2);
/// The least that is worth comparing: below, a machine's noise decides.
const NOISE: Duration = Duration::from_micros(200);

const AT_PRIMARY: &str = "target=\"primary\"";

async fn reads_do_not_notice(flavor: Flavor) {
    let hole = Duration::from_secs(crate::from_env("HOLE_SECONDS").unwrap_or(SECONDS));
    let bed = Arc::new(Bed::start(flavor, Deadlines::Short).await);
    let mut writer = bed.client().await.expect("a client");
    write(&mut writer, "before the hole").await.expect("a write");
    bed.pair.wait_caught_up().await.expect("the replica has it");
    read(&mut writer).await.expect("known to have it");
    let (phases, phase) = watch::channel(0);
    let mut readers = JoinSet::new();
    readers.spawn(read_on(bed.clone(), phase.clone(), Some(writer)));
    readers.spawn(read_on(bed.clone(), phase.clone(), Some(bed.client().await.expect("a client"))));
    readers.spawn(read_on(bed.clone(), phase.clone(), None));
    tokio::time::sleep(if hole < LONG { WARM_UP } else { hole }).await;
    let at_primary = bed.metric("landbridge_statements_total", AT_PRIMARY);
    let statements = bed.metric("landbridge_statements_total", "");
    bed.ocean.black_hole();
    phases.send_replace(1);
    tokio::time::sleep(hole).await;
    phases.send_replace(2);
    let mut times = [Vec::new(), Vec::new()];
    while let Some(reader) = readers.join_next().await {
        let [before, during] = reader.expect("every read succeeds");
        times[0].extend(before);
        times[1].extend(during);
    }
    let crossed = bed.metric("landbridge_statements_total", AT_PRIMARY) - at_primary;
    let counted = bed.metric("landbridge_statements_total", "") - statements;
    assert!(crossed == 0.0 && counted > 0.0, "{crossed} of {counted} reads were sent over the ocean");
    let [before, during] = times.map(|mut times| {
        times.sort();
        assert!(times.len() > 100, "too few reads: {}", times.len());
        let at = |share: usize| times[(times.len() - 1) * share / 1000];
        eprintln!(
            "{flavor}: {} reads, median {:?}, p99 {:?}, p99.9 {:?}, longest {:?}",
            times.len(),
            at(500),
            at(990),
            at(999),
            at(1000)
        );
        (at(500), at(990))
    });
    if hole >= LONG {
        assert!(during.0 <= 2 * before.0.max(NOISE) && during.1 <= 2 * before.1.max(NOISE), "slower in the hole");
    }
    bed.ocean.resume();
    Arc::into_inner(bed).expect("nobody else").stop().await;
}

/// Reads until phase 2; returns how long reads took in phases 0 and 1. Without a connection each read has one of its
/// own, whose login counts.
async fn read_on(
    bed: Arc<Bed>,
    phase: watch::Receiver<usize>,
    mut conn: Option<mysql_async::Conn>,
) -> [Vec<Duration>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    loop {
        let (now, started) = (*phase.borrow(), Instant::now());
        let Some(times) = times.get_mut(now) else { return times };
        match &mut conn {
            Some(conn) => within("a read", read(conn)).await.expect("reads go on"),
            None => {
                let mut conn = within("a login", bed.client()).await.expect("a new client gets in");
                within("a read", read(&mut conn)).await.expect("reads go on for new clients");
                within("a goodbye", conn.disconnect()).await.expect("goodbye");
            }
        }
        times.push(started.elapsed());
    }
}

/// A write that the replica has not got when the hole begins: reads of its scope wait until the primary is found
/// silent, and then fail, for old data would be wrong. Once the replica has it they go on, without the primary.
async fn a_write_that_the_replica_has_not_got(flavor: Flavor) {
    let bed = Bed::start(flavor, Deadlines::Short).await;
    let mut writer = bed.client().await.expect("a client");
    read(&mut writer).await.expect("reads");
    bed.pair.stop_applier().await.expect("stopped");
    write(&mut writer, "not there").await.expect("a write");
    bed.ocean.black_hole();
    let mut fresh = bed.client().await.expect("a client");
    for conn in [&mut writer, &mut fresh] {
        let started = Instant::now();
        let result = within("a read", read(conn)).await;
        eprintln!("{flavor}: a read that the replica cannot answer took {:?}", started.elapsed());
        assert_eq!(Outcome::of(&result), Outcome::Error(2003), "{result:?}");
    }
    bed.pair.start_applier().await.expect("started");
    within("reads once the replica has it", async {
        while let Err(error) = read(&mut writer).await {
            assert!(matches!(error, mysql_async::Error::Server(_)), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    for conn in [&mut writer, &mut fresh] {
        let sql = "SELECT COUNT(*) FROM noted WHERE v = 'not there'";
        let seen: Option<u64> =
            tokio::time::timeout(PATIENCE, conn.query_first(sql)).await.expect("soon").expect("reads");
        assert_eq!(seen, Some(1), "its own write");
    }
    bed.ocean.resume();
    bed.warm().await;
    write(&mut writer, "there").await.expect("writes again");
    bed.stop().await;
}

crate::on_both!(reads_do_not_notice, a_write_that_the_replica_has_not_got);
