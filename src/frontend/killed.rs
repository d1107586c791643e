//! Who ends a client's statement, from beside it.

use super::registry::Handle;
use crate::backend::kill::Outcome;
use crate::pool::Pool;
use std::sync::Arc;
use std::time::Instant;

/// What a client's statement runs on, and how many others are about to end it.
#[derive(Debug, Default)]
pub(super) struct Running {
    pub(super) on: Option<(Arc<Pool>, u32)>,
    /// When it began, or the last one did.
    pub(super) since: Option<Instant>,
    kills: usize,
    /// Whether a `KILL` was sent to end it, and may still be on its way.
    awaits_kill: bool,
}

/// Whether somebody has ended a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Killed {
    /// Nobody has.
    No,
    /// Somebody has, or has tried in vain.
    Yes,
    /// Somebody has, or will end what its connection does next.
    Perhaps,
}

impl Handle {
    /// Notes that a statement of it begins to run: a pool, the server's id of the connection, and when.
    pub fn begin(&self, pool: Arc<Pool>, thread_id: u32, now: Instant) {
        let mut running = self.lock();
        running.on = Some((pool, thread_id));
        running.since = Some(now);
        running.awaits_kill = false;
    }

    /// Notes that its statement is over, and waits for those who were just about to kill it: their
    /// `KILL` must not meet the next client of the connection. Whether there were any.
    pub async fn end(&self) -> Killed {
        let mut met = Killed::No;
        loop {
            let killed = self.killed.notified();
            {
                let mut running = self.lock();
                running.on = None;
                if running.kills == 0 {
                    return if running.awaits_kill { Killed::Perhaps } else { met };
                }
            }
            met = Killed::Yes;
            killed.await;
        }
    }

    /// Kills the statement that runs for it now, if any.
    pub async fn kill_statement(&self) {
        let target = {
            let mut running = self.lock();
            let target = running.on.clone();
            running.kills += usize::from(target.is_some());
            target
        };
        if let Some((pool, thread_id)) = target {
            let mut killing = Killing { handle: self, may_come: true };
            killing.may_come = pool.kill_query(thread_id).await == Outcome::Unknown;
        }
    }
}

/// While somebody kills a client's statement; its connection serves nobody else until this is dropped.
struct Killing<'a> {
    handle: &'a Handle,
    /// Whether the server may do it later.
    may_come: bool,
}

impl Drop for Killing<'_> {
    fn drop(&mut self) {
        let mut running = self.handle.lock();
        running.kills -= 1;
        running.awaits_kill |= self.may_come;
        drop(running);
        self.handle.killed.notify_waiters();
    }
}
