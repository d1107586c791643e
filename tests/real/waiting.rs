//! Statements that wait: for a primary that is away, and while an operator has paused.

use crate::reload::base;
use crate::support::{Bed, Plan, one};
use landbridge::config::PrimaryDown;
use landbridge::lab::{Flavor, accounts};
use landbridge::topology::Health;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error, Opts, OptsBuilder};
use std::sync::Arc;
use std::time::Duration;

fn code(failure: &Error) -> u16 {
    match failure {
        Error::Server(error) => error.code,
        other => panic!("not a server's error: {other}"),
    }
}

async fn down(bed: &Bed) {
    bed.topology(|t| t.primary().is_some_and(|p| matches!(p.health, Health::Down(_)))).await;
}

async fn wait_for_waiting(bed: &Bed, statements: usize) {
    bed.until(|| bed.app().shared.gate.waiting() == statements).await;
}

/// Writes while the primary is away: each waits, and is run once when it is back.
async fn writes_wait_for_the_primary(flavor: Flavor) {
    let extra = "[route]\nprimary_down = \"wait 60s\"\n";
    let bed = Bed::with(flavor, Plan { extra, ..Plan::default() }).await;
    bed.pair.wait_caught_up().await.expect("caught up");
    let mut reader = bed.client().await;
    let mut in_transaction = bed.client().await;
    in_transaction.query_drop("BEGIN").await.expect("begun");
    in_transaction.query_drop("INSERT INTO t (n) VALUES (99)").await.expect("insert");
    bed.pair.primary.kill9().expect("killed");
    down(&bed).await;
    let lost = in_transaction.query_drop("INSERT INTO t (n) VALUES (100)").await.expect_err("its transaction is gone");
    assert_eq!(code(&lost), 2013, "{lost}");
    let mut writers = Vec::new();
    for n in 0..20u32 {
        let mut client = bed.client().await;
        writers.push(tokio::spawn(async move {
            if n % 2 == 0 {
                client.query_drop(format!("INSERT INTO t (n) VALUES ({n})")).await
            } else {
                client.query_drop("BEGIN").await?;
                client.exec_drop("INSERT INTO t (n) VALUES (?)", (n,)).await?;
                client.query_drop("COMMIT").await
            }
        }));
        wait_for_waiting(&bed, writers.len()).await;
    }
    assert_eq!(one::<u64>(&mut reader, "SELECT COUNT(*) FROM t").await, 0, "reads go on");
    bed.pair.primary.restart().await.expect("back");
    for writer in writers {
        writer.await.expect("no panic").expect("written");
    }
    in_transaction.query_drop("INSERT INTO t (n) VALUES (20)").await.expect("the session lives on");
    assert_eq!(one::<u64>(&mut reader, "SELECT COUNT(*) FROM t").await, 21, "each once");
    assert_eq!(bed.app().shared.gate.waiting(), 0);
    bed.stop().await;
}

/// Nobody waits for ever, nobody for somebody who left, and only so many wait.
async fn waiting_has_bounds(flavor: Flavor) {
    let extra = "[route]\nprimary_down = \"wait 2s\"\n[limits]\nmax_waiting = 2\n";
    let bed = Bed::with(flavor, Plan { extra, ..Plan::default() }).await;
    let mut client = bed.client().await;
    bed.ocean.cut();
    down(&bed).await;
    let late = client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect_err("no primary");
    assert_eq!(code(&late), 2003, "{late}");
    assert!(late.to_string().contains("has waited for 2s"), "{late}");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 0, "the session lives on");

    let sent = async |bed: &Bed| {
        let mut raw = bed.raw_client().await.begin();
        raw.command(landbridge::protocol::exchange::Expect::Results, &[b"\x03INSERT INTO t (n) VALUES (2)"]);
        raw.flush().await.expect("sent");
        raw
    };
    let (first, second) = (sent(&bed).await, sent(&bed).await);
    wait_for_waiting(&bed, 2).await;
    let full = client.query_drop("INSERT INTO t (n) VALUES (3)").await.expect_err("no room");
    assert_eq!(code(&full), 1040, "{full}");
    assert!(full.to_string().contains("max_waiting"), "{full}");
    drop((first, second));
    wait_for_waiting(&bed, 0).await;
    bed.ocean.resume();
    client.query_drop("INSERT INTO t (n) VALUES (4)").await.expect("within two seconds");
    assert_eq!(one::<u64>(&mut client, "SELECT SUM(n) FROM t").await, 4, "what was given up was never sent");
    bed.stop().await;
}

