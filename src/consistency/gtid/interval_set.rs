//! Sorted, disjoint intervals of sequence numbers: what one MySQL source has executed.
//!
//! Invariant: intervals are in ascending order and neither overlap nor touch, so a set has exactly
//! one representation and every question is a binary search. A set has no empty interval.

use std::fmt;

/// The largest sequence number: one below the largest signed 64-bit integer. (MySQL manual,
/// "GTID Format and Storage".)
pub(super) const MAX_NUMBER: u64 = i64::MAX.unsigned_abs() - 1;

/// A run of sequence numbers without gaps, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Interval {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Interval {
    /// `None` if the interval would be empty, which servers accept and ignore.
    pub(super) fn new(first: u64, last: u64) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// True if `next`, which does not start before `self`, leaves no number between the two.
    fn reaches(self, next: Self) -> bool {
        next.first <= self.last.saturating_add(1)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// The sequence numbers executed from one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IntervalSet(Vec<Interval>);

impl IntervalSet {
    /// Takes intervals in any order, overlapping or not.
    pub(super) fn new(mut intervals: Vec<Interval>) -> Self {
        // A merge of sorted runs: linear for what a server prints and for two sets joined, and
        // never worse than n log n, which a hostile token could otherwise make quadratic.
        intervals.sort();
        intervals.dedup_by(|next, kept| {
            let joined = kept.reaches(*next);
            if joined {
                kept.last = kept.last.max(next.last);
            }
            joined
        });
        Self(intervals)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        other.0.iter().all(|wanted| {
            let after = self.0.partition_point(|own| own.first <= wanted.first);
            let candidate = after.checked_sub(1).and_then(|at| self.0.get(at));
            candidate.is_some_and(|own| own.last >= wanted.last)
        })
    }

    pub(super) fn union(&mut self, other: &Self) {
        if let [single] = other.0.as_slice() {
            self.insert(*single);
        } else if !self.contains(other) {
            self.0.extend_from_slice(&other.0);
            *self = Self::new(std::mem::take(&mut self.0));
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Interval> {
        self.0.iter()
    }

    /// Adds one interval in place: the common case, the transaction that was just committed.
    fn insert(&mut self, mut added: Interval) {
        let start = self.0.partition_point(|own| own.last.saturating_add(1) < added.first);
        let end = self.0.partition_point(|own| own.first <= added.last.saturating_add(1));
        // `start <= end`, because no interval ends before it starts; `start == end` is a gap.
        for touched in self.0.get(start..end).unwrap_or_default() {
            added.first = added.first.min(touched.first);
            added.last = added.last.max(touched.last);
        }
        self.0.splice(start..end, [added]);
    }
}
