//! What really happened: all servers, every write, and what must not have been.

use super::random::Random;
use super::tag::Tag;
use super::wire::Cord;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// The primary's place among the servers.
pub const PRIMARY: usize = 0;
/// Names all transactions.
pub const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

/// How often what goes wrong, per mille of commands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// The connection ends, before or after the command ran, or in the middle of the answer.
    pub cuts: u64,
    /// The command fails.
    pub errors: u64,
    /// The answer takes long.
    pub stalls: u64,
    /// The answer is not what the protocol has.
    pub nonsense: u64,
    /// A dial fails, in one way or another.
    pub dials: u64,
    /// A server goes away for a while: per mille of the monitor's rounds.
    pub outages: u64,
}

/// What is to happen to a certain statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It fails.
    Fail,
    /// Its connection ends, with nothing answered.
    HangUp,
    /// Nothing is ever answered, and the connection stays.
    Silence,
}

/// One server.
#[derive(Debug)]
pub struct Machine {
    /// Whether it runs.
    pub up: bool,
    /// It has executed the transactions 1 to this.
    pub executed: u64,
    /// Number of the last connection.
    pub last_thread: u32,
    /// Connections by number.
    pub connections: HashMap<u32, Cord>,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, Default)]
pub struct Write {
    /// How often it ran.
    pub ran: u32,
    /// The transaction that committed it.
    pub committed: Option<u64>,
}

/// Where a transaction is: a server, a connection, and the statement that opened it.
pub type Place = (usize, u32, u64);

/// Everything.
#[derive(Debug)]
pub struct Facts {
    /// The servers.
    pub machines: Vec<Machine>,
    /// By the number of the statement.
    pub writes: HashMap<u64, Write>,
    /// The connection of each transaction of a client, and its first statement.
    pub transactions: HashMap<u64, Place>,
    /// Those of which a client has seen something.
    pub seen_of: HashSet<u64>,
    /// What each user has seen.
    pub seen: HashMap<String, u64>,
    /// Whether servers mean what they say.
    pub honest: bool,
    /// Landbridge's numbers of clients, past ones among them.
    pub threads: Vec<u32>,
    /// Statements so far.
    pub statements: u64,
    /// Values of `AUTO_INCREMENT` so far.
    pub inserted: u64,
    /// Faults so far.
    pub faults: u64,
    /// What happens to the next statement with this text in it.
    pub orders: Vec<(&'static str, Order)>,
    /// What must not have been.
    pub violations: Vec<String>,
    /// What happened, in order.
    pub story: Vec<String>,
}

/// What everybody here shares.
#[derive(Debug)]
pub struct World {
    facts: Mutex<Facts>,
    /// How often what goes wrong.
    pub faults: Faults,
    /// Told when a server has executed more.
    pub progress: Notify,
}

impl World {
    /// With so many servers, the first of them the primary.
    pub fn new(servers: usize, faults: Faults) -> Arc<Self> {
        let machine = |_| Machine { up: true, executed: 1, last_thread: 0, connections: HashMap::new() };
        let facts = Facts {
            machines: (0..servers).map(machine).collect(),
            writes: HashMap::new(),
            transactions: HashMap::new(),
            seen_of: HashSet::new(),
            seen: HashMap::new(),
            honest: faults.nonsense == 0,
            threads: Vec::new(),
            statements: 0,
            inserted: 0,
            faults: 0,
            orders: Vec::new(),
            violations: Vec::new(),
            story: Vec::new(),
        };
        Arc::new(Self { facts: Mutex::new(facts), faults, progress: Notify::new() })
    }

    /// All that is known.
    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether states and rows can be believed: not where servers talk nonsense.
    pub fn is_honest(&self) -> bool {
        self.facts().honest
    }

    /// Notes what must not have been.
    pub fn violated(&self, what: impl Into<String>) {
        self.facts().violated(what);
    }

    /// Notes what happened.
    pub fn tell(&self, what: impl Into<String>) {
        self.facts().story.push(what.into());
    }
}

impl Facts {
    /// Notes what must not have been.
    pub fn violated(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.story.push(format!("VIOLATION: {what}"));
        self.violations.push(what);
    }

    /// Takes the order for a statement, if there is one.
    pub fn ordered(&mut self, text: &str) -> Option<Order> {
        let at = self.orders.iter().position(|(part, _)| text.contains(part))?;
        Some(self.orders.remove(at).1)
    }

    /// The number of the next statement.
    pub fn next_statement(&mut self) -> u64 {
        self.statements += 1;
        self.statements
    }

    /// The primary commits these writes; the number of the transaction.
    pub fn commit(&mut self, writes: &[u64]) -> u64 {
        self.machines[PRIMARY].executed += 1;
        let transaction = self.machines[PRIMARY].executed;
        for write in writes {
            let fact = self.writes.entry(*write).or_default();
            if fact.committed.replace(transaction).is_some() {
                self.violations.push(format!("write {write} was committed twice"));
            }
        }
        transaction
    }

    /// A write runs on a server.
    pub fn runs(&mut self, server: usize, tag: &Tag) {
        let write = self.writes.entry(tag.number).or_default();
        write.ran += 1;
        if write.ran > 1 {
            self.violated(format!("write {} of client {} ran {} times", tag.number, tag.client, 2));
        }
        if server != PRIMARY {
            self.violated(format!("write {} of client {} ran on a replica", tag.number, tag.client));
        }
    }

    /// A user has seen all transactions up to this.
    pub fn has_seen(&mut self, user: &str, transaction: u64) {
        let seen = self.seen.entry(user.to_owned()).or_default();
        *seen = transaction.max(*seen);
    }

    /// All a server has executed, as text.
    pub fn executed(&self, server: usize) -> String {
        format!("{UUID}:1-{}", self.machines[server].executed)
    }

    /// A server goes away, with all its connections.
    pub fn crash(&mut self, server: usize) {
        let machine = &mut self.machines[server];
        machine.up = false;
        machine.connections.drain().for_each(|(_, cord)| cord.cut());
        self.story.push(format!("server {server} is gone"));
    }

    /// Replicas apply some of what they have not got.
    pub fn replicate(&mut self, random: &mut Random) {
        let all = self.machines[PRIMARY].executed;
        for replica in self.machines.iter_mut().skip(1).filter(|replica| replica.up) {
            let behind = all - replica.executed;
            replica.executed += if random.per_mille(500) { behind } else { random.below(behind + 1) };
        }
    }
}
