//! The composition root: the only place that sees all settings and all modules.

mod certificates;
mod difference;
mod running;
mod translate;

pub use self::running::Reloaded;
pub use self::translate::{heartbeat, servers};

use self::running::{Running, State};

use crate::backend::servers::Servers;
use crate::config::{ListenAddress, LogLevel, Settings};
use crate::consistency::scopes::Scopes;
use crate::frontend::definitions::Definitions;
use crate::frontend::handshake::Door;
use crate::frontend::listener::{Listener, listen};
use crate::frontend::passthrough::Passthrough;
use crate::frontend::pools::Pools;
use crate::frontend::proven::Proven;
use crate::frontend::registry::Registry;
use crate::frontend::shared::Shared;
use crate::frontend::users::Users;
use crate::frontend::waits::Waits;
use crate::http;
use crate::metrics::Metrics;
use crate::monitor::Monitor;
use crate::protocol::capability::Capabilities;
use crate::topology::Snapshot;
use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that may wait to be accepted: a whole application may start at once.
const BACKLOG: u32 = 4096;
/// How long background tasks may take to end.
const LAST_GRACE: Duration = Duration::from_secs(5);

/// A running Landbridge.
#[derive(Debug)]
pub struct App {
    /// Where clients connect: the TCP addresses really bound.
    pub mysql: Vec<SocketAddr>,
    /// Where metrics are.
    pub http: Option<SocketAddr>,
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
    pub async fn start(settings: &Settings) -> Result<Self> {
        let metrics = Metrics::new(&settings.fingerprint())?;
        let (tasks, sessions, stop) = (TaskTracker::new(), TaskTracker::new(), CancellationToken::new());
        let made = servers(settings)?;
        let ((news, written), (doubts, doubted)) = (watch::channel(()), watch::channel(None));
        let plans = settings.servers.iter().map(|server| translate::plan(server, settings));
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
            settings: ArcSwap::from_pointee(translate::session_settings(settings)),
            changes: AtomicU64::default(),
            topology,
            pools,
            scopes: Arc::new(Scopes::default()),
            definitions: settings.consistency.per_table.then(Definitions::default),
            news,
            doubts,
            metrics: metrics.session.clone(),
            registry: Arc::new(Registry::new(drain.clone())),
            waits: Waits::default(),
            proven: Proven::default(),
            drain,
        });
        tasks.spawn(follow_primary(shared.topology.clone(), shared.pools.servers().clone(), stop.clone()));
        let tended = shared.clone();
        tasks.spawn(async move { tended.pools.tend().await });
        let state = State::new(settings.clone(), made, monitor_account);
        let running = Arc::new(Running::new(shared.clone(), monitor, metrics.clone(), state));
        tasks.spawn(certificates::follow(running.clone(), stop.clone()));
        let mut app = Self { mysql: Vec::new(), http: None, shared, metrics, sessions, tasks, stop, running };
        app.bind(settings).await?;
        Ok(app)
    }

    async fn bind(&mut self, settings: &Settings) -> Result<()> {
        for address in &settings.listen.mysql {
            let listener = bind(address, settings.listen.unix_mode).with_context(|| {
                format!("cannot listen on {address}; is another server there? Change [listen] mysql, or stop it")
            })?;
            if let Listener::Tcp(tcp) = &listener {
                self.mysql.push(tcp.local_addr()?);
            }
            let sessions = self.sessions.clone();
            self.tasks.spawn(listen(listener, self.shared.clone(), sessions, self.shared.drain.clone()));
        }
        if let Some(address) = settings.listen.http {
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("cannot listen on {address}; change [listen] http, or set it to \"\""))?;
            self.http = Some(listener.local_addr()?);
            let state = http::State { shared: self.shared.clone(), metrics: self.metrics.clone() };
            self.tasks.spawn(http::serve(listener, state, self.stop.clone()));
        }
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

    /// Counts a file that could not be read as a reload that was refused.
    pub fn reload_refused(&self) {
        self.metrics.config.reloads.with_label_values(&["refused"]).inc();
    }

    /// Has `tell` told which log level the file asks for, after each reload.
    pub fn on_log_level(&self, tell: impl Fn(LogLevel) + Send + Sync + 'static) {
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

    /// Lets clients finish what they began, for as long as `shutdown.drain_timeout`, then ends.
    pub async fn shut_down(self) {
        self.shared.drain.cancel();
        self.sessions.close();
        let drain_timeout = self.running.state.lock().await.settings.shutdown.drain_timeout;
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

/// Whoever is the primary, its defaults are what sessions find everywhere.
async fn follow_primary(mut topology: watch::Receiver<Arc<Snapshot>>, servers: Servers, stop: CancellationToken) {
    loop {
        let primary = topology.borrow_and_update().primary().map(|primary| primary.id);
        if let Some(server) = primary.and_then(|id| servers.get(id)) {
            server.is_reference();
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = topology.changed() => if changed.is_err() { return },
        }
    }
}

fn bind(address: &ListenAddress, mode: u32) -> Result<Listener> {
    match address {
        ListenAddress::Tcp(address) => {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            socket.bind(*address)?;
            Ok(Listener::Tcp(socket.listen(BACKLOG)?))
        }
        ListenAddress::Unix(path) => {
            // A socket file left behind by a process that is gone would be in the way.
            if path.exists() && std::os::unix::net::UnixStream::connect(path).is_err() {
                std::fs::remove_file(path)?;
            }
            // The system's own backlog for unix sockets is as large as it allows.
            let listener = UnixListener::bind(path)?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
            Ok(Listener::Unix(listener))
        }
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
