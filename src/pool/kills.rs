//! Ending what runs on connections of a pool, from beside them.

use super::{Lease, Pool};
use crate::backend::conn::Ready;
use crate::backend::kill::{self, End, Outcome};
use crate::backend::login;
use std::time::{Duration, Instant};

/// After this a server may have been started anew, and the number of a connection be another's.
const FRESH: Duration = Duration::from_secs(1);
/// A commit that is waited for is looked at again after this, then after twice as long, and so on,
const SOON: Duration = Duration::from_secs(1);
/// but never less often than this.
const LATER: Duration = Duration::from_secs(30);

impl Lease {
    /// Ends whatever the server still runs for this connection. For a client that went away, or a statement past its
    /// time; the lease's own connection is closed with it.
    pub fn kill(self, thread_id: u32) {
        let pool = self.pool().clone();
        drop(self);
        // The end of the program waits for it, if not for long.
        pool.tasks.clone().spawn(async move { pool.kill_connection(thread_id).await });
    }
}

impl Pool {
    /// Ends the statement that runs on a connection of this pool.
    pub async fn kill_query(&self, thread_id: u32) -> Outcome {
        // Somebody waits for it: it takes no turn behind what was abandoned.
        let outcome = self.kill(End::Query, thread_id, Instant::now()).await;
        if outcome == Outcome::Commits {
            left_to_itself(thread_id);
        }
        outcome
    }

    /// A commit there is looked at again later, with no connection kept for that meanwhile.
    async fn kill_connection(&self, thread_id: u32) {
        let (since, mut pause) = (Instant::now(), SOON);
        loop {
            let outcome = {
                // Where many clients leave at once there are as many to be ended: a few connections at a time do it.
                let Ok(_turn) = self.server.kills.acquire().await else { return };
                self.kill(End::Connection, thread_id, since).await
            };
            if outcome != Outcome::Commits {
                return;
            }
            if pause == SOON {
                left_to_itself(thread_id);
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LATER);
        }
    }

    /// `since`: when the connection was known to be the one that is meant.
    async fn kill(&self, what: End, thread_id: u32, since: Instant) -> Outcome {
        let patience = self.settings.load().connect_timeout;
        let Ok(login) = login::dial(&self.server, &self.account, self.flags, patience).await else {
            return Outcome::NotAsked;
        };
        let mut conn = Ready::new(login, self.server.clone(), self.account.clone());
        if since.elapsed() > FRESH {
            match kill::has_run_since(conn, since, patience).await {
                Some(same) => conn = same,
                None => return Outcome::NotAsked,
            }
        }
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
