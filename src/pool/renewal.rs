//! Replaces connections that have lived their time: make before break. An old one serves until the new one is there.

use super::{Pool, PoolSettings};
use crate::backend::conn::Ready;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Where a replacement could not be opened, the next one is tried after this.
const AGAIN: Duration = Duration::from_secs(5);

impl Pool {
    /// Opens replacements for idle connections that are old, some at a time.
    pub(super) fn start_renewals(self: &Arc<Self>, now: Instant) {
        let settings = self.settings.load();
        let mut slots = self.lock();
        if slots.renewal_failed.is_some_and(|failed| now.duration_since(failed) < AGAIN) {
            return;
        }
        let outdated = slots.outdated;
        let old = slots.count_idle(|conn| is_old(conn, &settings, outdated, now)).saturating_sub(slots.renewing);
        let wanted = old.min(settings.max_parallel_dials.saturating_sub(slots.renewing));
        slots.renewing += wanted;
        drop(slots);
        for _ in 0..wanted {
            let pool = self.clone();
            tokio::spawn(async move { pool.renew_one().await });
        }
    }

    async fn renew_one(self: Arc<Self>) {
        let dialled = self.dial().await;
        if let Err(error) = &dialled {
            self.turned_away(error);
        }
        if let Some(old) = self.renewed(dialled.ok()) {
            old.close().await;
        }
    }

    /// A dial for an old connection has ended. Returns the connection that is not needed any more.
    fn renewed(self: &Arc<Self>, fresh: Option<Ready>) -> Option<Ready> {
        let (settings, now) = (self.settings.load(), Instant::now());
        let mut slots = self.lock();
        slots.renewing = slots.renewing.saturating_sub(1);
        let outdated = slots.outdated;
        let old = fresh.as_ref().and_then(|_| slots.take_one_idle(|conn| is_old(conn, &settings, outdated, now)));
        match fresh {
            Some(mut fresh) if old.is_some() || slots.has_room() => {
                slots.renewal_failed = None;
                fresh.rest();
                slots.serve(self, fresh);
                old
            }
            // None came, or all old ones are at work and it is one too many: not again at once.
            unneeded => {
                slots.renewal_failed = Some(now);
                unneeded
            }
        }
    }
}

/// Whether it is to be replaced.
fn is_old(conn: &Ready, settings: &PoolSettings, outdated: Option<Instant>, now: Instant) -> bool {
    !conn.is_current()
        || conn.has_moved()
        || outdated.is_some_and(|outdated| conn.born() <= outdated)
        || now.duration_since(conn.born()) >= lifetime(settings.max_lifetime, conn.thread_id())
}

/// A connection's own lifetime, 80-100 % of the configured one, so that they do not all end at once.
fn lifetime(max: Duration, thread_id: u32) -> Duration {
    let share = thread_id.wrapping_mul(2_654_435_761) >> 24;
    max.mul_f64(1.0 - 0.2 * f64::from(share) / 256.0)
}
