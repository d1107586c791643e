//! What reasons and pins mean, in the words of docs/routing.md.

use crate::frontend::binding::PinReason;
use crate::route::Reason;
use crate::sql::Why;

/// One sentence, or two.
pub(super) fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::Statement(why) => of_statement(why),
        Reason::Read => "A plain read of somebody who has nothing recent to see.",
        Reason::ReadAfterWrite => "The replica is known to have what its scope wrote.",
        Reason::ReadAfterWait => "It was not known; the read waited there until it was.",
        Reason::OtherReplica => "The first replica did not catch up in time, and another one has it.",
        Reason::ReplicaBehind => {
            "No replica had it in time, or the one to ask is known to be far behind. Many of these: look at SHOW LAG."
        }
        Reason::RecentWrite => {
            "Too soon after a write on servers without GTIDs (pin_for), or after a write whose answer was lost."
        }
        Reason::Unproven => {
            "Something was seen at the primary, or on a replica that is gone, and is not known to be on a replica yet. Lasts about one round trip to the primary; longer right after a start."
        }
        Reason::NoReplica => "No replica answers, is fresh enough and has a weight.",
        Reason::PrimaryIsNearer => "The primary is nearer than any replica that could answer.",
        Reason::Optimistic => {
            "A transaction that has only read so far reads on a replica; it moves to the primary when it first writes."
        }
        Reason::PrimaryIsDown => "The primary does not answer, so a replica behind its max_lag does.",
        Reason::OnEmpty => "A replica had no row, and a rule asks the primary then.",
        Reason::Hint => "A comment in the statement asked for it.",
        Reason::Rule => "A rule of the file asked for it.",
        Reason::TakenOver => "Another process serves new clients; this one reads where it sees what those write.",
        Reason::InTransaction => "It belongs to a transaction, or begins or ends one.",
        Reason::Pinned => "The session's state lives on one connection.",
        Reason::SessionMode => "pool.mode = \"session\": the session keeps one connection for its whole life.",
    }
}

fn of_statement(why: Why) -> &'static str {
    match why {
        Why::Insert => "INSERT, REPLACE.",
        Why::Update => "UPDATE.",
        Why::Delete => "DELETE.",
        Why::LoadData => "LOAD DATA, LOAD XML.",
        Why::Ddl => "CREATE, ALTER, DROP, RENAME, TRUNCATE.",
        Why::Call => "CALL: a procedure may do anything.",
        Why::Do => "DO.",
        Why::LockingRead => "FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE.",
        Why::IntoFile => "SELECT .. INTO OUTFILE, INTO DUMPFILE.",
        Why::IntoVariable => "SELECT .. INTO @x.",
        Why::UserVariable => ":= in an expression.",
        Why::UserFunction => {
            "It calls something that is not a known function of the server. If that only reads, declare it."
        }
        Why::SideEffectFunction => {
            "A function of the server with an effect: GET_LOCK, RELEASE_LOCK, NEXTVAL, LAST_INSERT_ID(x), .."
        }
        Why::ServerLocal => {
            "The answer is about the server itself: @@hostname, SHOW PROCESSLIST, performance_schema, GTIDs, .."
        }
        Why::Diagnostics => "GET DIAGNOSTICS, SIGNAL, RESIGNAL.",
        Why::Lock => "LOCK TABLES, UNLOCK TABLES, FLUSH TABLES WITH READ LOCK, BACKUP.",
        Why::Handler => "HANDLER.",
        Why::SqlPrepare => "PREPARE, EXECUTE, DEALLOCATE as SQL.",
        Why::Xa => "XA.",
        Why::Admin => {
            "GRANT, KILL, FLUSH, RESET, replication control, table maintenance, and commands that are passed through."
        }
        Why::Multi => "Several statements in one text, not all of them reads.",
        Why::Unknown => "Not understood. Please report one that should be a read.",
    }
}

/// Why a session keeps its connection, and until when.
pub(super) fn keeps(pin: PinReason) -> (&'static str, &'static str) {
    match pin {
        PinReason::TemporaryTable => {
            ("CREATE TEMPORARY TABLE", "the session begins anew (COM_RESET_CONNECTION), or ends")
        }
        PinReason::TableLock => ("LOCK TABLES, FLUSH .. WITH READ LOCK", "UNLOCK TABLES"),
        PinReason::InstanceLock => ("LOCK INSTANCE, BACKUP STAGE, BACKUP LOCK", "the session begins anew, or ends"),
        PinReason::NamedLock => ("GET_LOCK()", "RELEASE_ALL_LOCKS(), the session begins anew, or ends"),
        PinReason::UserVariable => {
            ("@x got a value that only the server could compute", "the session begins anew, or ends")
        }
        PinReason::SqlPrepare => ("PREPARE as SQL", "the session begins anew, or ends"),
        PinReason::Handler => ("HANDLER .. OPEN", "the session begins anew, or ends"),
        PinReason::Xa => ("an XA transaction", "the session begins anew, or ends"),
        PinReason::StoredCode => (
            "CALL, a stored function that is not declared, or a text that is not understood",
            "the session begins anew, or ends",
        ),
        PinReason::Cursor => ("a cursor is open", "it is closed"),
        PinReason::FoundRows => ("FOUND_ROWS() may be asked next", "the next statement, or a moment"),
        PinReason::Warnings => ("SHOW WARNINGS may be asked next", "the next statement, or a moment"),
        PinReason::SessionVariable => {
            ("something was set that cannot be set again elsewhere", "the session begins anew, or ends")
        }
        PinReason::UnknownState => {
            ("the server reported a change of its state that nothing explains", "the session begins anew, or ends")
        }
        PinReason::ConnectionId => {
            ("it was told the server's number of its connection, and may use it", "the session begins anew, or ends")
        }
        PinReason::UnknownCommand => {
            ("a command was passed through that Landbridge does not know", "the session begins anew, or ends")
        }
        PinReason::SessionMode => ("pool.mode = \"session\"", "the session ends"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cells of the rows that begin with this name, as they are read.
    fn told(document: &str, name: &str) -> Vec<String> {
        let plain = |cell: &str| cell.trim().replace("](#functions-that-only-read)", "").replace(['`', '['], "");
        let head = format!("| `{name}` |");
        document.lines().filter(|line| line.starts_with(&head)).flat_map(|line| line.split('|').map(plain)).collect()
    }

    #[test]
    fn the_words_are_those_of_the_document() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/routing.md");
        let document = std::fs::read_to_string(document).expect("docs/routing.md");
        for reason in Reason::all() {
            let cells = told(&document, reason.as_str());
            assert!(cells.iter().any(|cell| cell == meaning(reason)), "{}: {cells:?}", reason.as_str());
        }
        for pin in PinReason::ALL {
            let (why, until) = keeps(pin);
            let cells = told(&document, pin.as_str());
            assert!([why, until].iter().all(|text| cells.iter().any(|cell| cell == text)), "{pin:?}: {cells:?}");
        }
    }
}
