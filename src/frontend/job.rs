//! One command on its way to a server: what it is and what it needs.

use super::binding::PinReason;
use super::circumstances::need_if_identified;
use super::prepared::Prepared;
use crate::consistency::scopes::Key;
use crate::consistency::token::Changed;
use crate::consistency::touched::Touch;
use crate::protocol::exchange::Expect;
use crate::protocol::parameters;
use crate::route::{Need, Reason};
use crate::sql::{Completion, Kind, Semicolons, Statement, Traits, Transactions, Why};
use crate::state::SessionState;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// One command to be run on a server.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// The command.
    pub command: JobCommand,
    /// What it needs.
    pub need: Need,
    /// What is known of its text.
    pub traits: Traits,
    /// What it does to a transaction.
    pub ends: Option<Completion>,
    /// Whether it ends it by undoing it.
    pub rolls_back: bool,
    /// Where its text has `;`: whether statements may be put in front of it.
    pub semicolons: Semicolons,
    /// The session's state after it, if it succeeds: for `SET` and `USE`.
    pub becomes: Option<Arc<SessionState>>,
    /// Why it ties the session to its connection, if it does by what it is.
    pub pins: Option<PinReason>,
    /// What a hint or a rule asks for.
    pub wishes: Wishes,
    /// What it touches, where tables are told apart.
    pub touch: Touch,
}

/// What a hint or a rule asks for, besides a server.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// The key of the application that it concerns.
    pub key: Option<Key>,
    /// How far a replica may be behind.
    pub max_lag: Option<Duration>,
    /// Where a replica has no row, the primary is asked.
    pub on_empty: bool,
    /// Where the transaction reads that it begins.
    pub transactions: Option<Transactions>,
}

/// The forms of commands that run on servers.
#[derive(Debug, Clone)]
pub(super) enum JobCommand {
    /// `COM_QUERY` with this text.
    Text(Bytes),
    /// `COM_STMT_PREPARE` of this text, to be known to the client by this id.
    Prepare(Arc<[u8]>, u32),
    /// `COM_STMT_EXECUTE`.
    Execute(Execution),
    /// Anything else, byte for byte.
    Raw(Vec<u8>, Expect),
}

/// The execution of a prepared statement.
#[derive(Debug, Clone)]
pub(super) struct Execution {
    /// The statement.
    pub statement: Arc<Prepared>,
    /// The client's id of it, if rows stay on the server to be fetched.
    pub cursor: Option<u32>,
    /// How, and with what.
    pub body: Body,
    /// Long data to send ahead.
    pub long_data: Vec<Vec<u8>>,
}

/// What follows the id of the statement that is executed.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// `COM_STMT_EXECUTE` of a statement with so many parameters.
    Once(parameters::Execution, u16),
    /// MariaDB's `COM_STMT_BULK_EXECUTE`.
    InBulk(Vec<u8>),
}

impl Execution {
    /// How many bytes it keeps, about.
    pub(super) fn size(&self) -> usize {
        let body = match &self.body {
            Body::Once(execution, _) => execution.size(),
            Body::InBulk(body) => body.len(),
        };
        self.statement.text.len() + body + self.long_data.iter().map(Vec::len).sum::<usize>()
    }
}

impl JobCommand {
    /// How many bytes it has, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Prepare(text, _) => text.len(),
            Self::Execute(execution) => execution.size(),
            Self::Raw(bytes, _) => bytes.len(),
        }
    }
}

impl Job {
    /// A command with nothing special about it.
    pub(super) fn new(command: JobCommand, need: Need) -> Self {
        Self {
            command,
            need,
            traits: Traits::NONE,
            ends: None,
            rolls_back: false,
            semicolons: Semicolons::None,
            becomes: None,
            pins: None,
            wishes: Wishes::default(),
            touch: Touch::Anything,
        }
    }

    /// A statement as text, with what is known of it by itself.
    pub(super) fn of_statement(text: Bytes, statement: &Statement<'_>, need: Need) -> Self {
        let ends = match statement.kind {
            Kind::Commit(end) | Kind::Rollback(end) => Some(end),
            _ => None,
        };
        Self {
            traits: statement.traits,
            ends,
            rolls_back: matches!(statement.kind, Kind::Rollback(_)),
            semicolons: statement.semicolons,
            ..Self::new(JobCommand::Text(text), need)
        }
    }

    /// If it asks for the number of its connection, that is kept.
    pub(super) fn stay_if_identified(&mut self) {
        if let Some(need) = need_if_identified(self.need, self.traits)
            && self.pins.is_none()
        {
            (self.need, self.pins) = (need, Some(PinReason::ConnectionId));
        }
    }

    /// The text of the statement that it runs, if it runs one.
    pub(super) fn statement(&self) -> Option<&[u8]> {
        match &self.command {
            JobCommand::Text(text) => Some(text),
            JobCommand::Execute(execution) => Some(&execution.statement.text),
            JobCommand::Prepare(..) | JobCommand::Raw(..) => None,
        }
    }

    /// The prepared statement that it executes, if it executes one.
    pub(super) fn prepared(&self) -> Option<&Prepared> {
        if let JobCommand::Execute(execution) = &self.command { Some(&execution.statement) } else { None }
    }

    /// Whether it may be run twice without harm.
    pub(super) fn is_repeatable(&self) -> bool {
        self.need.is_read()
    }

    /// Whether it means the same in whatever schema the session is, and in none.
    pub(super) fn needs_no_schema(&self) -> bool {
        const VERBS: [&[u8]; 4] = [b"create database", b"create schema", b"drop database", b"drop schema"];
        let JobCommand::Text(text) = &self.command else { return false };
        let starts_with = |verb: &&[u8]| text.get(..verb.len()).is_some_and(|head| head.eq_ignore_ascii_case(verb));
        self.traits.contains(Traits::TABLE_FREE) || VERBS.iter().any(starts_with)
    }

    /// Whether its answer may show what is in tables, be it only by failing.
    pub(super) fn shows_data(&self) -> bool {
        let is_data = matches!(self.command, JobCommand::Text(_) | JobCommand::Execute(_));
        is_data && !self.traits.contains(Traits::TABLE_FREE) && self.becomes.is_none()
    }

    /// What it changes, if it writes.
    pub(super) fn changes(&self) -> Changed {
        let Need::Primary(Reason::Statement(why)) = self.need else { return Changed::Data };
        match why {
            Why::Insert | Why::Update | Why::Delete | Why::LoadData => Changed::Data,
            _ => Changed::Schema,
        }
    }

    /// Whether rows stay on the server to be fetched.
    pub(super) fn opens_cursor(&self) -> bool {
        matches!(&self.command, JobCommand::Execute(Execution { cursor: Some(_), .. }))
    }

    /// Whether it prepares a statement, and leaves nothing on the connection but that.
    pub(super) fn only_prepares(&self) -> bool {
        matches!(self.command, JobCommand::Prepare(..)) && self.pins.is_none()
    }
}
