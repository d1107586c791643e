//! The pools of every account: who gets which, and when they go.
//!
//! Those of listed users are made at the start and stay. Those of users that were let in on a
//! server's word are made when they log in, for each password by themselves, and go when they are no
//! longer used, or when a server refuses the account.

use crate::backend::login::Account;
use crate::backend::server::Server;
use crate::metrics::Metrics;
use crate::pool::{Pool, PoolSettings};
use crate::protocol::capability::Capabilities;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often pools nobody uses are looked for.
const TEND_EVERY: Duration = Duration::from_secs(5);

/// Login flags that cannot be changed later: part of a pool's key.
pub const POOL_FLAGS: Capabilities = Capabilities::FOUND_ROWS;

/// An account's pools, one for each server in order.
pub type ServerPools = Arc<[Arc<Pool>]>;

/// How the pools of each user are to be.
#[derive(Debug, Clone)]
pub struct PoolPlans {
    /// Those of listed users.
    pub listed: HashMap<String, PoolSettings>,
    /// Those of everybody else, if anybody else may come.
    pub others: Option<PoolSettings>,
}

/// The pools by server, user and login flags.
#[derive(Debug)]
pub struct Pools {
    servers: Vec<Arc<Server>>,
    plans: PoolPlans,
    /// By user and flags; one for each password.
    made: RwLock<Made>,
    metrics: Metrics,
    tasks: TaskTracker,
    stop: CancellationToken,
}

type Made = HashMap<(String, Capabilities), Vec<Lot>>;

/// The pools of one account and set of flags.
#[derive(Debug)]
struct Lot {
    account: Arc<Account>,
    pools: ServerPools,
    /// Whether somebody asked for them since they were last looked at.
    asked_for: AtomicBool,
    /// Since when nobody uses them.
    unused: Option<Instant>,
    /// Closes them.
    stop: CancellationToken,
}

impl Lot {
    fn hand_out(&self) -> ServerPools {
        self.asked_for.store(true, Ordering::Relaxed);
        self.pools.clone()
    }

    /// Whether no session holds the pools.
    fn is_free(&self) -> bool {
        Arc::strong_count(&self.pools) == 1
    }

    /// Whether they are to go: pools of an account that was lent go once it is refused, or when they have
    /// been of no use for `longest`.
    fn is_over(&mut self, now: Instant, longest: Duration) -> bool {
        if self.asked_for.swap(false, Ordering::Relaxed) || !self.is_free() {
            self.unused = None;
            return false;
        }
        let since = *self.unused.get_or_insert(now);
        self.account.is_lent() && (self.account.refusal().is_some() || now.duration_since(since) >= longest)
    }
}

impl Pools {
    /// Pools for these servers.
    pub fn new(
        servers: Vec<Arc<Server>>,
        plans: PoolPlans,
        metrics: Metrics,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self { servers, plans, made: RwLock::default(), metrics, tasks, stop }
    }

    /// The servers.
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// The pools of an account, one for each server in order; made and kept warm from the first
    /// time they are asked for.
    pub fn of(&self, account: &Arc<Account>, flags: Capabilities) -> ServerPools {
        let key = (account.user.clone(), flags & POOL_FLAGS);
        let find = |lots: &[Lot]| lots.iter().find(|lot| Arc::ptr_eq(&lot.account, account)).map(Lot::hand_out);
        if let Some(pools) = self.read().get(&key).and_then(|lots| find(lots)) {
            return pools;
        }
        let mut made = self.write();
        let lots = made.entry(key).or_default();
        if let Some(pools) = find(lots) {
            return pools;
        }
        let Some(lot) = self.make(account, flags & POOL_FLAGS) else { return Arc::new([]) };
        let pools = lot.hand_out();
        lots.push(lot);
        pools
    }

    fn make(&self, account: &Arc<Account>, flags: Capabilities) -> Option<Lot> {
        let others = self.plans.others.as_ref().filter(|_| account.is_lent());
        let settings = self.plans.listed.get(&account.user).or(others)?;
        let stop = self.stop.child_token();
        let start = |server: &Arc<Server>| {
            let metrics = self.metrics.for_pool(&server.name);
            let pool = Pool::new(server.clone(), account.clone(), flags, settings.clone(), metrics);
            self.tasks.spawn(pool.clone().keep(stop.clone()));
            pool
        };
        let pools = self.servers.iter().map(start).collect();
        Some(Lot { account: account.clone(), pools, asked_for: AtomicBool::new(false), unused: None, stop })
    }

    /// Closes, until the end, the pools of accounts that were lent and have been unused for `longest`.
    pub async fn tend(&self, longest: Duration) {
        let mut ticks = tokio::time::interval(TEND_EVERY.min(longest));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = ticks.tick() => self.close_unused(Instant::now(), longest),
            }
        }
    }

    fn close_unused(&self, now: Instant, longest: Duration) {
        self.write().retain(|_, lots| {
            for over in lots.extract_if(.., |lot| lot.is_over(now, longest)) {
                over.stop.cancel();
            }
            !lots.is_empty()
        });
    }

    /// Every pool there is.
    pub fn all(&self) -> Vec<Arc<Pool>> {
        self.read().values().flatten().flat_map(|lot| lot.pools.iter().cloned()).collect()
    }

    /// The pools that are warm whenever Landbridge is ready: those of listed users.
    pub fn listed(&self) -> Vec<Arc<Pool>> {
        let made = self.read();
        let listed = made.values().flatten().filter(|lot| !lot.account.is_lent());
        listed.flat_map(|lot| lot.pools.iter().cloned()).collect()
    }

    // Nothing is half done between two statements that hold the lock.
    fn read(&self) -> RwLockReadGuard<'_, Made> {
        self.made.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Made> {
        self.made.write().unwrap_or_else(PoisonError::into_inner)
    }
}
