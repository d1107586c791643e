//! Changes of roles: planned, unplanned, and what is no change but looks like one.

use crate::support::{APP, PASSWORD, one};
use landbridge::app::App;
use landbridge::config;
use landbridge::lab::{Flavor, Pair, Server, ServerOptions, accounts};
use landbridge::pool::{Counts, Pool};
use landbridge::topology::{Health, Snapshot};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error, Opts, OptsBuilder};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Servers `a` (the primary at first), `b` and perhaps `c`, and Landbridge.
pub(crate) struct Fleet {
    pub(crate) pair: Pair,
    third: Option<Server>,
    pub(crate) app: App,
}

const TABLE: &str = "CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, n INT)";
pub(crate) const AUTO: [&str; 2] = ["auto"; 2];

impl Fleet {
    /// One server for each role.
    pub(crate) async fn start(flavor: Flavor, roles: &[&str], extra: &str) -> Self {
        let pair = Pair::start(flavor).await.expect("servers start");
        pair.primary.sql(TABLE).await.expect("a table can be made");
        pair.wait_caught_up().await.expect("the replica follows");
        let fleet = Self::over(pair, roles, extra).await;
        fleet.until(|t| t.servers.iter().all(|s| s.health == Health::Up) && t.primary().is_some()).await;
        fleet
    }

    /// The same in front of these two, however they are.
    async fn over(pair: Pair, roles: &[&str], extra: &str) -> Self {
        let flavor = pair.primary.flavor();
        let third = if roles.len() > 2 {
            let tls = Some(pair.certs.clone());
            let options = ServerOptions { server_id: 3, read_only: true, tls, ..ServerOptions::default() };
            let third = Server::start(flavor, options).await.expect("a third server starts");
            third.follow(pair.primary.addr(), &pair.certs.ca).await.expect("follows");
            third.catch_up_with(&pair.primary).await.expect("catches up");
            Some(third)
        } else {
            None
        };
        let mut text = String::from("region = \"here\"\n");
        let addresses = [Some(&pair.primary), Some(&pair.replica), third.as_ref()].into_iter().flatten();
        for ((server, role), name) in addresses.zip(roles).zip(["a", "b", "c"]) {
            let (address, ca) = (server.addr(), pair.certs.ca.display());
            let region = if name == "a" { "overseas" } else { "here" };
            write!(
                text,
                "[[server]]\nname = \"{name}\"\naddress = \"{address}\"\nrole = \"{role}\"\nregion = \"{region}\"\n\
                 tls = {{ mode = \"verify-full\", ca = \"{ca}\" }}\n"
            )
            .expect("text");
        }
        write!(
            text,
            "[[user]]\nname = \"{APP}\"\npassword = \"{PASSWORD}\"\n[monitor]\nuser = \"{}\"\npassword = \"{}\"\n\
             interval = \"200ms\"\nreplica_interval = \"50ms\"\n[listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"\"\nhttp = \"\"\n\
             [pool]\nmin_warm = 2\nmax = 16\n{extra}",
            accounts::MONITOR.user,
            accounts::MONITOR.password
        )
        .expect("text");
        let settings =
            config::parse(&text, "test.toml", Path::new("/"), &|_| None).unwrap_or_else(|faults| panic!("{faults}"));
        let app = App::start(&settings).await.expect("Landbridge starts");
        Self { pair, third, app }
    }

    pub(crate) async fn until(&self, fits: impl Fn(&Snapshot) -> bool) {
        let mut topology = self.app.shared.topology.clone();
        let wait = topology.wait_for(|snapshot| fits(snapshot));
        tokio::time::timeout(Duration::from_secs(30), wait).await.expect("within 30 s").expect("monitor runs");
    }

    pub(crate) async fn until_primary_is(&self, name: &str) {
        self.until(|t| t.primary().is_some_and(|p| &*p.name == name && p.health == Health::Up)).await;
    }

    async fn until_metric(&self, name: &str, value: &str) {
        let line = format!("{name} {value}");
        let wait = async {
            while !self.metrics().lines().any(|l| l == line) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("never: {line}"));
    }

