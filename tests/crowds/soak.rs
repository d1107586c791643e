//! Clients of all kinds, and a link that breaks again and again: nothing piles up.

use crate::Bed;
use landbridge::lab::{Flavor, accounts};
use mysql_async::prelude::*;
use mysql_async::{Conn, OptsBuilder};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Seconds, unless `SOAK_SECONDS` says otherwise.
const SECONDS: u64 = 15;
/// Clients of each kind.
const CLIENTS: usize = 6;
/// More than a statement may take in the worst of weathers: who waits longer hangs.
const PATIENCE: Duration = Duration::from_secs(90);
/// Memory may grow by so much between the first third and the end, in KiB: allocators keep some.
const GROWTH: u64 = 24 * 1024;

/// What clients did.
#[derive(Default)]
struct Score {
    over: AtomicBool,
    done: AtomicU64,
    failed: AtomicU64,
}

impl Score {
    fn count(&self, result: &Result<(), mysql_async::Error>) {
        let counter = if result.is_ok() { &self.done } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A kind of client: one round of what it does.
#[derive(Clone, Copy)]
enum Kind {
    /// Connects, asks, leaves.
    Short,
    /// Transactions with reads and writes.
    Shop,
    /// Prepared statements.
    Report,
    /// Large results, not always read to the end.
    Export,
    /// State that pins, tables that vanish, and no goodbye.
    Rude,
    /// No MySQL at all.
    Noise,
}

const KINDS: [Kind; 6] = [Kind::Short, Kind::Shop, Kind::Report, Kind::Export, Kind::Rude, Kind::Noise];

pub(crate) async fn soak(flavor: Flavor) {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(SECONDS);
    let bed = Arc::new(Bed::new(flavor, ("interval = \"500ms\"\ntimeout = \"1s\"", "")).await);
    let fill = "INSERT INTO app.t (n, s) VALUES (0, REPEAT('x', 200))";
    bed.pair.primary.sql(fill).await.expect("a row");
    for _ in 0..10 {
        bed.pair.primary.sql("INSERT INTO app.t (n, s) SELECT n, s FROM app.t").await.expect("doubled");
    }
    bed.at_rest().await;
    let before = bed.landbridge.usage();
    // What is open besides warm connections.
    let others = before.files - bed.idle().await;
    let score = Arc::new(Score::default());
    let mut clients = JoinSet::new();
    for kind in KINDS {
        for _ in 0..CLIENTS {
            clients.spawn(live(bed.landbridge.port, kind, score.clone()));
        }
    }
    let begun = Instant::now();
    let mut highest_early = 0;
    let mut round = 0_u32;
    while begun.elapsed() < Duration::from_secs(seconds) {
        break_something(&bed, round).await;
        round += 1;
        let usage = bed.landbridge.usage();
        if begun.elapsed() < Duration::from_secs(seconds) / 3 {
            highest_early = usage.rss.max(highest_early);
        }
        if round.is_multiple_of(60) {
            println!("{flavor}: {:.0?}: {usage:?}", begun.elapsed());
        }
    }
    score.over.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.expect("no client hangs, and none panics");
    }
    bed.at_rest().await;
    let after = bed.landbridge.usage();
    let (done, failed) = (score.done.load(Ordering::Relaxed), score.failed.load(Ordering::Relaxed));
    println!("{flavor}: {seconds} s, {round} faults: {done} rounds done, {failed} failed; {before:?}, {after:?}");
    assert!(done > 0, "somebody got through");
    assert_eq!(after.files - bed.idle().await, others, "descriptors: {before:?}, {after:?}");
    assert!(after.rss <= highest_early.max(before.rss) + GROWTH, "memory: {highest_early} KiB early, {after:?}");
    let log = bed.landbridge.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// One fault, and its end.
async fn break_something(bed: &Bed, round: u32) {
    let link = if round.is_multiple_of(2) { &bed.ocean } else { &bed.shore };
    match round / 2 % 4 {
        0 => link.cut_existing(),
        1 => {
            link.cut();
            sleep(Duration::from_millis(300)).await;
            link.resume();
        }
        2 => {
            link.black_hole();
            sleep(Duration::from_millis(1500)).await;
            link.resume();
        }
        _ => link.cut_on_next_server_bytes(),
    }
    sleep(Duration::from_millis(500)).await;
    link.resume();
}

async fn live(port: u16, kind: Kind, score: Arc<Score>) {
    while !score.over.load(Ordering::Relaxed) {
        let round = timeout(PATIENCE, live_once(port, kind)).await;
        score.count(&round.expect("nobody hangs"));
        // Who is refused comes again soon, and not at once.
        sleep(Duration::from_millis(2)).await;
    }
}

async fn live_once(port: u16, kind: Kind) -> Result<(), mysql_async::Error> {
    if matches!(kind, Kind::Noise) {
        if let Ok(mut noise) = TcpStream::connect(("127.0.0.1", port)).await {
            let _gone = noise.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
        }
        return Ok(());
    }
    let account = accounts::APP;
    let opts = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .user(Some(account.user))
        .pass(Some(account.password))
        .db_name(Some("app"))
        .prefer_socket(false);
    let mut client = Conn::new(opts).await?;
    match kind {
        Kind::Short | Kind::Noise => client.query_drop("SELECT COUNT(*) FROM t WHERE id < 10").await?,
        Kind::Shop => {
            for _ in 0..5 {
                client.query_drop("BEGIN").await?;
                client.query_drop("SELECT n FROM t WHERE id = 1").await?;
                client.query_drop("UPDATE t SET n = n + 1 WHERE id = 1").await?;
                client.query_drop("COMMIT").await?;
            }
        }
        Kind::Report => {
            for id in 0..10 {
                client.exec_drop("SELECT n, s FROM t WHERE id = ?", (id,)).await?;
            }
            client.exec_drop("UPDATE t SET n = ? WHERE id = 2", (7,)).await?;
        }
        Kind::Export => {
            let mut rows = client.query_iter("SELECT a.s FROM t a LIMIT 2000").await?;
            for _ in 0..100 {
                let _row: Option<mysql_async::Row> = rows.next().await?;
            }
        }
        Kind::Rude => {
            client.query_drop("SET @a = NOW(), SESSION sort_buffer_size = 100000").await?;
            client.query_drop("CREATE TEMPORARY TABLE mine (n INT)").await?;
            client.query_drop("BEGIN").await?;
            client.query_drop("UPDATE t SET n = 0 WHERE id = 3").await?;
            // Without a goodbye.
            drop(client);
            return Ok(());
        }
    }
    client.disconnect().await
}
