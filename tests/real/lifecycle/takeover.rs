//! Another process takes over: nobody is refused, dropped, or shown less than there was.

use super::process::{Process, signal};
use landbridge::lab::{Flavor, Pair};
use mysql_async::prelude::*;
use mysql_async::{Conn, Opts};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const TIMES: usize = 20;

async fn bed(flavor: Flavor, more: &str) -> (Pair, Process) {
    let pair = Pair::start(flavor).await.expect("servers");
    pair.primary.sql("CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, n INT)").await.expect("table");
    pair.wait_caught_up().await.expect("the replica follows");
    let mut process = Process::new(&pair, more);
    process.start().await;
    (pair, process)
}

async fn count(client: &mut Conn, n: u64) -> u64 {
    let sql = format!("SELECT COUNT(*) FROM t WHERE n = {n}");
    client.query_first(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).expect("a row")
}

/// What every client does until it is told to stop; how many statements it has run.
struct Load {
    stop: AtomicBool,
    next: AtomicU64,
    statements: AtomicU64,
}

impl Load {
    async fn work(&self, client: &mut Conn) -> mysql_async::Result<()> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        client.query_drop(format!("INSERT INTO t (n) VALUES ({n})")).await?;
        assert_eq!(count(client, n).await, 1, "its own write");
        client.query_drop("BEGIN").await?;
        client.query_drop(format!("INSERT INTO t (n) VALUES ({n})")).await?;
        assert_eq!(count(client, n).await, 2, "its own transaction");
        client.query_drop("COMMIT").await?;
        assert_eq!(client.exec_first::<u64, _, _>("SELECT COUNT(*) FROM t WHERE n = ?", (n,)).await?, Some(2));
        self.statements.fetch_add(7, Ordering::Relaxed);
        Ok(())
    }

    /// One connection all the time.
    async fn stay(&self, opts: Opts) -> mysql_async::Result<()> {
        let mut client = Conn::new(opts).await?;
        while !self.stop.load(Ordering::Relaxed) {
            self.work(&mut client).await?;
        }
        client.disconnect().await
    }

    /// A new connection for each piece of work, and another one to see what it wrote.
    async fn come_and_go(&self, opts: Opts) -> mysql_async::Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            let mut client = Conn::new(opts.clone()).await?;
            self.work(&mut client).await?;
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            client.query_drop(format!("INSERT INTO t (n) VALUES ({n})")).await?;
            let mut other = Conn::new(opts.clone()).await?;
            assert_eq!(count(&mut other, n).await, 1, "what another connection of the user wrote");
            other.disconnect().await?;
            client.disconnect().await?;
        }
        Ok(())
    }
}

async fn twenty_in_a_row_under_load_fail_nobody(flavor: Flavor) {
    let (pair, mut process) = bed(flavor, "").await;
    let (next, statements) = (AtomicU64::new(1), AtomicU64::new(0));
    let load = Arc::new(Load { stop: AtomicBool::new(false), next, statements });
    let mut clients = tokio::task::JoinSet::new();
    for opts in [Opts::from(process.opts()), Opts::from(process.local_opts())] {
        for _ in 0..2 {
            let (load, staying) = (load.clone(), opts.clone());
            clients.spawn(async move { load.stay(staying).await });
        }
        let (load, opts) = (load.clone(), opts.clone());
        clients.spawn(async move { load.come_and_go(opts).await });
    }
    for _ in 0..TIMES {
        process.hand_over().await;
        if let Some(ended) = clients.try_join_next() {
            panic!("a client failed: {ended:?}\n{}", process.log());
        }
    }
    load.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.expect("no assertion fails").unwrap_or_else(|error| panic!("{error}\n{}", process.log()));
    }
    assert!(load.statements.load(Ordering::Relaxed) > 100, "they did work");
    // Whoever has no client left has gone; the newest serves, and has removed nothing.
    assert_eq!(process.ended().await.code(), Some(0));
    let successors = process.successors();
    for pid in successors.iter().take(TIMES - 1) {
        process.gone(*pid).await;
    }
    assert_eq!(count(&mut process.client().await, 1).await, 2);
    signal(process.newest(), Signal::TERM);
    process.gone(process.newest()).await;
    assert!(!process.socket().exists(), "its file goes with the last of them");
    assert!(!process.log().contains("panicked"), "{}", process.log());
    drop(pair);
}

/// With a replica that applies nothing: whoever is not told of a write cannot see it there.
async fn writes_are_seen_across_processes(flavor: Flavor) {
    let (pair, process) = bed(flavor, "").await;
    let mut old = process.client().await;
    assert_eq!(count(&mut old, 1).await, 0);
    process.hand_over().await;
    let mut new = process.client().await;
    process.until_ready().await;
    pair.stop_applier().await.expect("stops");
    for n in 1..20 {
        old.query_drop(format!("INSERT INTO t (n) VALUES ({n})")).await.expect("writes");
        assert_eq!(count(&mut new, n).await, 1, "what the old one wrote");
        new.query_drop(format!("INSERT INTO t (n) VALUES ({n})")).await.expect("writes");
        assert_eq!(count(&mut old, n).await, 2, "what the new one wrote");
    }
    // What the old one has only seen counts as well.
    pair.primary.sql("INSERT INTO app.t (n) VALUES (100)").await.expect("writes");
    assert_eq!(count(&mut old, 100).await, 1);
    assert_eq!(count(&mut new, 100).await, 1, "what the old one saw");
    pair.start_applier().await.expect("starts");
    pair.wait_caught_up().await.expect("catches up");
}

