//! Packets over a stream, with bounded buffers.

mod memory;

use crate::metrics::Traffic;
use crate::net::budget::{Budget, Exhausted, SMALL, Share};
use crate::net::spare;
use crate::net::stream::{Socket, Stream, Transport};
use crate::net::transfer::{CHUNK, Compressed, Sent, glimpse, in_time, receive, send, send_listening};
use crate::protocol::compression::{Algorithm, Compression};
use crate::protocol::packet::{HEADER_LEN, Header};
use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

/// A write buffer larger than this is given back after use.
const KEEP: usize = 16 * 1024;
/// Of idle connections, buffers beyond this are given back.
const KEEP_IDLE: usize = 4096;

/// A peer broke the framing, or the stream broke.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The stream failed or ended.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A packet larger than the caller allows.
    #[error("packet of {size} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Bytes announced.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A packet out of sequence.
    #[error("packet {got} came where {expected} was due")]
    OutOfOrder {
        /// Sequence id that came.
        got: u8,
        /// Sequence id that was due.
        expected: u8,
    },
    /// There is no memory for a large packet.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

/// A logical packet.
#[derive(Debug)]
pub struct Packet {
    /// Sequence id of the last physical packet.
    pub seq: u8,
    /// Payload, joined over physical packets.
    pub payload: BytesMut,
    /// What is reserved for it.
    pub share: Share,
}

/// A stream of packets.
#[derive(Debug)]
pub struct PacketStream {
    stream: Stream,
    input: BytesMut,
    output: Vec<u8>,
    compressed: Option<Box<Compressed>>,
    /// Whether the peer is sending much.
    flows: bool,
    /// How long a peer may stop in the middle of a packet, or of taking one.
    stall: Option<Duration>,
    /// Where its bytes are counted.
    traffic: Option<Traffic>,
    /// Where memory for what is large is taken from, and what has been taken for what is being received.
    memory: Option<Budget>,
    held: Share,
    /// Whether the peer took not all that was sent, and only what it said before is left.
    is_broken: bool,
}

impl PacketStream {
    /// Wraps a stream.
    pub fn new(stream: Stream) -> Self {
        let (input, output) = (BytesMut::new(), Vec::new());
        Self {
            stream,
            input,
            output,
            compressed: None,
            flows: false,
            stall: None,
            traffic: None,
            memory: None,
            held: Share::default(),
            is_broken: false,
        }
    }

    /// From now on everything travels compressed, in both directions.
    pub fn compress(&mut self, algorithm: Algorithm) {
        // What came early is compressed already.
        let raw = std::mem::take(&mut self.input);
        let compression = Compression::new(algorithm);
        self.compressed = Some(Box::new(Compressed { compression, raw, envelopes: Vec::new() }));
    }

    /// From now on a peer that stops in the middle of what it sends, or of what it is sent, for longer than this has
    /// left: reads and writes end with [`io::ErrorKind::TimedOut`].
    pub fn stalls_after(&mut self, stall: Duration) {
        self.stall = Some(stall);
    }

    /// From now on its bytes are counted: as they travel, but for TLS.
    pub fn count(&mut self, traffic: Traffic) {
        self.traffic = Some(traffic);
    }

    /// The stream below.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The number of the next envelope, where packets travel in such.
    pub fn next_envelope(&self) -> Option<u8> {
        self.compressed.as_ref().map(|compressed| compressed.compression.seq())
    }

    /// Takes the plain socket out for a TLS handshake, with what was already read from it and
    /// what still has to be written ahead of the handshake.
    pub fn into_transport(self) -> Result<Transport, io::Error> {
        match self.stream {
            Stream::Plain(socket) => Ok(Transport::new(socket, self.input, self.output)),
            Stream::Tls(_) => Err(io::Error::other("TLS inside TLS")),
        }
    }

    /// Wraps a plain socket.
    pub fn plain(socket: Socket) -> Self {
        Self::new(Stream::Plain(socket))
    }

    /// Bytes received and not consumed.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Bytes waiting for [`Self::flush`].
    pub fn output(&mut self) -> &mut Vec<u8> {
        if self.output.capacity() == 0 {
            self.output = spare::output();
        }
        &mut self.output
    }

