//! The composition root: the only place that sees all settings and all modules.

mod certificates;
mod controls;
mod difference;
mod running;
mod translate;

pub use self::running::{Reloaded, Request};
pub use self::translate::{heartbeat, plan, servers, session_settings};

use self::running::{Running, State};

use crate::backend::servers::Servers;
use crate::config::{LogLevel, Settings, Shutdown};
use crate::consistency::scopes::Scopes;
use crate::frontend::definitions::Definitions;
use crate::frontend::digests::Digests;
use crate::frontend::gate::Gate;
use crate::frontend::handshake::Door;
use crate::frontend::listener::{Listener, listen};
use crate::frontend::naming::Naming;
use crate::frontend::optimistic::Spoiled;
use crate::frontend::passthrough::Passthrough;
use crate::frontend::pools::Pools;
use crate::frontend::proven::Proven;
use crate::frontend::registry::Registry;
use crate::frontend::shared::Shared;
use crate::frontend::succession::Succession;
use crate::frontend::users::Users;
use crate::frontend::waits::Waits;
use crate::http;
use crate::lifecycle::doors::{Doors, places};
use crate::metrics::Metrics;
use crate::monitor::Monitor;
use crate::net::budget::Budget;
use crate::net::listening::{Passed, Place};
use crate::net::names::Resolver;
use crate::protocol::capability::Capabilities;
use crate::topology::Snapshot;
use anyhow::Result;
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long background tasks may take to end.
const LAST_GRACE: Duration = Duration::from_secs(5);

/// A running Landbridge.
#[derive(Debug)]
pub struct App {
    /// Where clients connect: the TCP addresses really bound.
    pub mysql: Vec<SocketAddr>,
    /// Where metrics are.
    pub http: Option<SocketAddr>,
    /// Where the console is, if it is at a TCP address.
    pub admin: Option<SocketAddr>,
    /// The sockets they are.
    pub doors: Doors,
    /// What sessions share.
    pub shared: Arc<Shared>,
    /// What is counted.
    pub metrics: Metrics,
    sessions: TaskTracker,
    tasks: TaskTracker,
    stop: CancellationToken,
    running: Arc<Running>,
}

impl App {
    /// Binds, starts pools and monitor, and serves until [`Self::shut_down`].
    ///
    /// # Errors
    /// Certificates that cannot be read, addresses that cannot be bound.
    #[expect(clippy::unused_async, reason = "it starts tasks: whoever calls it must be within a runtime")]
    pub async fn start(settings: &Settings) -> Result<Self> {
        Self::start_on(settings, &Resolver::System, &mut Passed::default(), Doors::new(true))
    }

