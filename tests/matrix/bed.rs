//! Two servers with relays before them, and Landbridge in this process.

use landbridge::app::App;
use landbridge::config;
use landbridge::lab::{Flavor, Pair, Relay, Server, accounts, proxy_toml};
use landbridge::topology::{Health, Role, ServerView, Snapshot};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error, Opts, OptsBuilder};
use std::future::Future;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// No test waits longer for anything: far more than any deadline that is configured here.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Half a round trip over the ocean.
const ONE_WAY: Duration = Duration::from_millis(1);

/// How soon a silent server is found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadlines {
    /// Within about two seconds, so that tests are quick.
    Short,
    /// The same, and what needs the primary waits for one.
    ShortAndPatient,
    /// As the file has them without being told.
    Default,
}

impl Deadlines {
    /// Of `[monitor]`, of `[pool]`, of `[route]`.
    fn keys(self) -> [&'static str; 3] {
        let monitor = "interval = \"200ms\"\nreplica_interval = \"50ms\"\ntimeout = \"1s\"";
        let pool = "checkout_timeout = \"2s\"\nconnect_timeout = \"2s\"";
        match self {
            Self::Short => [monitor, pool, ""],
            Self::ShortAndPatient => [monitor, pool, "primary_down = \"wait 60s\""],
            Self::Default => [""; 3],
        }
    }
}

/// Another Landbridge.
pub struct Twin {
    pub app: App,
    _ocean: Relay,
}

/// Servers, relays, Landbridge.
pub struct Bed {
    pub pair: Pair,
    pub ocean: Relay,
    pub shore: Relay,
    /// Before Landbridge itself, so that a client can be held in the middle of its login.
    pub door: Relay,
    app: Option<App>,
}

