//! What crosses the ocean, counted.

use crate::support::{Bed, Plan, one};
use landbridge::backend::conn::Ready;
use landbridge::backend::query::Reply;
use landbridge::lab::Flavor;
use landbridge::protocol::exchange::Expect;
use mysql_async::prelude::*;

/// Opening a client connection and reading costs nothing; a fresh client's first write costs one
/// round trip, its state included.
async fn a_fresh_client_pays_for_its_write_alone(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let before = bed.crossed();
    let mut client = bed.client().await;
    let n: u64 = one(&mut client, "SELECT COUNT(*) FROM t").await;
    assert_eq!(n, 0);
    assert_eq!(bed.crossed().since(&before).bytes_to_server, 0, "connect and read");

    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("insert");
    assert_eq!(bed.trips_since(&before), 1, "first write");

    let id: u64 = one(&mut client, "SELECT LAST_INSERT_ID()").await;
    assert_eq!((id, client.last_insert_id()), (1, None));
    let n: u64 = one(&mut client, "SELECT COUNT(*) FROM t").await;
    assert_eq!(n, 1, "its own write");
    client.disconnect().await.expect("goodbye");

    let mut next = bed.client().await;
    let n: u64 = one(&mut next, "SELECT COUNT(*) FROM t").await;
    assert_eq!(n, 1, "the next connection of the same user sees it too");
    bed.stop().await;
}

async fn transactions(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let mut client = bed.client().await;
    let before = bed.crossed();
    client.query_drop("START TRANSACTION").await.expect("begin");
    client.query_drop("COMMIT").await.expect("commit");
    assert_eq!(bed.trips_since(&before), 0, "an empty transaction");
    client.query_drop("BEGIN").await.expect("begin");
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("insert");
    client.query_drop("UPDATE t SET n = 2").await.expect("update");
    client.query_drop("COMMIT").await.expect("commit");
    assert_eq!(bed.trips_since(&before), 3, "BEGIN rides along");
    assert_eq!(one::<u64>(&mut client, "SELECT n FROM t").await, 2);
    client.query_drop("BEGIN").await.expect("begin");
    client.query_drop("DELETE FROM t").await.expect("delete");
    client.query_drop("ROLLBACK").await.expect("rollback");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 1);
    bed.stop().await;
}

/// A guard outdoes the executions ahead of it; where these are too many, it is made to know the number once.
async fn executions_ahead_of_a_guard(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { quiet: true, min_warm: 1, max: 1, ..Plan::default() }).await;
    let mut client = bed.client().await;
    // Each changes something: of what names no transaction, the server is asked besides.
    client.query_drop("INSERT INTO t (n) VALUES (0)").await.expect("insert");
    let update = client.prep("UPDATE t SET n = n + 1 WHERE id = ?").await.expect("prepared");
    for (ahead, trips) in [(3, 2), (40, 3), (0, 2), (10, 2), (0, 2)] {
        for _ in 0..ahead {
            client.exec_drop(&update, (1,)).await.expect("executed");
        }
        let before = bed.crossed();
        client.query_drop("BEGIN").await.expect("begin");
        client.exec_drop(&update, (1,)).await.expect("executed");
        client.query_drop("COMMIT").await.expect("commit");
        assert_eq!(bed.trips_since(&before), trips, "behind {ahead}");
    }
    bed.stop().await;
}

async fn prepared_statements(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let mut client = bed.client().await;
    for n in 0..5u64 {
        client.exec_drop("INSERT INTO t (n, s) VALUES (?, ?)", (n, "x".repeat(10))).await.expect("insert");
    }
    let before = bed.crossed();
    let rows: Vec<(u64, String)> =
        client.exec("SELECT n, s FROM t WHERE n >= ? ORDER BY n", (2,)).await.expect("select");
    assert_eq!(rows.len(), 3);
    assert_eq!(bed.trips_since(&before), 0, "a prepared read is local");
    bed.stop().await;
}

