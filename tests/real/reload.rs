//! Changing the configuration while clients are served: nobody is thrown out, and what is gone drains.

use crate::support::{APP, Bed, Plan, one, settings};
use landbridge::config::{Role, Secret, Server, ServerAddress, Settings, User};
use landbridge::lab::{Flavor, Relay, accounts};
use landbridge::topology::Health;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error, Opts};
use std::time::Duration;

/// The configuration that [`Bed::new`] begins with.
pub(crate) fn base(bed: &Bed) -> Settings {
    let monitor = ("200ms", accounts::MONITOR.password);
    settings(&bed.pair, (&bed.ocean, &bed.shore), (4, 16), monitor, ("", "", ""))
}

/// The address of a relay.
pub(crate) fn through(relay: &Relay) -> ServerAddress {
    ServerAddress::Tcp { host: relay.addr().ip().to_string(), port: relay.addr().port() }
}

/// One more replica, reached through a relay.
pub(crate) fn one_more_replica(settings: &Settings, relay: &Relay) -> Server {
    Server { name: "second".into(), address: through(relay), ..settings.servers[1].clone() }
}

/// A metric with this label, as text.
pub(crate) fn counted(bed: &Bed, name: &str, label: &str) -> String {
    bed.metric_of(name, label).abs().to_string()
}

async fn reload(bed: &Bed, settings: &Settings) -> Vec<String> {
    bed.app().reload(settings.clone()).await.expect("it can be applied").applied
}

fn code(failure: &Error) -> u16 {
    match failure {
        Error::Server(error) => error.code,
        other => panic!("not a server's error: {other}"),
    }
}

/// Waits until no connection goes through a relay any more.
async fn unused(relay: &Relay) {
    let drained = relay.wait_until(|stats| stats.connections_open == 0);
    assert!(tokio::time::timeout(Duration::from_secs(20), drained).await.is_ok(), "{:?}", relay.stats());
}

/// A user is added, gets other limits, and is removed: it finishes its transaction, and is told to go.
async fn users_come_and_go(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut other = bed.client().await;
    for sql in ["CREATE USER extra@'%' IDENTIFIED BY 'extra-secret'", "GRANT ALL ON app.* TO extra@'%'"] {
        bed.pair.primary.sql(sql).await.expect("account");
    }
    bed.pair.wait_caught_up().await.expect("there, too");
    let opts = || Opts::from(bed.opts().user(Some("extra")).pass(Some("extra-secret")));
    assert_eq!(code(&Conn::new(opts()).await.expect_err("unknown")), 1045);

    let mut settings = base(&bed);
    let user = User { name: "extra".into(), password: Secret::new("extra-secret".into()), ..settings.users[0].clone() };
    settings.users.push(user);
    assert_eq!(reload(&bed, &settings).await, ["user 'extra' added"]);
    bed.warm().await;
    let mut at_rest = Conn::new(opts()).await.expect("known now");
    let mut writing = Conn::new(opts()).await.expect("known now");
    at_rest.query_drop("INSERT INTO t (id, n) VALUES (1, 1)").await.expect("write");

    // A limit below what is there throws nobody out.
    settings.users[1].max_clients = Some(1);
    assert_eq!(reload(&bed, &settings).await, ["user 'extra' changed"]);
    assert_eq!(code(&Conn::new(opts()).await.expect_err("too many")), 1203);
    assert_eq!(one::<u32>(&mut at_rest, "SELECT n FROM t WHERE id = 1").await, 1);
    writing.query_drop("BEGIN").await.expect("begin");
    writing.query_drop("UPDATE t SET n = 2 WHERE id = 1").await.expect("write");

    assert_eq!(reload(&bed, &base(&bed)).await, ["user 'extra' removed"]);
    let refused = at_rest.query_drop("SELECT 1").await.expect_err("it has to go");
    assert!(code(&refused) == 1045 && refused.to_string().contains("does not list"), "{refused}");
    writing.query_drop("UPDATE t SET n = n + 1 WHERE id = 1").await.expect("its transaction goes on");
    writing.query_drop("COMMIT").await.expect("and ends");
    assert_eq!(code(&writing.query_drop("SELECT 1").await.expect_err("now it has to go, too")), 1045);
    assert_eq!(code(&Conn::new(opts()).await.expect_err("unknown again")), 1045);
    assert_eq!(one::<u32>(&mut other, "SELECT n FROM t WHERE id = 1").await, 3);
    let count = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'extra'";
    bed.until_sql_at(&bed.pair.primary, count, "0").await;
    bed.until_sql_at(&bed.pair.replica, count, "0").await;
    bed.stop().await;
}

