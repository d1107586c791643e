//! Who holds what: whether a session owns a backend connection, and why.

use super::optimistic::Trial;
use crate::backend::conn::Ready;
use crate::pool::Lease;
use crate::sql::{Access, Isolation, Traits, Transactions};

/// Why a session must stay on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PinReason {
    /// It made a temporary table.
    TemporaryTable,
    /// It holds table locks.
    TableLock,
    /// It holds a lock of the whole server, for a backup.
    InstanceLock,
    /// It holds a named lock.
    NamedLock,
    /// It assigned a user variable from something only the server could compute.
    UserVariable,
    /// It prepared a statement by SQL.
    SqlPrepare,
    /// It opened a handler.
    Handler,
    /// It is in an XA transaction.
    Xa,
    /// It called a procedure or a stored function.
    StoredCode,
    /// It has a cursor open.
    Cursor,
    /// `FOUND_ROWS()` may be asked next.
    FoundRows,
    /// `SHOW WARNINGS` may be asked next.
    Warnings,
    /// It set something that cannot be set again elsewhere.
    SessionVariable,
    /// The server said that its state changed, and we do not know what.
    UnknownState,
    /// It was told the server's number of its connection.
    ConnectionId,
    /// It sent a command that is passed through without being understood.
    UnknownCommand,
    /// `pool.mode = "session"`.
    SessionMode,
}

impl PinReason {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::TemporaryTable,
        Self::TableLock,
        Self::InstanceLock,
        Self::NamedLock,
        Self::UserVariable,
        Self::SqlPrepare,
        Self::Handler,
        Self::Xa,
        Self::StoredCode,
        Self::Cursor,
        Self::FoundRows,
        Self::Warnings,
        Self::SessionVariable,
        Self::UnknownState,
        Self::ConnectionId,
        Self::UnknownCommand,
        Self::SessionMode,
    ];

    /// A bit that only this reason has.
    pub fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Its name in metrics and the console.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TemporaryTable => "temporary_table",
            Self::TableLock => "table_lock",
            Self::InstanceLock => "instance_lock",
            Self::NamedLock => "named_lock",
            Self::UserVariable => "user_variable",
            Self::SqlPrepare => "sql_prepare",
            Self::Handler => "handler",
            Self::Xa => "xa",
            Self::StoredCode => "stored_code",
            Self::Cursor => "cursor",
            Self::FoundRows => "found_rows",
            Self::Warnings => "warnings",
            Self::SessionVariable => "session_variable",
            Self::UnknownState => "unknown_state",
            Self::ConnectionId => "connection_id",
            Self::UnknownCommand => "unknown_command",
            Self::SessionMode => "session_mode",
        }
    }

    /// Whether the reason is over after the session's next statement.
    fn is_brief(self) -> bool {
        matches!(self, Self::FoundRows | Self::Warnings)
    }
}

/// Whether a transaction is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// None is.
    No,
    /// The server has not said so: it says nothing with an error, nor of savepoints.
    Maybe,
    /// One is.
    Yes,
}

impl Open {
    /// On a connection, between two statements.
    pub(super) fn on(conn: Option<&Ready>) -> Self {
        match conn {
            Some(conn) if conn.says_in_transaction() => Self::Yes,
            Some(conn) if !conn.is_in_transaction() => Self::No,
            // It broke behind an answer: what was open there is not any more, and nobody has been told.
            Some(_) | None => Self::Maybe,
        }
    }
}

/// What a statement may do that makes its session keep the connection.
pub const PINNING: Traits = Traits::CREATES_TEMP_TABLE
    .or(Traits::LOCKS_TABLES)
    .or(Traits::LOCKS_INSTANCE)
    .or(Traits::SETS_UNTRACKED)
    .or(Traits::NAMED_LOCK)
    .or(Traits::ASSIGNS_USER_VARIABLE)
    .or(Traits::SQL_PREPARE)
    .or(Traits::HANDLER_OPEN)
    .or(Traits::XA)
    .or(Traits::CALLS_STORED_CODE);

/// Whether `FOUND_ROWS()` may be another number than that of the rows which a statement with these traits has sent;
/// `has_rows`: it sends some.
pub fn hides_found_rows(traits: Traits, has_rows: bool) -> bool {
    traits.contains(Traits::CALC_FOUND_ROWS) || (has_rows && traits.contains(Traits::SKIPS_ROWS))
}

