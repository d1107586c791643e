//! What runs, and how a changed configuration reaches it.
//!
//! A reload builds all that can fail, opens what will be needed and waits a moment until it is warm, and only then
//! replaces what others look at. Nothing that a session holds is taken away: what the file has no more is closed when
//! it is given back.

use super::certificates::{self, Files, Seen};
use super::controls::View;
use super::difference::{self, Difference};
use super::translate;
use crate::backend::login::Account;
use crate::backend::server::Server;
use crate::config::{self, LogLevel, Settings, Shutdown};
use crate::frontend::handshake::Door;
use crate::frontend::passthrough::Passthrough;
use crate::frontend::shared::Shared;
use crate::frontend::users::Users;
use crate::metrics::Metrics;
use crate::monitor::Monitor;
use crate::net::names::Resolver;
use crate::net::tls::{Acceptor, Connector};
use crate::pool::Pool;
use crate::protocol::capability::Capabilities;
use crate::protocol::errno;
use crate::status::Plan;
use anyhow::{Context, Result, anyhow};
use arc_swap::ArcSwap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;

/// So long a reload waits for connections that it has opened: whoever comes first shall find them.
const WARM_UP: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// What is otherwise now, in words for a person.
    pub applied: Vec<String>,
    /// Keys that changed in the file and stay as they were until a restart.
    pub needs_restart: Vec<&'static str>,
    /// Identifies the configuration in use.
    pub fingerprint: String,
}

/// What an operator asks of the process at the console.
#[derive(Debug)]
pub enum Request {
    /// Read the file again; the answer is how many things changed, or why nothing did.
    Reload(oneshot::Sender<std::result::Result<u64, String>>),
    /// Accept no new clients, let the present ones finish, and end.
    Drain,
}

/// What a reload reaches.
pub(super) struct Running {
    pub(super) shared: Arc<Shared>,
    monitor: Monitor,
    metrics: Metrics,
    pub(super) state: Mutex<State>,
    resolver: Resolver,
    log_level: OnceLock<Box<dyn Fn(LogLevel) -> bool + Send + Sync>>,
    /// What the console shows of it.
    pub(super) view: ArcSwap<View>,
    /// What the status page shows of it.
    pub(super) status: Arc<ArcSwap<Plan>>,
    /// What is said of the end: nobody must wait for it.
    pub(super) shutdown: ArcSwap<Shutdown>,
    requests: OnceLock<mpsc::Sender<Request>>,
}

/// The configuration in use.
pub(super) struct State {
    pub(super) settings: Settings,
    /// Its servers, in its order.
    pub(super) servers: Vec<Arc<Server>>,
    monitor_account: Arc<Account>,
    /// How the files of certificates looked when they were last read.
    pub(super) seen: Vec<Seen>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl State {
    pub(super) fn new(settings: Settings, servers: Vec<Arc<Server>>, monitor_account: Arc<Account>) -> Self {
        let seen = certificates::look_at(&settings);
        Self { settings, servers, monitor_account, seen }
    }
}

/// What is ready to take the place of what there is.
struct Prepared {
    settings: Settings,
    servers: Vec<Arc<Server>>,
    added: Vec<Arc<Server>>,
    /// Fresh certificates for servers that stay.
    connectors: Vec<(Arc<Server>, Connector)>,
    door: Door,
    /// Accounts whose password is another one, the old one coming first.
    replaced: Vec<(Arc<Account>, Arc<Account>)>,
    removed: Vec<Arc<Account>>,
    monitor_account: Arc<Account>,
    seen: Vec<Seen>,
}

impl Running {
    pub(super) fn new(
        shared: Arc<Shared>,
        monitor: Monitor,
        metrics: Metrics,
        state: State,
        resolver: Resolver,
    ) -> Self {
        let view = ArcSwap::from_pointee(View::of(&state.settings, &shared.door.load()));
        let status = Arc::new(ArcSwap::from_pointee(translate::status_plan(&state.settings)));
        let shutdown = ArcSwap::from_pointee(state.settings.shutdown.clone());
        let (log_level, requests, state) = (OnceLock::new(), OnceLock::new(), Mutex::new(state));
        Self { shared, monitor, metrics, state, resolver, log_level, view, status, shutdown, requests }
    }

    /// Has this told which log level the file asks for. Only the first one counts.
    pub(super) fn on_log_level(&self, tell: Box<dyn Fn(LogLevel) -> bool + Send + Sync>) {
        let _only_once = self.log_level.set(tell);
    }

    /// Logs what is at least this severe; false if something else says what is logged.
    pub(super) fn set_log_level(&self, level: LogLevel) -> bool {
        self.log_level.get().is_some_and(|tell| tell(level))
    }

    pub(super) fn requests(&self) -> mpsc::Receiver<Request> {
        let (sender, receiver) = mpsc::channel(1);
        let _only_the_first = self.requests.set(sender);
        receiver
    }

    /// Asks whoever lives for the process; false if nobody does.
    pub(super) async fn request(&self, request: Request) -> bool {
        let Some(requests) = self.requests.get() else { return false };
        requests.send(request).await.is_ok()
    }