/// A password changes at the servers and in the file. Sessions stay; one that the primary refuses is refused here.
async fn a_password_changes(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let (mut at_rest, mut writing) = (bed.client().await, bed.client().await);
    at_rest.query_drop("INSERT INTO t (id, n) VALUES (1, 1)").await.expect("write");
    writing.query_drop("BEGIN").await.expect("begin");
    writing.query_drop("UPDATE t SET n = 2 WHERE id = 1").await.expect("write");
    let mut settings = base(&bed);
    settings.users[0].password = Secret::new("another".into());
    settings.limits.max_clients = 1;
    settings.servers.push(one_more_replica(&settings, &bed.shore));
    let refused = bed.app().reload(settings.clone()).await.expect_err("the primary does not know it");
    let text = format!("{refused:#}");
    assert!(text.contains("'app'") && text.contains("primary") && !text.contains("another"), "{text}");
    assert_eq!(counted(&bed, "landbridge_config_reloads_total", "refused"), "1");
    let mut third = bed.client().await;
    assert_eq!(one::<u32>(&mut third, "SELECT n FROM t WHERE id = 1").await, 1, "nothing of it was applied");

    bed.pair.primary.sql("ALTER USER app@'%' IDENTIFIED BY 'another'").await.expect("changed");
    bed.pair.wait_caught_up().await.expect("there, too");
    settings.limits.max_clients = base(&bed).limits.max_clients;
    assert_eq!(reload(&bed, &settings).await, ["server 'second' added", "password of user 'app' changed"]);
    bed.topology(|snapshot| snapshot.readers.len() == 2).await;
    for client in [&mut at_rest, &mut third] {
        assert_eq!(one::<u32>(client, "SELECT n FROM t WHERE id = 1").await, 1);
        client.query_drop("UPDATE t SET n = n WHERE id = 2").await.expect("with a connection of the new password");
    }
    writing.query_drop("COMMIT").await.expect("on the connection of the old one");
    writing.query_drop("UPDATE t SET n = 3 WHERE id = 1").await.expect("goes on with the new one");
    assert_eq!(code(&Conn::new(Opts::from(bed.opts())).await.expect_err("the old one is refused")), 1045);
    let mut new = Conn::new(Opts::from(bed.opts().pass(Some("another")))).await.expect("the new one is right");
    assert_eq!(one::<u32>(&mut new, "SELECT n FROM t WHERE id = 1").await, 3);
    // Those of the old password are gone: what is open is what the pools hold.
    let pools = bed.app().shared.pools.all();
    assert_eq!(pools.len(), 4, "one for each server, with that of the reload that was refused");
    let at_primary = || {
        let counts = pools.iter().find(|pool| pool.server().name == "primary").expect("there").counts();
        (counts.idle + counts.leased + counts.resetting).to_string()
    };
    let count = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{APP}'");
    bed.until_sql(&count, &at_primary()).await;
    bed.stop().await;
}

