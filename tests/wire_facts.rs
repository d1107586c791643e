//! Facts about real servers that the design rests on. When one of these fails on a new server
//! version, something in `src` rests on sand.

use landbridge::backend::conn::{Busy, Ready};
use landbridge::backend::login::{self, Account};
use landbridge::backend::query::Reply;
use landbridge::backend::server::{Server, family, tracking_sql};
use landbridge::config::Secret;
use landbridge::lab::{Flavor, Pair, accounts};
use landbridge::net::socket::Address;
use landbridge::net::tls::{Connector, ServerTls, Verify};
use landbridge::protocol::capability::{Capabilities, Status};
use landbridge::protocol::exchange::Expect;
use landbridge::protocol::track::{Change, Changes};
use landbridge::topology::ServerId;
use std::sync::Arc;
use std::time::Duration;

async fn dial(pair: &Pair) -> Ready {
    let tls = ServerTls { verify: Verify::Full, ca: Some(pair.certs.ca.clone()), client_cert: None, server_name: None };
    let connector = Connector::new(&tls, "127.0.0.1").expect("connector");
    let address = Address::Tcp { host: "127.0.0.1".into(), port: pair.primary.port() };
    let server = Arc::new(Server::new(ServerId(0), "primary".into(), address, Some(connector)));
    let account = Arc::new(Account::listed(accounts::APP.user.into(), Secret::new(accounts::APP.password.into())));
    let login = login::dial(&server, &account, Capabilities::empty(), Duration::from_secs(10)).await.expect("dial");
    let family = family(&login.greeting.version);
    let conn = Ready::new(login, server, account);
    let sql = String::from_utf8_lossy(tracking_sql(family)).into_owned();
    ok(conn, &sql).await.0
}

async fn ok(conn: Ready, sql: &str) -> (Ready, Reply) {
    let (conn, reply) = conn.query(sql).await.expect("connection lives");
    assert!(!matches!(reply, Reply::Err(_)), "{sql}: {reply:?}");
    (conn, reply)
}

async fn value(conn: Ready, sql: &str) -> (Ready, String) {
    match ok(conn, sql).await {
        (conn, Reply::Rows { rows, .. }) => (conn, rows[0][0].clone().unwrap_or_else(|| "NULL".into())),
        (_, other) => panic!("{sql}: {other:?}"),
    }
}

/// What the server's tracker said after a statement without rows.
fn changes(reply: &Reply) -> (Vec<(String, String)>, bool, Option<String>) {
    let Reply::Ok { changes, .. } = reply else { panic!("{reply:?}") };
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let (mut variables, mut state) = (Vec::new(), false);
    let changes = Changes::new(changes);
    changes.for_each(|change| match change {
        // MySQL counts statements.
        Change::SystemVariable { name: b"statement_id", .. } => {}
        Change::SystemVariable { name, value } => variables.push((text(name), text(value))),
        Change::State => state = true,
        _ => {}
    });
    (variables, state, changes.gtids().map(Into::into))
}

async fn reply(busy: &mut Busy) -> Reply {
    busy.reply().await.expect("connection lives")
}

/// What the session tracker says of each statement: variables, and whether state changed. Locks and
/// one-shot settings it does not show.
const TRACKED: &[(&str, &[&str], bool)] = &[
    ("SET @y = 1", &[], true),
    ("CREATE TEMPORARY TABLE tt (n INT)", &[], true),
    ("PREPARE s FROM 'SELECT 1'", &[], true),
    ("SET autocommit=0", &["autocommit"], true),
    ("SET NAMES utf8mb4", &["character_set_client", "character_set_connection", "character_set_results"], true),
    ("SET sql_mode=CONCAT(@@sql_mode, ',ANSI_QUOTES')", &["sql_mode"], true),
    ("SET character_set_results=NULL", &["character_set_results"], true),
    ("SET foreign_key_checks=0", &["foreign_key_checks"], true),
    ("SET time_zone='+00:00'", &["time_zone"], true),
    ("SET wait_timeout=100", &["wait_timeout"], true),
    ("USE app", &[], true),
    ("BEGIN", &[], false),
    ("COMMIT", &[], false),
    ("DO GET_LOCK('a', 0)", &[], false),
    ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", &[], false),
    ("LOCK TABLES t WRITE", &[], false),
];