    /// Waits until a pool of `a` looks like this.
    async fn until_at_a(&self, fits: impl Fn(Counts) -> bool) {
        let wait = async {
            let of_a = |pool: &Arc<Pool>| pool.server().name == "a" && fits(pool.counts());
            while !self.app.shared.pools.all().iter().any(of_a) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let counts = || self.app.shared.pools.all().iter().map(|pool| pool.counts()).collect::<Vec<_>>();
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        waited.unwrap_or_else(|_| panic!("it never comes to that, but to {:?}", counts()));
    }

    fn metrics(&self) -> String {
        String::from_utf8(self.app.metrics.render().expect("renders")).expect("text")
    }

    pub(crate) async fn client(&self) -> Conn {
        let opts = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.app.mysql[0].port())
            .user(Some(APP))
            .pass(Some(PASSWORD))
            .db_name(Some("app"))
            .prefer_socket(false)
            .max_allowed_packet(Some(1 << 24))
            .wait_timeout(Some(28_800));
        Conn::new(Opts::from(opts)).await.expect("a client can connect")
    }

    pub(crate) async fn stop(self) {
        self.app.shut_down().await;
    }
}

fn code(failure: &Error) -> u16 {
    match failure {
        Error::Server(error) => error.code,
        other => panic!("not a server's error: {other}"),
    }
}

async fn count(server: &Server) -> Option<String> {
    server.sql("SELECT COUNT(*) FROM app.t").await.expect("count")[0][0].clone()
}

/// The old one becomes read-only, the new one is promoted, the old one follows: no restart, no row lost or doubled, and
/// what waits for the primary finds the new one.
async fn planned_switchover(flavor: Flavor) {
    let fleet = Fleet::start(flavor, &AUTO, "[route]\nprimary_down = \"wait 60s\"\n").await;
    let (old, new) = (&fleet.pair.primary, &fleet.pair.replica);
    let (mut client, mut inside, mut reader) = (fleet.client().await, fleet.client().await, fleet.client().await);
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    inside.query_drop("BEGIN").await.expect("begun");
    assert_eq!(one::<u64>(&mut inside, "SELECT COUNT(*) FROM t").await, 1);
    let mut tied = fleet.client().await;
    assert_eq!(one::<u64>(&mut tied, "SELECT GET_LOCK('a', 0)").await, 1);
    assert_eq!(one::<u64>(&mut tied, "SELECT COUNT(*) FROM t").await, 1);

    old.sql("SET GLOBAL read_only = 1").await.expect("read-only");
    fleet.until(|t| t.primary().is_none()).await;
    let waits = tokio::spawn(async move { client.query_drop("INSERT INTO t (n) VALUES (2)").await.map(|()| client) });
    let waiting = async {
        while fleet.app.shared.gate.waiting() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it waits");
    assert_eq!(one::<u64>(&mut reader, "SELECT COUNT(*) FROM t").await, 1, "reads go on");
    new.catch_up_with(old).await.expect("caught up");
    fleet.pair.promote_replica().await.expect("promoted");
    let mut client = waits.await.expect("no panic").expect("written at the new one");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 2, "reads its own write");
    fleet.until_primary_is("b").await;

    // What was begun at the old one can read to its end there, and must not write or commit.
    assert_eq!(one::<u64>(&mut inside, "SELECT COUNT(*) FROM t").await, 1);
    let lost = inside.query_drop("INSERT INTO t (n) VALUES (3)").await.expect_err("the other is the primary");
    assert_eq!(code(&lost), 2013, "{lost}");
    assert!(lost.to_string().contains("b is the primary now"), "{lost}");
    inside.query_drop("INSERT INTO t (n) VALUES (4)").await.expect("the session lives on, at the new one");
    // What is tied to the old one outside of a transaction sees all that is committed, or nothing.
    let lost =
        tied.query_drop("SELECT COUNT(*) FROM t").await.expect_err("what is there is older than what was written");
    assert!(code(&lost) == 2013 && lost.to_string().contains("b is the primary now"), "{lost}");

    old.follow(new.addr(), &fleet.pair.certs.ca).await.expect("the old one follows");
    old.catch_up_with(new).await.expect("caught up");
    assert_eq!(count(old).await.as_deref(), Some("3"));
    fleet.until(|t| t.has_replicas() && t.servers.iter().all(|s| s.health == Health::Up)).await;
    assert_eq!(one::<u64>(&mut inside, "SELECT COUNT(*) FROM t").await, 3);
    fleet.stop().await;
}

