//! Statements that are a write whatever follows the verb.

use super::write;
use crate::sql::{Kind, Traits, Why, lexer::Token, scan::Scan, words::Word};

/// `verb` is consumed; what is not listed is unknown.
pub(super) fn statement<'a>(scan: &mut Scan<'a>, verb: Word) -> Kind<'a> {
    scan.defining = matches!(verb, Word::Create | Word::Alter | Word::Drop | Word::Grant);
    let (why, traits) = match verb {
        Word::Create => return create(scan),
        Word::Alter => return alter(scan),
        Word::Drop => return drop_object(scan),
        Word::Truncate => (Why::Ddl, Traits::IMPLICIT_COMMIT),
        Word::Rename => (Why::Ddl, Traits::IMPLICIT_COMMIT | account(scan)),
        Word::Call => (Why::Call, Traits::SETS_LAST_INSERT_ID | Traits::CALLS_STORED_CODE),
        Word::Do => (Why::Do, Traits::NONE),
        Word::Load => return load(scan),
        Word::Handler => return handler(scan),
        Word::Xa => (Why::Xa, Traits::XA),
        Word::Prepare => (Why::SqlPrepare, Traits::SQL_PREPARE),
        Word::Execute => (Why::SqlPrepare, Traits::SQL_EXECUTE | Traits::OPAQUE),
        Word::Deallocate => (Why::SqlPrepare, Traits::SQL_DEALLOCATE),
        Word::Lock if scan.spells("INSTANCE") => (Why::Lock, Traits::LOCKS_INSTANCE | Traits::IMPLICIT_COMMIT),
        Word::Lock => (Why::Lock, Traits::LOCKS_TABLES | Traits::IMPLICIT_COMMIT),
        Word::Unlock if scan.spells("INSTANCE") => (Why::Lock, Traits::IMPLICIT_COMMIT),
        Word::Unlock => (Why::Lock, Traits::UNLOCKS_TABLES | Traits::IMPLICIT_COMMIT),
        Word::Backup => return backup(scan),
        Word::Flush => return flush(scan),
        Word::Get => return get_diagnostics(scan),
        Word::Resignal | Word::Signal => (Why::Diagnostics, Traits::USES_DIAGNOSTICS),
        Word::Grant | Word::Revoke => (Why::Admin, Traits::IMPLICIT_COMMIT | Traits::CHANGES_ACCOUNTS),
        Word::Optimize
        | Word::Repair
        | Word::Check
        | Word::Cache
        | Word::Install
        | Word::Uninstall
        | Word::Import
        | Word::Reset
        | Word::Change
        | Word::Stop => (Why::Admin, Traits::IMPLICIT_COMMIT),
        Word::Kill | Word::Purge | Word::Shutdown | Word::Restart | Word::Binlog | Word::Clone | Word::Checksum => {
            (Why::Admin, Traits::NONE)
        }
        _ => (Why::Unknown, Traits::NONE),
    };
    scan.traits |= traits;
    write(scan, why)
}

/// What it means that a statement is about accounts, if its next word says so.
fn account(scan: &Scan<'_>) -> Traits {
    if scan.spells("USER") || scan.spells("ROLE") { Traits::CHANGES_ACCOUNTS } else { Traits::NONE }
}

fn create<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    if scan.take(Word::Or) {
        scan.take(Word::Replace);
    }
    scan.traits |= account(scan);
    if scan.cur().is(Word::Temporary) {
        scan.traits |= Traits::CREATES_TEMP_TABLE | Traits::SETS_LAST_INSERT_ID;
        return write(scan, Why::Ddl);
    }
    scan.traits |= Traits::IMPLICIT_COMMIT;
    object(scan)
}

fn alter<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    // Other passwords leave sessions alone that are open; other default roles are those of later ones.
    scan.traits |= Traits::IMPLICIT_COMMIT;
    if scan.cur().is(Word::Database) || scan.cur().is(Word::Schema) {
        scan.traits |= Traits::ALTERS_SCHEMA;
    }
    if scan.spells("USER") {
        while !scan.done() {
            let is_felt = scan.cur().is(Word::Lock) || scan.cur().is(Word::Default);
            if is_felt || scan.spells("UNLOCK") || scan.spells("EXPIRE") {
                scan.traits |= Traits::CHANGES_ACCOUNTS;
            }
            scan.advance();
        }
    }
    object(scan)
}

