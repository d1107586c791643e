//! A backend connection and the exchanges on it.

mod busy;
mod ready;

use super::login::Account;
use super::server::{Server, Setup};
use super::statements::Statements;
use crate::consistency::gtid::Family;
use crate::net::packets::{PacketStream, ReadError};
use crate::protocol::capability::{Capabilities, Status};
use crate::protocol::exchange::{Exchange, Expect};
use crate::state::SessionState;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::time::Instant;

/// The stream to a server broke.
#[derive(Debug, thiserror::Error)]
#[error("lost the connection: {source}")]
pub struct Lost {
    /// Whether any byte of the flight may have reached the server. Only an unsent flight may be
    /// sent again elsewhere.
    pub sent: bool,
    /// What happened.
    #[source]
    pub source: ReadError,
}

impl Lost {
    pub(crate) fn after_send(source: impl Into<ReadError>) -> Self {
        Self { sent: true, source: source.into() }
    }
}

/// What both kinds of connection hold.
#[derive(Debug)]
pub struct Inner {
    packets: PacketStream,
    server: Arc<Server>,
    account: Arc<Account>,
    family: Family,
    caps: Capabilities,
    nonce: [u8; 20],
    thread_id: u32,
    /// The address it leads to, if it has one.
    peer: Option<SocketAddr>,
    /// The session state it is in.
    applied: Arc<SessionState>,
    /// How it was set up; a reset undoes it.
    setup: Option<Arc<Setup>>,
    /// Whether several statements in one command are on; unknown after logging in again.
    multi_statements: Option<bool>,
    statements: Statements,
    /// What `LAST_INSERT_ID()` answers there, if known.
    insert_id: Option<u64>,
    status: Status,
    /// A transaction may be open there, although the server did not say so.
    may_be_in_transaction: bool,
    /// Responses due, each with the number of its first packet.
    due: VecDeque<(Expect, u8)>,
    /// Flights since somebody began to count them.
    trips: u32,
    born: Instant,
    used: Instant,
    /// The state of accounts when it logged in.
    accounts: u64,
    /// The state, when it was opened, of what it keeps to its end.
    generation: u64,
}

/// A connection on which nothing is under way.
#[derive(Debug)]
#[must_use = "dropping a ready connection closes it"]
pub struct Ready(Box<Inner>);

/// A connection with a response under way. Dropping it closes it.
#[derive(Debug)]
#[must_use = "dropping a busy connection closes it"]
pub struct Busy {
    inner: Box<Inner>,
    current: Option<Exchange>,
    /// The number of the first packet of the exchange under way.
    first_seq: u8,
}

/// What login leaves behind.
fn fresh_state() -> Arc<SessionState> {
    let mut state = SessionState::default();
    state.set_names(b"NAMES utf8mb4 COLLATE utf8mb4_general_ci");
    Arc::new(state)
}

impl std::ops::Deref for Ready {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl std::ops::Deref for Busy {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl Inner {
    /// The server it leads to.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// How connections to its server are set up now.
    pub fn setup(&self) -> Arc<Setup> {
        self.server.setup(self.family)
    }

    /// How it was set up itself, unless a reset has undone it.
    pub fn own_setup(&self) -> Option<Arc<Setup>> {
        self.setup.clone()
    }

    /// Statements prepared on it.
    pub fn statements(&self) -> &Statements {
        &self.statements
    }

    /// The server's family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The server's id of this connection.
    pub fn thread_id(&self) -> u32 {
        self.thread_id
    }

    /// Capabilities in force.
    pub fn caps(&self) -> Capabilities {
        self.caps
    }

    /// The session state it is in.
    pub fn applied(&self) -> &Arc<SessionState> {
        &self.applied
    }

    /// The server's last word on its status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether a transaction is open there, or may be.
    pub fn is_in_transaction(&self) -> bool {
        self.may_be_in_transaction || self.status.contains(Status::IN_TRANS)
    }

    /// Whether the server's last word was that one is open, or that statements do not commit by themselves.
    pub fn says_in_transaction(&self) -> bool {
        let is_certain = !self.may_be_in_transaction;
        is_certain && (self.status.contains(Status::IN_TRANS) || !self.status.contains(Status::AUTOCOMMIT))
    }

    /// What `LAST_INSERT_ID()` answers there, if known.
    pub fn insert_id(&self) -> Option<u64> {
        self.insert_id
    }

    /// TLS version and suite, if any.
    pub fn tls_description(&self) -> Option<String> {
        self.packets.stream().tls_description()
    }

    /// The certificate that the server has shown, as DER.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.packets.stream().certificate()
    }

    /// A reset undoes these. It does not undo `COM_SET_OPTION`.
    fn forget_session(&mut self) {
        self.setup = None;
        self.insert_id = Some(0);
        self.statements = Statements::after_reset(&self.statements);
        self.status = Status::AUTOCOMMIT;
        self.may_be_in_transaction = false;
    }
}
