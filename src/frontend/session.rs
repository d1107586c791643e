//! A logged-in client: its state, and the loop that reads its commands.

use super::binding::{Beginning, Binding, Characteristics, PinReason};
use super::client::Client;
use super::commands::{ADMIN, raw_job};
use super::desk;
use super::handshake::Authenticated;
use super::keep_up::Standing;
use super::prepared::PreparedStatements;
use super::record::Record;
use super::registry::Entry;
use super::shared::Shared;
use super::sight::Sight;
use super::watched::{Registered, Went};
use crate::backend::login::Account;
use crate::backend::query::Row;
use crate::backend::server::Facts;
use crate::consistency::gtid::GtidSet;
use crate::metrics::Saved;
use crate::net::packets::Packet;
use crate::pool::{Disposition, Pool};
use crate::protocol::capability::{Capabilities, Status};
use crate::protocol::command::Command;
use crate::protocol::errno;
use crate::protocol::exchange::Expect;
use crate::protocol::handshake::Nonce;
use crate::protocol::response::ServerError;
use crate::protocol::track::Reports;
use crate::route::Need;
use crate::sql::{Access, Mode};
use crate::state::SessionState;
use crate::topology::ServerId;
use bytes::{Buf, Bytes};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// The session is over.
#[derive(Debug)]
pub enum Gone {
    /// The client said goodbye, or was told to go.
    Goodbye,
    /// The client left or broke the protocol.
    Left(String),
}

impl From<io::Error> for Gone {
    fn from(error: io::Error) -> Self {
        Self::Left(error.to_string())
    }
}

/// What the last statement left for functions that ask about it.
#[derive(Debug, Clone, Default)]
pub struct Last {
    /// `LAST_INSERT_ID()`, exactly as the server that knows it said.
    pub insert_id: u64,
    /// An INSERT inside the open transaction may have changed it since.
    pub insert_id_stale: bool,
    /// What the answer to that INSERT said of it: counts if the connection can no longer be asked.
    pub insert_id_told: u64,
    /// MariaDB's `@@last_gtid`: of what it wrote last.
    pub gtid: Option<GtidSet>,
    /// Whether it has drawn from a sequence on the connection that it holds.
    pub drew: bool,
    /// `ROW_COUNT()`.
    pub row_count: i64,
    /// `FOUND_ROWS()`; `None` if only the server knows.
    pub found_rows: Option<u64>,
    /// Warnings.
    pub warnings: u16,
    /// The error, if it failed.
    pub error: Option<ServerError>,
    /// The rows of `SHOW WARNINGS` in the session's character set, if they were asked for.
    pub diagnostics: Option<Vec<Row<Vec<u8>>>>,
}

impl Last {
    /// What is left once an OK has been answered here: it says nothing of ids and rows found.
    pub(super) fn after_ok(&self) -> Self {
        let gtid = self.gtid.clone();
        Self { insert_id: self.insert_id, gtid, drew: self.drew, found_rows: self.found_rows, ..Self::default() }
    }
}

/// A logged-in client.
pub struct Session {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
    pub(super) entry: Entry,
    pub(super) account: Arc<Account>,
    pub(super) nonce: Nonce,
    pub(super) host: String,
    pub(super) pools: Arc<[Arc<Pool>]>,
    /// The configuration that it goes by, and whether it may stay by that.
    pub(super) standing: Standing,
    pub(super) state: Arc<SessionState>,
    /// The collation it logged in with.
    pub(super) collation: Option<u16>,
    pub(super) binding: Binding,
    /// What the transaction has done on the connection that the session holds, if it could be run again elsewhere.
    pub(super) record: Option<Box<Record>>,
    /// The primary to which the connection leads that it holds, as it was when the session came to hold it, or since.
    pub(super) anchor: Option<ServerId>,
    /// Whether sessions that say nothing about it begin transactions by themselves.
    pub(super) autocommit_off_by_default: bool,
    /// Attributes of the query under way, as the client encoded them, if it has any.
    pub(super) attributes: Option<Vec<u8>>,
    /// What was said of the next transaction only.
    pub(super) next_transaction: Option<Characteristics>,
    /// What it must see.
    pub(super) sight: Sight,
    pub(super) prepared: PreparedStatements,
    pub(super) multi_statements: bool,
    pub(super) last: Last,
    /// Handles of statements whose cursor is open, by the client's id.
    pub(super) cursors: HashMap<u32, u32>,
    /// The warnings of the statement under way, asked for behind it.
    pub(super) asked_warnings: Option<Vec<Row<Vec<u8>>>>,
    /// What the server had executed after the statement under way, asked for behind it.
    pub(super) asked_executed: Option<GtidSet>,
    /// How statement bytes are to be read, and for which state that was worked out.
    pub(super) read_as: Option<(Arc<SessionState>, Mode)>,
    /// Parameters of the statement just prepared.
    pub(super) last_prepared: Option<u16>,
    /// What sessions found that set nothing when this one began.
    pub(super) reference: Option<Arc<Facts>>,
    /// What servers report of its statements, as far as it has chosen that itself: these it sees as they are, and
    /// what they leave out is not known.
    pub(super) reports: Reports,
    /// Whether it has prepared by SQL what may set variables for all.
    pub(super) prepares_globals: bool,
    /// When the job under way began, until somebody has asked for the time.
    pub(super) began: Option<Instant>,
    /// Where its last job went, and why.
    pub(super) went: Option<Went>,
    /// What others were last told of it.
    pub(super) registered: Registered,
    /// Long statements since the last one that was counted for all of them.
    pub(super) long_statements: u32,
}

