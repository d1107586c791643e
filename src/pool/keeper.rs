//! Keeps a pool warm: dials in the background, replaces the old, pings the idle, drops the dead.

use super::{CheckoutError, Pool};
use crate::backend::acquaintance::Asking;
use crate::backend::conn::{Lost, Ready};
use crate::backend::defaults::Defaults;
use crate::backend::login::{self, DialError, LoggedIn};
use crate::backend::query::Reply;
use crate::backend::server::{Collation, Facts};
use crate::net::packets::ReadError;
use crate::protocol::command::Command;
use crate::protocol::exchange::Expect;
use crate::protocol::handshake::Greeting;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// How often idle connections are looked at.
const SWEEP: Duration = Duration::from_millis(500);
/// How long two pings in one write may take before the server is taken not to pipeline.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Dials are retried after about these waits, doubled from first to last.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(1);

impl Pool {
    /// Runs until `stop`, until the server is retired, or until one refuses an account that a client lent: the
    /// pool has connections only while this runs.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut dials: JoinSet<Result<Ready, DialError>> = JoinSet::new();
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut backoff = Backoff::default();
        let mut returns = self.server.reach.returns();
        loop {
            if backoff.is_over() {
                self.start_dials(&mut dials);
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.server.retired() => break,
                () = self.account.refused() => break,
                () = self.wake.notified() => {}
                () = backoff.over() => backoff.clear(),
                Ok(()) = returns.changed() => {
                    backoff.clear();
                    self.lock().forget_failure();
                }
                () = self.account.doubted(), if self.server.is_primary() => self.start_dial(&mut dials),
                _ = sweep.tick() => self.sweep(),
                Some(dialled) = dials.join_next() => {
                    self.dialled(dialled.unwrap_or_else(|e| Err(DialError::Read(ReadError::Io(e.into())))), &mut backoff);
                }
            }
        }
        drop(dials);
        let idle = self.lock().close(match self.account.refusal() {
            Some(error) => CheckoutError::Unreachable(Arc::new(DialError::Refused(error.clone()))),
            None => CheckoutError::Closed,
        });
        for conn in idle {
            conn.close().await;
        }
    }

    fn start_dials(self: &Arc<Self>, dials: &mut JoinSet<Result<Ready, DialError>>) {
        let settings = self.settings.load();
        let free = settings.max_parallel_dials.saturating_sub(dials.len());
        let wanted = {
            let mut slots = self.lock();
            let wanted = slots.wants_dials(self.min_warm()).min(free);
            slots.dials_started(wanted);
            wanted
        };
        for _ in 0..wanted {
            let pool = self.clone();
            dials.spawn(async move { pool.dial().await });
        }
    }

    /// Dials although no connection is wanted, to see whether the server still accepts the account.
    fn start_dial(self: &Arc<Self>, dials: &mut JoinSet<Result<Ready, DialError>>) {
        self.lock().dials_started(1);
        let pool = self.clone();
        dials.spawn(async move { pool.dial().await });
    }

    fn dialled(self: &Arc<Self>, dialled: Result<Ready, DialError>, backoff: &mut Backoff) {
        match dialled {
            Ok(mut conn) => {
                if backoff.succeeded() {
                    // The monitor may not know yet that it is back.
                    self.server.reach.suspect();
                }
                self.metrics.dials.inc();
                conn.rest();
                let mut slots = self.lock();
                slots.dial_succeeded();
                slots.serve(self, conn);
            }
            Err(error) => {
                self.metrics.dial_errors.inc();
                self.server.reach.suspect();
                let first = backoff.failed();
                if first {
                    tracing::warn!(server = self.server.name.as_str(), address = %self.server.address, user = self.account.user.as_str(), %error, "cannot open a connection, retrying");
                }
                if first || self.server.is_primary() {
                    self.turned_away(&error);
                }
                self.lock().dial_failed(Arc::new(error), self.server.accounts());
            }
        }
    }

    /// Opens a connection when it is its turn, and prepares it for its first client.
    pub(super) async fn dial(&self) -> Result<Ready, DialError> {
        let _turn = self.server.reach.turn().await;
        let mut returns = self.server.reach.returns();
        loop {
            tokio::select! {
                biased;
                dialled = self.dial_now() => return dialled,
                // What was sent while nobody was there is repeated too late.
                Ok(()) = returns.changed() => {}
            }
        }
    }

    async fn dial_now(&self) -> Result<Ready, DialError> {
        let started = Instant::now();
        let settings = self.settings.load_full();
        let login = login::dial(&self.server, &self.account, self.flags, settings.connect_timeout).await?;
        let (tcp, tls, proof) = (login.connect_time, login.greet_time, login.login_time);
        // A server may well fall silent after the login: a dial that never ended would keep others from being made.
        let limit = settings.connect_timeout + PROBE_TIMEOUT;
        let prepared = tokio::time::timeout(limit, self.prepare(login)).await;
        let conn = prepared.map_err(|_| DialError::TimedOut(limit, "setting the connection up"))??;
        let (phases, took) = (&self.metrics.dial_phases, started.elapsed());
        self.metrics.dial_seconds.observe(took.as_secs_f64());
        let setup = took.saturating_sub(tcp + tls + proof);
        for (phase, time) in [(&phases.tcp, tcp), (&phases.tls, tls), (&phases.login, proof), (&phases.setup, setup)] {
            phase.observe(time.as_secs_f64());
        }
        Ok(conn)
    }

    /// Learns what is not known of the server yet, and sets a fresh login up.
    async fn prepare(&self, login: LoggedIn) -> Result<Ready, DialError> {
        let greeting = login.greeting.clone();
        let mut conn = Ready::new(login, self.server.clone(), self.account.clone());
        conn.count(self.metrics.traffic.clone());
        if let Some(asking) = self.server.is_unknown(&greeting.version, conn.thread_id()) {
            conn = self.learn(conn, greeting, asking).await?;
        }
        set_up(conn).await
    }

    /// Asks a server what it is like.
    async fn learn(&self, conn: Ready, greeting: Greeting, asking: Asking) -> Result<Ready, DialError> {
        let same = self.server.facts().filter(|facts| facts.version == greeting.version);
        let (conn, collations) = match &same {
            Some(facts) => (conn, facts.collations.clone()),
            None => learn_collations(conn).await?,
        };
        let (mut conn, defaults) = learn_defaults(conn).await?;
        if conn.is_in_transaction() {
            // Where sessions begin without autocommit. What sets connections up may not be part of one.
            (conn, _) = conn.query("ROLLBACK").await.map_err(|e| DialError::Read(e.source))?;
        }
        // A program does not forget how to do that; that it could not may have been the network.
        let could = same.is_some_and(|facts| facts.pipelining);
        let known = self.settings.load().pipelining.or(could.then_some(true));
        let (conn, pipelining) = match known {
            Some(known) => (Some(conn), known),
            None => probe_pipelining(conn).await,
        };
        let Greeting { version, collation, capabilities, .. } = greeting;
        self.server.learn_again(Facts { version, capabilities, collation, collations, defaults, pipelining }, asking);
        // A server that hangs on two commands at once took the connection with it.
        conn.ok_or(DialError::TimedOut(PROBE_TIMEOUT, "probing for pipelining (it is now off for this server)"))
    }

    /// Looks after the idle connections.
    fn sweep(self: &Arc<Self>) {
        let now = Instant::now();
        let settings = self.settings.load();
        let mut surplus = self.counts().idle.saturating_sub(self.min_warm());
        let idle_timeout = self.idle_timeout();
        let taken = self.lock().take_where(|conn| {
            let idle = now.duration_since(conn.used());
            if !conn.is_healthy() {
                Some(Finding::Dead)
            } else if surplus > 0 && idle >= idle_timeout {
                surplus -= 1;
                Some(Finding::Surplus)
            } else {
                (idle >= settings.ping_after).then_some(Finding::Silent)
            }
        });
        for (conn, finding) in taken {
            let pool = self.clone();
            tokio::spawn(async move { pool.look_after(conn, finding).await });
        }
        self.start_renewals(now);
    }

    /// A login failed. What a replica refuses may only not have reached it yet: the primary is asked.
    pub(super) fn turned_away(&self, error: &DialError) {
        if self.server.is_primary() {
            self.account.turned_away(error);
        } else {
            self.account.doubt(error);
        }
    }

    /// Pings or closes one idle connection that the sweep took out.
    async fn look_after(self: Arc<Self>, conn: Ready, finding: Finding) {
        let kept = match finding {
            Finding::Dead => {
                self.metrics.died_idle.inc();
                None
            }
            Finding::Surplus => {
                conn.close().await;
                None
            }
            Finding::Silent => {
                let patience = self.settings.load().connect_timeout;
                let alive = tokio::time::timeout(patience, conn.ping()).await;
                let alive = alive.ok().and_then(Result::ok);
                if alive.is_none() {
                    self.metrics.died_idle.inc();
                }
                alive
            }
        };
        let mut slots = self.lock();
        slots.reset_ended();
        if let Some(mut conn) = kept {
            conn.rest();
            slots.serve(&self, conn);
        }
        drop(slots);
        self.wake.notify_one();
    }
}

