//! A backend connection and the exchanges on it.

use super::login::{Account, DialError, LoggedIn, change_user};
use super::server::{Server, Setup, family};
use super::statements::Statements;
use crate::consistency::gtid::Family;
use crate::net::packets::{PacketStream, ReadError};
use crate::protocol::capability::{Capabilities, Status};
use crate::protocol::command::Command;
use crate::protocol::exchange::{Exchange, Expect};
use crate::protocol::packet::{frame, frame_parts};
use crate::state::{Plan, Prelude, SessionState};
use std::collections::VecDeque;
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
    fn after_send(source: impl Into<ReadError>) -> Self {
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
    /// Responses due, each with the number of its first packet.
    due: VecDeque<(Expect, u8)>,
    born: Instant,
    used: Instant,
    /// The state of accounts when it logged in.
    accounts: u64,
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

impl Ready {
    /// Wraps a fresh login.
    pub fn new(login: LoggedIn, server: Arc<Server>, account: Arc<Account>) -> Self {
        let now = Instant::now();
        let accounts = server.accounts();
        Self(Box::new(Inner {
            family: family(&login.greeting.version),
            packets: login.packets,
            server,
            account,
            caps: login.caps,
            nonce: login.greeting.nonce,
            thread_id: login.greeting.thread_id,
            applied: fresh_state(),
            setup: None,
            multi_statements: Some(false),
            statements: Statements::default(),
            insert_id: Some(0),
            status: Status::AUTOCOMMIT,
            due: VecDeque::new(),
            born: now,
            used: now,
            accounts,
        }))
    }

    /// Starts an exchange.
    pub fn begin(self) -> Busy {
        Busy { inner: self.0, current: None, first_seq: 1 }
    }

    /// Whether the server has neither hung up nor said anything out of turn.
    pub fn is_healthy(&mut self) -> bool {
        self.0.packets.is_quiet()
    }

    /// What it takes to bring it to `wanted`, with `setup` (see [`Inner::setup`]) ahead of it.
    pub fn plan_to(&self, wanted: &Arc<SessionState>, setup: &Arc<Setup>) -> Plan {
        let is_set_up = self.0.setup.as_ref().is_some_and(|own| Arc::ptr_eq(own, setup));
        if is_set_up && (Arc::ptr_eq(&self.0.applied, wanted) || self.0.applied == *wanted) {
            return Plan::Nothing;
        }
        let plan = match (self.0.applied.plan_to(wanted), &self.0.setup) {
            (Plan::LogInAgain, _) => return Plan::LogInAgain,
            // Set up otherwise: from the beginning.
            (_, Some(_)) if !is_set_up => self.0.applied.plan_from_reset(wanted),
            // Reset: the schema is still chosen, but the server has forgotten its character set.
            (_, None) if self.0.applied.schema().is_some() => SessionState::default().plan_to(wanted),
            (plan, _) => plan,
        };
        let reset = matches!(&plan, Plan::Apply(prelude) if prelude.reset);
        if is_set_up && !reset {
            return plan;
        }
        let mut prelude = Prelude { reset, sql: setup.sql.clone(), statements: setup.statements };
        if let Plan::Apply(rest) = plan {
            prelude.sql.extend_from_slice(&rest.sql);
            prelude.statements += rest.statements;
        }
        Plan::Apply(prelude)
    }

    /// Whether accounts or privileges have changed since it logged in, which kept those of then.
    pub fn is_login_outdated(&self) -> bool {
        self.0.accounts != self.0.server.accounts()
    }

    /// Logs in again on the same connection: the only way to be without a default schema.
    ///
    /// # Errors
    /// As a login; the connection is gone then.
    pub async fn log_in_again(self) -> Result<Self, DialError> {
        let mut inner = self.0;
        let account = inner.account.clone();
        inner.accounts = inner.server.accounts();
        change_user(&mut inner.packets, &account, inner.family, inner.caps, &inner.nonce).await?;
        inner.applied = fresh_state();
        inner.forget_session();
        inner.multi_statements = None;
        Ok(Self(inner))
    }

    /// Ends the connection with a goodbye.
    pub async fn close(self) {
        let mut inner = self.0;
        frame(inner.packets.output(), 0, &[Command::Quit.byte()]);
        inner.packets.close().await;
    }

    /// Gives back memory an idle connection does not need, and notes when it became idle.
    pub fn rest(&mut self) {
        self.0.packets.shrink();
        self.0.used = Instant::now();
    }

    /// Notes that the connection is now in this state: the client's own statement changed it.
    pub fn applied_is(&mut self, state: Arc<SessionState>) {
        self.0.applied = state;
    }

    /// Notes what `LAST_INSERT_ID()` answers now, if known.
    pub fn insert_id_is(&mut self, id: Option<u64>) {
        self.0.insert_id = id;
    }

    /// When it was opened.
    pub fn born(&self) -> Instant {
        self.0.born
    }

    /// When it was last used.
    pub fn used(&self) -> Instant {
        self.0.used
    }
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

    /// What `LAST_INSERT_ID()` answers there, if known.
    pub fn insert_id(&self) -> Option<u64> {
        self.insert_id
    }

    /// TLS version and suite, if any.
    pub fn tls_description(&self) -> Option<String> {
        self.packets.stream().tls_description()
    }

    /// A reset undoes these. It does not undo `COM_SET_OPTION`.
    fn forget_session(&mut self) {
        self.setup = None;
        self.insert_id = Some(0);
        self.statements = Statements::after_reset(&self.statements);
        self.status = Status::AUTOCOMMIT;
    }
}

impl Busy {
    /// Adds a command to the flight; `parts` together are its payload, command byte included.
    pub fn command(&mut self, expect: Expect, parts: &[&[u8]]) {
        let first_seq = frame_parts(self.inner.packets.output(), 0, parts);
        self.inner.due.push_back((expect, first_seq));
    }

    /// Adds a command that has no answer.
    pub fn silent_command(&mut self, parts: &[&[u8]]) {
        frame_parts(self.inner.packets.output(), 0, parts);
    }

    /// Adds a reset of the server's session. Its answer is due like any other.
    pub fn reset_session(&mut self) {
        self.command(Expect::Ok, &[&[Command::ResetConnection.byte()]]);
        let mut state = SessionState::default();
        state.set_schema(self.inner.applied.schema());
        self.inner.applied = Arc::new(state);
        self.inner.forget_session();
    }

    /// Adds a switch of multi-statements, if they are not as wanted.
    ///
    /// Returns how many answers are due for it.
    pub fn set_multi_statements(&mut self, on: bool) -> usize {
        if self.inner.multi_statements == Some(on) {
            return 0;
        }
        self.command(Expect::Ok, &[&[Command::SetOption.byte(), u8::from(!on), 0]]);
        self.inner.multi_statements = Some(on);
        1
    }

    /// Notes that a [plan](Ready::plan_to) has brought the connection to this state, with this set-up.
    pub fn applied_is(&mut self, state: Arc<SessionState>, setup: &Arc<Setup>) {
        self.inner.applied = state;
        self.inner.setup = Some(setup.clone());
    }

    /// Statements prepared on it.
    pub fn statements_mut(&mut self) -> &mut Statements {
        &mut self.inner.statements
    }

    /// Notes what `LAST_INSERT_ID()` answers now, if known.
    pub fn insert_id_is(&mut self, id: Option<u64>) {
        self.inner.insert_id = id;
    }

    /// Notes the status a response ended with.
    pub fn set_status(&mut self, status: Status) {
        self.inner.status = status;
    }

    /// Sends the flight.
    ///
    /// # Errors
    /// [`Lost`], with `sent: false` only if the stream refused the very first byte.
    pub async fn flush(&mut self) -> Result<(), Lost> {
        let before = self.inner.packets.output().len();
        match self.inner.packets.flush().await {
            Ok(()) => Ok(()),
            // `write_all` does not say how far it came; a small flight that fails as a whole with
            // a dead connection found by the first write has sent nothing the server acted on
            // only if the connection was already closed before. Claim it only in that case.
            Err(e) if before > 0 && e.kind() == std::io::ErrorKind::NotConnected => {
                Err(Lost { sent: false, source: e.into() })
            }
            Err(e) => Err(Lost::after_send(e)),
        }
    }

    /// The exchange under way: the next one due, if none has begun.
    pub fn exchange(&mut self) -> Option<&mut Exchange> {
        if self.current.is_none() {
            let (expect, first_seq) = self.inner.due.pop_front()?;
            self.current = Some(Exchange::new(expect, self.inner.caps));
            self.first_seq = first_seq;
        }
        self.current.as_mut()
    }

    /// The number that the first packet of the next response must have: a request of several packets
    /// has counted on.
    pub fn first_seq(&mut self) -> u8 {
        self.exchange();
        self.first_seq
    }

    /// The stream and the exchange under way, for those who move packets.
    pub fn parts(&mut self) -> Option<(&mut PacketStream, &mut Exchange)> {
        self.exchange()?;
        Some((&mut self.inner.packets, self.current.as_mut()?))
    }

    /// The stream, to pass on data the server asked for.
    pub fn packets(&mut self) -> &mut PacketStream {
        &mut self.inner.packets
    }

    /// Notes that the exchange under way is over, as its last [`Step`](crate::protocol::exchange::Step) said.
    pub fn exchange_over(&mut self) {
        self.current = None;
    }

    /// Whether a response is still due.
    pub fn is_due(&self) -> bool {
        self.current.is_some() || !self.inner.due.is_empty()
    }

    /// Ready again if every response is over, closed otherwise.
    pub fn finish(mut self) -> Option<Ready> {
        let over = !self.is_due() && self.inner.packets.input().is_empty();
        over.then_some(Ready(self.inner))
    }
}
