//! The commands of prepared statements.

use super::binding::{Binding, Open, PinReason};
use super::carried::{stand_in, stand_in_job, token_set};
use super::commands::{PINNED, asked_elsewhere, raw_job, reports_chosen};
use super::flight::means_the_same;
use super::handling::{ASKING, asks_elsewhere};
use super::job::{Body, Execution, Job, JobCommand};
use super::prepared::{JUST_PREPARED, Prepared, PreparedStatement};
use super::question::{Question, column_names};
use super::session::{Gone, Session};
use crate::consistency::gtid::Family;
use crate::pool::{Disposition, Lease};
use crate::protocol::capability::{Capabilities, Status};
use crate::protocol::command::Command;
use crate::protocol::errno;
use crate::protocol::exchange::Expect;
use crate::protocol::parameters::Execution as Parameters;
use crate::protocol::response::ServerError;
use crate::protocol::resultset::Protocol;
use crate::protocol::wire::Reader;
use crate::route::Need;
use crate::sql::{Kind, Statement, Traits, classify};
use bytes::Bytes;
use std::sync::Arc;

/// Bytes of the number of a parameter, with which its long data begins.
const PARAMETER_NUMBER: usize = 2;

impl Session {
    /// `COM_STMT_PREPARE`: on a server nearby, whatever the statement will need when it runs.
    pub(super) async fn prepare(&mut self, text: &[u8]) -> Result<(), Gone> {
        self.prepared.begin();
        if self.prepared.len() >= self.settings().max_prepared {
            let full = format!(
                "Can't create more than max_prepared_stmt_count statements (current value: {})",
                self.prepared.len()
            );
            return self.refuse(&ServerError::new(1461, b"42000", full)).await;
        }
        let Some(room) = self.prepared.make_room(text, &self.state, &self.shared.memory) else {
            return self.refuse(&errno::out_of_memory()).await;
        };
        let statement = self.classified(text);
        self.reports |= reports_chosen(text, &statement);
        let as_text = is_same_as_text(&statement, text);
        let stand_in = stand_in(&statement, column_names(text));
        let pins = !as_text && stand_in.is_none() && acts_on_session(&statement);
        let asks =
            statement.traits.intersects(ASKING.or(Traits::USES_CONNECTION_ID).or(Traits::READS_LANDBRIDGE_VARIABLE));
        let text: Arc<[u8]> = text.into();
        let id = self.prepared.next_id();
        let (need, wishes) = self.need_and_wishes(&text, &statement);
        let touch = self.touch(&text, &statement);
        let traits = statement.traits;
        let job = Job {
            pins: pins.then_some(PinReason::SessionVariable),
            wishes,
            ..Job::new(JobCommand::Prepare(text.clone(), id), if pins { PINNED } else { Need::Read })
        };
        let job = match stand_in {
            Some(stand_in) => stand_in_job(stand_in, id),
            None => job,
        };
        self.last_prepared = None;
        self.execute(job).await?;
        if let Some(params) = self.last_prepared.take() {
            let says = Prepared::new(text, self.state.clone(), self.mode());
            let mut statement = PreparedStatement::new(says, need, traits, params);
            statement.room = room;
            statement.as_text = as_text;
            statement.asks = asks;
            statement.wishes = wishes;
            statement.touch = touch;
            self.prepared.insert(statement);
        } else {
            self.prepared.keep_no_room(room);
        }
        Ok(())
    }

