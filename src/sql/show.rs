//! `SHOW`: which forms describe the data, the session, or the server.

use super::{
    Kind, Traits, Why, lexer::Token, scan::Scan, scan::names_server_variable, scan::shows_what_is_left, words::Word,
};

/// Forms that describe schemas and accounts: the same on every replica.
const CATALOGUE: [&str; 21] = [
    "CHARACTER",
    "CHARSET",
    "COLLATION",
    "COLUMNS",
    "DATABASES",
    "ENGINES",
    "FIELDS",
    "FUNCTION",
    "GRANTS",
    "INDEX",
    "INDEXES",
    "KEYS",
    "PACKAGE",
    "PRIVILEGES",
    "PROCEDURE",
    "SCHEMAS",
    "STORAGE",
    "TABLE",
    "TABLES",
    "TABLE_TYPES",
    "TRIGGERS",
];

/// Forms that answer about earlier statements of the same connection.
const DIAGNOSTICS: [&str; 3] = ["COUNT", "ERRORS", "WARNINGS"];

/// Reads a statement whose first word, `SHOW`, is consumed.
pub(super) fn statement<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    scan.traits |= Traits::SELECTS;
    let global = scan.cur().is(Word::Global);
    while matches_any(scan, &["FULL", "EXTENDED", "GLOBAL", "SESSION", "LOCAL"]) {
        scan.advance();
    }
    let local = if scan.take(Word::Variables) {
        scan.traits |= Traits::READS_SYSTEM_VARIABLE | Traits::TABLE_FREE;
        names_server_variable_until_end(scan) || global
    } else if matches_any(scan, &DIAGNOSTICS) {
        scan.traits |= Traits::USES_DIAGNOSTICS;
        false
    } else if scan.take(Word::Create) {
        // Replicas disable events, and say so.
        scan.cur().is(Word::Event)
    } else {
        !matches_any(scan, &CATALOGUE)
    };
    // SHOW EVENTS, OPEN TABLES, STATUS, PROCESSLIST, REPLICA STATUS, BINARY LOGS and what is not known.
    if local {
        scan.traits |= Traits::SERVER_LOCAL;
    }
    match scan.finish() {
        Some(why) => Kind::Write(why),
        None if local => Kind::Write(Why::ServerLocal),
        None => Kind::Read,
    }
}

/// At what follows `VARIABLES`: is there a text that may name one of those that say which server this is?
fn names_server_variable_until_end(scan: &mut Scan<'_>) -> bool {
    let mut names = false;
    while !scan.done() && !scan.cur().is_punct(b';') {
        if scan.cur().token == Token::Text {
            let text = scan.text(scan.cur());
            names |= names_server_variable(text);
            scan.traits |= shows_what_is_left(text);
        }
        scan.advance();
    }
    names
}

fn matches_any(scan: &Scan<'_>, names: &[&str]) -> bool {
    names.iter().any(|name| scan.spells(name))
}
