//! Ending what runs on another connection of the same server.

use super::conn::Ready;
use super::query::{Reply, Row};
use crate::consistency::gtid::Family;
use std::fmt;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The connection, and what it runs.
    Connection,
    /// Only what it runs.
    Query,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The server has done it, or there was nothing to be done.
    Done,
    /// The server was not asked.
    NotAsked,
    /// It was not asked to, because what runs there is a commit: that comes to its end by itself.
    Commits,
    /// The server was asked and has not answered in time: it may do it yet.
    Unknown,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "CONNECTION",
            Self::Query => "QUERY",
        })
    }
}

/// In less than this no server has ended and begun anew.
const FRESH: Duration = Duration::from_secs(1);

/// The column of `SHOW PROCESSLIST` with a connection's state; the first one has its number.
const STATE: usize = 6;
/// What MySQL says there of a commit that cannot be ended any more.
const COMMITS: &str = "waiting for handler commit";

/// Ends what runs on the connection of this number, or the connection.
///
/// A commit under way in MySQL is left alone. It cannot be ended; but one that waits for space to write the binary log
/// hears of a `KILL`, takes it for a failure to log what it did, and stops the whole server
/// (`binlog_error_action = ABORT_SERVER`, the default). What its connection does behind it may be ended later; a single
/// statement would be another one by then.
///
/// `longest`: how long each answer may take.
pub async fn end(mut conn: Ready, what: End, thread_id: u32, longest: Duration) -> Outcome {
    if conn.family() == Family::MySql {
        let Ok(Ok((asked, reply))) = timeout(longest, conn.query("SHOW PROCESSLIST")).await else {
            return Outcome::NotAsked;
        };
        conn = asked;
        if matches!(reply, Reply::Rows { rows, .. } if commits(&rows, thread_id)) {
            return Outcome::Commits;
        }
    }
    // An error means that it is already gone, which is what was wanted.
    match timeout(longest, conn.query(&format!("KILL {what} {thread_id}"))).await {
        Ok(Ok(_)) => Outcome::Done,
        Ok(Err(_)) | Err(_) => Outcome::Unknown,
    }
}

/// The connection, if its server is known to have run ever since a moment: numbers of connections begin anew with it.
pub async fn has_run_since(conn: Ready, since: Instant, longest: Duration) -> Option<Ready> {
    if since.elapsed() < FRESH {
        return Some(conn);
    }
    let asked = timeout(longest, conn.query("SHOW GLOBAL STATUS LIKE 'Uptime'")).await;
    let (conn, Reply::Rows { rows, .. }) = asked.ok()?.ok()? else { return None };
    let seconds = rows.first()?.get(1)?.as_deref()?.parse().ok()?;
    // What it says is rounded, and it has taken some time to start.
    (Duration::from_secs(seconds) > since.elapsed()).then_some(conn)
}

/// Whether what runs on a connection is a commit.
fn commits(rows: &[Row], thread_id: u32) -> bool {
    let id = thread_id.to_string();
    let text = |row: &Row, at: usize| row.get(at).cloned().flatten();
    rows.iter().any(|row| {
        text(row, 0).as_deref() == Some(&*id)
            && text(row, STATE).is_some_and(|state| state.eq_ignore_ascii_case(COMMITS))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_told_from_the_rest() {
        let row = |id: &str, state: Option<&str>| -> Row {
            let text = |text: &str| Some(text.to_owned());
            vec![text(id), text("app"), text("db"), None, text("Query"), text("5"), state.map(str::to_owned), None]
        };
        let rows = [row("7", Some("waiting for handler commit")), row("8", Some("User sleep")), row("9", None)];
        assert_eq!([7, 8, 9, 10].map(|id| commits(&rows, id)), [true, false, false, false]);
        assert!(!commits(&[vec![Some("7".to_owned())]], 7), "columns are missing");
    }
}
