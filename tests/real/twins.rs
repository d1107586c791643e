//! Sessions through Landbridge beside twins on a server of their own: whatever a session has said, and
//! whichever connection serves it, the server must report the same of both.

use crate::support::{APP, Bed, PASSWORD, Plan};
use landbridge::backend::conn::Ready;
use landbridge::backend::login::{self, Account};
use landbridge::backend::query::Reply;
use landbridge::backend::server::Server;
use landbridge::config::Secret;
use landbridge::lab::{Flavor, Pair};
use landbridge::net::socket::Address;
use landbridge::net::tls::{Connector, ServerTls, Verify};
use landbridge::protocol::capability::{Capabilities, Status};
use landbridge::protocol::exchange::Expect;
use landbridge::topology::ServerId;
use std::sync::Arc;
use std::time::Duration;

/// Sessions at a time, over fewer connections.
const SESSIONS: u64 = 6;
const CONNECTIONS: u32 = 4;
/// Steps of each session.
const STEPS: usize = 120;

/// A small generator, so that a run can be repeated from its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap_or(0) % sides
    }

    fn pick<'a>(&mut self, among: &[&'a str]) -> &'a str {
        among[self.roll(among.len())]
    }
}

/// What a session may do next.
enum Step {
    Query(String),
    Prepared(String),
    Reset,
}

/// One step; `own` is the session's own table, so that data depend on nobody else.
fn step(dice: &mut Dice, own: u64) -> Step {
    let text = match dice.roll(24) {
        0 => dice
            .pick(&[
                "SET NAMES utf8mb4",
                "SET NAMES latin1",
                "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
                "SET CHARACTER SET latin1",
                "SET CHARSET utf8mb4",
            ])
            .into(),
        1 => dice
            .pick(&[
                "SET sql_mode = ''",
                "SET sql_mode = 'ANSI_QUOTES'",
                "SET @@session.sql_mode = 'NO_BACKSLASH_ESCAPES'",
            ])
            .into(),
        2 => dice.pick(&["SET sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')", "SET sql_mode = DEFAULT"]).into(),
        3 => dice
            .pick(&["SET time_zone = '+03:00'", "SET SESSION time_zone = '-08:00'", "SET time_zone = SYSTEM"])
            .into(),
        4 => dice.pick(&["SET autocommit = 0", "SET autocommit = 1", "SET AUTOCOMMIT=ON"]).into(),
        5 => dice
            .pick(&[
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            ])
            .into(),
        6 => dice.pick(&["SET @one = 'a;b'", "SET @one = 7, @two = NULL", "SET @two = -1.5"]).into(),
        7 => dice.pick(&["SET foreign_key_checks = 0", "SET foreign_key_checks = 1", "SET unique_checks = OFF"]).into(),
        8 => format!("SET group_concat_max_len = {}", 1024 + dice.roll(4)),
        9 => "SET NAMES utf8mb4, sql_mode = 'ANSI', time_zone = '+05:30', @two = 'x'".into(),
        10 => dice.pick(&["USE app", "USE other", "USE nowhere"]).into(),
        11 => dice.pick(&["BEGIN", "START TRANSACTION", "START TRANSACTION READ WRITE"]).into(),
        12 | 13 => dice.pick(&["COMMIT", "ROLLBACK", "COMMIT", "ROLLBACK AND CHAIN"]).into(),
        14 => dice.pick(&["SAVEPOINT s", "ROLLBACK TO s", "RELEASE SAVEPOINT s"]).into(),
        15 => format!("UPDATE app.t{own} SET n = n + 1 WHERE n < {}", dice.roll(9)),
        16 => format!("DELETE FROM app.t{own} WHERE n > {}", dice.roll(12)),
        17 => dice.pick(&["SET sql_mode = 'nonsense'", "SELECT * FROM app.nowhere", "SET no_such_thing = 1"]).into(),
        18 => format!("INSERT INTO app.t{own} (n, s) VALUES ({}, 'it''s; so')", dice.roll(20)),
        19 | 20 => format!("INSERT INTO app.t{own} (n, s) VALUES ({}, @@time_zone)", dice.roll(20)),
        21 => return Step::Prepared(format!("INSERT INTO app.t{own} (n, s) VALUES ({}, @@sql_mode)", dice.roll(3))),
        22 => return Step::Prepared(format!("UPDATE app.t{own} SET s = @one WHERE n = {}", dice.roll(9))),
        _ => return Step::Reset,
    };
    Step::Query(text)
}

/// What the server knows of a session. Tables are not named, so that it begins no transaction.
fn probe(flavor: Flavor) -> String {
    let isolation = if flavor == Flavor::MariaDb { "tx_isolation" } else { "transaction_isolation" };
    format!(
        "SELECT CONCAT_WS('|', @@sql_mode, @@time_zone, @@autocommit, @@{isolation}, @@character_set_client, \
         @@character_set_connection, IFNULL(@@character_set_results, '-'), @@collation_connection, \
         IFNULL(DATABASE(), '-'), IFNULL(@one, '-'), IFNULL(@two, '-'), @@foreign_key_checks, @@unique_checks, \
         @@group_concat_max_len)"
    )
}

/// A session and its twin.
struct Twins {
    through: Ready,
    direct: Ready,
    log: Vec<String>,
}

