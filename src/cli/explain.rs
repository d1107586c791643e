//! `landbridge explain`: where a statement would go, and why.

use super::table::table;
use crate::consistency::gtid::{Family, GtidSet};
use crate::consistency::token::Token;
use crate::route::{Need, Reader, Reason, Route, decide};
use crate::sql::{Kind, Mode, Parts, Semicolons, Statement, Traits, classify};
use crate::topology::{Health, Lag, Role, ServerId, ServerView, Snapshot};
use std::sync::Arc;
use std::time::Duration;

/// Explains `sql` against a healthy primary far away and a replica nearby.
pub(super) fn explain(sql: &str, after_write: bool, in_transaction: bool, mariadb: bool) -> String {
    let statement = classify(sql.as_bytes(), Mode { mariadb, ..Mode::default() });
    let need = if in_transaction { Need::Primary(Reason::InTransaction) } else { Need::of(&statement) };
    let written = GtidSet::parse(Family::MariaDb, "0-1-2").ok();
    let token = Token::of(written.filter(|_| after_write));
    let mut rows = vec![vec!["statement".into(), one_line(sql)], vec!["kind".into(), kind(&statement)]];
    let mut add = |name: &str, value: String| rows.push(vec![name.into(), value]);
    if let Some(local) = answered_locally(&statement, in_transaction) {
        add("route", local.into());
        add("round trips", "0 to the primary".into());
    } else if let Ok(route) = decide(need, &Reader { token, is_consistent: true, ..Reader::default() }, &imaginary()) {
        add("route", target(&route));
        let trips = if route.server == ServerId(0) { "1 to the primary" } else { "0 to the primary" };
        add("round trips", trips.into());
        add("reason", format!("{}: {}", route.reason.as_str(), meaning(route.reason)));
        if route.wait_for.is_some() {
            add("wait", "on the replica until it has the write, for about one round trip; then the primary".into());
        }
    }
    let names: Vec<String> = statement.traits.names().map(str::to_lowercase).collect();
    if !names.is_empty() {
        add("effects", names.join(", "));
    }
    if let Some(pin) = pin(statement.traits) {
        add("pins", pin.into());
    }
    add("prelude", prelude(&statement).into());
    table(&rows)
}

fn one_line(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 90 { line.chars().take(89).chain(['…']).collect() } else { line }
}

fn kind(statement: &Statement<'_>) -> String {
    let kind = match &statement.kind {
        Kind::Read => "read",
        Kind::Write(_) => "write, or not understood",
        Kind::Begin(_) => "begins a transaction",
        Kind::Commit(_) => "commits",
        Kind::Rollback(_) => "rolls back",
        Kind::Savepoint => "savepoint",
        Kind::Set(_) => "sets session variables",
        Kind::Use(_) => "chooses a schema",
        Kind::Empty => "empty",
    };
    match statement.parts {
        Parts::Multi => format!("{kind} (several statements)"),
        Parts::Empty | Parts::Single => kind.into(),
    }
}

fn answered_locally(statement: &Statement<'_>, in_transaction: bool) -> Option<&'static str> {
    match &statement.kind {
        Kind::Begin(begin) if !begin.consistent_snapshot => {
            Some("here: a transaction begins at the primary with its first statement")
        }
        Kind::Commit(_) | Kind::Rollback(_) if !in_transaction => Some("here: there is nothing to end"),
        Kind::Set(_) if !in_transaction => Some("checked by the replica, remembered, sent ahead of later statements"),
        Kind::Use(_) if !in_transaction => Some("checked by the replica, remembered, sent ahead of later statements"),
        Kind::Empty => Some("here: error 1065, as a server says it"),
        _ => None,
    }
}

fn target(route: &Route) -> String {
    if route.server == ServerId(0) { "primary".into() } else { "replica".into() }
}

fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::Statement(_) => "the statement itself needs the primary",
        Reason::InTransaction => "a transaction stays on one connection to the primary",
        Reason::Pinned => "the session's state lives on one connection",
        Reason::SessionMode => "pool.mode = \"session\"",
        Reason::Hint => "a comment in the statement asks for it",
        Reason::Rule => "a rule of the file sends it there",
        Reason::Read => "any fresh replica may answer",
        Reason::ReadAfterWrite => "the replica is known to have what this user wrote",
        Reason::ReadAfterWait => "the replica may not have what this user wrote yet",
        Reason::ReplicaBehind => "the replica did not catch up in time",
        Reason::RecentWrite => "too soon after a write, on servers without GTIDs",
        Reason::OtherReplica => "another replica has it, where the first did not catch up in time",
        Reason::Unproven => "what was seen elsewhere is not known to be on the replica yet",
        Reason::OnEmpty => "the replica had no row, and a rule asks the primary then",
        Reason::NoReplica => "no replica may serve reads",
        Reason::PrimaryIsNearer => "the primary is nearer than any replica",
        Reason::TakenOver => {
            "another process has taken over, and this one reads where it sees what clients write there"
        }
        Reason::PrimaryIsDown => "the primary does not answer, so a late replica does",
    }
}

