//! Who sees whose writes, and that nothing that was seen is unseen.

use crate::support::{Bed, Plan, one};
use landbridge::consistency::printed::read;
use landbridge::lab::Flavor;
use landbridge::topology::Health;
use mysql_async::Conn;
use mysql_async::prelude::*;
use std::time::Instant;

fn scope(scope: &'static str) -> Plan {
    Plan { extra: scope, ..Plan::default() }
}

const COUNT: &str = "SELECT COUNT(*) FROM t";

async fn count(client: &mut Conn) -> u64 {
    one(client, COUNT).await
}

/// Somebody else writes, straight at the primary, while the applier of the replica is stopped.
async fn elsewhere(bed: &Bed, sql: &str) {
    bed.pair.primary.sql(sql).await.expect(sql);
}

async fn keys_share_their_writes_and_nothing_else(flavor: Flavor) {
    let bed = Bed::with(flavor, scope("\n[consistency]\nscope = \"key\"")).await;
    bed.pair.stop_applier().await.expect("stops");
    let mut anna = bed.client().await;
    anna.query_drop("/* landbridge: key=anna */ INSERT INTO t (n) VALUES (1)").await.expect("write");
    let seen: u64 = one(&mut anna, COUNT).await;
    assert_eq!(seen, 1, "the same connection, with or without a key");
    let mut again = bed.client().await;
    assert_eq!(one::<u64>(&mut again, "/* landbridge: key=anna */ SELECT COUNT(*) FROM t").await, 1);
    let mut other = bed.client().await;
    assert_eq!(one::<u64>(&mut other, "/* landbridge: key=bert */ SELECT COUNT(*) FROM t").await, 0, "nothing of his");
    assert_eq!(count(&mut again).await, 1, "what a connection has seen stays seen, whatever its key");

    // The end of a transaction concerns the keys that were named in it.
    anna.query_drop("BEGIN").await.expect("begin");
    anna.query_drop("/* landbridge: key=carl */ INSERT INTO t (n) VALUES (2)").await.expect("write");
    anna.query_drop("COMMIT").await.expect("commit");
    assert_eq!(one::<u64>(&mut again, "/* landbridge: key=carl */ SELECT COUNT(*) FROM t").await, 2);
    assert_eq!(one::<u64>(&mut other, "/* landbridge: key=dora */ SELECT COUNT(*) FROM t").await, 0);
    let prepared: Option<u64> =
        again.exec_first("/* landbridge: key=carl */ SELECT COUNT(*) FROM t WHERE n > ?", (0,)).await.expect("read");
    assert_eq!(prepared, Some(2));
    bed.stop().await;
}

async fn a_token_travels_with_the_application(flavor: Flavor) {
    for plan in ["\n[consistency]\nscope = \"connection\"", "\n[consistency]\nscope = \"off\""] {
        let bed = Bed::with(flavor, scope(plan)).await;
        bed.pair.stop_applier().await.expect("stops");
        let mut writer = bed.client().await;
        assert_eq!(one::<String>(&mut writer, "SELECT @@landbridge_token").await, "");
        writer.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
        let token: String = one(&mut writer, "SELECT @@landbridge_token").await;
        let prepared: Option<String> =
            writer.exec_first("SELECT @@landbridge_token AS token", ()).await.expect("token");
        assert_eq!(prepared.as_deref(), Some(token.as_str()));

        let mut reader = bed.client().await;
        assert_eq!(count(&mut reader).await, 0, "nobody told it");
        reader.query_drop(format!("SET @@landbridge_token = '{token}'")).await.expect("set");
        assert_eq!(count(&mut reader).await, 1, "{plan}");
        let mut by_parameter = bed.client().await;
        by_parameter.exec_drop("SET @@landbridge_token = ?", (token.as_str(),)).await.expect("set");
        assert_eq!(count(&mut by_parameter).await, 1, "as a prepared statement: {plan}");
        for forget in ["SET @@landbridge_token = ''", "reset"] {
            let mut forgets = bed.client().await;
            forgets.query_drop(format!("SET @@landbridge_token = '{token}'")).await.expect("set");
            match forget {
                "reset" => forgets.reset().await.map(drop).expect("reset"),
                sql => forgets.query_drop(sql).await.expect("set"),
            }
            assert_eq!(count(&mut forgets).await, 0, "{forget}");
        }

        let refused = reader.query_drop("SET @@landbridge_token = 'x'").await.expect_err("not a token");
        assert!(refused.to_string().contains("1231"), "{refused}");
        bed.stop().await;
    }
}

