//! A connection between two tasks: in pieces of any size, and breakable.

use super::random::Random;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So many bytes are on their way at most.
const CAPACITY: usize = 64 * 1024;

/// One direction.
#[derive(Debug)]
struct Line {
    bytes: VecDeque<u8>,
    /// The writer will write no more.
    ended: bool,
    /// Nobody reads.
    unread: bool,
    /// It broke.
    broken: bool,
    wakers: Vec<Waker>,
    /// For the sizes of pieces; `None`: all at once.
    pieces: Option<Random>,
}

type Shared = Arc<Mutex<Line>>;

fn lock(line: &Shared) -> MutexGuard<'_, Line> {
    line.lock().expect("no panic while it is held")
}

impl Line {
    fn new(pieces: Option<Random>) -> Shared {
        let (bytes, wakers) = (VecDeque::new(), Vec::new());
        Arc::new(Mutex::new(Self { bytes, ended: false, unread: false, broken: false, wakers, pieces }))
    }

    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }

    fn wait(&mut self, cx: &Context<'_>) {
        // Both ends may wait for the same line, and one of them with a waker that does nothing.
        if !self.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.wakers.push(cx.waker().clone());
        }
    }
}

/// One end of a connection.
#[derive(Debug)]
pub struct End {
    incoming: Shared,
    outgoing: Shared,
}

/// What a connection can be broken by, from outside.
#[derive(Debug, Clone)]
pub struct Cord(Shared, Shared);

impl Cord {
    /// Breaks it: what was on its way is lost.
    pub fn cut(&self) {
        for line in [&self.0, &self.1] {
            let mut line = lock(line);
            line.broken = true;
            line.bytes.clear();
            line.wake();
        }
    }

    /// Whether it was broken.
    pub fn is_cut(&self) -> bool {
        lock(&self.0).broken
    }

    /// Whether the end it was taken from works for nobody: the other one has gone.
    pub fn is_abandoned(&self) -> bool {
        self.is_cut() || lock(&self.1).unread
    }
}

/// A connection. `random`: bytes arrive in pieces.
pub fn pair(mut random: Option<Random>) -> (End, End) {
    let mut line = || Line::new(random.as_mut().map(Random::fork));
    let (a, b) = (line(), line());
    (End { incoming: a.clone(), outgoing: b.clone() }, End { incoming: b, outgoing: a })
}

impl End {
    /// To break it later.
    pub fn cord(&self) -> Cord {
        Cord(self.incoming.clone(), self.outgoing.clone())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut outgoing = lock(&self.outgoing);
        outgoing.ended = true;
        outgoing.wake();
        drop(outgoing);
        let mut incoming = lock(&self.incoming);
        incoming.unread = true;
        incoming.wake();
    }
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut line = lock(&self.incoming);
        if line.broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if line.bytes.is_empty() {
            if line.ended {
                return Poll::Ready(Ok(()));
            }
            line.wait(cx);
            return Poll::Pending;
        }
        let most = line.bytes.len().min(buf.remaining());
        let n = match &mut line.pieces {
            Some(random) => {
                if random.per_mille(300) {
                    1 + random.below(most as u64) as usize
                } else {
                    most
                }
            }
            None => most,
        };
        let piece: Vec<u8> = line.bytes.drain(..n.min(most)).collect();
        buf.put_slice(&piece);
        line.wake();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut line = lock(&self.outgoing);
        if line.broken || line.unread {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let n = buf.len().min(CAPACITY - line.bytes.len());
        if n == 0 {
            line.wait(cx);
            return Poll::Pending;
        }
        line.bytes.extend(&buf[..n]);
        line.wake();
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut line = lock(&self.outgoing);
        line.ended = true;
        line.wake();
        Poll::Ready(Ok(()))
    }
}