/// What the sweep found about an idle connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    /// The server has hung up.
    Dead,
    /// Nobody has needed it for long, and there are enough.
    Surplus,
    /// Nothing has been heard of it for a while.
    Silent,
}

/// Sets a fresh connection up, so that its first client finds nothing left to do.
async fn set_up(conn: Ready) -> Result<Ready, DialError> {
    let lost = |e: Lost| DialError::Read(e.source);
    let mut busy = conn.begin();
    let setup = busy.setup();
    busy.set_multi_statements(true);
    busy.command(Expect::Results, &[&[Command::Query.byte()], &setup.sql]);
    busy.flush().await.map_err(lost)?;
    // Whose password has expired may not even do this.
    if let Reply::Err(error) = busy.reply().await.map_err(lost)? {
        return Err(DialError::Refused(error));
    }
    match busy.reply().await.map_err(lost)? {
        Reply::Err(error) if setup.statements > 1 => {
            tracing::warn!(server = busy.server().name.as_str(), %error, "cannot level out this server's defaults with the primary's");
            busy.server().cannot_be_levelled();
            Err(DialError::Refused(error))
        }
        Reply::Err(error) => Err(DialError::Refused(error)),
        _ => {
            let state = busy.applied().clone();
            busy.applied_is(&state, &setup);
            busy.finish().ok_or(DialError::Malformed(crate::protocol::wire::Malformed("reply")))
        }
    }
}

