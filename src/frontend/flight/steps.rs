//! The steps of a flight: commands of our own ahead of the client's, and the client's command.

use super::Failed;
use crate::backend::conn::Busy;
use crate::backend::query::Reply;
use crate::frontend::execute::{Job, JobCommand};
use crate::frontend::relay::Expected;
use crate::frontend::session::Session;
use crate::protocol::command::Command;
use crate::protocol::errno;
use crate::protocol::exchange::Expect;
use crate::protocol::response::ServerError;
use crate::state::{Plan, Prelude, SessionState};
use std::sync::Arc;

/// Commands of our own ahead of the client's.
pub(super) struct Flight<'a> {
    pub(super) busy: Busy,
    pub(super) pipelining: bool,
    pub(super) due: usize,
    pub(super) name: &'a str,
}

impl Flight<'_> {
    /// Counts an answer that is due, or waits for it where servers want one command at a time.
    pub(super) async fn step(&mut self) -> Result<(), Failed> {
        self.due += 1;
        if self.pipelining {
            return Ok(());
        }
        self.busy.flush().await.map_err(Failed::unsent(self.name))?;
        self.settle_due(false).await
    }

    pub(super) async fn set_multi_statements(&mut self, on: bool) -> Result<(), Failed> {
        if self.busy.set_multi_statements(on) > 0 {
            self.step().await?;
        }
        Ok(())
    }

    /// Runs statements and waits until they have succeeded.
    pub(super) async fn run_ahead(&mut self, sql: &[u8]) -> Result<(), Failed> {
        self.busy.command(Expect::Results, &[&[Command::Query.byte()], sql]);
        self.due += 1;
        self.busy.flush().await.map_err(Failed::unsent(self.name))?;
        self.settle_due(false).await
    }

    /// Reads the answers due to commands of our own; `sent` tells whether the client's command is
    /// in the same flight.
    pub(super) async fn settle_due(&mut self, sent: bool) -> Result<(), Failed> {
        let lost = |_| Failed::Lost { server: self.name.to_owned(), sent };
        while self.due > 0 {
            self.due -= 1;
            match self.busy.reply().await.map_err(lost)? {
                // A reset or option that fails on a living connection is unheard of; whatever ran
                // behind it must not be trusted.
                Reply::Err(_) if sent => return Err(Failed::Lost { server: self.name.to_owned(), sent }),
                Reply::Err(error) => return Err(Failed::Refused(errno::state_not_restored(self.name, &error))),
                Reply::Ok { .. } | Reply::Rows { .. } | Reply::Prepared { .. } => {}
            }
        }
        Ok(())
    }

    /// Sends ahead what the connection needs; returns what is to stand in front of the client's own
    /// text instead.
    pub(super) async fn go_ahead<'p>(&mut self, prelude: &'p Prelude, guarded: bool) -> Result<&'p [u8], Failed> {
        if prelude.reset {
            self.busy.reset_session();
            self.step().await?;
        }
        if prelude.statements == 0 {
            return Ok(b"");
        }
        self.set_multi_statements(true).await?;
        if guarded {
            return Ok(&prelude.sql);
        }
        self.run_ahead(&prelude.sql).await?;
        Ok(b"")
    }

    /// Adds the client's command; the inner error is the server's, of a statement it will not prepare.
    pub(super) async fn push(
        &mut self,
        session: &mut Session,
        job: &Job,
        prefix: &[u8],
        expected: &mut Expected,
    ) -> Result<Result<(), ServerError>, Failed> {
        match &job.command {
            JobCommand::Text(text) => {
                if prefix.is_empty() && !job.prefixable {
                    self.set_multi_statements(session.multi_statements).await?;
                }
                self.busy.command(Expect::Results, &[&[Command::Query.byte()], prefix, text]);
            }
            JobCommand::Prepare(text, id) => {
                expected.statement_id = Some(*id);
                self.busy.command(Expect::Prepare, &[&[Command::StmtPrepare.byte()], text]);
            }
            JobCommand::Execute { text, prepared_in, body, long_data, cursor } => {
                let prepared = match cursor {
                    Some(_) => self.prepare(session, text, prepared_in).await?,
                    None => self.prepared(session, text, prepared_in).await?,
                };
                if let (Some(id), Ok(handle)) = (cursor, &prepared) {
                    session.cursors.insert(*id, *handle);
                }
                let handle = match prepared {
                    Ok(handle) => handle.to_le_bytes(),
                    Err(error) => return Ok(Err(error)),
                };
                for piece in long_data {
                    self.busy.silent_command(&[&[Command::StmtSendLongData.byte()], &handle, piece]);
                }
                self.busy.command(Expect::Results, &[&[Command::StmtExecute.byte()], &handle, body]);
            }
            JobCommand::Raw(bytes, expect) => self.busy.command(*expect, &[bytes]),
        }
        Ok(Ok(()))
    }

    /// The handle of a statement on this connection, preparing it if need be.
    async fn prepared(
        &mut self,
        session: &Session,
        text: &Arc<[u8]>,
        prepared_in: &Arc<SessionState>,
    ) -> Result<Result<u32, ServerError>, Failed> {
        if let Some(handle) = self.busy.statements_mut().find(text, prepared_in) {
            return Ok(Ok(handle));
        }
        let prepared = self.prepare(session, text, prepared_in).await?;
        if let Ok(handle) = prepared {
            remember(&mut self.busy, text, prepared_in, handle);
        }
        Ok(prepared)
    }

    /// Prepares a statement as it was understood when the client prepared it: in the schema, the
    /// character set and the `sql_mode` of then, whatever the session has chosen since.
    async fn prepare(
        &mut self,
        session: &Session,
        text: &Arc<[u8]>,
        prepared_in: &Arc<SessionState>,
    ) -> Result<Result<u32, ServerError>, Failed> {
        let sql_mode = session.shared.sql_mode().unwrap_or_default();
        let then = session.state.reading_like(prepared_in, &sql_mode);
        let (there, back) = (session.state.plan_to(&then), then.plan_to(&session.state));
        let detour = match (there, back) {
            (Plan::Nothing, _) => None,
            (Plan::Apply(there), Plan::Apply(back)) if !there.reset && !back.reset => Some((there, back)),
            _ => {
                let why =
                    "the session's schema, character set or sql_mode changed since it was prepared; prepare it again";
                return Ok(Err(ServerError::new(1243, b"HY000", format!("Unknown prepared statement handler: {why}"))));
            }
        };
        if let Some((there, _)) = &detour {
            self.set_multi_statements(true).await?;
            self.run_ahead(&there.sql).await?;
        }
        self.busy.command(Expect::Prepare, &[&[Command::StmtPrepare.byte()], text]);
        self.busy.flush().await.map_err(Failed::unsent(self.name))?;
        self.settle_due(false).await?;
        let prepared = match self.busy.reply().await.map_err(Failed::unsent(self.name))? {
            Reply::Prepared { id } => Ok(id),
            Reply::Err(error) => Err(error),
            Reply::Ok { .. } | Reply::Rows { .. } => {
                return Err(Failed::Lost { server: self.name.to_owned(), sent: false });
            }
        };
        if let Some((_, back)) = &detour {
            self.run_ahead(&back.sql).await?;
        }
        Ok(prepared)
    }
}

/// Remembers a handle under the state its statement was prepared in, closing the one it displaces.
pub(super) fn remember(busy: &mut Busy, text: &Arc<[u8]>, prepared_in: &Arc<SessionState>, handle: u32) {
    if let Some(displaced) = busy.statements_mut().insert(text.clone(), prepared_in.clone(), handle) {
        busy.silent_command(&[&[Command::StmtClose.byte()], &displaced.to_le_bytes()]);
    }
}