impl Session {
    /// Starts the session of a client that proved who it is. Its login is not answered yet.
    pub fn new(client: Authenticated, shared: Arc<Shared>, entry: Entry, host: String) -> Self {
        let (client, account, nonce, schema, collation) = client.into_parts();
        let mut session = Self {
            pools: Arc::new([]),
            standing: Standing::now(&shared),
            sight: Sight::new(&shared, &account.user, entry.id(), client.key.as_deref()),
            multi_statements: client.caps.contains(Capabilities::MULTI_STATEMENTS),
            client,
            shared,
            entry,
            account,
            nonce,
            host,
            state: Arc::default(),
            collation: Some(collation),
            binding: Binding::Free,
            record: None,
            anchor: None,
            autocommit_off_by_default: false,
            attributes: None,
            next_transaction: None,
            prepared: PreparedStatements::default(),
            last: Last::default(),
            cursors: HashMap::new(),
            asked_warnings: None,
            asked_executed: None,
            read_as: None,
            last_prepared: None,
            reports: Reports::default(),
            prepares_globals: false,
            reference: None,
            began: None,
            went: None,
            registered: Registered::default(),
            long_statements: 0,
        };
        session.is_of(session.account.clone());
        session.introduce();
        session.begin_with_defaults();
        session.state = Arc::new(session.login_state(schema.as_deref(), Some(collation)));
        session
    }

    /// The client's id, as it sees it.
    pub fn id(&self) -> u32 {
        self.entry.id()
    }

    /// Serves the client until it leaves.
    ///
    /// This is what a silent client's task holds: what is large and soon over is in boxes, what each command
    /// needs at its desk.
    pub async fn run(mut self: Box<Self>) -> Gone {
        let mut done = Box::pin(self.welcome()).await;
        while done.is_ok() {
            done = self.hear().await;
            if done.is_ok() {
                (self, done) = desk::serve(self).await;
            }
        }
        self.let_go();
        // It is over either way.
        let _too_late = Box::pin(self.tell_successor()).await;
        done.err().unwrap_or(Gone::Goodbye)
    }

    /// Answers the login: with the OK, or with why it cannot be had.
    async fn welcome(&mut self) -> Result<(), Gone> {
        self.client.packets.count(self.shared.metrics.traffic.clone());
        self.client.packets.takes_from(self.shared.memory.clone());
        if let Err(error) = self.admit().await {
            self.shared.metrics.errors.own(error.code);
            self.client.send_error(&error).await?;
            return Err(Gone::Goodbye);
        }
        if let Some(stall) = self.settings().stall {
            self.client.packets.stalls_after(stall);
        }
        self.shared.metrics.saved(Saved::Login);
        self.send_ok().await?;
        if let Some(algorithm) = self.client.compression {
            self.client.packets.compress(algorithm);
        }
        Ok(())
    }

    /// One command, of which the beginning is here, and its answer.
    pub(super) async fn serve(mut self: Box<Self>) -> (Box<Self>, Result<(), Gone>) {
        let done = self.serve_one().await;
        (self, done)
    }

    async fn serve_one(&mut self) -> Result<(), Gone> {
        let Packet { payload, share: _until_it_is_over, .. } = self.next_command().await?;
        self.command(payload.freeze()).await?;
        self.tell_and_flush().await?;
        self.show();
        Ok(())
    }

