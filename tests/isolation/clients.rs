//! Clients: each runs one transaction after the other, on a connection that stays as long as it is good.

use crate::bed::{Bed, Mode, USERS};
use crate::history::{Deed, End, History, Key, Moment, Step, Tag, Transaction};
use crate::random::Random;
use crate::statements::{Begin, Plan};
use crate::verify::Level;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A statement without an answer after this long is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before the next try, when nobody can be reached.
const BACKOFF: Duration = Duration::from_millis(20);
/// Lists that are written at the same time, and how many appends go to them before others take their place.
const LISTS: u32 = 5;
const APPENDS: u32 = 150;
/// What nobody exceeds.
const APPENDS_PER_SECOND: u32 = 800;
/// Statements with names of their own.
const ALIASES: usize = 500;
/// Errors after which a statement has left nothing: deadlock, lock wait, nothing sent.
const REFUSED: [u16; 3] = [1213, 1205, 2003];

/// How transactions begin where autocommit is on.
const BEGINNINGS: [Begin; 10] = [
    Begin::Plain,
    Begin::Plain,
    Begin::Plain,
    Begin::Plain,
    Begin::Start,
    Begin::Start,
    Begin::Start,
    Begin::Snapshot,
    Begin::None,
    Begin::None,
];

/// How many lists there have to be for so many seconds.
pub fn lists_for(seconds: u64) -> u32 {
    let appends = u32::try_from(seconds).expect("not centuries") * APPENDS_PER_SECOND;
    (appends / APPENDS + 2) * LISTS
}

/// What all clients share.
#[derive(Debug)]
pub struct Work {
    /// What they work on.
    pub bed: Bed,
    mode: Mode,
    level: Level,
    began: Instant,
    history: Mutex<History>,
    over: AtomicBool,
    tags: AtomicU32,
}

impl Work {
    /// Work that begins now.
    pub fn new(bed: Bed, mode: Mode, level: Level) -> Self {
        let (began, history, over, tags) =
            (Instant::now(), Mutex::default(), AtomicBool::new(false), AtomicU32::new(1));
        Self { bed, mode, level, began, history, over, tags }
    }

    /// The time, the same for everybody.
    fn now(&self) -> Moment {
        Moment(u64::try_from(self.began.elapsed().as_nanos()).expect("five centuries"))
    }

    /// Records what the nemesis does now.
    pub fn event(&self, what: impl Into<String>) {
        let event = (self.now(), what.into());
        self.history.lock().unwrap_or_else(PoisonError::into_inner).events.push(event);
    }

    /// Lets the clients end after their present transaction.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// What has happened, and Landbridge ended: everybody else must have.
    pub async fn finish(self) -> History {
        let mut history = self.history.into_inner().unwrap_or_else(PoisonError::into_inner);
        history.last = self.bed.end().await;
        history
    }
}

/// A client.
#[derive(Debug)]
pub struct Client {
    work: Arc<Work>,
    name: String,
    /// `None`: straight to the primary.
    user: Option<&'static str>,
    /// Whether its sessions are without autocommit.
    implied: bool,
    /// How many of a hundred of its transactions write.
    writes: usize,
    random: Random,
    kept: Option<Conn>,
}

