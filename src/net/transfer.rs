//! Moves bytes between a stream and buffers, and counts them: as they travel, but for TLS.

use super::spare;
use super::stream::Stream;
use crate::metrics::Traffic;
use crate::protocol::compression::Compression;
use bytes::BytesMut;
use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// How much is read from a peer that says little.
const LITTLE: usize = spare::SIZE;
/// How much is read from any other at once; also the most that is buffered while relaying.
pub(super) const CHUNK: usize = 64 * 1024;

/// What a compressed stream needs besides.
#[derive(Debug)]
pub(super) struct Compressed {
    pub(super) compression: Compression,
    /// Received, and not yet the whole of an envelope.
    pub(super) raw: BytesMut,
    /// The envelopes of the write under way.
    pub(super) envelopes: Vec<u8>,
}

impl Compressed {
    /// How many bytes the first envelope and its contents take, if its header is there.
    pub(super) fn announced(&self) -> Option<usize> {
        self.compression.announced(&self.raw)
    }

    /// Moves the contents of the first envelope to `plain`, if it is complete.
    pub(super) fn unwrap(&mut self, plain: &mut BytesMut) -> io::Result<()> {
        let raw = self.raw.len();
        self.compression.unwrap(&mut self.raw, plain).map_err(io::Error::other)?;
        if raw - self.raw.len() > CHUNK && self.raw.len() <= spare::SIZE {
            // The beginning of the next envelope would keep all of this one's room.
            self.raw = BytesMut::from(&self.raw[..]);
        }
        Ok(())
    }
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it was taken.
    All,
    /// The peer hung up before that, and has said something.
    UntilItHungUp,
}

/// Writes, and reads meanwhile: a peer that answers the first part of what it is sent may read no further
/// until somebody takes the answer.
pub(super) async fn send_listening(
    stream: &mut Stream,
    bytes: &[u8],
    input: &mut BytesMut,
    traffic: Option<&Traffic>,
) -> io::Result<Sent> {
    let (mut sent, mut listening) = (0, true);
    let ended = poll_fn(|cx| {
        loop {
            let mut stream = Pin::new(&mut *stream);
            let progress = if sent < bytes.len() {
                match stream.as_mut().poll_write(cx, &bytes[sent..]) {
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(heard_last(stream.get_mut(), input, cx).ok_or(error));
                    }
                    progress => progress?,
                }
            } else {
                match stream.as_mut().poll_flush(cx)? {
                    Poll::Ready(()) => return Poll::Ready(Ok(Sent::All)),
                    Poll::Pending => Poll::Pending,
                }
            };
            match progress {
                Poll::Ready(0) => return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero))),
                Poll::Ready(written) => sent += written,
                Poll::Pending if !listening => return Poll::Pending,
                Poll::Pending => {
                    input.reserve(CHUNK);
                    let read = ready!(pin!(stream.get_mut().read_buf(input)).poll(cx))?;
                    count_received(traffic, read);
                    // Its end, should it come, the writing will meet.
                    listening = read > 0;
                }
            }
        }
    })
    .await?;
    count_sent(traffic, bytes.len());
    Ok(ended)
}

/// A peer that takes no more may have said why before it hung up. `None` if there is nothing to be read.
fn heard_last(stream: &mut Stream, input: &mut BytesMut, cx: &mut Context<'_>) -> Option<Sent> {
    input.reserve(CHUNK);
    while let Poll::Ready(Ok(1..)) = pin!(stream.read_buf(input)).poll(cx) {
        input.reserve(CHUNK);
    }
    (!input.is_empty()).then_some(Sent::UntilItHungUp)
}

/// Waits for bytes; the end of the stream is an error.
///
/// `flows`: whether the read before brought much, so that this one likely does, too.
pub(super) async fn receive(
    stream: &mut Stream,
    into: &mut BytesMut,
    flows: &mut bool,
    traffic: Option<&Traffic>,
) -> io::Result<usize> {
    into.reserve(if into.is_empty() && !*flows { LITTLE } else { CHUNK });
    match stream.read_buf(into).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        n => {
            *flows = n >= LITTLE;
            count_received(traffic, n);
            Ok(n)
        }
    }
}

/// Waits for bytes of which most often none come: memory is taken only for those that do.
pub(super) async fn glimpse(stream: &mut Stream, into: &mut BytesMut, traffic: Option<&Traffic>) -> io::Result<usize> {
    let n = poll_fn(|cx| {
        let mut first = [const { MaybeUninit::uninit() }; 1024];
        let mut first = ReadBuf::uninit(&mut first);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut first))?;
        if into.capacity() == 0 && !first.filled().is_empty() {
            *into = spare::input();
        }
        into.extend_from_slice(first.filled());
        Poll::Ready(io::Result::Ok(first.filled().len()))
    })
    .await?;
    if n == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    count_received(traffic, n);
    Ok(n)
}

/// Writes all, for no longer than `stall` without progress.
pub(super) async fn send(
    stream: &mut Stream,
    compressed: Option<&mut Compressed>,
    bytes: &[u8],
    (stall, traffic): (Option<Duration>, Option<&Traffic>),
) -> io::Result<()> {
    let mut left = match compressed {
        None => bytes,
        Some(Compressed { compression, envelopes, .. }) => {
            envelopes.clear();
            compression.wrap(bytes, envelopes);
            &envelopes[..]
        }
    };
    count_sent(traffic, left.len());
    while !left.is_empty() {
        let written = in_time(stall, stream.write(left)).await?;
        left = left.get(written..).filter(|_| written > 0).ok_or(io::ErrorKind::WriteZero)?;
    }
    in_time(stall, stream.flush()).await
}

/// Most of the time there is nothing to wait for, and then no clock is looked at.
pub(super) async fn in_time<T>(limit: Option<Duration>, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let Some(limit) = limit else { return work.await };
    let mut work = pin!(work);
    if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        return done;
    }
    tokio::time::timeout(limit, work).await.map_err(|_| io::ErrorKind::TimedOut)?
}

fn count_received(traffic: Option<&Traffic>, bytes: usize) {
    if let Some(traffic) = traffic {
        traffic.received.inc_by(bytes as u64);
    }
}

fn count_sent(traffic: Option<&Traffic>, bytes: usize) {
    if let Some(traffic) = traffic {
        traffic.sent.inc_by(bytes as u64);
    }
}
