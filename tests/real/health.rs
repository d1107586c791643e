//! Servers that are there and not well, and what clients' own traffic tells of them.

use crate::support::{APP, Bed, Plan, one};
use landbridge::lab::{Flavor, accounts};
use landbridge::topology::{Health, Snapshot};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error, Opts};
use std::sync::Arc;

fn code(failure: &Error) -> u16 {
    match failure {
        Error::Server(error) => error.code,
        other => panic!("not a server's error: {other}"),
    }
}

fn why(snapshot: &Snapshot) -> Option<Arc<str>> {
    match &snapshot.primary()?.health {
        Health::Down(why) => Some(why.clone()),
        Health::Up | Health::Unknown | Health::Retired => None,
    }
}

fn is_up(snapshot: &Snapshot) -> bool {
    snapshot.primary().is_some_and(|p| p.health == Health::Up)
}

/// The server has no connection left: what is open serves all the same, also while the monitor cannot log in.
async fn no_connection_is_left(flavor: Flavor) {
    let extra = "[[user]]\nname = \"root\"\npassword = \"root-secret\"\n";
    assert_eq!(accounts::ROOT.password, "root-secret");
    let bed = Bed::with(flavor, Plan { min_warm: 6, max: 12, extra, ..Plan::default() }).await;
    let opts = bed.opts().user(Some(accounts::ROOT.user)).pass(Some(accounts::ROOT.password));
    let mut root = Conn::new(Opts::from(opts)).await.expect("root can connect");
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(bed.client().await);
    }
    // Thirteen are open already; the least that MariaDB knows is ten.
    root.query_drop("SET GLOBAL max_connections = 10").await.expect("set");
    let user = accounts::MONITOR.user;
    let ask = format!("/* landbridge: primary */ SELECT id FROM information_schema.processlist WHERE user = '{user}'");
    let monitor: Option<u64> = root.query_first(ask).await.expect("seen");
    root.query_drop(format!("KILL CONNECTION {}", monitor.expect("one"))).await.expect("killed");
    bed.topology(|t| t.primary().is_some_and(|p| p.executed.is_none())).await;
    // More transactions than connections: some wait for others, none fails.
    let mut running = Vec::new();
    for mut client in clients {
        running.push(tokio::spawn(async move {
            client.query_drop("BEGIN").await?;
            client.query_drop("INSERT INTO t (n) VALUES (1)").await?;
            client.query_drop("DO SLEEP(0.1)").await?;
            client.query_drop("COMMIT").await
        }));
    }
    for done in running {
        done.await.expect("no panic").expect("served by the connections that are there");
    }
    assert!(is_up(&bed.app().shared.snapshot()));
    assert_eq!(one::<u64>(&mut bed.client().await, "SELECT COUNT(*) FROM t").await, 10);
    root.query_drop("SET GLOBAL max_connections = 100").await.expect("set");
    bed.topology(|t| t.primary().is_some_and(|p| p.executed.is_some())).await;
    bed.stop().await;
}

/// TCP answers and the server does not: noticed in bounds, with the reason, and over as soon as it goes on.
async fn a_server_that_stands_still(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    bed.pair.wait_caught_up().await.expect("caught up");
    bed.pair.primary.pause().expect("stopped");
    bed.topology(|t| why(t).is_some()).await;
    let reason = why(&bed.app().shared.snapshot()).expect("down");
    assert!(reason.contains("no answer within 2s"), "{reason}");
    let error = client.query_drop("INSERT INTO t (n) VALUES (2)").await.expect_err("nobody answers");
    assert_eq!(code(&error), 2003, "{error}");
    assert!(error.to_string().contains(&*reason), "{error}");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 1, "reads go on");
    bed.pair.primary.unpause().expect("goes on");
    bed.topology(is_up).await;
    client.query_drop("INSERT INTO t (n) VALUES (3)").await.expect("writes again");
    bed.stop().await;
}

