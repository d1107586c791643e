//! What ends a flight from outside: its session is told to stop, or its server is found silent, so that nobody hangs.

use super::flight::Failed;
use super::registry::Handle;
use super::shared::Shared;
use crate::topology::{Health, ServerId, Snapshot};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Why a flight ends before its answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Interrupt {
    /// The monitor says that the server is silent: waiting longer would be a hang.
    Silent,
    /// The session was told to stop.
    Stopped,
}

impl Interrupt {
    /// As the failure of a flight on this connection of this server.
    pub(super) fn failed(self, server: &str, thread_id: u32) -> Failed {
        match self {
            Self::Silent => Failed::Lost { server: server.to_owned(), sent: true },
            Self::Stopped => Failed::Stopped(thread_id),
        }
    }
}

/// Waits until a server is known not to answer, or the session is told to stop.
pub(super) async fn interrupted(handle: &Handle, shared: &Shared, server: ServerId) -> Interrupt {
    let is_silent = || is_silent(&shared.topology.borrow(), server).then_some(Interrupt::Silent);
    handle.stop.cancelled_or(is_silent).await.unwrap_or(Interrupt::Stopped)
}

fn is_silent(snapshot: &Snapshot, server: ServerId) -> bool {
    snapshot.server(server).is_some_and(|server| matches!(server.health, Health::Down(_)))
}

impl Shared {
    /// Has those look again who wait for a server that is found silent, until `stop`. They do not follow the servers
    /// themselves: that would cost every statement what is needed by hardly any.
    pub async fn tell_of_silence(self: Arc<Self>, stop: CancellationToken) {
        let mut topology = self.topology.clone();
        loop {
            let snapshot = topology.borrow_and_update().clone();
            if snapshot.servers.iter().any(|server| is_silent(&snapshot, server.id)) {
                self.registry.look_again(|server| is_silent(&snapshot, server));
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = topology.changed() => if changed.is_err() { return },
            }
        }
    }
}
