//! Names of metrics, and keys of `proxy.toml`.

use crate::{Document, documents, none, root, source, text};
use std::collections::{BTreeMap, BTreeSet};

/// Begin like metrics, and are none: a system variable, and a comment's or an attribute's key.
const NO_METRICS: [&str; 2] = ["landbridge_token", "landbridge_key"];

#[test]
fn metrics_exist() {
    let source = source();
    let known: BTreeSet<&str> = names(&source).collect();
    let mut faults = Vec::new();
    let mut checked = 0;
    for Document { path, text } in documents() {
        for name in names(&text) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            checked += 1;
            // Files of examples are called like this, too.
            let is_file = path.starts_with("docs") && text.contains(&format!("{name}.py"));
            if !NO_METRICS.contains(&name) && !is_file && !known.contains(name) && !known.contains(base) {
                faults.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(checked > 20, "{checked}");
    none(&faults);
}

/// Words that begin like metrics, wherever they stand.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_');
    words.filter(|word| word.strip_prefix("landbridge_").is_some_and(|rest| !rest.is_empty()) && !word.ends_with('_'))
}

/// The sections of `proxy.toml` with their keys, those that stand as comments among them.
fn keys() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("proxy.toml")).expect("proxy.toml");
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines().map(|line| line.trim_start_matches("# ").trim()) {
        if let Some(name) = line.strip_prefix('[') {
            name.trim_start_matches('[').split(']').next().expect("a name").clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once(" = ")
            && is_key(key)
        {
            let known = keys.entry(section.clone()).or_default();
            known.insert(key.to_owned());
            // A table on one line.
            for part in value.split(['{', ',']).filter_map(|part| part.split_once(" = ")) {
                known.extend(Some(part.0.trim().to_owned()).filter(|key| is_key(key)));
            }
        }
    }
    assert!(keys.len() > 10 && keys["pool"].contains("min_warm"), "{keys:?}");
    keys
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// `section.key`, `[section] key` and `section.key = value` in code.
#[test]
fn keys_of_the_file_exist() {
    let keys = keys();
    let mut faults = Vec::new();
    let mut checked = 0;
    for Document { path, text } in documents() {
        for code in text::code(&text).iter().filter(|code| code.language.is_empty()) {
            let line = code.text.lines().next().unwrap_or_default();
            let head = line.split('=').next().unwrap_or_default().trim();
            let named = match head.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
                Some((section, key)) => Some((section.trim_matches(&['[', ']'][..]), key.trim_start_matches("] "))),
                None => head.split_once('.'),
            };
            let Some((section, key)) = named.filter(|(section, key)| !section.is_empty() && is_key(key)) else {
                continue;
            };
            // Names of modules have such a form, too: only sections of the file count.
            let Some(known) = keys.get(section) else { continue };
            checked += 1;
            if !known.contains(key) && !key.ends_with("_toml") && !is_file_ending(key) {
                faults.push(format!("{}: {head}", path.display()));
            }
        }
    }
    assert!(checked > 40, "{checked}");
    none(&faults);
}

fn is_file_ending(key: &str) -> bool {
    matches!(key, "rs" | "md" | "toml" | "sh")
}

/// Whole pieces of a file are TOML, and all of their keys are keys of the file.
#[test]
fn pieces_of_the_file_are_right() {
    let keys = keys();
    let mut faults = Vec::new();
    for Document { path, text } in documents() {
        for code in text::code(&text).iter().filter(|code| code.language == "toml") {
            let table: toml::Table = match code.text.parse() {
                Ok(table) => table,
                Err(error) => {
                    faults.push(format!("{}: {error}", path.display()));
                    continue;
                }
            };
            for (section, value) in &table {
                let entries = match value {
                    toml::Value::Array(entries) => entries.clone(),
                    other => vec![other.clone()],
                };
                for entry in entries.iter().filter_map(toml::Value::as_table) {
                    for key in entry.keys() {
                        // A piece of a server may stand alone.
                        let known = keys.get(section).is_some_and(|known| known.contains(key));
                        let of_server = section == "tls" && keys["server.tls"].contains(key);
                        if !known && !of_server {
                            faults.push(format!("{}: [{section}] {key}", path.display()));
                        }
                    }
                }
            }
        }
    }
    none(&faults);
}
