//! Ending what runs on connections of a pool, from beside them.

use super::{Lease, Pool};
use crate::backend::conn::Ready;
use crate::backend::kill::{self, End, Outcome};
use crate::backend::login;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Who has waited for longer than this for a turn is left alone: the server has noticed by itself, or is gone.
const LONGEST: Duration = Duration::from_secs(120);
/// A commit that is waited for is looked at again after this, then after twice as long, and so on,
const SOON: Duration = Duration::from_secs(1);
/// but never less often than this.
const LATER: Duration = Duration::from_secs(30);

impl Lease {
    /// Ends whatever the server still runs for this connection. For a client that went away, or a statement past its
    /// time; the lease's own connection is closed with it.
    pub fn kill(self, thread_id: u32) {
        let (pool, peer) = (self.pool().clone(), self.peer);
        drop(self);
        // The end of the program waits for it, if not for long.
        pool.tasks.clone().spawn(async move { pool.kill_connection(thread_id, peer).await });
    }
}

impl Pool {
    /// Ends the statement that runs on a connection of this pool.
    pub async fn kill_query(&self, thread_id: u32) -> Outcome {
        // Somebody waits for it: it takes no turn behind what was abandoned.
        let outcome = match self.dial_to_kill().await {
            Some(conn) => self.kill(conn, End::Query, thread_id).await,
            None => Outcome::NotAsked,
        };
        if outcome == Outcome::Commits {
            left_to_itself(thread_id);
        }
        outcome
    }

    /// Ends a connection that leads to this address. A commit there is looked at again later, with no connection kept
    /// for that meanwhile.
    async fn kill_connection(&self, thread_id: u32, peer: Option<SocketAddr>) {
        let (since, mut pause) = (Instant::now(), SOON);
        while self.kill_in_turn(thread_id, peer, since).await == Some(Outcome::Commits) {
            if pause == SOON {
                left_to_itself(thread_id);
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LATER);
        }
    }

    /// Where many clients leave at once there are as many connections to be ended: a few at a time do it.
    /// `since`: when the number was known to be that of the connection that is meant.
    async fn kill_in_turn(&self, thread_id: u32, peer: Option<SocketAddr>, since: Instant) -> Option<Outcome> {
        let came = Instant::now();
        let _turn = self.server.kills.acquire().await.ok()?;
        if came.elapsed() > LONGEST {
            return None;
        }
        let conn = self.dial_to_kill().await?;
        // By now the name may stand for another server, or this one may have been started anew: the number would be
        // another's there.
        if conn.peer() != peer {
            return None;
        }
        let patience = self.settings.load().connect_timeout;
        let conn = kill::has_run_since(conn, since, patience).await?;
        Some(self.kill(conn, End::Connection, thread_id).await)
    }

    async fn dial_to_kill(&self) -> Option<Ready> {
        let patience = self.settings.load().connect_timeout;
        let login = login::dial(&self.server, &self.account, self.flags, patience).await.ok()?;
        Some(Ready::new(login, self.server.clone(), self.account.clone()))
    }

    async fn kill(&self, conn: Ready, what: End, thread_id: u32) -> Outcome {
        let patience = self.settings.load().connect_timeout;
        let outcome = kill::end(conn, what, thread_id, patience).await;
        if outcome == Outcome::Done {
            self.metrics.kills.inc();
        }
        outcome
    }
}

fn left_to_itself(thread_id: u32) {
    tracing::warn!(thread_id, "a commit is left to come to its end, not killed: that could stop the server");
}
