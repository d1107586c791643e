//! What every session shares.

use super::handshake::{Door, Welcome};
use super::proven::Proven;
use super::registry::Registry;
use crate::backend::login::Account;
use crate::backend::server::{Collation, Server, family};
use crate::consistency::gtid::Family;
use crate::consistency::token::{Scope, Scopes};
use crate::metrics::{Metrics, SessionMetrics};
use crate::pool::{Pool, PoolSettings};
use crate::protocol::auth::Plugin;
use crate::protocol::capability::Capabilities;
use crate::state::literal;
use crate::topology::{ServerId, Snapshot};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How far a client's own writes are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeKind {
    /// Not at all.
    Off,
    /// For the connection.
    Connection,
    /// For the user, across connections.
    User,
    /// For everyone here.
    Sidecar,
}

/// Settings of sessions.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// How far writes are remembered.
    pub scope: ScopeKind,
    /// How long a read may wait on a replica; `None`: about one round trip to the primary.
    pub wait: Option<Duration>,
    /// How long reads stay at the primary after a write, where servers have no GTIDs.
    pub pin_for: Duration,
    /// Whether each session keeps one connection (`pool.mode = "session"`), by user.
    pub session_mode: HashSet<String>,
    /// Largest command.
    pub max_packet: usize,
    /// A client that says nothing for this long is disconnected.
    pub idle_timeout: Option<Duration>,
    /// How long a login may take.
    pub login_timeout: Duration,
    /// Most clients.
    pub max_clients: usize,
    /// Most prepared statements of one client.
    pub max_prepared: usize,
    /// Whether what a client that has gone still runs is ended at the server.
    pub kill_abandoned: bool,
    /// Most clients of one user, for users with a limit.
    pub limits_by_user: HashMap<String, u32>,
    /// Server version to announce instead of the real one.
    pub version: Option<String>,
}

/// The pools by server, user and login flags.
#[derive(Debug)]
pub struct Pools {
    servers: Vec<Arc<Server>>,
    settings: HashMap<String, PoolSettings>,
    made: RwLock<HashMap<(String, Capabilities), ServerPools>>,
    metrics: Metrics,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// An account's pools, one for each server in order.
pub type ServerPools = Arc<[Arc<Pool>]>;

/// Login flags that cannot be changed later: part of a pool's key.
pub const POOL_FLAGS: Capabilities = Capabilities::FOUND_ROWS;

impl Pools {
    /// Pools for these servers; `settings` by user name.
    pub fn new(
        servers: Vec<Arc<Server>>,
        settings: HashMap<String, PoolSettings>,
        metrics: Metrics,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self { servers, settings, made: RwLock::default(), metrics, tasks, stop }
    }

    /// The servers.
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// The pools of an account, one for each server in order; made and kept warm from the first
    /// time they are asked for.
    pub fn of(&self, account: &Arc<Account>, flags: Capabilities) -> ServerPools {
        let key = (account.user.clone(), flags & POOL_FLAGS);
        if let Some(pools) = self.made.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return pools.clone();
        }
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        made.entry(key).or_insert_with(|| self.make(account, flags & POOL_FLAGS)).clone()
    }

    fn make(&self, account: &Arc<Account>, flags: Capabilities) -> ServerPools {
        let Some(settings) = self.settings.get(&account.user) else { return Arc::new([]) };
        let start = |server: &Arc<Server>| {
            let metrics = self.metrics.for_pool(&server.name);
            let pool = Pool::new(server.clone(), account.clone(), flags, settings.clone(), metrics);
            self.tasks.spawn(pool.clone().keep(self.stop.clone()));
            pool
        };
        self.servers.iter().map(start).collect()
    }

    /// Every pool there is.
    pub fn all(&self) -> Vec<Arc<Pool>> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        made.values().flat_map(|pools| pools.iter().cloned()).collect()
    }
}

