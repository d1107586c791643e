//! What is said of metrics is true: the document, the alert rules and the dashboard name those that exist.

use landbridge::metrics::{Entry, Kind, Metrics};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

fn metrics() -> Metrics {
    Metrics::new("f00").expect("no name is used twice")
}

/// Whether a word of a document or a query is a metric, or a part of a histogram.
fn exists(entries: &[Entry], word: &str) -> bool {
    entries.iter().any(|entry| match word.strip_prefix(&entry.name) {
        Some("") => true,
        Some("_bucket" | "_sum" | "_count") => entry.kind == Kind::Histogram,
        _ => false,
    })
}

/// Words of a text that look like metrics.
fn named(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c));
    words.filter(|word| word.starts_with("landbridge_") || word.starts_with("process_")).collect()
}

/// The words in backticks of a cell of a table.
fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_document_has_all_metrics_and_no_others() {
    let (metrics, document) = (metrics(), read("docs/metrics.md"));
    for entry in metrics.entries() {
        let start = format!("| `{}` |", entry.name);
        let rows: Vec<&str> = document.lines().filter(|line| line.starts_with(&start)).collect();
        let [row] = rows[..] else { panic!("{} has {} rows in docs/metrics.md", entry.name, rows.len()) };
        let cells: Vec<&str> = row.split(" | ").map(str::trim).collect();
        let kind = format!("{:?}", entry.kind).to_lowercase();
        assert_eq!(cells[1], kind, "the type of {}", entry.name);
        // An empty cell is `| |`, which is not split.
        let labels = if entry.labels.is_empty() { BTreeSet::new() } else { quoted(cells[2]) };
        assert_eq!(labels, entry.labels.iter().cloned().collect(), "the labels of {}", entry.name);
        assert!(entry.labels.is_empty() == row.contains(&format!("| {kind} | |")), "{row}");
    }
    for word in named(&document) {
        assert!(exists(metrics.entries(), word), "docs/metrics.md names {word}");
    }
}

/// `tests/reference` sees to it that all of them are there.
#[test]
fn the_document_leads_to_the_reasons_and_pins() {
    let document = read("docs/metrics.md");
    for (title, place) in [("Reasons", "#reads"), ("Pins", "#what-keeps-a-session-on-its-connection")] {
        let (_, chapter) = document.split_once(&format!("\n## {title}\n")).expect("the chapter");
        let chapter = chapter.split("\n## ").next().expect("a chapter");
        assert!(chapter.contains(&format!("(routing.md{place})")), "{title}");
    }
}

#[test]
fn other_documents_name_metrics_that_exist() {
    let metrics = metrics();
    // Names of something else that begin alike.
    let others = ["landbridge_token", "landbridge_key", "landbridge_version", "landbridge_guard"];
    let mut documents: Vec<PathBuf> = ["README.md", "CHANGELOG.md"].map(|path| root().join(path)).into();
    documents.extend(fs::read_dir(root().join("docs")).expect("readable").flatten().map(|entry| entry.path()));
    for path in documents.iter().filter(|path| path.extension().is_some_and(|ext| ext == "md")) {
        let text = fs::read_to_string(path).expect("readable");
        for word in named(&text).into_iter().filter(|word| word.starts_with("landbridge_") && !others.contains(word)) {
            assert!(exists(metrics.entries(), word), "{} names {word}", path.display());
        }
    }
}

/// The names of the rules.
fn alerts(rules: &str) -> Vec<&str> {
    rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect()
}

#[test]
fn every_alert_is_explained_and_tested_and_asks_for_metrics_that_exist() {
    let (metrics, document) = (metrics(), read("docs/metrics.md"));
    let (rules, tests) = (read("deploy/prometheus/alerts.yml"), read("deploy/prometheus/alerts_test.yml"));
    let alerts = alerts(&rules);
    assert!(alerts.len() > 20);
    for alert in &alerts {
        let explained = document.lines().filter(|line| *line == format!("### {alert}")).count();
        assert_eq!(explained, 1, "{alert} in docs/metrics.md");
        assert!(rules.contains(&format!("docs: docs/metrics.md#{}\n", alert.to_lowercase())), "{alert} has no link");
        assert!(tests.contains(&format!("- name: {alert}\n")), "{alert} has no test");
    }
    let (_, chapter) = document.split_once("\n## Alerts").expect("the chapter");
    for heading in chapter.lines().filter_map(|line| line.strip_prefix("### ")) {
        assert!(alerts.contains(&heading), "there is no alert {heading}");
    }
    for word in named(&rules).into_iter().chain(named(&tests)) {
        assert!(exists(metrics.entries(), word), "alerts name {word}");
    }
}

