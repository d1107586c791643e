//! What every session shares.

use super::definitions::Definitions;
use super::digests::Digests;
use super::gate::Gate;
use super::handshake::{Door, Welcome};
use super::naming::Naming;
use super::optimistic::Spoiled;
use super::pools::Pools;
use super::proven::Proven;
use super::registry::Registry;
use super::succession::Succession;
use super::waits::Waits;
use crate::backend::login::Account;
use crate::backend::server::{Collation, Facts, Server, family};
use crate::consistency::gtid::Family;
use crate::consistency::scopes::Scopes;
use crate::metrics::SessionMetrics;
use crate::net::budget::Budget;
use crate::protocol::auth::Scramble;
use crate::protocol::capability::Capabilities;
use crate::route::rules::Rules;
use crate::sql::{ReadFunctions, Transactions};
use crate::state::literal;
use crate::topology::{ServerId, Snapshot};
use arc_swap::{ArcSwap, Guard};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Whatever clients do, all servers are asked at once no sooner than this after the last time.
const NOT_SO_OFTEN: Duration = Duration::from_secs(1);
/// So long a look at the servers may take before statements go on that an operator has held back.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked whether nothing is under way, while an operator waits for that.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How far a client's own writes are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeKind {
    /// Not at all.
    Off,
    /// For the connection.
    Connection,
    /// For the user, across connections.
    User,
    /// For a key that the application names, across connections and users.
    Key,
    /// For everyone here.
    Sidecar,
}

/// Whose sessions keep one connection each.
#[derive(Debug, Clone, Default)]
pub struct SessionMode {
    /// By listed user.
    pub listed: HashMap<String, bool>,
    /// Everybody else's.
    pub others: bool,
}

impl SessionMode {
    /// The same, with nobody listed who is like the others: most often nobody at all, who need not be looked for.
    pub fn without_the_usual(mut self) -> Self {
        let others = self.others;
        self.listed.retain(|_, is_session| *is_session != others);
        self
    }

    /// Whether those of this user do.
    pub fn is_for(&self, user: &str) -> bool {
        if self.listed.is_empty() {
            return self.others;
        }
        self.listed.get(user).copied().unwrap_or(self.others)
    }
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
    /// How far a replica may be behind for users with a limit of their own.
    pub max_lag_by_user: HashMap<String, Duration>,
    /// Where transactions read until they first write; hints, rules and users may say otherwise.
    pub transactions: Transactions,
    /// The same for users with a wish of their own.
    pub transactions_by_user: HashMap<String, Transactions>,
    /// Whether a transaction is run again whose connection is lost.
    pub transaction_replay: bool,
    /// Whether what optimistic transactions read is verified; false only in the test of the test.
    pub verify_transactions: bool,
    /// What happens to which reads and transactions.
    pub rules: Rules,
    /// Stored functions that are declared to only read.
    pub read_functions: Arc<ReadFunctions>,
    /// Who keeps one connection for each session (`pool.mode = "session"`).
    pub session_mode: SessionMode,
    /// Largest command.
    pub max_packet: usize,
    /// A client that says nothing for this long is disconnected.
    pub idle_timeout: Option<Duration>,
    /// How long a client may stop in the middle of a command or of taking an answer.
    pub stall: Option<Duration>,
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
    /// Statements that take longer are logged.
    pub slow: Option<Duration>,
    /// How long what needs the primary waits for one; `None`: not at all.
    pub primary_down: Option<Duration>,
    /// The same for users with a wish of their own.
    pub primary_down_by_user: HashMap<String, Option<Duration>>,
    /// Most statements that wait at the gate.
    pub max_waiting: usize,
}

impl SessionSettings {
    /// How long what a user needs the primary for waits for one.
    pub fn primary_down_for(&self, user: &str) -> Option<Duration> {
        self.primary_down_by_user.get(user).copied().unwrap_or(self.primary_down)
    }
}

