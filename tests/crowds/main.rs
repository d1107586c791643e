//! Very many clients, and very long: what they take is given back.
//!
//! Landbridge is a process of its own here, so that its memory and descriptors are its own.
//!
//!     SOAK_SECONDS=1800 cargo test --release --test crowds -- --nocapture soak

#![allow(clippy::print_stdout, reason = "what was measured, for those who want to see it")]

mod process;
mod soak;

use landbridge::backend::conn::Ready;
use landbridge::backend::login::{self, Account};
use landbridge::backend::query::Reply;
use landbridge::backend::server::Server;
use landbridge::config::Secret;
use landbridge::lab::{Flavor, Pair, Relay, accounts};
use landbridge::net::socket::Address;
use landbridge::protocol::capability::Capabilities;
use landbridge::topology::ServerId;
use process::Process;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Whoever measures wants the machine for himself, however many tests run at a time.
static TURNS: Semaphore = Semaphore::const_new(1);
/// Clients that stay.
const HELD: usize = 10_000;
/// Clients that come in one moment.
const STORM: usize = 5_000;
/// Descriptors that a process needs besides.
const OTHER_FILES: u64 = 300;
/// Most connections of a pool.
pub(crate) const MOST: u64 = 32;

/// Two servers, an ocean before the primary, a link to the replica, and Landbridge.
pub(crate) struct Bed {
    pub(crate) pair: Pair,
    pub(crate) ocean: Relay,
    pub(crate) shore: Relay,
    pub(crate) landbridge: Process,
}

impl Bed {
    pub(crate) async fn new(flavor: Flavor, settings: (&str, &str)) -> Self {
        let pair = Pair::start(flavor).await.expect("servers start");
        let table = "CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, n INT, s VARCHAR(200))";
        pair.primary.sql(table).await.expect("a table can be made");
        pair.wait_caught_up().await.expect("the replica follows");
        let ocean = Relay::start(pair.primary.addr(), Duration::from_millis(1)).await.expect("ocean");
        let shore = Relay::start(pair.replica.addr(), Duration::ZERO).await.expect("shore");
        let landbridge = Process::start(&pair, [ocean.addr(), shore.addr()], settings).await;
        Self { pair, ocean, shore, landbridge }
    }

    /// A client that knows how to wait its turn.
    async fn client(&self) -> Result<Ready, String> {
        let address = Address::Tcp { host: "127.0.0.1".into(), port: self.landbridge.port };
        let server = Arc::new(Server::new(ServerId(0), "landbridge".into(), address, None));
        let password = Secret::new(accounts::APP.password.into());
        let account = Arc::new(Account::listed(accounts::APP.user.into(), password));
        let login = login::dial(&server, &account, Capabilities::empty(), Duration::from_secs(100)).await;
        Ok(Ready::new(login.map_err(|error| error.to_string())?, server, account))
    }

    /// So many clients, connecting all at once; each has asked something.
    async fn crowd(self: &Arc<Self>, size: usize) -> Vec<Ready> {
        let mut coming = JoinSet::new();
        for n in 0..size {
            let bed = self.clone();
            coming.spawn(async move { ask(bed.client().await?, n).await });
        }
        let mut crowd = Vec::new();
        while let Some(client) = coming.join_next().await {
            crowd.push(client.expect("no panic").unwrap_or_else(|error| panic!("after {}: {error}", crowd.len())));
        }
        crowd
    }

