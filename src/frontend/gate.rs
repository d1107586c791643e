//! Where statements wait that cannot run now: while an operator has paused, or while there is no primary.
//!
//! Nothing of a statement that waits here has been sent. They are called in the order in which they came, and there
//! is room for so many of them. While nobody waits and nothing is paused, this costs a look at one flag.

use prometheus::IntGauge;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How often everybody is called who waits.
const CALL_EVERY: Duration = Duration::from_millis(100);

/// The gate, and those who wait at it.
#[derive(Debug)]
pub struct Gate {
    is_paused: AtomicBool,
    room: Mutex<Room>,
    /// Somebody has come.
    entered: Notify,
    waiting: IntGauge,
}

#[derive(Debug)]
struct Room {
    /// How long those wait who come while it is paused.
    patience: Duration,
    /// By number, in the order in which they came.
    places: BTreeMap<u64, Arc<Notify>>,
    next: u64,
}

/// A place in the queue, until it is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    gate: &'a Gate,
    number: u64,
    call: Arc<Notify>,
}

impl Gate {
    /// An open one; `waiting` shows how many wait.
    pub fn new(waiting: IntGauge) -> Self {
        let room = Room { patience: Duration::ZERO, places: BTreeMap::new(), next: 0 };
        Self { is_paused: AtomicBool::new(false), room: Mutex::new(room), entered: Notify::new(), waiting }
    }

    /// From now on, statements that hold no connection wait before they take one, each at most so long.
    pub fn pause(&self, patience: Duration) {
        self.lock().patience = patience;
        self.is_paused.store(true, Ordering::Release);
    }

    /// Lets everybody go on, in the order in which they came.
    pub fn resume(&self) {
        self.is_paused.store(false, Ordering::Release);
        self.call_all();
    }

    /// Whether it is paused. Whoever asks when it holds a connection, and is told that it is not, is seen by whoever
    /// paused it and then looks who holds one: the pool's lock is in between.
    pub fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    /// How long those wait who come while it is paused.
    pub fn patience(&self) -> Duration {
        self.lock().patience
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.lock().places.len()
    }

    /// Takes a place behind all others, unless `max` are taken.
    pub fn enter(&self, max: usize) -> Option<Place<'_>> {
        let mut room = self.lock();
        if room.places.len() >= max {
            return None;
        }
        let (number, call) = (room.next, Arc::new(Notify::new()));
        room.next += 1;
        room.places.insert(number, call.clone());
        self.waiting.inc();
        self.entered.notify_one();
        Some(Place { gate: self, number, call })
    }

    /// Calls everybody: something has changed.
    pub fn call_all(&self) {
        for call in self.lock().places.values() {
            call.notify_one();
        }
    }

    /// Calls, until the end, those who wait: when something changes, and every now and then, because what keeps a
    /// server from being reached is not always a change that is told.
    pub async fn attend<T>(&self, mut changes: watch::Receiver<T>) {
        loop {
            self.entered.notified().await;
            while self.waiting() > 0 {
                self.call_all();
                if let Ok(Err(_)) = tokio::time::timeout(CALL_EVERY, changes.changed()).await {
                    // Nobody tells any more: the program ends.
                    return;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Room> {
        // Whole between any two statements; a panic elsewhere does not change that.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Waits for the next call; one that came since the last time counts.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn called(&self) {
        self.call.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate.lock().places.remove(&self.number);
        self.gate.waiting.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate::new(IntGauge::new("waiting", "waiting").expect("a name"))
    }

    #[tokio::test]
    async fn there_is_room_for_so_many() {
        let gate = gate();
        let places = [gate.enter(2).expect("room"), gate.enter(2).expect("room")];
        assert!(gate.enter(2).is_none(), "full");
        assert_eq!((gate.waiting(), gate.waiting.get()), (2, 2));
        drop(places);
        assert_eq!((gate.waiting(), gate.waiting.get()), (0, 0));
        assert!(gate.enter(2).is_some());
    }

    async fn is_called(place: &Place<'_>) -> bool {
        tokio::time::timeout(Duration::ZERO, place.called()).await.is_ok()
    }

    #[tokio::test]
    async fn a_call_is_not_missed() {
        let gate = gate();
        gate.pause(Duration::from_secs(1));
        let place = gate.enter(1).expect("room");
        assert!(!is_called(&place).await);
        gate.resume();
        assert!(!gate.is_paused());
        assert!(is_called(&place).await, "it came before anybody listened");
        assert!(!is_called(&place).await, "once");
    }
}
