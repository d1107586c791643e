//! What people and servers write: statements, settings, GTID sets, the configuration file.

use crate::Input;
use landbridge::backend::query::Reply;
use landbridge::config;
use landbridge::consistency::gtid::{Family, GtidSet};
use landbridge::consistency::printed;
use landbridge::sql::{Kind, Mode, Parts, Semicolons, classify};
use landbridge::state::{Plan, SessionState, literal, quote_identifier};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

fn modes() -> impl Iterator<Item = Mode> {
    (0..16u8).map(|bits| Mode {
        ansi_quotes: bits & 1 != 0,
        no_backslash_escapes: bits & 2 != 0,
        ambiguous_charset: bits & 4 != 0,
        mariadb: bits & 8 != 0,
    })
}

/// The text of a statement.
pub fn sql(data: &[u8]) {
    let blank = |b: &u8| matches!(b, b';' | b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C);
    let body = data.iter().rposition(|b| !blank(b)).map_or(0, |last| last + 1);
    let semicolon_free = !data[..body].contains(&b';');
    let behind = [data, b"\n; DELETE FROM t"].concat();
    let ahead = [b"DELETE FROM t; ", data].concat();
    let inside = [b"INSERT INTO t ", data].concat();
    for mode in modes() {
        let found = classify(data, mode);
        assert_eq!(found, classify(data, mode), "the same text, the same answer");
        assert_eq!(found.semicolons == Semicolons::None, semicolon_free, "{mode:?}");
        if found.parts == Parts::Multi {
            assert_eq!(found.semicolons, Semicolons::Between, "several statements, {mode:?}");
        }
        if found.kind == Kind::Empty {
            assert_eq!(found.parts, Parts::Empty, "{mode:?}");
        }
        if found.is_read() {
            assert!(!classify(&behind, mode).is_read(), "a write behind it is lost, {mode:?}");
            assert!(!classify(&ahead, mode).is_read(), "a write ahead of it is lost, {mode:?}");
        }
        assert!(!classify(&inside, mode).is_read(), "an INSERT is no read, {mode:?}");
    }
}

/// Names a client may set, and how: a variable, a user variable, the character set, a statement.
const NAMES: [&str; 10] = [
    "sql_mode",
    "Time_Zone",
    "@x",
    "character_set_results",
    "character_set_client",
    "names",
    "wait_timeout",
    "@`y`",
    "autocommit",
    "SQL_MODE",
];

/// Two session states made by `SET`s, and the way from one to the other.
pub fn state(data: &[u8]) {
    let mut input = Input(data);
    let (mut from, mut to) = (SessionState::default(), SessionState::default());
    from.set_schema(Some(b"a"));
    to.set_schema(Some(b"a"));
    while !input.0.is_empty() {
        let what = input.u8();
        let state = if what & 128 == 0 { &mut from } else { &mut to };
        let value = input.u8() % 4;
        match usize::from(what & 15) {
            10.. => state.set_schema(Some(&[b'a' + value])),
            name => match NAMES[name] {
                "names" => state.set_names(format!("NAMES {value}").as_bytes()),
                name if name.starts_with('@') => state.set_user_variable(name.as_bytes(), &[b'0' + value]),
                name => state.set_variable(name.as_bytes(), &[b'0' + value]),
            },
        }
    }
    assert_eq!(from.plan_to(&from), Plan::Nothing);
    let mut fresh = SessionState::default();
    fresh.set_schema(Some(b"a"));
    let (mut there, mut direct) = (BTreeMap::new(), BTreeMap::new());
    apply(&mut there, &fresh.plan_to(&from));
    apply(&mut there, &from.plan_to(&to));
    apply(&mut direct, &fresh.plan_to(&to));
    let schema = to.schema().map(|s| String::from_utf8_lossy(&quote_identifier(s)).into_owned());
    for model in [&mut there, &mut direct] {
        model.entry("schema".into()).or_insert("`a`".into());
        assert_eq!(model.get("schema"), schema.as_ref());
    }
    assert_eq!(there, direct);
    text_forms(data);
}

/// A server in miniature.
fn apply(model: &mut BTreeMap<String, String>, plan: &Plan) {
    let prelude = match plan {
        Plan::Nothing => return,
        Plan::Apply(prelude) => prelude,
        Plan::LogInAgain => panic!("there always is a schema"),
    };
    if prelude.reset {
        model.retain(|name, _| name == "schema");
    }
    let sql = String::from_utf8(prelude.sql.clone()).expect("text");
    assert_eq!(sql.matches(';').count(), prelude.statements);
    for statement in sql.split_terminator(';') {
        if let Some(schema) = statement.strip_prefix("USE ") {
            model.insert("schema".into(), schema.into());
            continue;
        }
        for item in statement.strip_prefix("SET ").expect("SET or USE").split(',') {
            match item.split_once('=') {
                Some((name, value)) => drop(model.insert(name.to_ascii_lowercase(), value.into())),
                None => {
                    model.retain(|name, _| !name.starts_with("character_set_"));
                    model.insert("names".into(), item.into());
                }
            }
        }
    }
}

