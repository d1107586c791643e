//! The composition root: the only place that sees all settings and all modules.

mod controls;
mod rules;

use crate::backend::login::Account;
use crate::backend::server::{Reference, Server};
use crate::config::{self, ServerAddress, Settings};
use crate::consistency::scopes::Scopes;
use crate::frontend::definitions::Definitions;
use crate::frontend::digests::Digests;
use crate::frontend::gate::Gate;
use crate::frontend::handshake::Door;
use crate::frontend::listener::{Listener, listen};
use crate::frontend::passthrough::Passthrough;
use crate::frontend::pools::{PoolPlans, Pools};
use crate::frontend::proven::Proven;
use crate::frontend::registry::Registry;
use crate::frontend::shared::{ScopeKind, SessionMode, SessionSettings, Shared};
use crate::frontend::succession::Succession;
use crate::frontend::users::Users;
use crate::frontend::waits::Waits;
use crate::http;
use crate::lifecycle::doors::{Doors, places};
use crate::metrics::Metrics;
use crate::monitor::heartbeat::HeartbeatTable;
use crate::monitor::{self, MonitorSettings, Planned, ServerPlan};
use crate::net::budget::Budget;
use crate::net::listening::{Passed, Place};
use crate::net::names::Resolver;
use crate::net::socket::Address;
use crate::net::tls::{Acceptor, Connector, ServerTls, TlsError, Verify};
use crate::pool::PoolSettings;
use crate::protocol::capability::Capabilities;
use crate::route::rules::Rules;
use crate::topology::{ServerId, Snapshot};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Largest command of a client: what servers accept at most.
const MAX_PACKET: usize = 1 << 30;
/// How long background tasks may take to end.
const LAST_GRACE: Duration = Duration::from_secs(5);
/// Long enough to stand for "never".
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

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
    drain_timeout: Duration,
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
        let servers = servers(settings, resolver)?;
        let scopes = Arc::new(Scopes::default());
        let ((news, written), (doubts, doubted)) = (watch::channel(()), watch::channel(None));
        let topology = monitor::spawn(
            monitor_settings(settings),
            servers.iter().cloned().zip(settings.servers.iter().map(|s| plan(s, settings))).collect(),
            Arc::new(Account::listed(settings.monitor.user.clone(), settings.monitor.password.clone())),
            (written, doubted),
            metrics.server.clone(),
            &tasks,
            stop.clone(),
        );
        let accounts: Vec<Arc<Account>> = settings
            .users
            .iter()
            .map(|user| Arc::new(Account::listed(user.name.clone(), user.password.clone())))
            .collect();
        let passthrough = passthrough(settings, &servers, &topology);
        let pools = Pools::new(servers, pool_plans(settings), metrics.clone(), tasks.clone(), stop.clone());
        for account in &accounts {
            pools.of(account, Capabilities::empty());
        }
        let shared = Arc::new(Shared {
            door: door(settings, Users::new(accounts, passthrough))?,
            settings: session_settings(settings),
            topology,
            pools,
            scopes,
            definitions: settings.consistency.per_table.then(Definitions::default),
            news,
            doubts,
            metrics: metrics.session.clone(),
            registry: Arc::new(Registry::default()),
            memory: Budget::new(settings.limits.memory as usize, settings.pool.checkout_timeout),
            waits: Waits::default(),
            gate: Gate::new(metrics.session.waiting.clone()),
            proven: Proven::default(),
            digests: Digests::new(settings.admin.digests as usize),
            drain: CancellationToken::new(),
            succession: Succession::default(),
        });
        tasks.spawn(shared.clone().attend_gate(stop.clone()));
        tasks.spawn(shared.clone().follow_primary(stop.clone()));
        if settings.is_passthrough() {
            let (shared, unused) = (shared.clone(), settings.pool.idle_timeout.unwrap_or(NEVER));
            tasks.spawn(async move { shared.pools.tend(unused).await });
        }
        let mut app = Self {
            mysql: Vec::new(),
            http: None,
            admin: None,
            doors,
            shared,
            metrics,
            sessions,
            tasks,
            stop,
            drain_timeout: settings.shutdown.drain_timeout,
        };
        app.bind(settings, passed)?;
        Ok(app)
    }

    fn bind(&mut self, settings: &Settings, passed: &mut Passed) -> Result<()> {
        for place in places(&settings.listen) {
            let socket = self.doors.add(&place, "mysql", passed)?;
            self.mysql.extend(socket.tcp());
            let listener = Listener::on(socket)?;
            let until = (self.doors.gate().clone(), self.shared.drain.clone());
            self.tasks.spawn(listen(listener, self.shared.clone(), self.sessions.clone(), until));
        }
        if let Some(address) = settings.listen.http {
            let socket = self.doors.add(&Place::Tcp(address), "http", passed)?;
            self.http = socket.tcp();
            let listener = TcpListener::from_std(socket.acceptor()?.into())?;
            let state = http::State { shared: self.shared.clone(), metrics: self.metrics.clone() };
            self.tasks.spawn(http::serve(listener, state, (self.doors.gate().clone(), self.stop.clone())));
        }
        self.admin = controls::open(self, settings, passed)?;
        Ok(())
    }

    /// Whether every pool of every server that answers is warm.
    pub fn is_ready(&self) -> bool {
        http::unready(&self.shared).is_empty()
    }

    /// Waits until no client is left, while none can come.
    pub async fn all_left(&self) {
        self.sessions.close();
        self.sessions.wait().await;
    }

    /// Lets clients finish what they began, for as long as `shutdown.drain_timeout`, then ends.
    pub async fn shut_down(mut self) {
        self.shared.drain.cancel();
        self.doors.close(self.shared.succession.is_lingering());
        self.sessions.close();
        if tokio::time::timeout(self.drain_timeout, self.sessions.wait()).await.is_err() {
            tracing::warn!(clients = self.shared.registry.len(), "drain deadline reached, ending sessions");
            self.shared.registry.stop_all();
            let _late = tokio::time::timeout(LAST_GRACE, self.sessions.wait()).await;
        }
        self.stop.cancel();
        self.tasks.close();
        let _late = tokio::time::timeout(LAST_GRACE, self.tasks.wait()).await;
    }
}

