//! The administrator of a laboratory server: plain text statements over its unix socket.
//!
//! The account has no password and exists on the socket only, which lies in a directory of ours; so this
//! client needs no cryptography and no TLS. It speaks just enough of the protocol for that: one statement
//! at a time, one result set, no packets of 16 MiB.

use std::io;
use std::ops::Index;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::lab::error::{Error, Result};

// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
const CLIENT_LONG_PASSWORD: u32 = 0x0000_0001;
const CLIENT_PROTOCOL_41: u32 = 0x0000_0200;
const CLIENT_TRANSACTIONS: u32 = 0x0000_2000;
const CLIENT_SECURE_CONNECTION: u32 = 0x0000_8000;
const CLIENT_PLUGIN_AUTH: u32 = 0x0008_0000;

const COM_QUIT: u8 = 0x01;
const COM_QUERY: u8 = 0x03;
const OK: u8 = 0x00;
const LOCAL_INFILE: u8 = 0xfb;
const EOF: u8 = 0xfe;
const ERR: u8 = 0xff;

const UTF8MB4_GENERAL_CI: u8 = 45;

/// A result set as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The names of the columns, as the server gave them.
    pub columns: Vec<String>,
    /// The rows; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// The value in the first row of the column of this name; `None` also without rows or column.
    #[must_use]
    pub fn first(&self, column: &str) -> Option<&str> {
        let index = self.columns.iter().position(|name| name.eq_ignore_ascii_case(column))?;
        self.rows.first()?.get(index)?.as_deref()
    }

    /// The very first value.
    #[must_use]
    pub fn scalar(&self) -> Option<&str> {
        self.rows.first()?.first()?.as_deref()
    }
}

impl Index<usize> for Rows {
    type Output = [Option<String>];

    fn index(&self, row: usize) -> &Self::Output {
        &self.rows[row]
    }
}

/// A logged-in administrative connection.
#[derive(Debug)]
pub(crate) struct Admin {
    stream: UnixStream,
    sequence: u8,
}

impl Admin {
    /// Logs in as `user` without a password.
    pub(crate) async fn connect(socket: &Path, user: &str) -> Result<Self> {
        let stream = UnixStream::connect(socket).await.map_err(connection_error)?;
        let mut admin = Self { stream, sequence: 0 };
        let greeting = admin.receive().await?;
        if greeting.first() == Some(&ERR) {
            return Err(server_error(&greeting, "login"));
        }
        admin.send(&login_packet(user)).await?;
        loop {
            let packet = admin.receive().await?;
            match packet.first() {
                Some(&OK) => return Ok(admin),
                Some(&ERR) => return Err(server_error(&packet, "login")),
                // Another authentication plugin: to each of them, nothing means no password.
                Some(&EOF) => admin.send(&[]).await?,
                _ => return Err(Error::Protocol("authentication")),
            }
        }
    }

    /// Runs one statement and reads its whole answer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel-safe: a connection whose statement was abandoned must be dropped.
    pub(crate) async fn query(&mut self, statement: &str) -> Result<Rows> {
        self.sequence = 0;
        self.send(&[&[COM_QUERY], statement.as_bytes()].concat()).await?;
        let head = self.receive().await?;
        match head.first() {
            Some(&OK) => return Ok(Rows::default()),
            Some(&ERR) => return Err(server_error(&head, statement)),
            Some(&LOCAL_INFILE) => return Err(Error::Protocol("LOCAL INFILE request")),
            _ => {}
        }
        let count = Fields(&head).length()?.ok_or(Error::Protocol("column count"))?;
        let mut columns = Vec::new();
        for _ in 0..count {
            columns.push(column_name(&self.receive().await?)?);
        }
        self.receive().await?; // EOF after the columns
        let mut rows = Vec::new();
        loop {
            let packet = self.receive().await?;
            match packet.first() {
                Some(&ERR) => return Err(server_error(&packet, statement)),
                // A row may begin with the same byte, as the length of a huge value.
                Some(&EOF) if packet.len() < 9 => return Ok(Rows { columns, rows }),
                _ => rows.push(row(&packet, columns.len())?),
            }
        }
    }

