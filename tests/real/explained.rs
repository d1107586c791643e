//! `landbridge explain` beside sessions: for statements of all kinds, by themselves and in transactions, it must say where
//! sessions send them, why, and what keeps them on their connections afterwards.

use crate::cli::{landbridge, write};
use crate::support::{Bed, Plan};
use landbridge::lab::{Flavor, proxy_toml};
use mysql_async::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Without consistency, so that no statement depends on those before it: `explain` is told what was written, and they are
/// not.
const MORE: &str = r#"
[consistency]
scope = "off"
[[rule]]
table = "stock"
read = "primary"
"#;

/// By itself, or behind these.
#[derive(Debug, Clone, Copy)]
struct Moment {
    option: Option<&'static str>,
    ahead: &'static [&'static str],
}

const ALONE: Moment = Moment { option: None, ahead: &[] };
const BEGUN: Moment = Moment { option: Some("--in-transaction"), ahead: &["BEGIN", "SELECT n FROM t"] };
const READ_ONLY: Moment =
    Moment { option: Some("--in-transaction=read-only"), ahead: &["START TRANSACTION READ ONLY", "SELECT n FROM t"] };

const STATEMENTS: &[&str] = &[
    "SELECT n FROM t",
    "SELECT 1",
    "SELECT NOW()",
    "SELECT n FROM t WHERE s < NOW()",
    "SELECT n FROM t ORDER BY id LIMIT 1, 1",
    "SELECT SQL_CALC_FOUND_ROWS n FROM t LIMIT 1",
    "SELECT n FROM t LIMIT 0, 1 FOR UPDATE",
    "SELECT LAST_INSERT_ID()",
    "SELECT LAST_INSERT_ID(5)",
    "SELECT 1; SELECT 2",
    "SELECT 1; DELETE FROM t WHERE id = 0",
    "/* landbridge: primary */ SELECT n FROM t",
    "SELECT n FROM stock",
    "/* landbridge: replica */ SELECT n FROM stock",
    "SHOW TABLES",
    "DESCRIBE t",
    "EXPLAIN SELECT n FROM t",
    "SHOW PROCESSLIST",
    "SELECT @@hostname",
    "SELECT @@sql_mode",
    "SELECT COUNT(*) FROM information_schema.SCHEMATA",
    "INSERT INTO t (n) VALUES (2)",
    "INSERT INTO t (n) SELECT n FROM stock LIMIT 0, 1",
    "UPDATE t SET n = n",
    "DELETE FROM t WHERE id = 0",
    "DO 1",
    "CREATE TABLE u (id INT PRIMARY KEY)",
    "DROP TABLE u",
    "CREATE TEMPORARY TABLE tmp (id INT)",
    "ANALYZE TABLE stock",
    "LOCK TABLES stock READ",
    "UNLOCK TABLES",
    "SELECT GET_LOCK('explained', 1)",
    "SELECT RELEASE_ALL_LOCKS()",
    "HANDLER stock OPEN",
    "XA START 'explained'",
    "PREPARE s FROM 'SELECT 1'",
    "CALL absent()",
    "SELECT absent(n) FROM t",
    "nonsense",
    "SET sql_mode = 'ANSI'",
    "SET sql_mode = CONCAT(@@sql_mode, ',ANSI')",
    "SET NAMES utf8mb4",
    "SET @x = 1",
    "SET @x = NOW()",
    "SET @x = ROW_COUNT()",
    "SET insert_id = 7",
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION TRANSACTION READ ONLY",
    "SET GLOBAL max_connections = 500",
    "SELECT @y := 1",
    "SELECT n INTO @x FROM t LIMIT 1",
    "USE app",
    "BEGIN",
    "START TRANSACTION READ ONLY",
    "START TRANSACTION READ WRITE",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT",
    "SAVEPOINT a",
    "COMMIT",
    "ROLLBACK",
    "SELECT CONNECTION_ID()",
    "select connection_id() as id, @@landbridge_version;",
    "SELECT CONNECTION_ID() + 1",
    "SELECT @@landbridge_token",
    "SET @@landbridge_token = 'none'",
    "SET @@landbridge_token = DEFAULT",
    "SELECT ROW_COUNT()",
    "SELECT FOUND_ROWS()",
    "SELECT FOUND_ROWS() + 1",
    "INSERT INTO t (n) VALUES (ROW_COUNT())",
    "SHOW WARNINGS",
    "SHOW ERRORS;",
    "SELECT @@warning_count",
    "GET DIAGNOSTICS @n = NUMBER",
    "SIGNAL SQLSTATE '45000'",
    "KILL 2000000000",
    "/* x */ KILL QUERY 2000000000",
    "KILL 1000000000",
    "KILL USER nobody",
    "",
    " ; ",
    "/* x */",
    "-- x",
];

