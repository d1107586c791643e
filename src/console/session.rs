//! One client of the console: its commands, answered in the protocol of MySQL.

use super::act::act;
use super::answer::{Answer, answer};
use super::parse::{Fault, parse};
use super::variables::Asker;
use super::{Console, Right};
use crate::frontend::client::Client;
use crate::frontend::handshake::Authenticated;
use crate::net::budget::SMALL;
use crate::protocol::capability::Status;
use crate::protocol::command::Command;
use crate::protocol::errno;
use crate::protocol::response::{OkPacket, ServerError};
use crate::protocol::resultset::{self, Column, Protocol};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

/// Largest command: what may always be taken in.
const MAX_PACKET: usize = SMALL;
/// Most prepared statements of one client.
const MAX_PREPARED: usize = 256;
/// What clients are told of the session: nothing they do is in a transaction.
const STATUS: Status = Status::AUTOCOMMIT;

/// A client that has logged in.
pub(super) struct Session {
    console: Arc<Console>,
    client: Client,
    id: u32,
    user: String,
    host: String,
    right: Right,
    prepared: HashMap<u32, String>,
    last_prepared: u32,
}

/// What a user may do who comes from there.
///
/// # Errors
/// Nothing.
fn right(console: &Console, user: &str, host: &str) -> Result<Right, ServerError> {
    if console.control.entrance().admin.as_deref() == Some(user) {
        return Ok(Right::All);
    }
    let is_local = match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        // A unix socket has no address.
        Err(_) => host == "localhost",
    };
    if is_local { Ok(Right::Look) } else { Err(errno::console_is_local(user, host)) }
}

/// Why a command was not answered.
#[derive(Debug)]
enum Gone {
    Goodbye,
    Left,
}

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Self {
        Self::Left
    }
}

/// Serves a client whose password was right, until it leaves.
pub(super) async fn serve(console: Arc<Console>, client: Authenticated, id: u32, host: String) {
    let (mut client, account, ..) = client.into_parts();
    let user = account.user.clone();
    let right = match right(&console, &user, &host) {
        Ok(right) => right,
        Err(error) => {
            tracing::info!(user, host, error = error.message.as_str(), "login at the console refused");
            let _gone = client.send_error(&error).await;
            return;
        }
    };
    // Held to the end.
    let own = console.clone();
    let Ok(_place) = own.places(right).try_acquire() else {
        let _gone = client.send_error(&errno::too_many_connections()).await;
        return;
    };
    if client.send_ok(STATUS).await.is_err() {
        return;
    }
    client.packets.takes_from(console.shared.memory.clone());
    if let Some(algorithm) = client.compression {
        client.packets.compress(algorithm);
    }
    tracing::debug!(user, host, "at the console");
    let prepared = HashMap::new();
    let mut session = Session { console, client, id, user, host, right, prepared, last_prepared: 0 };
    while session.next().await.is_ok() {}
}

impl Session {
    async fn next(&mut self) -> Result<(), Gone> {
        let packet = self.client.read_command(MAX_PACKET).await.map_err(|_| Gone::Left)?;
        let Some((&byte, body)) = packet.payload.split_first() else {
            self.client.send_error(&errno::malformed_packet()).await?;
            return Err(Gone::Left);
        };
        match Command::from_byte(byte) {
            Command::Quit => return Err(Gone::Goodbye),
            Command::Ping | Command::InitDb | Command::StmtReset | Command::Debug => {
                self.client.send_ok(STATUS).await?;
            }
            Command::ResetConnection => {
                self.prepared.clear();
                self.client.send_ok(STATUS).await?;
            }
            Command::Query => self.query(&String::from_utf8_lossy(body), Protocol::Text).await?,
            Command::StmtPrepare => self.prepare(&String::from_utf8_lossy(body)).await?,
            Command::StmtExecute => self.execute(body).await?,
            Command::StmtClose => drop(statement_id(body).and_then(|id| self.prepared.remove(&id))),
            Command::StmtSendLongData => {}
            Command::FieldList | Command::SetOption => self.end_of_rows().await?,
            Command::Statistics => self.statistics().await?,
            Command::ProcessKill => {
                let id = statement_id(body).unwrap_or_default();
                self.query(&format!("KILL {id}"), Protocol::Text).await?;
            }
            _ => self.client.send_error(&errno::unknown_command()).await?,
        }
        Ok(())
    }

