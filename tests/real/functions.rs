//! Stored functions that the file declares to only read: replicas may run them.

use crate::support::{Bed, Plan, one};
use landbridge::lab::Flavor;
use mysql_async::prelude::*;

const DECLARED: &str = r#"
[route]
read_functions = ["app.total", "app.mine", "anywhere"]
[consistency]
per_table = true
"#;

async fn bed(flavor: Flavor) -> Bed {
    let trusted = vec!["--log-bin-trust-function-creators=1".to_owned()];
    let servers = landbridge::lab::PairOptions {
        primary_args: trusted.clone(),
        replica_args: trusted,
        ..landbridge::lab::PairOptions::default()
    };
    let bed = Bed::with(flavor, Plan { extra: DECLARED, quiet: true, servers, ..Plan::default() }).await;
    let admin = &bed.pair.primary;
    for sql in [
        "INSERT INTO app.t (n) VALUES (1), (2)",
        "CREATE FUNCTION app.total(least INT) RETURNS INT READS SQL DATA RETURN (SELECT SUM(n) FROM app.t WHERE n >= least)",
        "CREATE FUNCTION app.anywhere() RETURNS INT NO SQL RETURN 7",
        "CREATE FUNCTION app.mine() RETURNS INT NO SQL RETURN LAST_INSERT_ID()",
        "CREATE FUNCTION app.other() RETURNS INT NO SQL RETURN 8",
    ] {
        admin.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    bed.pair.wait_caught_up().await.expect("the replica follows");
    bed
}

/// In both protocols, with and without the schema; they hold no connection. Others go to the primary, and stay.
async fn declared_functions_run_on_the_replica(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut client = bed.client().await;
    let before = bed.crossed();
    for sql in ["SELECT total(0)", "SELECT app.Total(0)", "SELECT `app`.`total`(0) FROM t LIMIT 1"] {
        assert_eq!(one::<i64>(&mut client, sql).await, 3, "{sql}");
        let prepared: Option<i64> = client.exec_first(sql, ()).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(prepared, Some(3), "{sql}, prepared");
    }
    let prepared: Option<i64> = client.exec_first("SELECT total(?) + ANYWHERE()", (2,)).await.expect("answered");
    assert_eq!(prepared, Some(9));
    assert_eq!(bed.trips_since(&before), 0, "the replica answered all of them");
    assert!(bed.metric("landbridge_pins_total").abs() < 0.5, "nothing is held for them");

    let elsewhere = || bed.metric_of("landbridge_statements_total", "user_function").abs().to_string();
    assert_eq!(elsewhere(), "0");
    assert_eq!(one::<i64>(&mut client, "SELECT other()").await, 8);
    assert_eq!(elsewhere(), "1", "nobody said that this one only reads");
    client.disconnect().await.expect("goodbye");
    bed.stop().await;
}

/// What a function reads is not in the text: it must see every write of its user, also where tables are told apart.
async fn what_they_read_is_not_older_than_the_users_writes(flavor: Flavor) {
    let bed = bed(flavor).await;
    bed.pair.stop_applier().await.expect("stops");
    let mut client = bed.client().await;
    for n in [10, 20] {
        client.query_drop(format!("INSERT INTO t (n) VALUES ({n})")).await.expect("writes");
        assert_eq!(one::<i64>(&mut client, &format!("SELECT total({n})")).await, n, "its own write");
        let prepared: Option<i64> = client.exec_first("SELECT total(?)", (n,)).await.expect("answered");
        assert_eq!(prepared, Some(n), "its own write, prepared");
    }
    bed.pair.start_applier().await.expect("starts");
    client.disconnect().await.expect("goodbye");
    bed.stop().await;
}

/// A function may look at what the session's last INSERT made: never at what somebody else's did on that connection.
async fn what_they_know_of_the_last_insert_is_the_sessions_own(flavor: Flavor) {
    let bed = bed(flavor).await;
    let (mut client, mut other) = (bed.client().await, bed.client().await);
    for n in 1..4 {
        client.query_drop(format!("INSERT INTO t (n) VALUES ({n})")).await.expect("writes");
        let id: u64 = one(&mut client, "SELECT LAST_INSERT_ID()").await;
        other.query_drop(format!("INSERT INTO t (n) VALUES ({n})")).await.expect("writes");
        let theirs: u64 = one(&mut other, "SELECT LAST_INSERT_ID() FROM t LIMIT 1").await;
        assert_ne!(id, theirs);
        for hint in ["", "/* landbridge: primary */ "] {
            let sql = format!("{hint}SELECT app.mine()");
            assert_eq!(one::<u64>(&mut client, &sql).await, id, "{sql}");
            let prepared: Option<u64> = other.exec_first(&sql, ()).await.expect("answered");
            assert_eq!(prepared, Some(theirs), "{sql}, prepared");
        }
    }
    bed.stop().await;
}

crate::on_both!(
    what_they_know_of_the_last_insert_is_the_sessions_own,
    declared_functions_run_on_the_replica,
    what_they_read_is_not_older_than_the_users_writes
);