type Collations = Arc<HashMap<u16, Collation>>;

async fn learn_collations(conn: Ready) -> Result<(Ready, Collations), DialError> {
    // MariaDB before 10.10 has no FULL_COLLATION_NAME; the plain table is the same in both families.
    let sql = "SELECT ID, CHARACTER_SET_NAME, COLLATION_NAME, IS_DEFAULT FROM information_schema.COLLATIONS \
               WHERE ID IS NOT NULL";
    let (conn, reply) = conn.query(sql).await.map_err(|e| DialError::Read(e.source))?;
    let Reply::Rows { rows, .. } = reply else { return Ok((conn, Collations::default())) };
    let collations = rows
        .into_iter()
        .filter_map(|row| match <[Option<String>; 4]>::try_from(row) {
            Ok([Some(id), Some(charset), Some(name), is_default]) => {
                let is_default = is_default.as_deref() == Some("Yes");
                Some((id.parse().ok()?, Collation { charset, name, is_default }))
            }
            _ => None,
        })
        .collect();
    Ok((conn, Arc::new(collations)))
}

/// What a session that says nothing has; some of it decides how statements are to be read.
async fn learn_defaults(conn: Ready) -> Result<(Ready, Defaults), DialError> {
    let rows = |reply| if let Reply::Rows { rows, .. } = reply { rows } else { Vec::new() };
    let (conn, fresh) = conn.query(&Defaults::fresh_sql()).await.map_err(|e| DialError::Read(e.source))?;
    let (conn, reset) = conn.query(&Defaults::reset_sql()).await.map_err(|e| DialError::Read(e.source))?;
    Ok((conn, Defaults::new(rows(fresh), rows(reset))))
}

/// Sends two pings in one write: a server that hangs on them must never be sent a prelude with a command.
async fn probe_pipelining(conn: Ready) -> (Option<Ready>, bool) {
    let conn = tokio::time::timeout(PROBE_TIMEOUT, conn.ping_twice()).await.ok().flatten();
    let pipelines = conn.is_some();
    (conn, pipelines)
}

/// Half to all of a wait, so that not everybody comes back at once.
fn jitter() -> f64 {
    let random = RandomState::new().hash_one(0) >> 56;
    // Eight bits.
    0.5 + f64::from(u8::try_from(random).unwrap_or_default()) / 512.0
}

/// Waits between failing dials.
#[derive(Debug, Default)]
struct Backoff {
    wait: Option<Duration>,
    until: Option<Instant>,
}

impl Backoff {
    fn is_over(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() >= until)
    }

    async fn over(&self) {
        match self.until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    fn clear(&mut self) {
        self.until = None;
    }

    /// Notes a success; true for one that ends a series of failures.
    fn succeeded(&mut self) -> bool {
        std::mem::take(self).wait.is_some()
    }

    /// Notes a failure; true for the first of a series.
    fn failed(&mut self) -> bool {
        let first = self.wait.is_none();
        let wait = self.wait.map_or(FIRST_BACKOFF, |w| (w * 2).min(LAST_BACKOFF));
        self.wait = Some(wait);
        self.until = Some(Instant::now() + wait.mul_f64(jitter()));
        first
    }
}
