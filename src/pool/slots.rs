//! Who holds which connection of a pool, and who waits for one. The only place that counts them.

use super::{CheckoutError, Lease, Pool};
use crate::backend::conn::Ready;
use crate::backend::login::DialError;
use crate::state::{Plan, SessionState};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// For this long after a failed dial a checkout fails at once instead of waiting for the next one.
const FAIL_FAST: Duration = Duration::from_secs(2);

/// A checkout waiting for a connection.
#[derive(Debug)]
pub(super) struct Waiter(oneshot::Sender<Result<Lease, CheckoutError>>);

impl Waiter {
    pub(super) fn new(sender: oneshot::Sender<Result<Lease, CheckoutError>>) -> Self {
        Self(sender)
    }
}

/// Connections of a pool by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Ready for the next checkout.
    pub idle: usize,
    /// Checked out.
    pub leased: usize,
    /// Being dialled.
    pub dialing: usize,
    /// Being cleaned after a client that left state behind.
    pub resetting: usize,
    /// Checkouts that wait.
    pub waiting: usize,
}

/// Why a dial failed, when, and in which state of the server's accounts.
#[derive(Debug)]
struct Failure {
    at: Instant,
    why: Arc<DialError>,
    accounts: u64,
}

#[derive(Debug)]
pub(super) struct Slots {
    max: usize,
    idle: Vec<Ready>,
    leased: usize,
    dialing: usize,
    resetting: usize,
    waiters: VecDeque<Waiter>,
    /// The last dial's failure, until one succeeds.
    failure: Option<Failure>,
    /// What checkouts are told once the pool is closed.
    closed: Option<CheckoutError>,
    /// Connections that were opened before are to be replaced.
    pub(super) outdated: Option<Instant>,
    /// Dials under way for connections that are still in service, and when the last such dial failed.
    pub(super) renewing: usize,
    pub(super) renewal_failed: Option<Instant>,
}

