//! Transaction control. Anything that is not exactly known here is unknown.

use super::{take_punct, unknown, write};
use crate::sql::{Access, Begin, Completion, Kind, Traits, Why, scan::Scan, words::Word};

pub(super) fn begin<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    scan.take(Word::Work);
    if scan.clean_end() {
        return Kind::Begin(Begin::default());
    }
    // BEGIN NOT ATOMIC .. END: everything up to the last `;` belongs to it.
    scan.traits |= Traits::CALLS_STORED_CODE | Traits::STORED_PROGRAM;
    scan.finish_all();
    Kind::Write(Why::Unknown)
}

pub(super) fn start_something<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    if !scan.take(Word::Transaction) {
        scan.traits |= Traits::IMPLICIT_COMMIT; // START REPLICA, START GROUP_REPLICATION
        return write(scan, Why::Admin);
    }
    let mut begin = Begin::default();
    while !scan.clean_end() {
        if scan.take(Word::Read) {
            begin.access = if scan.take(Word::Only) {
                Some(Access::ReadOnly)
            } else if scan.take(Word::Write) {
                Some(Access::ReadWrite)
            } else {
                return unknown(scan);
            };
        } else if scan.take(Word::With) && scan.take(Word::Consistent) && scan.take(Word::Snapshot) {
            begin.consistent_snapshot = true;
        } else {
            return unknown(scan);
        }
        if !scan.clean_end() && !take_punct(scan, b',') {
            return unknown(scan);
        }
    }
    Kind::Begin(begin)
}

pub(super) fn rollback<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    if let Some(options) = completion(scan) {
        return Kind::Rollback(options);
    }
    if scan.take(Word::To) {
        scan.take(Word::Savepoint);
        return savepoint_name(scan);
    }
    unknown(scan)
}

/// `[WORK] [AND [NO] CHAIN] [[NO] RELEASE]` up to the end of the statement.
pub(super) fn completion(scan: &mut Scan<'_>) -> Option<Completion> {
    let mut options = Completion::default();
    scan.take(Word::Work);
    if scan.take(Word::And) {
        options.chain = Some(!scan.take(Word::No));
        if !scan.take(Word::Chain) {
            return None;
        }
    }
    let no = scan.take(Word::No);
    if scan.take(Word::Release) {
        options.release = Some(!no);
    } else if no {
        return None;
    }
    // A chain that ends the session is nonsense, and no server takes it.
    let sensible = !(options.chain == Some(true) && options.release == Some(true));
    (sensible && scan.clean_end()).then_some(options)
}

pub(super) fn savepoint_name<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    if scan.cur().is_name() {
        scan.advance();
        if scan.clean_end() {
            return Kind::Savepoint;
        }
    }
    unknown(scan)
}
