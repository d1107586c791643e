//! What a `SET` does to what a session remembers. Pure.

use super::binding::Characteristics;
use crate::protocol::track::{Change, Changes};
use crate::sql::{Access, Assignment, Isolation, Target, TransactionScope, ValueClass, VariableScope, is_untracked};
use crate::state::{SessionState, literal, quote_identifier};

/// How a `SET` changes what the session remembers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// To this.
    Known(SessionState),
    /// To this, plus what the server reports these variables to be.
    Reported(SessionState, Vec<Vec<u8>>),
    /// It cannot be repeated elsewhere.
    Unknown,
}

/// What `SET CHARACTER SET` decides, in an order in which it can be set again.
const CHARSET_OF_SCHEMA: [&[u8]; 3] = [b"character_set_client", b"character_set_results", b"collation_connection"];

/// What is larger is not carried from connection to connection, in bytes: the session keeps one.
const LARGEST_STATE: usize = 64 * 1024;

/// What these assignments do to `state`.
///
/// `default` is what `DEFAULT` means for a variable at the primary: other servers' defaults differ.
pub(super) fn effect(
    state: &SessionState,
    assignments: &[Assignment<'_>],
    default: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Effect {
    let mut state = state.clone();
    let mut reported = Vec::new();
    let sets_charset = assignments.iter().any(|assignment| match &assignment.target {
        Target::Names { .. } | Target::CharacterSet => true,
        Target::Variable { name, .. } => is_charset_variable(name),
        _ => false,
    });
    for Assignment { target, value } in assignments {
        let text = match value.class {
            ValueClass::Literal => portable(value.text),
            ValueClass::Default => match target {
                Target::Variable { name, .. } => default(name).or_else(|| portable(value.text)),
                Target::Names { .. } => default(b"names").or_else(|| portable(value.text)),
                _ => portable(value.text),
            },
            ValueClass::Session | ValueClass::Other => None,
        };
        match (target, text) {
            // All literals of a SET are read before the first of its assignments.
            (Target::User(_), _) if sets_charset => return Effect::Unknown,
            (Target::Variable { scope: VariableScope::Session, name }, _) if is_untracked(name) => {
                return Effect::Unknown;
            }
            // It makes `id IS NULL` ask for what only the connection of the last INSERT knows.
            (Target::Variable { name, .. }, text)
                if name.eq_ignore_ascii_case(b"sql_auto_is_null") && !text.as_deref().is_some_and(is_off) =>
            {
                return Effect::Unknown;
            }
            // Given as numbers, these could not be understood when statements are read.
            (Target::Variable { name, .. }, Some(text)) if decides_reading(name) && !is_word(&text) => {
                return Effect::Unknown;
            }
            (Target::Variable { name, .. }, text)
                if name.eq_ignore_ascii_case(b"autocommit") && !text.as_deref().is_some_and(is_boolean) =>
            {
                return Effect::Unknown;
            }
            // A user variable keeps the character set it was assigned in.
            (Target::Variable { name, .. }, _) if is_charset_variable(name) && state.has_user_variables() => {
                return Effect::Unknown;
            }
            (Target::Variable { scope: VariableScope::Session, name }, Some(text)) => state.set_variable(name, &text),
            (Target::Variable { scope: VariableScope::Session, name }, None) if value.class == ValueClass::Session => {
                reported.push(name.to_ascii_lowercase());
            }
            (Target::User(name), Some(text)) if value.class == ValueClass::Literal => {
                state.set_user_variable(&[b"@", &quote_identifier(name)[..]].concat(), &text);
            }
            (Target::Names { .. } | Target::CharacterSet, _) if state.has_user_variables() => return Effect::Unknown,
            // The character set of the connection becomes that of the schema: only a server knows it.
            (Target::CharacterSet, _) => reported.extend(CHARSET_OF_SCHEMA.map(<[u8]>::to_vec)),
            (Target::Names { collation }, Some(text)) => {
                let mut item = [b"NAMES ", &text[..]].concat();
                if let Some(collation) = collation {
                    item.extend_from_slice(b" COLLATE ");
                    item.extend_from_slice(&quote_identifier(collation));
                }
                state.set_names(&item);
            }
            (Target::Transaction { scope: TransactionScope::Session, isolation, access }, _) => {
                set_transaction(&mut state, *isolation, *access);
            }
            _ => return Effect::Unknown,
        }
    }
    if state.size() > LARGEST_STATE {
        return Effect::Unknown;
    }
    if reported.is_empty() { Effect::Known(state) } else { Effect::Reported(state, reported) }
}

/// Whether a variable decides how the text of later statements is read.
fn decides_reading(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    name == b"sql_mode" || name == b"character_set_client"
}

fn is_charset_variable(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with(b"character_set_") || name == b"collation_connection"
}

/// Whether a literal plainly says on or off.
fn is_boolean(text: &[u8]) -> bool {
    const PLAIN: [&[u8]; 8] = [b"0", b"1", b"ON", b"OFF", b"TRUE", b"FALSE", b"'ON'", b"'OFF'"];
    PLAIN.iter().any(|plain| text.eq_ignore_ascii_case(plain))
}

/// Whether a literal plainly says off.
fn is_off(text: &[u8]) -> bool {
    [&b"0"[..], b"OFF", b"FALSE", b"'OFF'"].iter().any(|off| text.eq_ignore_ascii_case(off))
}

/// Whether a literal is a word or a string that shows what it says, such as `utf8mb4`: neither a number nor `x'67626B'`.
fn is_word(text: &[u8]) -> bool {
    match text {
        [b'\'', inner @ .., b'\''] => !inner.contains(&b'\''),
        [first, ..] => first.is_ascii_alphabetic() && text.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_'),
        [] => false,
    }
}

fn set_transaction(state: &mut SessionState, isolation: Option<Isolation>, access: Option<Access>) {
    if let Some(isolation) = isolation {
        let statement = [b"SET SESSION TRANSACTION ISOLATION LEVEL ", isolation.as_sql()].concat();
        state.set_statement(b"transaction_isolation", &statement);
    }
    if let Some(access) = access {
        let statement = [b"SET SESSION TRANSACTION ", access.as_sql()].concat();
        state.set_statement(b"transaction_read_only", &statement);
    }
}

/// A literal's text in a form that means the same whatever `sql_mode` is in force when it is used.
fn portable(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii();
    if text.iter().any(|b| matches!(b, b'\\' | 0 | b';')) {
        return None;
    }
    match text {
        [b'"', inner @ .., b'"'] if inner.iter().any(|b| matches!(b, b'"' | b'\'')) => None,
        [b'"', inner @ .., b'"'] => Some([b"'", inner, b"'"].concat()),
        _ => Some(text.to_vec()),
    }
}

/// What a `SET TRANSACTION` says of the next transaction, if that is all there is.
pub(super) fn of_next_transaction(assignments: &[Assignment<'_>]) -> Option<Characteristics> {
    match assignments {
        [Assignment { target: Target::Transaction { scope: TransactionScope::Next, isolation, access }, .. }] => {
            Some(Characteristics { isolation: *isolation, access: *access })
        }
        _ => None,
    }
}

/// Whether an assignment concerns the server and no session of today.
pub(super) fn is_global(assignment: &Assignment<'_>) -> bool {
    let of_variable = matches!(assignment.target, Target::Variable { scope: VariableScope::Global, .. });
    of_variable || matches!(assignment.target, Target::Transaction { scope: TransactionScope::Global, .. })
}

/// What becomes of a `SET` in a session that holds no connection: foretold, as nobody has been asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Remembered for the next transaction.
    NextTransaction,
    /// It runs on the primary, and is over.
    Global,
    /// Checked by a server nearby, remembered, and set again wherever it is needed.
    Carried,
    /// As [`Fate::Carried`], with the value that the server tells.
    Told,
    /// Only one connection can know it.
    Stays,
}

impl Fate {
    /// Whether only one connection knows afterwards what was set; `held`: the session holds one already.
    pub fn stays(self, held: bool) -> bool {
        match self {
            Self::Global | Self::Carried => false,
            Self::NextTransaction | Self::Told => held,
            Self::Stays => true,
        }
    }
}

/// Foretells it.
pub fn fate(assignments: &[Assignment<'_>]) -> Fate {
    if of_next_transaction(assignments).is_some() {
        return Fate::NextTransaction;
    }
    if assignments.iter().all(is_global) {
        return Fate::Global;
    }
    match effect(&SessionState::default(), assignments, |_| None) {
        Effect::Known(_) => Fate::Carried,
        Effect::Reported(..) => Fate::Told,
        Effect::Unknown => Fate::Stays,
    }
}

/// Whether a `SET` is about what a connection has from its beginning to its end, and no login changes.
pub(super) fn concerns_connections(assignments: &[Assignment<'_>]) -> bool {
    assignments.iter().any(|assignment| {
        matches!(&assignment.target, Target::Variable { name, .. }
            if name.eq_ignore_ascii_case(b"max_allowed_packet") || name.eq_ignore_ascii_case(b"net_buffer_length"))
    })
}

/// Whether a `SET` is about transactions, the present one among them.
pub(super) fn concerns_transactions(assignments: &[Assignment<'_>]) -> bool {
    const NAMES: [&[u8]; 5] =
        [b"autocommit", b"transaction_isolation", b"transaction_read_only", b"tx_isolation", b"tx_read_only"];
    assignments.iter().any(|assignment| match &assignment.target {
        Target::Transaction { .. } => true,
        Target::Variable { name, .. } => NAMES.contains(&&name.to_ascii_lowercase()[..]),
        _ => false,
    })
}

/// Adds what the server reported of `names`; returns those it did not tell.
pub(super) fn add_reported(state: &mut SessionState, changes: &[u8], names: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut untold = Vec::new();
    for name in names {
        let mut found = None;
        Changes::new(changes).for_each(|change| {
            if let Change::SystemVariable { name: changed, value } = change
                && changed.eq_ignore_ascii_case(name)
            {
                found = literal(value);
            }
        });
        match found {
            Some(value) => state.set_variable(name, &value),
            None => untold.push(name.clone()),
        }
    }
    untold
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Kind, Mode, classify};

    fn of(state: &SessionState, sql: &str) -> Effect {
        match classify(sql.as_bytes(), Mode::default()).kind {
            Kind::Set(assignments) => effect(state, &assignments, |_| None),
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn what_can_be_repeated_is_known() {
        let none = SessionState::default();
        for sql in [
            "SET sql_mode = 'ANSI', time_zone = '+01:00'",
            "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
            "SET SESSION TRANSACTION READ ONLY",
            "SET autocommit = OFF",
            "SET SQL_AUTO_IS_NULL = 0",
            "SET @x = 'a', @y = 1",
        ] {
            assert!(matches!(of(&none, sql), Effect::Known(_)), "{sql}");
        }
        let mode = of(&none, "SET sql_mode = CONCAT(@@sql_mode, ',ANSI')");
        assert!(matches!(mode, Effect::Reported(_, names) if names == [b"sql_mode".to_vec()]));
        assert!(matches!(of(&none, "SET CHARACTER SET latin1"), Effect::Reported(_, names) if names.len() == 3));
    }

    #[test]
    fn what_cannot_be_repeated_is_not() {
        let mut with_variable = SessionState::default();
        with_variable.set_user_variable(b"@`x`", b"'a'");
        for sql in [
            "SET @x = NOW()",
            "SET insert_id = 7",
            "SET sql_auto_is_null = 1",
            "SET completion_type = 1",
            "SET ROLE r",
            "SET sql_mode = 4",
            "SET sql_mode = x'4E4F5F4241434B534C4153485F45534341504553'",
            "SET character_set_client = x'67626B'",
            "SET sql_mode = b'1'",
            "SET NAMES latin1, @y = 'a'",
            "SET @y = 'a', collation_connection = 'utf8mb4_bin'",
            "SET system_versioning_asof = '2024-06-01 00:00:00'",
            "SET autocommit = DEFAULT",
            "SET @@transaction_isolation = 'SERIALIZABLE'",
            "SET sql_mode = 'a;b'",
        ] {
            assert_eq!(of(&SessionState::default(), sql), Effect::Unknown, "{sql}");
        }
        let large = format!("SET @x = '{}'", "x".repeat(LARGEST_STATE));
        assert_eq!(of(&SessionState::default(), &large), Effect::Unknown);
        // A user variable keeps the character set it was assigned in.
        assert_eq!(of(&with_variable, "SET NAMES latin1"), Effect::Unknown);
        assert_eq!(of(&with_variable, "SET character_set_connection = latin1"), Effect::Unknown);
    }
}
