//! The monitor as others hold it: its watchers, and how they come and go with the configuration.

use super::calls::Calls;
use super::publish::Board;
use super::table::Table;
use super::watcher::Watcher;
use super::{MonitorSettings, Planned, ServerPlan};
use crate::backend::login::Account;
use crate::backend::server::Server;
use crate::metrics::ServerMetrics;
use crate::topology::{ServerId, Snapshot};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A server and what the configuration says of it.
pub type Watched = (Arc<Server>, ServerPlan);

/// The monitor while it runs.
#[derive(Debug)]
pub struct Monitor {
    board: Arc<Board>,
    calls: Calls,
    news: watch::Receiver<()>,
    doubts: watch::Receiver<Option<Instant>>,
    watches: Mutex<Watches>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// Who is watched, and how.
#[derive(Debug)]
struct Watches {
    settings: MonitorSettings,
    account: Arc<Account>,
    /// By server: its role when its watcher began, and what ends that.
    running: HashMap<ServerId, (Planned, CancellationToken)>,
}

impl Monitor {
    /// Starts a task for each server, in `tracker`, until `stop`. Servers come in the order of their ids. `news` tells
    /// that clients wrote something, `doubts` that all must be asked at once.
    ///
    /// The first snapshot has configured roles and [`Health::Unknown`](crate::topology::Health::Unknown);
    /// servers whose role is to be discovered are replicas in it.
    pub fn start(
        settings: MonitorSettings,
        servers: &[Watched],
        account: Arc<Account>,
        (news, doubts): (watch::Receiver<()>, watch::Receiver<Option<Instant>>),
        metrics: ServerMetrics,
        (tracker, stop): (TaskTracker, CancellationToken),
    ) -> (Self, watch::Receiver<Arc<Snapshot>>) {
        let table = Table::new(rows(servers), settings.thresholds(), settings.patience(), Instant::now());
        let calls = Calls::new(servers.len());
        let (board, snapshots) = Board::new(table, calls.clone(), metrics);
        let watches = Watches { settings, account, running: HashMap::new() };
        let monitor = Self { board: Arc::new(board), calls, news, doubts, watches: Mutex::new(watches), tracker, stop };
        monitor.begin(&mut monitor.lock(), servers);
        (monitor, snapshots)
    }

    /// Watches these servers from now on, and in this way. Servers that are not among them are retired: when this
    /// returns, snapshots say so. New ones have ids that follow those known before, in order.
    pub fn configure(&self, settings: &MonitorSettings, servers: &[Watched], account: &Arc<Account>) {
        let mut watches = self.lock();
        self.board.configure(&rows(servers), settings);
        let is_same_way = watches.settings == *settings && Arc::ptr_eq(&watches.account, account);
        let role = |id: &ServerId| servers.iter().find(|(server, _)| server.id == *id).map(|(_, plan)| plan.role);
        for (_, (_, stop)) in watches.running.extract_if(|id, (planned, _)| !is_same_way || role(id) != Some(*planned))
        {
            stop.cancel();
        }
        watches.settings = settings.clone();
        watches.account = account.clone();
        self.begin(&mut watches, servers);
    }

    /// Starts the watchers that are missing.
    fn begin(&self, held: &mut Watches, servers: &[Watched]) {
        for (server, plan) in servers {
            if held.running.contains_key(&server.id) {
                continue;
            }
            let stop = self.stop.child_token();
            held.running.insert(server.id, (plan.role, stop.clone()));
            if server.names.is_name() {
                let (server, stop, interval) = (server.clone(), stop.clone(), held.settings.dns_interval);
                self.tracker.spawn(async move { stop.run_until_cancelled(server.names.keep_fresh(interval)).await });
            }
            let watcher = Watcher::new(
                server.clone(),
                plan.role,
                held.account.clone(),
                held.settings.clone(),
                self.board.clone(),
                (self.calls.clone(), self.news.clone(), self.doubts.clone()),
            );
            self.tracker.spawn(watcher.run(stop));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Watches> {
        // Every statement leaves it whole.
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rows(servers: &[Watched]) -> Vec<(ServerId, Arc<str>, ServerPlan)> {
    servers.iter().map(|(server, plan)| (server.id, server.name.as_str().into(), plan.clone())).collect()
}