/// Where a statement went and why, and what it left: nothing, if Landbridge answered.
#[derive(Debug, PartialEq, Eq)]
struct Went {
    routes: Vec<(String, String)>,
    pins: Vec<String>,
}

/// A counter's children by the values of their labels, in the order of the labels' names.
fn children(bed: &Bed, name: &str) -> BTreeMap<Vec<String>, u64> {
    let text = String::from_utf8(bed.app().metrics.render().expect("renders")).expect("text");
    let child = |line: &str| {
        let (labels, count) = line.strip_prefix(name)?.strip_prefix('{')?.split_once("} ")?;
        let values = labels.split(',').filter_map(|label| Some(label.split('"').nth(1)?.to_owned()));
        Some((values.collect(), count.parse().ok()?))
    };
    text.lines().filter_map(child).collect()
}

/// Those that have counted more, as often as they did.
fn counted(before: &BTreeMap<Vec<String>, u64>, after: BTreeMap<Vec<String>, u64>) -> Vec<Vec<String>> {
    let more = |(labels, count): (Vec<String>, u64)| {
        let times = count - before.get(&labels).copied().unwrap_or_default();
        (0..times).map(move |_| labels.clone()).collect::<Vec<_>>()
    };
    after.into_iter().flat_map(more).collect()
}

/// What a session does with a statement; and whether that went well.
async fn done(bed: &Bed, sql: &str, moment: Moment) -> (Went, bool) {
    const ROUTES: &str = "landbridge_statements_total";
    const PINS: &str = "landbridge_pins_total";
    let mut client = bed.client().await;
    for ahead in moment.ahead {
        client.query_drop(*ahead).await.expect(ahead);
    }
    let before = [ROUTES, PINS].map(|name| children(bed, name));
    let is_ok = client.query_drop(sql).await.is_ok();
    // Behind its answer all of it has been counted.
    client.ping().await.expect("answered");
    let [routes, pins] = [ROUTES, PINS].map(|name| children(bed, name));
    let route = |mut labels: Vec<String>| (labels.pop().expect("target"), labels.pop().expect("reason"));
    let routes = counted(&before[0], routes).into_iter().map(route).collect();
    // Of warnings nobody knows ahead.
    let pins = counted(&before[1], pins).concat().into_iter().filter(|pin| pin != "warnings").collect();
    client.disconnect().await.expect("goodbye");
    (Went { routes, pins }, is_ok)
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// What is said of it.
fn explained(bed: &Bed, file: &Path, sql: &str, moment: Moment) -> Went {
    let mut command = landbridge(&["explain", "--schema", "app", "--json"], file);
    command.args(moment.option).args((bed.flavor == Flavor::MariaDb).then_some("--mariadb")).args(["--", sql]);
    let output = command.output().expect("runs");
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{sql}: {}", String::from_utf8_lossy(&output.stderr)));
    let route = text(&told["route"]);
    let routes = if route == "landbridge" { Vec::new() } else { vec![(route, text(&told["reason"]))] };
    let mut pins: Vec<String> = told["pins"].as_array().expect("a list").iter().map(|pin| text(&pin["name"])).collect();
    pins.sort_unstable();
    Went { routes, pins }
}

async fn explain_says_what_sessions_do(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { extra: MORE, quiet: true, ..Plan::default() }).await;
    bed.pair.primary.sql("INSERT INTO app.t (n, s) VALUES (1, 'a')").await.expect("a row");
    bed.pair.primary.sql("CREATE TABLE app.stock AS SELECT * FROM app.t").await.expect("a table");
    bed.pair.wait_caught_up().await.expect("catches up");
    let dir = tempfile::tempdir().expect("directory");
    let file = write(dir.path(), &(proxy_toml(&bed.pair.certs.ca, [bed.ocean.addr(), bed.shore.addr()]) + MORE));
    let mut wrong = Vec::new();
    for (moment, sql) in
        [ALONE, BEGUN, READ_ONLY].iter().flat_map(|moment| STATEMENTS.iter().map(move |sql| (*moment, *sql)))
    {
        let (did, is_ok) = done(&bed, sql, moment).await;
        let said = explained(&bed, &file, sql, moment);
        if did.routes != said.routes || (is_ok && did.pins != said.pins) {
            wrong.push(format!("{sql} {}: did {did:?}, said {said:?}", moment.option.unwrap_or_default()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    bed.stop().await;
}

crate::on_both!(explain_says_what_sessions_do);
