//! A flight of commands on a connection, and the answers that are due.

use super::{Busy, Lost, Ready};
use crate::backend::server::Setup;
use crate::backend::statements::Statements;
use crate::net::packets::PacketStream;
use crate::protocol::capability::{Capabilities, Status};
use crate::protocol::command::Command;
use crate::protocol::exchange::{Exchange, Expect};
use crate::protocol::packet::frame_parts;
use crate::protocol::parameters::NO_ATTRIBUTES;
use crate::state::SessionState;
use std::sync::Arc;

const QUERY: u8 = Command::Query.byte();

impl Busy {
    /// Adds a command to the flight; `parts` together are its payload, command byte included. A query has
    /// no attributes.
    pub fn command(&mut self, expect: Expect, parts: &[&[u8]]) {
        match parts {
            [[QUERY, text @ ..]] => self.query_with(NO_ATTRIBUTES, [text, &[]]),
            [[QUERY], text] => self.query_with(NO_ATTRIBUTES, [text, &[]]),
            [[QUERY], ahead, text] => self.query_with(NO_ATTRIBUTES, [ahead, text]),
            _ => self.push(expect, parts),
        }
    }

    /// Adds a query with attributes, `parts` together being its text. Servers that do not know attributes
    /// do not get them.
    pub fn query_with(&mut self, attributes: &[u8], parts: [&[u8]; 2]) {
        let known = self.inner.caps.contains(Capabilities::QUERY_ATTRIBUTES);
        let attributes = if known { attributes } else { &[] };
        self.push(Expect::Results, &[&[QUERY], attributes, parts[0], parts[1]]);
    }

    fn push(&mut self, expect: Expect, parts: &[&[u8]]) {
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
    pub fn applied_is(&mut self, state: &Arc<SessionState>, setup: &Arc<Setup>) {
        // Most often it is all as it was, and is not even counted anew.
        if !Arc::ptr_eq(&self.inner.applied, state) {
            self.inner.applied = state.clone();
        }
        if !self.inner.setup.as_ref().is_some_and(|own| Arc::ptr_eq(own, setup)) {
            self.inner.setup = Some(setup.clone());
        }
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
        self.inner.may_be_in_transaction = false;
    }

    /// Sends the flight.
    ///
    /// # Errors
    /// [`Lost`]: the flight may have arrived, or not.
    pub async fn flush(&mut self) -> Result<(), Lost> {
        let before = self.inner.packets.output().len();
        self.inner.trips = self.inner.trips.saturating_add(u32::from(before > 0));
        // How far it came nobody knows: all of it may have.
        self.inner.packets.flush_listening().await.map_err(Lost::after_send)
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
        let over = !self.is_due() && self.inner.packets.input().is_empty() && !self.inner.packets.is_broken();
        over.then_some(Ready(self.inner))
    }
}