impl Slots {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            idle: Vec::new(),
            leased: 0,
            dialing: 0,
            resetting: 0,
            waiters: VecDeque::new(),
            failure: None,
            closed: None,
            outdated: None,
            renewing: 0,
            renewal_failed: None,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            idle: self.idle.len(),
            leased: self.leased,
            dialing: self.dialing,
            resetting: self.resetting,
            waiting: self.waiters.iter().filter(|waiter| !waiter.0.is_closed()).count(),
        }
    }

    fn total(&self) -> usize {
        self.idle.len() + self.leased + self.dialing + self.resetting
    }

    /// Whether one more may be open.
    pub(super) fn has_room(&self) -> bool {
        self.total() < self.max
    }

    /// How many dials should be started now: for waiters, and up to the warm minimum.
    pub(super) fn wants_dials(&mut self, min_warm: usize) -> usize {
        if self.closed.is_some() {
            return 0;
        }
        // Who has given up waiting needs none.
        self.waiters.retain(|waiter| !waiter.0.is_closed());
        let for_waiters = self.waiters.len().saturating_sub(self.dialing);
        let for_warmth = min_warm.saturating_sub(self.total());
        for_waiters.max(for_warmth).min(self.max.saturating_sub(self.total()))
    }

    pub(super) fn dials_started(&mut self, n: usize) {
        self.dialing += n;
    }

    /// Takes the idle connection nearest to `wanted`: in that state, else changed without logging
    /// in again, else any. The most recently used among equals, so that surplus ones age.
    pub(super) fn take_idle(&mut self, wanted: &Arc<SessionState>) -> Option<Ready> {
        let setup = self.idle.last()?.setup();
        let effort = |conn: &Ready| match conn.plan_to(wanted, &setup) {
            Plan::Nothing => 0,
            Plan::Apply(prelude) if !prelude.reset => 1,
            Plan::Apply(_) => 2,
            Plan::LogInAgain => 3,
        };
        let mut best: Option<(usize, u8)> = None;
        for (at, conn) in self.idle.iter().enumerate().rev().take(16) {
            let cost = effort(conn);
            if best.is_none_or(|(_, least)| cost < least) {
                best = Some((at, cost));
            }
            if cost == 0 {
                break;
            }
        }
        let (at, _) = best?;
        self.leased += 1;
        Some(self.idle.remove(at))
    }

    pub(super) fn take_any_idle(&mut self) -> Option<Ready> {
        while self.idle.pop_if(|conn| !conn.is_current() || !conn.is_healthy()).is_some() {}
        let conn = self.idle.pop()?;
        self.leased += 1;
        Some(conn)
    }

    /// Queues a waiter, unless no connection can come: none in use, and dials fail, with the server's accounts
    /// as they are now.
    pub(super) fn enqueue(&mut self, waiter: Waiter, accounts: u64) -> Result<(), CheckoutError> {
        if let Some(why) = &self.closed {
            return Err(why.clone());
        }
        let holds = |failure: &&Failure| failure.at.elapsed() < FAIL_FAST && failure.accounts == accounts;
        if let Some(failure) = self.failure.as_ref().filter(holds).filter(|_| self.leased + self.resetting == 0) {
            return Err(CheckoutError::Unreachable(failure.why.clone()));
        }
        self.waiters.retain(|waiter| !waiter.0.is_closed());
        self.waiters.push_back(waiter);
        Ok(())
    }

    pub(super) fn failure(&self) -> Option<Arc<DialError>> {
        self.failure.as_ref().map(|failure| failure.why.clone())
    }

    /// Holds at most so many from now on. Returns the idle ones that are too many.
    pub(super) fn set_max(&mut self, max: usize) -> Vec<Ready> {
        self.max = max;
        let surplus = self.total().saturating_sub(max).min(self.idle.len());
        self.idle.drain(..surplus).collect()
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failure.is_some()
    }

    pub(super) fn lease_ended(&mut self) {
        self.leased = self.leased.saturating_sub(1);
    }

    pub(super) fn reset_started(&mut self) {
        self.lease_ended();
        self.resetting += 1;
    }

    pub(super) fn reset_ended(&mut self) {
        self.resetting = self.resetting.saturating_sub(1);
    }

    pub(super) fn dial_succeeded(&mut self) {
        self.dialing = self.dialing.saturating_sub(1);
        self.failure = None;
    }

    /// The server is back: what failed before says nothing any more.
    pub(super) fn forget_failure(&mut self) {
        self.failure = None;
    }

    /// A dial failed: those who wait learn it now, unless a connection may still come or be returned.
    pub(super) fn dial_failed(&mut self, why: Arc<DialError>, accounts: u64) {
        self.dialing = self.dialing.saturating_sub(1);
        if self.leased + self.resetting + self.dialing == 0 {
            for waiter in self.waiters.drain(..) {
                let _gone = waiter.0.send(Err(CheckoutError::Unreachable(why.clone())));
            }
        }
        self.failure = Some(Failure { at: Instant::now(), why, accounts });
    }

    /// Gives a connection to whoever waits longest, or puts it with the idle ones.
    pub(super) fn serve(&mut self, pool: &Arc<Pool>, mut conn: Ready) {
        // Where there are too many, also those who wait get none of them.
        let is_surplus = self.total() - self.dialing >= self.max;
        if !conn.is_current() || self.makes_way(&conn) || is_surplus {
            return;
        }
        while let Some(waiter) = self.waiters.pop_front() {
            if waiter.0.is_closed() {
                continue;
            }
            self.leased += 1;
            match waiter.0.send(Ok(Lease::new(pool.clone(), conn))) {
                Ok(()) => return,
                Err(Ok(lease)) => {
                    self.lease_ended();
                    match lease.into_unused() {
                        Some(unused) => conn = unused,
                        None => return,
                    }
                }
                Err(Err(_)) => return,
            }
        }
        if self.closed.is_none() && self.has_room() {
            self.idle.push(conn);
        }
    }

    /// Where all are always in use, nobody ever finds the outdated ones idle: one at a time goes, while others wait for
    /// what is dialled instead.
    fn makes_way(&self, conn: &Ready) -> bool {
        self.outdated.is_some_and(|outdated| conn.born() <= outdated)
            && self.dialing == 0
            && self.failure.is_none()
            && !self.waiters.is_empty()
    }

    /// How many idle connections `is_wanted` is true of.
    pub(super) fn count_idle(&self, is_wanted: impl Fn(&Ready) -> bool) -> usize {
        self.idle.iter().filter(|conn| is_wanted(conn)).count()
    }

    /// Takes an idle connection that `is_wanted` is true of, the one unused for longest, for good.
    pub(super) fn take_one_idle(&mut self, is_wanted: impl Fn(&Ready) -> bool) -> Option<Ready> {
        let at = self.idle.iter().position(is_wanted)?;
        Some(self.idle.remove(at))
    }

    /// Takes the idle connections that `pick` finds something about, for the keeper to look after.
    pub(super) fn take_where<F>(&mut self, mut pick: impl FnMut(&mut Ready) -> Option<F>) -> Vec<(Ready, F)> {
        let mut taken = Vec::new();
        for mut conn in std::mem::take(&mut self.idle) {
            match pick(&mut conn) {
                Some(finding) => taken.push((conn, finding)),
                None => self.idle.push(conn),
            }
        }
        self.resetting += taken.len();
        taken
    }

    /// Closes the pool; those who wait, and those who come, are told why. Dials have been given up.
    pub(super) fn close(&mut self, why: CheckoutError) -> Vec<Ready> {
        for waiter in self.waiters.drain(..) {
            let _gone = waiter.0.send(Err(why.clone()));
        }
        self.closed = Some(why);
        self.dialing = 0;
        std::mem::take(&mut self.idle)
    }
}
