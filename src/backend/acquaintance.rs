//! Whether what was learned of a server is still true: behind its name something else may be there by now, or the same
//! with another file.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Logins at the same time are not seen in the order of their numbers.
const OUT_OF_ORDER: u32 = 64;

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
    /// It could not be reached, or an operator wants it looked at anew.
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