async fn facts(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers start");
    pair.primary.sql("CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, n INT)").await.expect("table");
    let conn = dial(&pair).await;
    assert!(conn.tls_description().is_some());

    // One SET takes NAMES and anything else.
    let (conn, _) = ok(conn, "SET NAMES latin1 COLLATE latin1_bin,sql_mode='',@`x`=5").await;
    let (conn, v) = value(conn, "SELECT CONCAT_WS(',', @@collation_connection, @@sql_mode, @x)").await;
    assert_eq!(v, "latin1_bin,,5");

    // LAST_INSERT_ID() can be set by an ordinary user.
    let (conn, _) = ok(conn, "SET last_insert_id=77").await;
    let (conn, v) = value(conn, "SELECT LAST_INSERT_ID()").await;
    assert_eq!(v, "77");

    // Writes name their transactions; reads and empty writes do not.
    let (conn, _) = ok(conn, "USE app").await;
    let (conn, reply_) = ok(conn, "INSERT INTO t (n) VALUES (1)").await;
    let (_, state, gtids) = changes(&reply_);
    assert!(!state && gtids.is_some_and(|g| !g.is_empty()), "{flavor}: INSERT names its GTID");
    let (conn, reply_) = ok(conn, "UPDATE t SET n = 1 WHERE id = 99").await;
    assert_eq!(changes(&reply_), (vec![], false, None), "{flavor}: an UPDATE of nothing");

    for (sql, variables, state) in TRACKED {
        let (conn, reply) = conn_query(&pair, sql).await;
        let (reported, changed, _) = changes(&reply);
        let names: Vec<&str> = reported.iter().map(|(name, _)| name.as_str()).collect();
        assert!(
            variables.iter().all(|v| names.contains(v)) && (names.is_empty() == variables.is_empty()),
            "{flavor} {sql}: {names:?}"
        );
        assert_eq!(changed, *state, "{flavor} {sql}");
        conn.close().await;
    }

    // A reset keeps the schema; statement ids go on counting; what multi-statements become is told.
    let mut busy = conn.begin();
    busy.set_multi_statements(true);
    busy.command(Expect::Prepare, &[b"\x16SELECT ?"]);
    busy.flush().await.expect("sent");
    assert!(matches!(reply(&mut busy).await, Reply::Ok { .. }));
    let Reply::Prepared { id: before } = reply(&mut busy).await else { panic!("prepared") };
    busy.reset_session();
    busy.command(Expect::Prepare, &[b"\x16SELECT ?"]);
    busy.command(Expect::Results, &[b"\x03SELECT DATABASE(), @x"]);
    busy.command(Expect::Results, &[b"\x03DO 1; DO 2"]);
    busy.flush().await.expect("sent");
    assert!(matches!(reply(&mut busy).await, Reply::Ok { .. }));
    let Reply::Prepared { id } = reply(&mut busy).await else { panic!("prepared") };
    assert_eq!(id, before + 1, "{flavor}: a reset does not start the count anew");
    let Reply::Rows { rows, .. } = reply(&mut busy).await else { panic!("rows") };
    assert_eq!(rows, [[Some("app".to_owned()), None]]);
    assert!(matches!(reply(&mut busy).await, Reply::Ok { .. }), "{flavor}: a reset leaves multi-statements on");
    let conn = busy.finish().expect("finished");

    // A prefix that fails stops what is behind it; one that succeeds shares its fate.
    let mut busy = conn.begin();
    busy.set_multi_statements(false);
    busy.set_multi_statements(true);
    busy.command(Expect::Results, &[b"\x03SET sql_mode='nonsense';INSERT INTO t (n) VALUES (42)"]);
    busy.command(Expect::Results, &[b"\x03START TRANSACTION;INSERT INTO t (n) VALUES (43)"]);
    busy.flush().await.expect("sent");
    for _ in 0..2 {
        assert!(matches!(reply(&mut busy).await, Reply::Ok { .. }));
    }
    assert!(matches!(reply(&mut busy).await, Reply::Err(_)));
    let Reply::Ok { status, .. } = reply(&mut busy).await else { panic!("ok") };
    assert!(status.contains(Status::IN_TRANS));
    let conn = busy.finish().expect("finished");
    let (conn, v) = value(conn, "SELECT COUNT(*) FROM t WHERE n = 42").await;
    assert_eq!(v, "0");
    conn.close().await;
}

