//! What was seen on connections that their sessions keep is named by another one. However many there are, one question to
//! a server is under way, and those that come meanwhile share the next: clients must not wait for connections because
//! of it.

use crate::consistency::gtid::GtidSet;
use crate::consistency::scope::Scope;
use crate::consistency::token::Token;
use crate::topology::{ServerId, Snapshot};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Scopes that have seen something that nobody has named.
#[derive(Debug)]
pub(super) struct Unnamed {
    server: ServerId,
    asked: Instant,
    scopes: Vec<Arc<Scope>>,
}

impl Unnamed {
    /// It was seen there, by these scopes, until now.
    pub(super) fn new(server: ServerId, asked: Instant, scopes: Vec<Arc<Scope>>) -> Self {
        Self { server, asked, scopes }
    }

    /// By whom it can be named.
    pub(super) fn server(&self) -> ServerId {
        self.server
    }

    /// It is contained in these transactions of its server.
    pub(super) fn named(self, gtids: &GtidSet, snapshot: &Snapshot) {
        let is_primary = snapshot.is_primary(self.server);
        for scope in self.scopes {
            if is_primary {
                scope.named(self.asked, Instant::now(), gtids);
            } else {
                // A replica has not got all that others have seen at the primary meanwhile: it cannot end their doubt.
                scope.take_on(&Token::of(Some(gtids.clone())).raised(self.asked));
            }
        }
    }
}

/// The servers that are being asked, and what waits for the next answer of each.
#[derive(Debug, Default)]
pub struct Naming(Mutex<HashMap<ServerId, Vec<Unnamed>>>);

impl Naming {
    /// Has this wait for an answer of its server. Whether nobody asks that server: then the caller has to, as long as
    /// something [waits](Self::take).
    pub(super) fn add(&self, unnamed: Unnamed) -> bool {
        match self.lock().entry(unnamed.server()) {
            Entry::Occupied(mut waiting) => {
                waiting.get_mut().push(unnamed);
                false
            }
            Entry::Vacant(place) => {
                place.insert(vec![unnamed]);
                true
            }
        }
    }

    /// What waits for the next answer of a server. `None`: nothing does, and nobody asks it any more.
    pub(super) fn take(&self, server: ServerId) -> Option<Vec<Unnamed>> {
        let mut asked = self.lock();
        let waiting = std::mem::take(asked.get_mut(&server)?);
        if waiting.is_empty() {
            asked.remove(&server);
            return None;
        }
        Some(waiting)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ServerId, Vec<Unnamed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_for_all() {
        let naming = Naming::default();
        let unnamed = |server| Unnamed::new(ServerId(server), Instant::now(), Vec::new());
        assert!(naming.add(unnamed(0)), "nobody does");
        assert!(naming.add(unnamed(1)), "nobody asks that one");
        assert_eq!(naming.take(ServerId(0)).map(|waiting| waiting.len()), Some(1));
        assert!(!naming.add(unnamed(0)) && !naming.add(unnamed(0)), "somebody is at it");
        assert_eq!(naming.take(ServerId(0)).map(|waiting| waiting.len()), Some(2));
        assert!(naming.take(ServerId(0)).is_none());
        assert!(naming.add(unnamed(0)), "nobody does any more");
    }
}
