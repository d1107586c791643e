//! What a server says of itself: rows in, facts out. Pure.

use super::heartbeat::Heartbeat;
use crate::backend::query::Row;
use crate::backend::space::Lack;
use crate::consistency::gtid::{Family, GtidSet};
use crate::protocol::errno;
use std::sync::Arc;
use std::time::Duration;

/// The statement whose row [`Variables::read`] understands.
pub(super) fn variables_sql(family: Family) -> &'static str {
    match family {
        // Readers of an Aurora cluster say that nothing can be written by the second one alone.
        Family::MySql => {
            "SELECT @@global.read_only OR @@global.innodb_read_only, @@version, @@global.gtid_mode, \
             @@global.gtid_executed"
        }
        Family::MariaDb => {
            "SELECT @@global.read_only, @@version, @@global.log_bin, @@global.gtid_slave_pos, \
             @@global.gtid_current_pos, @@global.gtid_binlog_pos"
        }
    }
}

/// The same without GTIDs, for servers that lack one of the variables.
pub(super) const PLAIN_SQL: &str = "SELECT @@global.read_only, @@version";

/// The statement whose row [`applied`] understands: the little that changes all the time.
pub(super) fn applied_sql(family: Family) -> &'static str {
    match family {
        Family::MySql => "SELECT @@global.gtid_executed",
        Family::MariaDb => "SELECT @@global.gtid_slave_pos",
    }
}

/// Statements that show the state of replication, the best one first.
pub fn replication_sql(family: Family) -> &'static [&'static str] {
    match family {
        // The second one is for servers before 8.0.22.
        Family::MySql => &["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"],
        Family::MariaDb => &["SHOW ALL SLAVES STATUS"],
    }
}

/// The privilege those need, as in a `GRANT`.
pub fn replication_privilege(family: Family) -> &'static str {
    match family {
        Family::MySql => "REPLICATION CLIENT",
        Family::MariaDb => "REPLICA MONITOR",
    }
}

/// An answer that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server's answer to a probe makes no sense: {0}")]
pub(super) struct Unreadable(pub(super) &'static str);

/// Everything a full probe learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    /// Its family.
    pub(super) family: Family,
    /// Its variables.
    pub(super) variables: Variables,
    /// Its replication.
    pub(super) replication: Replication,
    /// Its heartbeat.
    pub(super) heartbeat: Heartbeat,
}

/// What its global variables tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variables {
    /// Version.
    pub(super) version: String,
    /// Whether it refuses writes of ordinary users.
    pub(super) read_only: bool,
    /// What it has executed.
    pub(super) gtids: Gtids,
}

/// What a server has executed. All `None` without GTIDs.
///
/// On MySQL the three are the same. A MariaDB server keeps two positions, and which one tells the
/// truth depends on what it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Gtids {
    /// What a read on it can see, if it is a replica. MariaDB's `gtid_binlog_pos` is not in here: a
    /// transaction is in the binary log before its rows are visible. Nor is `gtid_current_pos`: what somebody wrote
    /// on the replica itself (`ANALYZE TABLE` is enough) has numbers that the primary is yet to give to others.
    pub(super) applied: Option<Arc<GtidSet>>,
    /// All it has executed, if it is a primary.
    pub(super) committed: Option<Arc<GtidSet>>,
    /// What its replicas can fetch: what it once applied itself without logging it is not in here.
    pub(super) logged: Option<Arc<GtidSet>>,
}

impl Variables {
    /// Reads the row of [`variables_sql`] or [`PLAIN_SQL`].
    pub(super) fn read(family: Family, rows: &[Row]) -> Result<Self, Unreadable> {
        let [row] = rows else { return Err(Unreadable("not one row of variables")) };
        let [Some(read_only), Some(version), rest @ ..] = &row[..] else {
            return Err(Unreadable("no version"));
        };
        Ok(Self {
            version: version.clone(),
            // Recent servers have more words than ON for it.
            read_only: !is_off(read_only),
            gtids: match (family, rest) {
                (_, []) => Gtids::default(),
                (Family::MySql, [Some(mode), Some(executed)]) => Gtids::mysql(mode, executed)?,
                (Family::MariaDb, [Some(log_bin), Some(slave), Some(current), Some(binlog)]) => {
                    Gtids::mariadb(!is_off(log_bin), slave, current, binlog)?
                }
                _ => return Err(Unreadable("not the variables asked for")),
            },
        })
    }
}

impl Gtids {
    fn mysql(mode: &str, executed: &str) -> Result<Self, Unreadable> {
        // In the permissive mode next to OFF new transactions have no GTID either.
        if !matches!(mode, "ON" | "ON_PERMISSIVE") {
            return Ok(Self::default());
        }
        let executed = Arc::new(parse(Family::MySql, executed)?);
        Ok(Self { applied: Some(executed.clone()), committed: Some(executed.clone()), logged: Some(executed) })
    }

    fn mariadb(log_bin: bool, slave: &str, current: &str, binlog: &str) -> Result<Self, Unreadable> {
        let applied = parse(Family::MariaDb, slave)?;
        let logged = parse(Family::MariaDb, binlog)?;
        let mut committed = applied.clone();
        for more in [&parse(Family::MariaDb, current)?, &logged] {
            committed.union(more).map_err(|_| Unreadable("GTIDs of two families"))?;
        }
        let known = log_bin || !applied.is_empty();
        Ok(Self {
            applied: known.then(|| Arc::new(applied)),
            // Without a binary log its own writes have no GTIDs.
            committed: log_bin.then(|| Arc::new(committed)),
            logged: log_bin.then(|| Arc::new(logged)),
        })
    }
}