/// What is on its way to the old one while the roles change: a statement that runs there, and one that waits for a
/// connection there.
async fn what_is_on_its_way(flavor: Flavor) {
    let fleet = Fleet::start(flavor, &AUTO, "checkout_timeout = \"60s\"\n").await;
    let (old, new) = (&fleet.pair.primary, &fleet.pair.replica);
    // What it has written only the old one has: there its transaction is to begin.
    let mut reads = fleet.client().await;
    fleet.pair.stop_applier().await.expect("stops");
    reads.query_drop("INSERT INTO t (n) VALUES (0)").await.expect("write");
    let mut all = Vec::new();
    for n in 0..15 {
        let mut client = fleet.client().await;
        assert_eq!(one::<u64>(&mut client, &format!("SELECT GET_LOCK('{n}', 0)")).await, 1);
        all.push(client);
    }
    // What they saw has been named by then, for which a connection is taken, too.
    fleet.until_at_a(|counts| counts.leased == 15 && counts.waiting == 0).await;
    let mut tied = fleet.client().await;
    let tied = tokio::spawn(async move {
        assert_eq!(one::<u64>(&mut tied, "SELECT GET_LOCK('0', 60)").await, 1);
        tied
    });
    let mut late = fleet.client().await;
    fleet.until_at_a(|counts| counts.leased == 16).await;
    let late = tokio::spawn(async move { late.query_drop("INSERT INTO t (n) VALUES (1)").await });
    let reads = tokio::spawn(async move {
        reads.query_drop("START TRANSACTION READ ONLY").await.expect("begun");
        assert_eq!(one::<u64>(&mut reads, "SELECT COUNT(*) FROM t").await, 1);
        reads
    });
    fleet.until_at_a(|counts| counts.waiting >= 2).await;
    fleet.pair.start_applier().await.expect("starts");

    old.sql("SET GLOBAL read_only = 1").await.expect("read-only");
    new.catch_up_with(old).await.expect("caught up");
    fleet.pair.promote_replica().await.expect("promoted");
    fleet.until_primary_is("b").await;
    for client in all {
        client.disconnect().await.expect("goodbye");
    }
    late.await.expect("no panic").expect("written at the new one");
    assert_eq!(count(new).await.as_deref(), Some("2"));
    let mut reads = reads.await.expect("no panic");
    // It is a transaction still, and what it has seen is not so any more.
    let refused = reads.query_drop("INSERT INTO t (n) VALUES (2)").await.expect_err("it only reads");
    assert!([1213, 1792].contains(&code(&refused)), "{refused}");
    assert_eq!(count(new).await.as_deref(), Some("2"));
    let mut tied = tied.await.expect("no panic");
    let lost = tied.query_drop("SELECT COUNT(*) FROM t").await.expect_err("it has not been written here");
    assert!(code(&lost) == 2013 && lost.to_string().contains("b is the primary now"), "{lost}");
    fleet.stop().await;
}

/// Who starts in the middle of a planned change cannot know what was written before: its reads wait for the new primary.
async fn a_start_between_two_primaries(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers start");
    pair.primary.sql(TABLE).await.expect("a table can be made");
    pair.wait_caught_up().await.expect("the replica follows");
    pair.stop_applier().await.expect("stops");
    pair.primary.sql("INSERT INTO app.t (n) VALUES (1)").await.expect("write");
    pair.primary.sql("SET GLOBAL read_only = 1").await.expect("read-only");
    let fleet = Fleet::over(pair, &AUTO, "").await;
    fleet.until(|t| t.between_primaries).await;
    let mut client = fleet.client().await;
    let read = tokio::spawn(async move { one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await });
    fleet.pair.start_applier().await.expect("starts");
    fleet.pair.wait_caught_up().await.expect("the replica follows");
    fleet.pair.promote_replica().await.expect("promoted");
    assert_eq!(read.await.expect("no panic"), 1);
    fleet.stop().await;
}

