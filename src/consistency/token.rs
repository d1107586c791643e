//! Consistency tokens: what a scope (a session, a user) has written and must see again.
//!
//! Tokens grow with each acknowledged write. A write whose answer was lost makes the token
//! [uncertain](Token::uncertain_since): reads go to the primary until the primary itself has told
//! what it has executed since.

use super::gtid::GtidSet;
use crate::topology::ServerId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// What a reader must see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Token {
    /// Transactions that must be contained in what is read.
    pub gtids: Option<GtidSet>,
    /// Reads stay at the primary until then: for servers without GTIDs.
    pub primary_until: Option<Instant>,
    /// A write's answer was lost at this moment.
    pub uncertain_since: Option<Instant>,
    /// Servers found to contain `gtids`, a bit each.
    satisfied: u64,
}

impl Token {
    /// A token of these transactions.
    pub fn of(gtids: Option<GtidSet>) -> Self {
        Self { gtids, ..Self::default() }
    }

    /// Whether nothing must be seen.
    pub fn is_empty(&self) -> bool {
        self.gtids.is_none() && self.primary_until.is_none() && self.uncertain_since.is_none()
    }

    /// Whether a wait on this server has already shown that it contains the GTIDs.
    pub fn is_satisfied_on(&self, server: ServerId) -> bool {
        bit(server) & self.satisfied != 0
    }

    fn merge(&mut self, other: &Self) {
        if let Some(theirs) = &other.gtids {
            self.satisfied = 0;
            match &mut self.gtids {
                // Another family means another primary: what it has seen is what counts now.
                Some(ours) => {
                    if ours.union(theirs).is_err() {
                        *ours = theirs.clone();
                    }
                }
                None => self.gtids = Some(theirs.clone()),
            }
        }
        self.primary_until = self.primary_until.max(other.primary_until);
        self.uncertain_since = self.uncertain_since.max(other.uncertain_since);
    }
}

/// What one exchange wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The server named the transactions.
    Gtids(GtidSet),
    /// It wrote, and the server does not say what: trust time.
    Unnamed,
    /// The answer was lost: it may have written, or may yet.
    Uncertain,
}

/// What a write was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// Rows.
    Data,
    /// Possibly what tables there are and what they look like.
    Schema,
}

/// What one scope must see, shared by all its sessions.
#[derive(Debug, Default)]
pub struct Scope {
    all: Mutex<Token>,
    /// The part of it that changed schemas: whoever only prepares a statement need not see more.
    schema: Mutex<Token>,
}

impl Scope {
    /// What a reader must see now.
    pub fn token(&self, now: Instant) -> Token {
        current(&self.all, now)
    }

    /// What must be seen now by whoever only asks what tables look like.
    pub fn schema_token(&self, now: Instant) -> Token {
        current(&self.schema, now)
    }

    /// Records a write.
    pub fn wrote(&self, written: Written, changed: Changed, now: Instant, pin_for: Duration) {
        let mut add = Token::default();
        match written {
            Written::Gtids(gtids) => add.gtids = Some(gtids),
            Written::Unnamed => add.primary_until = Some(now + pin_for),
            Written::Uncertain => add.uncertain_since = Some(now),
        }
        if changed == Changed::Schema {
            lock(&self.schema).merge(&add);
        }
        lock(&self.all).merge(&add);
    }

    /// The primary, asked after the uncertain moment, has executed this: nothing is uncertain any
    /// more, but all of it must be seen.
    pub fn resolve(&self, asked: Instant, executed: &GtidSet) {
        for token in [&self.schema, &self.all] {
            let mut token = lock(token);
            if token.uncertain_since.is_some_and(|since| since < asked) {
                token.uncertain_since = None;
                token.merge(&Token { gtids: Some(executed.clone()), ..Token::default() });
            }
        }
    }

    /// Forgets what every replica in use contains.
    pub fn satisfied(&self, everywhere: &GtidSet) {
        for token in [&self.schema, &self.all] {
            let mut token = lock(token);
            if token.gtids.as_ref().is_some_and(|gtids| everywhere.contains(gtids)) {
                token.gtids = None;
            }
        }
    }

    /// A wait showed that `server` contains `gtids`: if nothing was written since, the next read
    /// need not wait again.
    pub fn satisfied_on(&self, server: ServerId, gtids: &GtidSet) {
        for token in [&self.schema, &self.all] {
            let mut token = lock(token);
            if token.gtids.as_ref().is_some_and(|now| gtids.contains(now)) {
                token.satisfied |= bit(server);
            }
        }
    }
}

