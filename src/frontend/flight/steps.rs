//! The steps of a flight: what goes ahead of the client's command, the command, and how they landed.

use super::Failed;
use super::landing::{Ahead, Grounded};
use crate::backend::conn::Busy;
use crate::frontend::job::{Body, Execution, Job, JobCommand};
use crate::frontend::prepared::Prepared;
use crate::frontend::relay::Expected;
use crate::frontend::session::Session;
use crate::protocol::command::Command;
use crate::protocol::errno;
use crate::protocol::exchange::Expect;
use crate::protocol::parameters::NO_ATTRIBUTES;
use crate::protocol::response::ServerError;
use crate::state::{Plan, Prelude, SessionState};
use std::collections::VecDeque;
use std::sync::Arc;

/// What keeps the client's command from running where its prelude failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// It stands behind the prelude in one multi-statement, which ends at the first error.
    SameText,
    /// It executes a statement by a handle that exists only if the prelude came to its end: see
    /// [`takes_numbers`].
    Handle,
    /// It is sent when the prelude has been answered.
    Wait,
}

/// The end of a prelude that guards by handle. Servers number statements of both protocols together, so only where all
/// of this ran can the statement prepared next have the foretold number. It leaves nothing behind.
fn takes_numbers(count: u32) -> Vec<u8> {
    let mut sql = Vec::new();
    for _ in 0..count {
        sql.extend_from_slice(b"PREPARE landbridge_guard FROM 'DO 0';");
    }
    sql.extend_from_slice(b"DEALLOCATE PREPARE landbridge_guard");
    sql
}

/// A way to prepare a statement as it was understood when the client prepared it: in the schema, the
/// character set and the `sql_mode` of then, whatever the session has chosen since.
enum Detour {
    /// The session still understands it so.
    None,
    /// Statements that lead there, and back again.
    Over(Prelude, Prelude),
    /// There is none.
    Impossible,
}

fn detour(session: &Session, prepared_in: &Arc<SessionState>) -> Detour {
    // By far the most frequent, and free.
    if Arc::ptr_eq(&session.state, prepared_in) {
        return Detour::None;
    }
    let sql_mode = session.shared.sql_mode().unwrap_or_default();
    let then = session.state.reading_like(prepared_in, &sql_mode);
    // A statement may have assigned those that the connection has: they stay, and preparing needs none.
    let (now, then) = (session.state.without_user_variables(), then.without_user_variables());
    match (now.plan_to(&then), then.plan_to(&now)) {
        (Plan::Nothing, _) => Detour::None,
        (Plan::Apply(there), Plan::Apply(back)) if !there.reset && !back.reset => Detour::Over(there, back),
        _ => Detour::Impossible,
    }
}

/// Whether the session still understands a statement as it did when it was prepared.
pub(in crate::frontend) fn means_the_same(session: &Session, prepared_in: &Arc<SessionState>) -> bool {
    matches!(detour(session, prepared_in), Detour::None)
}

/// Commands of our own, and the client's behind them.
pub(super) struct Flight<'a> {
    pub(super) busy: Busy,
    pub(super) pipelining: bool,
    pub(super) name: &'a str,
    pub(super) ahead: VecDeque<Ahead>,
    /// The handle of the statement that was prepared in order to be executed.
    fresh: Option<u32>,
    /// The first of the transaction's reads that showed something else than before.
    pub(super) differing: Option<usize>,
}

impl<'a> Flight<'a> {
    pub(super) fn new(busy: Busy, pipelining: bool, name: &'a str) -> Self {
        Self { busy, pipelining, name, ahead: VecDeque::new(), fresh: None, differing: None }
    }

    /// The server's name.
    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    /// Counts an answer that is due, or waits for it where servers want one command at a time.
    pub(super) async fn step(&mut self) -> Result<(), Failed> {
        self.ahead.push_back(Ahead::Sure);
        if self.pipelining { Ok(()) } else { self.wait().await }
    }

    pub(super) async fn set_multi_statements(&mut self, on: bool) -> Result<(), Failed> {
        if self.busy.set_multi_statements(on) > 0 {
            self.step().await?;
        }
        Ok(())
    }

    /// Sends a constant assignment, which fails as little as a reset does.
    pub(super) async fn set_insert_id(&mut self, sql: &[u8]) -> Result<(), Failed> {
        self.busy.command(Expect::Results, &[&[Command::Query.byte()], sql]);
        self.step().await
    }

    /// Runs statements and waits until they have succeeded.
    async fn run_ahead(&mut self, sql: &[u8]) -> Result<(), Failed> {
        self.busy.command(Expect::Results, &[&[Command::Query.byte()], sql]);
        self.ahead.push_back(Ahead::Prelude);
        if self.pipelining {
            // Should a killed statement never be answered, this is, and out of turn.
            self.busy.command(Expect::Ok, &[&[Command::Ping.byte()]]);
            self.ahead.push_back(Ahead::Sure);
        }
        self.wait().await
    }

