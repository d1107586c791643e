//! The servers of the configuration, whose number grows while Landbridge runs.

use super::server::{Reference, Server};
use crate::topology::ServerId;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// All servers there ever were, each in the place of its id: one that the configuration has no more is
/// [retired](Server::retire) and keeps its place, because ids live on in tokens and sessions.
#[derive(Debug, Clone)]
pub struct Servers {
    list: Arc<ArcSwap<Vec<Arc<Server>>>>,
    reference: Arc<Reference>,
}

impl Servers {
    /// These servers, in the order of their ids, which share this reference.
    pub fn new(list: Vec<Arc<Server>>, reference: Arc<Reference>) -> Self {
        Self { list: Arc::new(ArcSwap::from_pointee(list)), reference }
    }

    /// All of them, retired ones too.
    pub fn all(&self) -> Arc<Vec<Arc<Server>>> {
        self.list.load_full()
    }

    /// Those that the configuration has now.
    pub fn in_use(&self) -> Vec<Arc<Server>> {
        self.list.load().iter().filter(|server| !server.is_retired()).cloned().collect()
    }

    /// One of them.
    pub fn get(&self, id: ServerId) -> Option<Arc<Server>> {
        self.list.load().get(usize::from(id.0)).cloned()
    }

    /// What all of them share.
    pub fn reference(&self) -> &Arc<Reference> {
        &self.reference
    }

    /// Adds servers whose ids come next. Only one at a time may do so.
    pub fn append(&self, added: &[Arc<Server>]) {
        let mut list = Vec::clone(&self.list.load());
        list.extend_from_slice(added);
        self.list.store(Arc::new(list));
    }
}