/// A replica is added and the old one removed; the removed one's connections go, and nobody reads too little.
async fn replicas_come_and_go(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let second = Relay::start(bed.pair.replica.addr(), Duration::ZERO).await.expect("relay");
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (id, n) VALUES (1, 0)").await.expect("write");
    let mut settings = base(&bed);
    settings.servers.push(one_more_replica(&settings, &second));
    assert_eq!(reload(&bed, &settings).await, ["server 'second' added"]);
    bed.topology(|snapshot| snapshot.readers.len() == 2).await;
    settings.servers.remove(1);
    assert_eq!(reload(&bed, &settings).await, ["server 'replica' removed"]);
    unused(&bed.shore).await;
    bed.topology(|s| s.readers.len() == 1 && s.servers.len() == 3 && s.servers[1].health == Health::Retired).await;
    assert_eq!(counted(&bed, "landbridge_server_up", "replica"), "1", "that is the second's role");
    for n in 1..20u32 {
        client.query_drop(format!("UPDATE t SET n = {n} WHERE id = 1")).await.expect("write");
        assert_eq!(one::<u32>(&mut client, "SELECT n FROM t WHERE id = 1").await, n);
    }
    assert_eq!(bed.shore.stats().connections_open, 0);
    // Back under its own name it is another server to everybody.
    assert_eq!(reload(&bed, &base(&bed)).await, ["server 'second' removed", "server 'replica' added"]);
    unused(&second).await;
    bed.topology(|s| s.readers.len() == 1 && s.servers.len() == 4).await;
    assert_eq!(one::<u32>(&mut client, "SELECT n FROM t WHERE id = 1").await, 19);
    bed.warm().await;
    bed.stop().await;
}

/// The primary is reached at another address: transactions end where they began, everything else goes the new way.
async fn the_primary_moves(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let bridge = Relay::start(bed.pair.primary.addr(), Duration::from_millis(1)).await.expect("relay");
    let (mut at_rest, mut writing) = (bed.client().await, bed.client().await);
    at_rest.query_drop("INSERT INTO t (id, n) VALUES (1, 0), (2, 0)").await.expect("write");
    at_rest.query_drop("SET time_zone = '+07:00'").await.expect("set");
    writing.query_drop("BEGIN").await.expect("begin");
    writing.query_drop("UPDATE t SET n = 5 WHERE id = 1").await.expect("write");
    let mut settings = base(&bed);
    settings.servers[0].address = through(&bridge);
    let applied = reload(&bed, &settings).await;
    assert_eq!(applied, ["server 'primary' replaced: its address or TLS is another"]);
    at_rest.query_drop("UPDATE t SET n = 1 WHERE id = 2").await.expect("write");
    assert_eq!(one::<u32>(&mut at_rest, "SELECT n FROM t WHERE id = 2").await, 1);
    assert_eq!(one::<String>(&mut at_rest, "SELECT @@time_zone").await, "+07:00");
    writing.query_drop("UPDATE t SET n = n + 1 WHERE id = 1").await.expect("in its transaction");
    writing.query_drop("COMMIT").await.expect("commit");
    unused(&bed.ocean).await;
    assert_eq!(one::<u32>(&mut writing, "SELECT n FROM t WHERE id = 1").await, 6);
    writing.query_drop("UPDATE t SET n = 7 WHERE id = 1").await.expect("write");
    assert_eq!(one::<u32>(&mut at_rest, "SELECT n FROM t WHERE id = 1").await, 7);
    bed.warm().await;
    bed.stop().await;
}