    /// Sends what there is and waits for its answers, with nothing of the client's on the way.
    pub(super) async fn wait(&mut self) -> Result<(), Failed> {
        self.busy.flush().await.map_err(Failed::unsent(self.name))?;
        match self.land(false).await? {
            Some(Grounded::Prelude(error)) => Err(Failed::Refused(errno::state_not_restored(self.name, &error))),
            _ => Ok(()),
        }
    }

    /// Adds a command of ours, or waits for its answer where servers want one command at a time.
    pub(super) async fn run(&mut self, expect: Expect, parts: &[&[u8]], ahead: Ahead) -> Result<(), Failed> {
        self.busy.command(expect, parts);
        self.ahead.push_back(ahead);
        if self.pipelining { Ok(()) } else { self.wait().await }
    }

    /// Sends ahead what the connection needs. True if the statements among it are to stand in front of the client's own
    /// text instead.
    pub(super) async fn go_ahead(&mut self, prelude: &Prelude, guard: Guard) -> Result<bool, Failed> {
        if prelude.reset {
            self.busy.reset_session();
            self.step().await?;
        }
        if prelude.statements == 0 {
            return Ok(false);
        }
        self.set_multi_statements(true).await?;
        match guard {
            Guard::SameText => return Ok(true),
            Guard::Wait => self.run_ahead(&prelude.sql).await?,
            Guard::Handle => self.run_guarded(&prelude.sql).await?,
        }
        Ok(false)
    }

    /// Runs statements without which the statement prepared next does not get the number that is foretold.
    pub(super) async fn run_guarded(&mut self, sql: &[u8]) -> Result<(), Failed> {
        let Some(numbers) = self.busy.statements_mut().guard_behind(0) else { return self.run_ahead(sql).await };
        self.busy.command(Expect::Results, &[&[Command::Query.byte()], sql, &takes_numbers(numbers)]);
        self.ahead.push_back(Ahead::Prelude);
        self.busy.statements_mut().take_numbers(numbers);
        Ok(())
    }

    /// Adds the client's command; the inner error is the server's, of a statement it will not
    /// prepare. `anew`: a handle from before the prelude guards nothing.
    pub(super) async fn push(
        &mut self,
        session: &mut Session,
        job: &Job,
        prefix: &[u8],
        anew: bool,
        expected: &mut Expected,
    ) -> Result<Result<(), ServerError>, Failed> {
        match &job.command {
            JobCommand::Text(text) => {
                if prefix.is_empty() && job.semicolons.may_separate() {
                    self.set_multi_statements(session.multi_statements).await?;
                }
                let attributes = session.attributes.as_deref().unwrap_or(NO_ATTRIBUTES);
                self.busy.query_with(attributes, [prefix, text]);
            }
            JobCommand::Prepare(text, id) => {
                expected.statement_id = Some(*id);
                self.busy.statements_mut().foretell();
                self.busy.command(Expect::Prepare, &[&[Command::StmtPrepare.byte()], text]);
            }
            JobCommand::Execute(execution) => match self.handle(session, execution, anew).await? {
                Ok(handle) => self.execute(execution, handle),
                Err(error) => return Ok(Err(error)),
            },
            JobCommand::Raw(bytes, expect) => self.busy.command(*expect, &[bytes]),
        }
        Ok(Ok(()))
    }

    /// Adds the execution of a statement by its handle, foretold or known.
    pub(super) fn execute(&mut self, execution: &Execution, handle: u32) {
        if !execution.long_data.is_empty() && execution.cursor.is_none() {
            self.busy.statements_mut().fill(handle);
        }
        let handle = handle.to_le_bytes();
        for piece in &execution.long_data {
            self.busy.silent_command(&[&[Command::StmtSendLongData.byte()], &handle, piece]);
        }
        let expect = if execution.cursor.is_some() { Expect::Cursor } else { Expect::Results };
        self.busy.statements_mut().executes();
        match &execution.body {
            Body::Once(once, params) => {
                once.with_parts(*params, self.busy.caps(), |[head, nulls, bound, types, values]| {
                    let command = [Command::StmtExecute.byte()];
                    self.busy.command(expect, &[&command, &handle, head, nulls, bound, types, values]);
                });
            }
            Body::InBulk(body) => self.busy.command(expect, &[&[Command::StmtBulkExecute.byte()], &handle, body]),
        }
    }

