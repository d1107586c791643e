//! Whether what was learned of a server is still true: behind its name something else may be there by now, or the same
//! with another file.

use super::server::{Facts, Server};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Logins at the same time are not seen in the order of their numbers.
const OUT_OF_ORDER: u32 = 16;

/// How well a server is known.
#[derive(Debug, Default)]
pub(super) struct Acquaintance {
    /// The largest number of a connection so far: a server that begins anew begins with small ones.
    newest: AtomicU32,
    /// How often it was doubted.
    doubts: AtomicU64,
    /// How many of these were over when it was asked last.
    asked: AtomicU64,
}

impl Acquaintance {
    /// It is another one, or an operator wants it looked at anew.
    pub(super) fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::AcqRel);
    }

    /// A login was given this number. Returns how often the server was doubted until now, and whether it was asked what it
    /// is like since.
    pub(super) fn logged_in(&self, thread_id: u32) -> (u64, bool) {
        if self.newest.load(Ordering::Relaxed).saturating_sub(thread_id) > OUT_OF_ORDER {
            self.newest.store(thread_id, Ordering::Relaxed);
            self.doubt();
        }
        self.newest.fetch_max(thread_id, Ordering::Relaxed);
        let doubts = self.doubts.load(Ordering::Acquire);
        (doubts, self.asked.load(Ordering::Acquire) >= doubts)
    }

    /// It has answered who asked when it had been doubted so often.
    pub(super) fn answered(&self, doubts: u64) {
        self.asked.fetch_max(doubts, Ordering::AcqRel);
    }
}

/// A question what a server is like.
#[derive(Debug, Clone, Copy)]
pub struct Asking {
    /// How often it had been doubted.
    doubts: u64,
    /// The state of server-wide variables.
    variables: u64,
}

impl Server {
    /// The monitor has followed its name to another host: what is told of it is not told of connections to the old one.
    pub fn moved(&self) {
        self.moves.fetch_add(1, Ordering::AcqRel);
        self.doubt();
    }

    /// What is known of it may not be true any more: an operator wants it looked at anew.
    pub fn doubt(&self) {
        self.known.doubt();
    }

    /// Whether it must be asked what it is like, by a login that it greeted with this version and number. Nobody who
    /// logs in meanwhile goes by what was known before.
    pub fn is_unknown(&self, version: &str, thread_id: u32) -> Option<Asking> {
        let variables = self.variables();
        let (doubts, is_known) = self.known.logged_in(thread_id);
        let is_same = || self.facts().is_some_and(|facts| facts.version == version);
        (!(is_known && is_same())).then_some(Asking { doubts, variables })
    }

    /// Remembers what a connection learned, if it is news.
    pub fn learn_again(&self, facts: Facts, Asking { doubts, variables }: Asking) {
        let known = self.facts();
        if known.is_some() && self.variables() != variables {
            // Somebody has set one since: who logs in next asks again.
            return;
        }
        if known.as_deref() != Some(&facts) {
            let other_defaults = known.is_some_and(|known| known.defaults != facts.defaults);
            self.learn(facts);
            if other_defaults {
                self.variables_changed(None);
            }
        }
        self.known.answered(doubts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubts_end_with_an_answer_to_a_later_question() {
        let known = Acquaintance::default();
        assert_eq!(known.logged_in(100), (0, true));
        assert_eq!(known.logged_in(99), (0, true), "out of order");
        known.doubt();
        let (first, is_known) = known.logged_in(101);
        assert!(!is_known);
        assert_eq!(known.logged_in(102), (first, false), "until somebody has an answer");
        known.doubt();
        known.answered(first);
        let (second, is_known) = known.logged_in(103);
        assert!(!is_known, "asked before the second doubt");
        known.answered(second);
        assert!(known.logged_in(104).1);
        assert!(!known.logged_in(5).1, "it counts from the beginning");
    }
}
