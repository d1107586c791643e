//! `docs/failures.md` shows the table of expectations, and nothing else than it.

use crate::expected::{Expected, expected, expected_with_patience};
use crate::fault::Fault;
use crate::moment::Moment;
use landbridge::topology::Role;
use std::fmt::Write as _;
use std::path::PathBuf;

const BEGIN: &str = "<!-- the table: written by tests/matrix -->\n";
const END: &str = "<!-- the end of the table -->\n";

#[test]
fn the_document_shows_the_table() {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "docs", "failures.md"].iter().collect();
    let text = std::fs::read_to_string(&path).expect("docs/failures.md");
    let (before, rest) = text.split_once(BEGIN).expect("the table begins");
    let (_, after) = rest.split_once(END).expect("the table ends");
    let right = format!("{before}{BEGIN}{}{END}{after}", tables());
    if std::env::var_os("FAILURES_WRITE").is_some() {
        std::fs::write(&path, right).expect("written");
    } else {
        assert!(
            text == right,
            "docs/failures.md is not true any more: FAILURES_WRITE=1 cargo test --test matrix document"
        );
    }
}

fn tables() -> String {
    let mut text = String::new();
    for (target, title) in [(Role::Primary, "The primary is .."), (Role::Replica, "The replica is ..")] {
        table(&mut text, title, target, |fault, moment| Some(expected(target, fault, moment)));
    }
    let patient = "With `primary_down = \"wait 60s\"`, back in time, the primary is ..";
    table(&mut text, patient, Role::Primary, expected_with_patience);
    text.push('\n');
    text
}

/// Faults of which nothing is expected are left out.
fn table(text: &mut String, title: &str, target: Role, expected: impl Fn(Fault, Moment) -> Option<Expected>) {
    let moments: Vec<&str> = Moment::ALL.iter().map(|moment| moment.words()).collect();
    write!(text, "\n| {title} | {} |\n", moments.join(" | ")).expect("a string");
    writeln!(text, "|---|{}", "---|".repeat(moments.len())).expect("a string");
    for fault in Fault::ALL {
        let row: Option<Vec<Expected>> = Moment::ALL.into_iter().map(|moment| expected(fault, moment)).collect();
        let Some(row) = row else { continue };
        write!(text, "| {} |", fault.words(target)).expect("a string");
        for outcomes in row {
            let outcomes: Vec<String> = outcomes.iter().map(ToString::to_string).collect();
            write!(text, " {} |", outcomes.join(", ")).expect("a string");
        }
        text.push('\n');
    }
}
