//! Memory that all clients share: what is large is reserved before it is read, so that no number of clients can take
//! more than there is for them. Who finds none left is not read from until there is, which holds its peer back.

use super::permits::Permits;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// What is smaller is not counted: there is about as much for every client in any case, in its buffers.
pub const SMALL: usize = 64 * 1024;
/// How finely memory is counted, in bytes.
const UNIT: usize = 4096;

/// Memory that may be reserved.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    units: Permits,
    /// How long one waits for some, in milliseconds.
    patience: AtomicU64,
}

/// A part of a [`Budget`], until it is dropped.
#[derive(Debug, Default)]
pub struct Share(Option<OwnedSemaphorePermit>);

/// Nothing became free in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no memory became free in time")]
pub struct Exhausted;

impl Budget {
    /// So many bytes; `patience`: how long one waits for some of them to be given back.
    pub fn new(bytes: usize, patience: Duration) -> Self {
        let units = Permits::new(in_units(bytes) as usize);
        Self(Arc::new(Inner { units, patience: AtomicU64::new(in_millis(patience)) }))
    }

    /// From now on there are so many bytes. What is reserved stays so. Must be called within a runtime.
    pub fn configure(&self, bytes: usize, patience: Duration) {
        self.0.patience.store(in_millis(patience), Ordering::Relaxed);
        self.0.units.resize(in_units(bytes) as usize);
    }

    /// Reserves `bytes`, waiting in order until there are as many. Who wants more than there is in all gets all.
    ///
    /// # Errors
    /// They did not become free in time.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is reserved then, and the place in the queue is lost.
    pub async fn reserve(&self, bytes: usize) -> Result<Share, Exhausted> {
        let units = self.0.units.semaphore().clone();
        let patience = Duration::from_millis(self.0.patience.load(Ordering::Relaxed));
        let reserved = tokio::time::timeout(patience, units.acquire_many_owned(self.wanted(bytes))).await;
        // It is never closed.
        reserved.ok().and_then(Result::ok).map(|permit| Share(Some(permit))).ok_or(Exhausted)
    }

    /// Reserves `bytes` besides what is in `share`, as [`Self::reserve`] does. Whoever has all there is goes on with that:
    /// nobody waits for what only it could give back.
    ///
    /// # Errors
    /// They did not become free in time.
    pub async fn reserve_more(&self, share: &mut Share, bytes: usize) -> Result<(), Exhausted> {
        let left = self.0.units.total().saturating_mul(UNIT).saturating_sub(share.bytes());
        if left > 0 {
            share.add(self.reserve(bytes.min(left)).await?);
        }
        Ok(())
    }

    /// Reserves `bytes` if they are there, and nobody waits for them.
    pub fn reserve_now(&self, bytes: usize) -> Option<Share> {
        let units = self.0.units.semaphore().clone();
        units.try_acquire_many_owned(self.wanted(bytes)).ok().map(|permit| Share(Some(permit)))
    }

    /// Bytes that are not reserved.
    pub fn free(&self) -> usize {
        self.0.units.semaphore().available_permits() * UNIT
    }

    /// At most all there is.
    fn wanted(&self, bytes: usize) -> u32 {
        in_units(bytes).min(u32::try_from(self.0.units.total()).unwrap_or(u32::MAX))
    }
}

impl Share {
    /// Adds another part of the same budget.
    pub fn add(&mut self, other: Self) {
        match (&mut self.0, other.0) {
            (Some(mine), Some(more)) => mine.merge(more),
            (mine, more) => *mine = mine.take().or(more),
        }
    }

    /// Takes so many bytes out of it, or all that it has.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let units = in_units(bytes) as usize;
        Self(self.0.as_mut().and_then(|permit| permit.split(units.min(permit.num_permits()))))
    }

    /// Gives back what is more than `bytes`.
    pub fn keep(&mut self, bytes: usize) {
        if let Some(permit) = &mut self.0 {
            let more = permit.num_permits().saturating_sub(in_units(bytes) as usize);
            drop(permit.split(more));
        }
    }

    /// Bytes of it.
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |permit| permit.num_permits() * UNIT)
    }
}

fn in_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn in_units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX >> 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_reserved_is_given_back() {
        let budget = Budget::new(10 * UNIT, Duration::from_secs(1));
        let mut share = budget.reserve(4 * UNIT).await.expect("there is enough");
        share.add(budget.reserve_now(1).expect("a little more"));
        assert_eq!((share.bytes(), budget.free()), (5 * UNIT, 5 * UNIT));
        assert!(budget.reserve_now(6 * UNIT).is_none());
        assert_eq!(budget.reserve(6 * UNIT).await.err(), Some(Exhausted));
        drop(share);
        assert_eq!(budget.free(), 10 * UNIT);
    }

    #[tokio::test(start_paused = true)]
    async fn there_may_be_more_or_less_of_it_from_now_on() {
        let budget = Budget::new(4 * UNIT, Duration::from_secs(1));
        let share = budget.reserve(3 * UNIT).await.expect("there is enough");
        budget.configure(10 * UNIT, Duration::from_secs(1));
        assert_eq!(budget.free(), 7 * UNIT);
        budget.configure(2 * UNIT, Duration::from_secs(1));
        assert_eq!((share.bytes(), budget.free()), (3 * UNIT, 0), "what is reserved stays so");
        assert_eq!(budget.reserve(UNIT).await.err(), Some(Exhausted));
        drop(share);
        tokio::task::yield_now().await;
        let all = budget.reserve(usize::MAX).await.expect("all of it");
        assert_eq!((all.bytes(), budget.free()), (2 * UNIT, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_all_goes_on_with_that() {
        let budget = Budget::new(10 * UNIT, Duration::from_secs(1));
        let mut share = Share::default();
        for held in [4, 8, 10, 10] {
            budget.reserve_more(&mut share, 4 * UNIT).await.expect("nobody else has any");
            assert_eq!(share.bytes(), held * UNIT);
        }
        drop(share);
        assert_eq!(budget.free(), 10 * UNIT);
    }

    #[tokio::test(start_paused = true)]
    async fn who_wants_more_than_all_gets_all() {
        let budget = Budget::new(10 * UNIT, Duration::from_secs(1));
        let all = budget.reserve(usize::MAX).await.expect("all of it");
        assert_eq!((all.bytes(), budget.free()), (10 * UNIT, 0));
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(1).await.map(|share| share.bytes()) }
        });
        tokio::task::yield_now().await;
        drop(all);
        assert_eq!(waiting.await.expect("no panic"), Ok(UNIT));
    }
}
