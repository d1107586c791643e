//! What a response said, as far as the session must know.

use crate::consistency::gtid::{Family, GtidSet};
use crate::protocol::capability::Status;
use crate::protocol::response::{OkPacket, ServerError};
use crate::protocol::sum::Sum;
use crate::protocol::track::Change;

/// The facts of one response; of several results, the last one's. It is handed on from step to step: what few responses
/// say lies elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Server status at its end.
    pub status: Status,
    /// Rows affected, if the last result was an OK.
    pub affected_rows: Option<u64>,
    /// Rows that a statement of MySQL found to be updated, if it said so.
    pub matched_rows: Option<u64>,
    /// Generated `AUTO_INCREMENT` value.
    pub last_insert_id: u64,
    /// Warnings of the last result.
    pub warnings: u16,
    /// Rows of the last result set.
    pub rows: u64,
    /// All rows of all results, if they were to be summed up.
    pub sum: Option<Box<Sum>>,
    /// Transactions committed.
    pub gtids: Option<Box<GtidSet>>,
    /// What changed in the session's state, if something did.
    pub changed: Option<Box<ChangedState>>,
    /// The error that ended the response.
    pub error: Option<Box<ServerError>>,
    /// The client has been told nothing, of an error or of a result without rows: another server may know better.
    pub untold: bool,
    /// All of it is still waiting to be sent to the client.
    pub unsent: bool,
    /// An error of our own prelude: the client's command was not run and nothing was sent to it.
    pub prelude_error: Option<Box<ServerError>>,
    /// A statement was prepared: its handle, parameters and columns.
    pub prepared: Option<(u32, u16, u16)>,
}

/// What a server reports of a session's state.
#[derive(Debug, Clone, Default)]
pub struct ChangedState {
    /// Session variables that changed, with their new values as the server prints them.
    pub variables: Vec<(Vec<u8>, Vec<u8>)>,
    /// The default schema, if it changed.
    pub schema: Option<Vec<u8>>,
    /// Whether the server said that some other session state changed.
    pub otherwise: bool,
}

impl Summary {
    /// Whether the client's command succeeded.
    pub fn is_ok(&self) -> bool {
        self.error.is_none() && self.prelude_error.is_none()
    }

    /// Takes in an OK, or the end of a result set (`rows` given).
    pub(super) fn absorb(&mut self, ok: &OkPacket<'_>, rows: Option<u64>, family: Family) {
        self.status = ok.status;
        self.warnings = ok.warnings;
        self.affected_rows = rows.is_none().then_some(ok.affected_rows);
        self.rows = rows.unwrap_or(0);
        self.matched_rows = Some(ok.info).filter(|_| family == Family::MySql).and_then(matched_rows);
        if ok.last_insert_id != 0 {
            self.last_insert_id = ok.last_insert_id;
        }
        if ok.changes.is_empty() {
            return;
        }
        if let Some(text) = ok.changes.gtids() {
            self.absorb_gtids(&text, family);
        }
        ok.changes.for_each(|change| match change {
            // MySQL counts statements, MariaDB names transactions; neither is session state.
            Change::SystemVariable { name: b"last_gtid" | b"statement_id", .. } => {}
            Change::SystemVariable { name, value } => {
                self.changed.get_or_insert_default().variables.push((name.to_vec(), value.to_vec()));
            }
            Change::Schema(schema) => self.changed.get_or_insert_default().schema = Some(schema.to_vec()),
            Change::State => self.changed.get_or_insert_default().otherwise = true,
            Change::Gtids(_) | Change::Other(_) => {}
        });
    }

    fn absorb_gtids(&mut self, text: &str, family: Family) {
        let Ok(gtids) = GtidSet::parse(family, text) else { return };
        match &mut self.gtids {
            // The families are the same: both come from one connection.
            Some(all) => drop(all.union(&gtids)),
            None => self.gtids = Some(Box::new(gtids)),
        }
    }
}

/// The number in `Rows matched: 1  Changed: 1  Warnings: 0`.
fn matched_rows(info: &[u8]) -> Option<u64> {
    let number = info.strip_prefix(b"Rows matched: ")?.split(|byte| *byte == b' ').next()?;
    std::str::from_utf8(number).ok()?.parse().ok()
}
