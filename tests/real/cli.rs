//! The program itself: exit codes, `check`, `run`, SIGTERM. `explain` needs no servers: tests/explain.rs, and explained.rs holds it to sessions.

use crate::support::{APP, PASSWORD};
use landbridge::lab::{Flavor, Pair, PairOptions, accounts};
use mysql_async::prelude::*;
use mysql_async::{Conn, OptsBuilder};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

pub(crate) fn landbridge(args: &[&str], file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landbridge"));
    command.arg("--config").arg(file).args(args).env("APP_PW", PASSWORD).env_remove("LANDBRIDGE_LOG");
    command
}

fn finish(args: &[&str], file: &Path) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = landbridge(args, file).output().expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

pub(crate) fn write(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("proxy.toml");
    std::fs::write(&path, text).expect("written");
    path
}

pub(crate) fn config(pair: &Pair, ca: &Path, monitor_password: &str) -> String {
    let (primary, replica, ca) = (pair.primary.addr(), pair.replica.addr(), ca.display());
    format!(
        r#"
[listen]
mysql = "127.0.0.1:0"
admin = ""
http = ""
[[server]]
name = "primary"
address = "{primary}"
role = "primary"
tls = {{ mode = "verify-full", ca = "{ca}" }}
[[server]]
name = "replica"
address = "{replica}"
role = "replica"
tls = {{ mode = "verify-full", ca = "{ca}" }}
[[user]]
name = "{APP}"
password = "${{APP_PW}}"
[monitor]
user = "{}"
password = "{monitor_password}"
"#,
        accounts::MONITOR.user
    )
}

#[test]
fn a_bad_file_tells_all_its_faults_and_exits_2() {
    let dir = tempfile::tempdir().expect("directory");
    let file = write(
        dir.path(),
        "region = 3\n[pool]\nmin_warm = 9\nmax = 4\nmaxx = 1\n[[server]]\nname = \"a\"\naddress = \"h:1\"\nrole = \"boss\"\n\
         [[user]]\nname = \"u\"\npassword = \"${NOT_SET_ANYWHERE}\"\n",
    );
    for command in [&["run"][..], &["check"], &[]] {
        let (code, _, faults) = finish(command, &file);
        assert_eq!(code, Some(2), "{faults}");
        for (line, word) in [(1, "region"), (3, "min_warm"), (5, "maxx"), (9, "role"), (12, "NOT_SET_ANYWHERE")] {
            let place = format!("proxy.toml:{line}:");
            assert!(faults.lines().any(|l| l.contains(&place) && l.contains(word)), "line {line}, {word}:\n{faults}");
        }
    }
    let (code, _, error) = finish(&["check"], &dir.path().join("absent.toml"));
    assert!(code == Some(2) && error.contains("absent.toml"), "{error}");
    assert_eq!(finish(&["nonsense"], &file).0, Some(2));
}

async fn check_says_what_is_there_and_what_is_missing(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers");
    let dir = tempfile::tempdir().expect("directory");
    let file = write(dir.path(), &config(&pair, &pair.certs.ca, accounts::MONITOR.password));
    let (code, text, error) = finish(&["check"], &file);
    assert_eq!(code, Some(0), "{text}{error}");
    let version = pair.primary.version().split('-').next().expect("a number");
    for part in ["TLSv1_3", "pipelining", "receiving Yes, applying Yes", "Everything is in order", version] {
        assert!(text.contains(part), "{part} missing:\n{text}");
    }
    // Another authority, another password: what is wrong, with which server, and what to do.
    let other = landbridge::lab::CertFiles::generate(dir.path(), &[]).expect("certificates");
    let file = write(dir.path(), &config(&pair, &other.ca, accounts::MONITOR.password));
    let (code, text, _) = finish(&["check"], &file);
    assert!(code == Some(1) && text.contains("tls.ca"), "{text}");
    let file = write(dir.path(), &config(&pair, &pair.certs.ca, "wrong"));
    let (code, text, _) = finish(&["check"], &file);
    assert!(code == Some(1) && text.contains("Access denied"), "{text}");
    assert!(!text.contains("wrong") && !text.contains(PASSWORD), "no password is shown: {text}");
}

