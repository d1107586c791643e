//! Statements by where they went and why: counted for every one, so each pair of labels is looked up once.

use super::catalogue::{Catalogue, Made};
use crate::route::Reason;
use prometheus::{IntCounter, IntCounterVec};
use std::array;
use std::sync::{Arc, OnceLock};

type Children = [OnceLock<IntCounter>; Reason::COUNT];

/// Counts statements.
#[derive(Debug, Clone)]
pub struct Statements {
    counters: IntCounterVec,
    /// For the primary, and for replicas. Made when they are first needed, so that none is shown that never counted.
    children: Arc<[Children; 2]>,
}

impl Statements {
    pub(super) fn new(catalogue: &mut Catalogue) -> Made<Self> {
        let help = "Statements by where they went and why";
        let counters = catalogue.counters("landbridge_statements_total", help, &["target", "reason"])?;
        Ok(Self { counters, children: Arc::new(array::from_fn(|_| array::from_fn(|_| OnceLock::new()))) })
    }

    /// Counts one.
    pub fn count(&self, at_primary: bool, reason: Reason) {
        let [primary, replica] = &*self.children;
        let (children, target) = if at_primary { (primary, "primary") } else { (replica, "replica") };
        if let Some(child) = children.get(reason.place()) {
            child.get_or_init(|| self.counters.with_label_values(&[target, reason.as_str()])).inc();
        }
    }
}
