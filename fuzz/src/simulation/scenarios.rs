//! What random runs once found, each by itself: one client, one fault.

use super::client::Client;
use super::proxy::Proxy;
use super::random::Random;
use super::tag::State;
use super::world::{Faults, Order, World};
use landbridge::protocol::command::Command;
use landbridge::protocol::exchange::Expect;
use std::sync::Arc;
use std::time::Duration;

/// A client in fair weather.
struct Stage {
    proxy: Arc<Proxy>,
    world: Arc<World>,
    client: Client,
}

impl Stage {
    /// Orders a fault.
    fn order(&self, text: &'static str, order: Order) {
        self.world.facts().orders.push((text, order));
    }

    /// Runs a statement; its first value, or the number of its error.
    async fn run(&mut self, text: &str) -> Result<String, u16> {
        let got = self.client.query(text).await.map_err(|_| 0u16)?;
        match got.error {
            Some(error) => Err(error.code),
            None => Ok(got.values.into_iter().next().unwrap_or_default()),
        }
    }

    async fn insert(&mut self) -> Result<String, u16> {
        let tag = self.client.tag();
        self.run(&format!("INSERT INTO t /*{tag}*/ VALUES (1)")).await
    }
}

/// Plays a scene with several settings of pools and sessions.
fn play<F: Future<Output = ()>>(servers: usize, scene: impl Fn(Stage) -> F) {
    for seed in 0..6 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let world = World::new(servers, Faults::default());
            let mut random = Random::new(seed);
            let proxy = Arc::new(Proxy::start(&world, &mut random));
            let monitor = {
                let (proxy, random) = (proxy.clone(), random.fork());
                tokio::spawn(async move { proxy.monitor(random).await })
            };
            let client = Client::connect(&proxy, &world, 1, random).await.expect("lets it in");
            scene(Stage { proxy: proxy.clone(), world: world.clone(), client }).await;
            monitor.abort();
            let violations = world.facts().violations.clone();
            assert!(violations.is_empty(), "{violations:?}\n{}", world.facts().story.join("\n"));
        });
    }
}

/// In a transaction a statement fails, and the connection breaks behind its answer: `COMMIT` must not succeed,
/// and nothing may run outside of the transaction.
pub fn a_lost_transaction_is_not_committed() {
    for ends in [true, false] {
        play(1, async |mut stage| {
            assert_eq!(stage.run("BEGIN").await, Ok(String::new()));
            stage.client.transaction = 1;
            assert_eq!(stage.insert().await, Ok(String::new()));
            stage.order("SHOW WARNINGS", Order::HangUp);
            assert_eq!(stage.run("SET time_zone = 'nowhere'").await, Err(1298));
            let next = if ends { stage.run("COMMIT").await } else { stage.insert().await };
            assert_eq!(next, Err(2013), "the transaction is gone");
        });
    }
}

/// A read whose connection breaks behind its answer leaves `LAST_INSERT_ID()` as it is.
pub fn a_read_leaves_the_insert_id() {
    play(2, async |mut stage| {
        assert_eq!(stage.insert().await, Ok(String::new()));
        let tag = stage.client.tag();
        // With a replica about, the primary is asked behind it what it has executed.
        stage.order("gtid_owned", Order::HangUp);
        assert!(stage.run(&format!("SELECT n /*{tag}*/ FROM t FOR UPDATE")).await.is_ok());
        assert_eq!(stage.run("SELECT LAST_INSERT_ID()").await.as_deref(), Ok("1"));
    });
}

/// A transaction whose connection breaks behind the answer to its `COMMIT` leaves the id of its last `INSERT`.
pub fn a_commit_leaves_the_insert_id() {
    play(1, async |mut stage| {
        assert_eq!(stage.run("BEGIN").await, Ok(String::new()));
        stage.client.transaction = 1;
        assert_eq!(stage.insert().await, Ok(String::new()));
        stage.order("SELECT LAST_INSERT_ID()", Order::HangUp);
        assert_eq!(stage.run("COMMIT").await, Ok(String::new()));
        assert!(stage.world.facts().orders.is_empty());
        assert_eq!(stage.run("SELECT LAST_INSERT_ID()").await.as_deref(), Ok("1"));
    });
}