fn text_forms(data: &[u8]) {
    let quoted = quote_identifier(data);
    let inner = quoted.strip_prefix(b"`").and_then(|q| q.strip_suffix(b"`")).expect("quoted");
    assert_eq!(inner.len(), data.len() + data.iter().filter(|b| **b == b'`').count());
    if let Some(literal) = literal(data) {
        let statement = [b"SET x=", &literal[..]].concat();
        for mode in modes().filter(|mode| !mode.ambiguous_charset) {
            let found = classify(&statement, mode);
            assert!(matches!(&found.kind, Kind::Set(list) if list.len() == 1), "{found:?} {mode:?}");
        }
    }
}

/// Two GTID sets of one family (byte 0), separated by `|`.
pub fn gtid(data: &[u8]) {
    let mut input = Input(data);
    let family = if input.u8() & 1 == 0 { Family::MySql } else { Family::MariaDb };
    let text = String::from_utf8_lossy(input.0);
    let (left, right) = text.split_once('|').unwrap_or((&text, ""));
    let (left, right) = (set(family, left), set(family, right));
    if let (Some(left), Some(right)) = (left, right) {
        let (mut both, mut other) = (left.clone(), right.clone());
        both.union(&right).expect("one family");
        other.union(&left).expect("one family");
        assert_eq!(both, other, "order does not matter");
        assert!(both.contains(&left) && both.contains(&right));
        // In MariaDB the number says it all; two servers may have used the same one.
        let contains = left.contains(&right);
        assert!(contains || left != both, "{left} {right}");
        assert!(!contains || left == both || family == Family::MariaDb, "{left} {right}");
    }
}

fn set(family: Family, text: &str) -> Option<GtidSet> {
    let set = GtidSet::parse(family, text).inspect_err(|error| assert!(error.at() <= text.len())).ok()?;
    let printed = set.to_string();
    assert!(printed.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase() || b"_:,-".contains(&b)), "{printed}");
    assert_eq!(GtidSet::parse(family, &printed).as_ref(), Ok(&set), "{printed}");
    assert!(set.contains(&set) && set.contains(&GtidSet::empty(family)));
    assert_eq!(set.is_empty(), printed.is_empty());
    Some(set)
}

/// A `proxy.toml`: settings, or faults that people can read and that tell no secret.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // A password file may be anywhere; reading a device would never end.
    if text.contains("/dev") || text.contains("/proc") {
        return;
    }
    let env = |name: &str| match name {
        "SECRET" => Some("leaked".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    if let Err(faults) = config::parse(&text, "proxy.toml", Path::new("/nowhere"), &env) {
        let printed = faults.to_string();
        assert!(!printed.is_empty());
        assert_eq!(printed.lines().count(), faults.iter().count(), "{printed}");
        assert!(!printed.contains("leaked") || text.contains("leaked"), "{printed}");
        assert!(printed.chars().all(|c| c == '\n' || !c.is_control()), "{printed:?}");
    }
}

/// A consistency token as text: another host's, or anybody's. What is read is printed the same, and keeps reads at
/// the primary for no longer than it may.
pub fn token(data: &[u8]) {
    let now = Instant::now();
    let text = String::from_utf8_lossy(data);
    let Ok(token) = printed::read(&text, now) else { return };
    let again = printed::print(&token, now);
    assert!(again.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_~".contains(&b)), "fits into a cookie: {again}");
    let read = printed::read(&again, now).expect("what we print can be read");
    assert_eq!(printed::print(&read, now), again);
    assert_eq!(read.gtids, token.gtids);
    let longest = now + Duration::from_secs(60);
    assert!(token.primary_until.is_none_or(|until| until <= longest));
    let mut both = token.clone();
    both.merge(&read);
    assert_eq!(both.gtids, token.gtids, "twice the same is the same");
}

/// What a server says it has executed, in the columns of one row, after the family.
pub fn executed(data: &[u8]) {
    let mut input = Input(data);
    let family = if input.u8() & 1 == 0 { Family::MySql } else { Family::MariaDb };
    let text = String::from_utf8_lossy(input.0);
    let row: Vec<Option<String>> = text.split('|').map(|value| Some(value.to_owned())).collect();
    let reply = |row: &[Option<String>]| Reply::Rows { columns: Vec::new(), rows: vec![row.to_vec()] };
    let Some(all) = landbridge::backend::executed::executed(family, &reply(&row)) else { return };
    assert!(!all.is_empty());
    for value in &row {
        if let Some(part) = landbridge::backend::executed::executed(family, &reply(&[value.clone()])) {
            assert!(all.contains(&part), "{part} is missing in {all}");
        }
    }
}
