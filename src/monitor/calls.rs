//! Calls to the watchers of servers: somebody would like to know more, sooner than is due.

use crate::topology::ServerId;
use std::sync::Arc;
use tokio::sync::Notify;

/// Where watchers can be called, by server.
#[derive(Debug, Clone)]
pub(super) struct Calls(Arc<[Notify]>);

impl Calls {
    /// For so many servers.
    pub(super) fn new(servers: usize) -> Self {
        Self((0..servers).map(|_| Notify::new()).collect())
    }

    /// Asks for what a server has executed.
    pub(super) fn ask(&self, server: ServerId) {
        if let Some(call) = self.0.get(usize::from(server.0)) {
            call.notify_one();
        }
    }

    /// Waits until that is asked for.
    pub(super) async fn asked(&self, server: ServerId) {
        match self.0.get(usize::from(server.0)) {
            Some(call) => call.notified().await,
            None => std::future::pending().await,
        }
    }
}
