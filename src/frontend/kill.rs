//! `KILL` with the ids that clients see: the handshake's, which are ours, not a server's.

use super::confirm::Place;
use super::job::Job;
use super::registry::FIRST_ID;
use super::session::{Gone, Session};
use super::settle::LAST_QUESTION;
use crate::pool::Disposition;
use crate::protocol::response::ServerError;
use crate::state::{SessionState, quote_identifier};

/// How many of its account's privileges allow it to end sessions of others.
const PRIVILEGES_QUERY: &str = "SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES \
    WHERE PRIVILEGE_TYPE IN ('SUPER', 'CONNECTION_ADMIN', 'CONNECTION ADMIN') \
    AND GRANTEE = CONCAT(0x27, REPLACE(CURRENT_USER(), '@', 0x274027), 0x27)";

/// What a client wants ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
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

    /// Whether the id is one that Landbridge gives to clients.
    pub(super) fn is_of_client(self) -> bool {
        self.id & FIRST_ID != 0
    }
}

/// Whose sessions, or only statements, MariaDB's `KILL [HARD|SOFT] [CONNECTION|QUERY] USER name[@host]` ends.
#[derive(Debug, PartialEq, Eq)]
pub struct KillUser {
    user: String,
    query_only: bool,
}

/// Reads `KILL .. USER name`.
pub(super) fn parse_user(text: &[u8]) -> Option<KillUser> {
    let text = arguments(text)?;
    let mut words = text.split_whitespace().peekable();
    words.next_if(|word| word.eq_ignore_ascii_case("hard") || word.eq_ignore_ascii_case("soft"));
    let query_only = words.peek()?.eq_ignore_ascii_case("query");
    words.next_if(|word| query_only || word.eq_ignore_ascii_case("connection"));
    words.next().filter(|word| word.eq_ignore_ascii_case("user"))?;
    let user = words.next()?.split('@').next()?.trim_matches(['`', '\'', '"']);
    (words.next().is_none() && !user.is_empty()).then(|| KillUser { user: user.to_owned(), query_only })
}

/// Reads `KILL [CONNECTION|QUERY] id`; the id may be in a user variable whose value is known.
pub(super) fn parse(text: &[u8], state: &SessionState) -> Option<Kill> {
    let number = |id: &str| match id.strip_prefix('@') {
        None => id.parse().ok(),
        Some(name) => {
            let name = [b"@", &quote_identifier(name.trim_matches('`').as_bytes())[..]].concat();
            std::str::from_utf8(state.get(&name)?).ok()?.parse().ok()
        }
    };
    let words: Vec<String> = arguments(text)?.split_whitespace().map(str::to_ascii_lowercase).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [id] | ["connection", id] => Some(Kill { id: number(id)?, query_only: false }),
        ["query", id] => Some(Kill { id: number(id)?, query_only: true }),
        _ => None,
    }
}

/// What follows the word `KILL`.
fn arguments(text: &[u8]) -> Option<&str> {
    let (verb, rest) = without_comments(text).split_at_checked(4)?;
    if !verb.eq_ignore_ascii_case(b"kill") || !rest.first()?.is_ascii_whitespace() {
        return None;
    }
    Some(std::str::from_utf8(rest).ok()?.trim_end_matches([';', ' ', '\n', '\r', '\t']))
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
    /// Ends all sessions of a user, once a server has ended its own: it says whether this one may, and whether
    /// there are any.
    pub(super) async fn kill_user(&mut self, kill: KillUser, job: Job) -> Result<(), Gone> {
        self.execute(job).await?;
        if self.last.error.is_some() || self.last.row_count <= 0 {
            return Ok(());
        }
        for handle in self.shared.registry.all_of_user(&kill.user) {
            if kill.query_only {
                handle.kill_statement().await;
            } else {
                handle.stop.cancel();
            }
        }
        Ok(())
    }

    /// Whether the primary says that this account may end sessions of others.
    async fn may_kill_others(&self) -> bool {
        let primary = self.shared.snapshot().primary().map(|primary| usize::from(primary.id.0));
        let Some(pool) = primary.and_then(|id| self.pools.get(id)) else { return false };
        let asked = async {
            let (mut lease, conn) = self.to_confirm(pool, &pool.server().name, Place::Anywhere).await.ok()?;
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
        let mut state = SessionState::default();
        state.set_user_variable(b"@`of_it`", b"10");
        state.set_user_variable(b"@`text`", b"'10'");
        let read = |text: &[u8]| parse(text, &state);
        assert_eq!(read(b"KILL @of_it"), kill(10, false));
        assert_eq!(read(b"KILL QUERY @`Of_It`"), kill(10, true));
        assert_eq!((read(b"KILL @text"), read(b"KILL @other"), read(b"KILL @of_it + 1")), (None, None, None));
        assert_eq!(read(b"KILL 7"), kill(7, false));
        assert_eq!(read(b" kill connection 8;"), kill(8, false));
        assert_eq!(read(b"KILL QUERY\n9"), kill(9, true));
        assert_eq!(read(b"/* app */ -- x\n# y\n KILL 7"), kill(7, false));
        assert_eq!(read(b"KILL SOFT USER x"), None);
        let user = |query_only| Some(KillUser { user: "x".into(), query_only });
        assert_eq!(parse_user(b"kill user x"), user(false));
        assert_eq!(parse_user(b"/* app */ KILL HARD CONNECTION USER 'x'@'%';"), user(false));
        assert_eq!(parse_user(b"KILL SOFT QUERY USER `x`@localhost"), user(true));
        for other in ["KILL USER", "KILL 7", "KILL QUERY 7", "KILL QUERY ID 7", "KILL USER x y", "SELECT 1"] {
            assert_eq!(parse_user(other.as_bytes()), None, "{other}");
        }
        assert_eq!(read(b"SELECT 1"), None);
    }
}
