//! Landbridge between the clients and the servers of the simulation: composed as `app` does it, with a
//! monitor that knows what the world knows, a little later.

use super::random::Random;
use super::server::Place;
use super::wire::{self, Cord, End};
use super::world::{PRIMARY, World};
use arc_swap::ArcSwap;
use landbridge::backend::login::Account;
use landbridge::backend::server::{Reference, Server};
use landbridge::backend::servers::Servers;
use landbridge::config::Secret;
use landbridge::consistency::gtid::{Family, GtidSet};
use landbridge::frontend::definitions::Definitions;
use landbridge::frontend::digests::Digests;
use landbridge::frontend::gate::Gate;
use landbridge::frontend::handshake::Door;
use landbridge::frontend::listener::serve;
use landbridge::frontend::naming::Naming;
use landbridge::frontend::optimistic::Spoiled;
use landbridge::frontend::pools::{PoolPlans, Pools};
use landbridge::frontend::proven::Proven;
use landbridge::frontend::registry::Registry;
use landbridge::frontend::shared::{ScopeKind, SessionMode, SessionSettings, Shared};
use landbridge::frontend::succession::Succession;
use landbridge::frontend::users::Users;
use landbridge::frontend::waits::Waits;
use landbridge::metrics::Metrics;
use landbridge::net::budget::Budget;
use landbridge::net::simulated::Simulated;
use landbridge::net::socket::Address;
use landbridge::net::stream::Socket;
use landbridge::pool::{Counts, PoolSettings};
use landbridge::protocol::capability::Capabilities;
use landbridge::route::rules::Rules;
use landbridge::sql::Transactions;
use landbridge::topology::{FloorView, Health, Lag, PrimaryReport, Role, ServerId, ServerView, Snapshot};
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Who may come in, without a password.
pub const USERS: [&str; 2] = ["app", "other"];
/// How often the monitor looks.
const PROBES: Duration = Duration::from_millis(40);

/// A running Landbridge.
pub struct Proxy {
    world: Arc<World>,
    shared: Arc<Shared>,
    published: watch::Sender<Arc<Snapshot>>,
    began: Instant,
    tasks: TaskTracker,
    /// The sessions of clients.
    pub sessions: TaskTracker,
    stop: CancellationToken,
}

fn pool_settings(random: &mut Random) -> PoolSettings {
    PoolSettings {
        min_warm: random.below(3) as usize,
        max: 1 + random.below(4) as usize,
        checkout_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(3),
        idle_timeout: Duration::from_secs(2),
        max_lifetime: Duration::from_secs(10),
        ping_after: Duration::from_secs(3),
        max_parallel_dials: 1 + random.below(3) as usize,
        pipelining: random.pick(&[Some(true), Some(true), None, Some(false)]),
    }
}

fn session_settings(random: &mut Random) -> SessionSettings {
    SessionSettings {
        scope: ScopeKind::User,
        wait: random.pick(&[None, Some(Duration::ZERO)]),
        pin_for: Duration::from_secs(1),
        max_lag_by_user: HashMap::new(),
        transactions: Transactions::Primary,
        transactions_by_user: HashMap::new(),
        transaction_replay: false,
        verify_transactions: true,
        rules: Rules::default(),
        read_functions: Arc::default(),
        session_mode: SessionMode { listed: HashMap::new(), others: random.per_mille(60) },
        max_packet: 1 << 20,
        idle_timeout: None,
        stall: Some(Duration::from_secs(30)),
        login_timeout: Duration::from_secs(10),
        max_clients: 100,
        max_prepared: 4,
        kill_abandoned: random.per_mille(700),
        limits_by_user: HashMap::new(),
        version: None,
        slow: None,
        primary_down_by_user: HashMap::new(),
        primary_down: random.pick(&[None, Some(Duration::from_secs(2))]),
        max_waiting: 100,
    }
}

impl Proxy {
    /// Starts one in front of the world's servers.
    pub fn start(world: &Arc<World>, random: &mut Random) -> Self {
        let began = Instant::now();
        let metrics = Metrics::new("simulation").expect("metrics");
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let reference = Arc::new(Reference::default());
        let extras = random.pick(&[Capabilities::DEPRECATE_EOF, Capabilities::DEPRECATE_EOF, Capabilities::empty()]);
        let count = world.facts().machines.len();
        let server = |(id, random): (usize, Random)| {
            let place = Place { world: world.clone(), server: id, extras, random: Mutex::new(random) };
            let address = Address::Simulated(Simulated(Arc::new(place)));
            let id = ServerId(id as u16);
            let server = Server::new(id, format!("s{}", id.0), address, None).with_reference(reference.clone());
            if usize::from(id.0) == PRIMARY {
                server.is_reference();
            }
            Arc::new(server)
        };
        let servers = (0..count).map(|id| (id, random.fork())).map(server).collect();
        let servers = Servers::new(servers, reference.clone());
        let accounts: Vec<Arc<Account>> =
            USERS.iter().map(|user| Arc::new(Account::listed((*user).into(), Secret::new(String::new())))).collect();
        let settings = pool_settings(random);
        let plans = PoolPlans {
            listed: USERS.iter().map(|user| ((*user).to_owned(), settings.clone())).collect(),
            others: None,
        };
        let pools = Pools::new(servers, plans, metrics.clone(), tasks.clone(), stop.clone());
        for account in &accounts {
            pools.of(account, Capabilities::empty());
        }
        let (published, topology) = watch::channel(Arc::new(snapshot(world, began, began)));
        let door = Door { users: Users::new(accounts, None), tls: None, require_tls: false, packet_limit: 1 << 16 };
        let drain = CancellationToken::new();
        let shared = Arc::new(Shared {
            door: ArcSwap::from_pointee(door),
            settings: ArcSwap::from_pointee(session_settings(random)),
            changes: AtomicU64::default(),
            topology,
            pools,
            scopes: Arc::default(),
            definitions: Definitions::default(),
            naming: Naming::default(),
            spoiled: Spoiled::default(),
            news: watch::channel(()).0,
            doubts: watch::channel(None).0,
            metrics: metrics.session.clone(),
            registry: Arc::new(Registry::new(drain.clone())),
            memory: Budget::new(1 << 24, Duration::from_secs(1)),
            waits: Waits::default(),
            gate: Gate::new(metrics.session.waiting.clone()),
            proven: Proven::default(),
            digests: Digests::new(20),
            drain,
            succession: Succession::default(),
        });
        tasks.spawn(shared.clone().attend_gate(stop.clone()));
        tasks.spawn(shared.clone().tell_of_silence(stop.clone()));
        Self { world: world.clone(), shared, published, began, tasks, sessions: TaskTracker::new(), stop }
    }

