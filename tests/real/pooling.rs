//! Few connections, many clients; nothing of one is visible to another.

use crate::support::{APP, Bed, Plan, one, run};
use landbridge::lab::Flavor;
use mysql_async::Conn;
use mysql_async::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// 200 clients on a pool of 10: all are served, and the server never sees more than 10 connections.
async fn two_hundred_clients_on_ten_connections(flavor: Flavor) {
    let bed = Arc::new(Bed::with(flavor, Plan { min_warm: 10, max: 10, ..Plan::default() }).await);
    let dialled = bed.crossed().connections_total;
    let clients = (0..200u64).map(|n| {
        let bed = bed.clone();
        tokio::spawn(async move {
            let mut client = bed.client().await;
            for round in 0..3u64 {
                client.exec_drop("INSERT INTO t (n) VALUES (?)", (n * 10 + round,)).await.expect("write");
                let rows: u64 = one(&mut client, "SELECT COUNT(*) FROM t").await;
                assert!(rows > 0);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("client is served");
    }
    let rows: Vec<Vec<Option<String>>> =
        bed.pair.primary.sql("SELECT COUNT(*), COUNT(DISTINCT n) FROM app.t").await.expect("count");
    assert_eq!(rows[0], [Some("600".to_owned()), Some("600".to_owned())], "every write once");
    assert_eq!(bed.crossed().connections_total, dialled, "no connection was opened for them");
}

/// Session state, temporary tables, locks and open transactions of one client are invisible to others.
async fn nothing_leaks(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { min_warm: 1, max: 1, ..Plan::default() }).await;
    for trace in [
        "SET @secret = 42",
        "SELECT @secret := 43",
        "CREATE TEMPORARY TABLE hidden (n INT)",
        "SELECT GET_LOCK('mine', 0)",
        "LOCK TABLES t WRITE",
        "SET SESSION sql_mode = 'ANSI_QUOTES'",
        "SET autocommit = 0",
        "BEGIN; INSERT INTO t (n) VALUES (1)",
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "PREPARE stolen FROM 'SELECT 1'",
        "SET NAMES latin1",
    ] {
        let mut one_client = bed.client().await;
        one_client.query_drop(trace).await.expect(trace);
        drop(one_client);
        let mut other = bed.client().await;
        let state: (Option<i64>, String, u8, Option<u64>) = other
            .query_first("SELECT @secret, @@sql_mode, @@autocommit, IS_USED_LOCK('mine') /* landbridge */")
            .await
            .expect("state")
            .expect("row");
        assert!(
            state.0.is_none() && !state.1.contains("ANSI_QUOTES") && state.2 == 1 && state.3.is_none(),
            "{trace}: {state:?}"
        );
        assert!(other.query_drop("INSERT INTO hidden VALUES (1)").await.is_err(), "{trace}");
        assert!(other.query_drop("EXECUTE stolen").await.is_err(), "{trace}");
        other.query_drop("UPDATE t SET n = 2 WHERE id = 0").await.expect(trace);
        other.disconnect().await.expect("goodbye");
    }
    let rows = bed.pair.primary.sql("SELECT COUNT(*) FROM app.t").await.expect("count");
    assert_eq!(rows[0], [Some("0".to_owned())], "the open transaction was rolled back");
    bed.stop().await;
}

/// A role that a session took on is nobody else's, nor one that it laid down. A server's reset leaves them as they are.
async fn roles_stay_with_their_session(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { min_warm: 1, max: 1, ..Plan::default() }).await;
    for sql in [
        "CREATE ROLE other".to_owned(),
        "CREATE ROLE usual".to_owned(),
        format!("GRANT other TO {APP}@'%'"),
        format!("GRANT usual TO {APP}@'%'"),
        match flavor {
            Flavor::MySql => format!("SET DEFAULT ROLE usual TO {APP}@'%'"),
            Flavor::MariaDb => format!("SET DEFAULT ROLE usual FOR {APP}@'%'"),
        },
        "CREATE PROCEDURE app.be_other() SQL SECURITY INVOKER SET ROLE other".to_owned(),
        format!("GRANT EXECUTE ON PROCEDURE app.be_other TO {APP}@'%'"),
    ] {
        bed.pair.primary.sql(&sql).await.expect(&sql);
    }
    // Connections that were warm before have logged in without.
    bed.app().shared.pools.all().iter().for_each(|pool| pool.server().logins_outdated());
    let role = "SELECT REPLACE(CURRENT_ROLE(), '`', '')";
    for trace in ["SET ROLE other", "SET ROLE NONE", "CALL be_other()", "PREPARE s FROM 'SELECT 1'; SET ROLE other"] {
        for leave in [true, false] {
            let mut one_client = bed.client().await;
            one_client.query_drop(trace).await.expect(trace);
            if leave {
                drop(one_client);
            } else {
                one_client.reset().await.expect("a reset");
            }
            let mut other = bed.client().await;
            let is: Option<String> = other.query_first(role).await.expect("asked").expect("a row");
            assert!(is.as_deref().is_some_and(|is| is.starts_with("usual")), "{trace}: {is:?}");
        }
    }
    // Who logs in from now on has another one, also on a connection that is warm.
    let mut client = bed.client().await;
    match flavor {
        Flavor::MySql => client.query_drop(format!("SET DEFAULT ROLE other TO {APP}@'%'")).await.expect("its own"),
        Flavor::MariaDb => client.query_drop("SET DEFAULT ROLE other").await.expect("its own"),
    }
    drop(client);
    let is: Option<String> = bed.client().await.query_first(role).await.expect("asked").expect("a row");
    assert!(is.as_deref().is_some_and(|is| is.starts_with("other")), "{is:?}");
    bed.stop().await;
}

/// What pins a session works as on a direct connection.
async fn pinned_sessions_work(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    client.query_drop("CREATE TEMPORARY TABLE tt (n INT)").await.expect("temporary table");
    client.query_drop("INSERT INTO tt VALUES (1), (2)").await.expect("insert");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM tt").await, 2);
    client.query_drop("SELECT n INTO @last FROM tt ORDER BY n DESC LIMIT 1").await.expect("into");
    assert_eq!(one::<u64>(&mut client, "SELECT @last").await, 2);
    drop(client);
    let mut client = bed.client().await;
    client.query_drop("SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 0").await.expect("select");
    assert_eq!(one::<u64>(&mut client, "SELECT FOUND_ROWS()").await, 0);
    client.query_drop("INSERT INTO t (n) VALUES (1), (2), (3)").await.expect("insert");
    assert_eq!(one::<i64>(&mut client, "SELECT ROW_COUNT()").await, 3);
    assert_eq!(one::<u64>(&mut client, "SELECT LAST_INSERT_ID()").await, 1);
    client.query_drop("INSERT INTO t (id, n) VALUES (500, 1)").await.expect("explicit id");
    assert_eq!(one::<u64>(&mut client, "SELECT LAST_INSERT_ID()").await, 1, "an explicit id is not a generated one");
    client.query_drop("INSERT INTO t (n) VALUES (LAST_INSERT_ID())").await.expect("insert");
    assert_eq!(one::<u64>(&mut client, "SELECT n FROM t WHERE id = 501").await, 1);
    client.query_drop("DROP TABLE IF EXISTS nowhere").await.expect("drop");
    let warnings: Vec<(String, u16, String)> = client.query("SHOW WARNINGS").await.expect("warnings");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(client.query_drop("SELECT nonsense FROM t").await.is_err());
    let warnings: Vec<(String, u16, String)> = client.query("SHOW WARNINGS").await.expect("warnings");
    assert_eq!(warnings[0].1, 1054);
    bed.stop().await;
}

/// What waits for a connection is not sent any more once its client has left, or has been killed.
async fn who_leaves_the_line(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { min_warm: 1, max: 1, ..Plan::default() }).await;
    let waiting = || bed.app().shared.pools.all().iter().any(|pool| pool.counts().waiting > 0);
    let (mut holder, mut killer) = (bed.client().await, bed.client().await);
    for is_killed in [false, true] {
        run(&mut holder, &["BEGIN", "INSERT INTO t (n) VALUES (1)"]).await;
        let mut other = bed.client().await;
        let id = other.id();
        let insert = tokio::spawn(async move { other.query_drop("INSERT INTO t (n) VALUES (2)").await });
        bed.until(waiting).await;
        if is_killed {
            run(&mut killer, &[&format!("KILL {id}")]).await;
            insert.await.expect("no panic").expect_err("killed");
        } else {
            // Its socket goes with it.
            insert.abort();
        }
        bed.until(|| bed.app().shared.registry.len() == 2).await;
        run(&mut holder, &["COMMIT"]).await;
        assert_eq!(one::<u64>(&mut holder, "SELECT COUNT(*) FROM t WHERE n = 2").await, 0, "killed: {is_killed}");
    }
    bed.stop().await;
}

/// Connections that are never idle are replaced, too, when an operator wants them to be.
async fn outdated_ones_that_never_rest(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { min_warm: 1, max: 1, ..Plan::default() }).await;
    let done = Arc::new(AtomicBool::new(false));
    let clients = (0..4).map(|_| {
        let (opts, done) = (bed.opts(), done.clone());
        tokio::spawn(async move {
            let mut client = Conn::new(opts).await.expect("in");
            while !done.load(Ordering::Relaxed) {
                run(&mut client, &["/* landbridge: primary */ SELECT SLEEP(0.01)"]).await;
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let at_work = format!("FROM information_schema.processlist WHERE user = '{APP}' AND info LIKE '%SLEEP(0.01)%'");
    bed.until_sql(&format!("SELECT COUNT(*) {at_work}"), "1").await;
    let newest = "SELECT MAX(id) FROM information_schema.processlist WHERE user = '{APP}'".replace("{APP}", APP);
    let id = bed.pair.primary.sql(&newest).await.expect("administrator")[0][0].clone().expect("one");
    for pool in bed.app().shared.pools.all() {
        pool.renew();
    }
    bed.until_sql(&format!("SELECT COUNT(*) {at_work} AND id > {id}"), "1").await;
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("nothing failed");
    }
    bed.stop().await;
}

crate::on_both!(
    who_leaves_the_line,
    outdated_ones_that_never_rest,
    two_hundred_clients_on_ten_connections,
    nothing_leaks,
    roles_stay_with_their_session,
    pinned_sessions_work
);
