//! A hundred reloads under load: no query fails, nothing is read too old, and nothing is left over.

use crate::reload::{base, counted, one_more_replica, through};
use crate::support::{APP, Bed, one};
use landbridge::config::{LogLevel, ReadFrom, ReadWait, Rule, Secret, Settings, User};
use landbridge::lab::{Flavor, Relay};
use mysql_async::prelude::*;
use mysql_async::{Conn, Opts};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

const RELOADS: usize = 100;
const WRITERS: u32 = 3;

/// Something else than [`base`], another thing each time.
fn changed(bed: &Bed, nth: usize, second: &Relay, bridge: &Relay) -> Settings {
    let mut settings = base(bed);
    match nth % 10 {
        0 => settings.servers.push(one_more_replica(&settings, second)),
        1 => settings.servers[1] = one_more_replica(&settings, second),
        2 => settings.limits.max_clients -= 1,
        3 => {
            let pool = &mut settings.users[0].pool;
            (pool.min_warm, pool.max) = (2, 8);
        }
        4 => {
            let password = Secret::new("extra-secret".into());
            settings.users.push(User { name: "extra".into(), password, ..settings.users[0].clone() });
        }
        5 => {
            settings.log.level = LogLevel::Debug;
            settings.pool.idle_timeout = Some(Duration::from_secs(1));
        }
        6 => {
            settings.consistency.wait = ReadWait::AtMost(Duration::from_millis(nth as u64 % 20));
            let (user, schema) = (Some(APP.to_owned()), Some("app".to_owned()));
            let read = Some(ReadFrom::Primary);
            settings.rules.push(Rule {
                user,
                schema,
                tables: Vec::new(),
                read,
                max_lag: None,
                on_empty: None,
                transactions: None,
            });
        }
        7 => settings.monitor.interval = Duration::from_millis(150),
        8 => settings.servers[0].address = through(bridge),
        _ => settings.servers[1].weight = 0,
    }
    settings
}

/// Writes to a row of its own, in transactions and without, and reads what it wrote.
async fn write(opts: Opts, id: u32, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    let mut client = Conn::new(opts).await.expect("connects");
    let mut n = 0u32;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let update = format!("UPDATE t SET n = {n} WHERE id = {id}");
        if n.is_multiple_of(3) {
            client.query_drop("BEGIN").await.expect("begin");
            client.query_drop(&update).await.expect("write in a transaction");
            client.query_drop("COMMIT").await.expect("commit");
        } else {
            client.exec_drop("UPDATE t SET n = ? WHERE id = ?", (n, id)).await.expect("write");
        }
        let seen: u32 = one(&mut client, &format!("SELECT n FROM t WHERE id = {id}")).await;
        assert_eq!(seen, n, "it reads what it wrote");
        done.fetch_add(1, Ordering::Relaxed);
    }
    client.disconnect().await.expect("goodbye");
}

/// Reads what others wrote, which never becomes older, on one connection or on many.
async fn read(opts: Opts, many: bool, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    let mut client = Conn::new(opts.clone()).await.expect("connects");
    let mut newest = [0u32; WRITERS as usize];
    while !stop.load(Ordering::Relaxed) {
        if many {
            client.disconnect().await.expect("goodbye");
            client = Conn::new(opts.clone()).await.expect("connects again");
            client.query_drop("SET time_zone = '+03:00'").await.expect("set");
        }
        let rows: Vec<u32> = client.query("SELECT n FROM t ORDER BY id").await.expect("read");
        for (before, n) in newest.iter_mut().zip(rows) {
            assert!(*before <= n, "{n} after {before}");
            *before = n;
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    client.disconnect().await.expect("goodbye");
}

async fn a_hundred_reloads_under_load(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    for sql in ["CREATE USER extra@'%' IDENTIFIED BY 'extra-secret'", "GRANT ALL ON app.* TO extra@'%'"] {
        bed.pair.primary.sql(sql).await.expect("account");
    }
    let second = Relay::start(bed.pair.replica.addr(), Duration::ZERO).await.expect("relay");
    let bridge = Relay::start(bed.pair.primary.addr(), Duration::from_millis(1)).await.expect("relay");
    let mut setup = bed.client().await;
    for id in 1..=WRITERS {
        setup.query_drop(format!("INSERT INTO t (id, n) VALUES ({id}, 0)")).await.expect("row");
    }
    setup.disconnect().await.expect("goodbye");

    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let opts = || Opts::from(bed.opts());
    let writers = (1..=WRITERS).map(|id| tokio::spawn(write(opts(), id, stop.clone(), done.clone())));
    let readers = [false, false, true].map(|many| tokio::spawn(read(opts(), many, stop.clone(), done.clone())));
    let clients: Vec<_> = writers.chain(readers).collect();
    for nth in 0..RELOADS {
        let settings = changed(&bed, nth, &second, &bridge);
        let reloaded = bed.app().reload(settings).await.unwrap_or_else(|error| panic!("{nth}: {error:#}"));
        assert!(!reloaded.applied.is_empty() && reloaded.needs_restart.is_empty(), "{nth}: {reloaded:?}");
        // Something is done under each configuration.
        let enough = done.load(Ordering::Relaxed) + 20;
        bed.until(|| done.load(Ordering::Relaxed) >= enough || clients.iter().any(JoinHandle::is_finished)).await;
        assert!(!clients.iter().any(JoinHandle::is_finished), "a client failed after reload {nth}");
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no query failed");
    }
    assert_eq!(counted(&bed, "landbridge_config_reloads_total", "applied"), RELOADS.to_string());
    assert_eq!(counted(&bed, "landbridge_config_reloads_total", "refused"), "0");

    bed.app().reload(base(&bed)).await.expect("as it was");
    bed.settled().await;
    for relay in [&second, &bridge] {
        let drained = relay.wait_until(|stats| stats.connections_open == 0);
        assert!(tokio::time::timeout(Duration::from_secs(20), drained).await.is_ok(), "{:?}", relay.stats());
    }
    for (server, name) in [(&bed.pair.primary, "primary"), (&bed.pair.replica, "replica")] {
        let held = || {
            let pools = bed.app().shared.pools.all();
            pools.iter().filter(|pool| pool.server().name == name).map(|pool| pool.counts().idle).sum::<usize>()
        };
        let count = "SELECT COUNT(*) FROM information_schema.processlist WHERE user IN ('app', 'extra')";
        bed.until_sql_at(server, count, &held().to_string()).await;
        let monitors = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'landbridge'";
        bed.until_sql_at(server, monitors, "1").await;
    }
    bed.stop().await;
}

crate::on_both!(a_hundred_reloads_under_load);
