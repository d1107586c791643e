//! The status report: what it says of servers that break, of clients and of statements, and to whom.

use crate::support::{APP, Bed, PASSWORD, Plan, one, settings};
use landbridge::lab::{Flavor, accounts};
use landbridge::status::report::{Detail, Health, Replication, Report, State};
use mysql_async::prelude::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Status, headers and body of a page.
pub(crate) async fn get(bed: &Bed, path: &str, headers: &str) -> (u16, String, String) {
    let http = bed.app().http.expect("there is one");
    let mut stream = tokio::net::TcpStream::connect(http).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.0\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_owned(), body.to_owned())
}

pub(crate) async fn report(bed: &Bed) -> Report {
    let (status, _, body) = get(bed, "/status.json", "").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("it is what it says")
}

/// Waits until the report says so.
async fn until(bed: &Bed, what: &str, fits: impl Fn(&Report) -> bool) -> Report {
    let mut last = Report::default();
    for _ in 0..400 {
        last = report(bed).await;
        if fits(&last) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{what} was never told: {last:#?}");
}

fn has_alarm(report: &Report, what: &str) -> bool {
    report.alarms.iter().any(|alarm| alarm.what == what)
}

/// Everything that is well, counted: servers, pools, clients and what they hold, routes, round trips, statements.
async fn what_goes_on(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (n, s) VALUES (1, 'hidden')").await.expect("write");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t WHERE s = 'hidden'").await, 1);
    let mut other = bed.client().await;
    one::<u8>(&mut other, "SELECT GET_LOCK('it', 0)").await;
    let mut third = bed.client().await;
    third.query_drop("BEGIN").await.expect("begin");
    third.query_drop("INSERT INTO t (n) VALUES (2)").await.expect("write");
    let told = until(&bed, "what clients hold", |r| r.clients.pinned == 1 && r.clients.in_transaction == 1).await;
    assert_eq!((told.detail, told.state, told.region.as_deref()), (Detail::Full, State::Serving, Some("here")));
    assert_eq!((told.alarms.len(), told.not_ready.len()), (0, 0), "{told:#?}");
    assert_eq!((told.clients.connected, told.clients.free, told.clients.pins["named_lock"]), (3, 1, 1));
    let [primary, replica] = &told.servers[..] else { panic!("two servers: {told:#?}") };
    assert_eq!((&*primary.name, primary.is_near, primary.region.as_deref()), ("primary", false, Some("overseas")));
    assert_eq!((&*replica.name, replica.is_near, replica.takes_reads), ("replica", true, true));
    assert!(primary.rtt_ms.is_some() && primary.position.is_some() && primary.lag_ms.is_none(), "{primary:?}");
    assert_eq!((primary.connections.leased, primary.connections.target, primary.connections.max), (2, 4, 16));
    assert_eq!(told.pools.len(), 2);
    assert!(told.pools.iter().all(|pool| pool.is_warm && pool.user == APP && pool.failure.is_none()), "{told:#?}");
    let count = |target: &str| told.routes.iter().filter(|r| r.target == target).map(|r| r.count).sum::<u64>();
    assert!(count("primary") >= 3 && count("replica") >= 1, "{:?}", told.routes);
    assert_eq!(told.round_trips.saved, told.round_trips.saved_by.values().sum::<u64>());
    assert!(told.round_trips.spent >= Some(3), "two writes and a named lock: {:?}", told.round_trips);
    assert!(told.round_trips.saved_by["login"] >= 12, "three clients: {:?}", told.round_trips);
    let insert = told.statements.iter().find(|line| line.digest.starts_with("INSERT INTO t (n, s)")).expect("seen");
    assert_eq!((insert.count, &*insert.target, &*insert.reason), (1, "primary", "insert"));
    let (_, head, body) = get(&bed, "/status.json", "").await;
    for secret in ["hidden", PASSWORD, accounts::MONITOR.password] {
        assert!(!body.contains(secret), "{secret}: {body}");
    }
    assert!(head.contains("application/json") && head.contains("no-store"), "{head}");
    let fingerprint = bed.app().metrics.readings().into_iter().find(|r| r.name == "landbridge_config_info");
    assert_eq!(fingerprint.expect("there").label("fingerprint"), Some(&*told.fingerprint));
    bed.app().shared.gate.pause(Duration::from_secs(60));
    assert_eq!(report(&bed).await.state, State::Paused);
    bed.app().shared.gate.resume();
    drop((client, other, third));
    bed.stop().await;
}

