//! A byte stream to a peer: TCP or unix socket, with or without TLS.

use super::simulated::Duplex;
use crate::protocol::packet::{HEADER_LEN, Header};
use crate::protocol::response::ERR;
use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

/// A socket of any kind.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// Unix domain socket.
    Unix(UnixStream),
    /// A connection inside the process.
    Simulated(Box<dyn Duplex>),
}

/// A socket whose plaintext beginning belongs to the MySQL protocol and whose rest belongs to TLS.
///
/// Bytes already read from the socket are given to TLS first; bytes still to be written (the TLS
/// request) leave in the same write as TLS's first message.
#[derive(Debug)]
pub struct Transport {
    socket: Socket,
    read_first: BytesMut,
    write_first: Vec<u8>,
    /// Where the peer's first packet goes, which is not TLS yet.
    held_back: Option<HeldBack>,
}

/// A plaintext packet that a peer sent ahead of TLS, once it is there.
#[derive(Debug, Clone, Default)]
pub struct HeldBack(Arc<Mutex<Option<BytesMut>>>);

impl HeldBack {
    /// Takes the packet's payload.
    pub fn take(&self) -> Option<BytesMut> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, payload: BytesMut) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(payload);
    }
}

/// Nobody greets with more than this.
const LARGEST_HELD_BACK: usize = 16 * 1024;

/// What a connection runs over.
#[derive(Debug)]
pub enum Stream {
    /// Unencrypted.
    Plain(Socket),
    /// Encrypted.
    Tls(Box<TlsStream<Transport>>),
}

impl Transport {
    /// Wraps a socket between the plaintext phase and the TLS handshake.
    pub fn new(socket: Socket, read_first: BytesMut, write_first: Vec<u8>) -> Self {
        Self { socket, read_first, write_first, held_back: None }
    }

    /// Keeps the peer's first packet from TLS: it was sent before the peer knew of TLS.
    #[must_use]
    pub fn holding_back(mut self, first: HeldBack) -> Self {
        self.held_back = Some(first);
        self
    }

    /// Reads until the packet to be held back is there.
    fn poll_hold_back(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(held_back) = &self.held_back {
            if let Some(header) = Header::peek(&self.read_first) {
                if header.len > LARGEST_HELD_BACK {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                if self.read_first.len() >= HEADER_LEN + header.len {
                    self.read_first.advance(HEADER_LEN);
                    let payload = self.read_first.split_to(header.len);
                    let is_error = payload.first() == Some(&ERR);
                    held_back.put(payload);
                    self.held_back = None;
                    // Whoever greets with an error will not speak TLS.
                    return Poll::Ready(if is_error { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(()) });
                }
            }
            let mut space = [0; 1024];
            let mut read = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.read_first.extend_from_slice(read.filled());
        }
        Poll::Ready(Ok(()))
    }
}

impl Stream {
    /// The TLS version and cipher suite, when encrypted.
    pub fn tls_description(&self) -> Option<String> {
        let Self::Tls(tls) = self else { return None };
        let (_, session) = tls.get_ref();
        let version = session.protocol_version().and_then(|v| v.as_str())?;
        let suite = session.negotiated_cipher_suite()?.suite();
        Some(format!("{version} {}", suite.as_str().unwrap_or("?")))
    }

    /// The certificate that the peer has shown, as DER.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        let Self::Tls(tls) = self else { return None };
        let (_, session) = tls.get_ref();
        session.peer_certificates()?.first().map(|certificate| certificate.to_vec())
    }

    /// Whether TLS protects it.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether the bytes cannot be read on the way: TLS, or a unix socket.
    pub fn is_private(&self) -> bool {
        !matches!(self, Self::Plain(Socket::Tcp(_)))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_read(cx, buf),
            Self::Unix(s) => Pin::new(s).poll_read(cx, buf),
            Self::Simulated(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_write(cx, buf),
            Self::Unix(s) => Pin::new(s).poll_write(cx, buf),
            Self::Simulated(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            Self::Unix(s) => Pin::new(s).poll_shutdown(cx),
            Self::Simulated(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_hold_back(cx))?;
        if this.read_first.has_remaining() {
            let n = this.read_first.len().min(buf.remaining());
            buf.put_slice(&this.read_first.split_to(n));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.write_first.is_empty() {
            return Pin::new(&mut this.socket).poll_write(cx, buf);
        }
        let prologue = this.write_first.len();
        let joined = [&this.write_first, buf].concat();
        let n = ready!(Pin::new(&mut this.socket).poll_write(cx, &joined))?;
        this.write_first.drain(..n.min(prologue));
        match n.checked_sub(prologue) {
            Some(n) if n > 0 || buf.is_empty() => Poll::Ready(Ok(n)),
            _ => {
                // Only the prologue left so far: come again for the caller's own bytes.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_flush(cx),
            Self::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