/// Where nobody can be asked any more, the new one knows what the old one knew.
async fn writes_are_remembered_without_a_primary(flavor: Flavor) {
    let (pair, process) = bed(flavor, "[consistency]\npin_for = \"1ms\"").await;
    let mut old = process.client().await;
    pair.stop_applier().await.expect("stops");
    old.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("writes");
    pair.primary.kill9().expect("killed");
    let read = async |client: &mut Conn| client.query_first::<u64, _>("SELECT COUNT(*) FROM t").await;
    let older = read(&mut old).await.expect_err("older data would be wrong");
    assert!(older.to_string().contains("2003"), "{older}");
    process.hand_over().await;
    // A client that asks nothing when it comes in.
    let asks_nothing = process.opts().max_allowed_packet(Some(1 << 24)).wait_timeout(Some(28_800));
    let mut new = Conn::new(Opts::from(asks_nothing)).await.expect("comes in");
    let older = read(&mut new).await.expect_err("older data would be wrong");
    assert!(older.to_string().contains("2003"), "{older}");
    pair.start_applier().await.expect("starts");
    pair.primary.restart().await.expect("back");
    pair.wait_caught_up().await.expect("catches up");
    process.until_ready().await;
    assert_eq!(count(&mut new, 1).await, 1);
}

/// Transactions that have only read so far go to the primary from the process in which they began.
async fn transactions_that_have_only_read_go_on(flavor: Flavor) {
    let (pair, mut process) =
        bed(flavor, "[route]\ntransactions = \"optimistic\"\n[consistency]\nwait = \"10s\"").await;
    let (mut writes, mut reads) = (process.client().await, process.client().await);
    let (mut each, mut changed) = (process.client().await, process.client().await);
    each.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await.expect("set");
    for client in [&mut writes, &mut reads, &mut each, &mut changed] {
        client.query_drop("BEGIN").await.expect("begin");
        assert_eq!(count(client, 1).await, 0);
    }
    let metrics = process.http("/metrics").await.expect("a page").1;
    let begun = "landbridge_optimistic_transactions_total{outcome=\"begun\"} 4";
    assert!(metrics.lines().any(|line| line == begun), "{metrics}");
    process.hand_over().await;
    let mut new = process.client().await;
    process.until_ready().await;
    for client in [&mut writes, &mut reads, &mut each, &mut changed] {
        assert_eq!(count(client, 2).await, 0);
    }
    writes.query_drop("INSERT INTO t (n) VALUES (3)").await.expect("verified");
    assert_eq!(count(&mut new, 3).await, 0, "in its transaction");
    writes.query_drop("COMMIT").await.expect("committed");
    assert_eq!(count(&mut new, 3).await, 1, "what the old one wrote");
    new.query_drop("INSERT INTO t (n) VALUES (2)").await.expect("writes");
    assert_eq!(count(&mut each, 2).await, 1, "what its user wrote elsewhere");
    assert_eq!(count(&mut reads, 2).await, 0, "one state");
    reads.query_drop("COMMIT").await.expect("ended");
    each.query_drop("INSERT INTO t (n) VALUES (4)").await.expect("writes");
    each.query_drop("COMMIT").await.expect("committed");
    let refused = changed.query_drop("INSERT INTO t (n) VALUES (5)").await.expect_err("it has changed");
    assert!(refused.to_string().contains("1213"), "{refused}");
    assert_eq!((count(&mut new, 4).await, count(&mut new, 5).await), (1, 0));
    for client in [writes, reads, each, changed] {
        client.disconnect().await.expect("goodbye");
    }
    assert_eq!(process.ended().await.code(), Some(0), "nothing keeps the old one");
    drop(pair);
}

async fn what_cannot_start_changes_nothing(flavor: Flavor) {
    let (_pair, process) = bed(flavor, "").await;
    let mut client = process.client().await;
    let (first, file) = (process.pid(), process.file());
    process.install_broken_program();
    signal(first, Signal::USR2);
    process.until_logged("nobody has taken over: going on", 1).await;
    process.install_program();
    process.write_file("region = 3");
    signal(first, Signal::USR2);
    process.until_logged("nobody has taken over: going on", 2).await;
    assert!(process.log().contains("proxy.toml:1:"), "says why: {}", process.log());
    assert_eq!((count(&mut client, 1).await, count(&mut process.client().await, 1).await), (0, 0));
    process.write_file(&file);
    process.hand_over().await;
    assert_eq!(count(&mut client, 1).await, 0);
}

crate::on_both!(
    twenty_in_a_row_under_load_fail_nobody,
    writes_are_remembered_without_a_primary,
    writes_are_seen_across_processes,
    transactions_that_have_only_read_go_on,
    what_cannot_start_changes_nothing,
);
