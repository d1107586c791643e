//! Transactions that were run again where their connection was lost, by what became of them.

use super::catalogue::{Catalogue, Made};
use prometheus::IntCounterVec;

/// What becomes of a transaction that is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// It went on: each statement showed what it had shown before.
    WentOn,
    /// It was rolled back, because one did not.
    Differed,
}

/// Counts them.
#[derive(Debug, Clone)]
pub struct Replays(IntCounterVec);

impl Replays {
    pub(super) fn new(c: &mut Catalogue) -> Made<Self> {
        let help = "Transactions that were run again because their connection was lost, and what became of them";
        let counters = c.counters("landbridge_replayed_transactions_total", help, &["outcome"])?;
        for outcome in [Replayed::WentOn, Replayed::Differed] {
            counters.with_label_values(&[outcome.as_str()]);
        }
        Ok(Self(counters))
    }

    /// One more.
    pub fn count(&self, outcome: Replayed) {
        self.0.with_label_values(&[outcome.as_str()]).inc();
    }
}

impl Replayed {
    fn as_str(self) -> &'static str {
        match self {
            Self::WentOn => "went_on",
            Self::Differed => "differed",
        }
    }
}