impl Bed {
    pub async fn start(flavor: Flavor, deadlines: Deadlines) -> Self {
        // `RUST_LOG=landbridge=debug` shows what it says; tests of the same process share it.
        let log = tracing_subscriber::EnvFilter::from_default_env();
        drop(tracing_subscriber::fmt().with_env_filter(log).with_ansi(false).try_init());
        let pair = Pair::start(flavor).await.expect("servers start");
        for statement in SCHEMA {
            pair.primary.sql(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        pair.wait_caught_up().await.expect("the replica follows");
        let ocean = Relay::start(pair.primary.addr(), ONE_WAY).await.expect("ocean");
        let shore = Relay::start(pair.replica.addr(), Duration::ZERO).await.expect("shore");
        let app = App::start(&settings(&pair, &ocean, &shore, deadlines)).await.expect("Landbridge starts");
        let door = Relay::start(app.mysql[0], Duration::ZERO).await.expect("door");
        let bed = Self { pair, ocean, shore, door, app: Some(app) };
        bed.warm().await;
        bed
    }

    /// The same servers with another Landbridge.
    pub async fn restart(mut self, deadlines: Deadlines) -> Self {
        self.app.take().expect("running").shut_down().await;
        let settings = settings(&self.pair, &self.ocean, &self.shore, deadlines);
        let app = App::start(&settings).await.expect("Landbridge starts");
        self.door = Relay::start(app.mysql[0], Duration::ZERO).await.expect("door");
        self.app = Some(app);
        self.warm().await;
        self
    }

    /// Another Landbridge before the same servers, with an ocean of its own.
    pub async fn twin(&self, deadlines: Deadlines) -> Twin {
        let ocean = Relay::start(self.pair.primary.addr(), ONE_WAY).await.expect("ocean");
        let app = App::start(&settings(&self.pair, &ocean, &self.shore, deadlines)).await.expect("Landbridge starts");
        within("a warm twin", async {
            while !app.is_ready() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        Twin { app, _ocean: ocean }
    }

    pub async fn stop(mut self) {
        self.app.take().expect("running").shut_down().await;
    }

    fn app(&self) -> &App {
        self.app.as_ref().expect("running")
    }

    /// Waits until both servers are known to be there, and every pool is warm.
    pub async fn warm(&self) {
        self.topology("servers that are up and serve", |snapshot| {
            let all_up = snapshot.servers.iter().all(|server| server.health == Health::Up);
            // A server that was full counts as up, and has told nothing before the monitor is in again.
            let has_told = snapshot.report.is_some();
            all_up && has_told && !snapshot.readers.is_empty() && !snapshot.floor.pending
        })
        .await;
        let mut topology = self.app().shared.topology.clone();
        within("warm pools", async {
            while !self.app().is_ready() {
                // Nobody announces that a pool has become warm.
                let _changed = timeout(Duration::from_millis(20), topology.changed()).await;
            }
        })
        .await;
    }

    /// Waits until the topology satisfies `fits`.
    pub async fn topology(&self, what: &str, fits: impl Fn(&Snapshot) -> bool) {
        let mut topology = self.app().shared.topology.clone();
        let _snapshot = within(what, topology.wait_for(|snapshot| fits(snapshot))).await.expect("the monitor runs");
    }

    /// Waits until the server in this role is known to be down.
    pub async fn down(&self, role: Role) {
        let is_down = |server: &ServerView| matches!(server.health, Health::Down(_));
        self.topology("a server that is found to be down", |snapshot| {
            snapshot.servers.iter().any(|server| server.role == role && is_down(server))
        })
        .await;
    }

    fn opts(port: u16) -> Opts {
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(port)
            .user(Some(accounts::APP.user))
            .pass(Some(accounts::APP.password))
            .db_name(Some(accounts::SCHEMA))
            .prefer_socket(false)
            .into()
    }

    /// A client of Landbridge.
    pub async fn client(&self) -> Result<Conn, Error> {
        Self::client_at(self.port()).await
    }

    /// Where Landbridge listens.
    pub fn port(&self) -> u16 {
        self.app().mysql[0].port()
    }

    /// A client of whoever listens there.
    pub async fn client_at(port: u16) -> Result<Conn, Error> {
        Conn::new(Self::opts(port)).await
    }

    /// Waits until somebody waits for the primary.
    pub async fn somebody_waits(&self) {
        within("a statement that waits", async {
            while self.app().shared.gate.waiting() == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// A counter of Landbridge, summed over those of its labels that hold `label`.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let text = String::from_utf8(self.app().metrics.render().expect("renders")).expect("text");
        text.lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
            .filter(|line| line.contains(label))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

/// What tests write to, lock and read.
const SCHEMA: [&str; 4] = [
    "CREATE TABLE app.noted (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(64), filler VARCHAR(4000), KEY (v))",
    "CREATE TABLE app.counters (name VARCHAR(64) PRIMARY KEY, n INT)",
    "CREATE TABLE app.squares (n INT PRIMARY KEY, square INT)",
    "INSERT INTO app.squares WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 100) \
     SELECT n, n * n FROM s",
];

/// A connection of an administrator who may do anything, straight to a server.
pub async fn administrator(server: &Server) -> Conn {
    let opts = OptsBuilder::default()
        .socket(Some(server.socket().display().to_string()))
        .user(Some(accounts::ROOT.user))
        .pass(Some(accounts::ROOT.password))
        .db_name(Some(accounts::SCHEMA));
    Conn::new(Opts::from(opts)).await.expect("the administrator gets in")
}

/// The first value of a query that must work.
pub async fn one(conn: &mut Conn, sql: &str) -> i64 {
    conn.query_first(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}")).unwrap_or_else(|| panic!("{sql}: no row"))
}

/// What must come to pass.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

fn settings(pair: &Pair, ocean: &Relay, shore: &Relay, deadlines: Deadlines) -> config::Settings {
    let [monitor_keys, pool_keys, route_keys] = deadlines.keys();
    let shores = proxy_toml(&pair.certs.ca, [ocean.addr(), shore.addr()]);
    let text = format!(
        r#"{shores}
{monitor_keys}
[listen]
mysql = "127.0.0.1:0"
admin = ""
http = ""
[pool]
min_warm = 8
max = 32
{pool_keys}
[route]
{route_keys}
"#
    );
    config::parse(&text, "test.toml", Path::new("/"), &|_| None).unwrap_or_else(|faults| panic!("{faults}"))
}
