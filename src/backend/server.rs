//! A server as configured, and what was learned about it when connections opened.

use super::acquaintance::Acquaintance;
use super::defaults::Defaults;
use super::query::Row;
use super::reach::Reach;
use super::space::Space;
use crate::consistency::gtid::Family;
use crate::net::names::{Names, Resolver};
use crate::net::socket::Address;
use crate::net::tls::Connector;
use crate::protocol::capability::Capabilities;
use crate::topology::ServerId;
use arc_swap::ArcSwapOption;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// So many connections at a time do nothing but end what runs on others.
const MOST_KILLS: usize = 8;

/// One configured server.
#[derive(Debug)]
pub struct Server {
    /// Its place in the configuration.
    pub id: ServerId,
    /// Its name.
    pub name: String,
    /// Where it is, as configured.
    pub address: Address,
    /// Where that is now.
    pub names: Names,
    /// How to speak TLS with it; `None` is plaintext, asked for by name.
    pub tls: Option<Connector>,
    facts: ArcSwapOption<Facts>,
    /// Whether TLS may begin before it greets.
    pub early_tls: EarlyTls,
    /// What all who dial it share.
    pub reach: Reach,
    /// Whether its disks are full.
    pub space: Space,
    /// Turns of those who end statements there, each on a connection of its own.
    pub kills: Semaphore,
    /// Whose defaults count; shared by all servers of one configuration.
    reference: Arc<Reference>,
    setup: ArcSwapOption<Levelled>,
    /// Whether it refused what would level it with the primary.
    unlevelled: AtomicBool,
    /// How often its name has come to stand for another host, as far as the monitor followed it there.
    pub(super) moves: AtomicU64,
    /// How well it is known.
    pub(super) known: Acquaintance,
    /// Cancelled once the configuration has it no more.
    retired: CancellationToken,
}

/// The server whose defaults every session shall find everywhere: the primary.
#[derive(Debug, Default)]
pub struct Reference {
    /// The primary's id, and one more, so that 0 is nobody.
    primary: AtomicUsize,
    facts: ArcSwapOption<Facts>,
    /// Grows, behind the change, with all that is told of any server: whoever finds another number looks again.
    told: AtomicU64,
    /// Grows when server-wide variables change: sessions that are open already have the old ones.
    variables: AtomicU64,
    /// Grows when accounts or privileges change: a login keeps what it had.
    accounts: AtomicU64,
    /// Grows when something changes that a connection keeps from its first login to its end.
    generation: AtomicU64,
}

/// Whether a server may be asked for TLS before it has greeted: a round trip less. What it will offer must
/// be known, from its last greeting.
#[derive(Debug, Default)]
pub struct EarlyTls(Mutex<Early>);

#[derive(Debug, Clone, Copy, Default)]
enum Early {
    /// It has not greeted yet.
    #[default]
    Unknown,
    /// It offered these.
    Offered(Capabilities),
    /// It is not to be tried, or was tried in vain.
    Never,
}

impl Reference {
    fn tell(&self) {
        self.told.fetch_add(1, Ordering::AcqRel);
    }
}

impl EarlyTls {
    /// What the server will offer, if it may be asked early.
    pub fn offer(&self) -> Option<Capabilities> {
        if let Early::Offered(capabilities) = *self.lock() { Some(capabilities) } else { None }
    }

    /// The server has greeted.
    pub fn remember(&self, offer: Capabilities) {
        let mut early = self.lock();
        if !matches!(*early, Early::Never) {
            *early = Early::Offered(offer);
        }
    }

    /// From now on the server is to be waited for.
    pub fn never(&self) {
        *self.lock() = Early::Never;
    }

