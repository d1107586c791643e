//! The admin console: who may do what, what it shows of clients and servers, what it changes, who can speak with it.

use crate::cli::{config, landbridge, wait_for_line, write};
use crate::drivers::{is_there, program, root, run};
use crate::support::{APP, Bed, PASSWORD, Plan, one};
use landbridge::lab::{Flavor, Pair, accounts};
use mysql_async::prelude::*;
use mysql_async::{Conn, OptsBuilder, Row, Value};
use std::collections::HashMap;
use std::io::BufRead;
use std::process::Stdio;
use std::time::Duration;

const ADMIN: (&str, &str) = ("admin", "admin-secret");

async fn bed(flavor: Flavor) -> Bed {
    let extra = "[listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\ntls = \"optional\"\n\
                 [admin]\nuser = \"admin\"\npassword = \"admin-secret\"\n";
    Bed::with(flavor, Plan { extra, min_warm: 3, ..Plan::default() }).await
}

fn port(bed: &Bed) -> u16 {
    bed.app().admin.expect("the console is there").port()
}

async fn connect(port: u16, (user, password): (&str, &str)) -> mysql_async::Result<Conn> {
    let opts = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(port).prefer_socket(false);
    Conn::new(opts.user(Some(user)).pass(Some(password))).await
}

async fn console(bed: &Bed) -> Conn {
    connect(port(bed), ADMIN).await.expect("the console lets its account in")
}

/// Rows by the names of their columns, NULL being the empty text.
async fn rows(console: &mut Conn, sql: &str) -> Vec<HashMap<String, String>> {
    let rows: Vec<Row> = console.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let text = |value: Value| match value {
        Value::NULL => String::new(),
        value => String::from_value(value),
    };
    let named = |row: Row| {
        let names: Vec<String> = row.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
        names.into_iter().zip(row.unwrap().into_iter().map(text)).collect()
    };
    rows.into_iter().map(named).collect()
}

