//! Messages are quoted word by word, so that whoever searches for one finds it.

use crate::{none, root, source};

/// The source with texts that go on in the next line put together.
fn joined() -> String {
    let mut text = String::new();
    let mut rest = source();
    while let Some((before, after)) = rest.split_once("\\\n") {
        text.push_str(before);
        rest = after.trim_start().to_owned();
    }
    text + &rest
}

/// `    1040: Too many connections`, with `..` for what differs.
#[test]
fn quoted_errors_are_those_of_the_source() {
    let document = std::fs::read_to_string(root().join("docs/troubleshooting.md")).expect("a document");
    let source = joined();
    let mut faults = Vec::new();
    let mut checked = 0;
    for line in document.lines().filter_map(|line| line.strip_prefix("    ")) {
        let (number, message) = line.split_once(": ").unwrap_or(("", line));
        let is_error = number == ".. " || number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit());
        let is_readiness = number.is_empty() && (line.ends_with("yet") || line.ends_with("opened"));
        // The server's own words are no concern of the source.
        if !is_error && !is_readiness || matches!(number, "1290") {
            continue;
        }
        checked += 1;
        if is_error && number != ".. " && !source.contains(number) && number != "2013" {
            faults.push(format!("{number} is no number of ours: {line}"));
        }
        let escaped = message.replace('"', "\\\"");
        for part in
            escaped.split("..").map(|part| part.trim_matches(&[' ', '.', '\'', ':'][..])).filter(|p| p.len() > 3)
        {
            if !source.contains(part) {
                faults.push(format!("\"{part}\" is nowhere: {line}"));
            }
        }
    }
    assert!(checked > 20, "{checked}");
    none(&faults);
}

/// `` **`cannot listen on ..`** ``: what is logged or printed, quoted in the same way.
#[test]
fn quoted_log_lines_are_those_of_the_source() {
    let document = std::fs::read_to_string(root().join("docs/troubleshooting.md")).expect("a document");
    let source = joined();
    for quoted in
        ["the environment variable .. is not set", "cannot listen on ..", "cannot open a connection, retrying"]
    {
        assert!(document.contains(&format!("`{quoted}`")), "{quoted}");
        for part in quoted.split("..").map(str::trim) {
            assert!(source.contains(part), "{part}");
        }
    }
}
