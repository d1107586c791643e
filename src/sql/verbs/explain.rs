//! `EXPLAIN` and `ANALYZE`.

use super::{query, take_punct, write};
use crate::sql::{Kind, Traits, Why, lexer::Token, scan::Scan, words::Word};

/// `EXPLAIN`: of a query it is a read, of a table too; anything else goes where it would run.
pub(super) fn explain<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    scan.traits |= Traits::SELECTS;
    scan.take(Word::Analyze);
    loop {
        if scan.cur().is(Word::Extended) || scan.cur().is(Word::Partitions) {
            scan.advance();
        } else if scan.cur().is(Word::Format) {
            scan.advance();
            format_name(scan);
        } else {
            break;
        }
    }
    let subject = scan.cur();
    if subject.is(Word::For) {
        scan.advance();
        if scan.cur().is(Word::Connection) {
            scan.traits |= Traits::SERVER_LOCAL;
            return write(scan, Why::ServerLocal);
        }
    }
    if subject.is(Word::With) {
        scan.in_with = true;
    }
    let query = subject.is_punct(b'(')
        || matches!(subject.token, Token::Word(Word::Select | Word::With | Word::Table | Word::Values));
    let table = !query && describes_table(scan);
    match scan.finish() {
        Some(why) => Kind::Write(why),
        None if query || table => Kind::Read,
        None => Kind::Write(Why::Unknown),
    }
}

/// `[db.]table [column]` up to the end.
fn describes_table(scan: &mut Scan<'_>) -> bool {
    if !scan.cur().is_name() {
        return false;
    }
    scan.advance();
    if take_punct(scan, b'.') {
        if !scan.cur().is_name() {
            return false;
        }
        scan.advance();
    }
    if scan.cur().is_name() || scan.cur().token == Token::Text {
        scan.advance();
    }
    scan.clean_end()
}

/// `=name` after `FORMAT`.
fn format_name(scan: &mut Scan<'_>) {
    if take_punct(scan, b'=') && !scan.done() {
        scan.advance();
    }
}

/// MariaDB `ANALYZE [FORMAT=JSON] statement` runs it; otherwise `ANALYZE TABLE`.
pub(super) fn analyze<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    if scan.take(Word::Format) {
        format_name(scan);
    }
    match scan.cur().token {
        Token::Word(Word::Select | Word::With | Word::Values) | Token::Punct(b'(') => query(scan),
        Token::Word(Word::Insert | Word::Replace) => {
            scan.traits |= Traits::SETS_LAST_INSERT_ID;
            write(scan, Why::Insert)
        }
        Token::Word(Word::Update) => write(scan, Why::Update),
        Token::Word(Word::Delete) => write(scan, Why::Delete),
        _ => {
            scan.traits |= Traits::IMPLICIT_COMMIT;
            write(scan, Why::Admin)
        }
    }
}