/// A user may have another patience than the rest.
async fn users_wait_as_the_file_says_of_them(flavor: Flavor) {
    let extra = "[route]\nprimary_down = \"wait 60s\"\n";
    let bed = Bed::with(flavor, Plan { extra, ..Plan::default() }).await;
    let mut base = base(&bed);
    base.route.primary_down = PrimaryDown::Wait(Duration::from_secs(60));
    let mut settings = base.clone();
    settings.users[0].primary_down = Some(PrimaryDown::Fail);
    bed.app().reload(settings).await.expect("it can be applied");
    let mut client = bed.client().await;
    bed.pair.primary.kill9().expect("killed");
    down(&bed).await;
    let refused = client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect_err("nobody is there");
    assert_eq!(code(&refused), 2003, "{refused}");
    bed.app().reload(base).await.expect("it can be applied");
    let write = tokio::spawn(async move { client.query_drop("INSERT INTO t (n) VALUES (2)").await });
    wait_for_waiting(&bed, 1).await;
    bed.pair.primary.restart().await.expect("back");
    write.await.expect("no panic").expect("it has waited");
    bed.until_sql("SELECT SUM(n) FROM app.t", "2").await;
    bed.stop().await;
}

/// `PAUSE`: what is under way finishes, all else waits; `RESUME`: everything goes on.
async fn paused_and_resumed(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let shared = bed.app().shared.clone();
    let mut inside = bed.client().await;
    let mut begun = bed.client().await;
    // Drivers ask a few things when they connect: that would wait, too.
    let (reader, setter) = (bed.client().await, bed.client().await);
    inside.query_drop("BEGIN").await.expect("begun");
    inside.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("insert");
    begun.query_drop("BEGIN").await.expect("begun here only");
    shared.gate.pause(Duration::from_secs(60));
    let at_rest = tokio::spawn({
        let shared = shared.clone();
        async move { shared.at_rest().await }
    });
    let mut waiting = Vec::new();
    let mut run = async |mut client: Conn, sql: &'static str| {
        waiting.push(tokio::spawn(async move { client.query_drop(sql).await.map(|()| client) }));
        wait_for_waiting(&bed, waiting.len()).await;
    };
    run(begun, "INSERT INTO t (n) VALUES (2)").await;
    run(reader, "SELECT COUNT(*) FROM t").await;
    run(setter, "SET NAMES latin1").await;
    assert_eq!(shared.under_way(), 1);
    assert!(!at_rest.is_finished(), "a transaction is open");
    inside.ping().await.expect("answered");
    inside.query_drop("INSERT INTO t (n) VALUES (3)").await.expect("goes on");
    inside.query_drop("COMMIT").await.expect("ends");
    assert!(at_rest.await.expect("no panic"), "now nothing is under way");
    assert_eq!(shared.under_way(), 0);
    let committed = bed.pair.primary.sql("SELECT SUM(n) FROM app.t").await.expect("sum")[0][0].clone();
    assert_eq!(committed.as_deref(), Some("4"), "nothing else has run");
    run(inside, "INSERT INTO t (n) VALUES (5)").await;
    shared.gate.resume();
    for ended in waiting {
        let mut client = ended.await.expect("no panic").expect("run after all");
        client.query_drop("COMMIT").await.expect("commit");
    }
    let mut client = bed.client().await;
    assert_eq!(one::<u64>(&mut client, "SELECT SUM(n) FROM t").await, 11);

    // With a deadline.
    shared.gate.pause(Duration::from_millis(50));
    let late = client.query_drop("INSERT INTO t (n) VALUES (6)").await.expect_err("paused for too long");
    assert_eq!(code(&late), 2003, "{late}");
    assert!(late.to_string().contains("paused"), "{late}");
    let resumed = tokio::spawn({
        let shared = shared.clone();
        async move { shared.at_rest().await }
    });
    assert!(resumed.await.expect("no panic"));
    shared.gate.resume();
    assert!(!shared.at_rest().await, "it is not paused any more");
    client.query_drop("INSERT INTO t (n) VALUES (7)").await.expect("goes on");
    assert_eq!(one::<u64>(&mut client, "SELECT SUM(n) FROM t").await, 18);
    bed.stop().await;
}

/// Under load, once it is said that nothing is under way, nothing is.
async fn at_rest_is_at_rest(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let shared = bed.app().shared.clone();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut writers = Vec::new();
    for _ in 0..8 {
        let (mut client, stop) = (bed.client().await, stop.clone());
        writers.push(tokio::spawn(async move {
            let mut written = 0u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("written");
                written += 1;
            }
            written
        }));
    }
    let count = async || bed.pair.primary.sql("SELECT COUNT(*) FROM app.t").await.expect("count")[0][0].clone();
    for _ in 0..10 {
        shared.gate.pause(Duration::from_secs(60));
        assert!(shared.at_rest().await);
        let before = count().await;
        wait_for_waiting(&bed, 8).await;
        assert_eq!((count().await, shared.under_way()), (before, 0));
        shared.gate.resume();
        wait_for_waiting(&bed, 0).await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut written = 0;
    for writer in writers {
        written += writer.await.expect("no panic");
    }
    assert_eq!(count().await, Some(written.to_string()));
    bed.stop().await;
}

