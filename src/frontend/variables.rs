//! `SET` and `USE`: checked by a real server nearby, remembered, brought to others in a prelude.

use super::binding::{Binding, Characteristics, PinReason};
use super::confirm::{Confirmed, Place, ask_variables, in_schema};
use super::effect::{
    Effect, add_reported, concerns_connections, concerns_transactions, effect, is_global, of_next_transaction,
};
use super::flight::{FOUND_ROWS_QUERY, WARNINGS_QUERY};
use super::handling::ASKING;
use super::job::{Job, JobCommand};
use super::proven::Accepted;
use super::session::{Gone, Last, Session};
use super::settle::LAST_QUESTION;
use crate::backend::defaults::Defaults;
use crate::backend::query::Reply;
use crate::metrics::Saved;
use crate::pool::Disposition;
use crate::protocol::capability::{Capabilities, Status};
use crate::protocol::command::Command;
use crate::protocol::exchange::Expect;
use crate::protocol::response::OkPacket;
use crate::protocol::track::Changes;
use crate::protocol::wire::Put;
use crate::route::{Need, Reason};
use crate::sql::{Assignment, Mode, Semicolons, Statement, Traits, ValueClass, Why};
use crate::state::SessionState;
use bytes::Bytes;
use std::sync::Arc;

/// A `SET` or `USE` that runs on the connection the session holds, or comes to hold.
fn set_job(text: &[u8], semicolons: Semicolons, pins: bool) -> Job {
    let need = Need::Primary(Reason::Statement(Why::Admin));
    let pins = pins.then_some(PinReason::SessionVariable);
    Job { semicolons, pins, ..Job::new(JobCommand::Text(Bytes::copy_from_slice(text)), need) }
}

