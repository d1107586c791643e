//! What a statement does, read from its bytes alone.
//!
//! [`classify`] answers the questions routing and multiplexing depend on: may this text run on a
//! replica, what session state does it read or change, is it one statement or several. It is a
//! byte lexer plus one pass over the tokens; it does not build a syntax tree and does not validate.
//!
//! Invariants:
//! * A statement that could change anything on MySQL or MariaDB is never [`Kind::Read`]. A read
//!   taken for a write costs a round trip; the opposite loses data. What is not understood is
//!   [`Why::Unknown`].
//! * Executable comments (`/*!`, `/*M!`) are code. Where the server's version decides whether they
//!   run, both readings must agree, or the result is [`Why::Unknown`].
//! * No input panics, and reads and plain writes allocate nothing.
//!
//! Out of reach of the text, and therefore not claimed: what views, triggers and the bodies of
//! stored programs do, and `sql_mode=ORACLE` grammar.

mod declared;
mod digest;
mod fingerprint;
mod functions;
mod hint;
mod lexer;
mod scan;
mod set;
mod show;
mod statement;
mod tables;
#[cfg(test)]
mod tests;
mod trace;
mod traits;
mod verbs;
mod words;

pub use declared::ReadFunctions;
pub use digest::digest;
pub use fingerprint::fingerprint;
pub use hint::{Hint, HintKey, Target as HintTarget, Transactions};
pub use set::{
    Access, Assignment, Isolation, Target, TransactionScope, Value, ValueClass, VariableScope, is_untracked,
};
pub use statement::{Begin, Completion, Kind, Mode, Parts, Semicolons, Statement, Why};
pub use tables::{TableName, tables};
pub use trace::traceparent;
pub use traits::Traits;

use declared::Declared;
use memchr::{memchr, memchr2_iter};
use scan::Scan;
use std::sync::Arc;

/// Classifies the text of one `COM_QUERY` or `COM_STMT_PREPARE`.
#[must_use]
pub fn classify(sql: &[u8], mode: Mode) -> Statement<'_> {
    classify_with(sql, mode, None)
}

/// As [`classify`], in a session with this schema, where calls of declared functions do not keep a query from being
/// a [`Kind::Read`]. What else a statement is does not change.
#[must_use]
pub fn classify_knowing<'a>(
    sql: &'a [u8],
    mode: Mode,
    functions: &Arc<ReadFunctions>,
    schema: Option<&[u8]>,
) -> Statement<'a> {
    let statement = classify(sql, mode);
    // Behind another statement of the same text the schema may be another one.
    let calls = statement.kind == Kind::Write(Why::UserFunction) && statement.parts == Parts::Single;
    if functions.is_empty() || !calls {
        return statement;
    }
    let declared = Declared { functions: functions.clone(), schema: schema.map(<[u8]>::to_vec) };
    let knowing = classify_with(sql, mode, Some(&declared));
    if knowing.is_read() { knowing } else { statement }
}

fn classify_with<'a>(sql: &'a [u8], mode: Mode, declared: Option<&Declared>) -> Statement<'a> {
    let semicolons = if semicolon_free(sql) { Semicolons::None } else { Semicolons::Between };
    // A quote or backslash byte may be half of a character: token borders are unknowable.
    // No server accepts a packet of 4 GiB.
    if (mode.ambiguous_charset && !sql.is_ascii()) || u32::try_from(sql.len()).is_err() {
        let mut statement = Statement::unknown(semicolons);
        if mentions_infile(sql) {
            statement.traits |= Traits::MAY_ASK_FOR_FILE;
        }
        return statement;
    }
    let (mut statement, uncertain) = read(sql, mode, semicolons, false, declared);
    if uncertain > 0 {
        let (other, _) = read(sql, mode, semicolons, true, declared);
        reconcile(&mut statement, &other, uncertain);
    }
    if statement.kind == Kind::Write(Why::Unknown) {
        statement.traits |= Traits::OPAQUE;
    }
    let is_hidden = statement.kind == Kind::Write(Why::Unknown) || statement.traits.contains(Traits::STORED_PROGRAM);
    // What is executed by name may stand in another text; MySQL prepares nothing that asks for a file.
    let is_elsewhere = mode.mariadb && statement.traits.contains(Traits::SQL_EXECUTE);
    if is_elsewhere || (is_hidden && mentions_infile(sql)) {
        statement.traits |= Traits::MAY_ASK_FOR_FILE;
    }
    if statement.traits.contains(Traits::RELEASES_ALL_NAMED_LOCKS) && !surely_releases_all(sql) {
        statement.traits = statement.traits.without(Traits::RELEASES_ALL_NAMED_LOCKS) | Traits::RELEASES_NAMED_LOCK;
    }
    statement
}

