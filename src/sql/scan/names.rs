//! Names that answer about the server or the session: schemas, tables and variables.

use super::Scan;
use crate::sql::{Traits, Why, words::Word};

impl Scan<'_> {
    pub(super) fn server_local(&mut self) {
        self.traits |= Traits::SERVER_LOCAL;
        self.raise(Why::ServerLocal);
    }

    /// At `.`: is the name before it a schema about the server itself?
    pub(super) fn schema(&mut self) {
        if !self.prev().is_name() {
            return;
        }
        let name = unquoted(self.text(self.prev()));
        // Where it is no schema but an alias, nothing is lost but a round trip.
        let is_first = !self.prev2().is_punct(b'.');
        if is_first && ["performance_schema", "mysql", "sys"].iter().any(|schema| is(name, schema)) {
            self.server_local();
        }
    }

    /// At a name after `.`: a sequence's method, or a table of `information_schema`?
    pub(super) fn local_table(&mut self) {
        if !self.prev().is_punct(b'.') {
            return;
        }
        let name = unquoted(self.text(self.cur()));
        if is(name, "nextval") || is(name, "currval") {
            self.raise(Why::SideEffectFunction);
            self.traits |= if is(name, "currval") { Traits::USES_LAST_DRAW } else { Traits::DRAWS_FROM_SEQUENCE };
        } else if is(unquoted(self.text(self.prev2())), "information_schema") && !is_catalogue(name) {
            self.server_local();
        }
    }

    pub(super) fn user_variable(&mut self) {
        self.traits |= if self.prev().is(Word::Into) {
            Traits::ASSIGNS_USER_VARIABLE | Traits::READS_USER_VARIABLE
        } else {
            Traits::READS_USER_VARIABLE
        };
    }

    pub(super) fn system_variable(&mut self) {
        self.traits |= Traits::READS_SYSTEM_VARIABLE;
        let text = self.text(self.cur());
        let name = unquoted(text.rsplit(|b| matches!(b, b'.' | b'@')).next().unwrap_or(text));
        let any = |names: &[&str]| names.iter().any(|known| is(name, known));
        let scope = text.get(2..).unwrap_or_default();
        if starts(scope, b"global.") || starts(scope, b"persist.") {
            self.server_local();
        } else if starts(name, b"landbridge_") {
            self.traits |= Traits::READS_LANDBRIDGE_VARIABLE;
        } else if any(&["pseudo_thread_id"]) {
            self.traits |= Traits::USES_CONNECTION_ID;
        } else if any(&["in_transaction"]) {
            self.traits |= Traits::READS_TRANSACTION_STATE;
        } else {
            self.traits |= left_by_the_last(name);
            if starts(name, b"gtid_") || any(&SERVER_VARIABLES) || is(name, "last_gtid") {
                self.server_local();
            }
        }
    }
}

/// Tables of `information_schema` that describe the data, the same on every replica.
fn is_catalogue(name: &[u8]) -> bool {
    const TABLES: [&str; 25] = [
        "applicable_roles",
        "character_sets",
        "check_constraints",
        "collations",
        "collation_character_set_applicability",
        "columns",
        "columns_extensions",
        "column_privileges",
        "enabled_roles",
        "engines",
        "key_column_usage",
        "keywords",
        "parameters",
        "partitions",
        "referential_constraints",
        "routines",
        "schemata",
        "schema_privileges",
        "statistics",
        "st_geometry_columns",
        "tables",
        "table_constraints",
        "table_privileges",
        "triggers",
        "views",
    ];
    TABLES.iter().any(|table| is(name, table))
}

/// System variables that say which server this is or how far it has replicated.
const SERVER_VARIABLES: [&str; 12] = [
    "aurora_server_id",
    "datadir",
    "event_scheduler",
    "hostname",
    "innodb_read_only",
    "log_bin",
    "port",
    "read_only",
    "server_id",
    "server_uuid",
    "socket",
    "super_read_only",
];

/// Variables that ask what the last statement left, as functions of like names do.
const LEFT_BY_THE_LAST: [(&str, Traits); 5] = [
    ("error_count", Traits::USES_DIAGNOSTICS),
    ("identity", Traits::USES_LAST_INSERT_ID),
    ("last_gtid", Traits::USES_LAST_OF_CONNECTION),
    ("last_insert_id", Traits::USES_LAST_INSERT_ID),
    ("warning_count", Traits::USES_DIAGNOSTICS),
];

fn left_by_the_last(name: &[u8]) -> Traits {
    LEFT_BY_THE_LAST.iter().find(|(known, _)| is(name, known)).map_or(Traits::NONE, |(_, traits)| *traits)
}

/// What it means that `SHOW VARIABLES` names one of those, quotes and all.
pub(in crate::sql) fn shows_what_is_left(pattern: &[u8]) -> Traits {
    let plain: Vec<u8> = pattern.iter().filter(|byte| !b"\\'\"".contains(byte)).copied().collect();
    left_by_the_last(plain.trim_ascii())
}

/// Whether a pattern of `SHOW VARIABLES`, with its quotes, may name one of those that say which server this is. Where `%`
/// comes first, it counts what stands between the first two; what shows everything names nothing.
pub(in crate::sql) fn names_server_variable(pattern: &[u8]) -> bool {
    let pattern = pattern.trim_ascii().get(1..pattern.len().saturating_sub(1)).unwrap_or_default();
    let plain: Vec<u8> = pattern.iter().filter(|byte| **byte != b'\\').map(u8::to_ascii_lowercase).collect();
    let mut parts = plain.split(|byte| *byte == b'%');
    let (head, next) = (parts.next().unwrap_or_default(), parts.next());
    let fits = |name: &[u8]| match next {
        None => name == head,
        Some(_) if !head.is_empty() => name.starts_with(head),
        Some(inner) => !inner.is_empty() && name.windows(inner.len()).any(|part| part == inner),
    };
    SERVER_VARIABLES.iter().any(|name| fits(name.as_bytes()))
        || plain.starts_with(b"gtid")
        || plain.starts_with(b"%gtid")
}

fn starts(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

fn is(name: &[u8], expected: &str) -> bool {
    name.eq_ignore_ascii_case(expected.as_bytes())
}

/// A name without its quotes; doubled quotes inside stay, no name compared here has any.
fn unquoted(name: &[u8]) -> &[u8] {
    match name {
        [b'`', inner @ .., b'`'] | [b'"', inner @ .., b'"'] => inner,
        _ => name,
    }
}
