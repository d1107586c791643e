//! What a session must see, and who learns of what it wrote and saw.

use super::definitions::Known;
use super::job::{Job, JobCommand};
use super::naming::Unnamed;
use super::shared::{ScopeKind, Shared};
use crate::consistency::catalogue::Catalogue;
use crate::consistency::gtid::GtidSet;
use crate::consistency::scope::Scope;
use crate::consistency::scopes::Key;
use crate::consistency::token::{Changed, Noted, Token};
use crate::consistency::touched::{Footing, Touch, Touched};
use crate::route::Reader;
use crate::sql::Traits;
use crate::topology::{ServerId, Snapshot};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// With whom a session shares its token.
#[derive(Debug)]
enum Sharing {
    /// With nobody; it does not even see its own writes for certain.
    Off,
    /// With everyone who has this scope.
    With(Arc<Scope>),
    /// With whoever names the same key. Without a key it is its user's.
    Keyed { own: Arc<Scope>, user: Arc<Scope>, usual: Option<Key> },
}

/// What a session must see.
#[derive(Debug)]
pub(super) struct Sight {
    sharing: Sharing,
    /// What the application brought along.
    carried: Scope,
    /// The same as it came: replicas elsewhere may not have what those here do.
    brought: Token,
    /// What was written and seen here since the session began: what the application may carry away.
    made: Token,
    /// Keys named since the transaction under way began: its end concerns them all.
    keys: Vec<Key>,
    /// Whether something in it named none.
    keyless: bool,
    /// It saw something on this server that no GTIDs name yet.
    observed: Option<ServerId>,
    /// Its scopes know that it did, and wait for somebody to name it.
    unnamed: Option<Unnamed>,
    /// The replica it has read from since it last told what it saw there.
    replica: Option<ServerId>,
    /// For choosing among equal replicas.
    pick: u64,
    max_lag: Option<Duration>,
    /// What its account knows of tables.
    definitions: Arc<Known>,
    /// Whether tables are told apart.
    tells_apart: bool,
    /// What the transaction under way has touched, or else the job.
    touched: Touched,
    /// Whether something that it saw before that is still to be named.
    observed_before: Option<ServerId>,
    /// Whether something was noted that the process which has taken over has not been told.
    untold: bool,
}

impl Sight {
    /// That of a new session of `user`, which named this key when it connected.
    pub(super) fn new(shared: &Shared, user: &str, session: u32, key: Option<&[u8]>) -> Self {
        let scopes = &shared.scopes;
        let pick_of = |name: &[u8]| scopes.key(name).pick();
        let (sharing, pick) = match shared.settings().scope {
            ScopeKind::Off => (Sharing::Off, session.into()),
            ScopeKind::Connection => (Sharing::With(Arc::default()), session.into()),
            ScopeKind::User => (Sharing::With(scopes.of_user(user)), pick_of(user.as_bytes())),
            ScopeKind::Sidecar => (Sharing::With(scopes.of_user("")), pick_of(b"")),
            ScopeKind::Key => {
                let usual = key.map(|key| scopes.key(key));
                let keyed = Sharing::Keyed { own: Arc::default(), user: scopes.of_user(user), usual };
                (keyed, pick_of(user.as_bytes()))
            }
        };
        let max_lag = shared.settings().max_lag_by_user.get(user).copied();
        let tells_apart = shared.definitions.tell_apart && !matches!(sharing, Sharing::Off);
        Self {
            sharing,
            carried: Scope::default(),
            brought: Token::default(),
            made: Token::default(),
            keys: Vec::new(),
            keyless: false,
            observed: None,
            unnamed: None,
            replica: None,
            pick,
            max_lag,
            definitions: shared.definitions.of_account(user),
            tells_apart,
            touched: Touched::Nothing,
            observed_before: None,
            untold: false,
        }
    }

    /// Replicas further behind than this do not answer its user from now on.
    pub(super) fn set_max_lag(&mut self, max_lag: Option<Duration>) {
        self.max_lag = max_lag;
    }

    /// Forgets what only this session knew, as a reset does.
    pub(super) fn reset(&mut self) {
        self.carried = Scope::default();
        self.brought = Token::default();
        self.made = Token::default();
        self.keys.clear();
        if let Sharing::Keyed { own, .. } = &mut self.sharing {
            *own = Arc::default();
        }
    }

    /// Who shares what it must see, if that is one.
    pub(super) fn shared_with(&self) -> Option<Arc<Scope>> {
        match &self.sharing {
            Sharing::Off => None,
            Sharing::With(scope) => Some(scope.clone()),
            Sharing::Keyed { user, .. } => Some(user.clone()),
        }
    }

    /// Whether nothing that was seen may be unseen.
    pub(super) fn is_consistent(&self) -> bool {
        !matches!(self.sharing, Sharing::Off)
    }

    /// Whose writes a job must see, besides the session's own and its user's.
    pub(super) fn key(&self, job: &Job) -> Option<Key> {
        match &self.sharing {
            Sharing::Keyed { usual, .. } => job.wishes.key.or(*usual),
            Sharing::Off | Sharing::With(_) => None,
        }
    }

