//! The format of the report: what `/status.json` holds. `docs/status.md` describes it for others.
//!
//! Fields are added, never renamed, and never given another meaning; [`FORMAT`] counts where that cannot be helped.
//! Whoever reads it passes over what it does not know and does without what is missing.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The number of the format.
pub const FORMAT: u32 = 1;

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// [`FORMAT`] of whoever wrote it.
    pub format: u32,
    /// How much is told.
    pub detail: Detail,
    /// The version of Landbridge.
    pub version: String,
    /// Identifies the configuration in use.
    pub fingerprint: String,
    /// Since when the process runs.
    pub uptime_seconds: u64,
    /// Where it runs, if the file says.
    pub region: Option<String>,
    /// What it does.
    pub state: State,
    /// What is missing until everything is warm, in words for a person.
    pub not_ready: Vec<String>,
    /// What somebody must act on, the worst first.
    pub alarms: Vec<Alarm>,
    /// The servers, in the order of the file.
    pub servers: Vec<ServerLine>,
    /// Their pools, by server and user; only in full.
    pub pools: Vec<PoolLine>,
    /// Who is connected.
    pub clients: Clients,
    /// Statements since the start by where they went and why, the most frequent first.
    pub routes: Vec<RouteLine>,
    /// What the ocean cost, and what it did not.
    pub round_trips: RoundTrips,
    /// Reads that had to see something.
    pub consistency: Consistency,
    /// Statements that are alike, by where they went and why: those that took most time in all, and the slowest, in the
    /// order of the first; only in full.
    pub statements: Vec<StatementLine>,
}

/// How much is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// As much as `/metrics`: names of servers, regions and numbers.
    #[default]
    Counts,
    /// Users' names, digests, what servers said when they failed, and transactions in short, too.
    Full,
}

/// What the process does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Clients are served, and something is not warm yet.
    #[default]
    Warming,
    /// Clients are served.
    Serving,
    /// An operator has paused: statements wait.
    Paused,
    /// Another process has taken over, and the clients of this one stay until they leave.
    Lingering,
    /// No client is accepted any more.
    Draining,
}

impl State {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warming => "warming",
            Self::Serving => "serving",
            Self::Paused => "paused",
            Self::Lingering => "lingering",
            Self::Draining => "draining",
        }
    }
}

/// Something that somebody must act on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alarm {
    /// Its name; `docs/status.md` has them all.
    pub what: String,
    /// Whether clients are refused something now.
    pub is_serious: bool,
    /// What is wrong, and what to do, in words for a person.
    pub text: String,
}

/// What a server is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows the primary.
    #[default]
    Replica,
}

/// Whether a server answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// It does.
    Up,
    /// It did not, and another server takes writes.
    Doubtful,
    /// It does not.
    Down,
}

impl Health {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Doubtful => "doubtful",
            Self::Down => "down",
        }
    }
}

/// What is known of a replica's replication.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replication {
    /// It is a primary.
    None,
    /// Nothing.
    #[default]
    Unknown,
    /// It runs.
    Running,
    /// It does not.
    Stopped,
}

/// A server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerLine {
    /// Its name in the file.
    pub name: String,
    /// Its region, if the file says.
    pub region: Option<String>,
    /// Whether that is where Landbridge runs.
    pub is_near: bool,
    /// What it is for.
    pub role: Role,
    /// Whether reads go there now.
    pub takes_reads: bool,
    /// Whether it answers.
    pub health: Health,
    /// Why it does not, or why it takes no reads; only in full.
    pub why: Option<String>,
    /// One round trip.
    pub rtt_ms: Option<f64>,
    /// What is known of its replication.
    pub replication: Replication,
    /// How far it is behind.
    pub lag_ms: Option<u64>,
    /// Beyond this it takes no reads.
    pub max_lag_ms: u64,
    /// What it has executed, in short; only in full.
    pub position: Option<String>,
    /// Whether it has all that the primary last told of, if that is known.
    pub has_everything: Option<bool>,
    /// Its connections, of all pools.
    pub connections: Connections,
    /// How waits of reads for it ended, by outcome.
    pub waits: BTreeMap<String, u64>,
}

/// Connections to servers by what they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connections {
    /// Ready.
    pub idle: usize,
    /// In use.
    pub leased: usize,
    /// Being cleaned after somebody.
    pub resetting: usize,
    /// Being opened.
    pub warming: usize,
    /// Statements that wait for one.
    pub waiting: usize,
    /// How many are kept open.
    pub target: usize,
    /// How many there may be.
    pub max: usize,
}