/// The reasons of one session; small, kept sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PinSet(Vec<PinReason>);

impl IntoIterator for PinSet {
    type Item = PinReason;
    type IntoIter = std::vec::IntoIter<PinReason>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl PinSet {
    /// Whether nothing pins.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The reasons.
    pub fn iter(&self) -> impl Iterator<Item = PinReason> {
        self.0.iter().copied()
    }

    /// The bits of the reasons.
    pub fn bits(&self) -> u32 {
        self.iter().fold(0, |bits, reason| bits | reason.bit())
    }

    /// Adds a reason; whether it is new.
    pub fn insert(&mut self, reason: PinReason) -> bool {
        match self.0.binary_search(&reason) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, reason);
                true
            }
        }
    }

    /// Removes a reason.
    pub fn remove(&mut self, reason: PinReason) {
        self.0.retain(|r| *r != reason);
    }

    /// Whether this is one of the reasons.
    pub fn contains(&self, reason: PinReason) -> bool {
        self.0.binary_search(&reason).is_ok()
    }

    /// Whether something may be on the connection that nobody here has read, such as another role.
    pub fn may_hide_anything(&self) -> bool {
        self.iter().any(|reason| {
            matches!(
                reason,
                PinReason::SessionVariable
                    | PinReason::SqlPrepare
                    | PinReason::StoredCode
                    | PinReason::UnknownState
                    | PinReason::UnknownCommand
                    | PinReason::SessionMode
            )
        })
    }

    /// Whether only the next statement matters.
    pub fn is_brief(&self) -> bool {
        !self.is_empty() && self.iter().all(PinReason::is_brief)
    }

    /// Ends the reasons that one more statement ends.
    pub fn end_brief(&mut self) {
        self.0.retain(|r| !r.is_brief());
    }

    /// Adds and removes what a successful statement with `traits` causes; returns what is new.
    pub fn apply(&mut self, traits: Traits) -> Vec<PinReason> {
        const CAUSES: [(Traits, PinReason); 10] = [
            // Stored code may take a lock or leave a variable, and no tracker shows every such thing.
            (Traits::CALLS_STORED_CODE, PinReason::StoredCode),
            (Traits::CREATES_TEMP_TABLE, PinReason::TemporaryTable),
            (Traits::LOCKS_TABLES, PinReason::TableLock),
            (Traits::LOCKS_INSTANCE, PinReason::InstanceLock),
            (Traits::SETS_UNTRACKED, PinReason::SessionVariable),
            (Traits::NAMED_LOCK, PinReason::NamedLock),
            (Traits::ASSIGNS_USER_VARIABLE, PinReason::UserVariable),
            (Traits::SQL_PREPARE, PinReason::SqlPrepare),
            (Traits::HANDLER_OPEN, PinReason::Handler),
            (Traits::XA, PinReason::Xa),
        ];
        if traits.contains(Traits::UNLOCKS_TABLES) {
            self.remove(PinReason::TableLock);
        }
        if traits.contains(Traits::RELEASES_ALL_NAMED_LOCKS) {
            self.remove(PinReason::NamedLock);
        }
        let mut new = Vec::new();
        for (cause, reason) in CAUSES {
            if traits.contains(cause) && self.insert(reason) {
                new.push(reason);
            }
        }
        new
    }
}

/// How a transaction is to begin on a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beginning {
    /// What `SET TRANSACTION` said of it.
    pub characteristics: Characteristics,
    /// `READ ONLY` or `READ WRITE`, if `START TRANSACTION` said so.
    pub access: Option<Access>,
    /// Where it shall read until it first writes, if a hint said so.
    pub wish: Option<Transactions>,
}

/// What `SET TRANSACTION` says of one transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Characteristics {
    /// `ISOLATION LEVEL ..`
    pub isolation: Option<Isolation>,
    /// `READ ONLY`, `READ WRITE`
    pub access: Option<Access>,
}

