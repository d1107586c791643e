//! Clients: each runs one operation after the other, and carries the guarantee in its own way.

use crate::cluster::{Cluster, PASSWORD, READER, REGISTERS, Region, Scope, WRITERS};
use crate::history::{Action, Object, Operation, Outcome};
use crate::promises::{COOKIES, SCOPES_OUTLIVE_PROCESSES};
use crate::random::Random;
use crate::recorder::Recorder;
use crate::statements::{Failure, Form, perform};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// An operation without an answer after this long is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before the next try, when nobody can be reached.
const BACKOFF: Duration = Duration::from_millis(20);

/// Lists that are written at the same time, and how many appends go to them before others take their place.
const LISTS: u32 = 3;
const APPENDS: u32 = 60;

/// What carries the guarantee from one operation to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A connection that stays.
    Connection,
    /// Nothing but being the same user of the same process: each operation has a new connection.
    User,
    /// As `User`, whoever the user is.
    Sidecar,
    /// A key in each statement; each operation has a new connection.
    Key(&'static str),
    /// The token, fetched after each operation and shown to another process before the next.
    Cookie,
}

/// What all clients share.
#[derive(Debug)]
pub struct Work {
    /// What they work on.
    pub cluster: Cluster,
    /// What they tell.
    pub recorder: Recorder,
    over: AtomicBool,
    appends: AtomicU32,
    connections: AtomicU32,
}

impl Work {
    /// Work that has not begun.
    pub fn new(cluster: Cluster) -> Self {
        let (over, appends, connections) = Default::default();
        Self { cluster, recorder: Recorder::new(), over, appends, connections }
    }

    /// Lets the clients end after their present operation.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// An object, among those that are written now.
    fn object(&self, random: &mut Random) -> Object {
        let pick = |random: &mut Random, count| u32::try_from(random.below(count as usize)).expect("small");
        if random.percent(50) {
            return Object::Register(pick(random, REGISTERS));
        }
        let generation = self.appends.load(Ordering::Relaxed) / APPENDS;
        Object::List(generation * LISTS + pick(random, LISTS))
    }

    fn write_to(&self, object: Object) -> Action {
        if let Object::List(_) = object {
            self.appends.fetch_add(1, Ordering::Relaxed);
        }
        Action::Write(object, self.recorder.tag())
    }
}

/// A client.
#[derive(Debug)]
pub struct Client {
    work: Arc<Work>,
    carrier: Carrier,
    user: &'static str,
    /// The process it talks to; for those with cookies the one it talked to last.
    home: usize,
    random: Random,
    /// The connection that stays, and the name of the scope it is.
    kept: Option<(Conn, Arc<str>)>,
    cookie: Option<String>,
    name: String,
}

