//! What a connection can do while nothing is under way on it.

use super::{Busy, Inner, Ready, fresh_state};
use crate::backend::login::{Account, DialError, LoggedIn, change_user};
use crate::backend::server::{Server, Setup, family};
use crate::backend::statements::Statements;
use crate::metrics::Traffic;
use crate::protocol::capability::Status;
use crate::protocol::command::Command;
use crate::protocol::packet::{frame, frame_parts};
use crate::state::{Plan, Prelude, SessionState};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::time::Instant;

impl Ready {
    /// Wraps a fresh login.
    pub fn new(login: LoggedIn, server: Arc<Server>, account: Arc<Account>) -> Self {
        let now = Instant::now();
        Self(Box::new(Inner {
            family: family(&login.greeting.version),
            packets: login.packets,
            server,
            account,
            caps: login.caps,
            nonce: login.greeting.nonce,
            thread_id: login.greeting.thread_id,
            peer: login.peer,
            applied: fresh_state(),
            setup: None,
            multi_statements: Some(false),
            statements: Statements::default(),
            insert_id: Some(0),
            status: Status::AUTOCOMMIT,
            may_be_in_transaction: false,
            due: VecDeque::new(),
            trips: 0,
            born: now,
            used: now,
            accounts: login.accounts,
            generation: login.generation,
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

    /// Whether it is as one that is opened now.
    pub fn is_current(&self) -> bool {
        self.0.generation == self.0.server.generation()
    }

    /// Whether the server's name stands for another address by now.
    pub fn has_moved(&self) -> bool {
        self.0.server.names.has_left(self.0.peer)
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
        // The server asks for the password again.
        inner.trips = inner.trips.saturating_add(2);
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

    /// Gives back memory that an idle connection does not need.
    pub fn shrink(&mut self) {
        self.0.packets.shrink();
    }

    /// Notes that it was used until now.
    pub fn used_now(&mut self) {
        self.0.used = Instant::now();
    }

    /// Both: it becomes idle now.
    pub fn rest(&mut self) {
        self.shrink();
        self.used_now();
    }

    /// Notes that the connection is now in this state: the client's own statement changed it.
    pub fn applied_is(&mut self, state: Arc<SessionState>) {
        self.0.applied = state;
    }

    /// Notes that a transaction may be open there: the server did not say.
    pub fn may_be_in_transaction(&mut self) {
        self.0.may_be_in_transaction = true;
    }

    /// Closes a statement; there is no answer, and it leaves with the next flight.
    pub fn close_statement(&mut self, handle: u32) {
        frame_parts(self.0.packets.output(), 0, &[&[Command::StmtClose.byte()], &handle.to_le_bytes()]);
    }

    /// Notes what `LAST_INSERT_ID()` answers now, if known.
    pub fn insert_id_is(&mut self, id: Option<u64>) {
        self.0.insert_id = id;
    }

    /// The flights since this was last asked.
    pub fn take_trips(&mut self) -> u32 {
        std::mem::take(&mut self.0.trips)
    }

    /// From now on its bytes are counted there.
    pub fn count(&mut self, traffic: Traffic) {
        self.0.packets.count(traffic);
    }

    /// The address it leads to, if it has one.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
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