impl Characteristics {
    /// Whether nothing is said.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The statements that say it, each once.
    pub fn statements(self) -> impl Iterator<Item = Vec<u8>> {
        let isolation = self.isolation.map(|level| [b"SET TRANSACTION ISOLATION LEVEL ", level.as_sql()].concat());
        let access = self.access.map(|access| [b"SET TRANSACTION ", access.as_sql()].concat());
        isolation.into_iter().chain(access)
    }
}

impl Beginning {
    /// The statements that begin it.
    pub fn statements(&self) -> impl Iterator<Item = Vec<u8>> {
        let access = self.access.map_or_else(Vec::new, |access| [b" ", access.as_sql()].concat());
        self.characteristics.statements().chain([[b"START TRANSACTION", &access[..]].concat()])
    }

    /// Whether it may write, if that was said.
    pub fn access(&self) -> Option<Access> {
        self.access.or(self.characteristics.access)
    }
}

/// What a session holds between two commands.
#[derive(Debug, Default)]
pub enum Binding {
    /// Nothing.
    #[default]
    Free,
    /// A transaction was begun and no statement has needed a server yet.
    Begun(Beginning),
    /// A connection to a replica, for a transaction that has only read so far.
    Optimistic(Lease, Box<Trial>),
    /// A connection, for as long as the transaction on it is open.
    InTransaction(Lease),
    /// A connection that holds state of the session.
    Pinned(Lease, PinSet),
}

impl Binding {
    /// Whether a transaction was begun that no server knows of yet.
    pub fn is_begun(&self) -> bool {
        matches!(self, Self::Begun(_))
    }

    /// Takes the lease out, leaving nothing.
    pub fn take_lease(&mut self) -> Option<(Lease, PinSet)> {
        match std::mem::take(self) {
            Self::Free => None,
            Self::Begun(begin) => {
                *self = Self::Begun(begin);
                None
            }
            Self::Optimistic(lease, _) | Self::InTransaction(lease) => Some((lease, PinSet::default())),
            Self::Pinned(lease, pins) => Some((lease, pins)),
        }
    }

    /// The connection that is held, if any.
    pub fn lease(&self) -> Option<&Lease> {
        match self {
            Self::Optimistic(lease, _) | Self::InTransaction(lease) | Self::Pinned(lease, _) => Some(lease),
            Self::Free | Self::Begun(_) => None,
        }
    }

    /// The connection that is held, if it is there.
    pub fn conn_mut(&mut self) -> Option<&mut Ready> {
        match self {
            Self::Optimistic(lease, _) | Self::InTransaction(lease) | Self::Pinned(lease, _) => lease.conn_mut(),
            Self::Free | Self::Begun(_) => None,
        }
    }

    /// Why it is pinned, if it is.
    pub fn pins(&self) -> Option<&PinSet> {
        match self {
            Self::Pinned(_, pins) => Some(pins),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings() {
        let text =
            |beginning: Beginning| String::from_utf8(beginning.statements().collect::<Vec<_>>().join(&b';')).ok();
        assert_eq!(text(Beginning::default()).as_deref(), Some("START TRANSACTION"));
        let characteristics =
            Characteristics { isolation: Some(Isolation::ReadCommitted), access: Some(Access::ReadOnly) };
        let beginning = Beginning { characteristics, access: Some(Access::ReadWrite), wish: None };
        assert_eq!(beginning.access(), Some(Access::ReadWrite));
        assert_eq!(
            text(beginning).as_deref(),
            Some(
                "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;SET TRANSACTION READ ONLY;\
                 START TRANSACTION READ WRITE"
            )
        );
    }

    #[test]
    fn pins_come_and_go() {
        let mut pins = PinSet::default();
        assert_eq!(pins.apply(Traits::LOCKS_TABLES | Traits::NAMED_LOCK), [PinReason::TableLock, PinReason::NamedLock]);
        assert_eq!(pins.apply(Traits::LOCKS_TABLES), []);
        assert_eq!(pins.apply(Traits::UNLOCKS_TABLES), []);
        assert!(!pins.is_brief());
        pins.apply(Traits::RELEASES_ALL_NAMED_LOCKS);
        assert!(pins.is_empty());
        pins.insert(PinReason::Warnings);
        assert!(pins.is_brief());
        pins.end_brief();
        assert!(pins.is_empty());
    }
}
