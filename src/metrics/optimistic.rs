//! Transactions that begin on a replica, by what became of them.

use super::catalogue::{Catalogue, Made};
use prometheus::IntCounterVec;

/// What becomes of a transaction that begins on a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It began there.
    Begun,
    /// It ended there: it has only read.
    EndedLocally,
    /// It went on at the primary, where its reads showed the same.
    Moved,
    /// It was rolled back, because they did not.
    Refused,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::EndedLocally => "ended_locally",
            Self::Moved => "moved",
            Self::Refused => "refused",
        }
    }
}

/// Counts them.
#[derive(Debug, Clone)]
pub struct Optimistic(IntCounterVec);

impl Optimistic {
    pub(super) fn new(c: &mut Catalogue) -> Made<Self> {
        let help = "Transactions that began on a replica, and what became of them";
        let counters = c.counters("landbridge_optimistic_transactions_total", help, &["outcome"])?;
        for outcome in [Outcome::Begun, Outcome::EndedLocally, Outcome::Moved, Outcome::Refused] {
            counters.with_label_values(&[outcome.as_str()]);
        }
        Ok(Self(counters))
    }

    /// One more.
    pub fn count(&self, outcome: Outcome) {
        self.0.with_label_values(&[outcome.as_str()]).inc();
    }
}