/// What sessions share.
#[derive(Debug)]
pub struct Shared {
    /// Who may come in.
    pub door: ArcSwap<Door>,
    /// Their settings.
    pub settings: ArcSwap<SessionSettings>,
    /// Counts changes of the configuration: whoever finds another number than before looks what there is now.
    pub changes: AtomicU64,
    /// The servers as last seen.
    pub topology: watch::Receiver<Arc<Snapshot>>,
    /// Connections.
    pub pools: Pools,
    /// Consistency scopes of users and keys.
    pub scopes: Arc<Scopes>,
    /// What is known of tables, for those who want to know.
    pub definitions: Definitions,
    /// Tells the monitor of each write: replicas will apply it in a moment.
    pub news: watch::Sender<()>,
    /// Has the monitor ask all servers at once: something is not as it is known to be.
    pub doubts: watch::Sender<Option<Instant>>,
    /// What is counted.
    pub metrics: SessionMetrics,
    /// Who is connected.
    pub registry: Arc<Registry>,
    /// Memory for what is large of what clients send.
    pub memory: Budget,
    /// Reads that wait for replicas.
    pub waits: Waits,
    /// Statements that cannot run now.
    pub gate: Gate,
    /// What servers have accepted before.
    pub proven: Proven,
    /// What was seen on connections that are kept, and is to be named by others.
    pub naming: Naming,
    /// Reads that transactions do not begin with on a replica for now.
    pub spoiled: Spoiled,
    /// Which statements there were, where they went and how long they took; `None`: nobody wants to know.
    pub digests: Option<Digests>,
    /// Accept no new clients and let the present ones finish.
    pub drain: CancellationToken,
    /// What processes that serve the same clients tell each other.
    pub succession: Succession,
}

impl Shared {
    /// A process that lingered has gone, or tells somebody else by now.
    pub fn elder_left(&self) {
        self.succession.elder_left();
        self.definitions_may_differ();
    }

    /// Somebody else may have changed the definitions of tables, and told nobody.
    pub fn definitions_may_differ(&self) {
        drop(self.definitions.change());
    }

