//! All scopes that have names: of users, and of the keys of applications, of which there may be millions.

use super::scope::Scope;
use super::token::Token;
use crate::topology::Snapshot;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

/// Most keys remembered by themselves: some hundred bytes each.
const MOST_KEYS: usize = 1 << 18;
/// What so many keys wrote can be told another process.
const MOST_TOLD: usize = 4096;
/// Keys looked at for being over, for each one that is added.
const SWEPT_AT_ONCE: usize = 2;

/// The scopes of users and keys.
#[derive(Debug, Default)]
pub struct Scopes {
    users: RwLock<HashMap<String, Arc<Scope>>>,
    keys: Mutex<Keys>,
    /// What keys wrote that were forgotten before their time: all keys must see it.
    rest: Arc<Scope>,
    hasher: RandomState,
}

/// A key of an application. Two keys may share a number: they see each other's writes, which is no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    /// A number for choosing among equals: always the same one for the same key.
    pub fn pick(self) -> u64 {
        self.0
    }
}

#[derive(Debug, Default)]
struct Keys {
    scopes: HashMap<Key, Arc<Scope>>,
    /// In the order in which they were added, or last found to be still needed.
    order: VecDeque<Key>,
}

impl Scopes {
    /// The scope of a user (or another name), made when first asked for.
    pub fn of_user(&self, name: &str) -> Arc<Scope> {
        if let Some(scope) = self.users.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return scope.clone();
        }
        self.users.write().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone()
    }

    /// The key that an application calls so.
    pub fn key(&self, name: &[u8]) -> Key {
        Key(self.hasher.hash_one(name))
    }

    /// The scope of a key that something was noted for, and the one of all keys that were forgotten.
    pub fn of_key(&self, key: Key) -> (Option<Arc<Scope>>, &Arc<Scope>) {
        (self.lock().scopes.get(&key).cloned(), &self.rest)
    }

    /// What all of them wrote or saw, whether replicas here have it or not; of keys, so many: of more there is more to
    /// tell than anybody takes.
    pub fn everything(&self) -> Token {
        let mut all = self.rest.everything();
        let keys = self.lock().scopes.values().take(MOST_TOLD).cloned().collect::<Vec<_>>();
        let users = self.users().into_iter().map(|(_, scope)| scope);
        users.chain(keys).for_each(|scope| all.merge(&scope.everything()));
        all
    }

    /// The scopes of all users, with their names.
    pub fn users(&self) -> Vec<(String, Arc<Scope>)> {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        users.iter().map(|(name, scope)| (name.clone(), scope.clone())).collect()
    }

    /// The keys that have been remembered for longest, and their scopes; at most so many.
    pub fn oldest_keys(&self, most: usize) -> Vec<(Key, Arc<Scope>)> {
        let keys = self.lock();
        let found = keys.order.iter().filter_map(|key| Some((*key, keys.scopes.get(key)?.clone())));
        found.take(most).collect()
    }

    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        self.lock().scopes.len()
    }

    /// The scope of a key that something is about to be noted for. Whoever holds it keeps it from being
    /// forgotten.
    pub fn scope_for_more(&self, key: Key, now: Instant, seen: &Snapshot) -> Arc<Scope> {
        let mut keys = self.lock();
        if let Some(scope) = keys.scopes.get(&key) {
            return scope.clone();
        }
        keys.sweep(now, seen);
        if keys.scopes.len() >= MOST_KEYS {
            keys.forget_oldest(&self.rest);
        }
        let scope = Arc::<Scope>::default();
        keys.scopes.insert(key, scope.clone());
        keys.order.push_back(key);
        scope
    }

    fn lock(&self) -> MutexGuard<'_, Keys> {
        // Whole between any two statements; a panic elsewhere does not change that.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys {
    /// Looks at the oldest: those whose writes every replica has are forgotten.
    fn sweep(&mut self, now: Instant, seen: &Snapshot) {
        for _ in 0..SWEPT_AT_ONCE {
            let Some(key) = self.order.pop_front() else { return };
            let Some(scope) = self.scopes.get(&key) else { continue };
            // Nobody can come to hold it meanwhile: that takes the lock.
            if Arc::strong_count(scope) > 1 || !scope.token(now, seen).is_empty() {
                self.order.push_back(key);
            } else {
                self.scopes.remove(&key);
            }
        }
    }

    fn forget_oldest(&mut self, rest: &Scope) {
        for _ in 0..self.order.len() {
            let Some(key) = self.order.pop_front() else { return };
            match self.scopes.get(&key) {
                Some(scope) if Arc::strong_count(scope) > 1 => self.order.push_back(key),
                Some(scope) => {
                    rest.take_on(&scope.everything());
                    self.scopes.remove(&key);
                    return;
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consistency::gtid::{Family, GtidSet};
    use crate::consistency::token::{Changed, Noted};
    use std::time::Duration;

    const PIN: Duration = Duration::ZERO;

    fn gtids(text: &str) -> GtidSet {
        GtidSet::parse(Family::MariaDb, text).expect("well formed")
    }

    fn wrote(scopes: &Scopes, name: &str, text: &str, seen: &Snapshot) {
        let (now, noted) = (Instant::now(), Noted::Gtids(gtids(text)));
        scopes.scope_for_more(scopes.key(name.as_bytes()), now, seen).note(&noted, Changed::Data, now, PIN);
    }

    #[test]
    fn keys_are_told_apart_and_found_again() {
        let (scopes, seen) = (Scopes::default(), Snapshot::default());
        wrote(&scopes, "anna", "0-1-5", &seen);
        let token = |name: &str| {
            let (scope, _) = scopes.of_key(scopes.key(name.as_bytes()));
            scope.and_then(|scope| scope.token(Instant::now(), &seen).gtids)
        };
        assert_eq!(token("anna"), Some(Arc::new(gtids("0-1-5"))));
        assert_eq!(token("bert"), None);
    }

    #[test]
    fn keys_are_forgotten_once_replicas_have_what_they_wrote() {
        let scopes = Scopes::default();
        let behind = Snapshot { everywhere: Some(Arc::new(gtids("0-1-1"))), ..Snapshot::default() };
        for n in 0..1_000 {
            wrote(&scopes, &format!("a{n}"), "0-1-2", &behind);
        }
        assert_eq!(scopes.keys(), 1_000, "none may be forgotten");
        let caught_up = Snapshot { everywhere: Some(Arc::new(gtids("0-1-2"))), ..Snapshot::default() };
        for n in 0..1_001 {
            wrote(&scopes, &format!("b{n}"), "0-1-3", &caught_up);
        }
        assert_eq!(scopes.keys(), 1_001, "all of the first are gone");
    }

    #[test]
    fn more_keys_than_fit_are_remembered_together() {
        let (scopes, seen) = (Scopes::default(), Snapshot::default());
        wrote(&scopes, "first", "0-1-7", &seen);
        let held = scopes.of_key(scopes.key(b"first")).0.expect("noted");
        for n in 0..MOST_KEYS + 10 {
            wrote(&scopes, &n.to_string(), "0-1-3", &seen);
        }
        assert_eq!(scopes.keys(), MOST_KEYS);
        assert!(scopes.of_key(scopes.key(b"first")).0.is_some(), "somebody is about to note something there");
        drop(held);
        let is_gone = |n: &usize| scopes.of_key(scopes.key(n.to_string().as_bytes())).0.is_none();
        assert_eq!((0..MOST_KEYS + 10).filter(is_gone).count(), 11);
        let (_, rest) = scopes.of_key(scopes.key(b"first"));
        assert_eq!(rest.token(Instant::now(), &seen).gtids, Some(Arc::new(gtids("0-1-3"))));
    }
}
