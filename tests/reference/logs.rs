//! docs/logs.md has every line that is written at the levels that are on by default, with its level and its fields.

use crate::{cells, code, read};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of the log, as the code or the document has them: message and level, and the fields of all that are alike.
type Events = BTreeMap<(String, String), BTreeSet<String>>;

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The arguments of a macro whose bracket has just been opened, cut at the commas between them.
fn arguments(text: &str) -> Vec<String> {
    let (mut all, mut one) = (Vec::new(), String::new());
    let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
    for c in text.chars() {
        match c {
            _ if in_string => {
                in_string = escaped || c != '"';
                escaped = c == '\\' && !escaped;
            }
            '"' => in_string = true,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ')' => break,
            ',' if depth == 0 => {
                all.push(std::mem::take(&mut one).trim().to_owned());
                continue;
            }
            _ => {}
        }
        one.push(c);
    }
    all.push(one.trim().to_owned());
    all.retain(|argument| !argument.is_empty());
    all
}

/// A literal as it is shown: lines that are joined in it, quotes that are escaped.
fn unescaped(literal: &str) -> String {
    let inside = literal.trim_matches('"');
    let mut lines = inside.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |all, line| all + line.trim_start()).replace("\\\"", "\"")
}

fn in_code() -> Events {
    let mut files = Vec::new();
    sources(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut events = Events::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        for level in ["error", "warn", "info"] {
            for behind in text.split(&format!("tracing::{level}!(")).skip(1) {
                let arguments = arguments(behind);
                let (messages, fields): (Vec<_>, Vec<_>) =
                    arguments.into_iter().partition(|argument| argument.starts_with('"'));
                let [message] = &messages[..] else { panic!("{}: no message, or several: {fields:?}", file.display()) };
                let name = |field: String| {
                    let name = field.split_once(" = ").map_or(&*field, |(name, _)| name);
                    name.trim_start_matches(['%', '?']).to_owned()
                };
                let fields = fields.into_iter().map(name);
                events.entry((unescaped(message), level.to_owned())).or_default().extend(fields);
            }
        }
    }
    events
}

fn in_document() -> Events {
    let document = read("docs/logs.md");
    let rows = document.lines().filter_map(cells).filter(|row| row.len() == 4 && row[0] != "message");
    let event = |row: Vec<&str>| {
        assert!(row[3].ends_with('.'), "what to do: {row:?}");
        let message = code(row[0]).unwrap_or_else(|| panic!("{row:?}")).to_owned();
        let fields = row[2].split(", ").filter_map(code).map(str::to_owned).collect();
        ((message, row[1].to_owned()), fields)
    };
    rows.filter(|row| !row[0].starts_with('-')).map(event).collect()
}

#[test]
fn every_line_of_the_log_is_explained() {
    let (code, document) = (in_code(), in_document());
    assert!(code.len() > 30, "{code:#?}");
    let missing: Vec<_> = code.iter().filter(|(event, fields)| document.get(*event) != Some(fields)).collect();
    let obsolete: Vec<_> = document.iter().filter(|(event, fields)| code.get(*event) != Some(fields)).collect();
    assert!(
        missing.is_empty() && obsolete.is_empty(),
        "add to docs/logs.md: {missing:#?}\nit has, and the code has not: {obsolete:#?}"
    );
}