    /// Looks at the servers every now and then, lets them go and come back, and lets replicas follow.
    pub async fn monitor(&self, mut random: Random) {
        let mut back_at: Vec<u64> = vec![0; self.world.facts().machines.len()];
        let mut settled = self.began;
        for round in 1.. {
            tokio::time::sleep(PROBES.mul_f64(0.5 + random.below(100) as f64 / 100.0)).await;
            let mut facts = self.world.facts();
            for (server, back) in back_at.iter_mut().enumerate() {
                if !facts.machines[server].up && *back <= round {
                    facts.machines[server].up = true;
                } else if random.per_mille(self.world.faults.outages) {
                    facts.crash(server);
                    *back = round + random.below(100);
                }
            }
            if random.per_mille(600) {
                facts.replicate(&mut random);
            }
            // What was sent on connections that broke has run by now, or never will.
            if !facts.machines[PRIMARY].connections.values().any(Cord::is_abandoned) {
                settled = Instant::now();
            }
            drop(facts);
            self.world.progress.notify_waiters();
            self.published.send_replace(Arc::new(snapshot(&self.world, self.began, settled)));
        }
    }

    /// The monitor finds that a server does not answer, until it looks again.
    pub fn find_silent(&self, server: usize) {
        let mut seen = snapshot(&self.world, self.began, self.began);
        seen.servers[server].health = Health::Down("it says nothing".into());
        self.published.send_replace(Arc::new(seen));
    }

    /// Lets a client in; the other end is its.
    pub fn connect(&self, random: &mut Random) -> End {
        let (near, far) = wire::pair(Some(random.fork()));
        let socket = Socket::Simulated(Box::new(near));
        self.sessions.spawn(serve(socket, "nowhere".into(), self.shared.clone()));
        far
    }

    /// All pools, by server and user.
    pub fn counts(&self) -> Vec<(String, Counts)> {
        let named = |pool: &Arc<landbridge::pool::Pool>| {
            (format!("{} of {}", pool.server().name, pool.account().user), pool.counts())
        };
        self.shared.pools.all().iter().map(named).collect()
    }

    /// A server with more connections than its pools know of.
    pub fn strays(&self) -> Option<String> {
        let facts = self.world.facts();
        let pools = self.shared.pools.all();
        facts.machines.iter().enumerate().find_map(|(id, machine)| {
            let known = pools.iter().filter(|pool| usize::from(pool.server().id.0) == id).map(|pool| pool.counts());
            let known: usize =
                known.map(|counts| counts.idle + counts.leased + counts.dialing + counts.resetting).sum();
            let open = machine.connections.values().filter(|cord| !cord.is_abandoned()).count();
            (open > known).then(|| format!("server {id} has {open} connections, its pools know of {known}"))
        })
    }

    /// Ends it.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The servers as the world has them now.
fn snapshot(world: &World, began: Instant, settled: Instant) -> Snapshot {
    let asked = Instant::now();
    let facts = world.facts();
    let executed = |id: usize| Arc::new(GtidSet::parse(Family::MySql, &facts.executed(id)).expect("a set"));
    let view = |(id, machine): (usize, &super::world::Machine)| ServerView {
        id: ServerId(id as u16),
        name: format!("s{id}").into(),
        local: id != PRIMARY,
        role: if id == PRIMARY { Role::Primary } else { Role::Replica },
        health: if machine.up { Health::Up } else { Health::Down("it is gone".into()) },
        lag: Lag::Behind(Duration::ZERO),
        held_lag: Some(Duration::ZERO),
        max_lag: Duration::from_secs(60),
        weight: 1,
        is_rival: false,
        is_doubtful: false,
        rtt: Some(Duration::from_millis(if id == PRIMARY { 80 } else { 1 })),
        family: Some(Family::MySql),
        executed: Some(executed(id)),
    };
    let views = facts.machines.iter().enumerate().map(view).collect();
    // While it is away nobody can ask it, and what was on its way there may still have run.
    let report = facts.machines[PRIMARY].up.then(|| PrimaryReport {
        asked,
        nothing_on_its_way: settled,
        primary_since: began,
        executed: executed(PRIMARY),
    });
    Snapshot { report, floor: FloorView::default(), ..Snapshot::of(views) }
}