/// Waits until the console shows a row that fits.
async fn until(
    console: &mut Conn,
    sql: &str,
    fits: impl Fn(&HashMap<String, String>) -> bool,
) -> HashMap<String, String> {
    let mut last = Vec::new();
    for _ in 0..400 {
        last = rows(console, sql).await;
        if let Some(row) = last.iter().find(|row| fits(row)) {
            return row.clone();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{sql} never showed it: {last:?}");
}

fn code<T: std::fmt::Debug>(result: mysql_async::Result<T>) -> u16 {
    match result {
        Err(mysql_async::Error::Server(error)) => error.code,
        other => panic!("not a server's error: {other:?}"),
    }
}

/// Users of the file look, the account of `[admin]` acts, everybody else stays outside.
async fn who_may_do_what(flavor: Flavor) {
    let bed = bed(flavor).await;
    assert_eq!(code(connect(port(&bed), (ADMIN.0, "wrong")).await), 1045);
    assert_eq!(code(connect(port(&bed), (APP, "wrong")).await), 1045);
    assert_eq!(code(connect(port(&bed), ("nobody", "")).await), 1045);
    assert_eq!(
        code(connect(port(&bed), (accounts::ROOT.user, accounts::ROOT.password)).await),
        1045,
        "only at the servers"
    );
    assert_eq!(code(connect(bed.port(), ADMIN).await), 1045, "only at the console");
    let mut looker = connect(port(&bed), (APP, PASSWORD)).await.expect("users may look");
    assert_eq!(rows(&mut looker, "SHOW SERVERS").await.len(), 2);
    for sql in
        ["RECONNECT", "KILL 1073741824", "PAUSE", "RESUME", "RELOAD", "DRAIN", "SHUTDOWN", "SET log_level = 'debug'"]
    {
        assert_eq!(code(looker.query_drop(sql).await), 1227, "{sql}");
    }
    looker.query_drop("SET NAMES utf8mb4").await.expect("that changes nothing");
    let mut console = console(&bed).await;
    for (sql, want) in [
        ("KILL 1073741000", 1094),
        ("RECONNECT nowhere", 1105),
        ("DROP TABLE t", 1064),
        ("SELECT @@nonsense", 1193),
        ("SHOW CLIENTS WHERE colour = 'red'", 1054),
        ("SHOW POOLS; SHOW CLIENTS", 1235),
    ] {
        assert_eq!(code(console.query_drop(sql).await), want, "{sql}");
    }
    let config = rows(&mut console, "SHOW CONFIG").await;
    let shown = format!("{config:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains(ADMIN.1) && !shown.contains(accounts::MONITOR.password));
    let find = |key: &str| config.iter().find(|row| row["key"] == key).map(|row| (&*row["value"], &*row["default"]));
    assert_eq!((find("pool.min_warm"), find("pool.mode")), (Some(("3", "no")), Some(("transaction", "yes"))));
    assert_eq!(
        console.exec::<Row, _, _>("SHOW HELP", ()).await.expect("prepared").len(),
        rows(&mut console, "HELP").await.len()
    );
    drop((looker, console));
    bed.stop().await;
}

/// What a client does, what it holds and why, and that it can be ended.
async fn clients_are_shown_and_killed(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut console = console(&bed).await;
    let mut client = bed.client().await;
    let id: u32 = one(&mut client, "SELECT CONNECTION_ID()").await;
    let this = format!("SHOW CLIENTS WHERE id = '{id}'");
    let shown = until(&mut console, &this, |row| row["state"] == "idle").await;
    assert_eq!((&*shown["user"], &*shown["schema"], &*shown["host"]), (APP, "app", "127.0.0.1"));
    client.query_drop("BEGIN").await.expect("begin");
    until(&mut console, &this, |row| row["state"] == "transaction begun" && row["server"].is_empty()).await;
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("insert");
    until(&mut console, &this, |row| row["state"] == "in transaction" && row["server"] == "primary").await;
    client.query_drop("COMMIT").await.expect("commit");
    until(&mut console, &this, |row| row["state"] == "idle").await;
    one::<u8>(&mut client, "SELECT GET_LOCK('it', 0)").await;
    let shown = until(&mut console, &this, |row| row["state"] == "pinned").await;
    assert_eq!((&*shown["pins"], &*shown["server"]), ("named_lock", "primary"));
    let lists = rows(&mut console, "SHOW LISTS WHERE list = 'clients_pinned'").await;
    assert_eq!(lists[0]["items"], "1");
    one::<Option<u8>>(&mut client, "SELECT RELEASE_ALL_LOCKS()").await;
    until(&mut console, &this, |row| row["state"] == "idle" && row["pins"].is_empty()).await;

    let sleeping = tokio::spawn(async move {
        let slept = client.query_drop("DO SLEEP(600)").await;
        (client, slept)
    });
    until(&mut console, &this, |row| row["state"] == "running" && row["server"] == "primary").await;
    bed.until_sql("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'DO SLEEP%'", "1").await;
    console.query_drop(format!("KILL QUERY {id}")).await.expect("killed");
    let (mut client, _interrupted) = sleeping.await.expect("ends");
    assert_eq!(one::<u8>(&mut client, "SELECT 1").await, 1, "it lives on");
    console.query_drop(format!("KILL {id}")).await.expect("killed");
    assert!(client.query_drop("SELECT 1").await.is_err(), "it is gone");
    bed.until(|| bed.app().shared.registry.is_empty()).await;
    assert_eq!(rows(&mut console, "SHOW CLIENTS").await.len(), 0);
    drop(console);
    bed.stop().await;
}

/// Lag, and how waits ended, while the applier has stopped; what a user must see then.
async fn lag_and_tokens_are_shown(flavor: Flavor) {
    let bed = bed(flavor).await;
    let (mut console, mut client) = (console(&bed).await, bed.client().await);
    bed.pair.wait_caught_up().await.expect("caught up");
    until(&mut console, "SHOW LAG", |row| row["missing"] == "nothing").await;
    bed.pair.stop_applier().await.expect("stops");
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    assert_eq!(one::<u32>(&mut client, "SELECT n FROM t").await, 1);
    let lag =
        until(&mut console, "SHOW LAG", |row| row["missing"].starts_with("has ") && row["lag_ms"] == "stopped").await;
    assert_eq!(lag["server"], "replica");
    let token = until(&mut console, "SHOW TOKENS LIKE 'user %'", |row| row["parts"] != "0").await;
    assert_eq!(token["scope"], format!("user {APP}"));
    let shown = until(&mut console, "SHOW CLIENTS", |row| !row["token"].is_empty()).await;
    assert_eq!(shown["token"], token["token"]);
    bed.pair.start_applier().await.expect("starts");
    until(&mut console, "SHOW SERVERS WHERE server = 'replica'", |row| row["lag_ms"].parse::<u64>().is_ok()).await;
    drop((console, client));
    bed.stop().await;
}

/// Every connection is another one afterwards; transactions keep theirs to their end.
async fn connections_are_replaced(flavor: Flavor) {
    let bed = bed(flavor).await;
    let (mut console, mut client) = (console(&bed).await, bed.client().await);
    client.query_drop("BEGIN").await.expect("begin");
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("insert");
    bed.until(|| bed.app().shared.pools.all().iter().all(|pool| pool.counts().dialing + pool.counts().resetting == 0))
        .await;
    let ids = async || {
        let sql = format!("SELECT id FROM information_schema.processlist WHERE user = '{APP}' ORDER BY id");
        let rows = bed.pair.primary.sql(&sql).await.expect("administrator");
        rows.into_iter().filter_map(|row| row[0].clone()?.parse::<u64>().ok()).collect::<Vec<_>>()
    };
    let before = ids().await;
    console.query_drop("RECONNECT primary").await.expect("begins");
    assert_eq!(console.affected_rows(), before.len() as u64);
    let replaced = async |but: usize| {
        for _ in 0..400 {
            let now = ids().await;
            if now.len() >= before.len() && now.iter().filter(|id| before.contains(id)).count() == but {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{before:?} became {:?}", ids().await);
    };
    replaced(1).await;
    client.query_drop("COMMIT").await.expect("the transaction has kept its connection");
    replaced(0).await;
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 1);
    assert!(bed.metric("landbridge_dial_errors_total") < 1.0);
    drop((console, client));
    bed.stop().await;
}

/// Where statements went and why, by digest; no literal is shown.
async fn statements_are_shown_by_digest(flavor: Flavor) {
    let bed = bed(flavor).await;
    let (mut console, mut client) = (console(&bed).await, bed.client().await);
    for n in 0..5 {
        client.query_drop(format!("SELECT n FROM t WHERE s = 'secret-{n}'")).await.expect("read");
        client.exec_drop("SELECT n FROM t WHERE id = ?", (n,)).await.expect("prepared");
    }
    client.query_drop("INSERT INTO t (n, s) VALUES (1, 'secret'), (2, 'secret')").await.expect("write");
    let find = |digest: &'static str| move |row: &HashMap<String, String>| row["digest"] == digest;
    let text = until(&mut console, "SHOW ROUTES", find("SELECT n FROM t WHERE s = ?")).await;
    assert_eq!((&*text["count"], &*text["route"], &*text["reason"]), ("5", "replica", "read"));
    let prepared = until(&mut console, "SHOW ROUTES", find("SELECT n FROM t WHERE id = ?")).await;
    assert_eq!(prepared["count"], "5");
    let write = until(&mut console, "SHOW ROUTES", find("INSERT INTO t (n, s) VALUES (?)")).await;
    assert_eq!((&*write["route"], &*write["reason"]), ("primary", "insert"));
    assert!(!format!("{:?}", rows(&mut console, "SHOW ROUTES").await).contains("secret"));
    let stats = rows(&mut console, "SHOW STATS WHERE what = 'statements' AND by LIKE 'insert%'").await;
    assert_eq!(stats[0]["value"], "1");
    let pools = rows(&mut console, "SHOW POOLS WHERE state = 'warm'").await;
    assert_eq!(pools.len(), 2);
    drop((console, client));
    bed.stop().await;
}

/// The command line client, and drivers with what they send on their own.
async fn clients_of_all_kinds(flavor: Flavor) {
    let bed = bed(flavor).await;
    let port = port(&bed).to_string();
    tokio::task::spawn_blocking(move || {
        let mut cli =
            program(&["mariadb", "-h127.0.0.1", "-P", &port, "-uadmin", "--skip-ssl", "--batch", "landbridge"]);
        cli.env("MYSQL_PWD", ADMIN.1).args([
            "-e",
            "status; SHOW SERVERS; use landbridge; SHOW DATABASES; SHOW WARNINGS; SHOW VARIABLES LIKE 'version'",
        ]);
        let out = run(cli);
        for part in ["Uptime", "Landbridge admin console", "primary\t", "replica\t", "landbridge"] {
            assert!(out.contains(part), "{part} missing: {out}");
        }
        let script = root().join("tests/drivers/console.py").display().to_string();
        let latest = crate::drivers::latest("python/bin/python3").display().to_string();
        for (python, module) in [
            ("/usr/bin/python3", "pymysql"),
            ("/usr/bin/python3", "MySQLdb"),
            (&*latest, "pymysql"),
            (&*latest, "mysql.connector"),
        ] {
            if is_there(&[python, "-c", &format!("import {module}")], module) {
                let out = run(program(&[python, &script, module, &port, ADMIN.0, ADMIN.1]));
                for part in ["primary primary up 1", "replica replica up 1", "'pool.min_warm', '3', 'no'", "1064"] {
                    assert!(out.contains(part), "{module}: {part} missing: {out}");
                }
            }
        }
    })
    .await
    .expect("they get along");
    bed.stop().await;
}

/// `[log] slow`: what took long, where and why, without literals.
async fn slow_statements_are_logged(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers");
    let dir = tempfile::tempdir().expect("directory");
    let socket = dir.path().join("lb.sock");
    let text = config(&pair, &pair.certs.ca, accounts::MONITOR.password)
        .replace("\"127.0.0.1:0\"", &format!("\"unix:{}\"", socket.display()));
    let file = write(dir.path(), &format!("{text}\n[log]\nslow = \"300ms\"\n[admin]\ndigests = 0\n"));
    let mut child = landbridge(&["run"], &file).stderr(Stdio::piped()).spawn().expect("starts");
    let log = wait_for_line(&mut child, "ready for clients");
    let opts = OptsBuilder::default().socket(Some(socket.to_string_lossy())).user(Some(APP)).pass(Some(PASSWORD));
    let mut client = Conn::new(opts).await.expect("serves");
    client.query_drop("DO 'quick-secret'").await.expect("runs");
    let slow = "DO SLEEP(0.4), 'slow-secret' /*traceparent='00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'*/";
    client.query_drop(slow).await.expect("runs");
    client.disconnect().await.expect("goodbye");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
    let lines: Vec<String> = tokio::task::spawn_blocking(move || {
        let lines = log.lines().map_while(Result::ok).collect();
        child.wait().expect("ends");
        lines
    })
    .await
    .expect("joins");
    let slow: Vec<&String> = lines.iter().filter(|line| line.contains("slow statement")).collect();
    let [slow] = &slow[..] else { panic!("one is slow: {lines:?}") };
    let trace = "traceparent=\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"";
    let parts =
        ["DO SLEEP(?), ?", "route=\"primary\"", "reason=\"do\"", APP, "wait_ms=", "server_ms=4", "affected=0", trace];
    for part in parts {
        assert!(slow.contains(part), "{part} missing: {slow}");
    }
    assert!(!lines.iter().any(|line| line.contains("secret")), "{lines:?}");
}

/// Every example of docs/console.md has the columns that the console shows, and every table is in it.
async fn the_document_is_true(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut console = console(&bed).await;
    let _client = bed.client().await;
    let document = std::fs::read_to_string(root().join("docs/console.md")).expect("docs/console.md");
    let mut shown = Vec::new();
    for example in document.split("mysql> ").skip(1) {
        let (command, output) = example.split_once('\n').expect("an output");
        let output = output.split("```").next().unwrap_or_default();
        let columns: Vec<&str> = match output.lines().find(|line| line.starts_with("| ")) {
            Some(header) => header.trim_matches('|').split('|').map(str::trim).collect(),
            None => {
                let lines = output.lines().skip_while(|line| !line.starts_with('*')).skip(1);
                lines
                    .take_while(|line| !line.starts_with('*'))
                    .filter_map(|line| Some(line.split_once(": ")?.0.trim()))
                    .collect()
            }
        };
        let command = command.trim_end_matches(';').trim_end_matches("\\G");
        if !command.starts_with("SHOW") {
            continue;
        }
        let result = console.query_iter(command).await.unwrap_or_else(|error| panic!("{command}: {error}"));
        let have: Vec<String> = result.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
        assert_eq!(columns, have, "{command}");
        drop(result);
        shown.push(command.split_whitespace().take(2).collect::<Vec<_>>().join(" "));
    }
    for row in rows(&mut console, "HELP")
        .await
        .iter()
        .filter(|row| row["command"].starts_with("SHOW ") && !row["command"].contains(".."))
    {
        assert!(
            shown.contains(&row["command"]) || document.contains(&format!("`{}`", row["command"])),
            "{}",
            row["command"]
        );
    }
    for row in rows(&mut console, "HELP").await {
        let verb = row["command"].split(' ').next().expect("a word").to_owned();
        assert!(document.contains(&format!("`{verb}")), "{verb} is not in the document");
    }
    drop(console);
    bed.stop().await;
}

/// Statements wait while an operator has paused, and go on afterwards.
async fn statements_wait_at_the_gate(flavor: Flavor) {
    let bed = bed(flavor).await;
    let (mut console, mut client) = (console(&bed).await, bed.client().await);
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    bed.settled_but(1).await;
    assert_eq!(code(console.query_drop("PAUSE primary").await), 1105);
    console.query_drop("PAUSE").await.expect("paused");
    assert_eq!(console.affected_rows(), 0, "nothing is under way");
    let waiting = tokio::spawn(async move {
        client.query_drop("INSERT INTO t (n) VALUES (2)").await.expect("it has only waited");
        client
    });
    until(&mut console, "SHOW LISTS", |row| row["list"] == "clients_at_the_gate" && row["items"] == "1").await;
    console.query_drop("RESUME").await.expect("goes on");
    assert_eq!(console.affected_rows(), 1);
    let mut client = waiting.await.expect("ends");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 2);
    drop((console, client));
    bed.stop().await;
}

/// However many look, there is a place for who acts.
async fn nobody_locks_the_operator_out(flavor: Flavor) {
    let bed = bed(flavor).await;
    let mut looking = Vec::new();
    for _ in 0..64 {
        looking.push(connect(port(&bed), (APP, PASSWORD)).await.expect("users may look"));
    }
    assert_eq!(code(connect(port(&bed), (APP, PASSWORD)).await), 1040, "one too many");
    let mut operator = console(&bed).await;
    assert_eq!(rows(&mut operator, "SHOW SERVERS").await.len(), 2);
    looking.pop().expect("the last").disconnect().await.expect("goodbye");
    let place = async {
        while connect(port(&bed), (APP, PASSWORD)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), place).await.expect("its place is free again");
    bed.stop().await;
}

crate::on_both!(
    nobody_locks_the_operator_out,
    statements_wait_at_the_gate,
    who_may_do_what,
    clients_are_shown_and_killed,
    lag_and_tokens_are_shown,
    connections_are_replaced,
    statements_are_shown_by_digest,
    clients_of_all_kinds,
    slow_statements_are_logged,
    the_document_is_true,
);