/// All clients: three of each user, of whom the last two write seldom, and two straight at the primary.
pub fn clients(work: &Arc<Work>, random: &mut Random) -> Vec<Client> {
    let through = USERS.into_iter().enumerate().flat_map(|(number, user)| {
        [false, true, false].map(|implied| (Some(user), implied, if number < 2 { 45 } else { 12 }))
    });
    let straight = [(None, false, 60), (None, false, 60)];
    let client = |(number, (user, implied, writes)): (usize, (Option<&'static str>, bool, usize))| Client {
        work: work.clone(),
        name: format!("client {number}, {}", user.unwrap_or("straight")),
        user,
        implied,
        writes,
        random: random.split(),
        kept: None,
    };
    through.chain(straight).enumerate().map(client).collect()
}

impl Client {
    /// Works until the work is over.
    pub async fn run(mut self) {
        while !self.work.over.load(Ordering::Relaxed) {
            let Some(conn) = self.connection().await else {
                tokio::time::sleep(BACKOFF).await;
                continue;
            };
            self.transaction(conn).await;
            // Not so often that nobody else could.
            tokio::time::sleep(self.random.millis(1, 15)).await;
        }
    }

    async fn connection(&mut self) -> Option<Conn> {
        if let Some(kept) = self.kept.take() {
            return Some(kept);
        }
        let opts = match self.user {
            Some(user) => self.work.bed.through(user),
            None => self.work.bed.straight(),
        };
        let open = async {
            let mut conn = Conn::new(opts).await?;
            if self.work.level == Level::ReadCommitted {
                conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
            }
            if self.implied {
                conn.query_drop("SET autocommit = 0").await?;
            }
            Ok::<_, Error>(conn)
        };
        tokio::time::timeout(PATIENCE, open).await.ok()?.ok()
    }

    /// Runs one transaction and records it. Keeps the connection if it is good.
    async fn transaction(&mut self, mut conn: Conn) {
        let work = self.work.clone();
        let (begin, plans) = self.plan();
        let rolls_back = self.random.percent(10);
        let invoked = work.now();
        let mut told = Told::default();
        let failed = self.steps(&mut conn, begin, &plans, &mut told).await.err();
        let (end, is_good) = match failed {
            Some(error) => {
                // A single statement may have run; in a transaction nothing has without COMMIT.
                let is_unknown = !begin.needs_commit() && !error.is_refusal();
                let end = if is_unknown { End::Unknown(error.0.into()) } else { End::Aborted(error.0.into()) };
                (end, ask(&mut conn, "ROLLBACK").await.is_ok())
            }
            None if !begin.needs_commit() => (End::Committed, true),
            None if rolls_back => match ask(&mut conn, "ROLLBACK").await {
                Ok(()) => (End::RolledBack, true),
                Err(error) => (End::Aborted(error.0.into()), false),
            },
            None => match ask(&mut conn, "COMMIT").await {
                Ok(()) => (End::Committed, true),
                Err(error) if error.is_refusal() => (End::Aborted(error.0.into()), false),
                Err(error) => (End::Unknown(error.0.into()), false),
            },
        };
        let transaction = Transaction {
            client: format!("{}, {begin:?}", self.name).into(),
            scope: self.user.map(Into::into),
            at_primary: self.user.is_none()
                || begin == Begin::Snapshot
                || begin.needs_commit() && work.mode == Mode::Primary,
            invoked,
            completed: work.now(),
            steps: told.steps,
            unanswered: told.unanswered,
            end,
        };
        work.history.lock().unwrap_or_else(PoisonError::into_inner).transactions.push(transaction);
        self.kept = is_good.then_some(conn);
    }

    async fn steps(&mut self, conn: &mut Conn, begin: Begin, plans: &[Plan], told: &mut Told) -> Result<(), Failure> {
        let work = self.work.clone();
        if let Some(sql) = begin.sql() {
            let invoked = work.now();
            ask(conn, sql).await?;
            if begin == Begin::Snapshot {
                told.steps.push(Step { invoked, completed: work.now(), deed: Deed::Read(Vec::new()) });
            }
        }
        for plan in plans {
            if begin.needs_commit() {
                tokio::time::sleep(self.random.millis(0, 6)).await;
            }
            let invoked = work.now();
            told.unanswered.extend(plan.append());
            let deed = match tokio::time::timeout(PATIENCE, plan.perform(conn)).await {
                Ok(deed) => deed.map_err(|error| Failure::from(&error))?,
                Err(_) => return Err(Failure("no answer".into())),
            };
            told.unanswered.clear();
            told.steps.push(Step { invoked, completed: work.now(), deed });
        }
        Ok(())
    }

    /// What to do next.
    fn plan(&mut self) -> (Begin, Vec<Plan>) {
        let begin = if self.implied { Begin::Implied } else { *self.random.pick(&BEGINNINGS) };
        let writes = self.random.percent(self.writes);
        if begin == Begin::None {
            let (key, tag) = (self.key(), self.tag());
            return (begin, vec![if writes { Plan::Append(key, tag) } else { Plan::Read(key) }]);
        }
        let mut plans: Vec<Plan> = (0..self.random.below(5)).map(|_| self.read()).collect();
        if writes {
            let mut appends: Vec<Plan> = (0..=self.random.below(3)).map(|_| self.append()).collect();
            // Mostly in one order, so that there are not too many deadlocks.
            if !self.random.percent(15) {
                appends.sort_by_key(Plan::append);
            }
            for append in appends {
                plans.push(append);
                plans.extend((0..self.random.below(3)).map(|_| self.read()));
            }
        } else if self.random.percent(10) {
            plans.push(Plan::Lock(self.key()));
            plans.push(self.read());
        } else {
            plans.push(self.read());
        }
        (begin, plans)
    }

    /// A list that is written now.
    fn key(&mut self) -> Key {
        let generation = self.work.tags.load(Ordering::Relaxed) / APPENDS;
        generation * LISTS + u32::try_from(self.random.below(LISTS as usize)).expect("small")
    }

    fn read(&mut self) -> Plan {
        let key = self.key();
        match self.random.below(100) {
            0..10 => Plan::Read(key),
            10..50 => Plan::Odd(key, self.random.below(ALIASES)),
            50..65 => Plan::Prepared(key),
            65..90 => {
                let mut keys = vec![key, self.key(), self.key()];
                keys.sort_unstable();
                keys.dedup();
                Plan::Several(keys, self.random.below(ALIASES))
            }
            90..94 => Plan::Restless(key),
            _ => Plan::Nested(key),
        }
    }

    /// A number that nobody else appends.
    fn tag(&self) -> Tag {
        self.work.tags.fetch_add(1, Ordering::Relaxed)
    }

    fn append(&mut self) -> Plan {
        let (key, tag) = (self.key(), self.tag());
        match self.random.below(100) {
            0..60 => Plan::Append(key, tag),
            60..90 => Plan::AppendPrepared(key, tag),
            _ => Plan::Undone(key, tag),
        }
    }
}

/// What a transaction was answered, and what not.
#[derive(Debug, Default)]
struct Told {
    steps: Vec<Step>,
    unanswered: Vec<(Key, Tag)>,
}

/// Why there is no answer, or none that helps.
#[derive(Debug)]
struct Failure(String);

impl Failure {
    /// Whether the statement has left nothing.
    fn is_refusal(&self) -> bool {
        REFUSED.iter().any(|code| self.0.starts_with(&format!("{code}: ")))
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self(match error {
            Error::Server(error) => format!("{}: {}", error.code, error.message),
            other => other.to_string(),
        })
    }
}

async fn ask(conn: &mut Conn, sql: &str) -> Result<(), Failure> {
    match tokio::time::timeout(PATIENCE, conn.query_drop(sql)).await {
        Ok(done) => done.map_err(|error| Failure::from(&error)),
        Err(_) => Err(Failure("no answer".into())),
    }
}