async fn session_state_follows_the_session(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let mut a = bed.client().await;
    let mut b = bed.client().await;
    a.query_drop("SET SESSION sql_mode = 'ANSI_QUOTES', time_zone = '+03:00', @who = 'a'").await.expect("set");
    b.query_drop("SET time_zone = '-05:00'").await.expect("set");
    let before = bed.crossed();
    for _ in 0..3 {
        a.query_drop("INSERT INTO t (n, s) VALUES (1, CONCAT(@who, @@time_zone))").await.expect("insert");
        b.query_drop("INSERT INTO t (n, s) VALUES (2, CONCAT(IFNULL(@who, 'nobody'), @@time_zone))")
            .await
            .expect("insert");
    }
    assert_eq!(bed.trips_since(&before), 6, "each statement one round trip, whatever state it needs");
    let rows: Vec<String> = a.query("SELECT DISTINCT s FROM t ORDER BY s").await.expect("rows");
    assert_eq!(rows, ["a+03:00", "nobody-05:00"]);
    let zone: String = one(&mut b, "SELECT CONCAT(@@time_zone, @@sql_mode LIKE '%ANSI_QUOTES%')").await;
    assert_eq!(zone, "-05:000");
    bed.stop().await;
}

/// A client that speaks the protocol and adds nothing of its own, as drivers with native prepared
/// statements do: PREPARE, EXECUTE, CLOSE.
async fn prepare_execute_close(client: Ready, sql: &str) -> Ready {
    let mut busy = client.begin();
    busy.command(Expect::Prepare, &[b"\x16", sql.as_bytes()]);
    busy.flush().await.expect("sent");
    let Reply::Prepared { id } = busy.reply().await.expect("answer") else { panic!("{sql}: not prepared") };
    busy.command(Expect::Results, &[b"\x17", &id.to_le_bytes(), &[0, 1, 0, 0, 0]]);
    busy.flush().await.expect("sent");
    let reply = busy.reply().await.expect("answer");
    assert!(!matches!(reply, Reply::Err(_)), "{sql}: {reply:?}");
    busy.silent_command(&[b"\x19", &id.to_le_bytes()]);
    busy.flush().await.expect("sent");
    busy.finish().expect("finished")
}

async fn query(client: Ready, sql: &str) -> Ready {
    let (client, reply) = client.query(sql).await.expect("answer");
    assert!(!matches!(reply, Reply::Err(_)), "{sql}: {reply:?}");
    client
}