    /// The servers as last seen.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.topology.borrow().clone()
    }

    /// Has all servers asked at once, because something is not as it is known to be; not too often. Returns whether
    /// they will be.
    pub fn look_again(&self) -> bool {
        self.doubts.send_if_modified(|last| {
            let due = last.is_none_or(|last| last.elapsed() > NOT_SO_OFTEN);
            if due {
                *last = Some(Instant::now());
            }
            due
        })
    }

    /// How many connections to servers are in use: by a statement, a transaction, or a session that holds one.
    pub fn under_way(&self) -> usize {
        self.pools.all().iter().map(|pool| pool.counts().leased).sum()
    }

    /// Waits, while the gate is paused, until nothing is under way. Returns whether that came to pass; otherwise
    /// somebody has resumed.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn at_rest(&self) -> bool {
        while self.gate.is_paused() {
            if self.under_way() == 0 {
                return true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        false
    }

    /// Lets go on who waits because it is paused, once the servers have been looked at: roles may have changed meanwhile,
    /// and nobody may have looked since. How many statements have waited.
    pub async fn resume(&self) -> usize {
        let (waiting, now) = (self.gate.waiting(), Instant::now());
        self.doubts.send_replace(Some(now));
        let mut topology = self.topology.clone();
        let looked = topology.wait_for(|seen| seen.report.as_ref().is_none_or(|report| report.asked > now));
        drop(tokio::time::timeout(LOOK_WITHIN, looked).await);
        self.gate.resume();
        waiting
    }

    /// Whoever is the primary, its defaults are what sessions find everywhere, until `stop`.
    pub async fn follow_primary(self: Arc<Self>, stop: CancellationToken) {
        let mut topology = self.topology.clone();
        loop {
            let primary = topology.borrow_and_update().primary().map(|primary| primary.id);
            if let Some(server) = primary.and_then(|id| self.server(id)) {
                server.is_reference();
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = topology.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Calls those who wait at the gate, until `stop`.
    pub async fn attend_gate(self: Arc<Self>, stop: CancellationToken) {
        let _stopped = stop.run_until_cancelled(self.gate.attend(self.topology.clone())).await;
    }

    /// The settings of sessions as they are now. Not for keeping.
    pub fn settings(&self) -> Guard<Arc<SessionSettings>> {
        self.settings.load()
    }

    /// How often the configuration has changed.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The account that a user has now who logged in with this one; `None` if the file lists it no more.
    pub fn account_now(&self, account: &Arc<Account>) -> Option<Arc<Account>> {
        let door = self.door.load();
        if account.is_lent() {
            return door.users.passthrough.as_ref().map(|_| account.clone());
        }
        door.users.find(&account.user).cloned()
    }

    /// A server by id.
    pub fn server(&self, id: ServerId) -> Option<Arc<Server>> {
        self.pools.servers().get(id)
    }

    /// What the first server tells that is asked for it and knows.
    fn first<T>(&self, told: impl Fn(&Server) -> Option<T>) -> Option<T> {
        self.pools.servers().all().iter().filter(|server| !server.is_retired()).find_map(|server| told(server))
    }

    /// How clients are greeted: as the primary would, or else as any server we know would.
    pub fn welcome(&self) -> Welcome {
        let primary = self.snapshot().primary().map(|p| p.id);
        let known = primary.and_then(|id| self.server(id)?.facts()).or_else(|| self.first(Server::facts));
        let version = self.settings().version.clone();
        match known {
            Some(facts) => {
                let version = version.unwrap_or_else(|| facts.version.clone());
                let scramble = match family(&version) {
                    Family::MariaDb => Scramble::Native,
                    Family::MySql => Scramble::CachingSha2,
                };
                let extras = match family(&version) {
                    Family::MariaDb => facts.capabilities & (Capabilities::MARIADB | Capabilities::CACHE_METADATA),
                    Family::MySql => {
                        let optional = Capabilities::QUERY_ATTRIBUTES | Capabilities::OPTIONAL_RESULTSET_METADATA;
                        let known = facts.capabilities & optional;
                        known | Capabilities::ZSTD_COMPRESSION
                    }
                };
                Welcome { version, collation: facts.collation, extras, scramble }
            }
            None => {
                let version = version.unwrap_or_else(|| concat!("8.4.0-landbridge-", env!("CARGO_PKG_VERSION")).into());
                let extras = Capabilities::empty();
                Welcome { version, collation: 45, extras, scramble: Scramble::CachingSha2 }
            }
        }
    }

    /// The family of the servers, as far as known.
    pub fn family(&self) -> Family {
        self.first(Server::facts).map_or(Family::MySql, |facts| family(&facts.version))
    }

    /// The `sql_mode` of a session that sets none, as far as known.
    pub fn sql_mode(&self) -> Option<String> {
        self.default_of("sql_mode")
    }

    /// The facts that say what a session has which sets nothing.
    pub fn reference(&self) -> Option<Arc<Facts>> {
        self.first(Server::reference)
    }

    /// What `SET name = DEFAULT` means at the primary, as SQL; `None` if that is not known. On MySQL the
    /// collation of `SET NAMES DEFAULT` is nowhere to be seen.
    pub fn meaning_of_default(&self, name: &[u8]) -> Option<Vec<u8>> {
        let facts = self.reference()?;
        let name = match std::str::from_utf8(name).ok()?.to_ascii_lowercase() {
            names if names == "names" && family(&facts.version) == Family::MariaDb => "character_set_client".into(),
            name => name,
        };
        literal(facts.defaults.default_value(&name)?.as_bytes())
    }

    /// The value of a variable that a session has which sets none, as far as known.
    pub fn default_of(&self, name: &str) -> Option<String> {
        let facts = self.reference()?;
        facts.defaults.get(name).map(str::to_owned)
    }

    /// The collation of an id, if a server told.
    pub fn collation(&self, id: u16) -> Option<Collation> {
        self.first(|server| server.facts()?.collations.get(&id).cloned())
    }

    /// The id of a collation, or of a character set's default one, and the most bytes of a character
    /// of it, if a server told.
    pub fn collation_named(&self, charset: &str, collation: Option<&str>) -> Option<(u16, u32)> {
        let facts = self.first(Server::facts)?;
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
}