async fn run(client: Ready, step: &Step) -> (Ready, Vec<Reply>) {
    let mut busy = client.begin();
    let mut replies = Vec::new();
    match step {
        Step::Query(sql) => busy.command(Expect::Results, &[b"\x03", sql.as_bytes()]),
        Step::Reset => busy.command(Expect::Ok, &[b"\x1f"]),
        Step::Prepared(sql) => busy.command(Expect::Prepare, &[b"\x16", sql.as_bytes()]),
    }
    busy.flush().await.expect("sent");
    let mut reply = busy.reply().await.expect("answer");
    if let Reply::Prepared { id } = reply {
        busy.command(Expect::Results, &[b"\x17", &id.to_le_bytes(), &[0, 1, 0, 0, 0]]);
        busy.flush().await.expect("sent");
        reply = busy.reply().await.expect("answer");
        busy.silent_command(&[b"\x19", &id.to_le_bytes()]);
        busy.flush().await.expect("sent");
    }
    replies.push(reply);
    (busy.finish().expect("finished"), replies)
}

/// What must be the same of two replies: errors by code, rows by value, nothing of what is counted.
fn essence(reply: &Reply) -> String {
    match reply {
        Reply::Ok { warnings, .. } => format!("ok, {warnings} warnings"),
        Reply::Rows { rows, .. } => format!("{rows:?}"),
        Reply::Prepared { .. } => "prepared".into(),
        Reply::Err(error) => format!("error {} {}", error.code, String::from_utf8_lossy(&error.state)),
    }
}

impl Twins {
    async fn both(self, what: &str, step: &Step) -> Self {
        let Self { through, direct, mut log } = self;
        log.push(what.to_owned());
        let (through, here) = run(through, step).await;
        let (direct, there) = run(direct, step).await;
        let told = |reply: &[Reply]| reply.iter().map(essence).collect::<Vec<_>>();
        assert_eq!(told(&here), told(&there), "through, direct; after:\n{}", log.join("\n"));
        let flags = Status::IN_TRANS | Status::AUTOCOMMIT | Status::IN_TRANS_READONLY | Status::NO_BACKSLASH_ESCAPES;
        // An error says nothing of the status.
        if !matches!(there.last(), Some(Reply::Err(_))) {
            assert_eq!(through.status() & flags, direct.status() & flags, "status after:\n{}", log.join("\n"));
        }
        Self { through, direct, log }
    }

    async fn query(self, sql: &str) -> Self {
        self.both(sql, &Step::Query(sql.to_owned())).await
    }
}

async fn live(mut twins: Twins, flavor: Flavor, seed: u64, own: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (own + 1));
    let probe = probe(flavor);
    twins.log.push(format!("-- {flavor}, seed {seed}, session {own}"));
    for _ in 0..STEPS {
        let step = step(&mut dice, own);
        let what = match &step {
            Step::Query(sql) => sql.clone(),
            Step::Prepared(sql) => format!("prepared: {sql}"),
            Step::Reset => "(reset)".into(),
        };
        twins = twins.both(&what, &step).await;
        if matches!(step, Step::Reset) {
            // A server keeps the schema and forgets its character set; here the session is in it again.
            twins = twins.query("USE app").await;
        }
        twins = twins.query(&format!("/* landbridge: primary */ {probe}")).await;
        if dice.roll(3) == 0 {
            twins = twins.query(&probe).await;
        }
        if dice.roll(8) == 0 {
            twins = twins.query(&format!("SELECT COUNT(*), SUM(n), MIN(s), MAX(s) FROM app.t{own}")).await;
        }
    }
    twins = twins.query("COMMIT").await;
    twins.query(&format!("SELECT COUNT(*), SUM(n), MIN(s), MAX(s) FROM app.t{own}")).await;
}

async fn dial(pair: &Pair) -> Ready {
    let tls = ServerTls { verify: Verify::Full, ca: Some(pair.certs.ca.clone()), client_cert: None, server_name: None };
    let connector = Connector::new(&tls, "127.0.0.1").expect("connector");
    let address = Address::Tcp { host: "127.0.0.1".into(), port: pair.primary.port() };
    let server = Arc::new(Server::new(ServerId(0), "twin".into(), address, Some(connector)));
    let account = Arc::new(Account::listed(APP.into(), Secret::new(PASSWORD.into())));
    let login = login::dial(&server, &account, Capabilities::empty(), Duration::from_secs(10)).await.expect("dial");
    Ready::new(login, server, account).query("USE app").await.expect("schema").0
}

async fn prepare_schema(pair: &Pair) {
    pair.primary.sql("CREATE DATABASE other CHARACTER SET latin1 COLLATE latin1_bin").await.expect("schema");
    pair.primary.sql(&format!("GRANT ALL ON other.* TO '{APP}'@'%'")).await.expect("grant");
    for own in 0..SESSIONS {
        let sql = format!("CREATE TABLE app.t{own} (id INT AUTO_INCREMENT PRIMARY KEY, n INT, s VARCHAR(2000))");
        pair.primary.sql(&sql).await.expect("table");
    }
    pair.wait_caught_up().await.expect("caught up");
}

async fn sessions_and_their_twins(flavor: Flavor) {
    let seed = std::env::var("LANDBRIDGE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121);
    let extra = "checkout_timeout = \"60s\"";
    let bed = Bed::with(flavor, Plan { min_warm: 2, max: CONNECTIONS, extra, ..Plan::default() }).await;
    let twin = Pair::start(flavor).await.expect("servers start");
    prepare_schema(&bed.pair).await;
    prepare_schema(&twin).await;
    let mut lives = tokio::task::JoinSet::new();
    for own in 0..SESSIONS {
        let twins = Twins { through: bed.raw_client().await, direct: dial(&twin).await, log: Vec::new() };
        lives.spawn(live(twins, flavor, seed, own));
    }
    while let Some(ended) = lives.join_next().await {
        ended.expect("the twins stay alike");
    }
    assert!(bed.app().shared.pools.all().iter().all(|pool| pool.counts().idle <= CONNECTIONS as usize));
    bed.stop().await;
}

crate::on_both!(sessions_and_their_twins);
