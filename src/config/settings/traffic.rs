//! Users, pools, consistency, routing and limits: what happens to a client's statements.

use std::time::Duration;

use crate::config::secret::Secret;
use crate::config::words::words;

/// An account: clients log in to Landbridge with it, and Landbridge to the servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name; unique.
    pub name: String,
    /// Its password; may be empty.
    pub password: Secret,
    /// Most clients of this user at a time; `None` = only `Limits::max_clients` counts.
    pub max_clients: Option<u32>,
    /// Replicas further behind answer none of this user's reads; `None` = only that of each server counts.
    pub max_lag: Option<Duration>,
    /// Where its transactions read until they first write; `None` = as [`Route::transactions`] says.
    pub transactions: Option<Transactions>,
    /// What becomes of its statements that need the primary while there is none; `None` = as [`Route::primary_down`]
    /// says.
    pub primary_down: Option<PrimaryDown>,
    /// Its backend connections.
    pub pool: UserPool,
}

/// The backend connections of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserPool {
    /// When they are given back.
    pub mode: PoolMode,
    /// How many per server are kept open before anyone asks; at most `max`.
    pub min_warm: u32,
    /// Most of them per server.
    pub max: u32,
}

/// Who may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// The users of the file.
    File,
    /// These, and whomever a server lets in.
    Passthrough {
        /// A login asks a server again after this; zero = every login does.
        recheck: Duration,
    },
}

words! {
    /// When a backend connection is given back.
    pub enum PoolMode {
        /// At the end of each transaction.
        Transaction = "transaction",
        /// When the client leaves.
        Session = "session",
    }
}

/// What all pools share. Mode and bounds are per user: see [`User`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Mode and bounds of users that the file does not list.
    pub others: UserPool,
    /// Longest wait of a client for a backend connection.
    pub checkout_timeout: Duration,
    /// Longest time from the dial to the end of the login.
    pub connect_timeout: Duration,
    /// An idle connection above `min_warm` is closed after this; `None` = never.
    pub idle_timeout: Option<Duration>,
    /// A connection is replaced at about this age (jittered); `None` = never.
    pub max_lifetime: Option<Duration>,
    /// An idle connection is pinged after this; `None` = never.
    pub ping_after: Option<Duration>,
    /// Most dials to one server at the same time.
    pub max_parallel_dials: u32,
    /// Whether several commands may share a flight.
    pub pipelining: Pipelining,
}

words! {
    /// Whether several commands may share a flight to a server.
    pub enum Pipelining {
        /// If a probe shows that the server can.
        Auto = "auto",
        /// Always.
        On = "on",
        /// Never.
        Off = "off",
    }
}

/// What a read must have seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consistency {
    /// Who shares a consistency token.
    pub scope: Scope,
    /// How long a read may wait on a replica for its token.
    pub wait: ReadWait,
    /// How long reads stay at the primary after a write where there are no GTIDs; zero = not at all.
    pub pin_for: Duration,
    /// Whether a read waits only for writes to the tables that it reads.
    pub per_table: bool,
}

words! {
    /// Who shares a consistency token.
    pub enum Scope {
        /// Nobody: reads may be older than the client's own writes.
        Off = "off",
        /// One connection.
        Connection = "connection",
        /// All connections of a user.
        User = "user",
        /// All connections that name the same application key.
        Key = "key",
        /// Everyone at this sidecar.
        Sidecar = "sidecar",
    }
}

/// How long a read may wait on a replica before it goes to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadWait {
    /// About one round trip to the primary, as measured.
    Auto,
    /// At most this; zero = not at all.
    AtMost(Duration),
}

/// Which server a statement goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Stored functions that only read, in lower case, perhaps with their schema in its own case: `Shop.total`.
    pub read_functions: Vec<String>,
    /// What happens to statements that need the primary while there is none.
    pub primary_down: PrimaryDown,
    /// Where transactions read until they first write.
    pub transactions: Transactions,
    /// Whether a transaction is run again whose connection is lost.
    pub transaction_replay: bool,
}

words! {
    /// Where a transaction reads until it first writes.
    pub enum Transactions {
        /// At the primary.
        Primary = "primary",
        /// On a replica; what it read is verified when it moves to the primary.
        Optimistic = "optimistic",
    }
}

/// What happens to statements that need the primary while there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrimaryDown {
    /// They fail at once.
    Fail,
    /// They wait for one, at most this long.
    Wait(Duration),
}

/// Bounds on what clients may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most clients at a time.
    pub max_clients: u32,
    /// Longest time from accept to the end of the login.
    pub login_timeout: Duration,
    /// Largest packet before the login is complete, in bytes.
    pub max_packet_before_login: u32,
    /// What large commands, prepared statements and data sent ahead of them may take of all clients together, in bytes.
    pub memory: u32,
    /// A client that stops for longer in the middle of a command, or of taking an answer, is sent away; `None` = never.
    pub stalled_client_timeout: Option<Duration>,
    /// A client silent for longer is sent away; `None` = never.
    pub idle_client_timeout: Option<Duration>,
    /// Most prepared statements per client.
    pub max_prepared_statements: u32,
    /// Whether what a client that has gone still runs is ended at the server.
    pub kill_abandoned: bool,
    /// Most statements that wait at a time, for a primary or for `RESUME`.
    pub max_waiting: u32,
    /// Threads that serve clients; `None`: half as many as there are processors.
    pub threads: Option<u32>,
}