/// A replica that stops, is gone, and comes back; a primary that is gone: each is told, and told to be over.
async fn what_breaks(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let replica = |report: &Report| report.servers[1].clone();
    bed.pair.replica.sql("STOP REPLICA").await.expect("stopped");
    let told = until(&bed, "that it stopped", |r| has_alarm(r, "replication_stopped")).await;
    assert_eq!((replica(&told).replication, replica(&told).health), (Replication::Stopped, Health::Up));
    bed.pair.replica.sql("START REPLICA").await.expect("started");
    until(&bed, "that it runs again", |r| r.alarms.is_empty() && replica(r).replication == Replication::Running).await;

    bed.shore.cut();
    let told = until(&bed, "that the replica is down", |r| has_alarm(r, "replica_down")).await;
    assert!(has_alarm(&told, "no_replica") && !replica(&told).takes_reads, "{told:#?}");
    assert!(replica(&told).why.is_some_and(|why| !why.is_empty()));
    bed.shore.resume();
    until(&bed, "that the replica is back", |r| r.alarms.is_empty()).await;

    bed.pair.primary.sql("SET GLOBAL read_only = ON").await.expect("set");
    let told = until(&bed, "that it refuses writes", |r| has_alarm(r, "primary_read_only")).await;
    assert_eq!(told.servers[0].health, Health::Up);
    bed.pair.primary.sql("SET GLOBAL read_only = OFF").await.expect("set");
    until(&bed, "that it takes them again", |r| r.alarms.is_empty()).await;

    bed.app().reload_refused();
    let told = until(&bed, "that the file was refused", |r| has_alarm(r, "reload_refused")).await;
    assert_eq!(told.alarms.len(), 1, "{told:#?}");
    bed.app().reload(crate::reload::base(&bed)).await.expect("this one is right");
    until(&bed, "that it was mended", |r| r.alarms.is_empty()).await;

    bed.pair.primary.kill9().expect("killed");
    let told = until(&bed, "that the primary is down", |r| has_alarm(r, "primary_down")).await;
    assert_eq!((told.servers[0].health, told.alarms[0].is_serious), (Health::Down, true));
    let mut client = bed.client().await;
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 0, "reads go on");
    bed.stop().await;
}

/// Who is not on this machine sees numbers; where the file wants no page there is none.
async fn who_sees_what(flavor: Flavor) {
    let extra = "[listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"\"\nhttp = \"127.0.0.1:0\"\n";
    let bed = Bed::with(flavor, Plan { extra, ..Plan::default() }).await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    bed.shore.cut();
    until(&bed, "why the replica is down", |r| r.servers[1].why.is_some()).await;
    for stranger in ["Host: rebound.example.com\r\n", "Host: localhost\r\nX-Forwarded-For: 10.0.0.7\r\n"] {
        let (status, _, body) = get(&bed, "/status.json", stranger).await;
        let told: Report = serde_json::from_str(&body).expect("a report");
        assert_eq!((status, told.detail, told.statements.len(), told.pools.len()), (200, Detail::Counts, 0, 0));
        assert!(told.servers.iter().all(|server| server.why.is_none() && server.position.is_none()));
        assert!(has_alarm(&told, "replica_down") && told.routes.iter().any(|route| route.reason == "insert"));
        assert!(!body.contains("INSERT"), "{body}");
    }
    let (_, head, page) = get(&bed, "/", "").await;
    assert!(head.contains("content-security-policy: default-src 'none'") && page.contains("<html"), "{head}");
    for (path, kind) in [("/status", "text/html"), ("/status.css", "text/css"), ("/status.js", "text/javascript")] {
        let (status, head, _) = get(&bed, path, "").await;
        assert!(status == 200 && head.contains(kind), "{path}: {head}");
    }
    let monitor = ("200ms", accounts::MONITOR.password);
    let mut off = settings(&bed.pair, (&bed.ocean, &bed.shore), (4, 16), monitor, ("", "", extra));
    off.listen.status = landbridge::config::StatusPage::Off;
    bed.app().reload(off).await.expect("applied");
    for path in ["/status.json", "/status", "/status.js"] {
        assert_eq!(get(&bed, path, "").await.0, 404, "{path}");
    }
    assert!(get(&bed, "/", "").await.2.starts_with("Landbridge: /metrics"));
    assert_eq!(get(&bed, "/metrics", "").await.0, 200);
    drop(client);
    bed.stop().await;
}

crate::on_both!(what_goes_on, what_breaks, who_sees_what);