impl Session {
    /// `SET`, in any form.
    pub(super) async fn set(
        &mut self,
        text: Arc<[u8]>,
        assignments: &[Assignment<'_>],
        statement: &Statement<'_>,
    ) -> Result<(), Gone> {
        let semicolons = statement.semicolons;
        if !statement.traits.intersects(ASKING) {
            self.release_brief().await;
        }
        if let Some(next) = of_next_transaction(assignments)
            && matches!(self.binding, Binding::Free)
        {
            return self.set_next_transaction(next).await;
        }
        let effect = effect(&self.state, assignments, |name| self.shared.meaning_of_default(name));
        // What concerns transactions must not overtake one that has begun.
        let held = self.holds_connection() || (self.binding.is_begun() && concerns_transactions(assignments));
        let exact = assignments.iter().all(|assignment| assignment.value.class != ValueClass::Default);
        if assignments.iter().all(is_global) {
            // Nothing of it concerns this session.
            self.execute(Job { traits: statement.traits, ..set_job(&text, semicolons, false) }).await?;
            return self.variables_changed(concerns_connections(assignments)).await;
        }
        let done = match effect {
            Effect::Known(state) if !held => self.set_nearby(&text, state, &[], exact).await,
            Effect::Reported(state, names) if !held => self.set_nearby(&text, state, &names, exact).await,
            Effect::Known(state) => {
                let becomes = Some(Arc::new(state));
                self.execute(Job { becomes, traits: statement.traits, ..set_job(&text, semicolons, false) }).await
            }
            // Only this connection knows the value from now on.
            Effect::Reported(..) | Effect::Unknown => {
                self.execute(Job { traits: statement.traits, ..set_job(&text, semicolons, true) }).await
            }
        };
        done?;
        if !assignments.iter().any(is_global) {
            return Ok(());
        }
        self.variables_changed(concerns_connections(assignments)).await
    }

    /// Among several statements, or by one that is prepared by SQL, server-wide variables may be set, too.
    pub(super) async fn notice_hidden_globals(&mut self, text: &[u8], traits: Traits) -> Result<(), Gone> {
        if !traits.intersects(Traits::CHANGES_SESSION | Traits::SQL_PREPARE | Traits::SQL_EXECUTE) {
            return Ok(());
        }
        let text = text.to_ascii_lowercase();
        let here = memchr::memmem::find(&text, b"global").is_some();
        self.prepares_globals |= here && traits.contains(Traits::SQL_PREPARE);
        if here || (self.prepares_globals && traits.contains(Traits::SQL_EXECUTE)) {
            // Of several, some may have succeeded.
            self.server_variables_changed(true).await;
        }
        Ok(())
    }

    /// A server-wide variable was set: who logs in from now on must find it so, on connections that were
    /// open before, too. `connections`: what they keep to their end.
    async fn variables_changed(&mut self, connections: bool) -> Result<(), Gone> {
        if self.last.error.is_none() {
            self.server_variables_changed(connections).await;
        }
        Ok(())
    }

    async fn server_variables_changed(&self, connections: bool) {
        let primary = self.shared.snapshot().primary().map(|primary| usize::from(primary.id.0));
        let Some(pool) = primary.and_then(|id| self.pools.get(id)) else { return };
        let defaults = async {
            let mut lease = pool.checkout(&self.state).await.ok()?;
            let (conn, reply) = lease.take()?.query(&Defaults::reset_sql()).await.ok()?;
            lease.put(conn);
            lease.give_back(Disposition::Clean);
            if let Reply::Rows { rows, .. } = reply { Some(rows) } else { None }
        };
        let defaults = tokio::time::timeout(LAST_QUESTION, defaults).await.ok().flatten();
        pool.server().variables_changed(defaults);
        // Some count from the login on.
        pool.server().logins_outdated();
        if connections {
            pool.server().connections_outdated();
        }
        self.shared.proven.forget();
    }

    /// `SET TRANSACTION ..`: kept until the transaction begins, whose first statement takes it along.
    async fn set_next_transaction(&mut self, next: Characteristics) -> Result<(), Gone> {
        let before = self.next_transaction.unwrap_or_default();
        self.next_transaction = Some(Characteristics {
            isolation: next.isolation.or(before.isolation),
            access: next.access.or(before.access),
        });
        self.last = self.last.after_ok();
        self.shared.metrics.saved(Saved::State);
        self.send_ok().await
    }

    /// `exact`: the text means on any server what `state` says. `DEFAULT` does not.
    async fn set_nearby(
        &mut self,
        text: &[u8],
        mut state: SessionState,
        reported: &[Vec<u8>],
        exact: bool,
    ) -> Result<(), Gone> {
        let key = reported.is_empty().then(|| self.key_of(text));
        let known = key.as_ref().and_then(|key| self.shared.proven.find_set(&self.account.user, key));
        let accepted = match known {
            Some(accepted) => accepted,
            None => {
                // What a server computes may depend on the schema: `SET CHARACTER SET` does.
                let place = if reported.is_empty() { Place::Anywhere } else { Place::Here };
                let confirmed = self.confirm(&[&[Command::Query.byte()], text], Expect::Results, place).await;
                let Confirmed { mut lease, accepted } = match confirmed {
                    Ok(confirmed) => confirmed,
                    Err(error) => return self.refuse(&error).await,
                };
                let untold = add_reported(&mut state, &accepted.changes, reported);
                if !ask_variables(&mut lease, &mut state, &untold).await {
                    // The server kept the value to itself: run it where it will be needed, and stay there.
                    lease.give_back(Disposition::NeedsReset);
                    return self.execute(set_job(text, Semicolons::Between, true)).await;
                }
                if exact {
                    if let Some(conn) = lease.conn_mut() {
                        conn.applied_is(in_schema(&Arc::new(state.clone()), conn.applied().schema()));
                    }
                    lease.give_back(Disposition::Clean);
                } else {
                    lease.give_back(Disposition::NeedsReset);
                }
                if let Some(key) = key {
                    self.shared.proven.set(&self.account.user, &key, accepted.clone());
                }
                Arc::new(accepted)
            }
        };
        let state = Arc::new(state);
        self.commits_by_autocommit(&state);
        self.state = state;
        self.answer_accepted(&accepted);
        Ok(())
    }

    /// What the outcome of a `SET` of literals depends on: its text, and how it is read.
    fn key_of(&mut self, text: &[u8]) -> Vec<u8> {
        let Mode { ansi_quotes, no_backslash_escapes, ambiguous_charset, .. } = self.mode();
        let mode = [ansi_quotes, no_backslash_escapes, ambiguous_charset].map(u8::from);
        [&mode[..], text].concat()
    }

    /// Answers as a server did that accepted it.
    fn answer_accepted(&mut self, accepted: &Accepted) {
        let warnings = u16::try_from(accepted.warnings.len()).unwrap_or(u16::MAX);
        let diagnostics = (warnings > 0).then(|| accepted.warnings.clone());
        self.last = Last { warnings, diagnostics, ..self.last.after_ok() };
        self.shared.metrics.saved(Saved::State);
        let mut shown = Vec::new();
        Changes::new(&accepted.changes).filter(self.reports, &mut shown);
        let mut status = self.status();
        status.set(Status::SESSION_STATE_CHANGED, !shown.is_empty());
        self.client.push_ok(&OkPacket { status, warnings, changes: Changes::new(&shown), ..OkPacket::default() });
    }

    /// `SET autocommit = 1` ends a transaction that `autocommit = 0` began.
    fn commits_by_autocommit(&mut self, next: &Arc<SessionState>) {
        if self.autocommit_off() && !self.autocommit_off_in(next) && self.binding.is_begun() {
            self.binding = Binding::Free;
        }
    }

    /// Whether a job may be what turns autocommit on, and commits by that.
    pub(super) fn may_turn_autocommit_on(&self, job: &Job) -> bool {
        let is_foretold = job.becomes.as_ref().is_none_or(|next| !self.autocommit_off_in(next));
        let sets = job.becomes.is_some() || job.pins == Some(PinReason::SessionVariable);
        self.autocommit_off() && sets && is_foretold
    }

    /// `USE schema`, or `COM_INIT_DB`.
    pub(super) async fn use_schema(&mut self, schema: &[u8], command: Vec<u8>) -> Result<(), Gone> {
        let mut state = (*self.state).clone();
        state.set_schema(Some(schema));
        self.release_brief().await;
        if self.holds_connection() {
            let mut job = set_job(b"", Semicolons::None, false);
            job.command = JobCommand::Raw(command, Expect::Results);
            job.becomes = Some(Arc::new(state));
            return self.execute(job).await;
        }
        if let Err(error) = self.check_schema(schema).await {
            return self.refuse(&error).await;
        }
        self.state = Arc::new(state);
        let mut changes = Vec::new();
        if self.client.caps.contains(Capabilities::SESSION_TRACK) {
            let mut entry = Vec::new();
            entry.put_lenenc_bytes(schema);
            changes.push(1);
            changes.put_lenenc_bytes(&entry);
        }
        self.answer_accepted(&Accepted { changes, warnings: Vec::new() });
        Ok(())
    }

    /// Gives back a connection held only in case the next statement asked about the last one.
    pub(super) async fn release_brief(&mut self) {
        let Binding::Pinned(lease, pins) = &self.binding else { return };
        let in_transaction = lease.conn().is_some_and(|conn| conn.is_in_transaction());
        if pins.is_brief()
            && !in_transaction
            && let Some((lease, _)) = self.binding.take_lease()
        {
            self.release(lease, Disposition::Clean).await;
        }
    }

    /// Whether a connection is held for nothing but what the client may ask of its last statement.
    pub(super) fn holds_for_questions(&self) -> bool {
        let Binding::Pinned(lease, pins) = &self.binding else { return false };
        pins.is_brief() && lease.conn().is_some_and(|conn| !conn.is_in_transaction())
    }

    /// Asks what the client may ask next of the connection that is held for nothing else, and gives it
    /// back.
    pub(super) async fn ask_ahead(&mut self) {
        let Binding::Pinned(lease, _) = &mut self.binding else { return };
        let Some(conn) = lease.take() else { return };
        // In this order: warnings leave the number of rows alone, but not the other way round.
        let asking = async {
            let (conn, warnings) = conn.query_in_bytes(WARNINGS_QUERY).await.ok()?;
            let (conn, found) = conn.query(FOUND_ROWS_QUERY).await.ok()?;
            Some((conn, warnings, found))
        };
        match tokio::time::timeout(LAST_QUESTION, asking).await {
            Ok(Some((conn, warnings, found))) => {
                lease.put(conn);
                if let Reply::Rows { rows, .. } = warnings {
                    self.last.diagnostics = Some(rows);
                }
                let found = found.first_value().and_then(|rows| rows.parse().ok());
                self.last.found_rows = found.or(self.last.found_rows);
                self.release_brief().await;
            }
            // What it would have said is lost with it; the statement itself was answered.
            _ => self.binding = Binding::Free,
        }
    }

    /// Whether the session holds a connection.
    pub(super) fn holds_connection(&self) -> bool {
        matches!(self.binding, Binding::Optimistic(..) | Binding::InTransaction(_) | Binding::Pinned(..))
    }
}