    /// Receives more bytes; an orderly end of the stream is an error.
    ///
    /// # Cancel safety
    /// Cancel safe: no bytes are lost.
    pub async fn fill(&mut self) -> io::Result<usize> {
        self.fill_in_time(false).await
    }

    /// [`Self::fill`], of what must come soon although nothing of it is there yet.
    ///
    /// # Cancel safety
    /// Cancel safe: no bytes are lost.
    pub async fn fill_soon(&mut self) -> io::Result<usize> {
        self.fill_in_time(true).await
    }

    /// `soon`: its first byte has been waited for long enough.
    async fn fill_in_time(&mut self, soon: bool) -> io::Result<usize> {
        let before = self.input.len();
        loop {
            if let Some(announced) = self.compressed.as_ref().and_then(|compressed| compressed.announced()) {
                // It comes as a whole, however little of it is wanted now.
                if let Err(full) = self.hold(before + announced).await {
                    if let Some(Compressed { compression, raw, .. }) = self.compressed.as_deref_mut() {
                        compression.answer_unread(raw);
                    }
                    return Err(io::Error::new(io::ErrorKind::OutOfMemory, full));
                }
            }
            let stall = self.stall.filter(|_| soon || self.received() > 0);
            let Some(compressed) = &mut self.compressed else {
                let received = receive(&mut self.stream, &mut self.input, &mut self.flows, self.traffic.as_ref());
                return in_time(stall, received).await;
            };
            let raw = compressed.raw.len();
            compressed.unwrap(&mut self.input)?;
            if self.input.len() > before {
                return Ok(self.input.len() - before);
            }
            if compressed.raw.len() < raw {
                // It was empty; another may be there.
                continue;
            }
            let received = receive(&mut self.stream, &mut compressed.raw, &mut self.flows, self.traffic.as_ref());
            in_time(stall, received).await?;
        }
    }

