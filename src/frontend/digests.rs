//! Which statements there were, by digest: how many, where they went and why, and how long they took.
//!
//! A table of bounded size. Statements are told apart by a fingerprint of their bytes; the digest, which shows no
//! literal, is made only for those that are new. When a part of the table is full, the one that was not seen for
//! longest makes room, but only for one in eight newcomers: where no two statements are alike, each would
//! push another one out.

use crate::route::Reason;
use crate::sql::{self, Mode};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Parts with a lock each.
const PARTS: usize = 8;
/// Of the newcomers that find a part full, one in so many is admitted.
const ADMITTED: u32 = 8;

/// What is known of the statements so far.
#[derive(Debug)]
pub struct Digests {
    parts: [Mutex<Part>; PARTS],
    /// Most rows of one part.
    most: usize,
}

#[derive(Debug, Default)]
struct Part {
    rows: HashMap<u64, Row, BuildHasherDefault<Given>>,
    /// Counts what was seen, to tell what was not for longest.
    clock: u64,
    refused: u32,
}

#[derive(Debug)]
struct Row {
    seen: Digest,
    at: u64,
}

/// Statements that are alike and went the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// What they have in common.
    pub text: String,
    /// Whether they went to the primary.
    pub at_primary: bool,
    /// Why.
    pub reason: Reason,
    /// How many.
    pub count: u64,
    /// How long all of them took, from when they were read to the end of their answers.
    pub total: Duration,
    /// How long the longest took.
    pub worst: Duration,
    /// When the last one ended.
    pub last: Instant,
}

/// One statement that is over.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Its text.
    pub text: &'a [u8],
    /// How that is to be read.
    pub mode: Mode,
    /// The [fingerprint](sql::fingerprint) of that.
    pub fingerprint: u64,
    /// Whether it went to the primary.
    pub at_primary: bool,
    /// Why.
    pub reason: Reason,
    /// How long it took.
    pub took: Duration,
    /// When it ended.
    pub ended: Instant,
    /// For how many like it stands.
    pub weight: u32,
}

impl Digests {
    /// A table of about so many rows; none for none.
    pub fn new(most: usize) -> Option<Self> {
        (most > 0).then(|| Self { parts: Default::default(), most: most.div_ceil(PARTS) })
    }

    /// Adds a statement.
    pub fn add(&self, seen: &Seen<'_>) {
        let mut hasher = Given(seen.fingerprint ^ u64::from(seen.at_primary));
        seen.reason.hash(&mut hasher);
        let key = hasher.finish();
        // The upper bits: the map goes by the lower ones.
        let Some(part) = self.parts.get(usize::try_from(key >> 61).unwrap_or_default() % PARTS) else { return };
        let mut part = lock(part);
        part.clock += 1;
        let at = part.clock;
        if let Some(row) = part.rows.get_mut(&key) {
            row.at = at;
            row.seen.add(seen);
        } else if part.has_room(self.most) {
            let text = sql::digest(seen.text, seen.mode);
            let Seen { at_primary, reason, ended, .. } = *seen;
            let (total, worst) = (Duration::ZERO, Duration::ZERO);
            let mut new = Digest { text, at_primary, reason, count: 0, total, worst, last: ended };
            new.add(seen);
            part.rows.insert(key, Row { seen: new, at });
        }
    }

    /// All of them, those that took most time first.
    pub fn list(&self) -> Vec<Digest> {
        let mut all: Vec<Digest> = self
            .parts
            .iter()
            .flat_map(|part| lock(part).rows.values().map(|row| row.seen.clone()).collect::<Vec<_>>())
            .collect();
        all.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| a.text.cmp(&b.text)));
        all
    }

    /// Begins anew.
    pub fn clear(&self) {
        for part in &self.parts {
            *lock(part) = Part::default();
        }
    }
}

fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    // Whole between any two statements; a panic elsewhere does not change that.
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Part {
    /// Whether one more may come, after another has made room for it if need be.
    fn has_room(&mut self, most: usize) -> bool {
        if self.rows.len() < most {
            return true;
        }
        self.refused += 1;
        if self.refused < ADMITTED {
            return false;
        }
        self.refused = 0;
        let oldest = self.rows.iter().min_by_key(|(_, row)| row.at).map(|(key, _)| *key);
        oldest.is_some_and(|oldest| self.rows.remove(&oldest).is_some())
    }
}

impl Digest {
    fn add(&mut self, seen: &Seen<'_>) {
        self.count += u64::from(seen.weight);
        self.total += seen.took * seen.weight;
        self.worst = self.worst.max(seen.took);
        self.last = seen.ended;
    }
}

/// Of numbers that are hashes already, no better hash is made.
#[derive(Debug, Default)]
struct Given(u64);

impl Hasher for Given {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(29) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value.cast_unsigned() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODE: Mode =
        Mode { ansi_quotes: false, no_backslash_escapes: false, ambiguous_charset: false, mariadb: false };

    fn add(digests: &Digests, text: &str, reason: Reason, millis: u64) {
        let took = Duration::from_millis(millis);
        let ended = Instant::now();
        let (text, fingerprint) = (text.as_bytes(), sql::fingerprint(text.as_bytes(), MODE));
        digests.add(&Seen { text, mode: MODE, fingerprint, at_primary: false, reason, took, ended, weight: 1 });
    }

    #[test]
    fn like_statements_are_one_row_for_each_way_they_went() {
        let digests = Digests::new(100).expect("some");
        add(&digests, "SELECT a FROM t WHERE id = 1", Reason::Read, 3);
        add(&digests, "SELECT a FROM t WHERE id = 22", Reason::Read, 5);
        add(&digests, "SELECT a FROM t WHERE id = 3", Reason::ReadAfterWait, 50);
        let list = digests.list();
        let told: Vec<_> =
            list.iter().map(|d| (&*d.text, d.reason, d.count, d.total.as_millis(), d.worst.as_millis())).collect();
        let text = "SELECT a FROM t WHERE id = ?";
        assert_eq!(told, [(text, Reason::ReadAfterWait, 1, 50, 50), (text, Reason::Read, 2, 8, 5)]);
        digests.clear();
        assert_eq!(digests.list(), []);
    }

    #[test]
    fn the_table_is_bounded_and_keeps_what_comes_often() {
        let digests = Digests::new(64).expect("some");
        for n in 0..10_000 {
            add(&digests, &format!("SELECT {}{n} FROM t", "abcdefgh"), Reason::Read, 1);
            add(&digests, "SELECT often FROM t", Reason::Read, 1);
        }
        let list = digests.list();
        assert!(list.len() <= 64, "{}", list.len());
        assert_eq!((&*list[0].text, list[0].count), ("SELECT often FROM t", 10_000));
        assert!(Digests::new(0).is_none());
    }
}