/// The configured servers, with TLS ready to be spoken.
///
/// # Errors
/// Certificates that cannot be used.
pub fn servers(settings: &Settings, resolver: &Resolver) -> Result<Vec<Arc<Server>>> {
    let reference = Arc::new(Reference::default());
    settings
        .servers
        .iter()
        .zip(0..)
        .map(|(server, id)| {
            let address = address(&server.address);
            let tls = connector(server).with_context(|| format!("server '{}'", server.name))?;
            let made = Server::new(ServerId(id), server.name.clone(), address, tls)
                .with_parallel_dials(settings.pool.max_parallel_dials as usize)
                .with_resolver(resolver.clone())
                .with_reference(reference.clone());
            if server.role == config::Role::Primary {
                made.is_reference();
            }
            if settings.pool.pipelining == config::Pipelining::Off {
                made.early_tls.never();
            }
            Ok(Arc::new(made))
        })
        .collect()
}

fn address(address: &ServerAddress) -> Address {
    match address {
        ServerAddress::Tcp { host, port } => Address::Tcp { host: host.clone(), port: *port },
        ServerAddress::Unix(path) => Address::Unix(path.clone()),
    }
}

fn connector(server: &config::Server) -> Result<Option<Connector>, TlsError> {
    let config::ServerTls::On { trust, server_name, identity } = &server.tls else { return Ok(None) };
    let (verify, ca) = match trust {
        config::Trust::VerifyFull { ca } => (Verify::Full, ca.clone()),
        config::Trust::VerifyCa { ca } => (Verify::Ca, ca.clone()),
        config::Trust::Pin(digest) => (Verify::Pin(*digest), None),
    };
    let client_cert = identity.as_ref().map(|identity| (identity.cert.clone(), identity.key.clone()));
    let host = match &server.address {
        ServerAddress::Tcp { host, .. } => host.as_str(),
        ServerAddress::Unix(_) => "localhost",
    };
    Connector::new(&ServerTls { verify, ca, client_cert, server_name: server_name.clone() }, host).map(Some)
}

fn plan(server: &config::Server, settings: &Settings) -> ServerPlan {
    ServerPlan {
        role: match server.role {
            config::Role::Primary => Planned::Primary,
            config::Role::Replica => Planned::Replica,
            config::Role::Auto => Planned::Auto,
        },
        local: server.region.is_some() && server.region == settings.region,
        weight: server.weight,
        max_lag: server.max_lag,
    }
}

/// The table by which lag is measured, if there is one.
pub fn heartbeat(settings: &Settings) -> Option<HeartbeatTable> {
    settings.monitor.heartbeat.clone().map(|(schema, name)| HeartbeatTable { schema, name })
}

fn monitor_settings(settings: &Settings) -> MonitorSettings {
    let monitor = &settings.monitor;
    MonitorSettings {
        interval: monitor.interval,
        replica_interval: monitor.replica_interval,
        timeout: monitor.timeout,
        dns_interval: monitor.dns_interval,
        down_after: monitor.down_after,
        up_after: monitor.up_after,
        heartbeat: heartbeat(settings),
    }
}

