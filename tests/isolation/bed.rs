//! What is tested: a primary and a replica that follows it, Landbridge in this process, and a link of its own between
//! any two of them.

use crate::history::{Key, Tag};
use crate::statements::{PLAIN, WATCHED, list, table};
use landbridge::app::App;
use landbridge::config;
use landbridge::lab::{Flavor, Pair, PairOptions, Relay, accounts, proxy_toml};
use mysql_async::{Opts, OptsBuilder};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// Half a round trip over the ocean.
const ONE_WAY: Duration = Duration::from_millis(4);
const START_LIMIT: Duration = Duration::from_secs(60);
/// Who writes and reads through Landbridge. Each is a scope.
pub const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const PASSWORD: &str = "isolation-secret";

/// Servers, links and Landbridge. All end with it.
#[derive(Debug)]
pub struct Bed {
    /// The servers.
    pub pair: Pair,
    /// From Landbridge to the primary.
    pub ocean: Relay,
    /// From Landbridge to the replica.
    pub shore: Relay,
    /// From the replica to the primary.
    pub replication: Relay,
    app: App,
}

/// How Landbridge is told to treat transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `transactions = "primary"`.
    Primary,
    /// `transactions = "optimistic"`.
    Optimistic,
    /// The same, and nothing is verified: what must be found out.
    Unverified,
}

impl Bed {
    /// Starts everything, with this many empty lists.
    pub async fn start(flavor: Flavor, mode: Mode, lists: u32) -> Self {
        // What a black hole leaves locked is given up before the clients lose patience.
        let extra_args = vec!["--innodb-lock-wait-timeout=3".to_owned()];
        let options = PairOptions { extra_args, ..PairOptions::default() };
        let pair = Pair::start_with(flavor, options).await.expect("servers start");
        let replication = Relay::start(pair.primary.addr(), ONE_WAY).await.expect("a relay starts");
        pair.replicate_through(replication.addr()).await.expect("the replica follows");
        for statement in schema(lists) {
            pair.primary.sql(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        pair.wait_caught_up().await.expect("the replica catches up");
        let ocean = Relay::start(pair.primary.addr(), ONE_WAY).await.expect("a relay starts");
        let shore = Relay::start(pair.replica.addr(), Duration::ZERO).await.expect("a relay starts");
        let text = settings(&pair, [&ocean, &shore], mode);
        let mut settings = config::parse(&text, "test.toml", Path::new("/"), &|_| None)
            .unwrap_or_else(|faults| panic!("{text}\n{faults}"));
        settings.verify_transactions = mode != Mode::Unverified;
        let app = App::start(&settings).await.expect("Landbridge starts");
        let mut topology = app.shared.topology.clone();
        let warm = async {
            while !app.is_ready() {
                let _tick = tokio::time::timeout(Duration::from_millis(20), topology.changed()).await;
            }
        };
        tokio::time::timeout(START_LIMIT, warm).await.expect("warm in time");
        Self { pair, ocean, shore, replication, app }
    }

    /// How to reach Landbridge.
    pub fn through(&self, user: &str) -> Opts {
        let opts = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(self.app.mysql[0].port());
        opts.user(Some(user)).pass(Some(PASSWORD)).db_name(Some("app")).prefer_socket(false).into()
    }

    /// How to reach the primary without it.
    pub fn straight(&self) -> Opts {
        let socket = self.pair.primary.socket().display().to_string();
        let app = accounts::APP;
        let opts = OptsBuilder::default().socket(Some(socket)).user(Some(app.user)).pass(Some(app.password));
        opts.db_name(Some("app")).into()
    }

    /// How many transactions that began on a replica came to this end.
    pub fn optimistic(&self, outcome: &str) -> u64 {
        let text = String::from_utf8(self.app.metrics.render().expect("renders")).expect("text");
        let line = format!("landbridge_optimistic_transactions_total{{outcome=\"{outcome}\"}} ");
        let value = text.lines().find_map(|found| found.strip_prefix(&line)).unwrap_or_else(|| panic!("no {line}"));
        value.parse().expect("a number")
    }

    /// Ends Landbridge and says what the lists hold at the primary.
    pub async fn end(self) -> Vec<(Key, Vec<Tag>)> {
        let Self { pair, app, .. } = self;
        app.shut_down().await;
        let from = |table| format!("SELECT k, v FROM app.{table} WHERE v <> ''");
        let rows = pair.primary.sql(&format!("{} UNION ALL {}", from(PLAIN), from(WATCHED))).await.expect("lists");
        let text = |cell: &Option<String>| cell.clone().unwrap_or_default();
        rows.iter().map(|row| (text(&row[0]).parse().expect("a key"), list(&text(&row[1])))).collect()
    }
}

fn schema(lists: u32) -> Vec<String> {
    let mut statements = Vec::new();
    for name in [PLAIN, WATCHED] {
        statements.push(format!("CREATE TABLE app.{name} (k INT PRIMARY KEY, v TEXT NOT NULL) ENGINE=InnoDB"));
        let rows = (0..lists).filter(|key| table(*key) == name).map(|key| format!("({key}, '')"));
        let rows: Vec<String> = rows.collect();
        statements.extend(rows.chunks(1000).map(|rows| format!("INSERT INTO app.{name} VALUES {}", rows.join(", "))));
    }
    statements.push(format!("CREATE TRIGGER app.watch BEFORE UPDATE ON app.{WATCHED} FOR EACH ROW SET NEW.k = OLD.k"));
    for user in USERS {
        statements.push(format!("CREATE USER {user}@'%' IDENTIFIED BY '{PASSWORD}'"));
        statements.push(format!("GRANT ALL ON app.* TO {user}@'%'"));
    }
    statements
}

fn settings(pair: &Pair, [ocean, shore]: [&Relay; 2], mode: Mode) -> String {
    let transactions = if mode == Mode::Primary { "primary" } else { "optimistic" };
    let mut text = proxy_toml(&pair.certs.ca, [ocean.addr(), shore.addr()]);
    write!(
        text,
        "interval = \"200ms\"\nreplica_interval = \"50ms\"\ntimeout = \"1s\"\n\
         [pool]\nmin_warm = 2\nmax = 16\n[route]\ntransactions = \"{transactions}\"\n\
         [listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"\"\nhttp = \"\"\n"
    )
    .expect("a string");
    for user in USERS {
        write!(text, "[[user]]\nname = \"{user}\"\npassword = \"{PASSWORD}\"\n").expect("a string");
    }
    text
}