/// One reading of the text; the count is that of comments only some servers execute.
fn read<'a>(
    sql: &'a [u8],
    mode: Mode,
    semicolons: Semicolons,
    skip: bool,
    declared: Option<&Declared>,
) -> (Statement<'a>, u32) {
    let mut scan = Scan::new(sql, mode, skip, declared);
    let mut whole: Option<Kind<'_>> = None;
    let mut parts = Parts::Empty;
    let mut first_traits = Traits::NONE;
    // Empty statements are an error on the server, so a doubled `;` may be skipped here: whatever
    // follows it is either classified like any other part or never runs.
    while scan.next_statement() {
        let kind = verbs::statement(&mut scan);
        (parts, whole) = match whole.take() {
            None => {
                first_traits = scan.traits;
                (Parts::Single, Some(kind))
            }
            Some(first) => (Parts::Multi, Some(merge(&mut scan, &first, &kind))),
        };
    }
    let one = scan.separator().is_none_or(|at| only_semicolons(sql.get(at as usize..).unwrap_or_default()));
    let in_tokens = semicolons == Semicolons::Between && one && !scan.broken() && scan.uncertain() == 0;
    let statement = Statement {
        kind: if scan.broken() { Kind::Write(Why::Unknown) } else { whole.unwrap_or(Kind::Empty) },
        // Of several statements only the first may have been free of tables.
        traits: if parts == Parts::Multi { scan.traits.without(Traits::TABLE_FREE) } else { scan.traits },
        first: if parts == Parts::Multi { first_traits } else { scan.traits },
        hint: scan.hint(),
        parts: if scan.spilled { Parts::Multi } else { parts },
        semicolons: if in_tokens { Semicolons::InTokens } else { semicolons },
    };
    (statement, scan.uncertain())
}

/// Several statements take the strongest need; all of them must be reads for the whole to be one.
fn merge<'a>(scan: &mut Scan<'a>, first: &Kind<'a>, next: &Kind<'a>) -> Kind<'a> {
    for kind in [first, next] {
        match kind {
            Kind::Set(assignments) => {
                scan.traits |= Traits::CHANGES_SESSION;
                if !assignments.iter().all(Assignment::is_tracked) {
                    scan.traits |= Traits::SETS_UNTRACKED;
                }
            }
            Kind::Use(_) => scan.traits |= Traits::CHANGES_SESSION,
            Kind::Begin(_) | Kind::Commit(_) | Kind::Rollback(_) | Kind::Savepoint => {
                scan.traits |= Traits::CONTROLS_TRANSACTION;
            }
            Kind::Read | Kind::Write(_) | Kind::Empty => {}
        }
    }
    match (first, next) {
        (Kind::Read, Kind::Read) => Kind::Read,
        (Kind::Write(Why::Unknown), _) | (_, Kind::Write(Why::Unknown)) => Kind::Write(Why::Unknown),
        _ => Kind::Write(Why::Multi),
    }
}

/// Joins the reading with conditional comments as code and the one without them.
fn reconcile<'a>(with: &mut Statement<'a>, without: &Statement<'a>, uncertain: u32) {
    let table_free = with.traits.contains(Traits::TABLE_FREE) && without.traits.contains(Traits::TABLE_FREE);
    with.traits |= without.traits | Traits::EXECUTABLE_COMMENT;
    with.first |= without.first | Traits::EXECUTABLE_COMMENT;
    if !table_free {
        with.traits = with.traits.without(Traits::TABLE_FREE);
    }
    if without.parts == Parts::Multi {
        with.parts = Parts::Multi;
    }
    // With two conditional comments there are readings in between that neither pass has seen.
    let settled = uncertain == 1;
    let write = match (&with.kind, &without.kind) {
        (Kind::Read, Kind::Read | Kind::Empty) if settled => return,
        (Kind::Write(why), Kind::Read | Kind::Empty) | (Kind::Read | Kind::Empty, Kind::Write(why)) => *why,
        (Kind::Write(a), Kind::Write(b)) if a == b => *a,
        (a, b) if settled && a == b => return,
        _ => Why::Unknown,
    };
    with.kind = Kind::Write(write);
}

/// Whether a text calls `RELEASE_ALL_LOCKS()` and does nothing else: in a larger statement it need not be reached.
fn surely_releases_all(sql: &[u8]) -> bool {
    let letters: Vec<u8> = sql.iter().filter(|byte| !lexer::is_space(**byte)).map(u8::to_ascii_uppercase).collect();
    let letters = letters.strip_suffix(b";").unwrap_or(&letters);
    [&b"SELECTRELEASE_ALL_LOCKS()"[..], b"DORELEASE_ALL_LOCKS()"].contains(&letters)
}

/// Whether a text may have the keyword without which no server asks for a file.
fn mentions_infile(sql: &[u8]) -> bool {
    // By its rarest letter: such texts may be long, and most of that no words.
    let is_it = |at: usize| sql.get(at..at + 6).is_some_and(|word| word.eq_ignore_ascii_case(b"INFILE"));
    memchr2_iter(b'F', b'f', sql).any(|at| at.checked_sub(2).is_some_and(is_it))
}

/// True if every `;` belongs to the trailing run of `;` and white space.
fn semicolon_free(sql: &[u8]) -> bool {
    memchr(b';', sql).is_none_or(|first| only_semicolons(sql.get(first..).unwrap_or_default()))
}

fn only_semicolons(text: &[u8]) -> bool {
    text.iter().all(|&byte| byte == b';' || lexer::is_space(byte))
}
