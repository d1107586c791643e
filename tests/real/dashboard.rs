//! The dashboard has something to show: every query of every panel is put to a real Prometheus that collects from a
//! Landbridge at work, with the configuration and the alert rules that ship.

use crate::drivers::is_there;
use crate::support::{Bed, Plan, one};
use landbridge::lab::{Flavor, ReservedPort};
use mysql_async::prelude::*;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// How long Prometheus may take to see everything. It looks every second, and two looks make a rate.
const LIMIT: Duration = Duration::from_secs(40);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What Grafana puts in the place of its variables.
const VARIABLES: [(&str, &str); 5] =
    [("$__rate_interval", "8s"), ("$__interval", "1s"), ("$__range", "1m"), ("$instance", ".*"), ("$server", ".*")];

fn shipped(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)).expect(path)
}

/// A Prometheus of the test's own.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _port: ReservedPort,
    directory: TempDir,
}

impl Prometheus {
    /// Collects from there, by the files that ship.
    async fn start(from: SocketAddr) -> Self {
        let mut prometheus = Self::spawn(from);
        prometheus.until_ready().await;
        prometheus
    }

    fn spawn(from: SocketAddr) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = shipped("prometheus/prometheus.yml");
        let replace = |text: String, (what, by): (&str, &str)| {
            assert!(text.contains(what), "prometheus.yml has {what}");
            text.replace(what, by)
        };
        let ours = [
            ("landbridge:9306", &*from.to_string()),
            ("scrape_interval: 5s", "scrape_interval: 1s"),
            ("evaluation_interval: 15s", "evaluation_interval: 1s"),
        ];
        let config = ours.into_iter().fold(config, replace);
        fs::write(directory.path().join("prometheus.yml"), config).expect("written");
        fs::write(directory.path().join("alerts.yml"), shipped("prometheus/alerts.yml")).expect("written");
        let log = fs::File::create(directory.path().join("log")).expect("a file");
        let port = ReservedPort::reserve().expect("a port");
        let address = SocketAddr::from(([127, 0, 0, 1], port.number()));
        let child = Command::new("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"])
            .arg(format!("--web.listen-address={address}"))
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus starts");
        Self { child, address, _port: port, directory }
    }

    async fn until_ready(&mut self) {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            if self.child.try_wait().expect("a child").is_some() {
                let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
                panic!("Prometheus has ended:\n{log}");
            }
            if matches!(self.get("/-/ready").await, Some((200, _))) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("Prometheus is not ready within {LIMIT:?}");
    }

    async fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.address).await.ok()?;
        // HTTP/1.0: the answer comes in one piece.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    async fn api(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await.expect("Prometheus answers");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// The series that answer a query.
    async fn query(&self, query: &str) -> Vec<Value> {
        let answer = self.api(&format!("/api/v1/query?query={}", encoded(query))).await;
        answer["data"]["result"].as_array().expect("series").clone()
    }

    /// Whether a query is answered with a number.
    async fn has_data(&self, query: &str) -> bool {
        let series = self.query(query).await;
        let number = |series: &Value| series["value"][1].as_str().and_then(|value| value.parse::<f64>().ok());
        series.iter().any(|series| number(series).is_some_and(f64::is_finite))
    }
}

/// For the query of a URL.
fn encoded(text: &str) -> String {
    text.bytes().flat_map(|byte| ['%', hex(byte >> 4), hex(byte & 15)]).collect()
}

fn hex(digit: u8) -> char {
    char::from_digit(digit.into(), 16).expect("one digit")
}

fn substituted(query: &str) -> String {
    let query = VARIABLES.iter().fold(query.to_owned(), |query, (name, value)| query.replace(name, value));
    assert!(!query.contains('$'), "a variable without a value: {query}");
    query
}

/// Panels with their queries, those of folded rows included.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().into_iter().flatten() {
        found.extend(queries(panel));
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            found.push((text(&panel["title"]), substituted(&text(&target["expr"]))));
        }
    }
    found
}

/// `label_values(metric, label)` of a variable, as a query and a label.
fn of_variable(definition: &str) -> (String, String) {
    let inside = definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).expect(definition);
    let (metric, label) = inside.rsplit_once(", ").expect(definition);
    (substituted(metric), label.to_owned())
}

