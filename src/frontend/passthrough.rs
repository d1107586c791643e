//! Users that the file does not list: let in on a server's word.
//!
//! Whoever is unknown shows the password, and a server says whether it is right. From then on the
//! password is known here, and logins cost nothing; from time to time the server is asked again, and
//! whoever it refuses then is unknown again. Only while no server can be asked do the known stay
//! welcome without.

use crate::backend::conn::Ready;
use crate::backend::login::{Account, DialError, dial};
use crate::backend::server::Server;
use crate::backend::servers::Servers;
use crate::protocol::capability::Capabilities;
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use crate::topology::{Role, Snapshot};
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// More users than this are not remembered: the one who came least recently is forgotten.
const MOST_USERS: usize = 10_000;
/// Passwords of one user: MySQL accepts the old one beside the new one until it is discarded.
const MOST_PASSWORDS: usize = 2;
/// Passwords that servers are asked about at the same time. A flood of wrong ones waits here.
const MOST_QUESTIONS: usize = 8;
/// After a question that no server answered, the next one waits for this long.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The users let in on a server's word, and whom to ask about them.
#[derive(Debug)]
pub struct Passthrough {
    servers: Servers,
    topology: watch::Receiver<Arc<Snapshot>>,
    terms: ArcSwap<Terms>,
    /// By user, the password verified last coming first.
    known: Mutex<HashMap<String, Vec<Arc<Known>>>>,
    /// Questions about passwords not seen before, and about known accounts: the first must not keep
    /// the second waiting.
    newcomers: Semaphore,
    rechecks: Semaphore,
}

/// How servers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// A server is asked again about an account after this long.
    pub recheck: Duration,
    /// How long a server may take to answer.
    pub timeout: Duration,
}

/// An account that a server has let in.
#[derive(Debug)]
pub(super) struct Known {
    /// The account.
    pub(super) account: Arc<Account>,
    /// When a server is to be asked again. Whoever asks holds it, and the others wait for the answer.
    due: tokio::sync::Mutex<Instant>,
    /// When somebody last logged in with it.
    used: Mutex<Instant>,
}

/// What servers say of a name and a password.
#[derive(Debug)]
enum Answer {
    /// Welcome.
    Yes,
    /// Not with these, and why.
    No(ServerError),
    /// None could be asked; why.
    Unknown(ServerError),
}

impl Passthrough {
    /// Asks these servers.
    pub fn new(servers: Servers, topology: watch::Receiver<Arc<Snapshot>>, terms: Terms) -> Self {
        Self {
            servers,
            topology,
            terms: ArcSwap::from_pointee(terms),
            known: Mutex::default(),
            newcomers: Semaphore::new(MOST_QUESTIONS),
            rechecks: Semaphore::new(MOST_QUESTIONS),
        }
    }

    /// Asks by these terms from now on. Who is known stays so.
    pub fn configure(&self, terms: Terms) {
        self.terms.store(Arc::new(terms));
    }

    fn terms(&self) -> Terms {
        **self.terms.load()
    }

    /// The account of a user that `fits`, unless a server has refused it since it was let in.
    pub(super) fn known(&self, user: &str, fits: impl Fn(&Account) -> bool) -> Option<Arc<Known>> {
        let mut all = self.lock();
        let known = all.get_mut(user)?;
        known.retain(|known| known.account.refusal().is_none());
        let known = known.iter().find(|known| fits(&known.account))?.clone();
        *known.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Some(known)
    }