/// What clients do on a connection of their own, and the round trips to the primary it may cost.
/// `?` before a statement: prepared, executed, closed.
const SCRIPTS: &[(&str, u64, &[&str])] = &[
    ("a read", 0, &["SELECT 1"]),
    (
        "chatter and reads",
        0,
        &[
            "SET NAMES utf8mb4",
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES'",
            "SET time_zone = '+00:00'",
            "SELECT COUNT(*) FROM t",
            "SELECT n FROM t",
            "?SELECT CAST(COUNT(*) AS CHAR) FROM t",
            "SELECT s FROM t LIMIT 1",
            "SHOW TABLES",
        ],
    ),
    (
        "chatter and a write",
        1,
        &["SET NAMES utf8mb4", "SET sql_mode = 'STRICT_ALL_TABLES'", "SET time_zone = '+00:00'", INSERT],
    ),
    (
        "a transaction",
        3,
        &["SET NAMES utf8mb4", "SET time_zone = '+01:00'", "BEGIN", INSERT, "UPDATE t SET n = 2 WHERE n = 1", "COMMIT"],
    ),
    ("a page, and then a transaction", 2, &["SELECT n FROM t LIMIT 1 OFFSET 2", "BEGIN", INSERT, "ROLLBACK"]),
    ("a page, and then nothing", 0, &["SELECT n FROM t LIMIT 1 OFFSET 2", "START TRANSACTION", "COMMIT"]),
    ("an empty transaction", 0, &["START TRANSACTION", "COMMIT"]),
    ("a prepared write nobody knows", 1, &["?INSERT INTO t (n) VALUES (10)"]),
    ("the same again", 1, &["?INSERT INTO t (n) VALUES (10)"]),
    ("the same in another state", 1, &["SET time_zone = '+05:00'", "?INSERT INTO t (n) VALUES (10)"]),
    (
        "a transaction of prepared statements",
        3,
        &["BEGIN", "?INSERT INTO t (n) VALUES (11)", "?UPDATE t SET n = 12 WHERE n = 11", "COMMIT"],
    ),
    ("a literal with a semicolon", 1, &["SET time_zone = '+02:00'", "INSERT INTO t (s) VALUES ('a;b')"]),
    (
        "an isolation level for one transaction",
        2,
        &["SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN", INSERT, "COMMIT"],
    ),
    ("LAST_INSERT_ID() behind an INSERT", 1, &[INSERT, "SELECT LAST_INSERT_ID()", "SELECT ROW_COUNT()"]),
    // PDO with `SET NAMES` from its options; Doctrine asks for the platform and the schema.
    (
        "Doctrine, Symfony",
        1,
        &[
            "SET NAMES utf8mb4",
            "SELECT VERSION()",
            "SELECT DATABASE()",
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
            "?INSERT INTO t (n) VALUES (1)",
        ],
    ),
    // Each of these is prepared natively: PDO without emulation.
    (
        "Laravel",
        1,
        &[
            "use `app`",
            "?set names 'utf8mb4' collate 'utf8mb4_unicode_ci'",
            "?set session sql_mode='ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,\
             ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
            "?insert into `t` (`n`) values (1)",
        ],
    ),
    (
        "Laravel, several settings at once",
        1,
        &[
            "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci', SESSION time_zone='+00:00', \
             SESSION sql_mode='STRICT_TRANS_TABLES'",
            "?insert into `t` (`n`) values (1)",
        ],
    ),
    (
        "WordPress",
        1,
        &[
            "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_520_ci'",
            "SELECT @@SESSION.sql_mode",
            "SET SESSION sql_mode='NO_ENGINE_SUBSTITUTION'",
            "USE app",
            "SELECT s, n FROM t WHERE s = 'yes'",
            "INSERT INTO `t` (`n`, `s`) VALUES (1, 'a:1:{i:0;s:1:\\\"x\\\";}')",
        ],
    ),
    (
        "Django",
        1,
        &[
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
            "SELECT VERSION(), @@sql_mode, @@default_storage_engine, @@sql_auto_is_null, \
             @@lower_case_table_names, CONVERT_TZ('2001-01-01 01:00:00', 'UTC', 'UTC') IS NOT NULL",
            "SET SQL_AUTO_IS_NULL = 0",
            "SET autocommit = 1",
            INSERT,
        ],
    ),
    ("Django, ATOMIC_REQUESTS", 2, &["SET autocommit = 0", INSERT, "COMMIT", "SET autocommit = 1"]),
    (
        "SQLAlchemy",
        1,
        &[
            "SET AUTOCOMMIT = 0",
            "SELECT DATABASE()",
            "SELECT @@transaction_isolation",
            "SELECT @@sql_mode",
            "SELECT @@lower_case_table_names",
            "SELECT VERSION()",
            "ROLLBACK",
            "SELECT 1",
            "ROLLBACK",
            INSERT,
        ],
    ),
    (
        "Rails",
        1,
        &[
            "SET NAMES utf8mb4, @@SESSION.sql_mode = CONCAT(CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), \
             ',NO_AUTO_VALUE_ON_ZERO'), @@SESSION.sql_auto_is_null = 0, @@SESSION.wait_timeout = 2147483",
            "SELECT VERSION()",
            "SHOW FULL FIELDS FROM `t`",
            INSERT,
        ],
    ),
    (
        "Hibernate, Connector/J",
        1,
        &[
            "/* mysql-connector-j-8.3.0 (Revision: abc) */SELECT  @@session.auto_increment_increment AS \
             auto_increment_increment, @@character_set_client AS character_set_client, \
             @@character_set_connection AS character_set_connection, @@collation_connection AS \
             collation_connection, @@max_allowed_packet AS max_allowed_packet, @@time_zone AS time_zone, \
             @@wait_timeout AS wait_timeout",
            "SHOW WARNINGS",
            "SET character_set_results = NULL",
            "SET autocommit=1",
            "SET sql_mode='STRICT_TRANS_TABLES'",
            "SELECT @@session.transaction_isolation",
            "SET SESSION TRANSACTION READ WRITE",
            "SET autocommit=0",
            "SELECT @@session.transaction_read_only",
            INSERT,
        ],
    ),
];

