//! Files people copy are files that work. (`proxy.toml` has tests of its own beside the parser.)

use landbridge::config::{self, Settings};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

fn settings(text: &str, name: &str) -> Settings {
    let any = |_: &str| Some("value-from-the-environment".to_owned());
    config::parse(text, name, Path::new("/etc/landbridge"), &any).unwrap_or_else(|faults| panic!("{faults}"))
}

/// The first block of this language in a document.
fn block<'t>(document: &'t str, language: &str) -> &'t str {
    let (_, rest) = document.split_once(&format!("```{language}\n")).expect("the block begins");
    rest.split_once("```").expect("the block ends").0
}

#[test]
fn the_file_of_the_composition() {
    let settings = settings(&read("deploy/compose/proxy.toml"), "deploy/compose/proxy.toml");
    assert_eq!(settings.servers.len(), 2);
    assert!(settings.listen.http.is_some(), "Prometheus and the health check ask there");
}

#[test]
fn the_file_of_all_regions() {
    let text = read("deploy/one-file-for-all-regions/proxy.toml");
    let near = |region: &str| {
        let set = |name: &str| match name {
            "REGION" => Some(region.to_owned()),
            "APP_DB_PASSWORD" | "MONITOR_DB_PASSWORD" => Some("secret".to_owned()),
            _ => None,
        };
        let settings =
            config::parse(&text, "proxy.toml", Path::new("/"), &set).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(settings.warnings, []);
        settings.servers.iter().filter(|server| server.region == settings.region).count()
    };
    assert_eq!(["us-west", "eu-west", "ap-south"].map(near), [2, 1, 1]);
    let unset = config::parse(&text, "proxy.toml", Path::new("/"), &|_| None).expect_err("nothing is set");
    let faults = unset.to_string();
    assert!(["REGION", "APP_DB_PASSWORD"].iter().all(|name| faults.contains(name)), "{faults}");
}

#[test]
fn the_file_of_the_readme() {
    let readme = read("README.md");
    let text = block(&readme, "toml");
    assert!(text.lines().count() <= 25, "small enough to read at a glance");
    let settings = settings(text, "README.md");
    assert_eq!(settings.warnings, []);
}

/// Lines of a file that say something: without those that are empty, or a comment.
fn telling(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// The README, the beginning of `proxy.toml`, and what is told to those who have no file.
#[test]
fn the_smallest_file_is_the_same_everywhere() {
    let readme = read("README.md");
    let smallest = telling(block(&readme, "toml"));
    let shipped = read("proxy.toml");
    let (beginning, _) = shipped.split_once("\n# Everything below is optional.").expect("the rest");
    assert_eq!(telling(beginning), smallest, "proxy.toml");
    let nowhere = tempfile::tempdir().expect("directory");
    let mut check = Command::new(env!("CARGO_BIN_EXE_landbridge"));
    let told = check.arg("check").current_dir(nowhere.path()).env_remove("LANDBRIDGE_CONFIG").output().expect("runs");
    assert_eq!(told.status.code(), Some(2));
    let told = String::from_utf8(told.stderr).expect("text");
    let told: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(told, smallest, "src/cli/mod.rs");
}

/// What the README has instead of the sample's TLS, put into the sample.
#[test]
fn the_tls_of_the_readme() {
    let readme = read("README.md");
    let sample = block(&readme, "toml");
    let own = sample.lines().find(|line| line.starts_with("tls = ")).expect("tls");
    let others: Vec<&str> = readme.split('`').filter(|code| code.starts_with("tls = {")).collect();
    for mode in ["verify-ca", "pin"] {
        assert!(others.iter().any(|tls| tls.contains(&format!("mode = \"{mode}\""))), "{mode}: {others:?}");
    }
    for tls in others {
        let tls = tls.replace("sha256:..", &format!("sha256:{}", "0f".repeat(32)));
        let settings = settings(&sample.replace(own, &tls), "README.md");
        assert_eq!(settings.warnings, [], "{tls}");
    }
}

/// The units, with a program that is there on this machine.
#[test]
fn the_units_of_systemd() {
    let directory = tempfile::tempdir().expect("directory");
    for unit in ["landbridge.service", "landbridge.socket"] {
        let text = read(&format!("deploy/systemd/{unit}"));
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '['])) {
            assert!(line.split_once('=').is_some_and(|(key, _)| !key.contains(' ')), "{unit}: {line}");
        }
        let text = text.replace("ExecStart=landbridge ", "ExecStart=/bin/true ");
        fs::write(directory.path().join(unit), text).expect("written");
    }
    let units = ["landbridge.service", "landbridge.socket"].map(|unit| directory.path().join(unit));
    let verify = Command::new("systemd-analyze").args(["--man=no", "verify"]).args(units).output();
    // Without systemd nobody here can say more.
    if let Ok(verdict) = verify {
        let said = String::from_utf8_lossy(&verdict.stderr);
        let ours = said.lines().filter(|line| line.contains("landbridge")).collect::<Vec<_>>();
        assert!(verdict.status.success() && ours.is_empty(), "{said}");
    }
}