    async fn query(&mut self, text: &str, protocol: Protocol) -> Result<(), Gone> {
        let command = match parse(text) {
            Ok(command) => command,
            Err(fault) => return Ok(self.client.send_error(&told(fault)).await?),
        };
        match answer(&self.console, &self.asker(), &command) {
            Some(Ok(answer)) => self.rows(&answer, protocol).await,
            Some(Err(error)) => Ok(self.client.send_error(&error).await?),
            None => match act(&self.console, self.right, &self.user, command).await {
                Ok(affected_rows) => {
                    self.client.push_ok(&OkPacket { affected_rows, status: STATUS, ..OkPacket::default() });
                    Ok(self.client.packets.flush().await?)
                }
                Err(error) => Ok(self.client.send_error(&error).await?),
            },
        }
    }

    async fn rows(&mut self, answer: &Answer, protocol: Protocol) -> Result<(), Gone> {
        let columns: Vec<Column<'_>> = answer.columns.iter().map(|(name, kind)| Column { name, kind: *kind }).collect();
        let end = OkPacket { status: STATUS, ..OkPacket::default() };
        Ok(self.client.send_rows(&end, &columns, &answer.rows, protocol).await?)
    }

    /// A statement without parameters, for drivers that prepare everything.
    async fn prepare(&mut self, text: &str) -> Result<(), Gone> {
        let command = match parse(text) {
            Ok(_) if self.prepared.len() >= MAX_PREPARED => {
                return Ok(self
                    .client
                    .send_error(&errno::not_done("PREPARE", "too many statements; close some"))
                    .await?);
            }
            Ok(command) => command,
            Err(fault) => return Ok(self.client.send_error(&told(fault)).await?),
        };
        // The columns are those it would have now.
        let columns = match answer(&self.console, &self.asker(), &command) {
            None => Vec::new(),
            Some(Ok(answer)) => answer.columns,
            Some(Err(error)) => return Ok(self.client.send_error(&error).await?),
        };
        self.last_prepared = self.last_prepared.wrapping_add(1);
        self.prepared.insert(self.last_prepared, text.to_owned());
        let columns: Vec<Column<'_>> = columns.iter().map(|(name, kind)| Column { name, kind: *kind }).collect();
        resultset::encode_prepared(self.client.packets.output(), self.client.caps, self.last_prepared, &columns);
        Ok(self.client.packets.flush().await?)
    }

    async fn execute(&mut self, body: &[u8]) -> Result<(), Gone> {
        let id = statement_id(body).unwrap_or_default();
        match self.prepared.get(&id).cloned() {
            Some(text) => self.query(&text, Protocol::Binary).await,
            None => Ok(self.client.send_error(&errno::unknown_statement(id, "EXECUTE")).await?),
        }
    }

    async fn end_of_rows(&mut self) -> Result<(), Gone> {
        let mut payload = Vec::new();
        OkPacket { status: STATUS, ..OkPacket::default() }.encode_end_of_rows(&mut payload, self.client.caps);
        self.client.push(&payload);
        Ok(self.client.packets.flush().await?)
    }

    /// The line that `mysqladmin status` shows.
    async fn statistics(&mut self) -> Result<(), Gone> {
        let up = self.console.started.elapsed().as_secs();
        let clients = self.console.shared.registry.len();
        let pools = self.console.shared.pools.all().len();
        self.client.push(format!("Uptime: {up}  Threads: {clients}  Pools: {pools}").as_bytes());
        Ok(self.client.packets.flush().await?)
    }

    fn asker(&self) -> Asker<'_> {
        Asker { id: self.id, user: &self.user, host: &self.host }
    }
}

/// The number a command begins with.
fn statement_id(body: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(body.get(..4)?.try_into().ok()?))
}

fn told(fault: Fault) -> ServerError {
    match fault {
        Fault::Empty => errno::empty_query(),
        Fault::Several => errno::not_supported("several statements in one command, at the admin console"),
        Fault::Unknown(text) => errno::not_of_the_console(&text),
    }
}