    /// The statement that a command is about, and what follows its id.
    fn statement_id<'b>(&self, body: &'b [u8]) -> Option<(u32, &'b [u8])> {
        let mut r = Reader::new(body, "statement id");
        let id = r.u32().ok()?;
        let is_last = id == JUST_PREPARED && self.shared.family() == Family::MariaDb;
        Some((if is_last { self.prepared.just_prepared() } else { id }, r.rest()))
    }

    /// Whether a text says now what it said in another state of the session.
    fn reads_as_in(&self, Prepared { text, prepared_in, .. }: &Prepared) -> bool {
        // Nothing that a character set, a mode or a schema would give another meaning.
        let is_plain = text.is_ascii() && !text.iter().any(|byte| b"\"\\|(".contains(byte));
        is_plain || Arc::ptr_eq(prepared_in, &self.state) || means_the_same(self, prepared_in)
    }

    /// An execution was refused before anybody looked at it: the types that it may have bound count for later ones, which
    /// need not repeat them.
    pub(super) fn keep_types(&mut self, command: Command, body: &Bytes) {
        let caps = self.client.caps;
        let Some((id, rest)) = self.statement_id(body) else { return };
        let rest = body.slice_ref(rest);
        let Some(statement) = self.prepared.find(id) else { return };
        // What is malformed is said to who repeats it.
        let _malformed = match command {
            Command::StmtExecute => statement.complete(&rest, caps).is_err(),
            Command::StmtBulkExecute => statement.complete_bulk(&rest).is_err(),
            _ => false,
        };
    }

    /// `COM_STMT_EXECUTE`
    pub(super) async fn execute_statement(&mut self, body: Bytes) -> Result<(), Gone> {
        let Some((id, rest)) = self.statement_id(&body) else {
            return self.refuse(&errno::malformed_packet()).await;
        };
        let rest = body.slice_ref(rest);
        let Some(mut statement) = self.prepared.find(id) else {
            return self.refuse_unknown(id, "mysqld_stmt_execute").await;
        };
        if statement.as_text {
            let says = statement.says.clone();
            if !self.reads_as_in(&says) {
                return self.refuse(&errno::prepared_otherwise()).await;
            }
            return self.query(&Bytes::copy_from_slice(&says.text)).await;
        }
        if statement.asks {
            let (text, params) = (statement.says.text.clone(), statement.params);
            let complete = statement.complete(&rest, self.client.caps).ok();
            let read = classify(&text, self.mode());
            if token_set(&read).is_some() {
                let value = complete.as_ref().and_then(Parameters::only_text).unwrap_or(b"?").to_vec();
                return self.carry_token(&value).await;
            }
            if read.traits.contains(Traits::READS_LANDBRIDGE_VARIABLE) {
                self.name_what_was_read().await;
            }
            let question = Question::of(&text, read.traits).filter(|_| params == 0);
            if let Some(answer) = question.and_then(|question| self.local_answer(&question, read.traits)) {
                return self.send_answer(answer, Protocol::Binary).await;
            }
            if asks_elsewhere(&text, &read, self.held()) {
                return self.refuse(&asked_elsewhere()).await;
            }
            statement = match self.prepared.find(id) {
                Some(statement) => statement,
                None => return self.refuse_unknown(id, "mysqld_stmt_execute").await,
            };
        }
        let caps = self.client.caps;
        let Ok(complete) = statement.complete(&rest, caps) else {
            return self.refuse(&errno::malformed_packet()).await;
        };
        let (Some(long_data), long_data_bytes) = statement.take_long_data() else {
            return self.refuse(&errno::out_of_memory()).await;
        };
        let need = if complete.opens_cursor() { PINNED } else { statement.need };
        let execution = Execution {
            statement: statement.says.clone(),
            cursor: complete.opens_cursor().then_some(id),
            body: Body::Once(complete, statement.params),
            long_data,
        };
        let mut job = Job::new(JobCommand::Execute(execution), need);
        (job.traits, job.wishes, job.touch) = (statement.traits, statement.wishes, statement.touch.clone());
        let done = self.execute(job).await;
        self.prepared.long_data_is_gone(long_data_bytes);
        done
    }

    /// MariaDB's `COM_STMT_BULK_EXECUTE`: one statement for many rows of parameters.
    pub(super) async fn execute_in_bulk(&mut self, body: &[u8]) -> Result<(), Gone> {
        if !self.client.caps.contains(Capabilities::BULK) {
            return self.refuse(&errno::unknown_command()).await;
        }
        let Some((id, rest)) = self.statement_id(body) else {
            return self.refuse(&errno::malformed_packet()).await;
        };
        let Some(statement) = self.prepared.find(id) else {
            return self.refuse_unknown(id, "mysqld_stmt_execute").await;
        };
        if statement.asks {
            let text = statement.says.text.clone();
            let statement = classify(&text, self.mode());
            if asks_elsewhere(&text, &statement, self.held()) {
                return self.refuse(&asked_elsewhere()).await;
            }
        }
        let Some(statement) = self.prepared.find(id) else {
            return self.refuse_unknown(id, "mysqld_stmt_execute").await;
        };
        let Ok(body) = statement.complete_bulk(rest) else {
            return self.refuse(&errno::malformed_packet()).await;
        };
        let execution = Execution {
            statement: statement.says.clone(),
            cursor: None,
            body: Body::InBulk(body),
            long_data: Vec::new(),
        };
        let (traits, wishes, touch) = (statement.traits, statement.wishes, statement.touch.clone());
        let job = Job { traits, wishes, touch, ..Job::new(JobCommand::Execute(execution), statement.need) };
        self.execute(job).await
    }

    /// `COM_STMT_SEND_LONG_DATA`: kept here until the statement runs; no answer. One that does not say which parameter
    /// it is for MariaDB ignores, and MySQL answers after all: it must not be sent to a server, which might.
    pub(super) async fn long_data(&mut self, body: &[u8]) -> Result<(), Gone> {
        let Some((id, piece)) = self.statement_id(body).filter(|(_, piece)| piece.len() >= PARAMETER_NUMBER) else {
            let is_answered = self.shared.family() == Family::MySql;
            return if is_answered { self.refuse(&errno::malformed_packet()).await } else { Ok(()) };
        };
        let limit = self.settings().max_packet;
        self.prepared.add_long_data(id, piece, limit, &self.shared.memory);
        Ok(())
    }

    /// `COM_STMT_CLOSE`: no answer. Servers' handles stay, for whoever prepares the same text next.
    pub(super) async fn close_statement(&mut self, body: &[u8]) {
        if let Some((id, _)) = self.statement_id(body) {
            self.prepared.remove(id);
            self.close_cursor(id).await;
        }
    }

    /// `COM_STMT_RESET`
    pub(super) async fn reset_statement(&mut self, body: &[u8]) -> Result<(), Gone> {
        let Some((id, _)) = self.statement_id(body) else {
            return self.refuse(&errno::malformed_packet()).await;
        };
        if !self.prepared.reset(id) {
            return self.refuse_unknown(id, "mysqld_stmt_reset").await;
        }
        self.close_cursor(id).await;
        self.send_ok().await
    }

    /// `COM_STMT_FETCH`: rows of the cursor on the connection the session is pinned to.
    pub(super) async fn fetch(&mut self, body: &[u8]) -> Result<(), Gone> {
        let Some((id, rows)) = self.statement_id(body) else {
            return self.refuse(&errno::malformed_packet()).await;
        };
        if self.prepared.find(id).is_none() {
            return self.refuse_unknown(id, "mysqld_stmt_fetch").await;
        }
        let handle = self.cursors.get(&id).copied().filter(|_| self.holds_connection());
        let Some(handle) = handle else {
            return self.refuse(&errno::no_open_cursor(id, self.shared.family() == Family::MariaDb)).await;
        };
        let body = [&handle.to_le_bytes()[..], rows].concat();
        self.execute(raw_job(Command::StmtFetch, &body, Expect::Rows, PINNED)).await?;
        // With the last row the server has closed the cursor.
        if self.binding.lease().and_then(Lease::conn).is_some_and(|c| c.status().contains(Status::LAST_ROW_SENT)) {
            self.close_cursor(id).await;
        }
        Ok(())
    }

    /// There is no such statement, in the servers' words: MySQL looks it up in one place.
    async fn refuse_unknown(&mut self, id: u32, command: &str) -> Result<(), Gone> {
        let looked_up_in = match self.shared.family() {
            Family::MySql => "mysql_stmt_precheck",
            Family::MariaDb => command,
        };
        self.refuse(&errno::unknown_statement(id, looked_up_in)).await
    }

    /// Closes the cursor of a statement; with the last one ends the pin that kept its connection.
    async fn close_cursor(&mut self, id: u32) {
        let Some(handle) = self.cursors.remove(&id) else { return };
        // Only who is pinned for it has one open: anybody else's connection is another one.
        if !self.binding.pins().is_some_and(|pins| pins.contains(PinReason::Cursor)) {
            return;
        }
        let Some((mut lease, mut pins)) = self.binding.take_lease() else { return };
        if let Some(conn) = lease.conn_mut() {
            // Each cursor has a statement of its own.
            conn.close_statement(handle);
        }
        if !self.cursors.is_empty() {
            self.binding = Binding::Pinned(lease, pins);
            return;
        }
        pins.remove(PinReason::Cursor);
        lease.taint();
        let open = Open::on(lease.conn()) != Open::No;
        if !open {
            self.sight.doubt(&self.shared);
        }
        self.binding = match (pins.is_empty(), open) {
            (false, _) => Binding::Pinned(lease, pins),
            (true, true) => Binding::InTransaction(lease),
            (true, false) => {
                self.release(lease, Disposition::NeedsReset).await;
                Binding::Free
            }
        };
    }
}

/// Whether executing a statement is the same as sending its text: brackets of transactions and `SET`
/// without parameters, whose answer is an OK in both protocols.
fn is_same_as_text(statement: &Statement<'_>, text: &[u8]) -> bool {
    let plain =
        matches!(statement.kind, Kind::Set(_) | Kind::Begin(_) | Kind::Commit(_) | Kind::Rollback(_) | Kind::Savepoint);
    plain && !text.contains(&b'?')
}

/// Whether a statement would change the session when it is executed: it is prepared on the connection
/// that the session keeps from then on.
fn acts_on_session(statement: &Statement<'_>) -> bool {
    matches!(
        statement.kind,
        Kind::Set(_) | Kind::Use(_) | Kind::Begin(_) | Kind::Commit(_) | Kind::Rollback(_) | Kind::Savepoint
    )
}
