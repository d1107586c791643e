//! Links lead somewhere, and paths are there.

use crate::{documents, none, root, text};
use std::path::Path;

#[test]
fn links_lead_somewhere() {
    let mut faults = Vec::new();
    for document in documents() {
        let directory = root().join(document.path.parent().unwrap_or(Path::new("")));
        for link in text::links(&document.text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { root().join(&document.path) } else { directory.join(path) };
            if !target.exists() {
                faults.push(format!("{}: {link}: there is no {}", document.path.display(), target.display()));
            } else if !anchor.is_empty() && target.is_file() {
                let there = std::fs::read_to_string(&target).expect("readable");
                if !text::anchors(&there).iter().any(|known| known == anchor) {
                    faults.push(format!("{}: {link}: no such heading", document.path.display()));
                }
            }
        }
    }
    none(&faults);
}

/// Places where files of the repository are, and nothing else is.
const PLACES: [&str; 8] = ["benches/", "deploy/", "docs/", "fuzz/", "scripts/", "src/", "tests/", ".ci/"];

/// An application's own, and what is made.
const OTHERS: [&str; 2] = ["src/EventSubscriber/", "tests/drivers/node/node_modules"];

/// A path up to a wildcard or what somebody is to put in, or with the beginning of a name, as a decision's number.
fn is_there(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let fixed = text.split(['*', '<', '{', '$']).next().unwrap_or(&text);
    let (directory, name) = fixed.rsplit_once('/').unwrap_or((".", fixed));
    Path::new(fixed).exists()
        || std::fs::read_dir(directory).is_ok_and(|mut entries| {
            let begins = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(name);
            (fixed != text || name.ends_with(|c: char| c.is_ascii_digit())) && entries.any(|e| e.is_ok_and(begins))
        })
}

#[test]
fn paths_are_there() {
    let mut faults = Vec::new();
    for document in documents() {
        for code in text::code(&document.text) {
            for word in code.text.split([' ', '\n', '"', '\'', '=', ',', ';', '(', ')']) {
                let word = word.trim_start_matches("./").trim_end_matches([':', '.']);
                let place = PLACES.iter().any(|place| word.starts_with(place) && word.len() > place.len());
                let beside = document.path.parent().unwrap_or(Path::new(""));
                let there = is_there(&root().join(word)) || is_there(&root().join(beside).join(word));
                if place && !there && !OTHERS.contains(&word) {
                    faults.push(format!("{}: {word}", document.path.display()));
                }
            }
        }
    }
    none(&faults);
}