/// The primary dies, the replica is promoted, the dead one comes back and takes writes: an alarm, and the one that is
/// known stays the primary.
async fn unplanned_promotion(flavor: Flavor) {
    let fleet = Fleet::start(flavor, &AUTO, "").await;
    let (old, new) = (&fleet.pair.primary, &fleet.pair.replica);
    let (mut client, mut inside) = (fleet.client().await, fleet.client().await);
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    fleet.pair.wait_caught_up().await.expect("the replica follows");
    inside.query_drop("BEGIN").await.expect("begun");
    inside.query_drop("INSERT INTO t (n) VALUES (2)").await.expect("write");
    old.kill9().expect("killed");
    fleet.until(|t| t.servers.iter().any(|s| matches!(s.health, Health::Down(_)))).await;
    let error = client.query_drop("INSERT INTO t (n) VALUES (3)").await.expect_err("no primary");
    assert_eq!(code(&error), 2003, "{error}");
    fleet.pair.promote_replica().await.expect("promoted");
    fleet.until_primary_is("b").await;
    let lost = inside.query_drop("COMMIT").await.expect_err("gone with the old one");
    assert_eq!(code(&lost), 2013, "{lost}");
    for client in [&mut client, &mut inside] {
        client.query_drop("INSERT INTO t (n) VALUES (4)").await.expect("at the new one");
    }
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 3);
    assert!(fleet.metrics().contains("landbridge_rival_primaries 0"));

    old.restart().await.expect("back");
    old.sql("SET GLOBAL read_only = 0").await.expect("writable");
    fleet.until_metric("landbridge_rival_primaries", "1").await;
    client.query_drop("INSERT INTO t (n) VALUES (5)").await.expect("still at the new one");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 4);
    assert_eq!(count(new).await.as_deref(), Some("4"));
    assert_eq!(count(old).await.as_deref(), Some("1"));
    old.sql("SET GLOBAL read_only = 1").await.expect("read-only");
    fleet.until_metric("landbridge_rival_primaries", "0").await;
    fleet.stop().await;
}

/// Where the file says so, a transaction that the old primary took with it is run again on the new one.
async fn transactions_go_on_at_the_successor(flavor: Flavor) {
    const EXTRA: &str = "[route]\nprimary_down = \"wait 60s\"\ntransaction_replay = true\n";
    let fleet = Fleet::start(flavor, &AUTO, EXTRA).await;
    let (old, new) = (&fleet.pair.primary, &fleet.pair.replica);
    let (mut client, mut dying) = (fleet.client().await, fleet.client().await);
    client.query_drop("INSERT INTO t (id, n) VALUES (1, 1), (2, 2)").await.expect("write");
    while !fleet.app.shared.definitions.are_known_to(APP) {
        client.query_drop("SELECT n FROM t WHERE id = 0").await.expect("a read has tables looked up");
    }
    for (conn, id) in [(&mut client, 1), (&mut dying, 2)] {
        conn.query_drop("BEGIN").await.expect("begun");
        conn.query_drop(format!("UPDATE t SET n = n + 10 WHERE id = {id}")).await.expect("write");
    }
    old.sql("SET GLOBAL read_only = 1").await.expect("read-only");
    new.catch_up_with(old).await.expect("caught up");
    fleet.pair.promote_replica().await.expect("promoted");
    fleet.until_primary_is("b").await;
    // The old one is there and has the transaction open: it is given up, and not committed.
    assert_eq!(one::<u64>(&mut client, "SELECT n FROM t WHERE id = 1").await, 11);
    client.query_drop("UPDATE t SET n = n + 100 WHERE id = 1").await.expect("at the new one");
    old.kill9().expect("killed");
    assert_eq!(one::<u64>(&mut dying, "SELECT n FROM t WHERE id = 2").await, 12);
    for conn in [&mut client, &mut dying] {
        conn.query_drop("COMMIT").await.expect("committed");
    }
    let sum = new.sql("SELECT SUM(n) FROM app.t").await.expect("a sum")[0][0].clone();
    assert_eq!(sum.as_deref(), Some("123"));
    fleet.until_metric("landbridge_replayed_transactions_total{outcome=\"went_on\"}", "2").await;
    fleet.stop().await;
}

