//! What others change while a session is connected: its life, server-wide variables, privileges; and
//! what it may ask afterwards.

use crate::support::{APP, Bed, Plan, one};
use landbridge::lab::{Flavor, accounts};
use landbridge::protocol::capability::Capabilities;
use landbridge::protocol::exchange::Expect;
use landbridge::protocol::packet::frame;
use landbridge::protocol::parameters::NO_ATTRIBUTES;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error, Opts};
use std::time::Duration;

/// A bed on which root may log in, too.
async fn with_root(flavor: Flavor) -> Bed {
    let extra = "[[user]]\nname = \"root\"\npassword = \"root-secret\"\n";
    assert_eq!(accounts::ROOT.password, "root-secret");
    Bed::with(flavor, Plan { extra, ..Plan::default() }).await
}

async fn root(bed: &Bed) -> Conn {
    let opts = bed.opts().user(Some(accounts::ROOT.user)).pass(Some(accounts::ROOT.password));
    Conn::new(Opts::from(opts)).await.expect("root can connect")
}

/// `KILL id` ends the session and what it runs: no answer, neither a result nor an error of the server.
async fn a_killed_session_gets_no_answer(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    for command in ["KILL", "KILL CONNECTION"] {
        let (mut victim, mut killer) = (bed.client().await, bed.client().await);
        let id: u32 = one(&mut victim, "SELECT CONNECTION_ID()").await;
        let sleeps = tokio::spawn(async move { victim.query_first::<u8, _>("SELECT SLEEP(600)").await });
        let asleep = "SELECT COUNT(*) > 0 FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(600)%'";
        bed.until_sql_anywhere(asleep, "1").await;
        killer.query_drop(format!("{command} {id}")).await.expect("killed");
        let answer = sleeps.await.expect("no panic");
        assert!(matches!(answer, Err(Error::Io(_) | Error::Driver(_))), "{command}: {answer:?}");
        for server in [&bed.pair.primary, &bed.pair.replica] {
            bed.until_sql_at(server, &asleep.replace("> 0", "= 0"), "1").await;
        }
    }
    bed.stop().await;
}

/// Server-wide variables are the defaults of sessions that begin later, whatever connection serves them.
async fn server_wide_variables(flavor: Flavor) {
    let bed = with_root(flavor).await;
    let mut root = root(&bed).await;
    let mut before = bed.client().await;
    let isolation = if flavor == Flavor::MariaDb { "tx_isolation" } else { "transaction_isolation" };
    root.query_drop(format!("SET GLOBAL {isolation} = 'READ-COMMITTED'")).await.expect("set");
    root.query_drop("SET GLOBAL sql_mode = ''").await.expect("set");
    for _ in 0..6 {
        let mut client = bed.client().await;
        let ask = format!("SELECT @@{isolation}");
        assert_eq!(one::<String>(&mut client, &ask).await, "READ-COMMITTED");
        client.query_drop("BEGIN").await.expect("begin");
        assert_eq!(one::<String>(&mut client, &format!("{ask} FROM (SELECT 1) x FOR UPDATE")).await, "READ-COMMITTED");
        client.query_drop("INSERT INTO t (n) VALUES ('12abc')").await.expect("no longer strict");
        client.query_drop("ROLLBACK").await.expect("rollback");
    }
    // Who was there before keeps what it began with.
    assert_eq!(one::<String>(&mut before, &format!("SELECT @@{isolation}")).await, "REPEATABLE-READ");
    before.query_drop("INSERT INTO t (n) VALUES ('12abc')").await.expect_err("still strict");
    let read_only = if flavor == Flavor::MariaDb { "tx_read_only" } else { "transaction_read_only" };
    root.query_drop(format!("SET GLOBAL {read_only} = 1")).await.expect("set");
    let Err(Error::Server(error)) = bed.client().await.query_drop("DELETE FROM t").await else { panic!("deleted") };
    assert_eq!(error.code, 1792, "{}", error.message);
    root.query_drop("DELETE FROM app.t").await.expect("was there before");
    root.query_drop(format!("SET GLOBAL {read_only} = 0")).await.expect("set");
    root.query_drop("SET GLOBAL autocommit = 0").await.expect("set");
    before.query_drop("INSERT INTO t (n) VALUES (77)").await.expect("commits by itself");
    drop(before);
    bed.until_sql("SELECT COUNT(*) FROM app.t WHERE n = 77", "1").await;
    bed.stop().await;
}

