//! Errors that clients were told, by whose they are and their code.
//!
//! Stored code may answer with any code it likes: only so many are told apart.

use super::catalogue::{Catalogue, Made};
use prometheus::IntCounterVec;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Codes that are told apart, on each side.
const MOST: usize = 100;
/// The label of all others.
const OTHER: &str = "other";

/// Counts errors.
#[derive(Debug, Clone)]
pub struct Errors {
    counters: IntCounterVec,
    seen: Arc<Mutex<[HashSet<u16>; 2]>>,
}

/// Whose an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Landbridge,
    Server,
}

impl Errors {
    pub(super) fn new(catalogue: &mut Catalogue) -> Made<Self> {
        let help = "Errors that clients were told, by whose they are and their code";
        Ok(Self {
            counters: catalogue.counters("landbridge_errors_total", help, &["side", "code"])?,
            seen: Arc::default(),
        })
    }

    /// One of our own.
    pub fn own(&self, code: u16) {
        self.count(Side::Landbridge, code);
    }

    /// A server's, passed on.
    pub fn server(&self, code: u16) {
        self.count(Side::Server, code);
    }

    fn count(&self, side: Side, code: u16) {
        let name = match side {
            Side::Landbridge => "landbridge",
            Side::Server => "server",
        };
        if self.is_told_apart(side, code) {
            self.counters.with_label_values(&[name, &code.to_string()]).inc();
        } else {
            self.counters.with_label_values(&[name, OTHER]).inc();
        }
    }

    fn is_told_apart(&self, side: Side, code: u16) -> bool {
        // Sets are whole between any two statements; a panic elsewhere does not change that.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let [ours, theirs] = &mut *seen;
        let seen = if side == Side::Landbridge { ours } else { theirs };
        seen.contains(&code) || (seen.len() < MOST && seen.insert(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_up_to_a_point() {
        let errors = Errors::new(&mut Catalogue::default()).expect("one name");
        for code in 1000..1200 {
            errors.server(code);
        }
        errors.server(1000);
        errors.own(1199);
        let count = |labels: &[&str]| errors.counters.with_label_values(labels).get();
        assert_eq!(count(&["server", "1000"]), 2);
        assert_eq!(count(&["server", "1099"]), 1);
        assert_eq!(count(&["server", "other"]), 100);
        assert_eq!(count(&["landbridge", "1199"]), 1);
    }
}