/// Reads the row of [`applied_sql`].
pub(super) fn applied(family: Family, rows: &[Row]) -> Result<GtidSet, Unreadable> {
    let [row] = rows else { return Err(Unreadable("not one row of GTIDs")) };
    match (family, &row[..]) {
        (Family::MySql, [Some(executed)]) => parse(Family::MySql, executed),
        (Family::MariaDb, [Some(slave)]) => parse(Family::MariaDb, slave),
        _ => Err(Unreadable("no GTIDs")),
    }
}

fn parse(family: Family, text: &str) -> Result<GtidSet, Unreadable> {
    GtidSet::parse(family, text).map_err(|_| Unreadable("not a GTID set"))
}

fn is_off(value: &str) -> bool {
    value == "0" || value.eq_ignore_ascii_case("OFF")
}

/// What a server says of its replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Replication {
    /// The monitor's account may not ask, or was not told to.
    Hidden,
    /// It was asked and does not answer that, while it answers all else.
    Silent,
    /// It follows nobody through a channel.
    Absent,
    /// It follows somebody, or did.
    Configured(Channels),
}

/// All channels of a replica, summed up by the worst.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Channels {
    /// The state of their threads.
    pub(super) threads: Threads,
    /// Whether any thread of any channel is there.
    pub(super) is_alive: bool,
    /// Whom the worst one follows: host and port.
    pub(super) source: String,
    /// Its last error.
    pub(super) error: Option<String>,
    /// Whether one of them waits, or has stopped, for want of disk space.
    pub(super) lacks_space: bool,
}

/// The state of replication threads, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    /// All run.
    Running {
        /// `Seconds_Behind_Source`.
        behind: Option<Duration>,
    },
    /// One tries to reach its source, or waits for disk space.
    Connecting,
    /// One is stopped.
    Stopped,
}

impl Default for Threads {
    fn default() -> Self {
        Self::Running { behind: None }
    }
}

impl Threads {
    fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Running { behind: a }, Self::Running { behind: b }) => {
                Self::Running { behind: a.zip(b).map(|(a, b)| a.max(b)) }
            }
            (Self::Stopped, _) | (_, Self::Stopped) => Self::Stopped,
            _ => Self::Connecting,
        }
    }
}

/// `ER_RECORD_FILE_FULL`
const TABLE_FULL: &str = "1114";

/// Whether a thread of replication says that it does: "Waiting for disk space", "Waiting for someone to free space".
fn waits_for_space(state: &str) -> bool {
    state.starts_with("Waiting for") && state.ends_with(" space")
}

impl Replication {
    /// By what it shows that a disk is full, if it does.
    pub(super) fn lack(&self) -> Option<Lack> {
        match self {
            Self::Silent => Some(Lack::Status),
            Self::Configured(channels) if channels.lacks_space => Some(Lack::Replication),
            Self::Hidden | Self::Absent | Self::Configured(_) => None,
        }
    }

    /// Reads the rows of one of [`replication_sql`]: one for each channel.
    pub(super) fn read(columns: &[String], rows: &[Row]) -> Result<Self, Unreadable> {
        let mut all: Option<Channels> = None;
        for row in rows {
            let channel = Channels::read(columns, row)?;
            all = Some(match all {
                None => channel,
                Some(all) => all.and(channel),
            });
        }
        Ok(all.map_or(Self::Absent, Self::Configured))
    }
}

impl Channels {
    fn read(columns: &[String], row: &Row) -> Result<Self, Unreadable> {
        // Each server version has its own word in front of these.
        let value = |suffix: &str| {
            let at = columns.iter().position(|name| name.ends_with(suffix))?;
            row.get(at)?.as_deref()
        };
        let threads = [value("_IO_Running"), value("_SQL_Running")];
        let [Some(receiver), Some(applier)] = threads else {
            return Err(Unreadable("no replication threads"));
        };
        let behind = value("Seconds_Behind_Source").or_else(|| value("Seconds_Behind_Master"));
        let errors = ["Last_SQL_Error", "Last_IO_Error"];
        let waits =
            ["_IO_State", "_SQL_State", "_SQL_Running_State"].into_iter().filter_map(value).any(waits_for_space);
        let full = ["Last_SQL_Errno", "Last_IO_Errno"].into_iter().filter_map(value).any(|code| code == TABLE_FULL);
        let lacks_space = waits || full || errors.into_iter().filter_map(value).any(errno::says_no_space);
        let state = match (receiver, applier) {
            ("No", _) | (_, "No") => Threads::Stopped,
            // They run, and nothing comes.
            _ if waits => Threads::Connecting,
            ("Yes", "Yes") => Threads::Running { behind: behind.and_then(|s| s.parse().ok()).map(Duration::from_secs) },
            _ => Threads::Connecting,
        };
        let error = errors.into_iter().filter_map(value).find(|text| !text.is_empty());
        Ok(Self {
            threads: state,
            is_alive: receiver != "No" || applier != "No",
            // "Source_Host" and "Master_Host", but no other host or port.
            source: [
                value("Source_Host").or_else(|| value("Master_Host")),
                value("Source_Port").or_else(|| value("Master_Port")),
            ]
            .map(Option::unwrap_or_default)
            .join(":"),
            error: error.map(str::to_owned),
            lacks_space,
        })
    }

    fn and(self, other: Self) -> Self {
        let threads = self.threads.worse(other.threads);
        let is_alive = self.is_alive || other.is_alive;
        let lacks_space = self.lacks_space || other.lacks_space;
        let worst = if self.threads != threads && other.threads == threads { other } else { self };
        Self { threads, is_alive, lacks_space, ..worst }
    }
}

#[cfg(test)]
mod tests;