/// Clients of all kinds, again and again.
async fn work(bed: &Bed) -> ! {
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (id, n) VALUES (1, 0)").await.expect("a row");
    let mut pinned = bed.client().await;
    let locked: Option<i64> = one(&mut pinned, "SELECT GET_LOCK('dashboard', 5)").await;
    assert_eq!(locked, Some(1));
    // More at a time than are warm.
    let mut busy = Vec::new();
    for _ in 0..6 {
        let mut conn = bed.client().await;
        conn.query_drop("BEGIN").await.expect("a transaction");
        conn.query_drop("INSERT INTO t (n) VALUES (0)").await.expect("a write");
        busy.push(conn);
    }
    loop {
        // Whoever reads at once must wait for the replica.
        client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("a write");
        let count: u64 = one(&mut client, "SELECT COUNT(*) FROM t").await;
        assert!(count > 0);
        let hinted: u64 = one(&mut client, "/* landbridge: primary */ SELECT COUNT(*) FROM t").await;
        assert!(hinted > 0);
        client.exec_drop("SELECT n FROM t WHERE id = ?", (1,)).await.expect("a prepared read");
        client.query_drop("SET SESSION sort_buffer_size = 300000").await.expect("a variable");
        client.query_drop("BEGIN; UPDATE t SET n = 2 WHERE id = 1; COMMIT").await.expect("a transaction");
        client.ping().await.expect("a ping");
        client.query_drop("SELECT * FROM missing").await.expect_err("no such table");
        client.query_drop("SELECT SQL_CALC_FOUND_ROWS n FROM t LIMIT 1").await.expect("a brief pin");
        drop(bed.client().await);
    }
}

async fn every_panel_has_data(flavor: Flavor) {
    if !is_there(&["prometheus", "--version"], "prometheus") {
        return;
    }
    let extra = "[listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"\"\nhttp = \"127.0.0.1:0\"\ntls = \"optional\"";
    let bed = Bed::with(flavor, Plan { min_warm: 2, extra, ..Plan::default() }).await;
    let prometheus = Prometheus::start(bed.app().http.expect("metrics")).await;
    let judged = async {
        let dashboard: Value = serde_json::from_str(&shipped("grafana/dashboards/landbridge.json")).expect("JSON");
        let mut empty = queries(&dashboard);
        assert!(empty.len() > 50);
        let deadline = Instant::now() + LIMIT;
        while !empty.is_empty() {
            assert!(Instant::now() < deadline, "no data within {LIMIT:?}: {empty:#?}");
            let mut still = Vec::new();
            for (panel, query) in empty {
                if !prometheus.has_data(&query).await {
                    still.push((panel, query));
                }
            }
            empty = still;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        variables_have_values(&prometheus, &dashboard).await;
        rules_can_be_evaluated(&prometheus).await;
    };
    // What is counted before Prometheus has looked once is in no rate.
    while !prometheus.has_data("landbridge_ready").await {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    tokio::select! {
        biased;
        () = judged => {}
        never = work(&bed) => never,
    }
    bed.stop().await;
}

/// What people choose from, and what is marked on all panels.
async fn variables_have_values(prometheus: &Prometheus, dashboard: &Value) {
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    for variable in variables.iter().filter(|variable| variable["type"] == "query") {
        let (query, label) = of_variable(variable["query"]["query"].as_str().expect("a query"));
        let series = prometheus.query(&query).await;
        assert!(series.iter().any(|series| series["metric"][&label].is_string()), "{variable}");
    }
    for annotation in dashboard["annotations"]["list"].as_array().into_iter().flatten() {
        // Nothing has restarted: the query need only be understood.
        prometheus.query(&substituted(annotation["expr"].as_str().expect("a query"))).await;
    }
}

/// All rules were evaluated without fault, and none of them complains about a Landbridge that is well.
async fn rules_can_be_evaluated(prometheus: &Prometheus) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let answer = prometheus.api("/api/v1/rules").await;
        let groups = answer["data"]["groups"].as_array().expect("groups");
        let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().expect("rules")).collect();
        assert!(rules.len() > 20 && rules.iter().all(|rule| rule["health"] != "err"), "{rules:#?}");
        if rules.iter().all(|rule| rule["health"] == "ok") {
            let firing: Vec<_> = rules.iter().filter(|rule| rule["state"] == "firing").collect();
            assert!(firing.is_empty(), "{firing:#?}");
            return;
        }
        assert!(Instant::now() < deadline, "not evaluated within {LIMIT:?}: {rules:#?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

crate::on_both!(every_panel_has_data);