    /// What matters of this session for a job that reads `now`.
    pub(super) fn reader(&mut self, shared: &Shared, (job, now): (&Job, Instant), snapshot: &Snapshot) -> Reader {
        // Without tables there are still the defaults of schemas.
        let of_schemas = job.only_prepares() || job.traits.contains(Traits::TABLE_FREE);
        let catalogue = self.known(shared, snapshot);
        let footing = match (&job.touch, &catalogue) {
            (Touch::Reads(tables), Some(catalogue)) if catalogue.shows_only(tables) => {
                Some(Footing { catalogue, tables })
            }
            _ => None,
        };
        let part = |scope: &Scope, now, snapshot: &Snapshot| {
            if of_schemas { scope.schema_token(now, snapshot) } else { scope.token_of(footing, now, snapshot) }
        };
        let mut token = part(&self.carried, now, snapshot);
        let mut pick = self.pick;
        match &self.sharing {
            Sharing::Off => self.pick = self.pick.wrapping_add(1),
            Sharing::With(scope) => token.merge(&part(scope, now, snapshot)),
            Sharing::Keyed { own, user, .. } => {
                token.merge(&part(own, now, snapshot));
                match self.key(job) {
                    None => token.merge(&part(user, now, snapshot)),
                    Some(key) => {
                        let (scope, rest) = shared.scopes.of_key(key);
                        pick = key.pick();
                        token.merge(&part(rest, now, snapshot));
                        if let Some(scope) = scope {
                            token.merge(&part(&scope, now, snapshot));
                        }
                    }
                }
            }
        }
        if self.is_consistent()
            && let Some(others) = shared.succession.others(now, snapshot)
        {
            token.merge(&part(others, now, snapshot));
        }
        let max_lag = match (self.max_lag, job.wishes.max_lag) {
            (Some(user), Some(hint)) => Some(user.min(hint)),
            (user, hint) => user.or(hint),
        };
        Reader { token, is_consistent: self.is_consistent(), pick, max_lag, patience: None }
    }

    /// A job begins: what it writes concerns its key.
    pub(super) fn begins(&mut self, shared: &Shared, job: &Job) {
        if self.tells_apart && !matches!(job.command, JobCommand::Prepare(..)) {
            if matches!(self.touched, Touched::Nothing) {
                self.observed_before = self.observed;
            }
            let catalogue = self.known_now(shared);
            self.touched.add(&job.touch, catalogue);
        }
        match self.key(job) {
            Some(key) if !self.keys.contains(&key) => self.keys.push(key),
            Some(_) => {}
            None => self.keyless |= job.ends.is_none(),
        }
    }

    /// No transaction is open any more.
    pub(super) fn ends(&mut self) {
        self.keys.clear();
        self.keyless = false;
        self.touched = Touched::Nothing;
    }

    /// Something was seen on a server that nobody has named yet.
    pub(super) fn observes(&mut self, server: ServerId) {
        self.observed = Some(server).filter(|_| self.is_consistent());
    }

    /// Something was read from a replica.
    pub(super) fn read_from(&mut self, replica: ServerId) {
        self.replica = Some(replica);
    }

    /// The replica it has read from since this was last asked.
    pub(super) fn take_replica(&mut self) -> Option<ServerId> {
        self.replica.take()
    }

    /// Everybody who shares the token learns of what was written or seen.
    pub(super) fn note(&mut self, shared: &Shared, noted: &Noted, changed: Changed) {
        let (now, pin_for) = (Instant::now(), shared.settings().pin_for);
        let snapshot = shared.snapshot();
        let catalogue = self.known_now(shared);
        let rows = matches!(noted, Noted::Gtids(_)) && changed == Changed::Data;
        let footing = self.touched.footing(catalogue.as_deref()).filter(|_| rows);
        self.made.settle(now, snapshot.report.as_ref(), None);
        self.made.merge(&Token::noted(noted, now, pin_for));
        if *noted != Noted::Untold {
            // Either named, or known not to be; of other tables it is as before.
            self.observed = self.observed_before.filter(|_| footing.is_some());
        }
        for scope in self.scopes(shared, now) {
            // What is over must not be taken for part of what is new.
            scope.token(now, &snapshot);
            match (noted, footing) {
                (Noted::Gtids(gtids), Some(footing)) => scope.note_tables(gtids, footing, now),
                _ => scope.note(noted, changed, now, pin_for),
            }
        }
        self.share(shared, noted, now);
    }

    /// The process that has taken over must know as well, if there is one and others may be its clients.
    fn share(&mut self, shared: &Shared, noted: &Noted, now: Instant) {
        let alone = matches!(shared.settings().scope, ScopeKind::Off | ScopeKind::Connection);
        self.untold |= !alone && shared.succession.note(noted, now, shared.settings().pin_for);
    }

    /// Whether something was noted that the process which has taken over has not been told, until this was asked.
    pub(super) fn take_untold(&mut self) -> bool {
        std::mem::take(&mut self.untold)
    }