    /// The handle of a statement on this connection; one that is being prepared is foretold.
    async fn handle(
        &mut self,
        session: &Session,
        execution: &Execution,
        anew: bool,
    ) -> Result<Result<u32, ServerError>, Failed> {
        let Prepared { text, prepared_in, .. } = &*execution.statement;
        // A cursor has its statement to itself.
        if !anew
            && execution.cursor.is_none()
            && let Some(handle) = self.busy.statements_mut().find(text, prepared_in)
        {
            return Ok(Ok(handle));
        }
        if !self.pipelining || !means_the_same(session, prepared_in) {
            return self.prepare_as_meant(session, execution).await;
        }
        self.busy.command(Expect::Prepare, &[&[Command::StmtPrepare.byte()], text]);
        let foretold = self.busy.statements_mut().foretell();
        self.ahead.push_back(Ahead::Prepare(foretold));
        self.fresh = Some(foretold.number);
        Ok(Ok(foretold.number))
    }

    /// Prepares a statement as it was understood when the client prepared it, and waits for its handle.
    pub(super) async fn prepare_as_meant(
        &mut self,
        session: &Session,
        execution: &Execution,
    ) -> Result<Result<u32, ServerError>, Failed> {
        let Prepared { text, prepared_in, .. } = &*execution.statement;
        match detour(session, prepared_in) {
            Detour::None => self.prepare(text).await,
            Detour::Over(there, back) => {
                self.set_multi_statements(true).await?;
                self.run_ahead(&there.sql).await?;
                let prepared = self.prepare(text).await?;
                self.run_ahead(&back.sql).await?;
                Ok(prepared)
            }
            Detour::Impossible => Ok(Err(errno::prepared_otherwise())),
        }
    }

    /// Prepares a statement and waits for its handle.
    async fn prepare(&mut self, text: &Arc<[u8]>) -> Result<Result<u32, ServerError>, Failed> {
        match self.try_to_prepare(text).await? {
            Err(error) if make_room(&mut self.busy, &error) => self.try_to_prepare(text).await,
            prepared => Ok(prepared),
        }
    }

    async fn try_to_prepare(&mut self, text: &Arc<[u8]>) -> Result<Result<u32, ServerError>, Failed> {
        self.busy.command(Expect::Prepare, &[&[Command::StmtPrepare.byte()], text]);
        let foretold = self.busy.statements_mut().foretell();
        self.ahead.push_back(Ahead::Prepare(foretold));
        self.busy.flush().await.map_err(Failed::unsent(self.name))?;
        self.fresh = match self.land(false).await? {
            None => Some(foretold.number),
            Some(Grounded::Handle(handle)) => Some(handle),
            Some(Grounded::Prepare(error)) => return Ok(Err(error)),
            Some(Grounded::Prelude(error)) => {
                return Err(Failed::Refused(errno::state_not_restored(self.name, &error)));
            }
        };
        Ok(self.fresh.ok_or_else(errno::malformed_packet))
    }

    /// The statement that was prepared in order to be executed has another handle: what was sent to this one reached
    /// nobody.
    pub(super) fn misses(&mut self) {
        if let Some(foretold) = self.fresh {
            self.busy.statements_mut().is_empty_again(foretold);
        }
    }

    /// The handle of the statement that was prepared last; it is not that of the client's execution from now on.
    pub(super) fn take_fresh(&mut self) -> Option<u32> {
        self.fresh.take()
    }

    /// Takes note of the statement that was prepared for an execution, under this handle.
    pub(super) fn keep_prepared(&mut self, session: &mut Session, execution: &Execution, corrected: Option<u32>) {
        let Some(handle) = self.fresh.map(|foretold| corrected.unwrap_or(foretold)) else { return };
        match execution.cursor {
            Some(id) => {
                if let Some(displaced) = session.cursors.insert(id, handle) {
                    close(&mut self.busy, displaced);
                }
            }
            None => remember(&mut self.busy, &execution.statement.text, &execution.statement.prepared_in, handle),
        }
    }
}

/// Remembers a handle under the state its statement was prepared in, closing the one it displaces.
pub(super) fn remember(busy: &mut Busy, text: &Arc<[u8]>, prepared_in: &Arc<SessionState>, handle: u32) {
    for displaced in busy.statements_mut().insert(text.clone(), prepared_in.clone(), handle) {
        close(busy, displaced);
    }
}

/// Closes all that is kept prepared, if the server says that there is too much of that: it counts what is prepared on all
/// connections. Whether there was any.
pub(super) fn make_room(busy: &mut Busy, error: &ServerError) -> bool {
    if error.code != errno::TOO_MANY_STATEMENTS {
        return false;
    }
    let kept = busy.statements_mut().forget_all();
    for handle in &kept {
        close(busy, *handle);
    }
    !kept.is_empty()
}

/// Closes a statement; there is no answer, and it leaves with the next flight.
pub(super) fn close(busy: &mut Busy, handle: u32) {
    busy.silent_command(&[&[Command::StmtClose.byte()], &handle.to_le_bytes()]);
}