    /// Somebody's certificates have changed on disk: whether they can be used is shown until that changes.
    pub(super) fn note_certificates(&self, owner: &str, are_good: bool) {
        self.status.rcu(|plan| {
            let mut plan = Plan::clone(plan);
            plan.bad_certificates.retain(|bad| bad != owner);
            if !are_good {
                plan.bad_certificates.push(owner.to_owned());
            }
            plan
        });
    }

    /// The file was read again and cannot be used: that is shown until one can.
    pub(super) fn reload_refused(&self) {
        self.metrics.config.reloads.with_label_values(&["refused"]).inc();
        self.status.rcu(|plan| Plan { is_reload_refused: true, ..Plan::clone(plan) });
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Goes by these settings from now on.
    pub(super) async fn reload(&self, settings: Settings) -> Result<Reloaded> {
        // Nobody waits for files that cannot be read, but whoever wants these settings.
        let read = Files::read_aside(settings).await;
        let mut state = self.state.lock().await;
        let reloaded = match read {
            Ok((settings, files)) => self.replace(&mut state, settings, files).await,
            Err(error) => Err(error),
        };
        match &reloaded {
            Ok(reloaded) => {
                let result = if reloaded.applied.is_empty() { "unchanged" } else { "applied" };
                self.metrics.config.reloads.with_label_values(&[result]).inc();
            }
            Err(_) => self.reload_refused(),
        }
        reloaded
    }

    async fn replace(&self, state: &mut State, mut settings: Settings, files: Files) -> Result<Reloaded> {
        let needs_restart = difference::keep_what_needs_a_restart(&state.settings, &mut settings);
        let Difference { applied } = difference::between(&state.settings, &settings);
        let prepared = self.prepare(state, settings, files)?;
        self.open(state, &prepared).await?;
        let fingerprint = prepared.settings.fingerprint();
        *state = self.switch(state, prepared);
        self.metrics.config.is(&fingerprint);
        self.view.store(Arc::new(View::of(&state.settings, &self.shared.door.load())));
        self.status.store(Arc::new(translate::status_plan(&state.settings)));
        self.shutdown.store(Arc::new(state.settings.shutdown.clone()));
        self.set_log_level(state.settings.log.level);
        Ok(Reloaded { applied, needs_restart, fingerprint })
    }

    /// Makes all that may not be possible. Nobody sees any of it yet.
    fn prepare(&self, state: &State, settings: Settings, files: Files) -> Result<Prepared> {
        let Files { seen, connectors: fresh, acceptor } = files;
        let (mut servers, mut added, mut connectors) = (Vec::new(), Vec::new(), Vec::new());
        let known = self.shared.pools.servers();
        for (planned, tls) in settings.servers.iter().zip(fresh) {
            let before = state.settings.servers.iter().zip(&state.servers);
            let same = before.into_iter().find(|(before, _)| difference::is_same_server(before, planned));
            if let Some((_, server)) = same {
                connectors.extend(tls.map(|connector| (server.clone(), connector)));
                servers.push(server.clone());
            } else {
                let id = u16::try_from(known.all().len() + added.len());
                let id = id.context("more servers came and went than can be told apart; restart Landbridge")?;
                let server = translate::server(planned, id, &settings, (known.reference(), &self.resolver), tls);
                servers.push(server.clone());
                added.push(server);
            }
        }
        let before = self.shared.door.load_full();
        let (mut accounts, mut replaced) = (Vec::new(), Vec::new());
        for user in &settings.users {
            let account = match before.users.find(&user.name) {
                Some(known) if known.has_password(user.password.expose().as_bytes()) => known.clone(),
                Some(known) => {
                    let account = translate::account(user);
                    replaced.push((known.clone(), account.clone()));
                    account
                }
                None => translate::account(user),
            };
            accounts.push(account);
        }
        let is_removed = |account: &&Arc<Account>| settings.users.iter().all(|user| user.name != account.user);
        let removed = before.users.listed().filter(is_removed).cloned().collect();
        let monitor = &settings.monitor;
        let same_monitor = state.settings.monitor.user == monitor.user
            && state.monitor_account.has_password(monitor.password.expose().as_bytes());
        let monitor_account =
            if same_monitor { state.monitor_account.clone() } else { translate::monitor_account(&settings) };
        let door = self.door(&before, state, (&settings, acceptor), accounts);
        Ok(Prepared { settings, servers, added, connectors, door, replaced, removed, monitor_account, seen })
    }

    fn door(
        &self,
        before: &Door,
        state: &State,
        (settings, (tls, require_tls)): (&Settings, (Option<Acceptor>, bool)),
        accounts: Vec<Arc<Account>>,
    ) -> Door {
        let is_made_here = |tls: &config::ClientTls| {
            use config::{Certificate::SelfSigned, ClientTls};
            matches!(tls, ClientTls::Optional(SelfSigned) | ClientTls::Required(SelfSigned))
        };
        let keeps_its_own = is_made_here(&state.settings.listen.tls) && is_made_here(&settings.listen.tls);
        let tls = if keeps_its_own { before.tls.clone() } else { tls.map(Arc::new) };
        let passthrough = translate::passthrough(settings).map(|terms| match &before.users.passthrough {
            Some(passthrough) => passthrough.clone(),
            None => {
                let (servers, topology) = (self.shared.pools.servers().clone(), self.shared.topology.clone());
                Arc::new(Passthrough::new(servers, topology, terms))
            }
        });
        let users = Users::new(accounts, passthrough).with_key_of(&before.users);
        let packet_limit = settings.limits.max_packet_before_login as usize;
        Door { users, tls, require_tls, packet_limit }
    }

    /// Opens connections to servers and for accounts that are new. A password that the primary refuses ends the
    /// reload: with it nobody could be served.
    async fn open(&self, state: &State, prepared: &Prepared) -> Result<()> {
        let pools = &self.shared.pools;
        pools.configure(translate::pool_plans(&prepared.settings));
        let mut opened = pools.extend(&prepared.added);
        for account in self.new_accounts(prepared) {
            opened.extend(pools.of(&account, Capabilities::empty()).iter().cloned());
        }
        for (before, account) in &prepared.replaced {
            opened.extend(pools.of_successor(account, before));
        }
        let limit = WARM_UP.min(prepared.settings.pool.connect_timeout);
        warm_up(&opened, limit).await;
        let is_new = |pool: &&Arc<Pool>| prepared.replaced.iter().any(|(_, new)| Arc::ptr_eq(new, pool.account()));
        let refused = opened.iter().filter(is_new).filter(|pool| pool.server().is_primary()).find_map(|pool| {
            let failure = pool.failure()?;
            failure.server_error().is_some_and(errno::refuses_account).then(|| (pool.clone(), failure))
        });
        let Some((pool, why)) = refused else { return Ok(()) };
        pools.configure(translate::pool_plans(&state.settings));
        prepared.added.iter().for_each(|server| server.retire());
        self.new_accounts(prepared).iter().for_each(|account| pools.close(account));
        let (user, server) = (&pool.account().user, &pool.server().name);
        Err(anyhow!(
            "[[user]] '{user}': {server} refuses the new password ({why}); change it at the server first, or write the old one"
        ))
    }

    /// Accounts that are not in use yet, be it for their password.
    fn new_accounts(&self, prepared: &Prepared) -> Vec<Arc<Account>> {
        let before = self.shared.door.load();
        let is_new =
            |account: &&Arc<Account>| before.users.find(&account.user).is_none_or(|known| !Arc::ptr_eq(known, account));
        prepared.door.users.listed().filter(is_new).cloned().collect()
    }

    /// Puts what is prepared in the place of what there is. From here on nothing fails.
    fn switch(&self, state: &State, prepared: Prepared) -> State {
        let Prepared { settings, servers, added: _, connectors, door, replaced, removed, monitor_account, seen } =
            prepared;
        for (server, connector) in &connectors {
            if let Some(tls) = &server.tls {
                tls.renew(connector);
            }
        }
        for server in &servers {
            server.reach.let_dial(settings.pool.max_parallel_dials as usize);
        }
        let shared = &self.shared;
        shared.memory.configure(settings.limits.memory as usize, settings.pool.checkout_timeout);
        if let (Some(passthrough), Some(terms)) = (&door.users.passthrough, translate::passthrough(&settings)) {
            passthrough.configure(terms);
        }
        let lets_others_in = door.users.passthrough.is_some();
        shared.door.store(Arc::new(door));
        shared.settings.store(Arc::new(translate::session_settings(&settings)));
        // Sessions have pools for new servers before they hear of them.
        shared.changes.fetch_add(1, Ordering::AcqRel);
        let plans = settings.servers.iter().map(|planned| translate::plan(planned, &settings));
        let watched: Vec<_> = servers.iter().cloned().zip(plans).collect();
        self.monitor.configure(&translate::monitor_settings(&settings), &watched, &monitor_account);
        // Whoever finds something closed below looks again, and sees what is published above.
        shared.changes.fetch_add(1, Ordering::AcqRel);
        for server in state.servers.iter().filter(|server| servers.iter().all(|kept| kept.id != server.id)) {
            server.retire();
        }
        for (before, _) in &replaced {
            shared.pools.close(before);
        }
        for account in &removed {
            shared.pools.leave(account);
        }
        let is_listed = |user: &str| settings.users.iter().any(|listed| listed.name == user);
        let was_listed = |user: &str| removed.iter().any(|account| account.user == user);
        shared.registry.dismiss(|user| !is_listed(user) && (was_listed(user) || !lets_others_in) && !user.is_empty());
        State { settings, servers, monitor_account, seen }
    }
}

/// Waits until these pools have what they keep warm, or cannot, but not for longer than `limit`.
async fn warm_up(pools: &[Arc<Pool>], limit: Duration) {
    let deadline = Instant::now() + limit;
    let is_cold = |pool: &Arc<Pool>| !pool.is_warm() && !pool.is_failing() && !pool.server().is_retired();
    while Instant::now() < deadline && pools.iter().any(is_cold) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
