//! The shipped `proxy.toml` is a file that works, and what it says of defaults is true.

use std::fs;

use super::{env, parse, settings};
use crate::config::Settings;

const SHIPPED: &str = include_str!("../../../proxy.toml");
/// Lines that are all a file needs.
const SMALLEST: usize = 30;

/// A key or a table behind `# `.
fn commented(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("# ")?;
    let is_key = rest.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    (is_key || rest.starts_with('[')).then_some(rest)
}

/// The file with the commented lines `wanted` picks switched on.
fn switched_on(wanted: impl Fn(&str) -> bool) -> String {
    let line = |line: &'static str| commented(line).filter(|_| wanted(line)).unwrap_or(line);
    SHIPPED.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn is_example(line: &str) -> bool {
    line.contains("(example)")
}

#[test]
fn it_parses_as_it_is() {
    let settings = settings(SHIPPED);
    assert_eq!(settings.warnings, []);
    assert_eq!(settings.servers.len(), 2);
}

#[test]
fn its_beginning_is_enough() {
    let beginning = SHIPPED.lines().take(SMALLEST).collect::<Vec<_>>().join("\n");
    assert_eq!(settings(&beginning), settings(SHIPPED));
}

#[test]
fn the_defaults_it_shows_are_the_defaults() {
    let defaults = switched_on(|line| !is_example(line));
    assert_ne!(defaults, SHIPPED);
    assert_eq!(settings(&defaults), settings(SHIPPED));
}

#[test]
fn everything_in_it_can_be_switched_on() {
    let dir = std::env::temp_dir().join(format!("landbridge-shipped-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory for the test");
    fs::write(dir.join("report.password"), "secret\n").expect("a file for the test");
    // The certificate is for listeners that have TLS.
    let text = switched_on(|_| true).replace("\ntls = \"off\" ", "\ntls = \"optional\" ");
    let parsed = crate::config::parse(&text, "proxy.toml", &dir, &env);
    fs::remove_dir_all(&dir).expect("the test's own directory");
    let settings: Settings = parsed.unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(settings.servers.len(), 4);
    assert_eq!(settings.users[1].password.expose(), "secret");
}

/// Every key the code asks for is in the file; an unknown key makes the code list them.
#[test]
fn no_key_is_missing_from_it() {
    let everything = switched_on(|_| true);
    for header in [
        "[listen]",
        "[[server]]",
        "[server.tls]",
        "[[user]]",
        "[monitor]",
        "[pool]",
        "[consistency]",
        "[route]",
        "[[rule]]",
        "[limits]",
        "[log]",
        "[shutdown]",
        "[admin]",
    ] {
        let parent = if header == "[server.tls]" { "[[server]]\n" } else { "" };
        let text = format!("{parent}{header}\nzzzzzzzzzzzz = 1\n");
        let faults = parse(&text).expect_err(header);
        let unknown = faults.iter().find(|fault| fault.message == "unknown key").expect(header);
        let known = unknown.fix.strip_prefix("known here: ").expect(header);
        let shown = keys_of(&everything, header);
        for key in known.split(", ") {
            // Shown elsewhere: the pin in an inline table, the password file at a user.
            let elsewhere =
                matches!((header, key), ("[server.tls]", "pin") | ("[monitor]" | "[admin]", "password_file"));
            assert!(shown.contains(&key) || elsewhere, "{header} {key}");
        }
    }
}

/// The keys below every such header.
fn keys_of<'t>(text: &'t str, header: &str) -> Vec<&'t str> {
    let mut here = false;
    let mut keys = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            here = line.split_whitespace().next() == Some(header);
        } else if here && let Some((key, _)) = line.split_once(" = ") {
            keys.push(key.trim());
        }
    }
    keys
}
