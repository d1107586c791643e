//! The line between two processes: lines of text over a pair of sockets, and descriptors with them.
//!
//! The older one says `landbridge 1 ..` with its listening sockets, later `serve ..`, and from then on `told ..`
//! for what its clients write and see. The newer one says `waiting ..`, `ready` and `serving`, then `ok` to each
//! `told`; to those that linger also `older` (somebody newer listens to them from now on), `drain`, and, answered by
//! `done ..`, `pause ..`, `resume` and `reload`.

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// Most descriptors that can be sent at once: what Linux allows.
pub(super) const MOST_DESCRIPTORS: usize = 253;
/// What is received at once.
const RECEIVED_AT_ONCE: usize = 16 * 1024;
/// Longest line that is read.
const LONGEST: usize = 1 << 20;

/// One end.
#[derive(Debug)]
pub(super) struct Line {
    stream: UnixStream,
    /// What was received and not taken yet.
    received: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// A line of text with what came with it.
#[derive(Debug)]
pub(super) struct Message {
    /// The text, without the end of the line.
    pub(super) text: String,
    /// Descriptors.
    pub(super) descriptors: Vec<OwnedFd>,
}

impl Message {
    /// The first word and the rest.
    pub(super) fn words(&self) -> (&str, &str) {
        self.text.split_once(' ').unwrap_or((&self.text, ""))
    }
}

impl Line {
    /// A line, and its other end. Must be called within a runtime, as the others here.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = StdStream::pair()?;
        Ok((Self::on(ours.into())?, theirs.into()))
    }

    /// The line that a descriptor is an end of.
    pub(super) fn on(fd: OwnedFd) -> io::Result<Self> {
        let stream = StdStream::from(fd);
        stream.set_nonblocking(true)?;
        Ok(Self { stream: UnixStream::from_std(stream)?, received: Vec::new(), descriptors: Vec::new() })
    }

    /// Whether no part of a line was received that was not taken.
    pub(super) fn is_between(&self) -> bool {
        self.received.is_empty()
    }

    /// Sends a line.
    pub(super) async fn send(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(format!("{text}\n").as_bytes()).await
    }

    /// Sends a line with descriptors, at most [`MOST_DESCRIPTORS`]. The other end must have taken every line before
    /// it: the system may hand over descriptors with earlier bytes.
    pub(super) async fn send_with(&mut self, text: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        if descriptors.is_empty() {
            return self.send(text).await;
        }
        let bytes = format!("{text}\n").into_bytes();
        let pass = || {
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
                return Err(io::Error::other("too many descriptors to be sent at once"));
            }
            Ok(sendmsg(&self.stream, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)?)
        };
        let sent = self.stream.async_io(Interest::WRITABLE, pass).await?;
        self.stream.write_all(bytes.get(sent..).unwrap_or_default()).await
    }

    /// The next line; `None` when the other end is gone.
    ///
    /// # Cancel safety
    /// Cancel safe: what was received stays.
    pub(super) async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.received) {
                let rest = self.received.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.received, rest);
                line.truncate(end);
                let text = String::from_utf8(line).map_err(io::Error::other)?;
                return Ok(Some(Message { text, descriptors: std::mem::take(&mut self.descriptors) }));
            }
            if self.received.len() > LONGEST {
                return Err(io::Error::other("the line is too long"));
            }
            if !self.receive().await? {
                return Ok(None);
            }
        }
    }

    /// Receives some more; false at the end.
    async fn receive(&mut self) -> io::Result<bool> {
        let mut bytes = vec![0; RECEIVED_AT_ONCE];
        let receive = || {
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let slices = &mut [IoSliceMut::new(&mut bytes)];
            let received = recvmsg(&self.stream, slices, &mut control, RecvFlags::CMSG_CLOEXEC)?;
            let mut descriptors = Vec::new();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(more) = message {
                    descriptors.extend(more);
                }
            }
            Ok((received.bytes, descriptors))
        };
        let (n, descriptors) = self.stream.async_io(Interest::READABLE, receive).await?;
        self.received.extend_from_slice(bytes.get(..n).unwrap_or_default());
        self.descriptors.extend(descriptors);
        Ok(n > 0)
    }
}

impl std::os::fd::AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[tokio::test]
    async fn lines_and_descriptors_arrive_together() {
        let (mut here, there) = Line::pair().expect("a pair");
        let mut there = Line::on(there).expect("a line");
        let (mut passed, mut other) =
            Line::pair().map(|(line, fd)| (line, Line::on(fd).expect("a line"))).expect("pair");
        here.send("first").await.expect("sent");
        assert_eq!(there.next().await.expect("read").expect("a line").text, "first");
        here.send_with("second line", &[other.as_fd()]).await.expect("sent");
        let mut second = there.next().await.expect("read").expect("a line");
        assert_eq!(second.words(), ("second", "line"));
        let mut copy = Line::on(second.descriptors.pop().expect("one")).expect("a line");
        copy.send("hello").await.expect("sent");
        assert_eq!(passed.next().await.expect("read").expect("a line").text, "hello");
        other.send("both ends are the same").await.expect("sent");
        assert!(there.is_between());
        drop(here);
        assert!(there.next().await.expect("read").is_none());
    }
}
