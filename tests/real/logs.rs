//! The log as a collector reads it: one JSON object a line.

use crate::cli::{config, landbridge, write};
use crate::support::{APP, PASSWORD};
use landbridge::lab::{Flavor, Pair, accounts};
use mysql_async::prelude::*;
use mysql_async::{Conn, OptsBuilder};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Stdio};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Ends with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Lines until one with this text in this field, that included.
fn until(log: &mut BufReader<ChildStderr>, field: &str, text: &str) -> Vec<Value> {
    let mut lines: Vec<Value> = Vec::new();
    while !lines.last().is_some_and(|line| line[field].as_str().is_some_and(|found| found.contains(text))) {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).expect("log"), 0, "the log ended: {lines:?}");
        lines.push(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")));
    }
    lines
}

/// Names and types of fields are those of docs/logs.md; literals are nowhere.
async fn lines_are_objects(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers");
    pair.primary.sql("CREATE TABLE app.t (n INT, s VARCHAR(20))").await.expect("table");
    pair.wait_caught_up().await.expect("the replica follows");
    let dir = tempfile::tempdir().expect("directory");
    let socket = dir.path().join("lb.sock");
    let text = config(&pair, &pair.certs.ca, accounts::MONITOR.password)
        .replace("\"127.0.0.1:0\"", &format!("\"unix:{}\"", socket.display()));
    let file = write(dir.path(), &format!("{text}\n[log]\nslow = \"1us\"\nformat = \"json\"\n"));
    let mut child = Running(landbridge(&["run"], &file).stderr(Stdio::piped()).spawn().expect("starts"));
    let mut log = BufReader::new(child.0.stderr.take().expect("piped"));
    let lines = until(&mut log, "message", "ready for clients");
    assert_eq!(lines.last().map(|line| &line["http"]), Some(&Value::from("off")));
    let opts = OptsBuilder::default().socket(Some(socket.to_string_lossy())).user(Some(APP)).pass(Some(PASSWORD));
    let mut client = Conn::new(opts.db_name(Some("app"))).await.expect("serves");

    client.query_drop("INSERT INTO t VALUES (1, 'a-secret'), (2, NULL)").await.expect("runs");
    let lines = until(&mut log, "digest", "INSERT");
    let slow = lines.last().expect("one");
    for (field, value) in [("level", "WARN"), ("user", APP), ("server", "primary"), ("route", "primary")] {
        assert_eq!(slow[field], value, "{field}: {slow}");
    }
    for (field, value) in [("affected", 2), ("rows", 0)] {
        assert_eq!(slow[field], value, "{field}: {slow}");
    }
    for field in ["client", "wait_ms", "server_ms", "total_ms"] {
        assert!(slow[field].is_number(), "{field}: {slow}");
    }
    assert_eq!(slow["digest"], "INSERT INTO t VALUES (?)", "{slow}");
    assert!(slow["timestamp"].is_string() && slow["target"].is_string() && slow["host"].is_string(), "{slow}");
    assert!(slow.get("traceparent").is_none() && slow.get("error_code").is_none(), "{slow}");

    // Prepared, with a trace; and refused.
    let traced = format!("SELECT n FROM t WHERE n > ? /*action='x',traceparent='{TRACE}'*/");
    let rows: Vec<u32> = client.exec(traced, (0,)).await.expect("runs");
    assert_eq!(rows.len(), 2);
    let lines = until(&mut log, "digest", "n > ?");
    let slow = lines.last().expect("one");
    assert_eq!((&slow["traceparent"], &slow["rows"]), (&Value::from(TRACE), &Value::from(2)), "{slow}");
    assert!(client.query_drop("SELECT a_secret FROM t").await.is_err());
    let lines = until(&mut log, "digest", "a_secret");
    assert_eq!(lines.last().map(|line| &line["error_code"]), Some(&Value::from(1054)));

    client.disconnect().await.expect("goodbye");
    let pid = rustix::process::Pid::from_child(&child.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
    let status = tokio::task::spawn_blocking(move || {
        for line in log.lines().map_while(Result::ok) {
            assert!(serde_json::from_str::<Value>(&line).is_ok_and(|line| line["message"].is_string()), "{line}");
            assert!(!line.contains("-secret"), "{line}");
        }
        child.0.wait().expect("ends")
    });
    assert_eq!(status.await.expect("joins").code(), Some(0));
}

crate::on_both!(lines_are_objects);