/// They may be set by one of several statements, or by one that SQL has prepared.
async fn server_wide_variables_by_the_way(flavor: Flavor) {
    let bed = with_root(flavor).await;
    let mut root = root(&bed).await;
    for (sql, value) in [
        ("PREPARE s FROM 'SET GLOBAL div_precision_increment = 5'; EXECUTE s", "5"),
        ("PREPARE t FROM 'SET GLOBAL div_precision_increment = 6'", "5"),
        ("EXECUTE t", "6"),
        ("SELECT 1; SET GLOBAL div_precision_increment = 7", "7"),
        ("SET GLOBAL div_precision_increment = 8; SELECT nonsense", "8"),
    ] {
        let _fails = root.query_drop(sql).await;
        for _ in 0..4 {
            let asked = one::<String>(&mut bed.client().await, "SELECT @@div_precision_increment").await;
            assert_eq!(asked, value, "{sql}");
        }
    }
    bed.stop().await;
}

/// What a statement without autocommit leaves open when it fails is not given to others, and whoever
/// loses a transaction while it says nothing is told.
async fn a_failure_without_autocommit(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (id, n) VALUES (1, 1)").await.expect("insert");
    client.query_drop("SET autocommit = 0").await.expect("set");
    client.query_drop("INSERT INTO t (id, n) VALUES (1, 2)").await.expect_err("a duplicate");
    // Longer than a connection is kept for questions.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let leased: usize = bed.app().shared.pools.all().iter().map(|pool| pool.counts().leased).sum();
    assert_eq!(leased, 1, "its locks are on the connection that it keeps");
    client.query_drop("UPDATE t SET n = 3 WHERE id = 1").await.expect("no lock of its own in the way");
    client.query_drop("ROLLBACK").await.expect("rollback");
    assert_eq!(one::<u64>(&mut client, "SELECT n FROM t").await, 1);
    bed.stop().await;
}

/// Sessions of others are for whoever the server lets end those of all.
async fn an_administrator_kills_others(flavor: Flavor) {
    let bed = with_root(flavor).await;
    let (mut victim, mut admin) = (bed.client().await, root(&bed).await);
    let ids =
        [one::<u32>(&mut victim, "SELECT CONNECTION_ID()").await, one(&mut admin, "SELECT CONNECTION_ID()").await];
    let denied = victim.query_drop(format!("KILL {}", ids[1])).await.expect_err("not its own");
    let Error::Server(denied) = denied else { panic!("{denied}") };
    assert_eq!(denied.code, 1095, "{}", denied.message);
    admin.query_drop(format!("SET @victim = {}", ids[0])).await.expect("set");
    // Its server knows of no such id, but the number is known here.
    admin.query_drop("KILL QUERY @victim").await.expect("may do that");
    admin.query_drop(format!("KILL {}", ids[0])).await.expect("may do that");
    let gone = async { while victim.query_drop("DO 0").await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the session ends");
    assert_eq!(one::<u64>(&mut admin, "SELECT 1").await, 1);
    bed.stop().await;
}

/// Somebody else drops the schema that sessions are in: they go on with what needs none, and so do logins
/// on the connections that were left in it.
async fn a_schema_is_dropped(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { min_warm: 1, max: 1, ..Plan::default() }).await;
    bed.pair.primary.sql("CREATE DATABASE doomed").await.expect("created");
    bed.pair.primary.sql(&format!("GRANT ALL ON doomed.* TO '{APP}'@'%'")).await.expect("granted");
    bed.pair.wait_caught_up().await.expect("the replica follows");
    let mut client = bed.client().await;
    client.query_drop("USE doomed").await.expect("there it is");
    for hint in ["", "/* landbridge: primary */"] {
        client.query_drop(format!("{hint}SELECT DATABASE()")).await.expect("the connections are in it");
    }
    bed.pair.primary.sql("DROP DATABASE doomed").await.expect("dropped");
    bed.pair.wait_caught_up().await.expect("the replica follows");
    assert_eq!(one::<u64>(&mut client, "SELECT 1").await, 1);
    let missing = client.query_drop("SELECT * FROM t").await.expect_err("no such table");
    let Error::Server(missing) = missing else { panic!("{missing}") };
    assert!([1046, 1049, 1146].contains(&missing.code), "{}", missing.message);
    let mut other = bed.client().await;
    assert_eq!(one::<u64>(&mut other, "SELECT COUNT(*) FROM t").await, 0);
    client.query_drop("CREATE DATABASE doomed").await.expect("made anew");
    assert_eq!(one::<String>(&mut client, "SELECT DATABASE()").await, "doomed", "still where it was");
    client.query_drop("DROP DATABASE doomed").await.expect("dropped by itself");
    client.query_drop("SET time_zone = '+02:00'").await.expect("set");
    client.query_drop("USE app").await.expect("a way out");
    assert_eq!(one::<String>(&mut client, "SELECT @@time_zone").await, "+02:00");
    bed.stop().await;
}

