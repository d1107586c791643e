//! `KILL` with the ids that clients see: the handshake's, which are ours, not a server's.

use super::registry::FIRST_ID;
use super::session::{Gone, Session};
use super::settle::LAST_QUESTION;
use crate::pool::Disposition;
use crate::protocol::response::ServerError;

/// How many of its account's privileges allow it to end sessions of others.
const PRIVILEGES_QUERY: &str = "SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES \
    WHERE PRIVILEGE_TYPE IN ('SUPER', 'CONNECTION_ADMIN', 'CONNECTION ADMIN') \
    AND GRANTEE = CONCAT(0x27, REPLACE(CURRENT_USER(), '@', 0x274027), 0x27)";

/// What a client wants ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kill {
    /// Our id of the client.
    id: u32,
    /// Only the statement it runs, not its session.
    query_only: bool,
}

impl Kill {
    /// A session and what it runs.
    pub(super) fn connection(id: u32) -> Self {
        Self { id, query_only: false }
    }
}

/// Reads `KILL [CONNECTION|QUERY] id`.
pub(super) fn parse(text: &[u8]) -> Option<Kill> {
    let text = without_comments(text);
    let verb = text.get(..4)?;
    if !verb.eq_ignore_ascii_case(b"kill") {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?.trim_end_matches([';', ' ', '\n', '\r', '\t']);
    let words: Vec<String> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["kill", id] | ["kill", "connection", id] => Some(Kill { id: id.parse().ok()?, query_only: false }),
        ["kill", "query", id] => Some(Kill { id: id.parse().ok()?, query_only: true }),
        _ => None,
    }
}

/// The text behind leading white space and comments.
pub(super) fn without_comments(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_start();
    let rest = match text {
        [b'/', b'*', rest @ ..] if !rest.starts_with(b"!") && !rest.starts_with(b"M!") => {
            memchr::memmem::find(rest, b"*/").and_then(|end| rest.get(end + 2..))
        }
        [b'#', rest @ ..] | [b'-', b'-', b' ' | b'\t', rest @ ..] => {
            memchr::memchr(b'\n', rest).and_then(|end| rest.get(end..))
        }
        _ => None,
    };
    rest.map_or(text, without_comments)
}

impl Session {
    /// Whether an id is one that Landbridge gives to clients.
    pub(super) fn is_client_id(kill: Kill) -> bool {
        kill.id & FIRST_ID != 0
    }

    /// Whether the primary says that this account may end sessions of others.
    async fn may_kill_others(&self) -> bool {
        let primary = self.shared.snapshot().primary().map(|primary| usize::from(primary.id.0));
        let Some(pool) = primary.and_then(|id| self.pools.get(id)) else { return false };
        let asked = async {
            let (mut lease, conn) = self.to_confirm(pool, &pool.server().name, true).await.ok()?;
            let (conn, reply) = conn.query(PRIVILEGES_QUERY).await.ok()?;
            lease.put(conn);
            lease.give_back(Disposition::Clean);
            reply.first_value().map(|count| count != "0")
        };
        tokio::time::timeout(LAST_QUESTION, asked).await.ok().flatten() == Some(true)
    }

    /// Ends another client's statement or session, if it is of the same user, or if the server lets this
    /// one end those of all.
    pub(super) async fn kill(&mut self, kill: Kill) -> Result<(), Gone> {
        let found = self.shared.registry.find(kill.id);
        let Some(handle) = found else {
            let error = ServerError::new(1094, b"HY000", format!("Unknown thread id: {}", kill.id));
            return self.refuse(&error).await;
        };
        if handle.user() != self.account.user && !self.may_kill_others().await {
            let error = ServerError::new(1095, b"HY000", format!("You are not owner of thread {}", kill.id));
            return self.refuse(&error).await;
        }
        if kill.query_only {
            handle.kill_statement().await;
        } else {
            // Its own task ends what it runs: the server must not answer the statement any more.
            handle.stop.cancel();
        }
        self.send_ok().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_kill() {
        let kill = |id, query_only| Some(Kill { id, query_only });
        assert_eq!(parse(b"KILL 7"), kill(7, false));
        assert_eq!(parse(b" kill connection 8;"), kill(8, false));
        assert_eq!(parse(b"KILL QUERY\n9"), kill(9, true));
        assert_eq!(parse(b"/* app */ -- x\n# y\n KILL 7"), kill(7, false));
        assert_eq!(parse(b"KILL SOFT USER x"), None);
        assert_eq!(parse(b"SELECT 1"), None);
    }
}
