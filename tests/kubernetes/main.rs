//! Manifests and chart for Kubernetes: what they promise each other holds.
//!
//! `scripts/check-kubernetes.sh` has Helm and the schemas of Kubernetes look at them; where it has been run, so do these
//! tests. What is checked here nobody else knows: that the files in them are files Landbridge accepts, and that there
//! is time to drain.

use landbridge::config::{self, ServerTls, Settings, Trust};
use serde_norway::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn documents(path: &str) -> Vec<Value> {
    let text = read(path);
    let document = |text: &str| serde_norway::from_str(text).unwrap_or_else(|e| panic!("{path}: {e}"));
    text.split("\n---\n").map(document).collect()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|document| document["kind"].as_str() == Some(kind)).expect(kind)
}

fn settings(text: &str, known: &BTreeSet<String>, name: &str) -> Settings {
    let variable = |wanted: &str| known.contains(wanted).then(|| "value".to_owned());
    config::parse(text, name, Path::new("/etc/landbridge"), &variable).unwrap_or_else(|faults| panic!("{faults}"))
}

fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_sequence().into_iter().flatten()
}

/// The file in a manifest is one, its variables are set, its ports are those of the container, and whoever is told to
/// end has the time for it.
#[test]
fn manifests_fit_the_file_in_them() {
    for (name, kind, containers) in
        [("sidecar", "Deployment", "initContainers"), ("daemonset", "DaemonSet", "containers")]
    {
        let documents = documents(&format!("deploy/kubernetes/{name}.yaml"));
        let pod = &of_kind(&documents, kind)["spec"]["template"]["spec"];
        let container = &pod[containers][0];
        let set = entries(&container["env"]).filter_map(|entry| entry["name"].as_str()).map(str::to_owned).collect();
        let file = of_kind(&documents, "ConfigMap")["data"]["proxy.toml"].as_str().expect("a file");
        let settings = settings(file, &set, name);
        fits(container, &settings);
        has_files(pod, container, &settings);
        has_time(pod, container, &settings);
        // A native sidecar is one that is started again.
        let is_sidecar = container["restartPolicy"].as_str() == Some("Always");
        assert_eq!(is_sidecar, containers == "initContainers");
    }
}

fn fits(container: &Value, settings: &Settings) {
    let http = settings.listen.http.expect("for probes");
    assert!(http.ip().is_unspecified(), "probes come from outside");
    let port = |name: &str| entries(&container["ports"]).find(|port| port["name"].as_str() == Some(name));
    let metrics = port("metrics").expect("a port of this name");
    assert_eq!(metrics["containerPort"].as_u64(), Some(http.port().into()));
    for (probe, path) in [("startupProbe", "/readyz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
        let get = &container[probe]["httpGet"];
        assert_eq!((get["path"].as_str(), get["port"].as_str()), (Some(path), Some("metrics")), "{probe}");
    }
    let words: Vec<&str> = entries(&container["args"]).filter_map(Value::as_str).collect();
    assert_eq!(words, ["run", "--config", "/etc/landbridge/proxy.toml"]);
    assert_eq!(container["securityContext"]["runAsNonRoot"].as_bool(), Some(true));
}

/// The authorities of the servers are where the file says, out of a volume.
fn has_files(pod: &Value, container: &Value, settings: &Settings) {
    for server in &settings.servers {
        let ServerTls::On { trust: Trust::VerifyFull { ca: Some(ca) }, .. } = &server.tls else {
            panic!("{}: no authority: {:?}", server.name, server.tls);
        };
        let directory = ca.parent().expect("a directory").to_str();
        let mount = entries(&container["volumeMounts"]).find(|mount| mount["mountPath"].as_str() == directory);
        let volume = &mount.unwrap_or_else(|| panic!("{}: nothing is mounted there", ca.display()))["name"];
        assert!(entries(&pod["volumes"]).any(|known| known["name"] == *volume), "{volume:?}");
    }
}

fn has_time(pod: &Value, container: &Value, settings: &Settings) {
    let seconds = |value: &Value| Duration::from_secs(value.as_u64().unwrap_or_default());
    let before = seconds(&container["lifecycle"]["preStop"]["sleep"]["seconds"]);
    let given = seconds(&pod["terminationGracePeriodSeconds"]);
    assert!(given > before + settings.shutdown.drain_timeout, "{given:?}");
}

/// Every value that a template uses has a default, every default is used, and the file among them is one.
#[test]
fn the_chart_uses_its_values() {
    let values: Value = serde_norway::from_str(&read("deploy/helm/landbridge/values.yaml")).expect("YAML");
    let mut used = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("deploy/helm/landbridge/templates")).expect("templates").flatten() {
        let text = std::fs::read_to_string(entry.path()).expect("a template");
        for part in text.split(".Values.").skip(1) {
            let name = part.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').next().expect("a name");
            let value = name.split('.').fold(&values, |value, key| &value[key]);
            assert!(!value.is_null(), "{}: {name} has no default", entry.path().display());
            used.insert(name.split('.').next().expect("a key").to_owned());
        }
    }
    let there = values.as_mapping().expect("values").keys().map(|key| key.as_str().expect("a key").to_owned());
    assert_eq!(there.collect::<BTreeSet<_>>(), used);
    let set = ["REGION", "APP_DB_PASSWORD", "MONITOR_DB_PASSWORD"].map(str::to_owned).into();
    let settings = settings(values["config"].as_str().expect("a file"), &set, "values.yaml");
    let given = values["terminationGracePeriodSeconds"].as_u64().expect("seconds");
    let before = values["preStopSeconds"].as_u64().expect("seconds");
    assert!(Duration::from_secs(given - before) > settings.shutdown.drain_timeout);
    let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
    let chart: Value = serde_norway::from_str(&read("deploy/helm/landbridge/Chart.yaml")).expect("YAML");
    for key in ["version", "appVersion"] {
        assert_eq!(chart[key].as_str(), manifest["package"]["version"].as_str(), "{key}");
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "whoever runs the tests should see what was left out")]
fn helm_and_kubernetes_accept_them() {
    let python: PathBuf = root().join("target/kubernetes/bin/python");
    if !python.exists() {
        eprintln!("skipped: `make kubernetes` has not been run");
        return;
    }
    let mut check = Command::new(python);
    check.current_dir(root()).arg("tests/kubernetes/check.py");
    check.args(["sidecar", "daemonset"].map(|name| format!("deploy/kubernetes/{name}.yaml")));
    let verdict = check.arg("deploy/helm/landbridge").output().expect("runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(verdict.status.success(), "{}{}", text(&verdict.stdout), text(&verdict.stderr));
}
