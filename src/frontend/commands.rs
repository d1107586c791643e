//! What each command of a client asks for; the work is done by `execute`, `variables`, `statements`.

use super::binding::{Beginning, Binding, PinReason};
use super::carried::token_set;
use super::handling::{Handling, Held, is_bracket};
use super::handshake::Rejected;
use super::job::{Job, JobCommand};
use super::kill::Kill;
use super::proof::{Proof, prove};
use super::question::Question;
use super::session::{Gone, Last, Session};
use super::sight::Sight;
use crate::backend::attributes::Attributes;
use crate::consistency::gtid::Family;
use crate::consistency::touched::Touch;
use crate::metrics::{Outcome, Saved};
use crate::protocol::capability::Capabilities;
use crate::protocol::command::Command;
use crate::protocol::errno;
use crate::protocol::exchange::Expect;
use crate::protocol::handshake::ChangeUser;
use crate::protocol::parameters::{NO_ATTRIBUTES, split_query};
use crate::protocol::response::{EOF, OkPacket, ServerError};
use crate::protocol::resultset::Protocol;
use crate::protocol::track::Reports;
use crate::route::{Need, Reason};
use crate::sql::{Begin, Completion, Kind, Statement, Traits, Transactions, Why};
use crate::state::SessionState;
use bytes::Bytes;
use std::sync::Arc;

impl Session {
    /// `COM_QUERY`
    pub(super) async fn query_with_attributes(&mut self, mut body: Bytes) -> Result<(), Gone> {
        if self.client.caps.contains(Capabilities::QUERY_ATTRIBUTES) {
            let Ok((attributes, text)) = split_query(&body) else {
                return self.refuse(&errno::malformed_packet()).await;
            };
            self.attributes = Some(attributes).filter(|attributes| *attributes != NO_ATTRIBUTES).map(<[u8]>::to_vec);
            body = body.slice_ref(text);
        }
        self.query(&body).await
    }

    /// A statement as text.
    pub(super) async fn query(&mut self, text: &Bytes) -> Result<(), Gone> {
        let statement = self.classified(text);
        let traits = statement.traits;
        if traits.contains(Traits::LOCAL_INFILE) && !self.client.caps.contains(Capabilities::LOCAL_FILES) {
            return self.refuse(&errno::local_infile_off(self.shared.family() == Family::MariaDb)).await;
        }
        if traits.contains(Traits::READS_LANDBRIDGE_VARIABLE) && token_set(&statement).is_none() {
            self.name_what_was_read().await;
        }
        if is_bracket(&statement) {
            self.release_brief().await;
            if self.end_on_replica() {
                self.shared.metrics.optimistic.count(Outcome::EndedLocally);
            }
        }
        let answer = |question: Question<'_>| self.local_answer(&question, traits);
        let handling = Handling::of(text, &statement, &self.state, self.held(), answer);
        if !matches!(handling, Handling::Kill(_) | Handling::Token(_) | Handling::Own(_)) {
            self.reports |= reports_chosen(text, &statement);
        }
        match handling {
            Handling::Kill(kill) => self.kill(kill).await,
            Handling::Token(value) => self.set_token(value).await,
            Handling::Own(answer) => self.send_answer(answer, Protocol::Text).await,
            Handling::EmptyQuery => self.refuse(&errno::empty_query()).await,
            Handling::Begin(begin) => self.begin(begin, statement.hint.transactions).await,
            Handling::EndNothing(end) => self.end_nothing(end).await,
            Handling::Elsewhere => self.refuse(&asked_elsewhere()).await,
            Handling::Set(assignments) => self.set((**text).into(), assignments, &statement).await,
            Handling::Use(schema) => self.use_schema(schema, [&[Command::Query.byte()], &text[..]].concat()).await,
            Handling::KillUser(kill) => {
                let job = self.text_job(text, &statement);
                self.kill_user(kill, job).await
            }
            Handling::Run => {
                let job = self.text_job(text, &statement);
                self.execute(job).await?;
                self.notice_hidden_globals(text, traits).await
            }
        }
    }

    fn text_job(&mut self, text: &Bytes, statement: &Statement<'_>) -> Job {
        let (need, wishes) = self.need_and_wishes(text, statement);
        Job { touch: self.touch(text, statement), wishes, ..Job::of_statement(text.clone(), statement, need) }
    }

