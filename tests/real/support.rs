//! A test bed: real servers, an ocean, and Landbridge in this process.

#![allow(unreachable_pub, reason = "shared by the modules of one test binary")]

use landbridge::app::App;
use landbridge::backend::conn::Ready;
use landbridge::backend::login::{self, Account};
use landbridge::backend::server::Server;
use landbridge::config::{self, Settings};
use landbridge::lab::{Flavor, Pair, PairOptions, Relay, Stats, accounts, proxy_toml};
use landbridge::net::socket::Address;
use landbridge::pool::Pool;
use landbridge::protocol::capability::Capabilities;
use landbridge::topology::ServerId;
use mysql_async::prelude::*;
use mysql_async::{Conn, Opts, OptsBuilder};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Two servers, an ocean before the primary, a relay without delay before the replica, Landbridge.
pub struct Bed {
    pub flavor: Flavor,
    pub pair: Pair,
    pub ocean: Relay,
    pub shore: Relay,
    app: Option<App>,
}

/// What a bed is made of; the rest has defaults.
pub struct Plan {
    pub rtt: Duration,
    pub min_warm: u32,
    pub max: u32,
    pub extra: &'static str,
    /// Keys of no table, which come first.
    pub top: &'static str,
    /// Keys of `[monitor]`.
    pub monitor: &'static str,
    /// No probes while the test runs, so that everything counted is the clients'.
    pub quiet: bool,
    pub monitor_password: &'static str,
    pub servers: PairOptions,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            rtt: Duration::from_millis(2),
            min_warm: 4,
            max: 16,
            extra: "",
            top: "",
            monitor: "",
            quiet: false,
            monitor_password: accounts::MONITOR.password,
            servers: PairOptions::default(),
        }
    }
}

/// `innodb_trx` is a copy that the server makes anew only when nobody has looked at it for 0.1 s:
/// whoever looks more often sees the first copy for ever.
const LOOK_EVERY: Duration = Duration::from_millis(150);

pub const APP: &str = accounts::APP.user;
pub const PASSWORD: &str = accounts::APP.password;

impl Bed {
    pub async fn new(flavor: Flavor) -> Self {
        Self::with(flavor, Plan::default()).await
    }

    /// A bed for counting: nothing but clients causes traffic.
    pub async fn quiet(flavor: Flavor) -> Self {
        Self::with(flavor, Plan { quiet: true, ..Plan::default() }).await
    }

    pub async fn with(flavor: Flavor, plan: Plan) -> Self {
        let Plan { rtt, min_warm, max, extra, top, monitor, quiet, monitor_password, servers } = plan;
        let interval = if quiet { "1h" } else { "200ms" };
        let pair = Pair::start_with(flavor, servers).await.expect("servers start");
        pair.primary
            .sql("CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, n INT, s VARCHAR(200))")
            .await
            .expect("a table can be made");
        pair.wait_caught_up().await.expect("the replica follows");
        let ocean = Relay::start(pair.primary.addr(), rtt / 2).await.expect("ocean");
        let shore = Relay::start(pair.replica.addr(), Duration::ZERO).await.expect("shore");
        let settings =
            settings(&pair, (&ocean, &shore), (min_warm, max), (interval, monitor_password), (top, monitor, extra));
        let app = App::start(&settings).await.expect("Landbridge starts");
        let bed = Self { flavor, pair, ocean, shore, app: Some(app) };
        bed.warm().await;
        bed
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().expect("running")
    }

    pub fn port(&self) -> u16 {
        self.app().mysql[0].port()
    }

    /// Waits until every pool is warm and the servers' state is known.
    pub async fn warm(&self) {
        let mut topology = self.app().shared.topology.clone();
        let warm = async {
            while !self.app().is_ready() {
                let _tick = tokio::time::timeout(Duration::from_millis(20), topology.changed()).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), warm).await.expect("warm within 20 s");
    }

    /// Waits until nothing is left over from clients that have gone: every pool is warm and at rest.
    pub async fn settled(&self) {
        self.settled_but(0).await;
    }

    /// As [`Bed::settled`], with this many clients connected and idle.
    pub async fn settled_but(&self, clients: usize) {
        self.warm().await;
        self.until(|| {
            let at_rest = |pool: &Arc<Pool>| {
                let counts = pool.counts();
                counts.leased + counts.resetting + counts.dialing == 0
            };
            self.app().shared.registry.len() == clients && self.app().shared.pools.all().iter().all(at_rest)
        })
        .await;
    }

