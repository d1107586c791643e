//! The primary is silent, and so is the way to it: reads go on as if nothing had happened.
//!
//! `HOLE_SECONDS=60 cargo test --release --test matrix hole -- --nocapture --test-threads=1` also holds the times of
//! reads against those of another Landbridge whose primary is there.

use crate::bed::{Bed, Deadlines, PATIENCE, within};
use crate::moment::{read, write};
use crate::outcome::Outcome;
use landbridge::lab::Flavor;
use mysql_async::Conn;
use mysql_async::prelude::*;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long the primary is silent, unless told otherwise: longer than it takes to be found so.
const SECONDS: u64 = 8;
/// From here on times are compared, too.
const LONG: Duration = Duration::from_secs(30);
/// Reads before the hole.
const BEFORE: Duration = Duration::from_secs(1);

const AT_PRIMARY: &str = "target=\"primary\"";

async fn reads_do_not_notice(flavor: Flavor) {
    let hole = Duration::from_secs(crate::from_env("HOLE_SECONDS").unwrap_or(SECONDS));
    let bed = Bed::start(flavor, Deadlines::Short).await;
    // Its primary is there all the time: whatever else slows this machine down slows it down as well.
    let twin = bed.twin(Deadlines::Short).await;
    let mut writer = bed.client().await.expect("a client");
    write(&mut writer, "before the hole").await.expect("a write");
    bed.pair.wait_caught_up().await.expect("the replica has it");
    read(&mut writer).await.expect("known to have it");
    let (phases, phase) = watch::channel(Phase::Before);
    let mut other = Bed::client_at(twin.app.mysql[0].port()).await.expect("a client");
    write(&mut other, "before the hole").await.expect("a write");
    let here = readers(bed.port(), &phase, writer).await;
    let there = readers(twin.app.mysql[0].port(), &phase, other).await;
    tokio::time::sleep(BEFORE).await;
    let counted = |label| bed.metric("landbridge_statements_total", label);
    let before = (counted(AT_PRIMARY), counted(""));
    bed.ocean.black_hole();
    phases.send_replace(Phase::During);
    tokio::time::sleep(hole).await;
    phases.send_replace(Phase::After);
    let (here, there) = (times(here).await, times(there).await);
    let (crossed, all) = (counted(AT_PRIMARY) - before.0, counted("") - before.1);
    assert!(crossed.abs() < 1.0 && all > 100.0, "{crossed} of {all} reads were sent over the ocean");
    let (median, p99) = tell(&format!("{flavor}, {hole:?} without the primary"), &here);
    let (usual_median, usual_p99) = tell(&format!("{flavor}, with it at the same time"), &there);
    if hole >= LONG {
        assert!(median <= 2 * usual_median && p99 <= 2 * usual_p99, "reads are slower without the primary");
    }
    bed.ocean.resume();
    twin.app.shut_down().await;
    bed.stop().await;
}

/// Whether the primary is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Before,
    During,
    After,
}

type Readers = JoinSet<Vec<Duration>>;

/// The one who wrote, another session, and new clients all the time.
async fn readers(port: u16, phase: &watch::Receiver<Phase>, writer: Conn) -> Readers {
    let mut readers = JoinSet::new();
    for conn in [Some(writer), Some(Bed::client_at(port).await.expect("a client")), None] {
        readers.spawn(read_on(port, phase.clone(), conn));
    }
    readers
}

/// Reads until it is over; returns how long reads took while the primary was silent. Without a connection each read
/// has one of its own, whose login counts.
async fn read_on(port: u16, phase: watch::Receiver<Phase>, mut conn: Option<Conn>) -> Vec<Duration> {
    let mut times = Vec::new();
    loop {
        let (now, started) = (*phase.borrow(), Instant::now());
        if now == Phase::After {
            return times;
        }
        match &mut conn {
            Some(conn) => within("a read", read(conn)).await.expect("reads go on"),
            None => {
                let mut conn = within("a login", Bed::client_at(port)).await.expect("a new client gets in");
                within("a read", read(&mut conn)).await.expect("reads go on for new clients");
                within("a goodbye", conn.disconnect()).await.expect("goodbye");
            }
        }
        if now == Phase::During {
            times.push(started.elapsed());
        }
    }
}

async fn times(readers: Readers) -> Vec<Duration> {
    let mut times = readers.join_all().await.concat();
    times.sort();
    times
}

/// The median, and the time that one read in a hundred takes longer than.
fn tell(what: &str, times: &[Duration]) -> (Duration, Duration) {
    let at = |share: usize| times[(times.len() - 1) * share / 1000];
    let (median, p99, longest) = (at(500), at(990), at(1000));
    eprintln!(
        "{what}: {} reads, median {median:?}, p99 {p99:?}, p99.9 {:?}, longest {longest:?}",
        times.len(),
        at(999)
    );
    (median, p99)
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