fn pool_plans(settings: &Settings) -> PoolPlans {
    let plan = |bounds: &config::UserPool| pool_settings(bounds, &settings.pool);
    PoolPlans {
        listed: settings.users.iter().map(|user| (user.name.clone(), plan(&user.pool))).collect(),
        others: settings.is_passthrough().then(|| plan(&settings.pool.others)),
    }
}

fn pool_settings(bounds: &config::UserPool, pool: &config::Pool) -> PoolSettings {
    PoolSettings {
        min_warm: bounds.min_warm as usize,
        max: bounds.max as usize,
        checkout_timeout: pool.checkout_timeout,
        connect_timeout: pool.connect_timeout,
        idle_timeout: pool.idle_timeout.unwrap_or(NEVER),
        max_lifetime: pool.max_lifetime.unwrap_or(NEVER),
        ping_after: pool.ping_after.unwrap_or(NEVER),
        max_parallel_dials: pool.max_parallel_dials as usize,
        pipelining: match pool.pipelining {
            config::Pipelining::Auto => None,
            config::Pipelining::On => Some(true),
            config::Pipelining::Off => Some(false),
        },
    }
}

/// How users come in that the file does not list.
fn passthrough(
    settings: &Settings,
    servers: &[Arc<Server>],
    topology: &watch::Receiver<Arc<Snapshot>>,
) -> Option<Passthrough> {
    let config::Auth::Passthrough { recheck } = settings.auth else { return None };
    // A second server may still be asked, and the client told, before its login takes too long.
    let timeout = settings.pool.connect_timeout.min(settings.limits.login_timeout / 3);
    Some(Passthrough::new(servers.to_vec(), topology.clone(), recheck, timeout))
}

fn door(settings: &Settings, users: Users) -> Result<Door> {
    let (certificate, require_tls) = match &settings.listen.tls {
        config::ClientTls::Off => (None, false),
        config::ClientTls::Optional(certificate) => (Some(certificate), false),
        config::ClientTls::Required(certificate) => (Some(certificate), true),
    };
    let tls = match certificate {
        None => None,
        Some(config::Certificate::SelfSigned) => Some(Acceptor::generated(vec!["localhost".into()])?),
        Some(config::Certificate::Files(files)) => Some(Acceptor::from_files(&files.cert, &files.key)?),
    };
    let packet_limit = settings.limits.max_packet_before_login as usize;
    Ok(Door { users, tls, require_tls, packet_limit })
}

fn session_settings(settings: &Settings) -> SessionSettings {
    let is_session = |pool: &config::UserPool| pool.mode == config::PoolMode::Session;
    let session_mode = SessionMode {
        listed: settings.users.iter().map(|user| (user.name.clone(), is_session(&user.pool))).collect(),
        others: is_session(&settings.pool.others),
    };
    SessionSettings {
        scope: match settings.consistency.scope {
            config::Scope::Off => ScopeKind::Off,
            config::Scope::Connection => ScopeKind::Connection,
            config::Scope::User => ScopeKind::User,
            config::Scope::Key => ScopeKind::Key,
            config::Scope::Sidecar => ScopeKind::Sidecar,
        },
        wait: match settings.consistency.wait {
            config::ReadWait::Auto => None,
            config::ReadWait::AtMost(wait) => Some(wait),
        },
        pin_for: settings.consistency.pin_for,
        max_lag_by_user: settings.users.iter().filter_map(|u| Some((u.name.clone(), u.max_lag?))).collect(),
        rules: Rules::new(settings.rules.iter().map(rules::rule).collect()),
        session_mode,
        max_packet: MAX_PACKET,
        idle_timeout: settings.limits.idle_client_timeout,
        stall: settings.limits.stalled_client_timeout,
        login_timeout: settings.limits.login_timeout,
        max_clients: settings.limits.max_clients as usize,
        max_prepared: settings.limits.max_prepared_statements as usize,
        kill_abandoned: settings.limits.kill_abandoned,
        version: settings.listen.server_version.clone(),
        slow: settings.log.slow,
        primary_down: match settings.route.primary_down {
            config::PrimaryDown::Fail => None,
            config::PrimaryDown::Wait(longest) => Some(longest),
        },
        max_waiting: settings.limits.max_waiting as usize,
        limits_by_user: settings.users.iter().filter_map(|u| Some((u.name.clone(), u.max_clients?))).collect(),
    }
}