    /// Receives bytes without looking at them: to learn that the peer is there, or gone.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn watch(&mut self) -> io::Result<usize> {
        let into = match &mut self.compressed {
            Some(compressed) => &mut compressed.raw,
            None => &mut self.input,
        };
        glimpse(&mut self.stream, into, self.traffic.as_ref()).await
    }

    /// Waits until the peer says something, if it has not. Meanwhile it has no buffers: it may be silent for long.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn listen(&mut self) -> io::Result<()> {
        if self.received() > 0 {
            return Ok(());
        }
        self.give_back_held();
        spare::keep_input(std::mem::take(&mut self.input));
        if let Some(compressed) = &mut self.compressed {
            spare::keep_input(std::mem::take(&mut compressed.raw));
            if compressed.envelopes.capacity() > KEEP {
                compressed.envelopes = Vec::new();
            }
        }
        if self.output.is_empty() {
            spare::keep_output(std::mem::take(&mut self.output));
        }
        self.watch().await.map(drop)
    }

    /// Bytes received, looked at or not.
    pub fn received(&self) -> usize {
        self.input.len() + self.compressed.as_ref().map_or(0, |compressed| compressed.raw.len())
    }

    /// Sends what is in the output buffer.
    ///
    /// # Cancel safety
    /// Not cancel safe: part of the buffer may be sent.
    pub async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        send(&mut self.stream, self.compressed.as_deref_mut(), &self.output, (self.stall, self.traffic.as_ref()))
            .await?;
        self.sent();
        Ok(())
    }

    /// Sends what is in the output buffer, reading meanwhile: for a flight of several commands, whose
    /// answers nobody takes before all are sent. Not for compressed streams.
    ///
    /// # Cancel safety
    /// Not cancel safe: part of the buffer may be sent.
    pub async fn flush_listening(&mut self) -> io::Result<()> {
        let sent = send_listening(&mut self.stream, &self.output, &mut self.input, self.traffic.as_ref()).await?;
        self.is_broken |= sent == Sent::UntilItHungUp;
        self.sent();
        Ok(())
    }

    /// Whether nothing can be sent any more, although there may be something to be read.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    fn sent(&mut self) {
        self.output.clear();
        if self.output.capacity() > KEEP {
            self.output.shrink_to(KEEP);
        }
    }

    /// Sends `bytes` behind the output buffer, without copying them there.
    pub async fn write_through(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.flush().await?;
        send(&mut self.stream, self.compressed.as_deref_mut(), bytes, (self.stall, self.traffic.as_ref())).await
    }

    /// Waits until at least `n` bytes are buffered.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn buffer_at_least(&mut self, n: usize) -> io::Result<()> {
        if n > CHUNK {
            // What is announced is not to be copied time and again while it grows.
            self.input.reserve((n + CHUNK).saturating_sub(self.input.len()));
        }
        while self.input.len() < n {
            self.fill().await?;
        }
        Ok(())
    }

    /// The header of the next packet, without consuming it.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn peek_header(&mut self) -> io::Result<Header> {
        loop {
            if let Some(header) = Header::peek(&self.input) {
                return Ok(header);
            }
            self.fill().await?;
        }
    }

    /// Reads one logical packet of at most `limit` bytes whose first sequence id is `seq`.
    ///
    /// # Cancel safety
    /// Cancel safe for packets below 16 MiB.
    pub async fn read_packet(&mut self, seq: u8, limit: usize) -> Result<Packet, ReadError> {
        let mut payload: Option<BytesMut> = None;
        let mut expected = seq;
        loop {
            if payload.is_some() && self.input.is_empty() {
                // It has begun something: the rest is due.
                self.fill_soon().await?;
            }
            let header = self.peek_header().await?;
            if header.seq != expected {
                return Err(ReadError::OutOfOrder { got: header.seq, expected });
            }
            let size = header.len + payload.as_ref().map_or(0, BytesMut::len);
            if size > limit {
                return Err(ReadError::TooLarge { size, limit });
            }
            self.hold(size).await?;
            self.buffer_at_least(HEADER_LEN + header.len).await?;
            self.input.advance(HEADER_LEN);
            let part = self.input.split_to(header.len);
            match &mut payload {
                None => payload = Some(part),
                Some(joined) => joined.unsplit(part),
            }
            if !header.is_continued() {
                if size > SMALL && self.input.len() <= KEEP_IDLE {
                    // The beginning of the next packet would keep all of this one's room.
                    self.input = BytesMut::from(&self.input[..]);
                }
                let share = self.held.split(size);
                self.give_back_held();
                return Ok(Packet { seq: header.seq, payload: payload.unwrap_or_default(), share });
            }
            expected = expected.wrapping_add(1);
        }
    }

    /// Whether the peer has neither sent anything nor gone away, found without waiting.
    ///
    /// For connections on which nothing is due: bytes or an end mean it must not be used.
    pub fn is_quiet(&mut self) -> bool {
        if !self.input.is_empty() || self.compressed.as_ref().is_some_and(|c| !c.raw.is_empty()) {
            return false;
        }
        let mut byte = [0u8; 1];
        let mut buf = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        matches!(Pin::new(&mut self.stream).poll_read(&mut cx, &mut buf), Poll::Pending)
    }

    /// Gives back memory an idle connection does not need. What it will need at once it keeps.
    pub fn shrink(&mut self) {
        // Its capacity counts only from where it was read to.
        if self.input.is_empty() && self.input.try_reclaim(KEEP_IDLE + 1) {
            self.input = BytesMut::new();
        }
        // What waits there (a statement to close) leaves with the next flight.
        if self.output.is_empty() && self.output.capacity() > KEEP_IDLE {
            self.output = Vec::new();
        }
        if let Some(compressed) = &mut self.compressed {
            compressed.envelopes = Vec::new();
            if compressed.raw.is_empty() && compressed.raw.try_reclaim(KEEP_IDLE + 1) {
                compressed.raw = BytesMut::new();
            }
        }
    }

    /// Ends the stream in an orderly way, as far as that is possible without waiting long.
    pub async fn close(mut self) {
        let _peer_may_be_gone = self.flush().await;
        let _peer_may_be_gone = self.stream.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
