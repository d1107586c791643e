//! Asking one server: the control connection and what is said on it.

use super::heartbeat::{Beat, Heartbeat, HeartbeatTable, ZONE_SQL};
use super::report::{
    PLAIN_SQL, Replication, Report, Unreadable, Variables, applied, applied_sql, replication_sql, variables_sql,
};
use super::table::Probed;
use crate::backend::conn::{Lost, Ready};
use crate::backend::login::{Account, DialError, dial};
use crate::backend::query::{Reply, Row};
use crate::backend::server::Server;
use crate::consistency::gtid::GtidSet;
use crate::net::packets::ReadError;
use crate::protocol::capability::Capabilities;
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// `ER_UNKNOWN_SYSTEM_VARIABLE`
const UNKNOWN_VARIABLE: u16 = 1193;

/// Show how the binary log is; the second one is for MariaDB, and MySQL before 8.2.
const LOG_STATUS: [&str; 2] = ["SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"];

/// A probe failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No connection.
    #[error("{}", in_words(.0))]
    Dial(#[from] DialError),
    /// The connection broke.
    #[error("{}", read_in_words(&.0.source))]
    Lost(#[from] Lost),
    /// Silence.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// The server refuses to answer.
    #[error("{0}")]
    Refused(ServerError),
    /// The answer makes no sense.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// A logged-in control connection with nothing under way.
#[derive(Debug)]
pub(super) struct Control {
    conn: Ready,
    /// Whether the server has all the variables we would like to ask for.
    is_plain: bool,
    status: Status,
    /// It was told to show times in UTC.
    in_utc: bool,
}

/// What is left of a control connection behind a full probe.
#[derive(Debug)]
pub(super) enum After {
    /// It has answered all.
    Ready(Control),
    /// It has told how the server is, but not how its replication is: so it is with MariaDB while what is received waits
    /// for disk space. Each further question would keep one more thread of the server waiting. Ends with the answer.
    Waits(AbortOnDropHandle<()>),
}

/// What a full probe asks besides.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// How its replication is.
    pub(super) replication: bool,
    /// The newest time in this table.
    pub(super) heartbeat: Option<&'a HeartbeatTable>,
}

/// Which statement shows the state of replication.
#[derive(Debug, Clone, Copy)]
enum Status {
    /// Of [`replication_sql`], the one at this place.
    Ask(usize),
    /// None that the server knows or lets us use.
    Hidden,
}

/// A statement's answer and when it was asked for and there.
struct Answer {
    reply: Reply,
    asked: Instant,
    answered: Instant,
}

impl Control {
    /// Opens a control connection.
    pub(super) async fn open(server: &Arc<Server>, account: &Arc<Account>, timeout: Duration) -> Result<Self, Failure> {
        let login = dial(server, account, Capabilities::empty(), timeout).await?;
        let conn = Ready::new(login, server.clone(), account.clone());
        Ok(Self { conn, is_plain: false, status: Status::Ask(0), in_utc: false })
    }

    /// Asks everything; about replication and a heartbeat only if told to.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(super) async fn probe(mut self, about: About<'_>, timeout: Duration) -> Result<(After, Probed), Failure> {
        let deadline = Deadline::after(timeout);
        let family = self.conn.family();
        let answer;
        (self, answer) = self.variables(&deadline).await?;
        let Answer { reply, asked, answered } = answer;
        let variables = Variables::read(family, &rows(reply)?)?;
        let mut heartbeat = Heartbeat::None;
        if let Some(table) = about.heartbeat {
            (self, heartbeat) = self.heartbeat(table, &deadline).await?;
        }
        let (after, replication) = if about.replication {
            self.replication(&deadline).await?
        } else {
            (After::Ready(self), Replication::Hidden)
        };
        let report = Report { family, variables, replication, heartbeat };
        Ok((after, Probed { asked: asked.into_std(), answered: answered.into_std(), report }))
    }

    /// Asks only for what the server has executed; returns when it was asked for and there.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(super) async fn applied(self, timeout: Duration) -> Result<(Self, GtidSet, [Instant; 2]), Failure> {
        let family = self.conn.family();
        let (control, answer) = self.ask(applied_sql(family), &Deadline::after(timeout)).await?;
        let set = applied(family, &rows(answer.reply)?)?;
        Ok((control, set, [answer.asked, answer.answered]))
    }

    /// Asks how the binary log is: whether the monitor's account may. What the answer says does not matter; none comes
    /// while the log cannot be written.
    pub(super) async fn log_status(mut self) -> Result<(Self, bool), Failure> {
        let (conn, reply) = self.conn.query_in_known_words(&LOG_STATUS).await?;
        self.conn = conn;
        Ok((self, matches!(reply, Reply::Rows { .. })))
    }

    /// Whether the server's name stands for another address by now.
    pub(super) fn has_moved(&self) -> bool {
        self.conn.has_moved()
    }

    /// Ends the connection with a goodbye, unless that takes long.
    pub(super) async fn close(self) {
        let _too_long = tokio::time::timeout(GOODBYE, self.conn.close()).await;
    }

    async fn variables(mut self, deadline: &Deadline) -> Result<(Self, Answer), Failure> {
        if !self.is_plain {
            let sql = variables_sql(self.conn.family());
            let answer;
            (self, answer) = self.ask(sql, deadline).await?;
            match answer.reply {
                Reply::Err(error) if error.code == UNKNOWN_VARIABLE => self.is_plain = true,
                _ => return Ok((self, answer)),
            }
        }
        self.ask(PLAIN_SQL, deadline).await
    }

    async fn replication(mut self, deadline: &Deadline) -> Result<(After, Replication), Failure> {
        while let Status::Ask(at) = self.status {
            let Some(sql) = replication_sql(self.conn.family()).get(at) else { break };
            let Self { conn, is_plain, in_utc, .. } = self;
            let mut asked = Box::pin(conn.query(sql));
            let Ok(answered) = timeout_at(deadline.at, &mut asked).await else {
                let waits = tokio::spawn(async move { drop(asked.await) });
                return Ok((After::Waits(AbortOnDropHandle::new(waits)), Replication::Silent));
            };
            let (conn, reply) = answered?;
            self = Self { conn, is_plain, in_utc, status: Status::Ask(at) };
            self.status = match reply {
                Reply::Rows { columns, rows } => {
                    return Ok((After::Ready(self), Replication::read(&columns, &rows)?));
                }
                Reply::Err(error) if error.code == errno::SYNTAX => Status::Ask(at + 1),
                // Most likely a missing privilege; a new one counts from the next login on.
                _ => Status::Hidden,
            };
        }
        self.status = Status::Hidden;
        Ok((After::Ready(self), Replication::Hidden))
    }

    async fn heartbeat(mut self, table: &HeartbeatTable, deadline: &Deadline) -> Result<(Self, Heartbeat), Failure> {
        if !self.in_utc {
            (self, _) = self.ask(ZONE_SQL, deadline).await?;
            self.in_utc = true;
        }
        let answer;
        (self, answer) = self.ask(&table.sql(), deadline).await?;
        let heartbeat = match answer.reply {
            Reply::Err(error) => Heartbeat::Hidden(error.to_string()),
            reply => match Beat::read(&rows(reply)?) {
                Ok(newest) => newest.map_or(Heartbeat::None, Heartbeat::Newest),
                Err(error) => Heartbeat::Hidden(error.to_string()),
            },
        };
        Ok((self, heartbeat))
    }

    async fn ask(self, sql: &str, deadline: &Deadline) -> Result<(Self, Answer), Failure> {
        let asked = Instant::now();
        let answer = timeout_at(deadline.at, self.conn.query(sql)).await;
        let (conn, reply) = answer.map_err(|_| Failure::Silent(deadline.timeout))??;
        Ok((Self { conn, ..self }, Answer { reply, asked, answered: Instant::now() }))
    }
}

