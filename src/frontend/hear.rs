//! How a session waits for its client, and what ends the wait.

use super::binding::Binding;
use super::registry::Handle;
use super::session::{Gone, Session};
use crate::net::packets::{Packet, ReadError};
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use std::io;
use std::time::Duration;

/// So long a connection is kept for a client that may ask about its last statement.
const A_MOMENT: Duration = Duration::from_millis(100);

/// Why a session ends that waits for its client.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// It was told to end.
    Stop,
    /// It was told to end as soon as it holds nothing, and it holds nothing.
    Leave,
    /// The client has said nothing for too long.
    TooSilent,
}

impl Session {
    /// Waits until the client says something.
    pub(super) async fn hear(&mut self) -> Result<(), Gone> {
        // A client that says nothing for a moment keeps no connection for what it may ask next.
        if self.holds_for_questions() {
            Box::pin(self.stay_for_a_moment()).await;
        }
        let told = told(self.entry.handle(), self.may_leave(), self.patience());
        tokio::select! {
            biased;
            heard = self.client.packets.listen() => Ok(heard?),
            told = told => Box::pin(self.obey(told)).await,
        }
    }

    async fn stay_for_a_moment(&mut self) {
        tokio::select! {
            biased;
            // The command itself must not be read here: half of it would be lost.
            _said_or_gone = self.client.packets.peek_header() => {}
            () = tokio::time::sleep(A_MOMENT) => {
                self.ask_ahead().await;
                self.show();
            }
        }
    }

    /// Whoever holds a connection may finish what it began: how long, `app` knows, and then has it stop.
    fn may_leave(&self) -> bool {
        matches!(self.binding, Binding::Free)
    }

    async fn obey<T>(&mut self, told: Told) -> Result<T, Gone> {
        match told {
            Told::Stop => self.turn_away(errno::shutting_down()).await,
            Told::Leave => self.turn_away(self.why_to_leave()).await,
            Told::TooSilent => Err(Gone::Left("silent for longer than it may be".into())),
        }
    }

    pub(super) async fn next_command(&mut self) -> Result<Packet, Gone> {
        let limit = self.settings().max_packet;
        // It has said something: should it stop now, it has stopped in the middle.
        let told = told(self.entry.handle(), self.may_leave(), None);
        let read = tokio::select! {
            biased;
            read = self.client.read_command(limit) => read,
            told = told => return self.obey(told).await,
        };
        let error = match read {
            Ok(packet) => return Ok(packet),
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
                self.shared.metrics.stalled.inc();
                return Err(Gone::Left("it stopped in the middle of a command".into()));
            }
            Err(ReadError::Exhausted(_)) => errno::out_of_memory(),
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::OutOfMemory => errno::out_of_memory(),
            Err(ReadError::Io(error)) => return Err(error.into()),
            Err(ReadError::TooLarge { .. }) => errno::packet_too_large(),
            Err(ReadError::OutOfOrder { .. }) => errno::out_of_order(),
        };
        self.turn_away(error).await
    }

    pub(super) async fn turn_away<T>(&mut self, error: ServerError) -> Result<T, Gone> {
        self.shared.metrics.errors.own(error.code);
        // Not an answer to anything, but numbered like one.
        self.client.seq = 1;
        self.client.send_error(&error).await?;
        Err(Gone::Left(error.to_string()))
    }
}

/// Waits until the session is told to end, or the client has been silent for too long.
async fn told(handle: &Handle, may_leave: bool, patience: Option<Duration>) -> Told {
    tokio::select! {
        biased;
        () = handle.stop.cancelled() => Told::Stop,
        () = handle.leave.cancelled(), if may_leave => Told::Leave,
        () = silence(patience), if patience.is_some() => Told::TooSilent,
    }
}

async fn silence(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
