//! `SET` and `USE`: checked by a real server nearby, remembered, brought to others in a prelude.

use super::binding::{Binding, Characteristics};
use super::commands::ASKING;
use super::execute::{Job, JobCommand};
use super::flight::{self, Failed};
use super::proven::Accepted;
use super::session::{Gone, Last, Session};
use crate::backend::query::Reply;
use crate::consistency::token::Token;
use crate::metrics::Saved;
use crate::pool::{Disposition, Lease};
use crate::protocol::capability::{Capabilities, Status};
use crate::protocol::command::Command;
use crate::protocol::errno;
use crate::protocol::exchange::Expect;
use crate::protocol::response::{OkPacket, ServerError};
use crate::protocol::track::{Change, Changes};
use crate::protocol::wire::Put;
use crate::route::{self, Need, Reason};
use crate::sql::{
    Access, Assignment, Isolation, Mode, Semicolons, Statement, Target, Traits, TransactionScope, ValueClass,
    VariableScope, Why, is_untracked,
};
use crate::state::{SessionState, literal, quote_identifier};
use std::sync::Arc;
use std::time::Duration;

/// How long a server nearby may take to confirm something.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// How a `SET` changes what the session remembers.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    /// To this.
    Known(SessionState),
    /// To this, plus what the server reports these variables to be.
    Reported(SessionState, Vec<Vec<u8>>),
    /// It cannot be repeated elsewhere.
    Unknown,
}

fn effect(state: &SessionState, assignments: &[Assignment<'_>]) -> Effect {
    let mut state = state.clone();
    let mut reported = Vec::new();
    for Assignment { target, value } in assignments {
        let text = match value.class {
            ValueClass::Literal | ValueClass::Default => portable(value.text),
            ValueClass::Session | ValueClass::Other => None,
        };
        match (target, text) {
            (Target::Variable { scope: VariableScope::Session, name }, _) if is_untracked(name) => {
                return Effect::Unknown;
            }
            // Given as numbers, these could not be understood when statements are read.
            (Target::Variable { name, .. }, Some(text)) if decides_reading(name) && !is_word(&text) => {
                return Effect::Unknown;
            }
            (Target::Variable { name, .. }, text)
                if name.eq_ignore_ascii_case(b"autocommit") && !text.as_deref().is_some_and(is_boolean) =>
            {
                return Effect::Unknown;
            }
            // A user variable keeps the character set it was assigned in.
            (Target::Variable { name, .. }, _) if is_charset_variable(name) && state.has_user_variables() => {
                return Effect::Unknown;
            }
            (Target::Variable { scope: VariableScope::Session, name }, Some(text)) => state.set_variable(name, &text),
            (Target::Variable { scope: VariableScope::Session, name }, None) if value.class == ValueClass::Session => {
                reported.push(name.to_ascii_lowercase());
            }
            (Target::User(name), Some(text)) if value.class == ValueClass::Literal => {
                state.set_user_variable(&[b"@", &quote_identifier(name)[..]].concat(), &text);
            }
            (Target::Names { .. }, _) if state.has_user_variables() => return Effect::Unknown,
            (Target::Names { collation }, Some(text)) => {
                let mut item = [b"NAMES ", &text[..]].concat();
                if let Some(collation) = collation {
                    item.extend_from_slice(b" COLLATE ");
                    item.extend_from_slice(&quote_identifier(collation));
                }
                state.set_names(&item);
            }
            (Target::Transaction { scope: TransactionScope::Session, isolation, access }, _) => {
                set_transaction(&mut state, *isolation, *access);
            }
            _ => return Effect::Unknown,
        }
    }
    if reported.is_empty() { Effect::Known(state) } else { Effect::Reported(state, reported) }
}

/// Whether a variable decides how the text of later statements is read.
fn decides_reading(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    name == b"sql_mode" || name == b"character_set_client"
}

fn is_charset_variable(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with(b"character_set_") || name == b"collation_connection"
}

/// Whether a literal plainly says on or off.
fn is_boolean(text: &[u8]) -> bool {
    const PLAIN: [&[u8]; 8] = [b"0", b"1", b"ON", b"OFF", b"TRUE", b"FALSE", b"'ON'", b"'OFF'"];
    PLAIN.iter().any(|plain| text.eq_ignore_ascii_case(plain))
}

/// Whether a literal is a word or a string, such as `utf8mb4`, and not a number.
fn is_word(text: &[u8]) -> bool {
    text.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'\'')
}