/// One execution of a statement without parameters.
fn execution(id: u32) -> Vec<u8> {
    [&[0x17][..], &id.to_le_bytes(), &[0, 1, 0, 0, 0]].concat()
}

/// Statement ids can be foretold, and a foretold id guards an execution: what must have succeeded
/// ahead of it ends with an SQL-level PREPARE, which takes an id as well.
async fn statement_ids(flavor: Flavor) {
    const INSERT: &[u8] = b"\x16INSERT INTO t (n) VALUES (7)";
    let pair = Pair::start(flavor).await.expect("servers start");
    pair.primary.sql("CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, n INT)").await.expect("table");
    let (conn, _) = ok(dial(&pair).await, "USE app").await;
    let mut busy = conn.begin();
    busy.set_multi_statements(true);
    busy.command(Expect::Prepare, &[INSERT]);
    busy.command(Expect::Results, &[&execution(1)]);
    busy.flush().await.expect("sent");
    assert!(matches!(reply(&mut busy).await, Reply::Ok { .. }));
    assert_eq!(reply(&mut busy).await, Reply::Prepared { id: 1 }, "{flavor}: the first has id 1");
    assert!(matches!(reply(&mut busy).await, Reply::Ok { .. }), "{flavor}: prepared and executed in one flight");

    // One that cannot be prepared takes an id all the same.
    busy.command(Expect::Prepare, &[b"\x16SELECT nonsense FROM nowhere"]);
    busy.command(Expect::Prepare, &[INSERT]);
    busy.flush().await.expect("sent");
    assert!(matches!(reply(&mut busy).await, Reply::Err(_)));
    assert_eq!(reply(&mut busy).await, Reply::Prepared { id: 3 }, "{flavor}: after one that failed");

    for (ahead, runs) in [("SET @x = 1", true), ("SET sql_mode = 'nonsense'", false), ("USE nowhere", false)] {
        let next = if runs { 4 } else { 6 };
        let guarded = format!("{ahead};PREPARE landbridge FROM 'DO 0';DEALLOCATE PREPARE landbridge");
        busy.command(Expect::Results, &[b"\x03", guarded.as_bytes()]);
        busy.command(Expect::Prepare, &[INSERT]);
        busy.command(Expect::Results, &[&execution(if runs { next + 1 } else { 99 })]);
        busy.flush().await.expect("sent");
        let failed = matches!(reply(&mut busy).await, Reply::Err(_));
        assert_eq!(failed, !runs, "{flavor}: {ahead}");
        let Reply::Prepared { id } = reply(&mut busy).await else { panic!("prepared") };
        match reply(&mut busy).await {
            Reply::Ok { .. } => assert!(runs && id == next + 1, "{flavor}: {ahead}: {id}"),
            Reply::Err(error) => assert!(!runs && error.code == 1243, "{flavor}: {ahead}: {error}"),
            other => panic!("{flavor}: {ahead}: {other:?}"),
        }
        // The guard was not reached: its id went to the statement behind it.
        if ahead.starts_with("SET sql_mode") {
            assert_eq!(id, 6, "{flavor}: {ahead}");
        }
    }
    // A statement prepared by SQL cannot be executed by its number.
    busy.command(Expect::Results, &[b"\x03PREPARE mine FROM 'INSERT INTO t (n) VALUES (8)'"]);
    for id in 7..=9 {
        busy.command(Expect::Results, &[&execution(id)]);
    }
    busy.flush().await.expect("sent");
    assert!(matches!(reply(&mut busy).await, Reply::Ok { .. }));
    let codes: Vec<Option<u16>> = [reply(&mut busy).await, reply(&mut busy).await, reply(&mut busy).await]
        .iter()
        .map(|reply| if let Reply::Err(error) = reply { Some(error.code) } else { None })
        .collect();
    assert_eq!(codes, [None, Some(1243), Some(1243)], "{flavor}: 7 is the last INSERT, 8 the one of SQL");
}

