//! A semaphore whose number of permits may change while they are held.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Permits, so many in all.
#[derive(Debug)]
pub struct Permits {
    semaphore: Arc<Semaphore>,
    total: Mutex<usize>,
}

impl Permits {
    /// So many.
    pub fn new(total: usize) -> Self {
        Self { semaphore: Arc::new(Semaphore::new(total)), total: Mutex::new(total) }
    }

    /// Where they are taken from.
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }

    /// How many there are in all.
    pub fn total(&self) -> usize {
        *self.lock()
    }

    /// From now on there are so many. Those that are too many and held are taken away as they are given back; nobody
    /// who waits is passed over for that. Must be called within a runtime.
    pub fn resize(&self, total: usize) {
        let mut before = self.lock();
        let (more, less) = (total.saturating_sub(*before), before.saturating_sub(total));
        *before = total;
        self.semaphore.add_permits(more);
        let held = less - self.semaphore.forget_permits(less);
        if held > 0 {
            let semaphore = self.semaphore.clone();
            tokio::spawn(async move {
                // One by one: a wait for many would keep back all who come behind it.
                for _ in 0..held {
                    if let Ok(permit) = semaphore.acquire().await {
                        permit.forget();
                    }
                }
            });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, usize> {
        // A number is always whole.
        self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_held_is_taken_away_when_it_is_given_back() {
        let permits = Permits::new(3);
        let semaphore = permits.semaphore().clone();
        let (first, _second) = (semaphore.acquire().await, semaphore.acquire().await);
        permits.resize(1);
        assert_eq!((permits.total(), semaphore.available_permits()), (1, 0));
        let next = tokio::spawn({
            let semaphore = semaphore.clone();
            async move { semaphore.acquire_owned().await.map(drop) }
        });
        tokio::task::yield_now().await;
        drop(first);
        tokio::task::yield_now().await;
        assert!(!next.is_finished() && semaphore.available_permits() == 0, "one is held, and there is one in all");
        permits.resize(2);
        assert!(next.await.is_ok());
        assert_eq!(semaphore.available_permits(), 1);
    }
}