/// The clients of a run whose processes have these scopes.
pub fn clients(work: &Arc<Work>, scopes: &[Scope], random: &mut Random) -> Vec<Client> {
    let [alice, bob] = WRITERS;
    let mut all: Vec<(usize, Carrier, &'static str)> = Vec::new();
    for (home, scope) in scopes.iter().enumerate() {
        let kinds: Vec<(Carrier, &str)> = match scope {
            Scope::Off => [alice, alice, bob, bob].map(|user| (Carrier::User, user)).into(),
            Scope::Connection => [alice, bob, READER, READER].map(|user| (Carrier::Connection, user)).into(),
            Scope::User => {
                let users = [alice, alice, bob, bob, READER, READER].map(|user| (Carrier::User, user));
                [&users[..], &[alice, bob].map(|user| (Carrier::Connection, user))].concat()
            }
            Scope::Key => {
                [("red", alice), ("red", bob), ("blue", alice), ("blue", bob), ("green", READER), ("green", READER)]
                    .map(|(key, user)| (Carrier::Key(key), user))
                    .into()
            }
            Scope::Sidecar => [alice, bob, READER].map(|user| (Carrier::Sidecar, user)).into(),
        };
        all.extend(kinds.into_iter().map(|(carrier, user)| (home, carrier, user)));
    }
    if COOKIES && !scopes.contains(&Scope::Off) {
        all.extend([(0, Carrier::Cookie, alice), (1, Carrier::Cookie, bob), (2, Carrier::Cookie, READER)]);
    }
    let client = |(number, (home, carrier, user))| Client {
        work: work.clone(),
        carrier,
        user,
        home,
        random: random.split(),
        kept: None,
        cookie: None,
        name: format!("{carrier:?} {number}"),
    };
    all.into_iter().enumerate().map(client).collect()
}

impl Client {
    /// Works until the work is over.
    pub async fn run(mut self) {
        let work = self.work.clone();
        while !work.over.load(Ordering::Relaxed) {
            if self.step(&work).await != Some(true) {
                tokio::time::sleep(BACKOFF).await;
            }
        }
    }

    /// Runs one operation, or a few at once, and tells whether that went well; `None` if it was not even begun.
    async fn step(&mut self, work: &Work) -> Option<bool> {
        let to = match self.carrier {
            Carrier::Cookie => {
                let others = work.cluster.regions.len() - 1;
                (self.home + 1 + self.random.below(others)) % work.cluster.regions.len()
            }
            _ => self.home,
        };
        let region = &work.cluster.regions[to];
        let life = region.process.lives().await;
        let (mut conn, connection) = self.connection(work, region).await?;
        if let Some(cookie) = &self.cookie {
            show(&mut conn, cookie).await?;
        }
        let (form, actions) = self.plan(work);
        let prefix = match self.carrier {
            Carrier::Key(key) => format!("/* landbridge: key={key} */ "),
            _ => String::new(),
        };
        let invoked = work.recorder.now();
        let result = match tokio::time::timeout(PATIENCE, perform(&mut conn, form, &prefix, &actions)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Info("no answer".into())),
        };
        let completed = work.recorder.now();
        let went_well = result.is_ok();
        let mut scope = self.scope(region, life, &connection);
        if self.carrier == Carrier::Cookie && went_well {
            match token(&mut conn).await {
                Some(cookie) => (self.cookie, self.home) = (Some(cookie), to),
                // Whoever has no cookie of it carries it nowhere.
                None => scope = None,
            }
        }
        let client: Arc<str> = format!("{} as {} via {}, {form:?}", self.name, self.user, region.process.name).into();
        let outcomes: Vec<Outcome> = match result {
            Ok(values) => values.into_iter().map(Outcome::Ok).collect(),
            Err(Failure::Fail(why)) => vec![Outcome::Fail(why); actions.len()],
            Err(Failure::Info(why)) => vec![Outcome::Info(why); actions.len()],
        };
        work.recorder.operations(actions.into_iter().zip(outcomes).map(|(action, outcome)| Operation {
            client: client.clone(),
            scope: scope.clone(),
            action,
            invoked,
            completed,
            outcome,
        }));
        if self.carrier == Carrier::Connection {
            // Sessions live on after errors, and so does what they are promised.
            if went_well || ends_transaction(&mut conn).await {
                self.kept = Some((conn, connection));
            }
        } else if went_well {
            // Only the goodbye is left.
            let _gone = tokio::time::timeout(PATIENCE, conn.disconnect()).await;
        }
        Some(went_well)
    }

    /// The connection that stays, or a new one, with its name.
    async fn connection(&mut self, work: &Work, region: &Region) -> Option<(Conn, Arc<str>)> {
        if let Some(kept) = self.kept.take() {
            return Some(kept);
        }
        let opts = region.process.opts(self.user, PASSWORD);
        let conn = tokio::time::timeout(PATIENCE, Conn::new(opts)).await.ok()?.ok()?;
        let number = work.connections.fetch_add(1, Ordering::Relaxed);
        Some((conn, format!("connection {number}").into()))
    }

    /// Who shares what this operation wrote and saw.
    fn scope(&self, region: &Region, life: u32, connection: &Arc<str>) -> Option<Arc<str>> {
        let who = match self.carrier {
            Carrier::Connection => return Some(connection.clone()),
            Carrier::Cookie => return Some(self.name.as_str().into()),
            Carrier::User => format!("user {}", self.user),
            Carrier::Sidecar => "everyone".to_owned(),
            Carrier::Key(key) => format!("key {key}"),
        };
        let process = region.process.name;
        if SCOPES_OUTLIVE_PROCESSES {
            return Some(format!("{who} at {process}").into());
        }
        // Otherwise which life has answered cannot be told.
        let is_one_life = region.process.life() == Some(life);
        is_one_life.then(|| format!("{who} at {process} in life {life}").into())
    }

    /// What to do next.
    fn plan(&mut self, work: &Work) -> (Form, Vec<Action>) {
        let form = *self.random.pick(&Form::ALL);
        let mut objects = vec![work.object(&mut self.random)];
        if matches!(form, Form::Transaction | Form::Multi) {
            let more = work.object(&mut self.random);
            // Rows are locked in one order.
            objects.extend((more > objects[0]).then_some(more));
        }
        let writes = self.user != READER && self.random.percent(40);
        let action = |object| if writes { work.write_to(object) } else { Action::Read(object) };
        (form, objects.into_iter().map(action).collect())
    }
}

/// Shows a token to a process; `None` if it could not be reached.
async fn show(conn: &mut Conn, cookie: &str) -> Option<()> {
    let show = conn.query_drop(format!("SET @@landbridge_token = '{cookie}'"));
    match tokio::time::timeout(PATIENCE, show).await.ok()? {
        Err(Error::Server(error)) => panic!("the token {cookie} is refused: {error}"),
        shown => shown.ok(),
    }
}

/// Whether the session lives on, outside of transactions.
async fn ends_transaction(conn: &mut Conn) -> bool {
    let rollback = tokio::time::timeout(PATIENCE, conn.query_drop("ROLLBACK"));
    matches!(rollback.await, Ok(Ok(())))
}

async fn token(conn: &mut Conn) -> Option<String> {
    let ask = conn.query_first::<Option<String>, _>("SELECT @@landbridge_token");
    tokio::time::timeout(PATIENCE, ask).await.ok()?.ok()?.map(Option::unwrap_or_default)
}
