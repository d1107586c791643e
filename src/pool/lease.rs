//! A checked-out connection, and how it is given back.

use super::Pool;
use crate::backend::conn::Ready;
use crate::backend::query::Reply;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take to be cleaned before it is closed instead.
const RESET_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection checked out of a pool.
///
/// Take the connection out with [`Lease::take`], put it back with [`Lease::put`], and end with
/// [`Lease::give_back`]. A lease dropped with its connection unused returns it; dropped while the
/// connection is out, it tells the pool that the connection is gone.
#[derive(Debug)]
#[must_use = "a lease holds a place in the pool"]
pub struct Lease {
    pool: Arc<Pool>,
    conn: Option<Ready>,
    /// Where it leads.
    pub(super) peer: Option<SocketAddr>,
    used: bool,
    remains: Remains,
    accounted: bool,
}

/// What may have been left on a connection that its state does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Remains {
    Nothing,
    /// What only a reset removes.
    Something,
    /// A `KILL` that is still on its way: it must not meet anybody else's statement.
    LateKill,
}

/// In which condition a connection comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disposition {
    /// Its state is exactly what the connection remembers of it.
    Clean,
    /// A client left something behind: reset it before anyone else may have it.
    NeedsReset,
    /// The same, and perhaps what a reset leaves, such as a role: log in anew before anyone else may have it.
    NeedsLogin,
}

impl Lease {
    pub(super) fn new(pool: Arc<Pool>, conn: Ready) -> Self {
        let peer = conn.peer();
        Self { pool, conn: Some(conn), peer, used: false, remains: Remains::Nothing, accounted: true }
    }

    /// The pool it belongs to.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The connection, while it is here.
    pub fn conn(&self) -> Option<&Ready> {
        self.conn.as_ref()
    }

    /// The connection, while it is here.
    pub fn conn_mut(&mut self) -> Option<&mut Ready> {
        self.conn.as_mut()
    }

    /// Takes the connection out for an exchange.
    pub fn take(&mut self) -> Option<Ready> {
        self.used = true;
        let mut conn = self.conn.take()?;
        // What it did for nobody in particular.
        conn.take_trips();
        Some(conn)
    }

    /// Puts the connection back after an exchange, which has come to its end now.
    pub fn put(&mut self, mut conn: Ready) {
        conn.used_now();
        self.pool.metrics.round_trips.inc_by(conn.take_trips().into());
        self.conn = Some(conn);
    }

    /// Notes that the connection must be reset before anyone else may have it.
    pub fn taint(&mut self) {
        self.remains = self.remains.max(Remains::Something);
    }

    /// Notes that nobody else may ever have the connection: a `KILL` of what ran on it may still come.
    pub fn awaits_kill(&mut self) {
        self.remains = Remains::LateKill;
    }

    /// Ends the lease.
    pub fn give_back(mut self, disposition: Disposition) {
        let Some(conn) = self.conn.take() else { return };
        self.accounted = false;
        if self.remains == Remains::LateKill {
            self.pool.returned(None);
            return;
        }
        // Nobody else may find himself in a transaction that he did not begin.
        let is_dirty = self.remains == Remains::Something || conn.is_in_transaction();
        let disposition = if is_dirty { disposition.max(Disposition::NeedsReset) } else { disposition };
        match disposition {
            Disposition::Clean => self.pool.returned(Some(conn)),
            Disposition::NeedsReset | Disposition::NeedsLogin => {
                let pool = self.pool.clone();
                pool.lock().reset_started();
                tokio::spawn(clean(pool, conn, disposition == Disposition::NeedsLogin));
            }
        }
    }

    /// The connection of a lease nobody took up; its place is already accounted for.
    pub(super) fn into_unused(mut self) -> Option<Ready> {
        self.accounted = false;
        self.conn.take()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.accounted {
            let unused = self.conn.take().filter(|_| !self.used);
            self.pool.returned(unused);
        }
    }
}

/// Cleans a connection in the background and returns it to service.
async fn clean(pool: Arc<Pool>, conn: Ready, logs_in: bool) {
    let cleaned = tokio::time::timeout(RESET_TIMEOUT, async {
        if logs_in {
            // Who has been refused is not to be refused once more.
            let conn = Some(conn).filter(|_| pool.account.refusal().is_none())?;
            return conn.log_in_again().await.inspect_err(|error| pool.turned_away(error)).ok();
        }
        let mut busy = conn.begin();
        busy.reset_session();
        busy.flush().await.ok()?;
        match busy.reply().await.ok()? {
            Reply::Ok { .. } => busy.finish(),
            _ => None,
        }
    })
    .await
    .ok()
    .flatten();
    pool.metrics.resets.inc();
    let mut slots = pool.lock();
    slots.reset_ended();
    if let Some(mut conn) = cleaned {
        conn.rest();
        slots.serve(&pool, conn);
    }
    drop(slots);
    pool.wake.notify_one();
}