fn set_transaction(state: &mut SessionState, isolation: Option<Isolation>, access: Option<Access>) {
    if let Some(isolation) = isolation {
        let statement = [b"SET SESSION TRANSACTION ISOLATION LEVEL ", isolation.as_sql()].concat();
        state.set_statement(b"transaction_isolation", &statement);
    }
    if let Some(access) = access {
        let statement = [b"SET SESSION TRANSACTION ", access.as_sql()].concat();
        state.set_statement(b"transaction_read_only", &statement);
    }
}

/// A literal's text in a form that means the same whatever `sql_mode` is in force when it is used.
fn portable(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii();
    if text.iter().any(|b| matches!(b, b'\\' | 0 | b';')) {
        return None;
    }
    match text {
        [b'"', inner @ .., b'"'] if inner.iter().any(|b| matches!(b, b'"' | b'\'')) => None,
        [b'"', inner @ .., b'"'] => Some([b"'", inner, b"'"].concat()),
        _ => Some(text.to_vec()),
    }
}

/// A `SET` or `USE` that runs on the connection the session holds, or comes to hold.
fn set_job(text: Arc<[u8]>, semicolons: Semicolons, pins: bool) -> Job {
    Job {
        command: JobCommand::Text(text),
        need: Need::Primary(Reason::Statement(Why::Admin)),
        traits: Traits::NONE,
        ends: None,
        semicolons,
        becomes: None,
        pins,
    }
}

