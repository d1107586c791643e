//! What servers have accepted before, by user: it need not be asked again.
//!
//! Only of statements whose outcome depends on nothing but their text and the user. If a server
//! changes its mind, the prelude that brings the state to it fails, and says so.

use crate::backend::query::Row;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// More than this are not remembered: the memory starts anew.
const MOST: usize = 10_000;
/// Longer texts are not remembered.
const LONGEST: usize = 1024;

/// A server's answer to a `SET` or `USE` of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The session changes it told, as in the OK packet.
    pub changes: Vec<u8>,
    /// Its warnings, as `SHOW WARNINGS` lists them.
    pub warnings: Vec<Row<Vec<u8>>>,
}

/// What was accepted of each user; schemas are kept by [`Proven::schema`].
#[derive(Debug, Default)]
pub struct Proven(Mutex<HashMap<Key, Arc<Accepted>>>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    user: String,
    what: What,
    text: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Login,
    Schema,
    Set,
}

impl Proven {
    /// Whether servers let `user` in, as far as is known.
    pub fn has_login(&self, user: &str) -> bool {
        self.find(user, What::Login, b"").is_some()
    }

    /// A server let `user` in.
    pub fn login(&self, user: &str) {
        self.insert(user, What::Login, b"", Accepted::default());
    }

    /// Whether `user` may choose `schema`, as far as is known.
    pub fn has_schema(&self, user: &str, schema: &[u8]) -> bool {
        self.find(user, What::Schema, schema).is_some()
    }

    /// A server let `user` choose `schema`.
    pub fn schema(&self, user: &str, schema: &[u8]) {
        self.insert(user, What::Schema, schema, Accepted::default());
    }

    /// What a server said to this `SET` of `user`.
    pub fn find_set(&self, user: &str, text: &[u8]) -> Option<Arc<Accepted>> {
        self.find(user, What::Set, text)
    }

    /// A server accepted this `SET` of `user`.
    pub fn set(&self, user: &str, text: &[u8], accepted: Accepted) {
        self.insert(user, What::Set, text, accepted);
    }

    /// Forgets everything: a server refused something that was accepted before, or schemas and
    /// privileges may have changed.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn find(&self, user: &str, what: What, text: &[u8]) -> Option<Arc<Accepted>> {
        let key = Key { user: user.to_owned(), what, text: text.to_owned() };
        self.lock().get(&key).cloned()
    }

    fn insert(&self, user: &str, what: What, text: &[u8], accepted: Accepted) {
        if text.len() > LONGEST {
            return;
        }
        let mut known = self.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(Key { user: user.to_owned(), what, text: text.to_owned() }, Arc::new(accepted));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Accepted>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_kinds_are_apart() {
        let proven = Proven::default();
        proven.schema("a", b"x");
        proven.set("a", b"SET b = 1", Accepted::default());
        assert!(proven.has_schema("a", b"x") && !proven.has_schema("b", b"x") && !proven.has_schema("a", b"SET b = 1"));
        assert!(proven.find_set("a", b"SET b = 1").is_some() && proven.find_set("a", b"x").is_none());
        proven.forget();
        assert!(!proven.has_schema("a", b"x"));
    }

    #[test]
    fn memory_is_bounded() {
        let proven = Proven::default();
        proven.set("a", &[b'x'; LONGEST + 1], Accepted::default());
        assert_eq!(proven.lock().len(), 0);
        for n in 0..=MOST {
            proven.schema("a", n.to_string().as_bytes());
        }
        assert!(proven.lock().len() <= MOST);
    }
}