    /// Waits until something in Landbridge that nobody announces has come to pass.
    pub async fn until(&self, passed: impl Fn() -> bool) {
        let wait = async {
            while !passed() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("within 20 s");
    }

    /// Waits until the topology satisfies `fits`.
    pub async fn topology(&self, fits: impl Fn(&landbridge::topology::Snapshot) -> bool) {
        let mut topology = self.app().shared.topology.clone();
        let wait = topology.wait_for(|snapshot| fits(snapshot));
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("topology within 20 s").expect("monitor runs");
    }

    pub fn opts(&self) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port())
            .user(Some(APP))
            .pass(Some(PASSWORD))
            .db_name(Some("app"))
            .prefer_socket(false)
            .max_allowed_packet(Some(1 << 30))
    }

    /// A client through Landbridge.
    pub async fn client(&self) -> Conn {
        Conn::new(Opts::from(self.opts())).await.expect("a client can connect")
    }

    /// A client without manners: dropping it closes the socket, whatever is under way.
    pub async fn raw_client(&self) -> Ready {
        let address = Address::Tcp { host: "127.0.0.1".into(), port: self.port() };
        let server = Arc::new(Server::new(ServerId(0), "landbridge".into(), address, None));
        let account = Arc::new(Account::listed(APP.into(), config::Secret::new(PASSWORD.into())));
        let login =
            login::dial(&server, &account, Capabilities::empty(), Duration::from_secs(10)).await.expect("login");
        let (client, _) = Ready::new(login, server, account).query("USE app").await.expect("schema");
        client
    }

    /// What crossed the ocean so far.
    pub fn crossed(&self) -> Stats {
        self.ocean.stats()
    }

    /// Round trips over the ocean since then.
    pub fn trips_since(&self, before: &Stats) -> u64 {
        self.ocean.stats().since(before).round_trips
    }

    /// A counter of Landbridge, summed over its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let text = String::from_utf8(self.app().metrics.render().expect("renders")).expect("text");
        text.lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// A counter of Landbridge, summed over those of its labels that hold `label`.
    pub fn metric_of(&self, name: &str, label: &str) -> f64 {
        let text = String::from_utf8(self.app().metrics.render().expect("renders")).expect("text");
        let label = format!("\"{label}\"");
        text.lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')) && line.contains(&label))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Waits until a query on either server answers `want`.
    pub async fn until_sql_anywhere(&self, sql: &str, want: &str) {
        tokio::select! {
            () = self.until_sql_at(&self.pair.primary, sql, want) => {}
            () = self.until_sql_at(&self.pair.replica, sql, want) => {}
        }
    }

    /// Waits until a query on the primary, run as an administrator, answers `want`.
    pub async fn until_sql(&self, sql: &str, want: &str) {
        self.until_sql_at(&self.pair.primary, sql, want).await;
    }

    /// Waits until a query on a server, run as an administrator, answers `want`.
    pub async fn until_sql_at(&self, server: &landbridge::lab::Server, sql: &str, want: &str) {
        let asking = async {
            while server.sql(sql).await.expect("administrator")[0][0].as_deref() != Some(want) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(20), asking).await.is_ok(), "{sql} never became {want}");
    }

    pub async fn stop(mut self) {
        if let Some(app) = self.app.take() {
            app.shut_down().await;
        }
    }
}

pub fn settings(
    pair: &Pair,
    (ocean, shore): (&Relay, &Relay),
    (min_warm, max): (u32, u32),
    (interval, monitor_password): (&str, &str),
    (top, more_monitor, extra): (&str, &str, &str),
) -> Settings {
    let shores =
        proxy_toml(&pair.certs.ca, [ocean.addr(), shore.addr()]).replace(accounts::MONITOR.password, monitor_password);
    let text = format!(
        r#"{top}
{shores}
interval = "{interval}"
replica_interval = "50ms"
timeout = "2s"
{more_monitor}
[pool]
min_warm = {min_warm}
max = {max}
{extra}
"#
    );
    let text = if extra.contains("[listen]") {
        text
    } else {
        format!("{text}\n[listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"\"\nhttp = \"127.0.0.1:0\"\n")
    };
    config::parse(&text, "test.toml", Path::new("/"), &|_| None).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Runs statements, all of which go well.
pub async fn run(client: &mut Conn, statements: &[&str]) {
    for statement in statements {
        client.query_drop(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// The first value of a query.
pub async fn one<T: FromValue + Send + 'static>(conn: &mut Conn, sql: &str) -> T {
    conn.query_first(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}")).unwrap_or_else(|| panic!("{sql}: no row"))
}

/// Runs an async test body for one flavor after another.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(landbridge::lab::Flavor::MySql).await; })*
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(landbridge::lab::Flavor::MariaDb).await; })*
        }
    };
}