/// A server's word that something of ours is in order.
struct Confirmed {
    lease: Lease,
    accepted: Accepted,
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
        if let Some(next) = of_next_transaction(assignments)
            && matches!(self.binding, Binding::Free)
        {
            return self.set_next_transaction(next).await;
        }
        let effect = effect(&self.state, assignments);
        if !statement.traits.intersects(ASKING) {
            self.release_brief().await;
        }
        // What concerns transactions must not overtake one that has begun.
        let held = self.holds_connection() || (self.binding.is_begun() && concerns_transactions(assignments));
        let global = |a: &Assignment<'_>| matches!(a.target, Target::Variable { scope: VariableScope::Global, .. });
        if assignments.iter().all(global) {
            // Nothing of it concerns this session.
            return self.execute(Job { traits: statement.traits, ..set_job(text, semicolons, false) }).await;
        }
        match effect {
            Effect::Known(state) if !held => self.set_nearby(&text, state, &[]).await,
            Effect::Reported(state, names) if !held => self.set_nearby(&text, state, &names).await,
            Effect::Known(state) => {
                let becomes = Some(Arc::new(state));
                self.execute(Job { becomes, traits: statement.traits, ..set_job(text, semicolons, false) }).await
            }
            // Only this connection knows the value from now on.
            Effect::Reported(..) | Effect::Unknown => {
                self.execute(Job { traits: statement.traits, ..set_job(text, semicolons, true) }).await
            }
        }
    }

    /// `SET TRANSACTION ..`: kept until the transaction begins, whose first statement takes it along.
    async fn set_next_transaction(&mut self, next: Characteristics) -> Result<(), Gone> {
        let before = self.next_transaction.unwrap_or_default();
        self.next_transaction = Some(Characteristics {
            isolation: next.isolation.or(before.isolation),
            access: next.access.or(before.access),
        });
        self.last = Last { insert_id: self.last.insert_id, ..Last::default() };
        self.shared.metrics.saved(Saved::State);
        self.send_ok().await
    }

    async fn set_nearby(&mut self, text: &[u8], mut state: SessionState, reported: &[Vec<u8>]) -> Result<(), Gone> {
        let key = reported.is_empty().then(|| self.key_of(text));
        let known = key.as_ref().and_then(|key| self.shared.proven.find_set(&self.account.user, key));
        let accepted = match known {
            Some(accepted) => accepted,
            None => {
                let confirmed = self.confirm(&[&[Command::Query.byte()], text], Expect::Results).await;
                let Confirmed { mut lease, accepted } = match confirmed {
                    Ok(confirmed) => confirmed,
                    Err(error) => return self.refuse(&error).await,
                };
                if !add_reported(&mut state, &accepted.changes, reported) {
                    // The server kept the value to itself: run it where it will be needed, and stay there.
                    lease.give_back(Disposition::NeedsReset);
                    return self.execute(set_job(text.into(), Semicolons::Between, true)).await;
                }
                if let Some(conn) = lease.conn_mut() {
                    conn.applied_is(Arc::new(state.clone()));
                }
                lease.give_back(Disposition::Clean);
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
        self.last = Last { warnings, diagnostics, insert_id: self.last.insert_id, ..Last::default() };
        self.shared.metrics.saved(Saved::State);
        let mut shown = Vec::new();
        Changes::new(&accepted.changes).filter_default(&mut shown);
        let mut status = self.status();
        status.set(Status::SESSION_STATE_CHANGED, !shown.is_empty());
        self.client.push_ok(&OkPacket { status, warnings, changes: Changes::new(&shown), ..OkPacket::default() });
    }

    /// `SET autocommit = 1` ends a transaction that `autocommit = 0` began.
    fn commits_by_autocommit(&mut self, next: &Arc<SessionState>) {
        let was_off = self.autocommit_off();
        let before = std::mem::replace(&mut self.state, next.clone());
        let is_off = self.autocommit_off();
        self.state = before;
        if was_off && !is_off && self.binding.is_begun() {
            self.binding = Binding::Free;
        }
    }

    /// `USE schema`, or `COM_INIT_DB`.
    pub(super) async fn use_schema(&mut self, schema: &[u8], command: Vec<u8>) -> Result<(), Gone> {
        let mut state = (*self.state).clone();
        state.set_schema(Some(schema));
        self.release_brief().await;
        if self.holds_connection() {
            let mut job = set_job(Arc::from(&b""[..]), Semicolons::None, false);
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

    /// Whether this user may choose `schema`, by the word of a server nearby, or of the primary.
    pub(super) async fn check_schema(&mut self, schema: &[u8]) -> Result<(), ServerError> {
        if self.shared.proven.has_schema(&self.account.user, schema) {
            return Ok(());
        }
        // The new schema must not be part of the state while it is being checked.
        let mut without = (*self.state).clone();
        if without.schema() == Some(schema) {
            without.set_schema(None);
            self.state = Arc::new(without);
        }
        let confirmed = self.confirm(&[&[Command::InitDb.byte()], schema], Expect::Ok).await;
        let mut state = (*self.state).clone();
        state.set_schema(Some(schema));
        match confirmed {
            Ok(Confirmed { mut lease, .. }) => {
                if let Some(conn) = lease.conn_mut() {
                    let mut applied = (**conn.applied()).clone();
                    applied.set_schema(Some(schema));
                    conn.applied_is(Arc::new(applied));
                }
                lease.give_back(Disposition::Clean);
                self.shared.proven.schema(&self.account.user, schema);
                self.state = Arc::new(state);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Asks a server nearby to do something that only concerns the session. What a replica
    /// refuses, the primary is asked: the replica may only be late.
    async fn confirm(&mut self, payload: &[&[u8]], expect: Expect) -> Result<Confirmed, ServerError> {
        let snapshot = self.shared.snapshot();
        self.picks = self.picks.wrapping_add(1);
        let near = route::decide(Need::Read, &Token::default(), &snapshot, self.picks).ok().map(|r| r.server);
        let primary = snapshot.primary().map(|p| p.id);
        let mut refused = None;
        for id in near.into_iter().chain(primary.filter(|p| Some(*p) != near)) {
            let Some(pool) = self.pools.get(usize::from(id.0)).cloned() else { continue };
            let confirmed = tokio::time::timeout(CONFIRM_TIMEOUT, self.confirm_at(&pool, payload, expect)).await;
            let silent = |_| Err(errno::unreachable(&pool.server().name, "it does not answer"));
            match confirmed.unwrap_or_else(silent) {
                Ok(confirmed) => return Ok(confirmed),
                // The first server's word is kept if the second cannot be asked.
                Err(error) => refused = Some(refused.filter(|_| error.code == 2003).unwrap_or(error)),
            }
        }
        Err(refused.unwrap_or_else(|| errno::unreachable("any server", "none is configured")))
    }

    async fn confirm_at(
        &mut self,
        pool: &Arc<crate::pool::Pool>,
        payload: &[&[u8]],
        expect: Expect,
    ) -> Result<Confirmed, ServerError> {
        let name = pool.server().name.clone();
        let unreachable = |why: String| errno::unreachable(&name, &why);
        let mut lease = pool.checkout(&self.state).await.map_err(|error| match &error {
            crate::pool::CheckoutError::Unreachable(dial) if dial.server_error().is_some() => {
                dial.server_error().cloned().unwrap_or_else(|| unreachable(error.to_string()))
            }
            _ => unreachable(error.to_string()),
        })?;
        let conn = lease.take().ok_or_else(|| unreachable("no connection".into()))?;
        let conn = flight::bring_to(conn, &self.state, &name).await.map_err(|failed| match failed {
            Failed::Refused(error) => error,
            Failed::Lost { .. } | Failed::ClientLeft(..) => unreachable("the connection was lost".into()),
        })?;
        let lost = |lost: crate::backend::conn::Lost| errno::unreachable(&name, &lost.to_string());
        let mut busy = conn.begin();
        busy.command(expect, payload);
        busy.flush().await.map_err(lost)?;
        let reply = busy.reply().await.map_err(lost)?;
        let mut warnings = Vec::new();
        if matches!(reply, Reply::Ok { warnings, .. } if warnings > 0) {
            busy.command(Expect::Results, &[&[Command::Query.byte()], b"SHOW WARNINGS"]);
            busy.flush().await.map_err(lost)?;
            if let Reply::Rows { rows, .. } = busy.reply().await.map_err(lost)? {
                warnings = rows;
            }
        }
        if let Some(conn) = busy.finish() {
            lease.put(conn);
        }
        match reply {
            Reply::Ok { changes, .. } => Ok(Confirmed { lease, accepted: Accepted { changes, warnings } }),
            Reply::Err(error) => {
                lease.give_back(Disposition::Clean);
                Err(error)
            }
            Reply::Rows { .. } | Reply::Prepared { .. } => {
                lease.give_back(Disposition::NeedsReset);
                Err(errno::malformed_packet())
            }
        }
    }

    /// Gives back a connection held only in case the next statement asked about the last one.
    pub(super) async fn release_brief(&mut self) {
        let Binding::Pinned(lease, pins) = &self.binding else { return };
        let in_transaction = lease.conn().is_some_and(|conn| conn.status().contains(Status::IN_TRANS));
        if pins.is_brief()
            && !in_transaction
            && let Some((lease, _)) = self.binding.take_lease()
        {
            self.release(lease, Disposition::Clean).await;
        }
    }

    /// Whether the session holds a connection.
    pub(super) fn holds_connection(&self) -> bool {
        matches!(self.binding, Binding::InTransaction(_) | Binding::Pinned(..))
    }
}

/// What a `SET TRANSACTION` says of the next transaction, if that is all there is.
fn of_next_transaction(assignments: &[Assignment<'_>]) -> Option<Characteristics> {
    match assignments {
        [Assignment { target: Target::Transaction { scope: TransactionScope::Next, isolation, access }, .. }] => {
            Some(Characteristics { isolation: *isolation, access: *access })
        }
        _ => None,
    }
}

/// Whether a `SET` is about transactions, the present one among them.
fn concerns_transactions(assignments: &[Assignment<'_>]) -> bool {
    const NAMES: [&[u8]; 5] =
        [b"autocommit", b"transaction_isolation", b"transaction_read_only", b"tx_isolation", b"tx_read_only"];
    assignments.iter().any(|assignment| match &assignment.target {
        Target::Transaction { .. } => true,
        Target::Variable { name, .. } => NAMES.contains(&&name.to_ascii_lowercase()[..]),
        _ => false,
    })
}

/// Adds what the server reported of `names`; false if it did not tell all of them.
fn add_reported(state: &mut SessionState, changes: &[u8], names: &[Vec<u8>]) -> bool {
    names.iter().all(|name| {
        let mut found = None;
        Changes::new(changes).for_each(|change| {
            if let Change::SystemVariable { name: changed, value } = change
                && changed.eq_ignore_ascii_case(name)
            {
                found = literal(value);
            }
        });
        found.is_some_and(|value| {
            state.set_variable(name, &value);
            true
        })
    })
}
