//! A server whose disk is full: its own errors reach clients, nothing is doubled, reads go on, it is named, and all goes
//! on once there is space.

use crate::status::{get, report};
use crate::support::{Bed, Plan, one};
use landbridge::backend::conn::Ready;
use landbridge::backend::query::Reply;
use landbridge::lab::servers::may_have_disks;
use landbridge::lab::{Flavor, PairOptions, Server};
use landbridge::status::report::{Alarm, Report};
use landbridge::topology::{Lag, ServerId};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Enough for a new server, in MiB.
const DISK: Option<u32> = Some(200);
/// A server that waits for space looks for some once a minute.
const LONG: Duration = Duration::from_secs(150);
const ROW: &str = "'........................................................................................'";

/// Whether servers can have a disk of their own. Where everything must be tested they must.
#[expect(clippy::print_stderr, reason = "whoever runs the tests should see what was left out")]
fn can_run() -> bool {
    let may = may_have_disks();
    assert!(may || std::env::var_os("CI").is_none(), "no mount namespaces here: disks cannot be filled");
    if !may {
        eprintln!("skipped: no mount namespaces here, and so no disk that can be filled");
    }
    may
}

fn full<'a>(report: &'a Report, server: &str) -> Option<&'a Alarm> {
    report.alarms.iter().find(|alarm| alarm.what == "disk_full" && alarm.text.starts_with(server))
}

/// Waits until the report says whether a server's disk is full.
async fn until_full(bed: &Bed, server: &str, is_full: bool) -> Option<Alarm> {
    let asking = async {
        loop {
            let told = report(bed).await;
            if full(&told, server).is_some() == is_full {
                return full(&told, server).cloned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let told = tokio::time::timeout(LONG, asking).await;
    told.unwrap_or_else(|_| panic!("that {server} is full: {is_full} was never told"))
}

async fn insert(client: &mut Conn, n: u64) -> Result<(), Error> {
    client.query_drop(format!("INSERT INTO t (n, s) VALUES ({n}, {ROW})")).await
}

/// A number that the server counts.
async fn status(server: &Server, name: &str) -> u64 {
    let rows = server.sql(&format!("SHOW GLOBAL STATUS LIKE '{name}'")).await.expect("administrator");
    rows[0][1].as_deref().and_then(|n| n.parse().ok()).expect("a number")
}

/// The disk with the binary log of the primary: commits wait, as they do without Landbridge, and come to pass.
async fn commits_wait_for_space(flavor: Flavor) {
    if !can_run() {
        return;
    }
    let servers = PairOptions { primary_disk: DISK, ..PairOptions::default() };
    let bed = Bed::with(flavor, Plan { servers, ..Plan::default() }).await;
    let (mut reader, mut patient) = (bed.client().await, bed.client().await);
    bed.pair.primary.fill_disk().expect("filled");
    let asked = status(&bed.pair.primary, "Com_show_processlist").await;
    let (written, impatient) = (AtomicU64::new(0), bed.raw_client().await);
    let alarm = tokio::select! {
        () = write_on(impatient, &written) => panic!("there is space"),
        alarm = until_full(&bed, "primary", true) => alarm.expect("named"),
    };
    let written = written.into_inner();
    assert!(alarm.is_serious && alarm.text.contains("binary log"), "{alarm:?}");
    let (_, _, metrics) = get(&bed, "/metrics", "").await;
    let shown = |line: &str| metrics.lines().any(|shown| shown == line);
    assert!(shown("landbridge_server_disk_full{server=\"primary\"} 1"), "{metrics}");
    assert!(shown("landbridge_server_disk_full{server=\"replica\"} 0"), "{metrics}");
    // Whoever has lost patience and gone must not take the server along: MySQL would stop if its commit were killed.
    match flavor {
        Flavor::MySql => {
            while status(&bed.pair.primary, "Com_show_processlist").await == asked {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert!(bed.metric("landbridge_kills_total") < 1.0);
        }
        Flavor::MariaDb => bed.until(|| bed.metric("landbridge_kills_total") > 0.0).await,
    }
    assert_eq!(one::<u64>(&mut reader, "SELECT COUNT(*) FROM t").await, written, "reads go on");
    let waits = tokio::spawn(async move {
        for n in 0..20 {
            insert(&mut patient, 1_000_000 + n).await?;
        }
        Ok::<_, Error>(())
    });
    bed.until(|| bed.app().shared.registry.views().iter().any(|view| view.running.is_some())).await;
    bed.pair.primary.sql("SELECT 1").await.expect("it lives");
    bed.pair.primary.free_disk().expect("freed");
    tokio::time::timeout(LONG, waits).await.expect("in time").expect("no panic").expect("written");
    until_full(&bed, "primary", false).await;
    let twice = "SELECT COUNT(*) FROM (SELECT n FROM app.t GROUP BY n HAVING COUNT(*) > 1) AS twice";
    bed.until_sql(twice, "0").await;
    let of = |condition: &str| format!("SELECT COUNT(*) FROM t WHERE {condition}");
    assert_eq!(one::<u64>(&mut reader, &of("n >= 1000000")).await, 20, "who waited has written");
    assert_eq!(
        one::<u64>(&mut reader, &of(&format!("n < {written}"))).await,
        written,
        "what was acknowledged is there"
    );
    bed.stop().await;
}

/// Writes one row after the other, until it is dropped; how many were acknowledged.
async fn write_on(mut client: Ready, written: &AtomicU64) {
    loop {
        let n = written.load(Ordering::SeqCst);
        let sql = format!("INSERT INTO t (n, s) VALUES ({n}, {ROW})");
        let (next, reply) = client.query(&sql).await.expect("an answer");
        assert!(matches!(reply, Reply::Ok { .. }), "{reply:?}");
        written.fetch_add(1, Ordering::SeqCst);
        client = next;
    }
}

/// The disk with the tables of the primary: who writes gets the server's error, and goes on.
async fn writes_get_the_errors_of_a_server_without_space(flavor: Flavor) {
    if !can_run() {
        return;
    }
    let elsewhere = tempfile::tempdir().expect("a directory");
    let log = format!("--log-bin={}", elsewhere.path().join("binlog").display());
    let servers = PairOptions { primary_disk: DISK, primary_args: vec![log], ..PairOptions::default() };
    let bed = Bed::with(flavor, Plan { servers, ..Plan::default() }).await;
    let (mut client, mut reader) = (bed.client().await, bed.client().await);
    bed.pair.primary.fill_disk().expect("filled");
    let mut written = 0;
    let refused = loop {
        match insert(&mut client, written).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100_000, "there is no space");
    };
    assert!(matches!(&refused, Error::Server(error) if error.code == 1114), "{refused}");
    let alarm = until_full(&bed, "primary", true).await.expect("named");
    assert!(alarm.is_serious && alarm.text.contains("1114"), "{alarm:?}");
    for client in [&mut client, &mut reader] {
        assert_eq!(one::<u64>(client, "SELECT COUNT(*) FROM t").await, written, "sessions and reads go on");
    }
    bed.pair.primary.free_disk().expect("freed");
    insert(&mut client, written).await.expect("there is space again");
    assert_eq!(one::<u64>(&mut reader, "SELECT COUNT(*) FROM t").await, written + 1, "each once");
    until_full(&bed, "primary", false).await;
    bed.stop().await;
}

/// The disk of the replica: nobody reads there what it has not got, it is asked with patience, and catches up.
async fn a_replica_without_space_is_named_and_left_out(flavor: Flavor) {
    if !can_run() {
        return;
    }
    let servers = PairOptions { replica_disk: DISK, ..PairOptions::default() };
    let bed = Bed::with(flavor, Plan { servers, ..Plan::default() }).await;
    let mut client = bed.client().await;
    let replica = &bed.pair.replica;
    replica.fill_disk().expect("filled");
    let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(u64::MAX)));
    let writer = tokio::spawn({
        let (done, stop) = (done.clone(), stop.clone());
        async move {
            let mut n = 0;
            while n < stop.load(Ordering::SeqCst) {
                insert(&mut client, n).await.expect("the primary has space");
                n += 1;
                assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, n, "its own writes");
                done.store(n, Ordering::SeqCst);
            }
        }
    });
    let alarm = until_full(&bed, "replica", true).await.expect("named");
    assert!(!alarm.is_serious, "{alarm:?}");
    // Asked again and again, it does not keep a thread waiting for each question.
    let questions = status(replica, "Questions").await;
    while status(replica, "Questions").await < questions + 200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let waiting = replica.sql("SHOW PROCESSLIST").await.expect("administrator");
    let asks = |row: &&Vec<Option<String>>| row.iter().flatten().any(|text| text.starts_with("SHOW ALL SLAVES"));
    assert!(waiting.iter().filter(asks).count() <= 1, "{waiting:?}");
    assert!(!writer.is_finished() && full(&report(&bed).await, "replica").is_some());
    stop.store(done.load(Ordering::SeqCst) + 10, Ordering::SeqCst);
    replica.free_disk().expect("freed");
    until_full(&bed, "replica", false).await;
    writer.await.expect("no assertion fails");
    bed.topology(|t| t.server(ServerId(1)).is_some_and(|replica| matches!(replica.lag, Lag::Behind(_)))).await;
    bed.pair.wait_caught_up().await.expect("it goes on by itself");
    bed.stop().await;
}

