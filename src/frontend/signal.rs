//! What a session is told once, from outside of its task.
//!
//! One task waits for it, and looks before each command: so there is one place for a waker, which stays from one wait
//! to the next, and a wait that is given up leaves nothing to be tidied up.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Something that is told at most once.
#[derive(Debug, Default)]
pub struct Signal {
    is_told: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Signal {
    /// Tells it.
    pub fn cancel(&self) {
        self.is_told.store(true, Ordering::Release);
        self.look_again();
    }

    /// Wakes whoever waits, who may wait for something else as well: see [`Signal::cancelled_or`].
    pub fn look_again(&self) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// Whether it has been told.
    pub fn is_cancelled(&self) -> bool {
        self.is_told.load(Ordering::Acquire)
    }

    /// Waits until it is told. Only for the one task whose signal it is: of several that wait, the last is woken.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn cancelled(&self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    /// The same, or until there is something else: `None` if it is told first. `look` is asked whenever somebody has who
    /// waits [look again](Signal::look_again).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn cancelled_or<T>(&self, look: impl Fn() -> Option<T>) -> Option<T> {
        poll_fn(|cx| {
            // Ahead of the look: whoever has changed what there is to see finds somebody to wake, or this one sees it.
            let told = self.poll(cx).map(|()| None);
            look().map_or(told, |found| Poll::Ready(Some(found)))
        })
        .await
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_cancelled() {
            return Poll::Ready(());
        }
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if !waiting.as_ref().is_some_and(|waiting| waiting.will_wake(cx.waker())) {
                *waiting = Some(cx.waker().clone());
            }
        }
        // Whoever has told it meanwhile may have found nobody to wake.
        if self.is_cancelled() { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn who_waits_is_woken_and_who_comes_later_does_not_wait() {
        let signal = Arc::new(Signal::default());
        let waiting = tokio::spawn({
            let signal = signal.clone();
            async move {
                // One wait is given up; the next one is as good.
                tokio::select! {
                    biased;
                    () = signal.cancelled() => return,
                    () = tokio::task::yield_now() => {}
                }
                signal.cancelled().await;
            }
        });
        tokio::task::yield_now().await;
        assert!(!signal.is_cancelled());
        tokio::task::yield_now().await;
        signal.cancel();
        waiting.await.expect("no panic");
        assert!(signal.is_cancelled());
        signal.cancelled().await;
    }
}