/// A bed on which the user of the second client may use the schema `taken`, and root, the first, may take it.
async fn with_a_schema_to_take(flavor: Flavor) -> (Bed, Conn, Conn) {
    let bed = with_root(flavor).await;
    let (mut root, client) = (root(&bed).await, bed.client().await);
    for sql in
        ["CREATE DATABASE taken", "CREATE TABLE taken.t (n INT)", &format!("GRANT ALL ON taken.* TO '{APP}'@'%'")]
    {
        root.query_drop(sql).await.expect(sql);
    }
    bed.pair.wait_caught_up().await.expect("the replica follows");
    (bed, root, client)
}

/// A schema is taken from a user who is in it: the session goes on with what needs none.
async fn a_schema_is_taken_away(flavor: Flavor) {
    let (bed, mut root, mut client) = with_a_schema_to_take(flavor).await;
    client.query_drop("USE taken").await.expect("there it is");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 0);
    root.query_drop(format!("REVOKE ALL ON taken.* FROM '{APP}'@'%'")).await.expect("revoked");
    bed.pair.wait_caught_up().await.expect("the replica follows");
    assert_eq!(one::<u64>(&mut client, "SELECT 1").await, 1);
    assert_eq!(one::<u64>(&mut client, "/* landbridge: primary */ SELECT 2").await, 2);
    let Err(Error::Server(denied)) = client.query_drop("SELECT * FROM t").await else { panic!("let in") };
    assert_eq!(denied.code, 1044, "{}", denied.message);
    client.query_drop("USE app").await.expect("a way out");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 0);
    bed.stop().await;
}