    fn lock(&self) -> MutexGuard<'_, Early> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection needs before it serves anybody: once after login and after each reset.
#[derive(Debug, PartialEq, Eq)]
pub struct Setup {
    /// Statements, each closed by `;`.
    pub sql: Vec<u8>,
    /// How many.
    pub statements: usize,
    /// For which state of the server-wide variables.
    variables: u64,
}

/// A set-up, and from what it was worked out.
#[derive(Debug)]
struct Levelled {
    /// What had been [told](Reference::told) by then.
    told: u64,
    setup: Arc<Setup>,
}

/// What only the server itself knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Version as in its greeting.
    pub version: String,
    /// What it offered.
    pub capabilities: Capabilities,
    /// Default collation id (low byte, as in the greeting).
    pub collation: u8,
    /// Character sets by collation id, with the collation's name.
    pub collations: Arc<HashMap<u16, Collation>>,
    /// What a session has that sets nothing.
    pub defaults: Defaults,
    /// Whether it executes several commands sent in one write.
    pub pipelining: bool,
}

/// A collation and its character set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collation {
    /// Name of the character set.
    pub charset: String,
    /// Name of the collation.
    pub name: String,
    /// Whether it is the one that its character set has if none is named.
    pub is_default: bool,
}

impl Server {
    /// A server nothing is known of yet.
    pub fn new(id: ServerId, name: String, address: Address, tls: Option<Connector>) -> Self {
        Self {
            id,
            name,
            names: Names::new(&address, Resolver::System),
            address,
            tls,
            facts: ArcSwapOption::empty(),
            early_tls: EarlyTls::default(),
            reach: Reach::default(),
            space: Space::default(),
            kills: Semaphore::new(MOST_KILLS),
            reference: Arc::default(),
            setup: ArcSwapOption::empty(),
            unlevelled: AtomicBool::new(false),
            moves: AtomicU64::new(0),
            known: Acquaintance::default(),
            retired: CancellationToken::new(),
        }
    }

    /// The configuration has it no more: it gets no new connection, and those it has go when they are free.
    pub fn retire(&self) {
        self.retired.cancel();
        self.reference.tell();
    }

    /// Grows with all that is told of this server and of those of the same configuration.
    pub fn told(&self) -> u64 {
        self.reference.told.load(Ordering::Acquire)
    }

    /// Whether the configuration has it no more.
    pub fn is_retired(&self) -> bool {
        self.retired.is_cancelled()
    }