fn current(token: &Mutex<Token>, now: Instant) -> Token {
    let mut token = lock(token);
    if token.primary_until.is_some_and(|until| until <= now) {
        token.primary_until = None;
    }
    token.clone()
}

fn lock(token: &Mutex<Token>) -> std::sync::MutexGuard<'_, Token> {
    // A token is whole between any two statements; a panic elsewhere does not change that.
    token.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server's bit; servers beyond the 64th are simply asked again.
fn bit(server: ServerId) -> u64 {
    1_u64.checked_shl(u32::from(server.0)).unwrap_or(0)
}

/// The scopes of all users.
#[derive(Debug, Default)]
pub struct Scopes(RwLock<HashMap<String, Arc<Scope>>>);

impl Scopes {
    /// The scope of a name, made when first asked for.
    pub fn scope(&self, name: &str) -> Arc<Scope> {
        if let Some(scope) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return scope.clone();
        }
        self.0.write().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone()
    }

    /// Every scope there is.
    pub fn all(&self) -> Vec<Arc<Scope>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consistency::gtid::Family;

    fn gtids(text: &str) -> GtidSet {
        GtidSet::parse(Family::MariaDb, text).expect("well formed")
    }

    const PIN: Duration = Duration::from_secs(2);

    #[test]
    fn writes_add_up_and_are_forgotten_once_everywhere() {
        let (scope, now) = (Scope::default(), Instant::now());
        scope.wrote(Written::Gtids(gtids("0-1-5")), Changed::Data, now, PIN);
        scope.wrote(Written::Gtids(gtids("1-1-2")), Changed::Data, now, PIN);
        assert_eq!(scope.token(now).gtids, Some(gtids("0-1-5,1-1-2")));
        scope.satisfied(&gtids("0-1-9"));
        assert!(!scope.token(now).is_empty());
        scope.satisfied(&gtids("0-1-9,1-1-2"));
        assert!(scope.token(now).is_empty());
    }

    #[test]
    fn a_satisfied_wait_is_remembered_until_the_next_write() {
        let (scope, now, replica) = (Scope::default(), Instant::now(), ServerId(1));
        scope.wrote(Written::Gtids(gtids("0-1-5")), Changed::Data, now, PIN);
        scope.satisfied_on(replica, &gtids("0-1-4"));
        assert!(!scope.token(now).is_satisfied_on(replica));
        scope.satisfied_on(replica, &gtids("0-1-5"));
        assert!(scope.token(now).is_satisfied_on(replica));
        scope.wrote(Written::Gtids(gtids("0-1-6")), Changed::Data, now, PIN);
        assert!(!scope.token(now).is_satisfied_on(replica));
    }

    #[test]
    fn only_schema_changes_concern_those_who_prepare() {
        let (scope, now) = (Scope::default(), Instant::now());
        scope.wrote(Written::Gtids(gtids("0-1-5")), Changed::Schema, now, PIN);
        scope.wrote(Written::Gtids(gtids("0-1-6")), Changed::Data, now, PIN);
        assert_eq!(scope.token(now).gtids, Some(gtids("0-1-6")));
        assert_eq!(scope.schema_token(now).gtids, Some(gtids("0-1-5")));
        scope.satisfied(&gtids("0-1-5"));
        assert!(scope.schema_token(now).is_empty() && !scope.token(now).is_empty());
    }

    #[test]
    fn without_gtids_time_decides() {
        let (scope, now) = (Scope::default(), Instant::now());
        scope.wrote(Written::Unnamed, Changed::Data, now, PIN);
        assert!(!scope.token(now).is_empty());
        assert!(scope.token(now + PIN).is_empty());
    }

    #[test]
    fn a_lost_answer_is_resolved_by_a_later_look_at_the_primary() {
        let (scope, now) = (Scope::default(), Instant::now());
        let (before, after) = (now, now + Duration::from_secs(2));
        let lost = now + Duration::from_secs(1);
        scope.wrote(Written::Uncertain, Changed::Data, lost, PIN);
        scope.resolve(before, &gtids("0-1-7"));
        assert_eq!(scope.token(after).uncertain_since, Some(lost));
        scope.resolve(after, &gtids("0-1-8"));
        assert_eq!(scope.token(after), Token { gtids: Some(gtids("0-1-8")), ..Token::default() });
    }
}
