//! How one server is reached, as far as all who dial it must know of each other: how many dial at a time, that somebody
//! found it strange, and that it is back.
//!
//! A server that comes back is not trampled: however many pools want connections to it, they take turns.

use crate::net::permits::Permits;
use tokio::sync::{Notify, SemaphorePermit, watch};

/// Dials at a time, unless somebody says otherwise.
const DIALS: usize = 4;

/// What those share who dial one server.
#[derive(Debug)]
pub struct Reach {
    turns: Permits,
    /// Counts how often it answered again after it had not.
    returns: watch::Sender<u64>,
    suspicion: Notify,
}

impl Default for Reach {
    fn default() -> Self {
        Self::new(DIALS)
    }
}

impl Reach {
    /// With so many dials at a time.
    pub fn new(dials: usize) -> Self {
        Self { turns: Permits::new(dials), returns: watch::channel(0).0, suspicion: Notify::new() }
    }

    /// Waits, in order, for a turn to dial; it lasts until what is returned is dropped.
    ///
    /// # Cancel safety
    /// Cancel safe: the place is given up.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.semaphore().acquire().await.ok()
    }

    /// From now on so many dial at a time. Must be called within a runtime.
    pub fn let_dial(&self, dials: usize) {
        self.turns.resize(dials);
    }

    /// It answers again: whoever waits with the next dial need not, and who dials since before begins anew, because
    /// what was sent into the void is repeated ever more rarely.
    pub fn is_back(&self) {
        self.returns.send_modify(|count| *count += 1);
    }

    /// Where it is told that the server answers again.
    pub fn returns(&self) -> watch::Receiver<u64> {
        self.returns.subscribe()
    }

    /// A connection could not be opened, or could be again, or broke in use. The monitor will look; it alone decides.
    pub fn suspect(&self) {
        self.suspicion.notify_one();
    }

    /// Waits until something was suspected since the last time.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn suspected(&self) {
        self.suspicion.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn dials_take_turns() {
        let reach = Reach::new(2);
        let first = reach.turn().await;
        let _second = reach.turn().await;
        assert!(tokio::time::timeout(Duration::ZERO, reach.turn()).await.is_err(), "two at a time");
        drop(first);
        assert!(tokio::time::timeout(Duration::ZERO, reach.turn()).await.is_ok());
        reach.let_dial(3);
        let _third = (reach.turn().await, reach.turn().await);
        assert!(tokio::time::timeout(Duration::ZERO, reach.turn()).await.is_err(), "three at a time by now");
    }

    #[tokio::test]
    async fn what_is_told_is_not_missed() {
        let reach = Reach::default();
        let mut returns = reach.returns();
        reach.is_back();
        assert!(returns.has_changed().expect("it lives"));
        returns.mark_unchanged();
        reach.suspect();
        reach.suspect();
        assert!(tokio::time::timeout(Duration::ZERO, reach.suspected()).await.is_ok(), "before anybody listened");
        assert!(tokio::time::timeout(Duration::ZERO, reach.suspected()).await.is_err(), "many are one");
    }
}
