//! Reads that do not keep: those that often show something else at the primary than on a replica shortly before.
//! Transactions go to the primary ahead of them, for a while.

use crate::sql::{self, Mode};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Statements that have differed are remembered for so long.
const WINDOW: Duration = Duration::from_secs(60);
/// So often in that time, and they are kept from replicas,
const TOO_OFTEN: u32 = 3;
/// if it was more often than once in so many times,
const ONE_IN: u32 = 20;
/// for so long.
const KEPT_AWAY: Duration = Duration::from_secs(60);
/// No more statements are remembered.
const MOST: usize = 1024;

/// Which statements do not keep.
#[derive(Debug, Default)]
pub struct Spoiled {
    by_fingerprint: Mutex<HashMap<u64, Entry>>,
    /// How many there are: most often none, which costs nobody a lock.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Entry {
    since: Instant,
    differed: u32,
    agreed: u32,
}

impl Entry {
    fn is_kept_away(&self, now: Instant) -> bool {
        let is_often = self.differed >= TOO_OFTEN && self.differed.saturating_mul(ONE_IN) > self.agreed;
        is_often && now.duration_since(self.since) < KEPT_AWAY
    }

    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= WINDOW.max(KEPT_AWAY)
    }
}

impl Spoiled {
    /// Whether statements like this one are kept away from replicas.
    pub(super) fn holds(&self, text: &[u8]) -> bool {
        self.count.load(Ordering::Relaxed) > 0 && self.holds_at(fingerprint(text), Instant::now())
    }

    /// A statement showed something else at the primary.
    pub(super) fn differed(&self, text: &[u8]) {
        self.differed_at(fingerprint(text), Instant::now());
    }

    /// A statement showed the same at the primary.
    pub(super) fn agreed(&self, text: &[u8]) {
        if self.count.load(Ordering::Relaxed) > 0
            && let Some(entry) = self.lock().get_mut(&fingerprint(text))
        {
            entry.agreed = entry.agreed.saturating_add(1);
        }
    }

    /// How many statements are kept away.
    pub fn len(&self) -> usize {
        let now = Instant::now();
        self.lock().values().filter(|entry| entry.is_kept_away(now)).count()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn holds_at(&self, statement: u64, now: Instant) -> bool {
        self.lock().get(&statement).is_some_and(|entry| entry.is_kept_away(now))
    }

    fn differed_at(&self, statement: u64, now: Instant) {
        let mut entries = self.lock();
        entries.retain(|_, entry| !entry.is_over(now));
        if entries.len() < MOST || entries.contains_key(&statement) {
            let entry = entries.entry(statement).or_insert(Entry { since: now, differed: 0, agreed: 0 });
            entry.differed = entry.differed.saturating_add(1);
            if entry.is_kept_away(now) {
                // From now on.
                entry.since = now;
            }
        }
        self.count.store(entries.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        // Whole between any two statements; a panic elsewhere does not change that.
        self.by_fingerprint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Literals do not count. How the text is to be read matters little here: at worst two statements are taken for one.
fn fingerprint(text: &[u8]) -> u64 {
    sql::fingerprint(text, Mode::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_often_is_kept_away_for_a_while() {
        let spoiled = Spoiled::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        for at in 0..u64::from(TOO_OFTEN) {
            assert!(!spoiled.holds_at(1, after(at)), "{at} times is not often");
            spoiled.differed_at(1, after(at));
        }
        assert!(spoiled.holds_at(1, after(3)));
        assert!(!spoiled.holds_at(2, after(3)), "another statement");
        assert!(spoiled.holds_at(1, after(61)));
        assert!(!spoiled.holds_at(1, after(62)), "over");
        spoiled.differed_at(1, after(62));
        assert!(!spoiled.holds_at(1, after(62)), "it begins anew");
    }

    #[test]
    fn what_differs_seldom_is_not() {
        let spoiled = Spoiled::default();
        let start = Instant::now();
        for minute in 0..10 {
            let now = start + WINDOW * minute;
            spoiled.differed_at(1, now);
            spoiled.differed_at(1, now);
            assert!(!spoiled.holds_at(1, now));
        }
    }

    #[test]
    fn what_most_often_keeps_is_not() {
        let spoiled = Spoiled::default();
        spoiled.differed(b"SELECT 1");
        (0..60).for_each(|_| spoiled.agreed(b"SELECT 2"));
        spoiled.differed(b"SELECT 3");
        spoiled.differed(b"SELECT 4");
        assert!(!spoiled.holds(b"SELECT 5"));
        spoiled.differed(b"SELECT 6");
        assert!(spoiled.holds(b"SELECT 7"));
    }

    #[test]
    fn literals_do_not_count() {
        let spoiled = Spoiled::default();
        for id in 0..TOO_OFTEN {
            spoiled.differed(format!("SELECT n FROM stock WHERE id = {id}").as_bytes());
        }
        assert!(spoiled.holds(b"SELECT n FROM stock WHERE id = 77"));
        assert!(!spoiled.holds(b"SELECT name FROM stock WHERE id = 77"));
        assert_eq!(spoiled.len(), 1);
    }
}
