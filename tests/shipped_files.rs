//! Files people copy are files that work. (`proxy.toml` has tests of its own beside the parser.)

use landbridge::config::{self, Settings};
use std::fs;
use std::path::{Path, PathBuf};

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
fn the_file_of_the_readme() {
    let readme = read("README.md");
    let text = block(&readme, "toml");
    assert!(text.lines().count() <= 25, "small enough to read at a glance");
    let settings = settings(text, "README.md");
    assert_eq!(settings.warnings, []);
}
