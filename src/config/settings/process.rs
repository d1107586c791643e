//! Probes, log and shutdown: what the sidecar does on its own account.

use std::time::Duration;

use crate::config::secret::Secret;
use crate::config::words::words;

/// The probes of health, role, lag and GTIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    /// The account; that of the first user unless the file names one.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// From the start of one probe of a server to the start of the next.
    pub interval: Duration,
    /// A probe without an answer for this long has failed.
    pub timeout: Duration,
    /// How often the names of servers are resolved.
    pub dns_interval: Duration,
    /// How often a near replica is asked for its GTID set.
    pub replica_interval: Duration,
    /// Failed probes in a row that take a server out; at least 1.
    pub down_after: u32,
    /// Successful probes in a row that take it back; at least 1.
    pub up_after: u32,
    /// The table with a heartbeat, by which lag is measured: schema and name.
    pub heartbeat: Option<(String, String)>,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least severe level written.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
    /// Statements that take longer are logged; `None` = none are.
    pub slow: Option<Duration>,
}

words! {
    /// How severe a line of the log is.
    pub enum LogLevel {
        /// An operator must act.
        Error = "error",
        /// Something is not as it should be.
        Warn = "warn",
        /// What happens in normal operation.
        Info = "info",
        /// Each command.
        Debug = "debug",
        /// Each packet.
        Trace = "trace",
    }
}

words! {
    /// How a line of the log looks.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

/// The end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// Longest wait for open transactions; zero = none.
    pub drain_timeout: Duration,
    /// How long clients may stay after another process has taken over; zero = until they finish what they began.
    pub takeover_timeout: Duration,
}