const INSERT: &str = "INSERT INTO t (n) VALUES (1)";

/// Plays a script on a connection of its own.
async fn play(bed: &Bed, script: &[&str]) -> Ready {
    let mut client = bed.raw_client().await;
    for sql in script {
        // The older name is the only one that MariaDB 10 has, and that MySQL has no more.
        let sql = match bed.flavor {
            Flavor::MariaDb => &sql.replace("@@transaction_", "@@tx_").replace("session.transaction_", "session.tx_"),
            Flavor::MySql => *sql,
        };
        client = match sql.strip_prefix('?') {
            Some(sql) => prepare_execute_close(client, sql).await,
            None => query(client, sql).await,
        };
    }
    client
}

/// Each script on a connection of its own, over warm pools.
async fn what_clients_do(flavor: Flavor) {
    // A busy machine's replica may be later than an ocean of 2 ms is wide; that is not the question here.
    let patient = "\n[consistency]\nwait = \"10s\"";
    let bed = Bed::with(flavor, Plan { quiet: true, extra: patient, ..Plan::default() }).await;
    for (name, trips, script) in SCRIPTS {
        bed.settled().await;
        let before = bed.crossed();
        let client = play(&bed, script).await;
        assert_eq!(bed.trips_since(&before), *trips, "{flavor}: {name}");
        client.close().await;
    }
    bed.stop().await;
}

/// Clients with different variables take turns on one warm connection, each write one round trip.
async fn states_take_turns(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { quiet: true, min_warm: 1, max: 1, ..Plan::default() }).await;
    let mut clients = Vec::new();
    for zone in ["+01:00", "+02:00", "+03:00"] {
        let client = query(bed.raw_client().await, &format!("SET time_zone = '{zone}', sql_mode = 'ANSI'")).await;
        clients.push(client);
    }
    // One that has set nothing must not see what the others have.
    clients.push(bed.raw_client().await);
    let before = bed.crossed();
    for _ in 0..3 {
        let mut next = Vec::new();
        for client in clients {
            let client = query(client, "INSERT INTO t (n, s) VALUES (1, @@time_zone)").await;
            next.push(prepare_execute_close(client, "INSERT INTO t (n, s) VALUES (2, @@time_zone)").await);
        }
        clients = next;
    }
    assert_eq!(bed.trips_since(&before), 24);
    for client in clients {
        client.close().await;
    }
    let counted =
        bed.pair.primary.sql("SELECT s, COUNT(*) FROM app.t GROUP BY s, n ORDER BY s, n").await.expect("rows");
    let zones: Vec<_> = counted.iter().map(|row| row[0].clone().unwrap_or_default()).collect();
    assert_eq!(zones, ["+01:00", "+01:00", "+02:00", "+02:00", "+03:00", "+03:00", "SYSTEM", "SYSTEM"]);
    assert!(counted.iter().all(|row| row[1].as_deref() == Some("3")), "{counted:?}");
    bed.stop().await;
}

/// Plays all scripts and returns how many rows there are then.
async fn play_all(bed: Bed) -> Option<String> {
    for (_, _, script) in SCRIPTS {
        play(&bed, script).await.close().await;
    }
    let rows = bed.pair.primary.sql("SELECT COUNT(*) FROM app.t").await.expect("rows")[0][0].clone();
    bed.stop().await;
    rows
}

/// Where servers want one command at a time, everything is the same but slower.
async fn without_pipelining(flavor: Flavor) {
    let slow = play_all(Bed::with(flavor, Plan { extra: "pipelining = \"off\"", ..Plan::default() }).await).await;
    assert_eq!(play_all(Bed::new(flavor).await).await, slow);
}

crate::on_both!(
    what_clients_do,
    states_take_turns,
    executions_ahead_of_a_guard,
    without_pipelining,
    a_fresh_client_pays_for_its_write_alone,
    transactions,
    prepared_statements,
    session_state_follows_the_session,
);