/// The rest of `CREATE` or `ALTER`; stored programs keep their `;`.
fn object<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    while !scan.done() {
        match scan.cur().token {
            // DEFINER=.., AGGREGATE, OR REPLACE and the like come before the object's type.
            Token::Word(Word::Procedure | Word::Function | Word::Trigger | Word::Event | Word::Package) => {
                scan.traits |= Traits::STORED_PROGRAM;
                let broken = scan.finish_all() == Some(Why::Unknown);
                return Kind::Write(if broken { Why::Unknown } else { Why::Ddl });
            }
            // With rows from a `SELECT` behind it, it is an `INSERT`, too.
            Token::Word(Word::Table) => {
                scan.traits |= Traits::SETS_LAST_INSERT_ID;
                break;
            }
            Token::Word(Word::View | Word::Index | Word::Database | Word::Schema) => {
                break;
            }
            _ => scan.advance(),
        }
    }
    write(scan, Why::Ddl)
}

fn drop_object<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    if scan.take(Word::Prepare) {
        scan.traits |= Traits::SQL_DEALLOCATE;
        return write(scan, Why::SqlPrepare);
    }
    scan.traits |= account(scan);
    scan.traits |= match scan.cur().token {
        Token::Word(Word::Temporary) => Traits::DROPS_TEMP_TABLE,
        // A temporary table of that name goes first.
        Token::Word(Word::Table | Word::Tables) => Traits::DROPS_TEMP_TABLE | Traits::IMPLICIT_COMMIT,
        _ => Traits::IMPLICIT_COMMIT,
    };
    write(scan, Why::Ddl)
}

/// `GET DIAGNOSTICS @n = NUMBER` assigns what it names, and no server reports that.
fn get_diagnostics<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    scan.traits |= Traits::USES_DIAGNOSTICS;
    assigns_what_it_names(scan, Why::Diagnostics)
}

/// Finishes a write that assigns the user variables it names.
fn assigns_what_it_names<'a>(scan: &mut Scan<'a>, why: Why) -> Kind<'a> {
    let before = scan.traits;
    let kind = write(scan, why);
    if scan.traits.without(before).contains(Traits::READS_USER_VARIABLE) {
        scan.traits |= Traits::ASSIGNS_USER_VARIABLE;
    }
    kind
}

fn load<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    if scan.cur().is(Word::Index) {
        scan.traits |= Traits::IMPLICIT_COMMIT;
        return write(scan, Why::Admin);
    }
    scan.traits |= Traits::SETS_LAST_INSERT_ID;
    scan.defining = true; // `(a, @b)` after the table's name
    while !scan.done() && !scan.cur().is(Word::Infile) {
        if scan.cur().is(Word::Local) {
            scan.traits |= Traits::LOCAL_INFILE;
        }
        scan.advance();
    }
    // The column list may name variables: `(a, @b)`; they are assigned from the file.
    assigns_what_it_names(scan, Why::LoadData)
}

fn handler<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    while !scan.done() {
        match scan.cur().token {
            Token::Word(Word::Open) => scan.traits |= Traits::HANDLER_OPEN,
            Token::Word(Word::Close) => scan.traits |= Traits::HANDLER_CLOSE,
            _ => {}
        }
        scan.advance();
    }
    write(scan, Why::Handler)
}

fn backup<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    scan.traits |= Traits::LOCKS_INSTANCE;
    write(scan, Why::Lock)
}

fn flush<'a>(scan: &mut Scan<'a>) -> Kind<'a> {
    let mut locks = false;
    while !scan.done() {
        // WITH READ LOCK, FOR EXPORT, and MariaDB's WITH READ LOCK AND DISABLE CHECKPOINT.
        locks |= scan.cur().is(Word::Read) || scan.cur().is(Word::Export);
        if scan.spells("STATUS") {
            // Who counts from zero will look at the counters, which are the connection's.
            scan.traits |= Traits::SETS_UNTRACKED;
        }
        if scan.spells("PRIVILEGES") {
            scan.traits |= Traits::CHANGES_ACCOUNTS;
        }
        scan.advance();
    }
    scan.traits |= Traits::IMPLICIT_COMMIT;
    if locks {
        scan.traits |= Traits::LOCKS_TABLES;
    }
    write(scan, if locks { Why::Lock } else { Why::Admin })
}