    /// What it knows of the connection on which its next statement will run.
    pub(super) fn held(&self) -> Held {
        if !self.holds_connection() {
            return Held::None;
        }
        Held::One { drew: self.last.drew || self.settings().session_mode.is_for(&self.account.user) }
    }

    async fn begin(&mut self, begin: Begin, wish: Option<Transactions>) -> Result<(), Gone> {
        let characteristics = self.next_transaction.take().unwrap_or_default();
        self.binding = Binding::Begun(Beginning { characteristics, access: begin.access, wish });
        self.shared.metrics.saved(Saved::Begin);
        self.done_locally().await
    }

    /// `COMMIT` or `ROLLBACK` while no server knows of a transaction.
    async fn end_nothing(&mut self, end: Completion) -> Result<(), Gone> {
        // It ends what was said of the next transaction, too.
        let characteristics = self.next_transaction.take().unwrap_or_default();
        self.binding = match (std::mem::take(&mut self.binding), end.chain) {
            // A chained transaction is of the same kind as the one before it.
            (Binding::Begun(beginning), Some(true)) => Binding::Begun(beginning),
            (_, Some(true)) => Binding::Begun(Beginning { characteristics, ..Beginning::default() }),
            _ => Binding::Free,
        };
        self.shared.metrics.saved(Saved::Commit);
        self.done_locally().await?;
        if end.release == Some(true) { Err(Gone::Goodbye) } else { Ok(()) }
    }

    async fn done_locally(&mut self) -> Result<(), Gone> {
        self.last = self.last.after_ok();
        self.send_ok().await
    }

    /// `COM_INIT_DB`
    pub(super) async fn init_db(&mut self, schema: &[u8]) -> Result<(), Gone> {
        self.use_schema(schema, [&[Command::InitDb.byte()], schema].concat()).await
    }

    /// `COM_SET_OPTION`
    pub(super) async fn set_option(&mut self, body: &[u8]) -> Result<(), Gone> {
        match body {
            [0, 0] => self.multi_statements = true,
            [1, 0] => self.multi_statements = false,
            _ => {
                return self.refuse(&errno::unknown_command()).await;
            }
        }
        let warnings = self.conditions();
        let mut payload = Vec::new();
        OkPacket { status: self.status(), warnings, ..OkPacket::default() }
            .encode_end_of_rows(&mut payload, self.client.caps);
        debug_assert_eq!(payload.first(), Some(&EOF), "servers answer this command with an EOF");
        self.client.push(&payload);
        Ok(())
    }

    /// `COM_PING`
    pub(super) async fn ping(&mut self) -> Result<(), Gone> {
        let is_on_trial = matches!(self.binding, Binding::Optimistic(..));
        if !is_on_trial && self.binding.conn_mut().is_some_and(|conn| !conn.is_healthy()) {
            // What the session holds is gone; on a direct connection this command would find out, too.
            return Err(Gone::Left("the connection that it held was lost".into()));
        }
        self.shared.metrics.saved(Saved::Chatter);
        let ok = OkPacket { status: self.status(), warnings: self.conditions(), ..OkPacket::default() };
        self.client.push_ok(&ok);
        Ok(self.client.packets.flush().await?)
    }

    /// The warnings in answers to commands that are no statements: MySQL goes on counting those of the
    /// statement before, an error among them.
    fn conditions(&self) -> u16 {
        match self.shared.family() {
            Family::MySql => self.last.warnings.saturating_add(u16::from(self.last.error.is_some())),
            Family::MariaDb => 0,
        }
    }

    /// `COM_RESET_CONNECTION`: the session as after a login, but for its schema and character set,
    /// which becomes the server's default.
    pub(super) async fn reset_connection(&mut self) -> Result<(), Gone> {
        self.let_go();
        self.sight.reset();
        self.begin_with_defaults();
        let mut state = SessionState::default();
        match self.shared.family() {
            Family::MySql => self.add_login_flags(&mut state),
            // What the login asked for besides is forgotten.
            Family::MariaDb => self.add_login_charset(&mut state, self.collation),
        }
        state.set_schema(self.state.schema());
        self.state = Arc::new(state);
        self.prepared.clear();
        self.last = Last::default();
        self.shared.metrics.saved(Saved::Chatter);
        self.send_ok().await
    }

