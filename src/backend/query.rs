//! Whole replies to commands of our own: preludes, probes, kills.

use super::conn::{Busy, Lost, Ready};
use crate::net::packets::ReadError;
use crate::protocol::capability::Status;
use crate::protocol::command::Command;
use crate::protocol::errno;
use crate::protocol::exchange::{Expect, Role, decode_end};
use crate::protocol::response::{OkPacket, ServerError};
use crate::protocol::resultset::row_of;
use crate::protocol::wire::{Malformed, Reader};

/// Largest packet of a reply to ourselves: GTID sets can be long.
const LIMIT: usize = 16 * 1024 * 1024;

const MORE: Malformed = Malformed("reply: more than was asked for");

/// A row of text values.
pub type Row<V = String> = Vec<Option<V>>;

/// What a server answered to a command of ours; values as text, or as the bytes that they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply<V = String> {
    /// It is done.
    Ok {
        /// Server status after it.
        status: Status,
        /// Warnings.
        warnings: u16,
        /// Session changes, encoded as in the packet.
        changes: Vec<u8>,
    },
    /// Rows, and the names of their columns.
    Rows {
        /// Column names.
        columns: Vec<String>,
        /// Rows.
        rows: Vec<Row<V>>,
    },
    /// A statement was prepared.
    Prepared {
        /// Its handle on this connection.
        id: u32,
    },
    /// It refused.
    Err(ServerError),
}

impl Reply {
    /// The first value of the first row, if there is one and it is not NULL.
    pub fn first_value(&self) -> Option<&str> {
        match self {
            Self::Rows { rows, .. } => rows.first()?.first()?.as_deref(),
            _ => None,
        }
    }
}

impl From<Malformed> for Lost {
    fn from(malformed: Malformed) -> Self {
        Self { sent: true, source: ReadError::Io(std::io::Error::other(malformed)) }
    }
}

impl Busy {
    /// Reads the whole response to the next command of the flight. Of several results the last
    /// one counts, and an error ends them.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn reply(&mut self) -> Result<Reply, Lost> {
        self.reply_as(|value| String::from_utf8_lossy(value).into_owned()).await
    }

    /// The same, with values in the character set in which they came.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn reply_in_bytes(&mut self) -> Result<Reply<Vec<u8>>, Lost> {
        self.reply_as(<[u8]>::to_vec).await
    }

    async fn reply_as<V>(&mut self, value: impl Fn(&[u8]) -> V) -> Result<Reply<V>, Lost> {
        let (mut columns, mut rows, mut prepared) = (Vec::new(), Vec::new(), None);
        let mut seq = self.first_seq();
        loop {
            let caps = self.caps();
            let Some((packets, exchange)) = self.parts() else {
                return Err(Malformed("reply: none is due").into());
            };
            let packet = packets.read_packet(seq, LIMIT).await.map_err(|source| Lost { sent: true, source })?;
            seq = packet.seq.wrapping_add(1);
            let payload = &packet.payload[..];
            let step = exchange.packet(payload.len(), payload)?;
            let mut status = None;
            let mut reply = None;
            match step.role {
                Role::Ok => {
                    let ok = if payload.first() == Some(&0) {
                        OkPacket::decode(payload, caps)?
                    } else {
                        decode_end(payload, caps)?
                    };
                    status = Some(ok.status);
                    let changes = ok.changes.encoded().to_vec();
                    reply = Some(Reply::Ok { status: ok.status, warnings: ok.warnings, changes });
                }
                Role::RowsEnd => {
                    let end = decode_end(payload, caps)?;
                    status = Some(end.status);
                    reply =
                        Some(Reply::Rows { columns: std::mem::take(&mut columns), rows: std::mem::take(&mut rows) });
                }
                Role::Err => reply = Some(Reply::Err(ServerError::decode(payload)?)),
                Role::PrepareOk => {
                    let mut r = Reader::new(payload, "prepare response");
                    r.u8()?;
                    prepared = Some(r.u32()?);
                }
                Role::Definition if prepared.is_none() => {
                    let name = crate::protocol::resultset::column_name(payload)?;
                    columns.push(String::from_utf8_lossy(&name).into_owned());
                }
                Role::Row => rows.push(row_of(payload, &value)?),
                Role::LocalInfile => {
                    return Err(Malformed("reply: a local file was asked for").into());
                }
                _ => {}
            }
            if let Some(status) = status {
                self.set_status(status);
            }
            if step.end {
                self.exchange_over();
                if let Some(id) = prepared.filter(|_| reply.is_none()) {
                    return Ok(Reply::Prepared { id });
                }
                return Ok(reply.unwrap_or(Reply::Ok { status: self.status(), warnings: 0, changes: Vec::new() }));
            }
        }
    }
}

impl Ready {
    /// Runs one statement of ours and returns its whole reply.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn query(self, sql: &str) -> Result<(Self, Reply), Lost> {
        let mut busy = self.ask(sql).await?;
        let reply = busy.reply().await?;
        Ok((busy.finish().ok_or(MORE)?, reply))
    }

    /// The same of the first of several statements that the server understands: versions have other words.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn query_in_known_words(mut self, words: &[&str]) -> Result<(Self, Reply), Lost> {
        let mut last = Reply::Ok { status: self.status(), warnings: 0, changes: Vec::new() };
        for sql in words {
            (self, last) = self.query(sql).await?;
            if !matches!(&last, Reply::Err(error) if error.code == errno::SYNTAX) {
                break;
            }
        }
        Ok((self, last))
    }

    /// The same, with values in the character set in which they came.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn query_in_bytes(self, sql: &str) -> Result<(Self, Reply<Vec<u8>>), Lost> {
        let mut busy = self.ask(sql).await?;
        let reply = busy.reply_in_bytes().await?;
        Ok((busy.finish().ok_or(MORE)?, reply))
    }

    async fn ask(self, sql: &str) -> Result<Busy, Lost> {
        let mut busy = self.begin();
        busy.command(Expect::Results, &[&[Command::Query.byte()], sql.as_bytes()]);
        busy.flush().await?;
        Ok(busy)
    }

    /// Asks whether the server is there.
    ///
    /// # Errors
    /// It is not.
    pub async fn ping(self) -> Result<Self, Lost> {
        let mut busy = self.begin();
        busy.command(Expect::Ok, &[&[Command::Ping.byte()]]);
        busy.flush().await?;
        busy.reply().await?;
        Ok(busy.finish().ok_or(MORE)?)
    }

    /// Sends two pings in one write: whether the server takes several commands in one flight. `None`: it does not, by
    /// hanging up; others never answer, so that whoever asks needs a deadline.
    pub async fn ping_twice(self) -> Option<Self> {
        let mut busy = self.begin();
        busy.command(Expect::Ok, &[&[Command::Ping.byte()]]);
        busy.command(Expect::Ok, &[&[Command::Ping.byte()]]);
        busy.flush().await.ok()?;
        busy.reply().await.ok()?;
        busy.reply().await.ok()?;
        busy.finish()
    }
}