    /// Whether a known account may still come in; a server is asked if that is due.
    pub(super) async fn is_still_welcome(&self, known: &Arc<Known>) -> bool {
        let mut due = known.due.lock().await;
        if known.account.refusal().is_some() {
            return false;
        }
        if Instant::now() < *due {
            return true;
        }
        // The semaphore is never closed.
        let _permit = self.rechecks.acquire().await;
        // Not server after server: the client waits, and may come in without.
        match self.ask(&known.account, Some(self.terms().timeout)).await {
            Answer::Yes => *due = Instant::now() + self.terms().recheck,
            Answer::Unknown(error) => {
                tracing::warn!(
                    user = known.account.user.as_str(),
                    error = error.message.as_str(),
                    "no server can be asked about a known user, who is let in"
                );
                *due = Instant::now() + ASK_AGAIN;
            }
            Answer::No(error) => {
                tracing::info!(
                    user = known.account.user.as_str(),
                    error = error.message.as_str(),
                    "a user is no longer welcome"
                );
                self.forget(known);
                return false;
            }
        }
        true
    }

    /// Asks a server whether this is the user's password, and remembers it if it is.
    ///
    /// # Errors
    /// What the server said, or why none could be asked.
    pub(super) async fn verify(&self, user: &str, password: &str) -> Result<Arc<Account>, ServerError> {
        // The semaphore is never closed.
        let _permit = self.newcomers.acquire().await;
        if let Some(known) = self.known(user, |account| account.has_password(password.as_bytes()))
            && self.is_still_welcome(&known).await
        {
            // Somebody else was verified while this one waited.
            return Ok(known.account.clone());
        }
        let account = Arc::new(Account::lent(user, password));
        match self.ask(&account, None).await {
            Answer::Yes => Ok(self.remember(account)),
            Answer::No(error) | Answer::Unknown(error) => Err(error),
        }
    }

    /// Logs in as the account where that is nearest; `within` is for all servers together.
    async fn ask(&self, account: &Arc<Account>, within: Option<Duration>) -> Answer {
        let until = within.map(|within| Instant::now() + within);
        let mut answer = no_answer(account, "no server answers");
        for server in self.nearest() {
            let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            let patience = self.terms().timeout.min(left);
            let error = match dial(&server, account, Capabilities::empty(), patience).await {
                Ok(login) => {
                    tokio::spawn(Ready::new(login, server, account.clone()).close());
                    return Answer::Yes;
                }
                Err(error) => error,
            };
            // A replica may only be late: the primary, asked last, knows best.
            match said(account, error) {
                Answer::No(no) => answer = Answer::No(no),
                other if !matches!(answer, Answer::No(_)) => answer = other,
                _ => {}
            }
        }
        if let Answer::No(error) = &answer {
            account.refused_for(error);
        }
        answer
    }

    fn nearest(&self) -> Vec<Arc<Server>> {
        let snapshot = self.topology.borrow().clone();
        let mut servers: Vec<_> = snapshot.servers.iter().filter(|server| server.is_usable()).collect();
        servers.sort_by_key(|server| {
            (server.role == Role::Primary, !server.local, server.rtt.unwrap_or(Duration::MAX), server.id)
        });
        servers.iter().filter_map(|server| self.servers.get(server.id)).collect()
    }

    /// Remembers an account that a server has just let in; if somebody else was quicker, theirs.
    fn remember(&self, account: Arc<Account>) -> Arc<Account> {
        let now = Instant::now();
        let mut all = self.lock();
        if all.len() >= MOST_USERS && !all.contains_key(&account.user) {
            let used = |known: &Arc<Known>| *known.used.lock().unwrap_or_else(PoisonError::into_inner);
            let least = all.iter().min_by_key(|(_, known)| known.iter().map(used).max()).map(|(user, _)| user.clone());
            least.and_then(|user| all.remove(&user));
        }
        let passwords = all.entry(account.user.clone()).or_default();
        passwords.retain(|known| known.account.refusal().is_none());
        if let Some(same) =
            passwords.iter().find(|known| known.account.has_password(account.password.expose().as_bytes()))
        {
            return same.account.clone();
        }
        for other in passwords.iter() {
            // Most likely it is good no longer. Where it is locked a server is being asked already.
            if let Ok(mut due) = other.due.try_lock() {
                *due = now;
            }
        }
        let due = tokio::sync::Mutex::new(now + self.terms().recheck);
        passwords.insert(0, Arc::new(Known { account: account.clone(), due, used: Mutex::new(now) }));
        passwords.truncate(MOST_PASSWORDS);
        account
    }