/// Between two probes, which are an hour apart here, clients' own statements show that a server is gone, and the pools'
/// dials that it is back: the monitor looks at once, and decides.
async fn traffic_makes_the_monitor_look(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    bed.pair.primary.kill9().expect("killed");
    let fails = client.query_drop("INSERT INTO t (n) VALUES (2)").await.expect_err("nobody there");
    assert!([2003, 2013].contains(&code(&fails)), "{fails}");
    bed.topology(|t| why(t).is_some()).await;
    assert_eq!(why(&bed.app().shared.snapshot()).as_deref(), Some("connection reset"), "by the relay");
    bed.pair.primary.restart().await.expect("back");
    bed.topology(is_up).await;
    client.query_drop("INSERT INTO t (n) VALUES (3)").await.expect("writes again");
    bed.stop().await;
}

/// The password of the account is changed at the server: who is connected goes on, on what is open.
async fn the_password_is_changed(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { min_warm: 2, max: 4, ..Plan::default() }).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(bed.client().await);
    }
    bed.pair.primary.sql(&format!("ALTER USER '{APP}'@'%' IDENTIFIED BY 'another'")).await.expect("changed");
    for client in &mut clients {
        client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("what is open serves");
    }
    assert!(is_up(&bed.app().shared.snapshot()), "the server is well");
    // No connection is left: the server's own words.
    bed.ocean.cut_existing_and_wait().await;
    bed.until(|| bed.app().shared.pools.all().iter().any(|pool| pool.is_failing())).await;
    let denied = clients[0].query_drop("INSERT INTO t (n) VALUES (2)").await.expect_err("denied");
    assert_eq!(code(&denied), 1045, "{denied}");
    bed.pair
        .primary
        .sql(&format!("ALTER USER '{APP}'@'%' IDENTIFIED BY '{}'", accounts::APP.password))
        .await
        .expect("back");
    bed.until(|| bed.app().shared.pools.all().iter().all(|pool| !pool.is_failing())).await;
    clients[0].query_drop("INSERT INTO t (n) VALUES (3)").await.expect("and all is well");
    bed.stop().await;
}

/// Hundreds wait for a server that comes back: it sees as many logins as there are connections in the pool, and all who
/// wait are served.
async fn a_server_that_comes_back_is_not_trampled(flavor: Flavor) {
    const CLIENTS: usize = 500;
    let extra = "[route]\nprimary_down = \"wait 120s\"\n";
    let bed = Bed::with(flavor, Plan { min_warm: 4, max: 16, extra, ..Plan::default() }).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let opts = bed.opts().wait_timeout(Some(28_800));
        clients.push(Conn::new(Opts::from(opts)).await.expect("a client can connect"));
    }
    bed.pair.primary.kill9().expect("killed");
    bed.topology(|t| why(t).is_some()).await;
    let dialled = bed.metric_of("landbridge_dials_total", "primary");
    let mut writers = Vec::new();
    for mut client in clients {
        writers.push(tokio::spawn(async move { client.query_drop("INSERT INTO t (n) VALUES (1)").await }));
    }
    bed.until(|| bed.app().shared.gate.waiting() == CLIENTS).await;
    bed.pair.primary.restart().await.expect("back");
    for writer in writers {
        writer.await.expect("no panic").expect("written");
    }
    let count = bed.pair.primary.sql("SELECT COUNT(*) FROM app.t").await.expect("count")[0][0].clone();
    assert_eq!(count, Some(CLIENTS.to_string()), "each once");
    let dials = bed.metric_of("landbridge_dials_total", "primary") - dialled;
    assert!(dials <= 16.0, "{dials} logins");
    let status = bed.pair.primary.sql("SHOW GLOBAL STATUS LIKE 'Max_used_connections'").await.expect("status");
    let most: u32 = status[0][1].as_deref().and_then(|n| n.parse().ok()).expect("a number");
    // The pool's, the monitor's, the replica's, the administrator's.
    assert!(most <= 20, "{most} connections at a time");
    bed.stop().await;
}

crate::on_both!(
    no_connection_is_left,
    a_server_that_stands_still,
    traffic_makes_the_monitor_look,
    the_password_is_changed,
    a_server_that_comes_back_is_not_trampled,
);