/// Who came in on a server's word stays when servers come and go, and has to go when only listed users may come.
async fn users_that_are_let_in(flavor: Flavor) {
    let plan = Plan { top: "auth = \"passthrough\"", ..Plan::default() };
    let bed = Bed::with(flavor, plan).await;
    let second = Relay::start(bed.pair.replica.addr(), Duration::ZERO).await.expect("relay");
    for sql in ["CREATE USER extra@'%' IDENTIFIED BY 'extra-secret'", "GRANT ALL ON app.* TO extra@'%'"] {
        bed.pair.primary.sql(sql).await.expect("account");
    }
    bed.pair.wait_caught_up().await.expect("there, too");
    let ssl = mysql_async::SslOpts::default().with_danger_accept_invalid_certs(true);
    let opts = || {
        let ssl = ssl.clone().with_danger_skip_domain_validation(true);
        Opts::from(bed.opts().user(Some("extra")).pass(Some("extra-secret")).ssl_opts(Some(ssl)))
    };
    let mut lent = Conn::new(opts()).await.expect("a server knows it");
    lent.query_drop("INSERT INTO t (id, n) VALUES (1, 1)").await.expect("write");
    let monitor = ("200ms", accounts::MONITOR.password);
    let parts = ("auth = \"passthrough\"\nauth_recheck = \"1s\"", "", "");
    let mut settings = settings(&bed.pair, (&bed.ocean, &bed.shore), (4, 16), monitor, parts);
    settings.servers[1] = one_more_replica(&settings, &second);
    let applied = reload(&bed, &settings).await;
    assert_eq!(applied, ["server 'replica' removed", "server 'second' added", "auth changed"]);
    unused(&bed.shore).await;
    bed.topology(|snapshot| snapshot.readers.len() == 1 && !snapshot.floor.pending).await;
    assert_eq!(one::<u32>(&mut lent, "SELECT n FROM t WHERE id = 1").await, 1);
    let mut another = Conn::new(opts()).await.expect("still known");
    another.query_drop("UPDATE t SET n = 2 WHERE id = 1").await.expect("write");
    assert_eq!(one::<u32>(&mut lent, "SELECT n FROM t WHERE id = 1").await, 2);
    reload(&bed, &base(&bed)).await;
    assert_eq!(code(&lent.query_drop("SELECT 1").await.expect_err("nobody is let in any more")), 1045);
    assert!(Conn::new(opts()).await.is_err());
    assert_eq!(one::<u32>(&mut bed.client().await, "SELECT n FROM t WHERE id = 1").await, 2);
    let count = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'extra'";
    bed.until_sql(count, "0").await;
    bed.stop().await;
}

/// Other bounds of pools: connections in use stay, and who waits gets one as soon as there may be more.
async fn pools_grow_and_shrink(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { min_warm: 2, max: 2, ..Plan::default() }).await;
    let mut settings = base(&bed);
    let pool = &mut settings.users[0].pool;
    (pool.min_warm, pool.max) = (2, 2);
    let mut holders = Vec::new();
    for id in 1..=2 {
        let mut client = bed.client().await;
        client.query_drop("BEGIN").await.expect("begin");
        client.query_drop(format!("INSERT INTO t (id, n) VALUES ({id}, 0)")).await.expect("write");
        holders.push(client);
    }
    let mut waiting = bed.client().await;
    let write = tokio::spawn(async move { waiting.query_drop("INSERT INTO t (id, n) VALUES (3, 0)").await });
    bed.until(|| bed.app().shared.pools.all().iter().any(|pool| pool.counts().waiting == 1)).await;
    settings.users[0].pool.max = 3;
    reload(&bed, &settings).await;
    write.await.expect("joins").expect("there may be a third one");
    settings.users[0].pool = landbridge::config::UserPool { min_warm: 1, max: 1, ..settings.users[0].pool };
    reload(&bed, &settings).await;
    let mut waiting = bed.client().await;
    let write = tokio::spawn(async move { waiting.query_drop("INSERT INTO t (id, n) VALUES (4, 0)").await });
    bed.until(|| bed.app().shared.pools.all().iter().any(|pool| pool.counts().waiting == 1)).await;
    for (id, client) in (1..).zip(&mut holders) {
        assert!(!write.is_finished(), "who waits waits until there are no more than there may be");
        client.query_drop(format!("UPDATE t SET n = {id} WHERE id = {id}")).await.expect("it keeps its connection");
        client.query_drop("COMMIT").await.expect("commit");
    }
    let count = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{APP}'");
    bed.until_sql(&count, "1").await;
    bed.stop().await;
}