/// The same for a program; and what differs between the servers, with what to type.
async fn check_compares_servers_and_tells_programs(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers");
    let dir = tempfile::tempdir().expect("directory");
    let file = write(dir.path(), &config(&pair, &pair.certs.ca, accounts::MONITOR.password));
    let (code, text, error) = finish(&["check", "--json"], &file);
    let told: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{error}"));
    assert_eq!((code, &told["ok"]), (Some(0), &true.into()), "{text}");
    let [primary, replica] = [&told["servers"][0], &told["servers"][1]];
    assert_eq!((&primary["read_only"], &replica["read_only"]), (&false.into(), &true.into()), "{text}");
    assert_eq!((&replica["replication"]["applying"], &replica["gtids"]), (&true.into(), &true.into()), "{text}");
    assert!(replica["certificate_ends"].is_string() && replica["rtt_ms"].is_number(), "{text}");
    assert_eq!(primary["users"][0]["error"], serde_json::Value::Null, "{text}");

    pair.replica.sql("SET GLOBAL wait_timeout = 20").await.expect("set");
    pair.replica.sql("SET GLOBAL time_zone = '+03:00', GLOBAL max_allowed_packet = 1048576").await.expect("set");
    pair.replica.sql("SET GLOBAL sql_mode = 'ANSI_QUOTES'").await.expect("set");
    pair.stop_applier().await.expect("stops");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let text = config(&pair, &pair.certs.ca, accounts::MONITOR.password).replace("127.0.0.1:0", &address);
    let (code, text, _) = finish(&["check"], &write(dir.path(), &text));
    assert_eq!(code, Some(1), "{text}");
    for part in [
        "wait_timeout",
        "max_allowed_packet is \"1048576\" here",
        "SET GLOBAL max_allowed_packet = ",
        "sql_mode is \"ANSI_QUOTES\" here",
        "replication does not run",
        &format!("listens on {address} now"),
        "2 things are not in order",
    ] {
        assert!(text.contains(part), "{part} missing:\n{text}");
    }
    assert!(!text.contains('\x1b'), "colours are for terminals: {text:?}");
    drop(taken);
}

/// A server without TLS is an error, never a plaintext connection.
async fn no_tls_no_connection(flavor: Flavor) {
    let off = match flavor {
        Flavor::MySql => "--tls-version=",
        Flavor::MariaDb => "--skip-ssl",
    };
    let servers = PairOptions { replica_args: vec![off.into()], ..Default::default() };
    let pair = Pair::start_with(flavor, servers).await.expect("servers");
    let dir = tempfile::tempdir().expect("directory");
    let file = write(dir.path(), &config(&pair, &pair.certs.ca, accounts::MONITOR.password));
    let (code, text, _) = finish(&["check"], &file);
    assert!(code == Some(1) && text.contains("does not offer TLS"), "{text}");
}

/// `run` says where it listens, serves, and ends at SIGTERM after the open transaction has ended.
async fn run_serves_and_drains(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers");
    pair.primary.sql("CREATE TABLE app.t (n INT)").await.expect("table");
    let dir = tempfile::tempdir().expect("directory");
    let socket = dir.path().join("lb.sock");
    let text = config(&pair, &pair.certs.ca, accounts::MONITOR.password)
        .replace("\"127.0.0.1:0\"", &format!("\"unix:{}\"", socket.display()));
    let mut child = landbridge(&["run"], &write(dir.path(), &text)).stderr(Stdio::piped()).spawn().expect("starts");
    let mut log = wait_for_line(&mut child, "ready for clients");
    let opts = OptsBuilder::default().socket(Some(socket.to_string_lossy())).user(Some(APP)).pass(Some(PASSWORD));
    let mut client = Conn::new(opts.db_name(Some("app"))).await.expect("serves");
    client.query_drop("BEGIN").await.expect("begin");
    client.query_drop("INSERT INTO t VALUES (1)").await.expect("insert");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
    let mut line = String::new();
    while !line.contains("draining") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("log"), 0, "the log ended");
    }
    client.query_drop("COMMIT").await.expect("what was begun may end");
    let status = tokio::task::spawn_blocking(move || child.wait()).await.expect("joins").expect("ends");
    assert_eq!(status.code(), Some(0));
    let mut rest = String::new();
    log.read_to_string(&mut rest).expect("log");
    assert!(!rest.contains("panicked") && !rest.contains(PASSWORD), "{rest}");
    let rows = pair.primary.sql("SELECT COUNT(*) FROM app.t").await.expect("count");
    assert_eq!(rows[0], [Some("1".to_owned())]);
}

