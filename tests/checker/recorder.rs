//! Writes the history while it happens.

use crate::history::{History, Moment, Operation, Tag};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The clock, the tags, and what has happened so far.
#[derive(Debug)]
pub struct Recorder {
    start: Instant,
    tags: AtomicU32,
    history: Mutex<History>,
}

impl Recorder {
    /// Begins.
    pub fn new() -> Self {
        Self { start: Instant::now(), tags: AtomicU32::new(1), history: Mutex::default() }
    }

    /// The time, the same for everybody.
    pub fn now(&self) -> Moment {
        Moment(u64::try_from(self.start.elapsed().as_nanos()).expect("five centuries"))
    }

    /// A tag nobody else has.
    pub fn tag(&self) -> Tag {
        self.tags.fetch_add(1, Ordering::Relaxed)
    }

    /// Records what has ended.
    pub fn operations(&self, operations: impl IntoIterator<Item = Operation>) {
        self.history().operations.extend(operations);
    }

    /// Records what the nemesis does now.
    pub fn event(&self, what: impl Into<String>) {
        let event = (self.now(), what.into());
        self.history().events.push(event);
    }

    /// Everything so far.
    pub fn take(&self) -> History {
        std::mem::take(&mut *self.history())
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