    /// Says goodbye, so that the server does not count an aborted client.
    pub(crate) async fn quit(mut self) {
        self.sequence = 0;
        // A server that is gone already needs no goodbye.
        drop(self.send(&[COM_QUIT]).await);
    }

    async fn send(&mut self, payload: &[u8]) -> Result<()> {
        let length = u32::try_from(payload.len())
            .ok()
            .filter(|length| *length < 0x00ff_ffff)
            .ok_or(Error::Protocol("statement too long"))?;
        let mut packet = length.to_le_bytes()[..3].to_vec();
        packet.push(self.sequence);
        packet.extend_from_slice(payload);
        self.stream.write_all(&packet).await.map_err(connection_error)
    }

    async fn receive(&mut self) -> Result<Vec<u8>> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header).await.map_err(connection_error)?;
        let [a, b, c, sequence] = header;
        self.sequence = sequence.wrapping_add(1);
        let length = u32::from_le_bytes([a, b, c, 0]);
        let mut payload = Vec::new();
        let read = (&mut self.stream).take(length.into()).read_to_end(&mut payload).await;
        match read {
            Ok(read) if u32::try_from(read) == Ok(length) => Ok(payload),
            Ok(_) => Err(connection_error(io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(connection_error(error)),
        }
    }
}

fn connection_error(error: io::Error) -> Error {
    Error::io("administrative connection", error)
}

/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html>
fn login_packet(user: &str) -> Vec<u8> {
    let capabilities =
        CLIENT_LONG_PASSWORD | CLIENT_PROTOCOL_41 | CLIENT_TRANSACTIONS | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH;
    let mut packet = capabilities.to_le_bytes().to_vec();
    packet.extend_from_slice(&0x00ff_ffff_u32.to_le_bytes());
    packet.push(UTF8MB4_GENERAL_CI);
    packet.extend_from_slice(&[0; 23]);
    packet.extend_from_slice(user.as_bytes());
    packet.extend_from_slice(&[0, 0]); // end of the name, length of no password
    // A server that wants another plugin asks for it; without a name MySQL 9 assumes one it has not.
    packet.extend_from_slice(b"caching_sha2_password\0");
    packet
}

/// An ERR packet: the number, `#` with the SQLSTATE once logged in, the message.
fn server_error(packet: &[u8], statement: &str) -> Error {
    let code = match packet {
        [_, low, high, ..] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    };
    let text = packet.get(3..).unwrap_or_default();
    let text = if text.first() == Some(&b'#') { text.get(6..).unwrap_or_default() } else { text };
    Error::Sql { code, message: String::from_utf8_lossy(text).into_owned(), statement: statement.to_owned() }
}

/// A column definition: catalog, schema, table, original table, name, ...
fn column_name(packet: &[u8]) -> Result<String> {
    let mut fields = Fields(packet);
    for _ in 0..4 {
        fields.text()?;
    }
    fields.text()?.ok_or(Error::Protocol("column name"))
}

fn row(packet: &[u8], columns: usize) -> Result<Vec<Option<String>>> {
    let mut fields = Fields(packet);
    (0..columns).map(|_| fields.text()).collect()
}

/// Length-encoded fields, one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn length(&mut self) -> Result<Option<usize>> {
        let width = match self.take(1)? {
            [0xfb] => return Ok(None),
            [0xfc] => 2,
            [0xfd] => 3,
            [0xfe] => 8,
            [length] => return Ok(Some(usize::from(*length))),
            _ => return Err(Error::Protocol("length")),
        };
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(self.take(width)?) {
            *to = *from;
        }
        let length = usize::try_from(u64::from_le_bytes(bytes));
        Ok(Some(length.map_err(|_| Error::Protocol("length"))?))
    }

    fn text(&mut self) -> Result<Option<String>> {
        let Some(length) = self.length()? else {
            return Ok(None);
        };
        Ok(Some(String::from_utf8_lossy(self.take(length)?).into_owned()))
    }

    fn take(&mut self, count: usize) -> Result<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Error::Protocol("truncated packet"))?;
        self.0 = rest;
        Ok(taken)
    }
}
