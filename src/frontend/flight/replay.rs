//! A transaction that has read on a replica, or has lost its connection, begins once more at the primary: what it did
//! ahead of the client's statement. Reads alone go in one flight with it; where something was changed, each statement
//! waits until the one before has shown what it had shown.
//!
//! What keeps that statement from running outside of the transaction is a savepoint: set behind the beginning, released
//! ahead of the statement. A server rolls a transaction back with some errors, and goes on with what comes next; the
//! savepoint has gone then, releasing it is an error, and what shares a text with the release, or has the handle that
//! comes after it, does not run (`tests/wire_facts.rs`).

use super::Failed;
use super::landing::Ahead;
use super::steps::{Flight, Guard, means_the_same, remember};
use crate::frontend::job::Execution;
use crate::frontend::journal::{Again, Journal};
use crate::frontend::prepared::Prepared;
use crate::frontend::session::Session;
use crate::protocol::capability::Status;
use crate::protocol::command::Command;
use crate::protocol::errno;
use crate::protocol::exchange::Expect;
use crate::protocol::parameters::NO_ATTRIBUTES;
use crate::protocol::response::ServerError;
use crate::state::Prelude;
use std::collections::VecDeque;

const SET_GUARD: &[u8] = b"SAVEPOINT landbridge_guard";
const RELEASE_GUARD: &[u8] = b"RELEASE SAVEPOINT landbridge_guard";

/// How the client's statement goes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Along {
    /// In the same flight: whatever it does is undone if the reads show something else.
    Together(Guard),
    /// When they are known to show the same.
    Behind,
}

impl Flight<'_> {
    /// Sends a transaction's beginning and what it did; returns what is to stand in front of the client's text, and how
    /// many statements that is. It ends early where something differs.
    pub(super) async fn replay(
        &mut self,
        session: &Session,
        mut prelude: Prelude,
        journal: &Journal,
        along: Along,
    ) -> Result<(Vec<u8>, usize), Failed> {
        if prelude.reset {
            self.busy.reset_session();
            self.step().await?;
        }
        if along != Along::Behind {
            prelude.push(&[SET_GUARD]);
        }
        self.set_multi_statements(true).await?;
        self.run(Expect::Results, &[&[Command::Query.byte()], &prelude.sql], Ahead::Prelude).await?;
        let mut prepared = Vec::new();
        // Where one that changes something fails, the next may find itself outside of the transaction.
        let by_step = !(self.pipelining && journal.only_reads());
        if by_step {
            if self.pipelining {
                // Should one of them be killed, and so never be answered, this is, and out of turn.
                self.run(Expect::Ok, &[&[Command::Ping.byte()]], Ahead::Sure).await?;
            }
            self.wait().await?;
        }
        let mut handles = VecDeque::new();
        if !by_step {
            // All that is prepared comes first: an execution may take numbers that nobody counts.
            for execution in journal.executions() {
                // What cannot be prepared is told apart below.
                handles.push_back(self.handle_again(session, execution, (&mut prepared, by_step)).await?);
            }
            for (execution, found) in journal.executions().zip(&mut handles) {
                // One that was found may have been closed, to make room for another.
                let known =
                    self.busy.statements_mut().known(&execution.statement.text, &execution.statement.prepared_in);
                let is_there = |handle| known == Some(handle) || prepared.iter().any(|(_, fresh)| *fresh == handle);
                if found.as_ref().is_ok_and(|handle| !is_there(*handle)) {
                    *found = self.handle_again(session, execution, (&mut prepared, by_step)).await?;
                }
            }
            if self.differing().is_some() {
                return Ok((Vec::new(), 0));
            }
        }
        for (at, step) in journal.steps().iter().enumerate() {
            match &step.command {
                Again::Text(text) => {
                    self.busy.query_with(step.attributes.as_deref().unwrap_or(NO_ATTRIBUTES), [&[], text]);
                }
                Again::Execute(execution) => {
                    let handle = match handles.pop_front() {
                        Some(handle) => handle,
                        None => self.handle_again(session, execution, (&mut prepared, by_step)).await?,
                    };
                    if self.differing().is_some() {
                        return Ok((Vec::new(), 0));
                    }
                    match handle {
                        Ok(handle) => self.execute(execution, handle),
                        Err(error) if errno::says_nothing_of_data(&error) => return Err(self.unread(&error)),
                        Err(_) => {
                            // It cannot be prepared here: then it shows nothing, which is something else.
                            self.differs_at(at);
                            return Ok((Vec::new(), 0));
                        }
                    }
                }
            }
            self.must_show(journal, at);
            if by_step {
                self.wait().await?;
                if !self.busy.status().contains(Status::IN_TRANS) {
                    self.differs_at(at);
                }
            }
            if self.differing().is_some() {
                return Ok((Vec::new(), 0));
            }
        }
        let mut behind = Prelude::default();
        if along != Along::Behind {
            behind.push(&[RELEASE_GUARD]);
        }
        for savepoint in journal.savepoints() {
            behind.push(&[savepoint]);
        }
        match along {
            Along::Together(Guard::SameText) => return Ok((behind.sql, behind.statements)),
            Along::Together(_) => self.run_guarded(&behind.sql).await?,
            Along::Behind if behind.statements > 0 => {
                self.run(Expect::Results, &[&[Command::Query.byte()], &behind.sql], Ahead::Prelude).await?;
                // Should one of them be killed, and so never be answered, this is, and out of turn.
                self.run(Expect::Ok, &[&[Command::Ping.byte()]], Ahead::Sure).await?;
            }
            Along::Behind => {}
        }
        if along == Along::Behind {
            self.wait().await?;
            let is_open = self.busy.status().contains(Status::IN_TRANS);
            if !is_open && self.differing().is_none() {
                let error = errno::not_supported("a transaction that ends while it is moved to the primary");
                return Err(Failed::Refused(error));
            }
        }
        Ok((Vec::new(), 0))
    }

    /// The handle of a statement that reads again; the inner error says that it cannot be prepared here. `prepared`: in
    /// this flight.
    async fn handle_again<'j>(
        &mut self,
        session: &Session,
        execution: &'j Execution,
        (prepared, by_step): (&mut Vec<(&'j Execution, u32)>, bool),
    ) -> Result<Result<u32, ServerError>, Failed> {
        let Prepared { text, prepared_in, .. } = &*execution.statement;
        if let Some(handle) = self.busy.statements_mut().find(text, prepared_in) {
            return Ok(Ok(handle));
        }
        let waits = by_step || !(self.pipelining && self.busy.statements_mut().is_counted());
        if waits || !means_the_same(session, prepared_in) {
            let handle = self.prepare_as_meant(session, execution).await?;
            // Not the one that the client executes now.
            self.take_fresh();
            if let Ok(handle) = handle {
                remember(&mut self.busy, text, prepared_in, handle);
            }
            return Ok(handle);
        }
        // All of these mean what they mean to the session now.
        if let Some((_, handle)) = prepared.iter().find(|(other, _)| other.statement.text == *text) {
            return Ok(Ok(*handle));
        }
        self.busy.command(Expect::Prepare, &[&[Command::StmtPrepare.byte()], text]);
        let foretold = self.busy.statements_mut().foretell();
        self.ahead.push_back(Ahead::PrepareAgain(foretold, text.clone(), prepared_in.clone()));
        prepared.push((execution, foretold.number));
        Ok(Ok(foretold.number))
    }
}