struct Deadline {
    timeout: Duration,
    at: Instant,
}

impl Deadline {
    fn after(timeout: Duration) -> Self {
        Self { timeout, at: Instant::now() + timeout }
    }
}

fn rows(reply: Reply) -> Result<Vec<Row>, Failure> {
    match reply {
        Reply::Rows { rows, .. } => Ok(rows),
        Reply::Err(error) => Err(Failure::Refused(error)),
        // Without rows nothing can be read from it.
        Reply::Ok { .. } | Reply::Prepared { .. } => Ok(Vec::new()),
    }
}

fn in_words(error: &DialError) -> String {
    match error {
        DialError::Connect(error) => io_in_words(error),
        DialError::Read(error) => read_in_words(error),
        other => other.to_string(),
    }
}

fn read_in_words(error: &ReadError) -> String {
    match error {
        ReadError::Io(error) => io_in_words(error),
        other => other.to_string(),
    }
}

/// What people call it; the operating system's words with its number where they have none.
fn io_in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => "the server closed the connection".into(),
        io::ErrorKind::HostUnreachable => "no route to the host".into(),
        io::ErrorKind::NetworkUnreachable => "no route to the network".into(),
        io::ErrorKind::TimedOut => "the network gave up".into(),
        _ => error.to_string(),
    }
}
