//! Bytes that come and go.

use prometheus::{IntCounter, IntCounterVec};

/// What is received from peers of one kind, and sent to them.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// Bytes received.
    pub received: IntCounter,
    /// Bytes sent.
    pub sent: IntCounter,
}

impl Traffic {
    /// The children of a metric whose labels are these, and `direction` behind them.
    pub(super) fn of(bytes: &IntCounterVec, labels: &[&str]) -> Self {
        let child = |direction| bytes.with_label_values(&[labels, &[direction]].concat());
        Self { received: child("received"), sent: child("sent") }
    }
}