/// What a token names stays in it, whatever replicas here have: those elsewhere may not.
async fn a_token_keeps_what_replicas_here_have(flavor: Flavor) {
    if flavor == Flavor::MariaDb {
        // A later transaction of its domain stands for all before.
        return;
    }
    let bed = Bed::with(flavor, scope("\n[consistency]\nscope = \"connection\"")).await;
    let (mut first, mut second) = (bed.client().await, bed.client().await);
    first.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    let token: String = one(&mut first, "SELECT @@landbridge_token").await;
    elsewhere(&bed, "INSERT INTO app.t (n) VALUES (2)").await;
    bed.pair.wait_caught_up().await.expect("catches up");
    let gtids = |token: &str| read(token, Instant::now()).expect("a token").gtids.expect("it names some");
    bed.topology(|snapshot| snapshot.everywhere.as_ref().is_some_and(|all| all.contains(&gtids(&token)))).await;
    second.query_drop(format!("SET @@landbridge_token = '{token}'")).await.expect("set");
    second.query_drop("INSERT INTO t (n) VALUES (3)").await.expect("write");
    let carried: String = one(&mut second, "SELECT @@landbridge_token").await;
    assert!(gtids(&carried).contains(&gtids(&token)) && carried != token, "{token} became {carried}");
    bed.stop().await;
}

/// Reads at the primary, for whatever reason, show more than the replica has: it stays seen.
async fn what_was_seen_at_the_primary_stays_seen(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    bed.pair.primary.sql("CREATE TABLE app.u (k INT PRIMARY KEY)").await.expect("table");
    bed.pair.wait_caught_up().await.expect("catches up");
    bed.pair.stop_applier().await.expect("stops");
    let mut client = bed.client().await;
    assert_eq!(count(&mut client).await, 0);

    elsewhere(&bed, "INSERT INTO app.t (n) VALUES (1)").await;
    assert_eq!(one::<u64>(&mut client, "/* landbridge: primary */ SELECT COUNT(*) FROM t").await, 1);
    assert_eq!(count(&mut client).await, 1, "after a hint");
    let mut other = bed.client().await;
    assert_eq!(count(&mut other).await, 1, "and by others of its scope");

    elsewhere(&bed, "INSERT INTO app.t (n) VALUES (2)").await;
    for end in ["COMMIT", "ROLLBACK"] {
        client.query_drop("BEGIN").await.expect("begin");
        assert_eq!(count(&mut client).await, 2);
        client.query_drop(end).await.expect(end);
        assert_eq!(count(&mut client).await, 2, "{end}");
    }

    elsewhere(&bed, "INSERT INTO app.t (n) VALUES (3)").await;
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t FOR UPDATE").await, 3);
    assert_eq!(count(&mut client).await, 3, "locking reads");

    // What fails shows something, too: the row is there.
    elsewhere(&bed, "INSERT INTO app.u VALUES (7)").await;
    client.query_drop("INSERT INTO u VALUES (7)").await.expect_err("duplicate");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM u").await, 1, "after a duplicate key");
    elsewhere(&bed, "INSERT INTO app.u VALUES (8)").await;
    client.query_drop("INSERT IGNORE INTO u VALUES (8)").await.expect("ignored");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM u").await, 2, "after an insert that was ignored");
    elsewhere(&bed, "INSERT INTO app.u VALUES (9)").await;
    client.query_drop("UPDATE u SET k = k WHERE k = 9").await.expect("matches");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM u").await, 3, "after an update that changed nothing");
    bed.stop().await;
}

/// What a session sees that keeps its connection is seen by the others of its scope, too.
async fn what_pinned_sessions_see_stays_seen(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut pinned = bed.client().await;
    pinned.query_drop("SELECT GET_LOCK('scopes', 5)").await.expect("lock");
    bed.pair.stop_applier().await.expect("stops");
    for n in 1..=3u64 {
        elsewhere(&bed, "INSERT INTO app.t (n) VALUES (1)").await;
        assert_eq!(count(&mut pinned).await, n);
        let mut other = bed.client().await;
        assert_eq!(count(&mut other).await, n, "another connection");
    }
    bed.stop().await;
}

/// A transaction whose connection is lost has seen what it has seen.
async fn what_a_lost_transaction_saw_stays_seen(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    bed.pair.stop_applier().await.expect("stops");
    elsewhere(&bed, "INSERT INTO app.t (n) VALUES (1)").await;
    let mut client = bed.client().await;
    client.query_drop("BEGIN").await.expect("begin");
    assert_eq!(count(&mut client).await, 1);
    bed.ocean.cut_existing_and_wait().await;
    client.query_drop("UPDATE t SET n = 2").await.expect_err("its connection is gone");
    bed.warm().await;
    assert_eq!(count(&mut client).await, 1);
    bed.stop().await;
}