/// Prometheus's own judge of rules, which comes with it.
#[test]
#[expect(clippy::print_stderr, reason = "whoever runs the tests should see what was left out")]
fn the_alerts_fire_when_they_should() {
    let directory = root().join("deploy/prometheus");
    let run = |arguments: &[&str]| Command::new("promtool").args(arguments).current_dir(&directory).output();
    let Ok(verdict) = run(&["test", "rules", "alerts_test.yml"]) else {
        assert!(std::env::var_os("CI").is_none(), "promtool is missing, which scripts/setup.sh installs");
        eprintln!("skipped: prometheus is missing; `make setup` installs it");
        return;
    };
    let said = |verdict: &std::process::Output| {
        String::from_utf8_lossy(&[&verdict.stdout[..], &verdict.stderr[..]].concat()).into_owned()
    };
    assert!(verdict.status.success(), "{}", said(&verdict));
    let config = run(&["check", "config", "prometheus.yml"]).expect("it was there");
    assert!(config.status.success(), "{}", said(&config));
}

fn dashboard() -> Value {
    serde_json::from_str(&read("deploy/grafana/dashboards/landbridge.json")).expect("JSON")
}

/// Panels, those of folded rows behind their row.
fn panels(of: &Value) -> Vec<&Value> {
    let panels = of["panels"].as_array().into_iter().flatten();
    panels.flat_map(|panel| std::iter::once(panel).chain(panels_below(panel))).collect()
}

fn panels_below(row: &Value) -> Vec<&Value> {
    row["panels"].as_array().into_iter().flatten().collect()
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let (metrics, dashboard) = (metrics(), dashboard());
    let panels = panels(&dashboard);
    let mut ids = BTreeSet::new();
    for panel in &panels {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{panel} has the id of another one");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().expect("a query");
            assert!(!named(query).is_empty(), "{query}");
            for word in named(query) {
                assert!(exists(metrics.entries(), word), "{} asks for {word}", panel["title"]);
            }
            assert!(query.contains("$instance"), "{query} is not of the instances that were chosen");
        }
    }
    let asked: String = panels.iter().map(|panel| panel["targets"].to_string()).collect();
    let about = |entry: &&Entry| !asked.contains(&entry.name) && entry.name.starts_with("landbridge_");
    let left_out: Vec<_> = metrics.entries().iter().filter(about).map(|entry| entry.name.as_str()).collect();
    let on_purpose =
        ["landbridge_build_info", "landbridge_certificate_changes_total", "landbridge_config_reloads_total"];
    assert_eq!(left_out, on_purpose, "what the dashboard shows nowhere");
}

/// What is above the first row that is folded is the story: it fits a screen, and nothing covers anything.
#[test]
fn the_story_is_on_one_screen() {
    let dashboard = dashboard();
    let place = |panel: &Value| ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().expect("a place"));
    let panels = dashboard["panels"].as_array().expect("panels");
    let story: Vec<_> = panels.iter().take_while(|panel| panel["type"] != "row").map(place).collect();
    assert!(story.len() > 8);
    for (n, [x, y, w, h]) in story.iter().enumerate() {
        assert!(x + w <= 24 && y + h <= 20, "panel {n} is beyond the screen");
        for [other_x, other_y, other_w, other_h] in &story[..n] {
            let apart = x + w <= *other_x || other_x + other_w <= *x || y + h <= *other_y || other_y + other_h <= *y;
            assert!(apart, "panel {n} covers another one");
        }
    }
    assert!(panels[story.len()..].iter().all(|row| row["type"] == "row" && row["collapsed"] == true));
}

/// Grafana finds Prometheus and the dashboard where the composition puts them.
#[test]
fn grafana_is_provisioned() {
    let source = read("deploy/grafana/provisioning/datasources/prometheus.yml");
    let provider = read("deploy/grafana/provisioning/dashboards/landbridge.yml");
    for (text, line) in [
        (&source, "type: prometheus"),
        (&source, "url: http://prometheus:9090"),
        (&provider, "path: /var/lib/grafana/dashboards"),
    ] {
        assert!(text.lines().any(|l| l.trim() == line), "{line}");
    }
    let interval = |text: &str, key: &str| {
        text.lines().find_map(|line| line.trim().strip_prefix(key).map(str::to_owned)).expect("an interval")
    };
    // Rates over less than that are empty.
    let collected = read("deploy/prometheus/prometheus.yml");
    assert_eq!(interval(&source, "timeInterval: "), interval(&collected, "scrape_interval: "));
}