/// The file says who the primary is, and it is read-only: an alarm, the server's own error, and the session lives on.
async fn a_primary_that_is_read_only(flavor: Flavor) {
    let fleet = Fleet::start(flavor, &["primary", "replica"], "").await;
    let mut client = fleet.client().await;
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    assert!(fleet.metrics().contains("landbridge_primary_read_only 0"));
    fleet.pair.primary.sql("SET GLOBAL read_only = 1").await.expect("read-only");
    for sql in ["INSERT INTO t (n) VALUES (2)", "UPDATE t SET n = 2"] {
        let refused = client.query_drop(sql).await.expect_err("read-only");
        assert_eq!(code(&refused), 1290, "{refused}");
        assert!(!refused.to_string().contains("Landbridge"), "{refused}");
    }
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 1);
    fleet.until_metric("landbridge_primary_read_only", "1").await;
    fleet.pair.primary.sql("SET GLOBAL read_only = 0").await.expect("writable");
    fleet.until_metric("landbridge_primary_read_only", "0").await;
    client.query_drop("INSERT INTO t (n) VALUES (3)").await.expect("write");
    fleet.stop().await;
}

/// Reads go to the other replica, then to the primary, and back.
async fn replicas_that_die(flavor: Flavor) {
    let fleet = Fleet::start(flavor, &["primary", "replica", "replica"], "").await;
    let (b, c) = (&fleet.pair.replica, fleet.third.as_ref().expect("three servers"));
    let mut client = fleet.client().await;
    let ask = "SELECT COUNT(*) FROM t";
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    for replica in [b, c] {
        replica.catch_up_with(&fleet.pair.primary).await.expect("caught up");
    }
    let health = async |name: &'static str, up: bool| {
        fleet.until(|t| t.servers.iter().any(|s| &*s.name == name && (s.health == Health::Up) == up)).await;
    };
    let at_replicas = || {
        let metrics = fleet.metrics();
        let reads = metrics.lines().filter(|l| l.contains("statements_total") && l.contains("\"replica\""));
        reads.filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    // The primary answers until it is known what must be seen: what the one that died had shown.
    let until_a_replica_answers = async |client: &mut Conn| {
        let before = at_replicas();
        let reads = async {
            while at_replicas() == before {
                assert_eq!(one::<u32>(client, ask).await, 1);
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reads).await.expect("a replica answers");
    };
    until_a_replica_answers(&mut client).await;
    b.kill9().expect("killed");
    for _ in 0..10 {
        assert_eq!(one::<u32>(&mut client, ask).await, 1, "somebody answers");
    }
    health("b", false).await;
    until_a_replica_answers(&mut client).await;
    c.kill9().expect("killed");
    for _ in 0..10 {
        assert_eq!(one::<u32>(&mut client, ask).await, 1, "the primary");
    }
    health("c", false).await;
    let before = at_replicas();
    assert_eq!(one::<u32>(&mut client, ask).await, 1, "the primary");
    assert_eq!(at_replicas(), before);
    c.restart().await.expect("back");
    health("c", true).await;
    until_a_replica_answers(&mut client).await;
    fleet.stop().await;
}

crate::on_both!(
    planned_switchover,
    what_is_on_its_way,
    a_start_between_two_primaries,
    unplanned_promotion,
    transactions_go_on_at_the_successor,
    a_primary_that_is_read_only,
    replicas_that_die
);