/// SIGHUP has the file read again: a bad one is refused whole, with all its faults; a good one is applied, and what
/// has to wait for a restart is named.
async fn a_hangup_reads_the_file_again(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers");
    pair.primary.sql("CREATE TABLE app.t (n INT)").await.expect("table");
    let dir = tempfile::tempdir().expect("directory");
    let socket = dir.path().join("lb.sock");
    let text = config(&pair, &pair.certs.ca, accounts::MONITOR.password)
        .replace("\"127.0.0.1:0\"", &format!("\"unix:{}\"", socket.display()));
    let mut child = landbridge(&["run"], &write(dir.path(), &text)).stderr(Stdio::piped()).spawn().expect("starts");
    let mut log = wait_for_line(&mut child, "ready for clients");
    let pid = rustix::process::Pid::from_child(&child);
    let hang_up = || rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("signalled");
    let opts = || {
        let opts = OptsBuilder::default().socket(Some(socket.to_string_lossy())).user(Some(APP)).pass(Some(PASSWORD));
        opts.db_name(Some("app"))
    };
    let mut client = Conn::new(opts()).await.expect("serves");
    client.query_drop("BEGIN").await.expect("begin");
    client.query_drop("INSERT INTO t VALUES (1)").await.expect("insert");

    write(dir.path(), &format!("{text}\n[pool]\nmin_warm = 9\nmax = 4\n[limits]\nmax_clientz = 1\n"));
    hang_up();
    let told = lines_until(&mut log, "stays as it was");
    for part in ["min_warm", "max_clientz", "proxy.toml:", "max_clients"] {
        assert!(told.contains(part), "{part} missing: {told}");
    }
    let other = text.replace("admin = \"\"", "admin = \"127.0.0.1:0\"");
    write(dir.path(), &format!("{other}\n[limits]\nmax_clients = 2\n[log]\nlevel = \"debug\"\n"));
    hang_up();
    let told = lines_until(&mut log, "configuration read again");
    assert!(told.contains("needs a restart") && told.contains("[listen] admin"), "{told}");
    assert!(told.contains("[limits] changed") && told.contains("[log] changed"), "{told}");
    client.query_drop("COMMIT").await.expect("who was there goes on");
    let second = Conn::new(opts()).await.expect("the second");
    assert!(Conn::new(opts()).await.is_err(), "two are enough now");
    second.disconnect().await.expect("goodbye");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
    // Who holds nothing is told to go, which only the debug level shows.
    let mut rest = String::new();
    log.read_to_string(&mut rest).expect("log");
    let all = told + &rest;
    assert!(all.contains("DEBUG") && !all.contains("panicked") && !all.contains(PASSWORD), "{all}");
    assert_eq!(child.wait().expect("ends").code(), Some(0));
}

/// What is logged until a line with this part, that included.
fn lines_until(log: &mut BufReader<std::process::ChildStderr>, part: &str) -> String {
    let mut all = String::new();
    loop {
        let before = all.len();
        assert_ne!(log.read_line(&mut all).expect("log"), 0, "ended: {all}");
        if all.get(before..).is_some_and(|line| line.contains(part)) {
            return all;
        }
    }
}

pub(crate) fn wait_for_line(child: &mut Child, part: &str) -> BufReader<std::process::ChildStderr> {
    let mut log = BufReader::new(child.stderr.take().expect("piped"));
    let mut all = String::new();
    loop {
        let before = all.len();
        assert_ne!(log.read_line(&mut all).expect("log"), 0, "ended: {all}");
        if all.get(before..).is_some_and(|line| line.contains(part)) {
            return log;
        }
    }
}

crate::on_both!(
    check_says_what_is_there_and_what_is_missing,
    check_compares_servers_and_tells_programs,
    no_tls_no_connection,
    run_serves_and_drains,
    a_hangup_reads_the_file_again
);