    /// What was read from a replica has no name: whoever carries the token on must read at the primary.
    pub(super) fn carry_doubt(&mut self) {
        self.made.unnamed_since = Some(Instant::now());
    }

    /// If something was seen that nobody has named, everybody is told that only the primary is known to have it.
    pub(super) fn doubt(&mut self, shared: &Shared) {
        let Some(server) = self.observed.take() else { return };
        let scopes = self.scopes(shared, Instant::now());
        self.note(shared, &Noted::Unnamed, Changed::Data);
        self.unnamed = Some(Unnamed::new(server, Instant::now(), scopes));
    }

    /// What its account knows of tables.
    pub(super) fn definitions(&self) -> &Arc<Known> {
        &self.definitions
    }

    /// What is known of tables for certain, if they are told apart.
    fn known(&self, shared: &Shared, snapshot: &Snapshot) -> Option<Arc<Catalogue>> {
        if self.tells_apart { self.catalogue(shared, Instant::now(), snapshot) } else { None }
    }

    /// What is known of tables for certain.
    pub(super) fn tables(&self, shared: &Shared) -> Option<Arc<Catalogue>> {
        self.catalogue(shared, Instant::now(), &shared.snapshot())
    }

    fn catalogue(&self, shared: &Shared, now: Instant, snapshot: &Snapshot) -> Option<Arc<Catalogue>> {
        if shared.succession.is_shared() {
            // Somebody else may change definitions, and nobody here learns of it.
            return None;
        }
        self.definitions.current(now, snapshot.primary().map(|primary| primary.id))
    }

    fn known_now(&self, shared: &Shared) -> Option<Arc<Catalogue>> {
        if !self.tells_apart {
            return None;
        }
        self.known(shared, &shared.snapshot())
    }

    /// Whether the transaction under way has written to plain tables, and has seen nothing else.
    pub(super) fn wrote_only_to_tables(&self, shared: &Shared) -> bool {
        let catalogue = self.known_now(shared);
        self.touched.footing(catalogue.as_deref()).is_some()
    }

    /// What waits to be named by this server, where it was seen.
    pub(super) fn take_unnamed(&mut self, server: ServerId) -> Option<Unnamed> {
        self.unnamed.take_if(|unnamed| unnamed.server() == server)
    }

    /// All that was seen until `asked` is contained in these transactions.
    pub(super) fn named(&mut self, shared: &Shared, asked: Instant, gtids: &GtidSet) {
        self.observed = None;
        self.observed_before = None;
        self.unnamed = None;
        let now = Instant::now();
        self.made.named(asked, now, gtids);
        self.carried.named(asked, now, gtids);
        self.brought.named(asked, now, gtids);
        for scope in self.scopes(shared, now) {
            scope.named(asked, now, gtids);
        }
        if shared.succession.is_lingering() {
            self.share(shared, &Noted::Gtids(gtids.clone()), now);
        }
    }

    /// A wait showed that a server contains these transactions.
    pub(super) fn satisfied_on(&self, shared: &Shared, job: &Job, server: ServerId, gtids: &GtidSet) {
        self.carried.satisfied_on(server, gtids);
        shared.succession.satisfied_on(server, gtids);
        match &self.sharing {
            Sharing::Off => {}
            Sharing::With(scope) => scope.satisfied_on(server, gtids),
            Sharing::Keyed { own, user, .. } => {
                let key = self.key(job).and_then(|key| shared.scopes.of_key(key).0);
                for scope in [Some(own), Some(user), key.as_ref()].into_iter().flatten() {
                    scope.satisfied_on(server, gtids);
                }
            }
        }
    }

    /// The application carried this token here; it takes the place of the one before.
    pub(super) fn carry(&mut self, token: &Token) {
        self.carried = Scope::default();
        self.carried.take_on(token);
        self.brought = token.clone();
    }

    /// What was read from a replica is in these transactions: whoever carries the token on must see it.
    pub(super) fn carry_away(&mut self, at: Instant, gtids: &GtidSet) {
        self.made.merge(&Token::of(Some(gtids.clone())).raised(at));
    }

    /// What the application may carry elsewhere.
    pub(super) fn portable(&self, now: Instant, snapshot: &Snapshot) -> Token {
        let mut token = self.made.clone();
        token.merge(&self.brought);
        token.settle(now, snapshot.report.as_ref(), None);
        token
    }

    /// The scopes that learn of what is written now.
    fn scopes(&self, shared: &Shared, now: Instant) -> Vec<Arc<Scope>> {
        match &self.sharing {
            Sharing::Off => Vec::new(),
            Sharing::With(scope) => vec![scope.clone()],
            Sharing::Keyed { own, user, .. } => {
                let mut scopes = vec![own.clone()];
                if self.keys.is_empty() || self.keyless {
                    scopes.push(user.clone());
                }
                if !self.keys.is_empty() {
                    let snapshot = shared.snapshot();
                    scopes.extend(self.keys.iter().map(|key| shared.scopes.scope_for_more(*key, now, &snapshot)));
                    shared.metrics.keys.set(i64::try_from(shared.scopes.keys()).unwrap_or(i64::MAX));
                }
                scopes
            }
        }
    }
}