/// A pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolLine {
    /// Its server.
    pub server: String,
    /// Its user.
    pub user: String,
    /// `found_rows` for clients that count found rows instead of changed ones, or nothing.
    pub flags: String,
    /// Whether it has what it is to keep open.
    pub is_warm: bool,
    /// Its connections.
    pub connections: Connections,
    /// Why the last one could not be opened, if so.
    pub failure: Option<String>,
}

/// Clients by what they hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Clients {
    /// All of them.
    pub connected: usize,
    /// Those that have not logged in yet.
    pub logging_in: usize,
    /// Those that hold nothing between statements.
    pub free: usize,
    /// Those that began a transaction no server knows of yet.
    pub begun: usize,
    /// Those with a transaction on a connection.
    pub in_transaction: usize,
    /// Those with a connection of their own.
    pub pinned: usize,
    /// Why they have one; a client may have several reasons.
    pub pins: BTreeMap<String, u64>,
    /// Of all, those whose statement runs now.
    pub running: usize,
    /// Statements that wait for a connection.
    pub waiting_for_connection: usize,
    /// Statements that wait for a primary or for `RESUME`.
    pub waiting_at_gate: usize,
}

/// Statements that went the same way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteLine {
    /// `primary` or `replica`.
    pub target: String,
    /// Why.
    pub reason: String,
    /// How many since the start.
    pub count: u64,
}

/// Round trips to the primary.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoundTrips {
    /// Those that no client waited for, since the start.
    pub saved: u64,
    /// The same, by what they would have been for.
    pub saved_by: BTreeMap<String, u64>,
    /// Those that clients waited for, if that is counted.
    pub spent: Option<u64>,
}

/// Reads that had to see something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Consistency {
    /// Reads that would have been older than they had to be, had any replica answered them at once.
    pub stale_reads_avoided: u64,
    /// How waits for replicas ended, by outcome.
    pub waits: BTreeMap<String, u64>,
}

/// Statements that are alike and went the same way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatementLine {
    /// What they have in common, without literals.
    pub digest: String,
    /// `primary` or `replica`.
    pub target: String,
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// How long all of them took.
    pub total_ms: f64,
    /// How long one took.
    pub mean_ms: f64,
    /// How long the longest took.
    pub worst_ms: f64,
    /// How long ago the last one ended.
    pub last_seconds: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn keys(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(key, value)| {
                out.push(key.clone());
                keys(value, out);
            }),
            Value::Array(items) => items.iter().for_each(|item| keys(item, out)),
            _ => {}
        }
    }

    fn one_of_each() -> Report {
        Report {
            alarms: vec![Alarm::default()],
            servers: vec![ServerLine::default()],
            pools: vec![PoolLine::default()],
            routes: vec![RouteLine::default()],
            statements: vec![StatementLine::default()],
            ..Report::default()
        }
    }

    #[test]
    fn every_key_is_documented() {
        let document = include_str!("../../docs/status.md");
        let (mut found, value) = (Vec::new(), serde_json::to_value(one_of_each()).expect("it is JSON"));
        keys(&value, &mut found);
        assert!(found.len() > 60, "{found:?}");
        for key in found {
            assert!(document.contains(&format!("`{key}`")), "docs/status.md says nothing of {key}");
        }
    }

    #[test]
    fn what_is_written_is_read_also_by_others_than_this_version() {
        let report = one_of_each();
        let text = serde_json::to_string(&report).expect("it is JSON");
        assert_eq!(serde_json::from_str::<Report>(&text).expect("the same"), report);
        let newer = r#"{"format":1,"detail":"full","colour":"red","servers":[{"name":"a","health":"up","weight":3}]}"#;
        let read: Report = serde_json::from_str(newer).expect("what is not known is passed over");
        assert_eq!((&*read.servers[0].name, read.servers[0].health), ("a", Health::Up));
    }

    #[test]
    fn words_are_those_that_programs_read() {
        let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
        for state in [State::Warming, State::Serving, State::Paused, State::Lingering, State::Draining] {
            assert_eq!(word(serde_json::to_value(state).expect("a word")), state.as_str());
        }
        for health in [Health::Unknown, Health::Up, Health::Doubtful, Health::Down] {
            assert_eq!(word(serde_json::to_value(health).expect("a word")), health.as_str());
        }
    }
}
