//! What a warm point select takes from the allocator, as text and prepared: counted, for Landbridge and nothing else in this process.
//!
//! One client with buffers of its own asks over and over; what the rest of the process (monitor, keepers) does
//! meanwhile is little, and counted too. Hence a bound a little above the figure.

use landbridge::app::App;
use landbridge::config;
use landbridge::lab::{Flavor, Pair, accounts, proxy_toml};
use landbridge::protocol::auth::Plugin;
use landbridge::protocol::capability::Capabilities;
use landbridge::protocol::command::Command;
use landbridge::protocol::handshake::{Greeting, Login};
use landbridge::protocol::packet::{HEADER_LEN, Header, frame, frame_parts};
use landbridge::protocol::response::{EOF, OK};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TIMES: usize = 2000;
const SQL: &[u8] = b"SELECT n FROM t WHERE id = 1";
const PREPARED: &[u8] = b"SELECT n FROM t WHERE id = ?";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_point_select_does_not_allocate() {
    let pair = Pair::start(Flavor::MySql).await.expect("servers start");
    pair.primary.sql("CREATE TABLE app.t (id INT PRIMARY KEY, n INT)").await.expect("a table");
    pair.primary.sql("INSERT INTO app.t VALUES (1, 7)").await.expect("a row");
    pair.wait_caught_up().await.expect("the replica follows");
    // What TLS takes for each record is rustls' own affair.
    let tls = format!(r#"{{ mode = "verify-full", ca = "{}" }}"#, pair.certs.ca.display());
    let text = proxy_toml(&pair.certs.ca, [pair.primary.addr(), pair.replica.addr()]).replace(&tls, r#""off""#)
        + "interval = \"60s\"\nreplica_interval = \"60s\"\n\
           [listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"\"\nhttp = \"\"\n";
    let settings = config::parse(&text, "test.toml", Path::new("/"), &|_| None).expect("a good file");
    let app = App::start(&settings).await.expect("Landbridge starts");
    let port = app.mysql[0].port();
    while !app.is_ready() {
        tokio::task::yield_now().await;
    }
    let counted = tokio::task::spawn_blocking(move || {
        let mut client = log_in(port);
        let text = [&[Command::Query.byte()], SQL].concat();
        let id = prepare(&mut client);
        let execution =
            |bound: &[u8]| [&[Command::StmtExecute.byte()], &id[..], b"\0\x01\0\0\0\0", bound, b"\x01\0\0\0"].concat();
        // Some drivers say with each execution of what types its parameters are.
        let commands = [("text", text), ("prepared, bound", execution(b"\x01\x03\0")), ("prepared", execution(b"\0"))];
        commands.map(|(name, command)| {
            ask(&mut client, &command, TIMES);
            let region = Region::new(ALLOCATOR);
            ask(&mut client, &command, TIMES);
            (name, region.change())
        })
    })
    .await
    .expect("no panic");
    for (name, counted) in counted {
        assert!(counted.allocations + counted.reallocations < TIMES / 20, "{name}, {TIMES} times: {counted:?}");
    }
    app.shut_down().await;
}

fn log_in(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("Landbridge listens");
    stream.set_nodelay(true).expect("an option");
    let mut buffer = [0; 1024];
    let n = stream.read(&mut buffer).expect("a greeting");
    let greeting = Greeting::decode(&buffer[HEADER_LEN..n]).expect("a greeting");
    let plugin = Plugin::from_name(greeting.plugin.as_bytes()).expect("a plugin we know");
    let scramble = plugin.scramble().expect("one that scrambles");
    let login = Login {
        capabilities: Capabilities::PROTOCOL_41
            | Capabilities::SECURE_CONNECTION
            | Capabilities::PLUGIN_AUTH
            | Capabilities::CONNECT_WITH_DB
            | Capabilities::DEPRECATE_EOF
            | Capabilities::TRANSACTIONS,
        max_packet: 1 << 24,
        collation: 45,
        user: accounts::APP.user.into(),
        auth: scramble.proof(accounts::APP.password.as_bytes(), &greeting.nonce),
        schema: Some("app".into()),
        plugin: Some(plugin.name().into()),
        attributes: Vec::new(),
        zstd_level: None,
    };
    let (mut payload, mut out) = (Vec::new(), Vec::new());
    login.encode(&mut payload);
    frame(&mut out, 1, &payload);
    stream.write_all(&out).expect("sent");
    let mut received = Vec::new();
    // The last packet is an OK; what comes ahead says that the password was right.
    while !ends_with(&received, OK) {
        let n = stream.read(&mut buffer).expect("an answer");
        assert!(n > 0, "{}", received.escape_ascii());
        received.extend_from_slice(&buffer[..n]);
    }
    stream
}

/// Whether bytes are whole packets, the last of which begins so.
fn ends_with(mut bytes: &[u8], first: u8) -> bool {
    let mut last = None;
    while let Some(header) = Header::peek(bytes) {
        let Some(payload) = bytes.get(HEADER_LEN..HEADER_LEN + header.len) else { return false };
        last = payload.first().copied();
        bytes = &bytes[HEADER_LEN + header.len..];
    }
    bytes.is_empty() && last == Some(first)
}

/// Prepares the statement and returns its id.
fn prepare(client: &mut TcpStream) -> [u8; 4] {
    let mut command = Vec::new();
    frame_parts(&mut command, 0, &[&[Command::StmtPrepare.byte()], PREPARED]);
    client.write_all(&command).expect("sent");
    let (mut received, mut buffer) = (Vec::new(), [0; 1024]);
    // Behind the header a parameter and a column.
    while packets(&received) < 3 {
        let n = client.read(&mut buffer).expect("an answer");
        assert!(n > 0, "closed behind {}", received.escape_ascii());
        received.extend_from_slice(&buffer[..n]);
    }
    received[HEADER_LEN + 1..HEADER_LEN + 5].try_into().expect("four bytes")
}

/// How many whole packets these bytes begin with.
fn packets(mut bytes: &[u8]) -> usize {
    let mut whole = 0;
    while let Some(header) = Header::peek(bytes).filter(|header| bytes.len() >= HEADER_LEN + header.len) {
        bytes = &bytes[HEADER_LEN + header.len..];
        whole += 1;
    }
    whole
}

fn ask(client: &mut TcpStream, payload: &[u8], times: usize) {
    let mut command = Vec::new();
    frame(&mut command, 0, payload);
    let mut buffer = [0; 1024];
    for _ in 0..times {
        client.write_all(&command).expect("sent");
        let mut n = 0;
        while n == 0 || !ends_with(&buffer[..n], EOF) {
            let more = client.read(&mut buffer[n..]).expect("an answer");
            assert!(more > 0, "closed behind {}", buffer[..n].escape_ascii());
            n += more;
        }
    }
}
