//! Who is connected, and what each of them runs where: for KILL, limits and drain.

use super::holds::Holds;
use super::killed::Running;
use super::signal::Signal;
use crate::consistency::scope::Scope;
use crate::topology::ServerId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
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
    /// Cancelled when all of them are to go once they hold nothing.
    drain: CancellationToken,
    sessions: Mutex<HashMap<u32, Arc<Handle>>>,
}

/// One client, as others see it.
#[derive(Debug)]
pub struct Handle {
    /// Told to end the session.
    pub stop: Signal,
    /// Told when all are to go, or when the file lists its user no more: the session ends as soon as it holds
    /// nothing.
    pub leave: Signal,
    host: String,
    connected: Instant,
    about: Mutex<About>,
    running: Mutex<Running>,
    pub(super) killed: Notify,
    /// What it holds between two commands, as [`Holds::encode`] writes it.
    holds: AtomicU64,
    /// When its last statement ended, in microseconds since it connected; 0 = not known.
    rested: AtomicU64,
}

/// What seldom changes of a client.
#[derive(Debug, Default)]
struct About {
    user: String,
    schema: Option<String>,
    scope: Option<Arc<Scope>>,
}

/// A client at one moment.
#[derive(Debug, Clone)]
pub struct ClientView {
    /// Its id, as it sees it.
    pub id: u32,
    /// The user; empty until it has logged in.
    pub user: String,
    /// Where it comes from.
    pub host: String,
    /// Its default schema.
    pub schema: Option<String>,
    /// When it connected.
    pub connected: Instant,
    /// The server on which a statement of it runs now, and the server's number of that connection.
    pub running: Option<(ServerId, u32)>,
    /// When that statement began, or else when the last one ended, if there was any.
    pub since: Option<Instant>,
    /// What it holds besides.
    pub holds: Holds,
    /// Who shares what it must see.
    pub scope: Option<Arc<Scope>>,
}

/// A place in the registry; leaving it removes the client.
#[derive(Debug)]
pub struct Entry {
    registry: Arc<Registry>,
    id: u32,
    handle: Arc<Handle>,
}

impl Registry {
    /// A registry that notes there when all clients are to go.
    pub fn new(drain: CancellationToken) -> Self {
        Self { drain, ..Self::default() }
    }