/// A replica is behind by what a client wrote, and the primary is away without anybody having noticed: the read waits for
/// whoever is the first to have it.
async fn a_read_waits_for_its_write_or_the_primary(flavor: Flavor) {
    let monitor = "down_after = 1000\n";
    let bed = Bed::with(flavor, Plan { monitor, ..Plan::default() }).await;
    let mut client = bed.client().await;
    for back in ["the replica", "the primary"] {
        client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
        bed.pair.wait_caught_up().await.expect("caught up");
        let written = one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await;
        let mut lock = administrator(&bed).await;
        lock.query_drop("LOCK TABLES app.t READ").await.expect("the applier waits, readers do not");
        client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
        bed.ocean.cut();
        let tries = bed.metric("landbridge_gtid_waits_total");
        let read = tokio::spawn(async move { (one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, client) });
        // It does not give up at the first.
        bed.until(|| bed.metric("landbridge_gtid_waits_total") >= tries + 3.0).await;
        assert!(!read.is_finished(), "nobody has what it must see");
        if back == "the primary" {
            bed.ocean.resume();
        } else {
            lock.query_drop("UNLOCK TABLES").await.expect("unlocked");
        }
        let (seen, same) = read.await.expect("it is answered");
        assert_eq!(seen, written + 1, "its own write, by {back}");
        client = same;
        lock.disconnect().await.expect("goodbye");
        bed.ocean.resume();
        bed.warm().await;
    }
    bed.stop().await;
}

/// Straight to the replica.
async fn administrator(bed: &Bed) -> Conn {
    let (socket, root) = (bed.pair.replica.socket().display().to_string(), accounts::ROOT);
    let opts = OptsBuilder::default().socket(Some(socket)).user(Some(root.user)).pass(Some(root.password));
    Conn::new(Opts::from(opts)).await.expect("the administrator gets in")
}

/// A read looks for a primary that nobody has found to be away yet. Whoever is told to go meanwhile, or leaves, goes.
async fn looking_for_the_primary_is_not_deaf(flavor: Flavor) {
    // Never found to be down.
    let monitor = "down_after = 1000\n";
    let bed = Bed::with(flavor, Plan { monitor, ..Plan::default() }).await;
    let mut settings = base(&bed);
    settings.monitor.down_after = 1000;
    settings.servers[1].weight = 0;
    bed.app().reload(settings).await.expect("the replica serves no reads");
    let registry = &bed.app().shared.registry;
    let (mut told, mut dismissed) = (bed.client().await, bed.client().await);
    let ids = [told.id(), dismissed.id()];
    let mut leaving = bed.raw_client().await.begin();
    bed.ocean.cut();
    let told = tokio::spawn(async move { told.query_drop("SELECT COUNT(*) FROM t").await });
    let dismissed = tokio::spawn(async move { dismissed.query_drop("SELECT COUNT(*) FROM t").await });
    leaving.command(landbridge::protocol::exchange::Expect::Results, &[b"\x03SELECT COUNT(*) FROM t"]);
    leaving.flush().await.expect("sent");
    let failed = bed.metric("landbridge_dial_errors_total");
    bed.until(|| bed.metric("landbridge_dial_errors_total") > failed).await;
    let was_told = |code: &str| bed.metric_of("landbridge_errors_total", code) > 0.0;
    assert!(!was_told("1152") && !was_told("2003"), "all of them wait");
    drop(leaving);
    bed.until(|| was_told("1152")).await;
    let [stop, leave] = ids.map(|id| registry.find(id).expect("connected"));
    stop.stop.cancel();
    leave.leave.cancel();
    // Who had not heard it would be told at last that the primary cannot be reached: 2003.
    assert_eq!(code(&told.await.expect("no panic").expect_err("told to go")), 1053);
    let gone = dismissed.await.expect("no panic").expect_err("told to go");
    assert_ne!(code(&gone), 2003, "{gone}");
    bed.until(|| registry.is_empty()).await;
    assert!(!was_told("2003"));
    bed.ocean.resume();
    bed.stop().await;
}

crate::on_both!(
    a_read_waits_for_its_write_or_the_primary,
    looking_for_the_primary_is_not_deaf,
    writes_wait_for_the_primary,
    users_wait_as_the_file_says_of_them,
    waiting_has_bounds,
    paused_and_resumed,
    at_rest_is_at_rest
);