/// What sessions share.
#[derive(Debug)]
pub struct Shared {
    /// Who may come in.
    pub door: Door,
    /// Their settings.
    pub settings: SessionSettings,
    /// The servers as last seen.
    pub topology: watch::Receiver<Arc<Snapshot>>,
    /// Connections.
    pub pools: Pools,
    /// Consistency scopes of users.
    pub scopes: Arc<Scopes>,
    /// What is counted.
    pub metrics: SessionMetrics,
    /// Who is connected.
    pub registry: Arc<Registry>,
    /// What servers have accepted before.
    pub proven: Proven,
    /// Accept no new clients and let the present ones finish.
    pub drain: CancellationToken,
}

impl Shared {
    /// The servers as last seen.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.topology.borrow().clone()
    }

    /// A server by id.
    pub fn server(&self, id: ServerId) -> Option<&Arc<Server>> {
        self.pools.servers().get(usize::from(id.0))
    }

    /// How clients are greeted: as the primary would, or else as any server we know would.
    pub fn welcome(&self) -> Welcome {
        let primary = self.snapshot().primary().map(|p| p.id);
        let known = primary
            .and_then(|id| self.server(id)?.facts())
            .or_else(|| self.pools.servers().iter().find_map(|server| server.facts()));
        let version = self.settings.version.clone();
        match known {
            Some(facts) => {
                let version = version.unwrap_or_else(|| facts.version.clone());
                let plugin = match family(&version) {
                    Family::MariaDb => Plugin::Native,
                    Family::MySql => Plugin::CachingSha2,
                };
                Welcome { version, collation: facts.collation, plugin }
            }
            None => {
                let version = version.unwrap_or_else(|| concat!("8.4.0-landbridge-", env!("CARGO_PKG_VERSION")).into());
                Welcome { version, collation: 45, plugin: Plugin::CachingSha2 }
            }
        }
    }

    /// The family of the servers, as far as known.
    pub fn family(&self) -> Family {
        self.pools.servers().iter().find_map(|s| s.facts()).map_or(Family::MySql, |facts| family(&facts.version))
    }

    /// The `sql_mode` of a session that sets none, as far as known.
    pub fn sql_mode(&self) -> Option<String> {
        self.default_of("sql_mode")
    }

    /// What `SET name = DEFAULT` means at the primary, as SQL; `None` if that is not known.
    pub fn meaning_of_default(&self, name: &[u8]) -> Option<Vec<u8>> {
        let facts = self.pools.servers().iter().find_map(|server| server.reference())?;
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        literal(facts.defaults.default_value(&name)?.as_bytes())
    }

    /// The value of a variable that a session has which sets none, as far as known.
    pub fn default_of(&self, name: &str) -> Option<String> {
        let facts = self.pools.servers().iter().find_map(|server| server.reference())?;
        facts.defaults.get(name).map(str::to_owned)
    }

    /// The collation of an id, if a server told.
    pub fn collation(&self, id: u16) -> Option<Collation> {
        self.pools.servers().iter().find_map(|s| s.facts()?.collations.get(&id).cloned())
    }

    /// The id of a collation, or of a character set's default one, and the most bytes of a character
    /// of it, if a server told.
    pub fn collation_named(&self, charset: &str, collation: Option<&str>) -> Option<(u16, u32)> {
        let facts = self.pools.servers().iter().find_map(|s| s.facts())?;
        let is_meant = |c: &Collation| match collation {
            Some(name) => c.name == name,
            None => c.charset == charset && c.is_default,
        };
        let (id, found) = facts.collations.iter().find(|(_, collation)| is_meant(collation))?;
        let bytes = match &*found.charset {
            "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" => 4,
            "utf8" | "utf8mb3" | "eucjpms" | "ujis" => 3,
            "big5" | "cp932" | "euckr" | "gb2312" | "gbk" | "sjis" | "ucs2" => 2,
            _ => 1,
        };
        Some((*id, bytes))
    }

    /// The consistency scope of a new session of `user`.
    pub fn scope(&self, user: &str) -> Option<Arc<Scope>> {
        match self.settings.scope {
            ScopeKind::Off => None,
            ScopeKind::Connection => Some(Arc::default()),
            ScopeKind::User => Some(self.scopes.scope(user)),
            ScopeKind::Sidecar => Some(self.scopes.scope("")),
        }
    }
}