    fn forget(&self, forgotten: &Arc<Known>) {
        if let Some(known) = self.lock().get_mut(&forgotten.account.user) {
            known.retain(|known| !Arc::ptr_eq(known, forgotten));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Known>>>> {
        // Every statement leaves it whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a failed login says of the account.
fn said(account: &Account, error: DialError) -> Answer {
    match error {
        DialError::Refused(error) if errno::refuses_account(&error) => Answer::No(error),
        // Too many connections, a blocked host: not about the account.
        DialError::Refused(error) => Answer::Unknown(error),
        DialError::Plugin { .. } | DialError::WouldLeak => Answer::No(errno::cannot_authenticate(&error.to_string())),
        error => no_answer(account, &error.to_string()),
    }
}

fn no_answer(account: &Account, why: &str) -> Answer {
    Answer::Unknown(errno::cannot_verify(&account.user, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody_to_ask(recheck: Duration) -> Passthrough {
        let (_publish, topology) = watch::channel(Arc::default());
        let servers = Servers::new(Vec::new(), Arc::default());
        Passthrough::new(servers, topology, Terms { recheck, timeout: Duration::from_secs(1) })
    }

    fn lent(user: &str, password: &str) -> Arc<Account> {
        Arc::new(Account::lent(user, password))
    }

    fn knows(passthrough: &Passthrough, user: &str, password: &str) -> Option<Arc<Known>> {
        passthrough.known(user, |account| account.password.expose() == password)
    }

    #[tokio::test]
    async fn two_passwords_of_a_user_are_known() {
        let passthrough = nobody_to_ask(Duration::from_secs(3600));
        let first = passthrough.remember(lent("a", "1"));
        assert!(Arc::ptr_eq(&passthrough.remember(lent("a", "1")), &first), "whoever was quicker");
        passthrough.remember(lent("a", "2"));
        assert!(knows(&passthrough, "a", "1").is_some() && knows(&passthrough, "a", "2").is_some());
        assert!(knows(&passthrough, "a", "3").is_none() && knows(&passthrough, "b", "1").is_none());
        passthrough.remember(lent("a", "3"));
        assert!(knows(&passthrough, "a", "1").is_none(), "the oldest goes");
    }

    #[tokio::test]
    async fn what_a_server_refuses_is_forgotten() {
        let passthrough = nobody_to_ask(Duration::from_secs(3600));
        let account = passthrough.remember(lent("a", "1"));
        account.turned_away(&DialError::Refused(errno::access_denied("a", "here", true)));
        assert!(knows(&passthrough, "a", "1").is_none());
        assert!(!Arc::ptr_eq(&passthrough.remember(lent("a", "1")), &account), "let in again, it is another one");
    }

    #[tokio::test]
    async fn without_a_server_the_known_stay_and_the_unknown_wait() {
        let passthrough = nobody_to_ask(Duration::ZERO);
        passthrough.remember(lent("a", "1"));
        let known = knows(&passthrough, "a", "1").expect("known");
        assert!(passthrough.is_still_welcome(&known).await);
        let refused = passthrough.verify("a", "2").await.expect_err("nobody says so");
        assert_eq!(refused.code, errno::UNREACHABLE);
        assert!(passthrough.verify("a", "1").await.is_ok());
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let passthrough = nobody_to_ask(Duration::from_secs(3600));
        for n in 0..=MOST_USERS {
            passthrough.remember(lent(&n.to_string(), "1"));
            knows(&passthrough, "0", "1").expect("used again and again");
        }
        assert_eq!(passthrough.lock().len(), MOST_USERS);
        assert!(knows(&passthrough, "1", "1").is_none(), "the one used least recently");
    }
}
