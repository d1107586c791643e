//! The reference documents say what the code does, in both directions.

mod logs;

use landbridge::config::{self, Faults, Settings};
use landbridge::frontend::binding::PinReason;
use landbridge::route::Reason;
use landbridge::sql::Why;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn read(path: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

fn parse(text: &str) -> Result<Settings, Faults> {
    config::parse(text, "test.toml", Path::new("/etc/landbridge"), &|_| None)
}

/// A row of a table: its cells.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inside = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(inside.split(" | ").map(str::trim).collect())
}

/// What stands between the first two backticks.
fn code(cell: &str) -> Option<&str> {
    Some(cell.strip_prefix('`')?.split_once('`')?.0)
}

/// A key as the document has it.
#[derive(Debug)]
struct Documented {
    /// `[pool]`, `[[server]]`, `[server.tls]`, or nothing at the top of the file.
    table: String,
    key: String,
    /// As it would be written; `None`: it has none of its own.
    default: Option<String>,
    needs_restart: bool,
}

fn documented() -> Vec<Documented> {
    let document = read("docs/configuration.md");
    let mut table = None;
    let mut keys = Vec::new();
    for line in document.lines() {
        if let Some(title) = line.strip_prefix('#').map(|rest| rest.trim_start_matches('#').trim()) {
            table = match code(title) {
                Some(name) => Some(name.to_owned()),
                None => (title == "Top of the file").then(String::new),
            };
        }
        let (Some(table), Some(row)) = (&table, cells(line)) else { continue };
        let Some(key) = code(row[0]) else { continue };
        let &[_, kind, default, applies, what] = &*row else { panic!("a cell too few or too many: {line}") };
        assert!(!kind.is_empty() && what.ends_with('.'), "{line}");
        assert!(["reload", "restart"].contains(&applies), "{line}");
        assert!(!kind.contains("**required**") || default == "–", "{line}");
        keys.push(Documented {
            table: table.clone(),
            key: key.to_owned(),
            default: default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')).map(str::to_owned),
            needs_restart: applies == "restart",
        });
    }
    keys
}

const LEAST: &str = "[[server]]\nname = 'a'\naddress = 'h:1'\nrole = 'primary'\n[[user]]\nname = 'u'\npassword = 'p'\n";

