//! Who is connected, and what each of them runs where: for KILL, limits and drain.

use crate::pool::Pool;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Clients' ids are above those of the servers' own connections, so that a `KILL` can tell whose
/// id it was given.
pub const FIRST_ID: u32 = 1 << 30;

/// All connected clients.
#[derive(Debug, Default)]
pub struct Registry {
    /// Ids given out; see [`FIRST_ID`].
    given: AtomicU32,
    sessions: Mutex<HashMap<u32, Arc<Handle>>>,
}

/// One client, as others see it.
#[derive(Debug, Default)]
pub struct Handle {
    /// Cancelled to end the session.
    pub stop: CancellationToken,
    user: Mutex<String>,
    running: Mutex<Running>,
    killed: Notify,
}

/// What a client's statement runs on, and how many others are about to end it.
#[derive(Debug, Default)]
struct Running {
    on: Option<(Arc<Pool>, u32)>,
    kills: usize,
}

/// A place in the registry; leaving it removes the client.
#[derive(Debug)]
pub struct Entry {
    registry: Arc<Registry>,
    id: u32,
    handle: Arc<Handle>,
}

impl Registry {
    /// Registers a client and gives it an id, unless there are `max` already.
    pub fn enter(self: &Arc<Self>, max: usize) -> Option<Entry> {
        let id = FIRST_ID | (self.given.fetch_add(1, Ordering::Relaxed) & !FIRST_ID);
        let handle = Arc::new(Handle::default());
        let mut sessions = self.lock();
        if sessions.len() >= max {
            return None;
        }
        sessions.insert(id, handle.clone());
        Some(Entry { registry: self.clone(), id, handle })
    }

    /// Goes on with the ids of another process.
    pub fn continue_at(&self, given: u32) {
        self.given.store(given, Ordering::Relaxed);
    }

    /// Where another process may go on. Some are left for clients that are being accepted.
    pub fn ids_for_another(&self) -> u32 {
        self.given.load(Ordering::Relaxed).wrapping_add(1 << 16)
    }

    /// The client of an id.
    pub fn find(&self, id: u32) -> Option<Arc<Handle>> {
        self.lock().get(&id).cloned()
    }

    /// The clients of a user.
    pub fn all_of_user(&self, user: &str) -> Vec<Arc<Handle>> {
        self.lock().values().filter(|handle| handle.user() == user).cloned().collect()
    }

    /// Tells every client to go.
    pub fn stop_all(&self) {
        for handle in self.lock().values() {
            handle.stop.cancel();
        }
    }

    /// How many clients a user has.
    pub fn of_user(&self, user: &str) -> usize {
        self.all_of_user(user).len()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Arc<Handle>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    /// The user it logged in as.
    pub fn user(&self) -> String {
        self.user.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes the user.
    pub fn set_user(&self, user: &str) {
        user.clone_into(&mut self.user.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes that a statement of it begins to run: a pool and the server's id of the connection.
    pub fn begin(&self, pool: Arc<Pool>, thread_id: u32) {
        self.lock().on = Some((pool, thread_id));
    }

    /// Notes that its statement is over, and waits for those who were just about to kill it: their
    /// `KILL` must not meet the next client of the connection. Whether there were any.
    pub async fn end(&self) -> bool {
        let mut met = false;
        loop {
            let killed = self.killed.notified();
            {
                let mut running = self.lock();
                running.on = None;
                if running.kills == 0 {
                    return met;
                }
            }
            met = true;
            killed.await;
        }
    }

    /// Kills the statement that runs for it now, if any.
    pub async fn kill_statement(&self) {
        let target = {
            let mut running = self.lock();
            let target = running.on.clone();
            running.kills += usize::from(target.is_some());
            target
        };
        if let Some((pool, thread_id)) = target {
            pool.kill_query(thread_id).await;
            self.lock().kills -= 1;
            self.killed.notify_waiters();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The client's id, as it sees it.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The client as others see it.
    pub fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_the_limit_holds() {
        let registry = Arc::new(Registry::default());
        let one = registry.enter(2).expect("room");
        let two = registry.enter(2).expect("room");
        assert_ne!(one.id(), two.id());
        assert!(registry.enter(2).is_none());
        drop(one);
        assert!(registry.enter(2).is_some());
        assert_eq!(registry.len(), 1);
    }
}