    /// Waits until Landbridge serves nobody and holds nothing for anybody.
    pub(crate) async fn at_rest(&self) {
        let at_rest = async || {
            let busy = ["leased", "resetting", "waiting", "dialing"];
            let metrics = self.landbridge.metrics().await;
            let is_quiet = metrics.sum("landbridge_clients", "") == 0
                && busy.iter().all(|state| metrics.sum("landbridge_pool_connections", state) == 0);
            is_quiet && self.connections().await == metrics.sum("landbridge_pool_connections", "idle")
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !at_rest().await {
            assert!(Instant::now() < deadline, "not at rest within 60 s:\n{}", self.landbridge.metrics().await.text);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Connections that wait for somebody to need them.
    pub(crate) async fn idle(&self) -> u64 {
        self.landbridge.metrics().await.sum("landbridge_pool_connections", "idle")
    }

    /// Connections of the application's account at both servers.
    async fn connections(&self) -> u64 {
        let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app'";
        let mut all = 0;
        for server in [&self.pair.primary, &self.pair.replica] {
            let rows = server.sql(sql).await.expect("count");
            all += rows[0][0].as_deref().and_then(|n| n.parse::<u64>().ok()).expect("a number");
        }
        all
    }
}

/// Asks something that only this client would be told.
async fn ask(client: Ready, n: usize) -> Result<Ready, String> {
    let (client, reply) = client.query(&format!("SELECT {n}")).await.map_err(|lost| lost.to_string())?;
    match reply {
        Reply::Rows { rows, .. } if rows[0][0].as_deref() == Some(n.to_string().as_str()) => Ok(client),
        other => Err(format!("{other:?}")),
    }
}

/// How many clients there can be, given the files that a process here may have open.
fn possible(wanted: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).expect("the limit can be raised");
    let files =
        limit.maximum.map_or(usize::MAX, |most| usize::try_from(most.saturating_sub(OTHER_FILES)).expect("few"));
    if files < wanted {
        println!("only {files} clients: the system allows no more open files");
    }
    wanted.min(files)
}

/// Ten thousand clients are held, take little, are all served, and leave nothing behind.
async fn ten_thousand_clients(flavor: Flavor) {
    let size = possible(HELD);
    let bed = Arc::new(Bed::new(flavor, ("", &format!("[limits]\nmax_clients = {}", size + 10))).await);
    // What is made once for all is not the clients'.
    drop(bed.crowd(100).await);
    bed.at_rest().await;
    let before = bed.landbridge.usage();
    let others = before.files - bed.idle().await;
    let mut held = Vec::new();
    while held.len() < size {
        held.extend(bed.crowd((size - held.len()).min(500)).await);
    }
    assert_eq!(usize::try_from(bed.landbridge.metrics().await.sum("landbridge_clients", "")), Ok(size));
    let during = bed.landbridge.usage();
    let each = during.rss.saturating_sub(before.rss) * 1024 / u64::try_from(size).expect("few");
    println!("{flavor}: {size} idle clients: {} MiB, {each} bytes each", during.rss / 1024);
    // Every one of them can still ask.
    let mut asking = JoinSet::new();
    for (n, client) in held.into_iter().enumerate() {
        asking.spawn(ask(client, n));
    }
    while let Some(client) = asking.join_next().await {
        drop(client.expect("no panic").expect("served"));
    }
    bed.at_rest().await;
    let after = bed.landbridge.usage();
    assert_eq!(after.files - bed.idle().await, others, "descriptors");
    println!("{flavor}: {} MiB before, {} MiB after", before.rss / 1024, after.rss / 1024);
}

/// Thousands connect in the same moment: nobody is refused, and the servers hardly notice.
async fn a_storm(flavor: Flavor) {
    let size = possible(STORM);
    // A debug build on a busy machine takes its time for so many proofs of passwords.
    let bed = Arc::new(Bed::new(flavor, ("", "[limits]\nlogin_timeout = \"60s\"")).await);
    let logins = bed.landbridge.metrics().await.sum("landbridge_dials_total", "");
    let started = Instant::now();
    let crowd = bed.crowd(size).await;
    println!("{flavor}: {size} clients in {:.1?}", started.elapsed());
    let dialled = bed.landbridge.metrics().await.sum("landbridge_dials_total", "") - logins;
    assert!(dialled <= 2 * MOST, "{dialled} logins at the servers");
    drop(crowd);
    bed.at_rest().await;
}

/// Many servers' worth of mischief, for a while.
async fn soak(flavor: Flavor) {
    soak::soak(flavor).await;
}

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let _turn = $crate::TURNS.acquire().await;
                super::$name(landbridge::lab::Flavor::MySql).await;
            })*
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let _turn = $crate::TURNS.acquire().await;
                super::$name(landbridge::lab::Flavor::MariaDb).await;
            })*
        }
    };
}

on_both!(a_storm, soak);

/// The clients know nothing of the servers, and ten thousand take time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_clients_are_held() {
    let _turn = TURNS.acquire().await;
    ten_thousand_clients(Flavor::MySql).await;
}