/// The keys that the parser knows in a table: an unknown one makes it tell.
fn known(table: &str) -> BTreeSet<String> {
    let parent = if table == "[server.tls]" { "[[server]]\n" } else { "" };
    let text = format!("{parent}{table}\nzzzzzzzzzzzz = 1\n");
    let faults = parse(&text).expect_err(table);
    let unknown = faults.iter().find(|fault| fault.message == "unknown key").expect(table);
    let known = unknown.fix.strip_prefix("known here: ").expect(table);
    known.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_key_is_in_the_configuration_reference_and_no_other() {
    let documented = documented();
    // Tables are listed at the top of the file.
    let mut tables: BTreeSet<String> = known("").into_iter().filter(|key| key.starts_with('[')).collect();
    tables.extend(["[server.tls]".to_owned(), String::new()]);
    let described: BTreeSet<String> = documented.iter().map(|key| key.table.clone()).collect();
    assert_eq!(described, tables);
    for table in &tables {
        let described: BTreeSet<_> =
            documented.iter().filter(|key| key.table == *table).map(|key| key.key.clone()).collect();
        let known: BTreeSet<_> = known(table).into_iter().filter(|key| !key.starts_with('[')).collect();
        assert_eq!(described, known, "{table}");
    }
}

#[test]
fn every_default_of_the_configuration_reference_is_the_one_in_use() {
    let documented = documented();
    let lines = |wanted: &str| {
        let of_table = documented.iter().filter(|key| key.table == wanted);
        let default = |key: &Documented| Some(format!("{} = {}\n", key.key, key.default.as_ref()?));
        of_table.filter_map(default).collect::<String>()
    };
    // With all defaults written out it must be what it is without. Of TLS two keys say the same.
    let mut text = lines("").replace("auth_recheck = \"60s\"\n", "");
    text += &LEAST.replace("role = 'primary'\n", &format!("role = 'primary'\n{}", lines("[[server]]")));
    let tables: BTreeSet<&str> = documented.iter().map(|key| &*key.table).collect();
    let sections = tables.into_iter().filter(|table| table.starts_with('[') && !table.starts_with("[["));
    for table in sections.filter(|table| *table != "[server.tls]") {
        text.push_str(&[table, "\n", &lines(table)].concat());
    }
    let written = parse(&text).unwrap_or_else(|faults| panic!("{text}\n{faults}"));
    let least = parse(LEAST).expect("valid");
    let strange = |settings: &Settings| Settings { warnings: Vec::new(), ..settings.clone() };
    assert_eq!(strange(&written), strange(&least));
    let [mode] = [lines("[server.tls]")];
    let with_mode = LEAST.replace("role = 'primary'\n", &format!("role = 'primary'\n[server.tls]\n{mode}"));
    assert_eq!(parse(&with_mode).expect("valid").servers, least.servers);
    let through = |more: &str| parse(&format!("auth = 'passthrough'\n{more}{LEAST}")).expect("valid").auth;
    assert_eq!(through(""), through("auth_recheck = \"60s\"\n"));
    // What has a value without being written has a default in the document.
    for (key, value) in config::list(&least) {
        let Some((table, name)) = key.split_once('.') else { continue };
        let (table, name) = match table {
            "server" => ("[[server]]".to_owned(), name.rsplit('.').next().expect("a name")),
            "user" => continue,
            _ => (format!("[{table}]"), name),
        };
        let Some(found) = documented.iter().find(|found| found.table == table && found.key == name) else { continue };
        let is_own = !matches!((&*table, name), ("[[server]]", "address" | "role" | "max_lag") | ("[monitor]", "user"));
        let is_empty = value.is_empty() && found.default.as_deref() != Some("[]");
        assert_eq!(found.default.is_some(), is_own && !is_empty, "{key} = {value}");
    }
}

/// What a reload leaves as it is, in the words of the code that does so.
#[test]
fn what_needs_a_restart_is_what_the_configuration_reference_says() {
    let code = read("src/app/difference.rs");
    let kept: BTreeSet<String> = code
        .lines()
        .filter_map(|line| line.trim().strip_prefix("keep(\"")?.split_once('"'))
        .map(|(key, _)| key.to_owned())
        .collect();
    assert!(kept.len() > 5, "{kept:?}");
    let documented = documented();
    let restart = documented.iter().filter(|key| key.needs_restart);
    assert_eq!(restart.map(|key| format!("{} {}", key.table, key.key)).collect::<BTreeSet<_>>(), kept);
}

/// The first cells of the tables below these titles of a document.
fn listed(document: &str, titles: &[&str]) -> Vec<String> {
    let text = read(document);
    let mut found = Vec::new();
    for title in titles {
        let (_, below) = text.split_once(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("{document}: {title}"));
        let section = below.split("\n## ").next().expect("one part at least");
        found.extend(section.lines().filter_map(cells).filter_map(|row| code(row[0]).map(str::to_owned)));
    }
    found
}

fn same(mut documented: Vec<String>, code: impl Iterator<Item = &'static str>) {
    let mut code: Vec<String> = code.map(str::to_owned).collect();
    documented.sort_unstable();
    code.sort_unstable();
    assert_eq!(documented, code);
}

#[test]
fn every_reason_is_explained() {
    let titles = ["Reads", "Sessions that stay where they are", "Statements that need the primary"];
    let reasons = Reason::OTHERS.iter().map(|reason| reason.as_str()).chain(Why::ALL.iter().map(|why| why.as_str()));
    same(listed("docs/routing.md", &titles), reasons);
}

#[test]
fn every_pin_is_explained() {
    same(
        listed("docs/routing.md", &["What keeps a session on its connection"]),
        PinReason::ALL.iter().map(|pin| pin.as_str()),
    );
}
