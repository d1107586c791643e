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
