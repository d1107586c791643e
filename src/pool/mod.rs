//! Warm connections to one server for one account, shared by every thread.
//!
//! Connections are dialled by the keeper in the background, never by a request: a
//! checkout takes an idle connection or waits, in order, for the next one that is returned or
//! freshly dialled, whichever comes first.

mod keeper;
mod kills;
mod lease;
mod renewal;
mod slots;

pub use lease::{Disposition, Lease};
pub use slots::Counts;

use crate::backend::conn::Ready;
use crate::backend::login::{Account, DialError};
use crate::backend::server::Server;
use crate::metrics::PoolMetrics;
use crate::protocol::capability::Capabilities;
use crate::state::SessionState;
use arc_swap::ArcSwap;
use slots::{Slots, Waiter};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// Where fewer connections are to be kept than usual, idle ones are closed after this.
const IDLE_WHEN_FEWER: Duration = Duration::from_secs(5);

/// How a pool behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// Connections kept open before anyone asks.
    pub min_warm: usize,
    /// Most connections at a time.
    pub max: usize,
    /// How long a checkout may wait.
    pub checkout_timeout: Duration,
    /// How long a dial may take.
    pub connect_timeout: Duration,
    /// Idle connections above `min_warm` are closed after this.
    pub idle_timeout: Duration,
    /// Connections are replaced after about this long.
    pub max_lifetime: Duration,
    /// Idle connections are pinged this often.
    pub ping_after: Duration,
    /// Dials of this pool under way at a time; all pools of a server take turns.
    pub max_parallel_dials: usize,
    /// Several commands in one write: `None` asks the server.
    pub pipelining: Option<bool>,
}

/// Why a checkout failed. Nothing was sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CheckoutError {
    /// All connections stayed in use.
    #[error("no connection became free within {waited:?} (all {max} are in use)")]
    Exhausted {
        /// How long it waited.
        waited: Duration,
        /// The pool's size.
        max: usize,
    },
    /// The server cannot be reached or refuses us.
    #[error("{0}")]
    Unreachable(Arc<DialError>),
    /// No answer from the server yet.
    #[error("no connection could be opened within {0:?}")]
    Slow(Duration),
    /// The pool was closed.
    #[error("Landbridge is shutting down")]
    Closed,
}

/// The pool of one server, account and set of login flags.
#[derive(Debug)]
pub struct Pool {
    server: Arc<Server>,
    account: Arc<Account>,
    flags: Capabilities,
    settings: ArcSwap<PoolSettings>,
    slots: Mutex<Slots>,
    wake: Notify,
    metrics: PoolMetrics,
    /// How many connections to keep open at most for nobody.
    most_warm: AtomicUsize,
    /// What the end of the program waits for.
    tasks: TaskTracker,
}

impl Pool {
    /// Makes a pool; [`Self::keep`] must run for it to have connections.
    pub fn new(
        server: Arc<Server>,
        account: Arc<Account>,
        flags: Capabilities,
        settings: PoolSettings,
        metrics: PoolMetrics,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        let slots = Mutex::new(Slots::new(settings.max));
        let most_warm = AtomicUsize::new(usize::MAX);
        let settings = ArcSwap::from_pointee(settings);
        Arc::new(Self { server, account, flags, settings, slots, wake: Notify::new(), metrics, most_warm, tasks })
    }