/// What was seen at the primary has a name at once: the replica answers again as soon as it has it.
async fn reads_come_back_from_the_primary(flavor: Flavor) {
    let patient = Plan { quiet: true, extra: "\n[consistency]\nwait = \"10s\"", ..Plan::default() };
    let bed = Bed::with(flavor, patient).await;
    bed.settled().await;
    let mut client = bed.client().await;
    for at_primary in [
        &["/* landbridge: primary */ SELECT COUNT(*) FROM t"][..],
        &["SELECT COUNT(*) FROM t FOR UPDATE"],
        &["BEGIN", COUNT, "COMMIT"],
        &["BEGIN", COUNT, "ROLLBACK"],
        &["BEGIN", "INSERT INTO t (n) VALUES (1)", COUNT, "ROLLBACK"],
        &["SET autocommit = 0", COUNT, "COMMIT", "SET autocommit = 1"],
    ] {
        for sql in at_primary {
            client.query_drop(*sql).await.expect(sql);
        }
        let before = bed.crossed();
        assert_eq!(count(&mut client).await, 0);
        assert_eq!(bed.trips_since(&before), 0, "after {at_primary:?}");
        let token: String = one(&mut client, "SELECT @@landbridge_token").await;
        assert!(!token.is_empty() && !token.contains('~'), "{token}: it is known what was seen");
    }
    bed.stop().await;
}

/// With healthy replication replicas answer, and nobody waits twice for one write.
async fn healthy_replicas_answer_what_is_read_after_writes(flavor: Flavor) {
    const WRITES: u32 = 200;
    const READS: u32 = 5;
    let patient = Plan { extra: "\n[consistency]\nwait = \"10s\"", ..Plan::default() };
    let bed = Bed::with(flavor, patient).await;
    let mut client = bed.client().await;
    for n in 0..WRITES {
        client.query_drop(format!("INSERT INTO t (n) VALUES ({n})")).await.expect("write");
        for _ in 0..READS {
            assert_eq!(count(&mut client).await, u64::from(n) + 1);
        }
    }
    let at_replica = bed.metric_of("landbridge_statements_total", "replica");
    let waits = bed.metric("landbridge_gtid_waits_total");
    let reads = f64::from(WRITES * READS);
    assert!(at_replica >= 0.99 * reads, "{at_replica} of {reads} reads at the replica");
    assert!(waits <= f64::from(WRITES), "{waits} waits for {WRITES} writes");
    bed.stop().await;
}

/// Users and hints may ask for fresher replicas than a server's own limit.
async fn limits_of_lag_for_users_and_hints(flavor: Flavor) {
    let bed = Bed::with(flavor, scope("\n[consistency]\nscope = \"off\"")).await;
    let mut client = bed.client().await;
    assert_eq!(one::<u64>(&mut client, "/* landbridge: max_lag=1s */ SELECT COUNT(*) FROM t").await, 0);
    bed.pair.stop_applier().await.expect("stops");
    elsewhere(&bed, "INSERT INTO app.t (n) VALUES (1)").await;
    bed.topology(|snapshot| {
        snapshot.servers.iter().any(|server| !server.is_within(std::time::Duration::from_millis(1)))
    })
    .await;
    assert_eq!(one::<u64>(&mut client, "/* landbridge: max_lag=1ms */ SELECT COUNT(*) FROM t").await, 1);
    assert_eq!(one::<u64>(&mut client, "/* landbridge: max_lag=60m */ SELECT COUNT(*) FROM t").await, 0);
    assert_eq!(count(&mut client).await, 0);
    bed.stop().await;
}

/// The primary goes away in the middle of a short read there: what the client was shown it can see again, or nothing.
async fn a_primary_that_goes_away_while_it_is_read(flavor: Flavor) {
    let plan = Plan { min_warm: 1, max: 1, ..Plan::default() };
    let bed = Bed::with(flavor, plan).await;
    bed.pair.stop_applier().await.expect("stops");
    for bytes in (10..400).step_by(30) {
        elsewhere(&bed, "INSERT INTO app.t (n) VALUES (1)").await;
        let mut client = bed.client().await;
        bed.ocean.cut_after_bytes_to_client(bytes);
        let ocean = &bed.ocean;
        let read = client.query_first::<u64, _>("/* landbridge: primary */ SELECT COUNT(*) FROM t");
        let cut = async {
            ocean.wait_until_sprung().await;
            ocean.refuse();
        };
        let read = tokio::select! {
            biased;
            read = async { tokio::join!(read, cut).0 } => read,
            // A read that is shorter.
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => Ok(None),
        };
        if let Ok(Some(seen)) = read
            && let Ok(Some(again)) = client.query_first::<u64, _>(COUNT).await
        {
            assert!(again >= seen, "{seen}, then {again}, where {bytes} bytes came over the ocean");
        }
        drop(client);
        ocean.resume();
        bed.topology(|t| t.primary().is_some_and(|p| p.health == Health::Up)).await;
        bed.warm().await;
    }
    bed.stop().await;
}

crate::on_both!(
    a_primary_that_goes_away_while_it_is_read,
    keys_share_their_writes_and_nothing_else,
    a_token_travels_with_the_application,
    a_token_keeps_what_replicas_here_have,
    what_was_seen_at_the_primary_stays_seen,
    what_pinned_sessions_see_stays_seen,
    what_a_lost_transaction_saw_stays_seen,
    reads_come_back_from_the_primary,
    healthy_replicas_answer_what_is_read_after_writes,
    limits_of_lag_for_users_and_hints,
);