    /// As [`Self::start`], listening on the sockets that were passed in where there is one for an address, with names
    /// resolved by `resolver`. Must be called within a runtime.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_on(settings: &Settings, resolver: &Resolver, passed: &mut Passed, doors: Doors) -> Result<Self> {
        let metrics = Metrics::new(&settings.fingerprint())?;
        let (tasks, sessions, stop) = (TaskTracker::new(), TaskTracker::new(), CancellationToken::new());
        let made = servers(settings, resolver)?;
        let ((news, written), (doubts, doubted)) = (watch::channel(()), watch::channel(None));
        let plans = settings.servers.iter().map(|server| plan(server, settings));
        let watched: Vec<_> = made.iter().cloned().zip(plans).collect();
        let monitor_account = translate::monitor_account(settings);
        let (monitor, topology) = Monitor::start(
            translate::monitor_settings(settings),
            &watched,
            monitor_account.clone(),
            (written, doubted),
            metrics.server.clone(),
            (tasks.clone(), stop.clone()),
        );
        let reference = made.first().map(|server| server.shared_reference()).unwrap_or_default();
        let servers = Servers::new(made.clone(), reference);
        let door = door(settings, &servers, &topology)?;
        let plans = translate::pool_plans(settings);
        let pools = Pools::new(servers, plans, metrics.clone(), tasks.clone(), stop.clone());
        for account in door.users.listed() {
            pools.of(account, Capabilities::empty());
        }
        let drain = CancellationToken::new();
        let shared = Arc::new(Shared {
            door: ArcSwap::from_pointee(door),
            settings: ArcSwap::from_pointee(session_settings(settings)),
            changes: AtomicU64::default(),
            topology,
            pools,
            scopes: Arc::new(Scopes::default()),
            definitions: Definitions::new(settings.consistency.per_table),
            news,
            doubts,
            metrics: metrics.session.clone(),
            registry: Arc::new(Registry::new(drain.clone())),
            memory: Budget::new(settings.limits.memory as usize, settings.pool.checkout_timeout),
            waits: Waits::default(),
            gate: Gate::new(metrics.session.waiting.clone()),
            proven: Proven::default(),
            naming: Naming::default(),
            spoiled: Spoiled::default(),
            digests: Digests::new(settings.admin.digests as usize),
            drain,
            succession: Succession::default(),
        });
        tasks.spawn(shared.clone().attend_gate(stop.clone()));
        tasks.spawn(shared.clone().follow_primary(stop.clone()));
        tasks.spawn(shared.clone().tell_of_silence(stop.clone()));
        tasks.spawn(shared.clone().follow_lasting(stop.clone()));
        let tended = shared.clone();
        tasks.spawn(async move { tended.pools.tend().await });
        let state = State::new(settings.clone(), made, monitor_account);
        let running = Arc::new(Running::new(shared.clone(), monitor, metrics.clone(), state, resolver.clone()));
        tasks.spawn(certificates::follow(running.clone(), stop.clone()));
        let mut app =
            Self { mysql: Vec::new(), http: None, admin: None, doors, shared, metrics, sessions, tasks, stop, running };
        app.bind(settings, passed)?;
        Ok(app)
    }

    fn bind(&mut self, settings: &Settings, passed: &mut Passed) -> Result<()> {
        for place in places(&settings.listen) {
            let socket = self.doors.add(&place, "mysql", passed)?;
            self.mysql.extend(socket.tcp());
            let listener = Listener::on(socket)?;
            let until = (self.doors.shutter().clone(), self.shared.drain.clone());
            self.tasks.spawn(listen(listener, self.shared.clone(), self.sessions.clone(), until));
        }
        if let Some(address) = settings.listen.http {
            let socket = self.doors.add(&Place::Tcp(address), "http", passed)?;
            self.http = socket.tcp();
            let listener = Listener::on(socket)?;
            let (shared, metrics, plan) = (self.shared.clone(), self.metrics.clone(), self.running.status.clone());
            let state = http::State { shared, metrics, plan, started: Instant::now() };
            self.tasks.spawn(http::serve(listener, state, (self.doors.shutter().clone(), self.stop.clone())));
        }
        self.admin = controls::open(self, settings, passed)?;
        Ok(())
    }

    /// Goes by these settings from now on, as far as that can be done while clients are served. No session is ended,
    /// but those of users that are listed no more, at the ends of their transactions.
    ///
    /// # Errors
    /// Certificates that cannot be used, a password that the primary refuses: everything stays as it was.
    pub async fn reload(&self, settings: Settings) -> Result<Reloaded> {
        // Whoever asked for it may go away; half of it must not be done.
        let running = self.running.clone();
        tokio::spawn(async move { running.reload(settings).await }).await?
    }

    /// What operators ask of the process from now on; only the first one who asks for it is told.
    pub fn requests(&self) -> mpsc::Receiver<Request> {
        self.running.requests()
    }

    /// Counts a file that could not be read as a reload that was refused.
    pub fn reload_refused(&self) {
        self.running.reload_refused();
    }

    /// Has `tell` told which log level is asked for: by the file after each reload, or at the console. It returns
    /// whether that is what is logged now.
    pub fn on_log_level(&self, tell: impl Fn(LogLevel) -> bool + Send + Sync + 'static) {
        self.running.on_log_level(Box::new(tell));
    }

    /// Looks at once whether certificates have changed on disk, as is done from time to time.
    pub async fn look_at_certificates(&self) {
        certificates::look(&self.running).await;
    }

    /// Whether every pool of every server that answers is warm.
    pub fn is_ready(&self) -> bool {
        http::unready(&self.shared).is_empty()
    }

    /// What is said of the end, in the configuration in use.
    pub fn shutdown(&self) -> Shutdown {
        Shutdown::clone(&self.running.shutdown.load())
    }

    /// Waits until no client is left, while none can come.
    pub async fn all_left(&self) {
        self.sessions.close();
        self.sessions.wait().await;
    }

    /// Lets clients finish what they began, for as long as `shutdown.drain_timeout`, then ends.
    pub async fn shut_down(mut self) {
        self.shared.registry.drain();
        self.doors.close(self.shared.succession.is_lingering());
        self.sessions.close();
        let drain_timeout = self.shutdown().drain_timeout;
        if tokio::time::timeout(drain_timeout, self.sessions.wait()).await.is_err() {
            tracing::warn!(clients = self.shared.registry.len(), "drain deadline reached, ending sessions");
            self.shared.registry.stop_all();
            let _late = tokio::time::timeout(LAST_GRACE, self.sessions.wait()).await;
        }
        self.stop.cancel();
        self.tasks.close();
        let _late = tokio::time::timeout(LAST_GRACE, self.tasks.wait()).await;
    }
}

/// Who may come in, and how.
fn door(settings: &Settings, servers: &Servers, topology: &watch::Receiver<Arc<Snapshot>>) -> Result<Door> {
    let passthrough = translate::passthrough(settings)
        .map(|terms| Arc::new(Passthrough::new(servers.clone(), topology.clone(), terms)));
    let users = Users::new(settings.users.iter().map(translate::account), passthrough);
    let (tls, require_tls) = translate::acceptor(&settings.listen.tls)?;
    let packet_limit = settings.limits.max_packet_before_login as usize;
    Ok(Door { users, tls: tls.map(Arc::new), require_tls, packet_limit })
}
