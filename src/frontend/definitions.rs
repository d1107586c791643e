//! What is known of tables, where they are told apart (`consistency.per_table`): read from the primary in the
//! background, as long as somebody asks.

use crate::backend::conn::Ready;
use crate::backend::executed::{executed, executed_sql};
use crate::backend::login::{self, Account};
use crate::backend::query::{Reply, Row};
use crate::backend::server::Server;
use crate::consistency::catalogue::{Catalogue, Plains, Told};
use crate::consistency::gtid::{Family, GtidSet};
use crate::protocol::capability::Capabilities;
use crate::topology::ServerId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What was read longer ago is not believed: somebody else may have changed it.
const BELIEVED_FOR: Duration = Duration::from_secs(10);
/// What was read so long ago is read again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Reading begins at most so often, however often definitions change.
const BETWEEN_READINGS: Duration = Duration::from_millis(500);
/// More tables are not told apart.
const MOST_TABLES: usize = 50_000;
/// More accounts are not remembered while none of their sessions is there.
const MOST_ACCOUNTS: usize = 256;

/// What is known of tables, by account: servers tell each of them something else.
#[derive(Debug, Default)]
pub struct Definitions {
    /// Whether reads wait only for writes to their tables (`consistency.per_table`).
    pub tell_apart: bool,
    accounts: Mutex<HashMap<String, Arc<Known>>>,
    changes: Arc<Changes>,
    generations: Arc<AtomicU64>,
}

/// Statements run here that may change what tables there are.
#[derive(Debug, Default)]
struct Changes {
    under_way: AtomicU64,
    over: AtomicU64,
}

/// As long as it lives, definitions may be changing.
#[derive(Debug)]
pub(super) struct Changing(Arc<Changes>);

impl Drop for Changing {
    fn drop(&mut self) {
        // In this order: at no moment does all seem to be as it was.
        self.0.over.fetch_add(1, Ordering::SeqCst);
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Changes {
    /// How many there have been, unless one is under way.
    fn at_rest(&self) -> Option<u64> {
        let is_at_rest = self.under_way.load(Ordering::SeqCst) == 0;
        is_at_rest.then(|| self.over.load(Ordering::SeqCst))
    }
}

/// What an account knows.
#[derive(Debug)]
pub(super) struct Known {
    changes: Arc<Changes>,
    generations: Arc<AtomicU64>,
    latest: Mutex<Latest>,
}

#[derive(Debug, Default)]
struct Latest {
    read: Option<Reading>,
    /// When a reading was last begun, and whether it is still under way.
    begun: Option<(Instant, bool)>,
    /// Why the last one failed.
    failed: Option<String>,
}

/// A reading of the catalogue.
#[derive(Debug)]
struct Reading {
    catalogue: Arc<Catalogue>,
    /// When it began.
    at: Instant,
    /// Where.
    server: ServerId,
    /// How often definitions had changed before.
    changes: u64,
}

impl Definitions {
    /// With nothing known yet.
    pub fn new(tell_apart: bool) -> Self {
        Self { tell_apart, ..Self::default() }
    }

    /// What an account knows.
    pub(super) fn of_account(&self, user: &str) -> Arc<Known> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= MOST_ACCOUNTS {
            accounts.retain(|_, known| Arc::strong_count(known) > 1);
        }
        let made = || {
            let (changes, generations) = (self.changes.clone(), self.generations.clone());
            Arc::new(Known { changes, generations, latest: Mutex::default() })
        };
        accounts.entry(user.to_owned()).or_insert_with(made).clone()
    }

    /// Whether they are known to an account now.
    pub fn are_known_to(&self, user: &str) -> bool {
        let known = self.of_account(user);
        let server = known.lock().read.as_ref().map(|reading| reading.server);
        known.current(Instant::now(), server).is_some()
    }

    /// A statement begins that may change what tables there are.
    pub(super) fn change(&self) -> Changing {
        self.changes.under_way.fetch_add(1, Ordering::SeqCst);
        Changing(self.changes.clone())
    }
}

impl Known {
    /// What is known for certain now, if `primary` is the primary.
    pub(super) fn current(&self, now: Instant, primary: Option<ServerId>) -> Option<Arc<Catalogue>> {
        let changes = self.changes.at_rest()?;
        let latest = self.lock();
        let reading = latest.read.as_ref()?;
        let holds = reading.changes == changes
            && Some(reading.server) == primary
            && now.saturating_duration_since(reading.at) < BELIEVED_FOR;
        holds.then(|| reading.catalogue.clone())
    }