/// Whether a server that has executed `before` has by now executed more.
async fn executed(conn: Ready, flavor: Flavor) -> (Ready, String) {
    let sql = match flavor {
        Flavor::MariaDb => "SELECT @@gtid_binlog_pos",
        Flavor::MySql => "SELECT @@gtid_executed",
    };
    value(conn, sql).await
}

/// Transactions that move to the primary (`frontend/optimistic`) are guarded by a savepoint: it is gone where the
/// transaction is.
async fn savepoints(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers start");
    pair.primary.sql("CREATE TABLE app.s (id INT AUTO_INCREMENT PRIMARY KEY, n INT)").await.expect("table");
    pair.primary.sql("INSERT INTO app.s (n) VALUES (1)").await.expect("row");
    let conn = dial(&pair).await;
    let (conn, before) = executed(conn, flavor).await;

    // No transaction, no savepoint: neither of autocommit nor of one that has ended.
    for ahead in ["DO 0", "SAVEPOINT landbridge", "START TRANSACTION; SAVEPOINT landbridge; ROLLBACK"] {
        let mut busy = conn_for_several(&pair).await.begin();
        for sql in [ahead, "SELECT n FROM app.s", "RELEASE SAVEPOINT landbridge; INSERT INTO app.s (n) VALUES (2)"] {
            busy.command(Expect::Results, &[&[3], sql.as_bytes()]);
        }
        busy.flush().await.expect("sent");
        assert!(matches!(reply(&mut busy).await, Reply::Ok { .. }));
        assert!(matches!(reply(&mut busy).await, Reply::Rows { .. }));
        let Reply::Err(error) = reply(&mut busy).await else { panic!("{flavor}: {ahead}: it was there") };
        assert_eq!(error.code, 1305, "{flavor}: {ahead}");
        busy.finish().expect("over").close().await;
    }

    // One that is set and released leaves nothing in the log of a transaction that writes nothing.
    let (conn, _) = ok(conn, "START TRANSACTION").await;
    let (conn, _) = ok(conn, "SAVEPOINT landbridge").await;
    let (conn, _) = value(conn, "SELECT COUNT(*) FROM app.s").await;
    let (conn, _) = ok(conn, "RELEASE SAVEPOINT landbridge").await;
    let (conn, _) = ok(conn, "UPDATE app.s SET n = 1 WHERE id = 99").await;
    let (conn, reply_) = ok(conn, "COMMIT").await;
    assert_eq!(changes(&reply_).2, None, "{flavor}: nothing was written");
    let (conn, after) = executed(conn, flavor).await;
    assert_eq!(before, after, "{flavor}: nothing was written");
    conn.close().await;
}

async fn conn_for_several(pair: &Pair) -> Ready {
    let mut busy = dial(pair).await.begin();
    busy.set_multi_statements(true);
    busy.flush().await.expect("sent");
    reply(&mut busy).await;
    busy.finish().expect("over")
}

async fn conn_query(pair: &Pair, sql: &str) -> (Ready, Reply) {
    let conn = dial(pair).await;
    let (conn, _) = ok(conn, "USE app").await;
    ok(conn, sql).await
}

#[tokio::test]
async fn mysql() {
    facts(Flavor::MySql).await;
    statement_ids(Flavor::MySql).await;
    savepoints(Flavor::MySql).await;
}

#[tokio::test]
async fn mariadb() {
    facts(Flavor::MariaDb).await;
    statement_ids(Flavor::MariaDb).await;
    savepoints(Flavor::MariaDb).await;
}
