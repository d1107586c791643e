//! `SET`: which variables, in which scope, to what sort of value.
//!
//! A `GLOBAL`/`SESSION` keyword applies to the assignments after it that have none of their own,
//! up to the next such keyword; an `@@global.` prefix applies to its own assignment only. Measured
//! on MariaDB and documented for MySQL.

use std::borrow::Cow;

mod parser;
mod value;

use super::{Mode, lexer::Lexer, words::Word};
use parser::Parser;

/// One assignment of a `SET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// What is set.
    pub target: Target<'a>,
    /// To what.
    pub value: Value<'a>,
}

impl Assignment<'_> {
    /// Whether a server's session tracker tells the whole of its effect.
    pub(super) fn is_tracked(&self) -> bool {
        match &self.target {
            // What servers report of a time that is the present again is that moment.
            Target::Variable { scope: VariableScope::Session, name } => {
                !is_untracked(name) && !name.eq_ignore_ascii_case(b"timestamp")
            }
            Target::Variable { scope: VariableScope::Global, .. } => true,
            // Character sets are tracked, but not the collation that goes with them; see there.
            Target::Names { .. } | Target::CharacterSet => true,
            Target::Transaction { scope, .. } => *scope != TransactionScope::Next,
            Target::User(_) | Target::Other => false,
        }
    }
}

/// Variables whose value is used up, that decide what other assignments mean or how transactions
/// end, or that Landbridge itself relies on: a session that sets one keeps its connection.
#[must_use]
pub fn is_untracked(name: &[u8]) -> bool {
    const UNTRACKED: [&[u8]; 20] = [
        b"character_set_collations",
        // Every `USE` assigns these two.
        b"character_set_database",
        b"collation_database",
        b"completion_type",
        b"default_collation_for_utf8mb4",
        b"gtid_next",
        b"gtid_seq_no",
        b"identity",
        b"insert_id",
        b"last_insert_id",
        b"old_mode",
        b"optimizer_trace",
        b"profiling",
        b"pseudo_replica_mode",
        b"pseudo_slave_mode",
        b"pseudo_thread_id",
        b"rand_seed1",
        b"rand_seed2",
        b"sql_log_bin",
        // A time, read in the time zone of the moment.
        b"system_versioning_asof",
    ];
    let name = name.to_ascii_lowercase();
    name.starts_with(b"session_track_") || UNTRACKED.contains(&&name[..])
}

/// What an assignment sets. Names are unquoted and keep their case; they compare ASCII
/// case-insensitively.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A system variable; anything but [`VariableScope::Session`] must run on the primary
    /// ([`Why::Admin`](super::Why::Admin)).
    Variable {
        /// Session or server-wide.
        scope: VariableScope,
        /// `sql_mode`, or `cache.key_buffer_size`.
        name: Cow<'a, [u8]>,
    },
    /// `@name`.
    User(Cow<'a, [u8]>),
    /// `NAMES`; the value is the character set.
    Names {
        /// `COLLATE`, if given.
        collation: Option<Cow<'a, [u8]>>,
    },
    /// `CHARACTER SET`, `CHARSET`.
    CharacterSet,
    /// `[SESSION|GLOBAL] TRANSACTION ..`; the value is the text of its characteristics.
    Transaction {
        /// For which transactions.
        scope: TransactionScope,
        /// `ISOLATION LEVEL ..`.
        isolation: Option<Isolation>,
        /// `READ ONLY`, `READ WRITE`.
        access: Option<Access>,
    },
    /// `PASSWORD`, `ROLE`, `DEFAULT ROLE`, `RESOURCE GROUP`: the whole rest is the value.
    Other,
}

/// Where a system variable is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableScope {
    /// This session.
    Session,
    /// `GLOBAL`, `PERSIST` or `PERSIST_ONLY`.
    Global,
}

/// Which transactions a `SET TRANSACTION` is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionScope {
    /// The next one only.
    Next,
    /// All later ones of the session.
    Session,
    /// Those of later sessions.
    Global,
}

/// A transaction isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// `READ UNCOMMITTED`
    ReadUncommitted,
    /// `READ COMMITTED`
    ReadCommitted,
    /// `REPEATABLE READ`
    RepeatableRead,
    /// `SERIALIZABLE`
    Serializable,
}

impl Isolation {
    /// The one that a text names, as the value of a variable or in a `SET TRANSACTION`.
    #[must_use]
    pub fn named_in(text: &[u8]) -> Option<Self> {
        let upper = text.to_ascii_uppercase();
        let spaced: Vec<u8> = upper.into_iter().map(|byte| if byte == b'-' { b' ' } else { byte }).collect();
        let text = spaced.strip_suffix(b"'").unwrap_or(&spaced);
        [Self::ReadUncommitted, Self::ReadCommitted, Self::RepeatableRead, Self::Serializable]
            .into_iter()
            .find(|level| text.ends_with(level.as_sql()))
    }

    /// Its words in SQL.
    #[must_use]
    pub fn as_sql(self) -> &'static [u8] {
        match self {
            Self::ReadUncommitted => b"READ UNCOMMITTED",
            Self::ReadCommitted => b"READ COMMITTED",
            Self::RepeatableRead => b"REPEATABLE READ",
            Self::Serializable => b"SERIALIZABLE",
        }
    }
}

/// A transaction's access mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `READ ONLY`
    ReadOnly,
    /// `READ WRITE`
    ReadWrite,
}

impl Access {
    /// Its words in SQL.
    #[must_use]
    pub fn as_sql(self) -> &'static [u8] {
        match self {
            Self::ReadOnly => b"READ ONLY",
            Self::ReadWrite => b"READ WRITE",
        }
    }
}

/// The right-hand side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// Its source text.
    pub text: &'a [u8],
    /// What may be done with it.
    pub class: ValueClass,
}

/// How far a value can be repeated elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueClass {
    /// A number, a string, or a word such as `ON` or `utf8mb4`.
    Literal,
    /// `DEFAULT`.
    Default,
    /// Follows from literals and system variables alone: `CONCAT(@@sql_mode, ',ANSI')`.
    Session,
    /// Anything else: only the connection that ran it knows the value.
    Other,
}

/// Parses one `SET` statement; `None` if it is not understood.
pub(super) fn parse(text: &[u8], mode: Mode, skip: bool) -> Option<Vec<Assignment<'_>>> {
    let mut lexer = Lexer::new(text, mode, skip);
    let cur = lexer.next();
    let mut parser = Parser { lexer, cur, prev_end: 0, sticky: VariableScope::Session };
    if !parser.take(Word::Set) {
        return None;
    }
    parser.list()
}

/// A name without its quotes.
pub(super) fn name(text: &[u8]) -> Cow<'_, [u8]> {
    let (quote, inner) = match text {
        [quote @ (b'`' | b'"' | b'\''), inner @ .., _] => (*quote, inner),
        _ => return Cow::Borrowed(text),
    };
    if !inner.contains(&quote) {
        return Cow::Borrowed(inner);
    }
    let mut plain = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        plain.push(byte);
        if byte == quote {
            bytes.next(); // quotes inside come in pairs
        }
    }
    Cow::Owned(plain)
}