    /// `COM_CHANGE_USER`
    pub(super) async fn change_user(&mut self, body: &[u8]) -> Result<(), Gone> {
        self.let_go();
        let Ok(change) = ChangeUser::decode(body, self.client.caps) else {
            let error = errno::malformed_packet();
            self.shared.metrics.errors.own(error.code);
            self.client.send_error(&error).await?;
            return Err(Gone::Left("malformed COM_CHANGE_USER".into()));
        };
        let shared = self.shared.clone();
        let default = shared.welcome().scramble;
        let proof = Proof::from(&change);
        let (door, login_timeout) = (shared.door.load_full(), shared.settings().login_timeout);
        let proving = prove(&door, default, &mut self.client, &self.nonce, proof, &self.host);
        let Ok(proved) = tokio::time::timeout(login_timeout, proving).await else {
            return Err(Gone::Left("COM_CHANGE_USER took too long".into()));
        };
        match proved {
            Ok(account) => {
                self.client.says = Attributes::of_client(&change.attributes);
                self.is_of(account);
            }
            Err(Rejected::Told(error)) => {
                shared.metrics.login_failures.inc();
                shared.metrics.errors.own(error.code);
                self.client.send_error(&error).await?;
                return Err(Gone::Left(error.to_string()));
            }
            Err(Rejected::Read(error)) => return Err(Gone::Left(error.to_string())),
        }
        // What this session noted last is of the user that it was.
        self.tell_successor().await?;
        self.sight = Sight::new(&shared, &self.account.user, self.entry.id(), self.client.key.as_deref());
        self.prepared.clear();
        self.last = Last::default();
        self.begin_with_defaults();
        self.collation = change.collation.or(self.collation);
        self.state = Arc::new(self.login_state(change.schema.as_deref(), change.collation));
        self.introduce();
        if let Err(error) = self.admit().await {
            shared.metrics.errors.own(error.code);
            self.client.send_error(&error).await?;
            return Err(Gone::Left(error.to_string()));
        }
        self.send_ok().await
    }

    /// `COM_PROCESS_KILL`: the id may be one of ours or, from a server's process list, one of the
    /// primary's.
    pub(super) async fn process_kill(&mut self, body: &[u8]) -> Result<(), Gone> {
        let id = body.first_chunk().copied().map(u32::from_le_bytes);
        match id.map(Kill::connection).filter(|kill| kill.is_of_client()) {
            Some(kill) => self.kill(kill).await,
            None => self.execute(raw_job(Command::ProcessKill, body, Expect::Any, ADMIN)).await,
        }
    }

    /// A command that nobody here knows, or that takes the whole connection: it goes to the primary as
    /// it is, and the session stays on that connection.
    pub(super) async fn pass_through(&mut self, command: Command, body: &[u8], expect: Expect) -> Result<(), Gone> {
        let touch = Touch::Definitions;
        let job = Job { pins: Some(PinReason::UnknownCommand), touch, ..raw_job(command, body, expect, ADMIN) };
        self.execute(job).await
    }
}

/// What a statement may tell servers to report of the session.
pub(super) fn reports_chosen(text: &[u8], statement: &Statement<'_>) -> Reports {
    let sets = matches!(statement.kind, Kind::Set(_))
        || statement.traits.intersects(Traits::SETS_UNTRACKED | Traits::SQL_PREPARE);
    if sets { Reports::named_in(&text.to_ascii_lowercase()) } else { Reports::default() }
}

/// The error for those who ask a connection that has been given back.
pub(super) fn asked_elsewhere() -> ServerError {
    errno::not_supported(
        "LASTVAL() before NEXTVAL() in the same transaction, and ROW_COUNT(), FOUND_ROWS(), @@last_gtid and \
         diagnostics inside larger expressions or ahead of other statements, outside of one",
    )
}

/// A command passed on byte for byte.
pub(super) fn raw_job(command: Command, body: &[u8], expect: Expect, need: Need) -> Job {
    Job::new(JobCommand::Raw([&[command.byte()], body].concat(), expect), need)
}

/// The need of commands about the server.
pub(super) const ADMIN: Need = Need::Primary(Reason::Statement(Why::Admin));

/// The need of commands that only make sense where the session is pinned.
pub(super) const PINNED: Need = Need::Primary(Reason::Pinned);
