//! The pools of every account: who gets which, and when they go.
//!
//! Those of listed users are made at the start and stay for as long as the file lists them. Those of users that were let in on a
//! server's word are made when they log in, for each password by themselves, and go when they are no
//! longer used, or when a server refuses the account.

use crate::backend::login::Account;
use crate::backend::server::Server;
use crate::backend::servers::Servers;
use crate::metrics::Metrics;
use crate::pool::{Pool, PoolSettings};
use crate::protocol::capability::Capabilities;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often pools nobody uses are looked for.
const TEND_EVERY: Duration = Duration::from_secs(5);
/// And how often where they may go sooner.
const TEND_AT_MOST_EVERY: Duration = Duration::from_millis(100);

/// Login flags that cannot be changed later: part of a pool's key.
pub const POOL_FLAGS: Capabilities = Capabilities::FOUND_ROWS;

/// An account's pools, one for each server in order.
pub type ServerPools = Arc<[Arc<Pool>]>;

/// How the pools of each user are to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolPlans {
    /// Those of listed users.
    pub listed: HashMap<String, PoolSettings>,
    /// Those of everybody else, if anybody else may come.
    pub others: Option<PoolSettings>,
}

impl PoolPlans {
    fn of(&self, account: &Account) -> Option<&PoolSettings> {
        let others = self.others.as_ref().filter(|_| account.is_lent());
        self.listed.get(&account.user).or(others)
    }

    /// How often to look for pools that nobody uses.
    fn look_every(&self) -> Duration {
        let shortest = self.others.as_ref().map_or(TEND_EVERY, |settings| settings.idle_timeout);
        shortest.clamp(TEND_AT_MOST_EVERY, TEND_EVERY)
    }

    /// How long the pools of an account that was lent stay when nobody uses them.
    fn longest_unused(&self) -> Duration {
        self.others.as_ref().map_or(Duration::ZERO, |settings| settings.idle_timeout)
    }
}

/// The pools by server, user and login flags.
#[derive(Debug)]
pub struct Pools {
    servers: Servers,
    plans: ArcSwap<PoolPlans>,
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
    /// The file lists the account no more: they go once nobody uses them.
    is_leaving: bool,
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
        if self.is_leaving {
            return true;
        }
        let since = *self.unused.get_or_insert(now);
        self.account.is_lent() && (self.account.refusal().is_some() || now.duration_since(since) >= longest)
    }
}

impl Pools {
    /// Pools for these servers.
    pub fn new(
        servers: Servers,
        plans: PoolPlans,
        metrics: Metrics,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self { servers, plans: ArcSwap::from_pointee(plans), made: RwLock::default(), metrics, tasks, stop }
    }

    /// The servers.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Adds servers, with pools for every account. Returns these.
    pub fn extend(&self, added: &[Arc<Server>]) -> Vec<Arc<Pool>> {
        let mut made = self.write();
        self.servers.append(added);
        let mut opened = Vec::new();
        let plans = self.plans.load();
        for ((_, flags), lot) in made.iter_mut().flat_map(|(key, lots)| lots.iter_mut().map(move |lot| (key, lot))) {
            let Some(settings) = plans.of(&lot.account) else { continue };
            let new: Vec<_> =
                added.iter().map(|server| self.open(server, (&lot.account, *flags), settings, &lot.stop)).collect();
            lot.pools = lot.pools.iter().chain(&new).cloned().collect();
            opened.extend(new);
        }
        opened
    }

    /// Pools behave by these plans from now on.
    pub fn configure(&self, plans: PoolPlans) {
        let made = self.read();
        for lot in made.values().flatten() {
            if let Some(settings) = plans.of(&lot.account) {
                lot.pools.iter().for_each(|pool| pool.configure(settings));
            }
        }
        self.plans.store(Arc::new(plans));
    }

    /// Opens pools for an account that takes the place of another one: for all login flags that one has pools for.
    pub fn of_successor(&self, account: &Arc<Account>, before: &Arc<Account>) -> Vec<Arc<Pool>> {
        let is_its = |lots: &[Lot]| lots.iter().any(|lot| Arc::ptr_eq(&lot.account, before));
        let flags: Vec<_> = self.read().iter().filter(|(_, lots)| is_its(lots)).map(|((_, flags), _)| *flags).collect();
        flags.into_iter().flat_map(|flags| self.of(account, flags).iter().cloned().collect::<Vec<_>>()).collect()
    }

    /// Closes the pools of an account: who comes for one of its connections is told so.
    pub fn close(&self, account: &Arc<Account>) {
        self.write().retain(|_, lots| {
            for lot in lots.extract_if(.., |lot| Arc::ptr_eq(&lot.account, account)) {
                lot.stop.cancel();
            }
            !lots.is_empty()
        });
    }

    /// The pools of an account go as soon as nobody uses them.
    pub fn leave(&self, account: &Arc<Account>) {
        for lot in self.write().values_mut().flatten().filter(|lot| Arc::ptr_eq(&lot.account, account)) {
            lot.is_leaving = true;
        }
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
        let plans = self.plans.load();
        let settings = plans.of(account)?;
        let stop = self.stop.child_token();
        let servers = self.servers.all();
        let pools = servers.iter().map(|server| self.open(server, (account, flags), settings, &stop)).collect();
        let (account, asked_for) = (account.clone(), AtomicBool::new(false));
        Some(Lot { account, pools, asked_for, unused: None, is_leaving: false, stop })
    }

    fn open(
        &self,
        server: &Arc<Server>,
        (account, flags): (&Arc<Account>, Capabilities),
        settings: &PoolSettings,
        stop: &CancellationToken,
    ) -> Arc<Pool> {
        let metrics = self.metrics.for_pool(&server.name);
        let pool = Pool::new(server.clone(), account.clone(), flags, settings.clone(), metrics, self.tasks.clone());
        self.tasks.spawn(pool.clone().keep(stop.clone()));
        pool
    }

    /// Closes, until the end, the pools that nobody uses and that were lent, or are of users that have been removed.
    pub async fn tend(&self) {
        loop {
            let pause = self.plans.load().look_every();
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => self.close_unused(Instant::now(), self.plans.load().longest_unused()),
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
        let listed = made.values().flatten().filter(|lot| !lot.account.is_lent() && !lot.is_leaving);
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