/// Replication that has stopped because the tables of the replica cannot grow: that is named as what it is. It goes on
/// when somebody starts it, and until then nobody misses what he wrote.
async fn a_replica_that_stopped_for_want_of_space_is_named(flavor: Flavor) {
    if !can_run() {
        return;
    }
    let elsewhere = tempfile::tempdir().expect("a directory");
    let log = |name: &str| format!("--{name}={}", elsewhere.path().join(name).display());
    let replica_args = vec![log("log-bin"), log("relay-log")];
    let servers = PairOptions { replica_disk: DISK, replica_args, ..PairOptions::default() };
    let bed = Bed::with(flavor, Plan { servers, ..Plan::default() }).await;
    let mut client = bed.client().await;
    bed.pair.replica.fill_disk().expect("filled");
    let (mut n, mut named) = (0, None);
    while named.is_none() {
        insert(&mut client, n).await.expect("the primary has space");
        n += 1;
        assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, n, "its own writes");
        let told = report(&bed).await;
        named = full(&told, "replica").cloned();
        assert!(n < 100_000, "there is no space");
    }
    bed.topology(|t| t.server(ServerId(1)).is_some_and(|replica| replica.lag == Lag::Stopped)).await;
    assert!(named.is_some_and(|alarm| alarm.text.contains("replication") && !alarm.is_serious));
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, n, "its own writes");
    bed.pair.replica.free_disk().expect("freed");
    bed.pair.start_applier().await.expect("started");
    bed.pair.wait_caught_up().await.expect("it goes on");
    until_full(&bed, "replica", false).await;
    bed.stop().await;
}

crate::on_both!(
    a_replica_that_stopped_for_want_of_space_is_named,
    commits_wait_for_space,
    writes_get_the_errors_of_a_server_without_space,
    a_replica_without_space_is_named_and_left_out,
);