fn pin(traits: Traits) -> Option<&'static str> {
    let pinning = [
        (Traits::CREATES_TEMP_TABLE, "the session keeps its connection: temporary table"),
        (Traits::LOCKS_TABLES, "the session keeps its connection until UNLOCK TABLES"),
        (Traits::LOCKS_INSTANCE, "the session keeps its connection: lock of the whole server"),
        (Traits::CALLS_STORED_CODE, "the session keeps its connection: stored code, or text not understood"),
        (Traits::NAMED_LOCK, "the session keeps its connection: named lock"),
        (Traits::ASSIGNS_USER_VARIABLE, "the session keeps its connection: user variable computed by the server"),
        (Traits::SQL_PREPARE, "the session keeps its connection: statement prepared by SQL"),
        (Traits::HANDLER_OPEN, "the session keeps its connection: open handler"),
        (Traits::XA, "the session keeps its connection: XA"),
        (Traits::CALC_FOUND_ROWS, "the session keeps its connection for the next statement: FOUND_ROWS()"),
        (Traits::SKIPS_ROWS, "the session keeps its connection for the next statement: FOUND_ROWS()"),
    ];
    pinning.into_iter().find(|(cause, _)| traits.contains(*cause)).map(|(_, text)| text)
}

fn prelude(statement: &Statement<'_>) -> &'static str {
    match statement.semicolons {
        Semicolons::None | Semicolons::InTokens => "session state shares its flight, as one guarded multi-statement",
        Semicolons::Between => {
            "session state shares its flight if the client may send several statements, else it goes ahead of it"
        }
    }
}

fn imaginary() -> Snapshot {
    let server = |id, role, local, millis, seen: &str| ServerView {
        id: ServerId(id),
        name: if role == Role::Primary { "primary".into() } else { "replica".into() },
        local,
        role,
        health: Health::Up,
        lag: Lag::Behind(Duration::ZERO),
        held_lag: Some(Duration::ZERO),
        max_lag: Duration::from_secs(10),
        weight: 1,
        is_rival: false,
        is_doubtful: false,
        rtt: Some(Duration::from_millis(millis)),
        family: Some(Family::MariaDb),
        executed: GtidSet::parse(Family::MariaDb, seen).ok().map(Arc::new),
    };
    Snapshot::of(vec![server(0, Role::Primary, false, 100, "0-1-2"), server(1, Role::Replica, true, 1, "0-1-1")])
}

#[cfg(test)]
mod tests {
    use super::explain;

    #[test]
    fn explanations_name_route_and_reason() {
        for (sql, after_write, in_transaction, want) in [
            ("SELECT 1", false, false, &["replica", "read: any", "0 to the primary"][..]),
            ("SELECT 1", true, false, &["replica", "read_after_wait", "then the primary"]),
            ("SELECT 1", false, true, &["primary", "in_transaction"]),
            ("INSERT INTO t VALUES (1)", false, false, &["primary", "insert", "1 to the primary"]),
            ("BEGIN", false, false, &["begins at the primary"]),
            ("SELECT GET_LOCK('a', 1)", false, false, &["primary", "named lock"]),
            ("SELECT 1; DELETE FROM t", false, false, &["several statements", "primary"]),
        ] {
            let text = explain(sql, after_write, in_transaction, false);
            for part in want {
                assert!(text.contains(part), "{sql}: {part} missing in\n{text}");
            }
        }
    }
}