/// A replica has a change of privileges later than the primary: who logs in there meanwhile does not keep the old ones.
async fn privileges_that_a_replica_has_later(flavor: Flavor) {
    let (bed, mut root, mut client) = with_a_schema_to_take(flavor).await;
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM taken.t").await, 0);
    bed.pair.stop_applier().await.expect("stops");
    root.query_drop(format!("REVOKE ALL ON taken.* FROM '{APP}'@'%'")).await.expect("revoked");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM taken.t").await, 0, "the replica has not heard of it");
    bed.pair.start_applier().await.expect("starts");
    bed.pair.wait_caught_up().await.expect("the replica follows");
    let is_denied = async {
        loop {
            match client.query_drop("SELECT COUNT(*) FROM taken.t").await {
                Ok(()) => tokio::task::yield_now().await,
                Err(Error::Server(error)) => return error.code,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let denied = tokio::time::timeout(Duration::from_secs(20), is_denied).await.expect("within 20 s");
    assert!(denied == 1044 || denied == 1142, "{denied}");
    bed.stop().await;
}

/// That a transaction may not write is said when it begins, if it says that it will.
async fn a_server_that_only_reads(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    client.query_drop("START TRANSACTION READ WRITE").await.expect("may write");
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("insert");
    client.query_drop("COMMIT").await.expect("commit");
    bed.pair.primary.sql("SET GLOBAL read_only = 1").await.expect("set");
    let Err(Error::Server(error)) = client.query_drop("START TRANSACTION READ WRITE").await else { panic!("begun") };
    assert_eq!(error.code, 1290, "{}", error.message);
    assert!(!error.message.contains("Landbridge"), "{}", error.message);
    assert_eq!(one::<u64>(&mut client, "SELECT 1").await, 1);
    client.query_drop("COMMIT").await.expect("nothing");
    bed.stop().await;
}

/// `KILL USER` ends the user's sessions, whether they hold a connection or not, and nobody else's.
async fn all_sessions_of_a_user_are_killed(flavor: Flavor) {
    let bed = with_root(flavor).await;
    let (mut victim, mut admin) = (bed.client().await, root(&bed).await);
    if flavor == Flavor::MySql {
        let Err(Error::Server(error)) = admin.query_drop(format!("KILL USER {APP}")).await else { panic!("killed") };
        assert_eq!(error.code, 1064, "{}", error.message);
        return bed.stop().await;
    }
    let Err(Error::Server(denied)) = victim.query_drop("KILL USER root").await else { panic!("killed") };
    assert_eq!(denied.code, 1095, "{}", denied.message);
    assert_eq!(one::<u64>(&mut victim, "SELECT 1").await, 1);
    admin.query_drop(format!("KILL SOFT CONNECTION USER '{APP}'@'%'")).await.expect("may do that");
    victim.query_drop("DO 0").await.expect_err("gone");
    bed.until(|| bed.app().shared.registry.of_user(APP) == 0).await;
    assert_eq!(one::<u64>(&mut admin, "SELECT 1").await, 1);
    bed.stop().await;
}

/// What `SET NAMES DEFAULT` means may change.
async fn another_character_set_by_default(flavor: Flavor) {
    let bed = with_root(flavor).await;
    let (mut root, mut client) = (root(&bed).await, bed.client().await);
    let with = if flavor == Flavor::MariaDb { "SET NAMES DEFAULT COLLATE utf8mb4_bin" } else { "SET NAMES DEFAULT" };
    client.query_drop(with).await.expect("set");
    let ask = "SELECT CONCAT_WS(' ', @@character_set_client, @@character_set_results, @@collation_connection)";
    let before = one::<String>(&mut client, ask).await;
    root.query_drop("SET GLOBAL character_set_client = latin1").await.expect("set");
    assert_eq!(one::<String>(&mut client, ask).await, before);
    client.query_drop("SET NAMES DEFAULT").await.expect("set");
    for hint in ["", "/* landbridge: primary */ "] {
        // On MySQL a replica has its own; MariaDB's charset of then is known.
        if flavor == Flavor::MariaDb || !hint.is_empty() {
            assert_eq!(one::<String>(&mut client, &format!("{hint}{ask}")).await, "latin1 latin1 latin1_swedish_ci");
        }
    }
    bed.stop().await;
}

/// The largest packet is that of a connection's beginning: whoever comes after it was changed finds the new one.
async fn another_largest_packet(flavor: Flavor) {
    let bed = with_root(flavor).await;
    let mut root = root(&bed).await;
    let long = format!("/* landbridge: primary */ SELECT LENGTH('{}')", "x".repeat(100_000));
    assert_eq!(one::<u64>(&mut bed.client().await, &long).await, 100_000);
    root.query_drop("SET GLOBAL max_allowed_packet = 65536").await.expect("set");
    for _ in 0..6 {
        bed.client().await.query_drop(&long).await.expect_err("too large");
        assert_eq!(one::<u64>(&mut bed.client().await, "SELECT 1").await, 1);
    }
    root.query_drop("SET GLOBAL max_allowed_packet = 16777216").await.expect("set");
    for _ in 0..6 {
        assert_eq!(one::<u64>(&mut bed.client().await, &long).await, 100_000);
    }
    bed.stop().await;
}

/// A held connection that the server ends is found by a ping, as a direct one is.
async fn a_ping_finds_what_is_gone(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    client.query_drop("BEGIN").await.expect("begun");
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("inserted");
    client.ping().await.expect("alive");
    bed.ocean.cut_existing();
    let lost = async { while client.ping().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), lost).await.expect("the session ends");
    bed.stop().await;
}

/// A large command that comes slowly after a warning is read as a whole.
async fn a_large_command_after_a_pause(flavor: Flavor) {
    let servers =
        landbridge::lab::PairOptions { extra_args: vec!["--max-allowed-packet=67108864".into()], ..Default::default() };
    let bed = Bed::with(flavor, Plan { servers, ..Plan::default() }).await;
    let mut raw = bed.raw_client().await.begin();
    raw.command(Expect::Results, &[b"\x03SELECT nonsense"]);
    raw.flush().await.expect("sent");
    raw.reply().await.expect("an error");
    let attributes = if raw.caps().contains(Capabilities::QUERY_ATTRIBUTES) { NO_ATTRIBUTES } else { b"" };
    let text = [b"\x03", attributes, b"SELECT LENGTH('", &vec![b'a'; 20_000_000], b"')"].concat();
    let mut framed = Vec::new();
    frame(&mut framed, 0, &text);
    for piece in framed.chunks(9_000_000) {
        raw.packets().write_through(piece).await.expect("sent");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    // Two packets of a command: the answer's first is the third.
    let count = raw.packets().read_packet(2, 1 << 16).await.expect("an answer");
    assert_eq!(count.payload[..], [1], "one column");
    drop(raw);
    bed.stop().await;
}

/// Privileges count for sessions that begin after they were granted or revoked.
async fn privileges(flavor: Flavor) {
    let bed = with_root(flavor).await;
    let mut root = root(&bed).await;
    for (change, may) in [("GRANT RELOAD ON *.* TO app", true), ("REVOKE RELOAD ON *.* FROM app", false)] {
        root.query_drop(change).await.expect("changed");
        let mut client = bed.client().await;
        assert_eq!(client.query_drop("FLUSH STATUS").await.is_ok(), may, "{change}");
    }
    bed.stop().await;
}

/// Neither disturbs a transaction that is open on a warm connection.
async fn changes_beside_a_transaction(flavor: Flavor) {
    let bed = with_root(flavor).await;
    let (mut root, mut client) = (root(&bed).await, bed.client().await);
    client.query_drop("BEGIN").await.expect("begin");
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("insert");
    root.query_drop("GRANT RELOAD ON *.* TO app").await.expect("granted");
    root.query_drop("SET GLOBAL sql_mode = ''").await.expect("set");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 1, "it still sees its own");
    client.query_drop("INSERT INTO t (n) VALUES (2)").await.expect("insert");
    client.query_drop("COMMIT").await.expect("commit");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 2);
    bed.stop().await;
}

/// MariaDB's `SET STATEMENT` is over with the statement.
async fn variables_of_one_statement(flavor: Flavor) {
    if flavor == Flavor::MySql {
        return;
    }
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    let before: u64 = one(&mut client, "SELECT @@sort_buffer_size").await;
    client.query_drop("SET sql_mode = ''").await.expect("set");
    client.query_drop("SET STATEMENT sort_buffer_size = 100000 FOR SELECT 1").await.expect("runs");
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("insert");
    assert_eq!(one::<u64>(&mut client, "SELECT @@sort_buffer_size").await, before);
    assert_eq!(one::<u64>(&mut client, "SELECT @@sort_buffer_size FROM t FOR UPDATE").await, before);
    bed.stop().await;
}

/// An error may be one condition of several; they can be asked for, at once or later.
async fn conditions_behind_an_error(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    let failing = "CREATE TABLE wrong (c VARCHAR(1) DEFAULT 'foo')";
    for later in [false, true] {
        client.query_drop(failing).await.expect_err("a default that does not fit");
        if later {
            // The connection has been given back meanwhile.
            bed.settled_but(1).await;
        }
        let rows: Vec<(String, u16, String)> = client.query("SHOW WARNINGS").await.expect("conditions");
        let codes: Vec<u16> = rows.iter().map(|row| row.1).collect();
        let want = if flavor == Flavor::MariaDb { [1265, 1067] } else { [1406, 1067] };
        assert_eq!(codes, want, "later: {later}");
        if later {
            let counts: (u8, u8) =
                client.query_first("SELECT @@warning_count, @@error_count").await.expect("counts").expect("row");
            assert_eq!(counts.0, 2, "both are counted");
        }
    }
    bed.stop().await;
}

crate::on_both!(
    a_killed_session_gets_no_answer,
    server_wide_variables,
    server_wide_variables_by_the_way,
    a_failure_without_autocommit,
    an_administrator_kills_others,
    a_schema_is_dropped,
    a_server_that_only_reads,
    all_sessions_of_a_user_are_killed,
    another_character_set_by_default,
    another_largest_packet,
    a_schema_is_taken_away,
    privileges_that_a_replica_has_later,
    a_ping_finds_what_is_gone,
    a_large_command_after_a_pause,
    privileges,
    changes_beside_a_transaction,
    variables_of_one_statement,
    conditions_behind_an_error,
);
