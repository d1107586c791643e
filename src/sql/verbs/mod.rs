//! From the first words of a statement to its kind.
//!
//! Each function starts on the token after the verb it is named for and consumes the statement.

mod explain;
mod primary;
mod transaction;

use super::{Kind, Traits, Why, lexer::Token, scan::Scan, set, show, words::Word};
use explain::{analyze, explain};
use transaction::{begin, completion, rollback, savepoint_name, start_something};

/// Classifies the statement the scan stands on and moves behind it.
pub(super) fn statement<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    if scan.cur().is_punct(b'(') {
        return parenthesised(scan);
    }
    let Token::Word(verb) = scan.cur().token else { return write(scan, Why::Unknown) };
    if verb == Word::With {
        scan.in_with = true;
    }
    let start = scan.cur().start;
    scan.advance();
    match verb {
        Word::Values => values(scan),
        Word::Select | Word::With | Word::Table => query(scan),
        Word::Insert | Word::Replace => insert(scan),
        Word::Update => write(scan, Why::Update),
        Word::Delete => write(scan, Why::Delete),
        Word::Set => set_statement(scan, start),
        Word::Use => use_schema(scan),
        Word::Begin => begin(scan),
        Word::Start => start_something(scan),
        Word::Commit => completion(scan).map_or_else(|| unknown(scan), Kind::Commit),
        Word::Rollback => rollback(scan),
        Word::Savepoint => savepoint_name(scan),
        Word::Release if scan.take(Word::Savepoint) => savepoint_name(scan),
        Word::Show => show::statement(scan),
        Word::Explain | Word::Describe | Word::Desc => explain(scan),
        Word::Analyze => analyze(scan),
        Word::Help => scan.finish().map_or(Kind::Read, Kind::Write),
        _ => primary::statement(scan, verb),
    }
}

/// Consumes the statement; unreadable text is never more than unknown.
fn write<'a>(scan: &mut Scan<'a>, why: Why) -> Kind<'a> {
    match scan.finish() {
        Some(Why::Unknown) => Kind::Write(Why::Unknown),
        _ => Kind::Write(why),
    }
}

fn unknown<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    write(scan, Why::Unknown)
}

/// `SELECT`, `TABLE`, `VALUES`, or `WITH` before any of these or before DML.
fn query<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    scan.traits |= Traits::SELECTS;
    let Some(why) = scan.finish() else {
        if !scan.reads_tables() {
            scan.traits |= Traits::TABLE_FREE;
        }
        return Kind::Read;
    };
    if matches!(why, Why::Insert | Why::Call) {
        scan.traits |= Traits::SETS_LAST_INSERT_ID;
    }
    Kind::Write(why)
}

/// MariaDB finds fewer rows than it sends.
fn values<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    scan.traits |= Traits::SKIPS_ROWS;
    query(scan)
}

fn parenthesised<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    while scan.cur().is_punct(b'(') {
        scan.advance();
    }
    match scan.cur().token {
        Token::Word(Word::Values) => values(scan),
        Token::Word(Word::Select | Word::With | Word::Table) => query(scan),
        _ => unknown(scan),
    }
}

fn insert<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    scan.traits |= Traits::SETS_LAST_INSERT_ID;
    // The first `(` after the table's name holds columns and must not look like a call.
    scan.column_list = true;
    while !scan.done() && !scan.cur().is_punct(b'(') && !scan.cur().is(Word::Select) {
        if scan.cur().is(Word::Set) || scan.cur().is(Word::Values) || scan.cur().is(Word::Value) {
            break;
        }
        scan.advance();
    }
    scan.column_list = false;
    write(scan, Why::Insert)
}

/// `SET`; `start` is the offset of that word.
fn set_statement<'a>(scan: &mut Scan<'a>, start: u32) -> Kind<'a> {
    if scan.cur().is(Word::Statement) {
        scan.advance();
        // `SET STATEMENT = ..` would be a variable of that name.
        if scan.cur().is_name() {
            return set_for_one_statement(scan);
        }
    }
    if scan.cur().token == Token::UserVariable {
        scan.traits |= Traits::ASSIGNS_USER_VARIABLE;
    }
    if scan.cur().is(Word::Default) {
        // `SET DEFAULT ROLE`
        scan.traits |= Traits::CHANGES_ACCOUNTS;
    }
    scan.finish();
    if !scan.clean_end() {
        return Kind::Write(Why::Unknown);
    }
    let lexer = scan.lexer();
    let text = lexer.slice(start, scan.prev().end);
    let Some(assignments) = set::parse(text, lexer.mode(), lexer.skips_uncertain()) else {
        return Kind::Write(Why::Unknown);
    };
    if assignments.iter().any(|one| matches!(one.target, set::Target::User(_))) {
        scan.traits |= Traits::ASSIGNS_USER_VARIABLE;
    }
    Kind::Set(assignments)
}

/// MariaDB: `SET STATEMENT a=1, b=2 FOR statement`.
fn set_for_one_statement<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    scan.traits |= Traits::SET_STATEMENT;
    while !scan.done() {
        if scan.cur().is(Word::For) && scan.depth == 0 {
            break;
        }
        scan.advance();
    }
    // Nested ones are not worth a recursion that a client could drive deep.
    if !scan.take(Word::For) || scan.done() || scan.cur().is(Word::Set) {
        return unknown(scan);
    }
    match statement(scan) {
        kind @ (Kind::Read | Kind::Write(_)) => kind,
        _ => Kind::Write(Why::Unknown),
    }
}

fn use_schema<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    let (name, lexeme) = (scan.text(scan.cur()), scan.cur());
    if !lexeme.is_name() {
        return unknown(scan);
    }
    scan.advance();
    if scan.clean_end() { Kind::Use(set::name(name)) } else { unknown(scan) }
}

fn take_punct(scan: &mut Scan<'_>, byte: u8) -> bool {
    let hit = scan.cur().is_punct(byte);
    if hit {
        scan.advance();
    }
    hit
}