    /// Begins to read, if it is time to; nobody waits for it.
    pub(super) fn keep_current(self: &Arc<Self>, now: Instant, primary: &Arc<Server>, account: &Arc<Account>) {
        let Some(changes) = self.changes.at_rest() else { return };
        let mut latest = self.lock();
        let since = |at: Instant| now.saturating_duration_since(at);
        let is_fresh = latest.read.as_ref().is_some_and(|reading| {
            reading.changes == changes && reading.server == primary.id && since(reading.at) < READ_AGAIN_AFTER
        });
        let is_too_soon = latest.begun.is_some_and(|(at, under_way)| under_way || since(at) < BETWEEN_READINGS);
        if is_fresh || is_too_soon {
            return;
        }
        latest.begun = Some((now, true));
        drop(latest);
        let (known, server, account) = (self.clone(), primary.clone(), account.clone());
        tokio::spawn(async move {
            let told = tokio::time::timeout(BELIEVED_FOR, ask(&server, &account)).await;
            let told = told.unwrap_or_else(|_| Err("the primary does not answer in time".into()));
            known.take_in(now, &server, &account, changes, told);
        });
    }

    fn take_in(&self, at: Instant, server: &Server, account: &Account, changes: u64, told: Result<Answer, String>) {
        let mut latest = self.lock();
        latest.begun = Some((at, false));
        match told.and_then(|told| Ok((Plains::of(&told.tables)?, told.asked, told.executed))) {
            Ok((plains, asked, executed)) => {
                latest.failed = None;
                let same = latest.read.take().filter(|before| {
                    before.changes == changes && before.server == server.id && before.catalogue.is_of(&plains)
                });
                let catalogue = same.map_or_else(
                    || {
                        let generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
                        Arc::new(Catalogue::new(generation, plains, asked, executed))
                    },
                    |before| before.catalogue,
                );
                latest.read = Some(Reading { catalogue, at, server: server.id, changes });
            }
            Err(why) => {
                latest.read = None;
                if latest.failed.as_ref() != Some(&why) {
                    tracing::warn!(
                        user = account.user.as_str(),
                        why,
                        "tables cannot be told apart: reads wait for all writes"
                    );
                }
                latest.failed = Some(why);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        // Whole between any two statements; a panic elsewhere does not change that.
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a server told.
struct Answer {
    tables: Told,
    /// When it was asked what it had executed.
    asked: Instant,
    executed: GtidSet,
}

/// Asks over a connection of its own: privileges are those of the login, and others may be old.
async fn ask(server: &Arc<Server>, account: &Arc<Account>) -> Result<Answer, String> {
    let dial = login::dial(server, account, Capabilities::empty(), BELIEVED_FOR);
    let login = dial.await.map_err(|error| error.to_string())?;
    let conn = Ready::new(login, server.clone(), account.clone());
    let family = conn.family();
    let (conn, session) = rows(conn, session_sql(family)).await?;
    let (conn, global) = rows(conn, GLOBAL).await?;
    let (conn, schemas) = rows(conn, SCHEMAS).await?;
    let (conn, tables) = rows(conn, &format!("{TABLES} LIMIT {}", MOST_TABLES + 1)).await?;
    if tables.len() > MOST_TABLES {
        return Err(format!("there are more than {MOST_TABLES}"));
    }
    let (conn, triggers) = rows(conn, TRIGGERS).await?;
    let (conn, foreign_keys) = rows(conn, FOREIGN_KEYS).await?;
    let asked = Instant::now();
    let (_conn, reply) = conn.query(executed_sql(family)).await.map_err(|lost| lost.to_string())?;
    let executed = executed(family, &reply).ok_or("the primary has no GTIDs")?;
    Ok(Answer { tables: Told { session, global, schemas, tables, triggers, foreign_keys }, asked, executed })
}

async fn rows(conn: Ready, sql: &str) -> Result<(Ready, Vec<Row>), String> {
    let (conn, reply) = conn.query(sql).await.map_err(|lost| lost.to_string())?;
    match reply {
        Reply::Rows { rows, .. } => Ok((conn, rows)),
        Reply::Err(error) => Err(error.to_string()),
        Reply::Ok { .. } | Reply::Prepared { .. } => Err("the server's answer is not understood".into()),
    }
}

fn session_sql(family: Family) -> &'static str {
    match family {
        Family::MySql => "SELECT @@lower_case_table_names, CURRENT_USER(), @@global.partial_revokes",
        Family::MariaDb => "SELECT @@lower_case_table_names, CURRENT_USER(), 0",
    }
}

const GLOBAL: &str = "SELECT GRANTEE, PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES";
const SCHEMAS: &str = "SELECT GRANTEE, TABLE_SCHEMA, PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES";
const TABLES: &str = "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, CREATE_TIME FROM information_schema.TABLES \
     WHERE TABLE_TYPE = 'BASE TABLE' \
     AND TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')";
const TRIGGERS: &str = "SELECT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS";
const FOREIGN_KEYS: &str = "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME \
     FROM information_schema.REFERENTIAL_CONSTRAINTS";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use crate::net::socket::Address;

    const PRIMARY: ServerId = ServerId(0);

    fn told(table: &str) -> Answer {
        let row = |values: &[&str]| values.iter().map(|value| Some((*value).to_owned())).collect::<Row>();
        let tables = Told {
            session: vec![row(&["0", "app@%", "0"])],
            global: vec![row(&["'app'@'%'", "TRIGGER"])],
            tables: vec![row(&["app", table, "InnoDB", "x"])],
            ..Told::default()
        };
        let executed = GtidSet::parse(Family::MariaDb, "0-1-5").expect("well formed");
        Answer { tables, asked: Instant::now(), executed }
    }

    #[test]
    fn what_may_have_changed_is_not_believed() {
        let address = Address::Tcp { host: "127.0.0.1".into(), port: 1 };
        let server = Server::new(PRIMARY, "primary".into(), address, None);
        let account = Account::listed("app".into(), Secret::new(String::new()));
        let definitions = Definitions::default();
        let known = definitions.of_account("app");
        let now = Instant::now();
        let read = |changes: u64, told| known.take_in(now, &server, &account, changes, told);
        let generation = |now| known.current(now, Some(PRIMARY)).map(|catalogue| catalogue.generation);
        assert_eq!(generation(now), None);
        read(0, Ok(told("a")));
        assert_eq!(generation(now), Some(1));
        read(0, Ok(told("a")));
        assert_eq!(generation(now), Some(1), "nothing has changed");
        read(0, Ok(told("b")));
        assert_eq!(generation(now), Some(2));
        assert_eq!(generation(now + BELIEVED_FOR), None, "too old");
        assert!(known.current(now, Some(ServerId(1))).is_none(), "another primary");
        let changing = definitions.change();
        assert_eq!(generation(now), None, "under way");
        read(0, Ok(told("b")));
        assert_eq!(generation(now), None);
        drop(changing);
        assert_eq!(generation(now), None, "read before it was over");
        read(1, Ok(told("b")));
        assert_eq!(generation(now), Some(3), "the same tables may have been others in between");
        read(1, Err("no".into()));
        assert_eq!(generation(now), None);
        assert!(Arc::ptr_eq(&known, &definitions.of_account("app")));
        assert!(definitions.of_account("bert").current(now, Some(PRIMARY)).is_none());
    }
}
