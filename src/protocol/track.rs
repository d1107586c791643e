//! Session changes a server reports inside OK packets (`SESSION_TRACK`).
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html>

use super::wire::{Malformed, Put, Reader};
use std::borrow::Cow;

/// The encoded list of changes of one OK packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes<'a>(&'a [u8]);

/// The kinds of reports whose extent a client has chosen itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent of each other")]
pub struct Reports {
    /// Of session variables.
    pub variables: bool,
    /// That something else of the session changed.
    pub state: bool,
    /// Of transactions that were committed.
    pub gtids: bool,
    /// Of the characteristics and the state of transactions.
    pub transactions: bool,
}

impl Reports {
    /// Those that a text in lower case speaks of.
    pub fn named_in(text: &[u8]) -> Self {
        let named = |what: &[u8]| memchr::memmem::find(text, &[b"session_track_", what].concat()).is_some();
        Self {
            variables: named(b"system_variables"),
            state: named(b"state_change"),
            gtids: named(b"gtids"),
            transactions: named(b"transaction_info"),
        }
    }

    /// Whether there are any.
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

impl std::ops::BitOrAssign for Reports {
    fn bitor_assign(&mut self, more: Self) {
        self.variables |= more.variables;
        self.state |= more.state;
        self.gtids |= more.gtids;
        self.transactions |= more.transactions;
    }
}

/// One reported change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// A session variable has a new value.
    SystemVariable {
        /// Its name.
        name: &'a [u8],
        /// Its value, as text.
        value: &'a [u8],
    },
    /// The default schema changed.
    Schema(&'a [u8]),
    /// Something else of the session changed (user variable, temporary table, prepared statement ..).
    State,
    /// Transactions this statement committed, as MySQL prints them.
    Gtids(&'a [u8]),
    /// Transaction characteristics or state, or a kind this version does not know.
    Other(u8),
}

const SYSTEM_VARIABLES: u8 = 0;
const SCHEMA: u8 = 1;
const STATE_CHANGE: u8 = 2;
const GTIDS: u8 = 3;

impl<'a> Changes<'a> {
    /// Wraps the encoded bytes.
    pub fn new(encoded: &'a [u8]) -> Self {
        Self(encoded)
    }

    /// Whether nothing was reported.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes as on the wire.
    pub fn encoded(&self) -> &'a [u8] {
        self.0
    }

    /// Calls `f` for each change; a malformed list ends early and says so.
    pub fn try_for_each(&self, mut f: impl FnMut(Change<'a>)) -> Result<(), Malformed> {
        let mut list = Reader::new(self.0, "session change list");
        while !list.is_empty() {
            read_entry(list.u8()?, list.lenenc_bytes()?, &mut f)?;
        }
        Ok(())
    }

    /// Like [`Self::try_for_each`], ignoring what is malformed.
    pub fn for_each(&self, f: impl FnMut(Change<'a>)) {
        let _malformed = self.try_for_each(f);
    }

    /// The GTIDs of the statement: MySQL's own kind, or MariaDB's `last_gtid` variable.
    pub fn gtids(&self) -> Option<Cow<'a, str>> {
        let mut found = None;
        self.for_each(|change| match change {
            Change::Gtids(text) => found = Some(text),
            Change::SystemVariable { name: b"last_gtid", value } if !value.is_empty() => found = Some(value),
            _ => {}
        });
        found.map(String::from_utf8_lossy)
    }

    /// Copies to `out` the changes that a client would see which chose these reports itself, and left the others
    /// as servers have them.
    ///
    /// Backend connections track more than clients asked for (GTIDs, all variables, state).
    pub fn filter(&self, chosen: Reports, out: &mut Vec<u8>) {
        let mut list = Reader::new(self.0, "session change list");
        while let (Ok(kind), Ok(entry)) = (list.u8(), list.lenenc_bytes()) {
            let whole = match kind {
                SYSTEM_VARIABLES => chosen.variables,
                SCHEMA => true,
                STATE_CHANGE => chosen.state,
                GTIDS => chosen.gtids,
                _ => chosen.transactions,
            };
            // What cannot be read, a client could not read either.
            if whole && read_entry(kind, entry, &mut |_| ()).is_ok() {
                out.push(kind);
                out.put_lenenc_bytes(entry);
            } else if kind == SYSTEM_VARIABLES {
                filter_variables(entry, out);
            }
        }
    }
}

/// Calls `f` for what one entry of the list says.
fn read_entry<'a>(kind: u8, entry: &'a [u8], f: &mut impl FnMut(Change<'a>)) -> Result<(), Malformed> {
    let mut r = Reader::new(entry, "session change");
    match kind {
        // MariaDB reports several variables in one entry.
        SYSTEM_VARIABLES => {
            while !r.is_empty() {
                let name = r.lenenc_bytes()?;
                f(Change::SystemVariable { name, value: r.lenenc_bytes()? });
            }
        }
        SCHEMA => f(Change::Schema(r.lenenc_bytes()?)),
        STATE_CHANGE => f(Change::State),
        GTIDS => {
            r.u8()?; // encoding specification, always 0
            f(Change::Gtids(r.lenenc_bytes()?));
        }
        other => f(Change::Other(other)),
    }
    Ok(())
}

/// Copies the variables of an entry that servers report if they are not told otherwise.
fn filter_variables(entry: &[u8], out: &mut Vec<u8>) {
    const DEFAULT: [&[u8]; 5] =
        [b"time_zone", b"autocommit", b"character_set_client", b"character_set_results", b"character_set_connection"];
    // Those ahead of what cannot be read count.
    let _malformed = read_entry(SYSTEM_VARIABLES, entry, &mut |change| match change {
        Change::SystemVariable { name, value } if DEFAULT.contains(&name) => {
            let mut entry = Vec::with_capacity(name.len() + value.len() + 6);
            entry.put_lenenc_bytes(name);
            entry.put_lenenc_bytes(value);
            out.push(SYSTEM_VARIABLES);
            out.put_lenenc_bytes(&entry);
        }
        _ => {}
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_kinds_in_one_list() {
        let bytes = b"\x00\x0f\x0aautocommit\x03OFF\x01\x04\x03app\x02\x02\x01\x31\x03\x03\x00\x01a";
        let mut seen = Vec::new();
        Changes::new(bytes).try_for_each(|c| seen.push(c)).expect("well formed");
        assert_eq!(
            seen,
            [
                Change::SystemVariable { name: b"autocommit", value: b"OFF" },
                Change::Schema(b"app"),
                Change::State,
                Change::Gtids(b"a"),
            ]
        );
        let mut kept = Vec::new();
        Changes::new(bytes).filter(Reports::default(), &mut kept);
        assert_eq!(kept, b"\x00\x0f\x0aautocommit\x03OFF\x01\x04\x03app");
    }

    #[test]
    fn what_a_client_chose_is_kept() {
        let bytes = b"\x00\x0b\x06extra1\x03OFF\x01\x04\x03app\x02\x02\x01\x31\x03\x03\x00\x01a\x05\x02\x01_";
        let kept = |chosen: &[u8]| {
            let mut kept = Vec::new();
            Changes::new(bytes).filter(Reports::named_in(chosen), &mut kept);
            kept
        };
        assert_eq!(kept(b"SET x = 1"), b"\x01\x04\x03app");
        assert_eq!(kept(b"set session_track_system_variables = '*'"), b"\x00\x0b\x06extra1\x03OFF\x01\x04\x03app");
        assert_eq!(kept(b"set session_track_state_change = on"), b"\x01\x04\x03app\x02\x02\x01\x31");
        let rest = kept(b"set session_track_gtids = own_gtid, session_track_transaction_info = 'state'");
        assert_eq!(rest, b"\x01\x04\x03app\x03\x03\x00\x01a\x05\x02\x01_");
    }

    #[test]
    fn mariadb_reports_its_gtid_as_a_variable() {
        let bytes = b"\x00\x11\x09last_gtid\x060-1-42";
        assert_eq!(Changes::new(bytes).gtids().as_deref(), Some("0-1-42"));
    }

    #[test]
    fn truncated_lists_are_reported() {
        assert!(Changes::new(b"\x00\x0f\x0aauto").try_for_each(|_| ()).is_err());
    }
}