    async fn tell_and_flush(&mut self) -> io::Result<()> {
        self.tell_successor().await?;
        self.client.packets.flush().await
    }

    async fn command(&mut self, mut body: Bytes) -> Result<(), Gone> {
        let Ok(byte) = body.try_get_u8() else {
            return self.turn_away(errno::malformed_packet()).await;
        };
        self.keep_up();
        if self.has_to_go() {
            return self.turn_away(self.why_to_leave()).await;
        }
        self.keep_defaults();
        self.attributes = None;
        let command = Command::from_byte(byte);
        if self.must_wait(command)
            && let Err(error) = self.wait_for_resume().await?
        {
            self.keep_types(command, &body);
            return self.refuse(&error).await;
        }
        match command {
            Command::Quit => Err(Gone::Goodbye),
            Command::Ping => self.ping().await,
            Command::Query => self.query_with_attributes(body).await,
            Command::InitDb => self.init_db(&body).await,
            Command::StmtPrepare => self.prepare(&body).await,
            Command::StmtExecute => self.execute_statement(body).await,
            Command::StmtBulkExecute => self.execute_in_bulk(&body).await,
            Command::StmtSendLongData => self.long_data(&body).await,
            Command::StmtClose => {
                self.close_statement(&body).await;
                Ok(())
            }
            Command::StmtReset => self.reset_statement(&body).await,
            Command::StmtFetch => self.fetch(&body).await,
            Command::SetOption => self.set_option(&body).await,
            Command::ResetConnection => self.reset_connection().await,
            Command::ChangeUser => self.change_user(&body).await,
            Command::FieldList => self.execute(raw_job(command, &body, Expect::FieldList, Need::Read)).await,
            Command::Statistics => self.execute(raw_job(command, &body, Expect::Text, Need::Read)).await,
            Command::ProcessKill => self.process_kill(&body).await,
            Command::Debug => self.execute(raw_job(command, &body, Expect::Ok, ADMIN)).await,
            Command::BinlogDump | Command::BinlogDumpGtid => self.pass_through(command, &body, Expect::Stream).await,
            Command::Other(_) => self.pass_through(command, &body, Expect::Any).await,
        }
    }

    /// Answers with an OK.
    pub(super) async fn send_ok(&mut self) -> Result<(), Gone> {
        let status = self.status();
        Ok(self.client.send_ok(status).await?)
    }

    /// The server status as the client should see it between statements.
    pub(super) fn status(&mut self) -> Status {
        let mut status = Status::empty();
        status.set(Status::AUTOCOMMIT, !self.autocommit_off());
        let mode = self.mode();
        status.set(Status::NO_BACKSLASH_ESCAPES, mode.no_backslash_escapes);
        status.set(Status::ANSI_QUOTES, mode.ansi_quotes && mode.mariadb);
        match &self.binding {
            Binding::Free => {}
            Binding::Begun(beginning) => status |= self.status_in(beginning),
            // Open, whatever has become of the replica.
            Binding::Optimistic(_, trial) => status |= self.status_in(&trial.beginning),
            Binding::InTransaction(lease) | Binding::Pinned(lease, _) => {
                let server = lease.conn().map_or(Status::empty(), |conn| conn.status());
                status |= server & (Status::IN_TRANS | Status::IN_TRANS_READONLY);
            }
        }
        status
    }

    /// What the status says of a transaction that began so, and that no server need know of.
    fn status_in(&self, beginning: &Beginning) -> Status {
        let mut status = Status::IN_TRANS;
        let read_only = beginning.access().map_or_else(|| self.reads_only(), |a| a == Access::ReadOnly);
        status.set(Status::IN_TRANS_READONLY, read_only);
        status
    }

    /// Gives up whatever the session holds; what it left on the server is cleaned.
    pub(super) fn let_go(&mut self) {
        self.sight.doubt(&self.shared);
        match self.binding.take_lease() {
            // MariaDB's reset leaves the locks of a prepared transaction behind; only closing does not.
            Some((lease, pins)) if pins.contains(PinReason::Xa) => drop(lease),
            // Nor does any server's reset bring back the roles of the login.
            Some((lease, pins)) if pins.may_hide_anything() => self.give_back(lease, Disposition::NeedsLogin),
            Some((lease, _)) => self.give_back(lease, Disposition::NeedsReset),
            None => {}
        }
        (self.binding, self.record) = (Binding::Free, None);
        self.sight.ends();
        self.next_transaction = None;
        self.reports = Reports::default();
        self.cursors.clear();
    }
}