    /// Keeps no more connections open than this that nobody uses, however many it was to keep warm.
    pub fn keep_at_most(&self, most: usize) {
        self.most_warm.store(most, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// How many connections it keeps open before anyone asks, and how many it may have.
    pub fn bounds(&self) -> (usize, usize) {
        let max = self.settings.load().max;
        (self.min_warm().min(max), max)
    }

    fn min_warm(&self) -> usize {
        self.settings.load().min_warm.min(self.most_warm.load(Ordering::Relaxed))
    }

    /// How long one may be idle that is not kept warm.
    fn idle_timeout(&self) -> Duration {
        match self.most_warm.load(Ordering::Relaxed) {
            usize::MAX => self.settings.load().idle_timeout,
            _ => self.settings.load().idle_timeout.min(IDLE_WHEN_FEWER),
        }
    }

    /// The server it leads to.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The account it logs in as.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Behaves otherwise from now on. Connections in use stay; those at rest that are too many are closed.
    pub fn configure(&self, settings: &PoolSettings) {
        let surplus = self.lock().set_max(settings.max);
        self.settings.store(Arc::new(settings.clone()));
        for conn in surplus {
            tokio::spawn(conn.close());
        }
        self.wake.notify_one();
    }

    /// How it behaves.
    pub fn settings(&self) -> PoolSettings {
        PoolSettings::clone(&self.settings.load())
    }

    /// The login flags of its connections.
    pub fn flags(&self) -> Capabilities {
        self.flags
    }

    /// Has every connection that is open now replaced: idle ones by and by, others once they are given back.
    /// How many there are.
    pub fn renew(&self) -> usize {
        let mut slots = self.lock();
        slots.outdated = Some(Instant::now());
        self.server.doubt();
        let Counts { idle, leased, resetting, .. } = slots.counts();
        idle + leased + resetting
    }

    /// How many connections are in which state.
    pub fn counts(&self) -> Counts {
        self.lock().counts()
    }

    /// Why the last dial failed, if it did.
    pub fn failure(&self) -> Option<Arc<DialError>> {
        self.lock().failure()
    }

    /// Whether the last dial failed.
    pub fn is_failing(&self) -> bool {
        self.lock().is_failing()
    }

    /// Whether it holds what it promises to keep warm.
    pub fn is_warm(&self) -> bool {
        let counts = self.counts();
        let settings = self.settings.load();
        counts.idle + counts.leased + counts.resetting >= settings.min_warm.min(settings.max)
    }

    /// Takes a connection, preferring one already in `wanted` state.
    ///
    /// # Errors
    /// See [`CheckoutError`].
    ///
    /// # Cancel safety
    /// Cancel safe: a connection that arrives too late goes back to the pool.
    pub async fn checkout(self: &Arc<Self>, wanted: &Arc<SessionState>) -> Result<Lease, CheckoutError> {
        match self.checkout_idle(wanted) {
            Some(lease) => Ok(lease),
            None => self.wait().await,
        }
    }

    /// The same, where one is idle.
    pub fn checkout_idle(self: &Arc<Self>, wanted: &Arc<SessionState>) -> Option<Lease> {
        loop {
            let mut conn = self.take_idle(wanted)?;
            if conn.is_current() && conn.is_healthy() {
                return Some(Lease::new(self.clone(), conn));
            }
            if conn.is_current() {
                self.metrics.died_idle.inc();
            }
            self.returned(None);
        }
    }

    async fn wait(self: &Arc<Self>) -> Result<Lease, CheckoutError> {
        let started = Instant::now();
        let (sender, receiver) = oneshot::channel();
        if let Some(conn) = self.enqueue(Waiter::new(sender))? {
            return Ok(Lease::new(self.clone(), conn));
        }
        self.metrics.waited.inc();
        self.wake.notify_one();
        let patience = self.settings.load().checkout_timeout;
        let answer = tokio::time::timeout(patience, receiver).await;
        let waited = started.elapsed();
        self.metrics.wait_seconds.observe(waited.as_secs_f64());
        match answer {
            Ok(Ok(result)) => result,
            Ok(Err(_sender_dropped)) => Err(CheckoutError::Closed),
            Err(_) => Err(self.late(waited)),
        }
    }

    /// Why no connection came in time: all are in use, or they could not be opened.
    fn late(&self, waited: Duration) -> CheckoutError {
        let (counts, max) = (self.counts(), self.settings.load().max);
        if counts.leased + counts.resetting < max {
            return CheckoutError::Slow(waited);
        }
        CheckoutError::Exhausted { waited, max }
    }

    fn take_idle(&self, wanted: &Arc<SessionState>) -> Option<Ready> {
        self.lock().take_idle(wanted)
    }

    /// Queues a waiter, unless a connection became idle meanwhile or none can come.
    fn enqueue(&self, waiter: Waiter) -> Result<Option<Ready>, CheckoutError> {
        let mut slots = self.lock();
        if let Some(conn) = slots.take_any_idle() {
            return Ok(Some(conn));
        }
        slots.enqueue(waiter, self.server.accounts())?;
        Ok(None)
    }

    /// Takes a connection back into service, or notes that a leased one is gone.
    fn returned(self: &Arc<Self>, conn: Option<Ready>) {
        let mut conn = conn.filter(Ready::is_current);
        if let Some(conn) = &mut conn {
            conn.shrink();
        }
        let mut slots = self.lock();
        slots.lease_ended();
        if let Some(conn) = conn {
            slots.serve(self, conn);
        }
        let wants_dial = slots.wants_dials(self.min_warm()) > 0;
        drop(slots);
        if wants_dial {
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        // The slots are consistent between any two statements of theirs; a panic elsewhere in a
        // task that held the lock does not change that.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