    /// Registers a client and gives it an id, unless there are `max` already.
    pub fn enter(self: &Arc<Self>, max: usize, host: &str) -> Option<Entry> {
        let handle = Arc::new(Handle::new(host));
        let mut sessions = self.lock();
        if sessions.len() >= max {
            return None;
        }
        // After a thousand million clients the numbers begin anew, and some of the first may still be here.
        let next = || FIRST_ID | (self.given.fetch_add(1, Ordering::Relaxed) & !FIRST_ID);
        let mut id = next();
        while sessions.contains_key(&id) {
            id = next();
        }
        sessions.insert(id, handle.clone());
        // Whoever has all of them go has it noted first: this one it finds here, or this one finds the note.
        if self.drain.is_cancelled() {
            handle.leave.cancel();
        }
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

    /// Has the clients of these users go when their transactions are over.
    pub fn dismiss(&self, is_removed: impl Fn(&str) -> bool) {
        for handle in self.lock().values().filter(|handle| is_removed(&handle.user())) {
            handle.leave.cancel();
        }
    }

    /// Every client as it is now, the oldest first.
    pub fn views(&self) -> Vec<ClientView> {
        let handles: Vec<(u32, Arc<Handle>)> = self.lock().iter().map(|(id, handle)| (*id, handle.clone())).collect();
        let mut views: Vec<ClientView> = handles.into_iter().map(|(id, handle)| handle.view(id)).collect();
        views.sort_by_key(|view| (view.connected, view.id));
        views
    }

    /// What every client holds between two commands.
    pub fn holds(&self) -> Vec<Holds> {
        self.lock().values().map(|handle| Holds::decode(handle.holds.load(Ordering::Relaxed))).collect()
    }

    /// Whether a statement runs on a server that began before `since`.
    pub fn runs_since(&self, server: ServerId, since: Instant) -> bool {
        self.lock().values().any(|handle| {
            let running = handle.lock();
            let is_there = running.on.as_ref().is_some_and(|(pool, _)| pool.server().id == server);
            is_there && running.since.is_some_and(|began| began < since)
        })
    }

    /// Has those whose statement runs on one of these servers look whether that is still there.
    pub fn look_again(&self, is_concerned: impl Fn(ServerId) -> bool) {
        for handle in self.lock().values() {
            let server = handle.lock().on.as_ref().map(|(pool, _)| pool.server().id);
            if server.is_some_and(&is_concerned) {
                handle.stop.look_again();
            }
        }
    }

    /// Has every client go, and whoever comes, once it holds nothing.
    pub fn drain(&self) {
        self.drain.cancel();
        self.dismiss(|_| true);
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
    fn new(host: &str) -> Self {
        Self {
            stop: Signal::default(),
            leave: Signal::default(),
            host: host.to_owned(),
            connected: Instant::now(),
            about: Mutex::default(),
            running: Mutex::default(),
            killed: Notify::new(),
            holds: AtomicU64::new(0),
            rested: AtomicU64::new(0),
        }
    }

    /// The user it logged in as.
    pub fn user(&self) -> String {
        self.about().user.clone()
    }

    /// Notes the user, and who shares what it must see.
    pub fn set_user(&self, user: &str, scope: Option<Arc<Scope>>) {
        let mut about = self.about();
        user.clone_into(&mut about.user);
        about.scope = scope;
    }

    /// Notes its default schema.
    pub fn set_schema(&self, schema: Option<&[u8]>) {
        self.about().schema = schema.map(|schema| String::from_utf8_lossy(schema).into_owned());
    }

    /// Notes what it holds, as [`Holds::encode`] writes it.
    pub(super) fn set_holds(&self, holds: u64) {
        self.holds.store(holds, Ordering::Relaxed);
    }

    /// Notes when its last statement ended.
    pub(super) fn set_rested(&self, at: Instant) {
        let micros = at.saturating_duration_since(self.connected).as_micros();
        self.rested.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn view(&self, id: u32) -> ClientView {
        let (running, began) = {
            let running = self.lock();
            (running.on.as_ref().map(|(pool, thread)| (pool.server().id, *thread)), running.since)
        };
        let rested = match self.rested.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(self.connected + Duration::from_micros(micros)),
        };
        let about = self.about();
        ClientView {
            id,
            user: about.user.clone(),
            host: self.host.clone(),
            schema: about.schema.clone(),
            connected: self.connected,
            since: if running.is_some() { began } else { rested.max(began) },
            running,
            holds: Holds::decode(self.holds.load(Ordering::Relaxed)),
            scope: about.scope.clone(),
        }
    }

    fn about(&self) -> std::sync::MutexGuard<'_, About> {
        self.about.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Running> {
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
        let one = registry.enter(2, "a").expect("room");
        let two = registry.enter(2, "b").expect("room");
        assert_ne!(one.id(), two.id());
        assert!(registry.enter(2, "c").is_none());
        drop(one);
        assert!(registry.enter(2, "c").is_some());
        assert_eq!(registry.len(), 1);
    }

    #[test]
    fn numbers_that_begin_anew_pass_over_those_that_are_here() {
        let registry = Arc::new(Registry::default());
        let old = registry.enter(9, "a").expect("room");
        registry.continue_at(1 << 30);
        let new = registry.enter(9, "b").expect("room");
        assert_ne!(old.id(), new.id());
        drop(new);
        assert_eq!(registry.len(), 1);
    }

    #[test]
    fn clients_are_seen_from_outside() {
        let registry = Arc::new(Registry::default());
        let entry = registry.enter(2, "10.0.0.1").expect("room");
        entry.handle().set_user("app", None);
        entry.handle().set_schema(Some(b"shop"));
        entry.handle().set_holds(1 << 62);
        let views = registry.views();
        let [view] = &views[..] else { panic!("one client") };
        assert_eq!(
            (view.id, &*view.user, &*view.host, view.schema.as_deref()),
            (entry.id(), "app", "10.0.0.1", Some("shop"))
        );
        assert_eq!((view.running, view.since, &view.holds), (None, None, &Holds::Begun));
    }
}