/// How many dial a server at a time, from the next dial on; those that are under way are done.
async fn dials_at_a_time(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let quiet = ("1h", accounts::MONITOR.password);
    let mut settings = settings(&bed.pair, (&bed.ocean, &bed.shore), (4, 16), quiet, ("", "", ""));
    let open = bed.crossed().connections_open;
    let dialing = async |n: u64| {
        let waiting = bed.ocean.wait_until(|stats| stats.connections_open == open + n);
        assert!(tokio::time::timeout(Duration::from_secs(20), waiting).await.is_ok(), "{n}: {:?}", bed.crossed());
    };
    bed.ocean.hold_answers();
    settings.users[0].pool.min_warm = 12;
    settings.pool.max_parallel_dials = 1;
    assert!(bed.app().reload(settings.clone()).await.expect("it can be applied").needs_restart.is_empty());
    dialing(1).await;
    settings.pool.max_parallel_dials = 3;
    reload(&bed, &settings).await;
    dialing(3).await;
    bed.ocean.resume();
    dialing(8).await;
    bed.stop().await;
}

/// Rules, limits and roles of the next statement; what cannot change says so.
async fn what_else_changes(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (id, n) VALUES (1, 0)").await.expect("write");
    let (read, routed) = ("SELECT n FROM t WHERE id = 1", "landbridge_statements_total");
    assert_eq!(one::<u32>(&mut client, read).await, 0);
    let mut settings = base(&bed);
    settings.rules.push(landbridge::config::Rule {
        user: None,
        schema: Some("app".into()),
        tables: Vec::new(),
        read: Some(landbridge::config::ReadFrom::Primary),
        max_lag: None,
        on_empty: None,
        transactions: None,
    });
    settings.limits.max_prepared_statements = 0;
    settings.limits.memory = 1 << 20;
    settings.listen.http = None;
    settings.consistency.per_table = true;
    let done = bed.app().reload(settings.clone()).await.expect("it can be applied");
    assert_eq!(done.applied, ["[[rule]] changed", "[limits] changed"]);
    assert_eq!(done.needs_restart, ["[listen] http", "[consistency] per_table"]);
    assert_eq!(bed.app().shared.memory.free(), 1 << 20);
    assert_eq!(counted(&bed, routed, "rule"), "0");
    assert_eq!(one::<u32>(&mut client, read).await, 0);
    assert_eq!(counted(&bed, routed, "rule"), "1", "the rule sends it to the primary");
    assert!(client.prep("SELECT ?").await.is_err(), "none may be prepared any more");
    assert_eq!(counted(&bed, "landbridge_config_info", &done.fingerprint), "1");
    assert_eq!(bed.metric("landbridge_config_info").to_string(), "1", "and no other one");

    // The replica takes no reads, and then it is no replica.
    let mut settings = base(&bed);
    settings.servers[1].weight = 0;
    reload(&bed, &settings).await;
    assert_eq!(one::<u32>(&mut client, read).await, 0);
    assert_eq!(counted(&bed, routed, "no_replica"), "1");
    settings.servers[1].weight = 1;
    settings.servers.iter_mut().for_each(|server| server.role = Role::Auto);
    settings.monitor.interval = Duration::from_millis(100);
    reload(&bed, &settings).await;
    bed.topology(|s| s.primary().is_some_and(|p| &*p.name == "primary") && s.readers.len() == 1 && !s.floor.pending)
        .await;
    assert_eq!(one::<u32>(&mut client, "SELECT n FROM t WHERE id = 1").await, 0);
    assert!(bed.app().reload(settings).await.expect("fine").applied.is_empty(), "nothing more");
    assert_eq!(counted(&bed, "landbridge_config_reloads_total", "unchanged"), "1");
    client.query_drop("UPDATE t SET n = 4 WHERE id = 1").await.expect("write");
    assert_eq!(one::<u32>(&mut client, "SELECT n FROM t WHERE id = 1").await, 4);
    bed.stop().await;
}

crate::on_both!(
    users_come_and_go,
    a_password_changes,
    replicas_come_and_go,
    the_primary_moves,
    users_that_are_let_in,
    pools_grow_and_shrink,
    dials_at_a_time,
    what_else_changes,
);