    /// Waits until the configuration has it no more.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn retired(&self) {
        self.retired.cancelled().await;
    }

    /// It refuses to have its defaults changed for a session: it is left as it is.
    pub fn cannot_be_levelled(&self) {
        self.unlevelled.store(true, Ordering::Release);
        self.reference.tell();
    }

    /// Has its name resolved by somebody else than the system.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Resolver) -> Self {
        self.names = Names::new(&self.address, resolver);
        self
    }

    /// Lets so many dial at a time.
    #[must_use]
    pub fn with_parallel_dials(mut self, dials: usize) -> Self {
        self.reach = Reach::new(dials);
        self
    }

    /// Makes it one of several servers that share a reference.
    #[must_use]
    pub fn with_reference(mut self, reference: Arc<Reference>) -> Self {
        self.reference = reference;
        self
    }

    /// What it shares with other servers of its configuration.
    pub fn shared_reference(&self) -> Arc<Reference> {
        self.reference.clone()
    }

    /// Notes that this server is the primary: its defaults are what sessions find everywhere.
    pub fn is_reference(&self) {
        let id = usize::from(self.id.0) + 1;
        if self.reference.primary.swap(id, Ordering::AcqRel) != id {
            self.reference.facts.store(self.facts());
            self.reference.tell();
        }
    }

    /// Whether it is the primary, as far as known.
    pub fn is_primary(&self) -> bool {
        self.reference.primary.load(Ordering::Acquire) == usize::from(self.id.0) + 1
    }

    /// The facts of the primary, if they are known, or else this server's.
    pub fn reference(&self) -> Option<Arc<Facts>> {
        self.reference.facts.load_full().or_else(|| self.facts())
    }

    /// What a connection to it needs before it serves anybody.
    pub fn setup(&self, family: Family) -> Arc<Setup> {
        // Ahead of what it counts: what is told meanwhile is looked at next time.
        let told = self.told();
        if let Some(known) = &*self.setup.load()
            && known.told == told
        {
            return known.setup.clone();
        }
        let variables = self.reference.variables.load(Ordering::Acquire);
        let (own, reference) = (self.facts.load_full(), self.reference.facts.load_full());
        let level = own.as_deref().filter(|_| !self.unlevelled.load(Ordering::Acquire));
        let setup = Arc::new(Setup { variables, ..Setup::new(family, level, reference.as_deref()) });
        // Of two who work it out at once one is forgotten: both mean the same, but connections set up
        // by it would be set up again.
        let kept = match &*self.setup.load() {
            Some(known) if known.setup == setup => known.setup.clone(),
            _ => setup,
        };
        self.setup.store(Some(Arc::new(Levelled { told, setup: kept.clone() })));
        kept
    }

    /// What was learned, once a connection has been opened.
    pub fn facts(&self) -> Option<Arc<Facts>> {
        self.facts.load_full()
    }

    /// Remembers what a connection learned.
    pub fn learn(&self, facts: Facts) {
        let facts = Arc::new(facts);
        self.facts.store(Some(facts.clone()));
        if self.is_primary() {
            self.reference.facts.store(Some(facts));
        }
        self.reference.tell();
    }

    /// Notes that a server-wide variable was set here, so that `reset` is what new sessions get now:
    /// every connection is set up anew before it serves again.
    pub fn variables_changed(&self, reset: Option<Vec<Row>>) {
        if let (Some(facts), Some(reset)) = (self.facts(), reset) {
            let defaults = facts.defaults.after_change(reset);
            self.learn(Facts { defaults, ..Facts::clone(&facts) });
        }
        self.reference.variables.fetch_add(1, Ordering::AcqRel);
        self.reference.tell();
    }

    /// Notes that accounts, privileges or what connections have read of a schema changed: every connection
    /// logs in anew before it serves again.
    pub fn logins_outdated(&self) {
        self.reference.accounts.fetch_add(1, Ordering::AcqRel);
    }

    /// The state of server-wide variables, as a number that grows.
    pub(super) fn variables(&self) -> u64 {
        self.reference.variables.load(Ordering::Acquire)
    }

    /// The state of accounts and privileges, as a number that grows.
    pub fn accounts(&self) -> u64 {
        self.reference.accounts.load(Ordering::Acquire)
    }

    /// Notes that something changed which a connection keeps to its end, such as the size of the largest packet:
    /// no connection that is open now serves anybody else.
    pub fn connections_outdated(&self) {
        self.reference.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// The state of what connections keep to their end, as a number that grows.
    pub fn generation(&self) -> u64 {
        // Both only grow.
        self.reference.generation.load(Ordering::Acquire) + self.moves.load(Ordering::Acquire)
    }
}

impl Setup {
    fn new(family: Family, own: Option<&Facts>, reference: Option<&Facts>) -> Self {
        let mut sql = [tracking_sql(family), b";"].concat();
        // Servers of different families have little in common that could be levelled.
        let same_family = reference.filter(|facts| self::family(&facts.version) == family);
        let level = own.map(|own| own.defaults.level_with(same_family.map(|facts| &facts.defaults)));
        let mut statements = 1;
        for (name, value) in level.unwrap_or_default() {
            sql.extend_from_slice(if statements == 1 { b"SET " } else { b"," });
            statements = 2;
            sql.extend_from_slice(name.as_bytes());
            sql.push(b'=');
            sql.extend_from_slice(&value);
        }
        if statements > 1 {
            sql.push(b';');
        }
        Self { sql, statements, variables: 0 }
    }
}

/// The family a version text tells of.
pub fn family(version: &str) -> Family {
    if version.contains("MariaDB") { Family::MariaDb } else { Family::MySql }
}

/// What every backend connection must have set so that the server reports what we rely on.
///
/// `*` makes the server the second witness of every session variable that changes.
pub fn tracking_sql(family: Family) -> &'static [u8] {
    match family {
        Family::MySql => {
            b"SET @@SESSION.session_track_gtids='OWN_GTID',@@SESSION.session_track_system_variables='*',\
              @@SESSION.session_track_state_change='ON'"
        }
        Family::MariaDb => b"SET @@SESSION.session_track_system_variables='*',@@SESSION.session_track_state_change=ON",
    }
}
