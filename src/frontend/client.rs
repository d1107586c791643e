//! The client's end of a session: its commands in, answers of our own out.

use crate::backend::attributes::Attributes;
use crate::net::packets::{Packet, PacketStream, ReadError};
use crate::protocol::capability::{Capabilities, Status};
use crate::protocol::compression::Algorithm;
use crate::protocol::errno;
use crate::protocol::packet::frame;
use crate::protocol::response::{OK, OkPacket, ServerError};
use crate::protocol::resultset::{self, Column, Protocol};
use std::io;
use std::sync::Arc;

/// A connected client.
#[derive(Debug)]
pub struct Client {
    /// Its packets.
    pub packets: PacketStream,
    /// What it negotiated.
    pub caps: Capabilities,
    /// How it compresses, once it is logged in.
    pub compression: Option<Algorithm>,
    /// Whether its library takes errors with numbers of its own for broken packets, and hides them.
    pub hides_its_errors: bool,
    /// The key it named when it connected (attribute `landbridge_key`): whose writes it must see.
    pub key: Option<Box<[u8]>>,
    /// What it said of itself when it logged in.
    pub says: Arc<Attributes>,
    /// Sequence id of the next packet it gets.
    pub seq: u8,
    /// Whether part of an answer to the current command has been handed to it.
    pub answered: bool,
}

impl Client {
    /// Wraps a stream before anything is negotiated.
    pub fn new(packets: PacketStream) -> Self {
        Self {
            packets,
            caps: Capabilities::empty(),
            compression: None,
            hides_its_errors: false,
            key: None,
            says: Arc::default(),
            seq: 0,
            answered: false,
        }
    }

    /// Reads the next command, of at most `limit` bytes.
    ///
    /// # Errors
    /// It left, or broke the framing.
    ///
    /// # Cancel safety
    /// Cancel safe for commands below 16 MiB.
    pub async fn read_command(&mut self, limit: usize) -> Result<Packet, ReadError> {
        self.packets.listen().await?;
        let packet = self.packets.read_packet(0, limit).await?;
        self.seq = packet.seq.wrapping_add(1);
        self.answered = false;
        Ok(packet)
    }

    /// Queues one packet.
    pub fn push(&mut self, payload: &[u8]) {
        self.answered = true;
        self.seq = frame(self.packets.output(), self.seq, payload);
    }

    /// Queues an OK.
    pub fn push_ok(&mut self, ok: &OkPacket<'_>) {
        let mut payload = Vec::with_capacity(16);
        ok.encode(&mut payload, OK, self.caps);
        self.push(&payload);
    }

    /// Answers with an OK.
    ///
    /// # Errors
    /// The client left.
    pub async fn send_ok(&mut self, status: Status) -> io::Result<()> {
        self.push_ok(&OkPacket { status, ..OkPacket::default() });
        self.packets.flush().await
    }

    /// Answers with an error.
    ///
    /// # Errors
    /// The client left.
    pub async fn send_error(&mut self, error: &ServerError) -> io::Result<()> {
        let mut payload = Vec::with_capacity(64);
        match error.code {
            errno::CLIENT_ERRORS_FROM..=errno::CLIENT_ERRORS_TO if self.hides_its_errors => {
                ServerError::new(errno::CONNECTION_KILLED, b"70100", error.message.clone()).encode(&mut payload);
            }
            _ => error.encode(&mut payload),
        }
        self.push(&payload);
        self.packets.flush().await
    }

    /// Answers with a result set.
    ///
    /// # Errors
    /// The client left.
    pub async fn send_rows(
        &mut self,
        end: &OkPacket<'_>,
        columns: &[Column<'_>],
        rows: &[Vec<Option<Vec<u8>>>],
        protocol: Protocol,
    ) -> io::Result<()> {
        self.answered = true;
        resultset::encode(self.packets.output(), self.caps, end, columns, rows, protocol);
        self.packets.flush().await
    }
}
