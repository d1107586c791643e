//! What a session did not set reads the same wherever it is served.

use crate::support::{Bed, Plan, one};
use landbridge::lab::{Flavor, PairOptions};
use mysql_async::prelude::*;
use std::time::Duration;

const READ: &str = "SELECT CONCAT_WS('|', @@sql_mode, @@time_zone, @@group_concat_max_len, @@div_precision_increment)";

/// A replica that was configured otherwise answers like the primary; `init_connect` outlives resets.
async fn servers_that_differ(flavor: Flavor) {
    let args = |list: &[&str]| list.iter().map(|arg| (*arg).to_owned()).collect();
    let servers = PairOptions {
        primary_args: args(&["--sql-mode=STRICT_TRANS_TABLES", "--init-connect=SET SESSION div_precision_increment=7"]),
        replica_args: args(&["--sql-mode=ANSI", "--default-time-zone=+05:00", "--group-concat-max-len=4321"]),
        ..PairOptions::default()
    };
    let bed = Bed::with(flavor, Plan { min_warm: 1, max: 2, servers, ..Plan::default() }).await;
    let mut client = bed.client().await;
    let primary = format!("/* landbridge: primary */ {READ}");
    let truth: String = one(&mut client, &primary).await;
    assert!(truth.starts_with("STRICT_TRANS_TABLES|SYSTEM|") && truth.ends_with("|7"), "{truth}");
    for _ in 0..3 {
        assert_eq!(one::<String>(&mut client, READ).await, truth, "the replica");
        // Somebody else says otherwise, on both servers; what he set is reset behind him.
        let mut other = bed.client().await;
        other.query_drop("SET time_zone = '+01:00', div_precision_increment = 3").await.expect("set");
        assert!(one::<String>(&mut other, READ).await.ends_with("|3"));
        other.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("insert");
        assert!(one::<String>(&mut other, &primary).await.ends_with("|3"));
        other.disconnect().await.expect("goodbye");
        assert_eq!(one::<String>(&mut client, &primary).await, truth, "the primary, after a reset");
    }
    // DEFAULT is the primary's, too.
    client.query_drop("SET time_zone = DEFAULT, group_concat_max_len = DEFAULT").await.expect("set");
    assert_eq!(one::<String>(&mut client, READ).await, truth);
    // The server's own value is the primary's as well, and settings that assign each other end as on one connection.
    client.query_drop("SET sql_mode = @@global.sql_mode").await.expect("set");
    assert_eq!(one::<String>(&mut client, "SELECT @@sql_mode").await, "STRICT_TRANS_TABLES");
    // It keeps a connection for that.
    client.disconnect().await.expect("goodbye");
    let mut client = bed.client().await;
    for sql in ["SET collation_server = 'utf8mb4_bin'", "SET character_set_server = 'utf8mb4'"] {
        client.query_drop(sql).await.expect(sql);
    }
    let collation: String = one(&mut client, "SELECT @@collation_server").await;
    assert!(collation != "utf8mb4_bin", "that of the character set");
    // The text is read in the primary's sql_mode: under ANSI this would be a column.
    assert_eq!(one::<String>(&mut client, "SELECT \"text\"").await, "text");
    bed.stop().await;
}

/// What somebody sets on the primary itself is what sessions begin with once connections have been opened anew.
async fn defaults_that_change_behind_its_back(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { min_warm: 1, max: 2, ..Plan::default() }).await;
    let zone = "SELECT @@time_zone";
    assert_eq!(one::<String>(&mut bed.client().await, zone).await, "SYSTEM");
    bed.pair.primary.sql("SET GLOBAL time_zone = '+05:00'").await.expect("administrator");
    for pool in bed.app().shared.pools.all() {
        pool.renew();
    }
    // Who was there before keeps what he had.
    let is_known = async {
        loop {
            let mut client = bed.client().await;
            if one::<String>(&mut client, zone).await == "+05:00" {
                return client;
            }
            client.disconnect().await.expect("goodbye");
        }
    };
    let known = tokio::time::timeout(Duration::from_secs(20), is_known).await;
    let mut client = known.expect("on the replica within 20 s");
    assert_eq!(one::<String>(&mut client, &format!("/* landbridge: primary */ {zone}")).await, "+05:00");
    bed.stop().await;
}

/// Where sessions begin without autocommit, they do so here.
async fn without_autocommit(flavor: Flavor) {
    let servers = PairOptions { extra_args: vec!["--init-connect=SET autocommit=0".into()], ..PairOptions::default() };
    let bed = Bed::with(flavor, Plan { servers, ..Plan::default() }).await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("insert");
    client.query_drop("ROLLBACK").await.expect("rollback");
    client.query_drop("INSERT INTO t (n) VALUES (2)").await.expect("insert");
    client.query_drop("COMMIT").await.expect("commit");
    let rows: Vec<u32> = client.query("SELECT n FROM t").await.expect("rows");
    assert_eq!(rows, [2]);
    // It has begun a transaction, too.
    client.disconnect().await.expect("goodbye");
    bed.stop().await;
}

/// `SET CHARACTER SET` takes the connection's character set from the session's schema, whatever schema the connection was
/// left in on which it is tried.
async fn a_character_set_of_the_schema(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { min_warm: 1, max: 1, ..Plan::default() }).await;
    bed.pair.primary.sql("CREATE DATABASE app_latin CHARACTER SET latin1").await.expect("a schema");
    bed.pair.wait_caught_up().await.expect("the replica follows");
    let collation = "SELECT CONCAT_WS(' ', @@character_set_connection, @@collation_connection)";
    let (mut other, mut client) = (bed.client().await, bed.client().await);
    client.query_drop("USE app_latin").await.expect("chosen");
    for set in ["SET CHARACTER SET utf8mb4", "SET CHARACTER SET ascii"] {
        // The only connection to the replica is in another schema now.
        one::<u32>(&mut other, "SELECT COUNT(*) FROM t").await;
        client.query_drop(set).await.expect("set");
        let there: String = one(&mut client, &format!("/* landbridge: primary */ {collation}")).await;
        assert_eq!(there, "latin1 latin1_swedish_ci", "{set}");
        assert_eq!(one::<String>(&mut client, collation).await, there, "{set}");
        client.query_drop("SET NAMES utf8mb4").await.expect("set");
    }
    bed.stop().await;
}

crate::on_both!(
    servers_that_differ,
    defaults_that_change_behind_its_back,
    without_autocommit,
    a_character_set_of_the_schema
);