/// What should have released locks and failed need not have: the session stays where they are.
pub fn locks_stay_where_releasing_them_failed() {
    for (takes, releases) in
        [("SELECT GET_LOCK('a', 0)", "SELECT RELEASE_ALL_LOCKS()"), ("LOCK TABLES t WRITE", "UNLOCK TABLES")]
    {
        play(1, async |mut stage| {
            let state = State::fresh(&stage.client.state.schema);
            assert!(stage.run(takes).await.is_ok());
            let locked = takes.starts_with("LOCK");
            stage.client.state = State { locked, named: !locked, ..state };
            stage.order(releases, Order::Fail);
            assert_eq!(stage.run(releases).await, Err(1146));
            assert_eq!(stage.insert().await, Ok(String::new()));
        });
    }
}

/// A transaction that is given up for want of the session's state says so by its number.
pub fn a_transaction_given_up_is_no_mere_error() {
    play(1, async |mut stage| {
        assert_eq!(stage.run("USE s1").await, Ok(String::new()));
        let prepared = b"INSERT INTO t /* in s1 */ VALUES (?)";
        let got = stage.client.ask(Command::StmtPrepare, prepared, Expect::Prepare).await.expect("an answer");
        let id = got.prepared.expect("prepared");
        // Where it was prepared, it would not have to be prepared anew.
        stage.world.facts().crash(0);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(stage.run("USE s2").await, Ok(String::new()));
        assert_eq!(stage.run("BEGIN").await, Ok(String::new()));
        stage.client.transaction = 1;
        stage.client.state.schema = "s2".into();
        assert_eq!(stage.insert().await, Ok(String::new()));
        stage.order("USE `s1`", Order::Fail);
        let body = [&id.to_le_bytes()[..], &[0, 1, 0, 0, 0, 0, 1, 0xFD, 0, 0]].concat();
        let got = stage.client.ask(Command::StmtExecute, &body, Expect::Results).await.expect("an answer");
        assert_eq!(got.error.map(|error| error.code), Some(2013));
    });
}

/// A server that falls silent behind a login keeps no dial for ever.
pub fn a_dial_ends_where_the_server_falls_silent() {
    play(1, async |mut stage| {
        let id = stage.client.id;
        // All connections there are go, and the next ones are not set up.
        stage.world.facts().crash(0);
        for _ in 0..4 {
            stage.order("session_track", Order::Silence);
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
        stage.world.facts().orders.clear();
        tokio::time::sleep(Duration::from_secs(20)).await;
        let proxy = stage.proxy.clone();
        let client = Client::connect(&proxy, &stage.world, id + 1, Random::new(1)).await;
        stage.client = client.expect("lets it in");
        assert_eq!(stage.insert().await, Ok(String::new()));
        let dialling = proxy.counts().iter().map(|(_, counts)| counts.dialing).sum::<usize>();
        assert_eq!(dialling, 0, "{:?}", proxy.counts());
    });
}

/// A statement does not wait for ever for a server that has fallen silent with the connection open, nor does its end wait
/// for anything else than that it is found out.
pub fn a_statement_ends_where_its_server_is_found_silent() {
    play(1, async |mut stage| {
        stage.order("INSERT", Order::Silence);
        let finds_out = stage.proxy.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(7)).await;
            finds_out.find_silent(0);
        });
        let began = tokio::time::Instant::now();
        assert_eq!(stage.insert().await, Err(2013));
        // Time stands still here while anybody has something to do.
        assert_eq!(began.elapsed().as_secs(), 7);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(stage.insert().await, Ok(String::new()));
    });
}
