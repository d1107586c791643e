//! Calls to the watchers of servers: somebody would like to know more, sooner than is due.

use crate::topology::ServerId;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Notify;

/// Where watchers can be called, by server.
#[derive(Debug, Clone)]
pub(super) struct Calls(Arc<RwLock<Vec<Arc<Notify>>>>);

impl Calls {
    /// For so many servers.
    pub(super) fn new(servers: usize) -> Self {
        let calls = Self(Arc::default());
        calls.grow(servers);
        calls
    }

    /// For at least so many servers from now on.
    pub(super) fn grow(&self, servers: usize) {
        let mut calls = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let more = servers.saturating_sub(calls.len());
        calls.extend((0..more).map(|_| Arc::new(Notify::new())));
    }

    fn of(&self, server: ServerId) -> Option<Arc<Notify>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(usize::from(server.0)).cloned()
    }

    /// Asks for what a server has executed.
    pub(super) fn ask(&self, server: ServerId) {
        if let Some(call) = self.of(server) {
            call.notify_one();
        }
    }

    /// Waits until that is asked for.
    pub(super) async fn asked(&self, server: ServerId) {
        match self.of(server) {
            Some(call) => call.notified().await,
            None => std::future::pending().await,
        }
    }
}
