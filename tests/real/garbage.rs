//! Clients that talk nonsense, too much, or too slowly: an error or an end, never a hang, and nobody
//! else notices.

#![allow(clippy::print_stdout, reason = "what was measured, for those who want to see it")]

use crate::support::{APP, Bed, PASSWORD, Plan, one, settings};
use landbridge::app::App;
use landbridge::config::ServerAddress;
use landbridge::lab::{Flavor, PairOptions, accounts};
use landbridge::protocol::auth::Plugin;
use landbridge::protocol::capability::{Capabilities, Status};
use landbridge::protocol::exchange::{Exchange, Expect, Role};
use landbridge::protocol::handshake::{Greeting, Login, encode_tls_request};
use landbridge::protocol::packet::{HEADER_LEN, Header, frame};
use landbridge::protocol::response::{ERR, OK, OkPacket, ServerError};
use landbridge::protocol::resultset::text_row;
use mysql_async::prelude::Queryable;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const PING: u8 = 0x0E;
const QUERY: u8 = 0x03;
const PREPARE: u8 = 0x16;
const EXECUTE: u8 = 0x17;
const LONG_DATA: u8 = 0x18;
const CLOSE: u8 = 0x19;

/// What every login asks for.
const CAPS: Capabilities = Capabilities::PROTOCOL_41
    .union(Capabilities::LONG_PASSWORD)
    .union(Capabilities::CONNECT_WITH_DB)
    .union(Capabilities::TRANSACTIONS)
    .union(Capabilities::SECURE_CONNECTION)
    .union(Capabilities::PLUGIN_AUTH)
    .union(Capabilities::PLUGIN_AUTH_LENENC)
    .union(Capabilities::CONNECT_ATTRS)
    .union(Capabilities::LOCAL_FILES)
    .union(Capabilities::DEPRECATE_EOF);

/// Nothing here may take longer.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.unwrap_or_else(|_| panic!("{what}: hangs"))
}

/// A socket to Landbridge.
struct Wire(TcpStream);

/// One packet.
struct Got {
    seq: u8,
    payload: Vec<u8>,
}

impl Got {
    fn error(&self) -> ServerError {
        ServerError::decode(&self.payload).unwrap_or_else(|e| panic!("{e}: {:02x?}", self.payload))
    }
}

/// How a command was answered.
#[derive(Debug)]
struct Answer {
    rows: Vec<Vec<Option<String>>>,
    error: Option<ServerError>,
}

impl Wire {
    async fn connect(port: u16) -> Self {
        Self(TcpStream::connect(("127.0.0.1", port)).await.expect("somebody listens"))
    }

    /// Connects and reads the greeting.
    async fn greeted(port: u16) -> (Self, Greeting) {
        let mut wire = soon("a connection", Self::connect(port)).await;
        let greeting = soon("a greeting", wire.packet()).await.expect("a greeting").payload;
        (wire, Greeting::decode(&greeting).expect("well formed"))
    }

    async fn logged_in(port: u16) -> Self {
        Self::logged_in_with(port, CAPS).await
    }

    async fn logged_in_with(port: u16, caps: Capabilities) -> Self {
        let (mut wire, greeting) = Self::greeted(port).await;
        wire.push(1, &login_with(&greeting, caps)).await;
        loop {
            let got = soon("a login", wire.packet()).await.expect("a verdict");
            match got.payload.first() {
                Some(1) => {}
                Some(&OK) => return wire,
                _ => panic!("{}", got.error()),
            }
        }
    }

    async fn packet(&mut self) -> io::Result<Got> {
        let mut header = [0; HEADER_LEN];
        self.0.read_exact(&mut header).await?;
        let header = Header::peek(&header).expect("complete");
        let mut payload = vec![0; header.len];
        self.0.read_exact(&mut payload).await?;
        Ok(Got { seq: header.seq, payload })
    }

    /// Sends bytes; it does not matter if nobody takes them any more.
    async fn raw(&mut self, bytes: &[u8]) {
        let _gone = soon("bytes are taken", self.0.write_all(bytes)).await;
    }

    async fn push(&mut self, seq: u8, payload: &[u8]) {
        let mut out = Vec::new();
        frame(&mut out, seq, payload);
        self.raw(&out).await;
    }

    /// Whether the connection ends without another packet than one error.
    async fn ends(&mut self, what: &str) -> Option<ServerError> {
        soon(what, async {
            let got = self.packet().await.ok()?;
            assert_eq!(got.payload.first(), Some(&ERR), "{what}: {:02x?}", got.payload);
            assert!(self.packet().await.is_err(), "{what}: goes on after {}", got.error());
            Some(got.error())
        })
        .await
    }

    /// The whole answer to a command; `None` when the connection ended.
    async fn answer(&mut self, what: &str, expect: Expect) -> Option<Answer> {
        let mut exchange = Exchange::new(expect, CAPS);
        let mut answer = Answer { rows: Vec::new(), error: None };
        let mut seq = 1u8;
        loop {
            let got = soon(what, self.packet()).await.ok()?;
            assert_eq!(got.seq, seq, "{what}: numbering");
            seq = seq.wrapping_add(1);
            let step = exchange.packet(got.payload.len(), &got.payload).unwrap_or_else(|e| panic!("{what}: {e}"));
            match step.role {
                Role::Err => answer.error = Some(got.error()),
                Role::Row if expect == Expect::Results => {
                    answer.rows.push(text_row(&got.payload).expect("a row"));
                }
                _ => {}
            }
            if step.end {
                return Some(answer);
            }
        }
    }

    async fn query(&mut self, sql: &str) -> Answer {
        self.push(0, &[&[QUERY], sql.as_bytes()].concat()).await;
        self.answer(sql, Expect::Results).await.expect("an answer")
    }

    /// Prepares a statement and tells its id.
    async fn prepare(&mut self, sql: &str) -> [u8; 4] {
        self.push(0, &[&[PREPARE], sql.as_bytes()].concat()).await;
        let first = soon(sql, self.packet()).await.expect("an answer").payload;
        assert_eq!(first.first(), Some(&OK), "{sql}");
        let count = |at: usize| u16::from_le_bytes([first[at], first[at + 1]]);
        for _definition in 0..count(5) + count(7) {
            soon(sql, self.packet()).await.expect("a definition");
        }
        first[1..5].try_into().expect("four bytes")
    }

    /// Whether a ping is answered: with OK, or the connection has ended.
    async fn is_in_step(&mut self, what: &str) -> bool {
        self.push(0, &[PING]).await;
        match soon(what, self.packet()).await {
            Ok(got) => {
                assert_eq!((got.seq, got.payload.first()), (1, Some(&OK)), "{what}: {:02x?}", got.payload);
                true
            }
            Err(_) => false,
        }
    }
}

fn login(greeting: &Greeting) -> Vec<u8> {
    login_with(greeting, CAPS)
}

fn login_with(greeting: &Greeting, capabilities: Capabilities) -> Vec<u8> {
    let plugin = Plugin::from_name(greeting.plugin.as_bytes()).expect("a plugin we know");
    let scramble = plugin.scramble().expect("a plugin that scrambles");
    let mut payload = Vec::new();
    Login {
        capabilities,
        max_packet: 1 << 24,
        collation: 45,
        user: APP.into(),
        auth: scramble.proof(PASSWORD.as_bytes(), &greeting.nonce),
        schema: Some(b"app".to_vec()),
        plugin: Some(plugin.name().into()),
        zstd_level: None,
        attributes: b"\x04_pid\x011".to_vec(),
    }
    .encode(&mut payload);
    payload
}

/// xorshift64
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// A client with manners is served as if nothing had happened.
async fn well(bed: &Bed) {
    let mut client = soon("a new client", bed.client()).await;
    assert_eq!(soon("a read", one::<u8>(&mut client, "SELECT 1")).await, 1);
    soon("a write", client.query_drop("INSERT INTO t (n) VALUES (1)")).await.expect("write");
    soon("goodbye", client.disconnect()).await.expect("goodbye");
}

/// Waits until no client is counted any more.
async fn all_gone(bed: &Bed) {
    let gone = async {
        while bed.metric("landbridge_clients") > 0.0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the last client", gone).await;
}

/// A whole client hello without a request for TLS before it.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03\
    abcdefghijklmnopqrstuvwxyz012345\x00\x00\x04\x13\x01\x13\x02\x01\x00";

async fn garbage_before_login(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { extra: "[limits]\nlogin_timeout = \"1s\"", ..Plan::default() }).await;
    let port = bed.port();
    let (_, greeting) = Wire::greeted(port).await;
    let whole = login(&greeting);

    let mut tls = Vec::new();
    encode_tls_request(&mut tls, CAPS, 1 << 24, 45);
    let framed = |seq: u8, payload: &[u8]| {
        let mut out = Vec::new();
        frame(&mut out, seq, payload);
        out
    };
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("nothing at all".into(), Vec::new()),
        ("half a header".into(), vec![1, 0]),
        ("an empty packet".into(), vec![0, 0, 0, 1]),
        ("HTTP".into(), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("TLS without a request".into(), CLIENT_HELLO.to_vec()),
        ("TLS requested where there is none".into(), [framed(1, &tls), CLIENT_HELLO.to_vec()].concat()),
        ("16 MiB announced".into(), [&[0xFF, 0xFF, 0xFF, 1], &whole[..]].concat()),
        ("just above the limit".into(), [&[1, 0, 1, 1], &whole[..]].concat()),
        ("16 MiB in parts".into(), [&[0xFF, 0xFF, 0xFF, 1][..], &vec![b'x'; 300_000]].concat()),
        ("an old login".into(), framed(1, b"\x01\x00\x00\x00\x00app\0")),
        ("a command".into(), framed(0, b"\x03SELECT 1")),
    ];
    cases.extend([0, 2, 3, 255].map(|seq| (format!("sequence id {seq}"), framed(seq, &whole))));
    let mut random = Random(0x5DEE_CE66_D1CE_4E5B);
    for len in 1..150 {
        cases.push((format!("{len} random bytes"), random.bytes(len)));
        cases.push((format!("{len} random bytes in a packet"), framed(1, &random.bytes(len))));
    }
    // The connection stays open: the packet is never completed.
    cases.extend(
        (0..whole.len()).map(|len| (format!("stops after {len}"), framed(1, &whole)[..HEADER_LEN + len].to_vec())),
    );

    // Not all at once: that is another test.
    let room = Arc::new(Semaphore::new(100));
    let mut clients = JoinSet::new();
    for (what, bytes) in cases {
        let room = room.clone();
        clients.spawn(async move {
            let _place = room.acquire().await;
            let started = Instant::now();
            let (mut wire, _) = Wire::greeted(port).await;
            wire.raw(&bytes).await;
            wire.ends(&what).await;
            assert!(started.elapsed() < Duration::from_secs(6), "{what}: {:?}", started.elapsed());
        });
    }
    // Whole packets cut short. What an old client might leave out may be missing.
    for len in 0..whole.len() {
        let room = room.clone();
        clients.spawn(async move {
            let _place = room.acquire().await;
            let what = format!("a login of {len} bytes");
            let (mut wire, greeting) = Wire::greeted(port).await;
            wire.push(1, &login(&greeting)[..len]).await;
            match soon(&what, wire.packet()).await {
                Ok(got) if got.payload.first() == Some(&ERR) => {
                    assert!(soon(&what, wire.packet()).await.is_err(), "{what}: goes on after {}", got.error());
                }
                Ok(_) => assert!(len > 32 + APP.len() + 20, "{what} is let in"),
                Err(error) => panic!("{what}: {error}"),
            }
        });
    }
    // An end in the middle of a packet.
    for len in 0..whole.len() {
        let begun = framed(1, &whole)[..HEADER_LEN + len].to_vec();
        let room = room.clone();
        clients.spawn(async move {
            let _place = room.acquire().await;
            let (mut wire, _) = Wire::greeted(port).await;
            wire.raw(&begun).await;
            let _gone = wire.0.shutdown().await;
            assert!(wire.ends("an end inside a packet").await.is_none());
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("as it should");
    }
    all_gone(&bed).await;
    well(&bed).await;
    bed.stop().await;
}

/// A thousand clients that come in the same moment are all greeted: they wait for the first word.
async fn a_crowd_is_greeted(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let port = bed.port();
    let started = Instant::now();
    let mut crowd = JoinSet::new();
    for _ in 0..1000 {
        crowd.spawn(Wire::greeted(port));
    }
    // Everybody stays until all are in.
    let clients = soon("a crowd", crowd.join_all()).await;
    println!("{} clients in {:?}", clients.len(), started.elapsed());
    well(&bed).await;
    drop(clients);
    all_gone(&bed).await;
    bed.stop().await;
}

async fn garbage_after_login(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let port = bed.port();

    let mut wire = Wire::logged_in(port).await;
    wire.raw(&[0, 0, 0, 0]).await;
    wire.ends("an empty command").await;

    // Commands that no server knows, with and without something behind the command byte: one says so.
    let mut wire = Wire::logged_in(port).await;
    for byte in 0x24..=0xFF {
        for payload in [&[byte][..], &[byte, 1, 0, 0, 0, b'x']] {
            let what = format!("command {byte:#04x}");
            wire.push(0, payload).await;
            let answer = wire.answer(&what, Expect::Ok).await.expect("an answer");
            assert_eq!(answer.error.expect("an error").code, 1047, "{what}");
        }
    }
    assert!(wire.is_in_step("unknown commands").await);
    drop(wire);

    // Truncated bodies: an error, or silence where there is no answer.
    for (byte, body, expect) in [
        (0x17, &b"\x01\0\0\0\0\x01\0\0\0"[..], Some(Expect::Results)),
        (0x1A, b"\x01\0\0\0", Some(Expect::Ok)),
        (0x1C, b"\x01\0\0\0\x05\0\0\0", Some(Expect::Rows)),
        (0x1B, b"\x02\0", Some(Expect::Ok)),
        (0x1B, b"\0\0\0", Some(Expect::Ok)),
        (0x18, b"\x01\0\0\0\0\0x", None),
        (0x19, b"\x01\0\0\0", None),
    ] {
        let mut wire = Wire::logged_in(port).await;
        for len in 0..=body.len() {
            if byte == 0x1B && len == 2 && body.len() == 3 {
                continue;
            }
            let what = format!("command {byte:#04x} with {len} bytes");
            wire.push(0, &[&[byte], &body[..len]].concat()).await;
            // MySQL says where it does not know which parameter long data is for.
            let expect = expect.or((flavor == Flavor::MySql && byte == LONG_DATA && len < 6).then_some(Expect::Ok));
            if let Some(expect) = expect {
                let answer = wire.answer(&what, expect).await.expect("an answer");
                assert!(answer.error.is_some(), "{what}");
            }
            assert!(wire.is_in_step(&what).await, "{what}");
        }
    }

    // COM_CHANGE_USER: every end of a session is fine, and so is a new login.
    let body = [&b"app\0\x14"[..], &[7; 20], b"app\0\x2d\0mysql_native_password\0\0"].concat();
    for len in 0..=body.len() {
        let what = format!("a change of user with {len} bytes");
        let mut wire = Wire::logged_in(port).await;
        wire.push(0, &[&[0x11], &body[..len]].concat()).await;
        let mut got = soon(&what, wire.packet()).await.expect("an answer");
        // Another plugin, or the password itself, where a proof was wrong.
        while got.payload.first() == Some(&0xFE) || got.payload == [1, 4] {
            wire.push(got.seq + 1, &[7; 20]).await;
            got = soon(&what, wire.packet()).await.expect("an answer");
        }
        got.error();
    }

    wrong_numbers(&bed).await;
    executions(&bed).await;
    wide_answers(&bed).await;
    all_gone(&bed).await;
    well(&bed).await;
    bed.stop().await;
}

/// Sequence ids and lengths that cannot be right.
async fn wrong_numbers(bed: &Bed) {
    for seq in [1, 2, 128, 255] {
        let mut wire = Wire::logged_in(bed.port()).await;
        // The answer's own numbering is far from the beginning.
        assert_eq!(wire.query("SELECT 1 UNION ALL SELECT 2").await.rows.len(), 2);
        wire.push(seq, b"\x03INSERT INTO t (n) VALUES (666)").await;
        let what = format!("sequence id {seq}");
        let got = soon(&what, wire.packet()).await.expect("an error");
        // A client takes what comes for the answer to its next command, which begins at 1.
        assert_eq!((got.seq, got.error().code), (1, 1156), "{what}");
        assert!(wire.ends(&what).await.is_none());
    }
    // 16 MiB announced, and then the end; or more packets of a size that is too much in the end.
    for (what, bytes) in [
        ("16 MiB announced and nothing sent", vec![0xFF, 0xFF, 0xFF, 0]),
        ("16 MiB announced and something sent", [&[0xFF, 0xFF, 0xFF, 0, QUERY][..], &vec![b' '; 100_000]].concat()),
        ("half a header", vec![1, 0]),
        ("half a command", b"\x20\0\0\0\x03INSERT INTO t".to_vec()),
        (
            "a continuation out of order",
            [&[0xFF, 0xFF, 0xFF, 0, QUERY][..], &vec![b' '; 0xFF_FFFE], &[0, 0, 0, 0]].concat(),
        ),
    ] {
        let mut wire = Wire::logged_in(bed.port()).await;
        wire.raw(&bytes).await;
        let _gone = wire.0.shutdown().await;
        wire.ends(what).await;
    }
    let mut client = bed.client().await;
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t WHERE n = 666").await, 0, "nothing was run");
    client.disconnect().await.expect("goodbye");
}

/// Answers of Landbridge itself with so many columns that their number takes more than a byte.
async fn wide_answers(bed: &Bed) {
    let mut wire = Wire::logged_in(bed.port()).await;
    for columns in [250, 251, 252, 255, 256, 300] {
        let list = vec!["ROW_COUNT()"; columns].join(", ");
        let answer = wire.query(&format!("SELECT {list}")).await;
        assert_eq!(answer.rows.first().map(Vec::len), Some(columns));
    }
}

/// Executions of prepared statements that are too short, or of statements nobody prepared.
async fn executions(bed: &Bed) {
    let mut wire = Wire::logged_in(bed.port()).await;
    for (byte, expect) in [(0x17, Expect::Results), (0x1A, Expect::Ok), (0x1C, Expect::Rows)] {
        for id in [0u32, 1, 77, u32::MAX - 1, u32::MAX] {
            let what = format!("command {byte:#04x} of statement {id}");
            wire.push(0, &[&[byte], &id.to_le_bytes()[..], b"\0\x01\0\0\0"].concat()).await;
            let answer = wire.answer(&what, expect).await.expect("an answer");
            assert_eq!(answer.error.expect("an error").code, 1243, "{what}");
        }
    }
    for byte in [LONG_DATA, CLOSE] {
        wire.push(0, &[byte, 77, 0, 0, 0, 0, 0, b'x']).await;
        assert!(wire.is_in_step("a statement nobody knows").await);
    }
    for sql in ["SELECT ?, ?", "INSERT INTO t (n, s) VALUES (?, ?)"] {
        let id = wire.prepare(sql).await;
        let body = [&id[..], b"\0\x01\0\0\0\x00\x01\x08\0\xfd\0", b"\x07\0\0\0\0\0\0\0", b"\x03abc"].concat();
        for len in 4..=body.len() {
            let what = format!("{sql} with {len} bytes");
            wire.push(0, &[&[EXECUTE], &body[..len]].concat()).await;
            let mut exchange = Exchange::new(Expect::Results, CAPS);
            let done = async {
                loop {
                    let got = wire.packet().await?;
                    if exchange.packet(got.payload.len(), &got.payload).expect("well formed").end {
                        return Ok::<_, io::Error>(got);
                    }
                }
            };
            let Ok(got) = soon(&what, done).await else {
                panic!("{what}: the connection ended");
            };
            // Servers forgive a last value that is cut short.
            let refused = got.payload.first() == Some(&ERR);
            assert!(refused || len > body.len() - 4, "{what}");
            assert!(!refused || len < body.len(), "{what}: {}", got.error());
            assert!(wire.is_in_step(&what).await, "{what}");
        }
        wire.push(0, &[&[CLOSE], &id[..]].concat()).await;
        assert!(wire.is_in_step("closed").await);
    }
}

/// Many commands in one write: every answer, in order.
async fn commands_in_one_write(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut wire = Wire::logged_in(bed.port()).await;
    wire.raw(&b"\x01\0\0\0\x0e".repeat(2000)).await;
    for n in 0..2000 {
        let got = soon("pings", wire.packet()).await.expect("an answer");
        assert_eq!((got.seq, got.payload.first()), (1, Some(&OK)), "ping {n}");
    }

    let mut commands = Vec::new();
    for n in 0..200 {
        for sql in [
            format!("SELECT {n}, '{}'", "x".repeat(n)),
            format!("INSERT INTO t (id, n) VALUES ({}, {n})", n + 1),
            "SELECT LAST_INSERT_ID()".into(),
            format!("SELECT n FROM t WHERE id = {}", n + 1),
            format!("SELECT nonsense{n}"),
        ] {
            frame(&mut commands, 0, &[&[QUERY], sql.as_bytes()].concat());
        }
    }
    let (mut reading, mut writing) = wire.0.into_split();
    let writer = tokio::spawn(async move {
        writing.write_all(&commands).await.expect("sent");
        writing
    });
    let mut received = Vec::new();
    let mut next = async |expect: &str| {
        let mut exchange = Exchange::new(Expect::Results, CAPS);
        let (mut rows, mut seq) = (Vec::new(), 1);
        loop {
            while Header::peek(&received).is_none_or(|h| received.len() < HEADER_LEN + h.len) {
                assert_ne!(soon(expect, reading.read_buf(&mut received)).await.expect("alive"), 0, "{expect}");
            }
            let header = Header::peek(&received).expect("there");
            let packet: Vec<u8> = received.drain(..HEADER_LEN + header.len).collect();
            assert_eq!(header.seq, seq, "{expect}");
            seq += 1;
            let payload = &packet[HEADER_LEN..];
            let step = exchange.packet(payload.len(), payload).expect("well formed");
            match step.role {
                Role::Row => rows.extend(text_row(payload).expect("a row")),
                Role::Err => rows.push(Some(ServerError::decode(payload).expect("an error").message)),
                Role::Ok => {
                    let ok = OkPacket::decode(payload, CAPS).expect("an OK");
                    rows.push(Some(ok.affected_rows.to_string()));
                    assert!(!ok.status.contains(Status::IN_TRANS));
                }
                _ => {}
            }
            if step.end {
                return rows.into_iter().flatten().collect::<Vec<_>>();
            }
        }
    };
    for n in 0..200 {
        assert_eq!(next("select").await, [n.to_string(), "x".repeat(n)]);
        assert_eq!(next("insert").await, ["1"]);
        let id = next("insert id").await;
        assert_eq!(id.len(), 1);
        assert_eq!(next("own write").await, [n.to_string()], "reads its own write");
        let error = next("error").await.concat();
        assert!(error.contains(&format!("nonsense{n}'")), "{error}");
    }
    drop(writer.await.expect("sent"));
    well(&bed).await;
    bed.stop().await;
}

/// Rows of 200 bytes to make large results of.
async fn fill(bed: &Bed) {
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (n, s) VALUES (1, REPEAT('x', 200))").await.expect("insert");
    for _ in 0..10 {
        client.query_drop("INSERT INTO t (n, s) SELECT n, s FROM t").await.expect("doubled");
    }
    client.disconnect().await.expect("goodbye");
}

/// Memory of this process, in KiB.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

const MIB: usize = 1024;

/// Set in a process of this test alone.
const ALONE: &str = "LANDBRIDGE_TEST_ALONE";

/// Runs a test in a process of its own, because others would be measured with it. True inside it.
async fn alone(flavor: Flavor, test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let module = if flavor == Flavor::MySql { "mysql" } else { "mariadb" };
    let output = tempfile::tempfile().expect("a file");
    let to = || output.try_clone().expect("a file");
    let mut child = std::process::Command::new(std::env::current_exe().expect("a program"))
        .args(["--exact", &format!("garbage::{module}::{test}"), "--nocapture"])
        .env(ALONE, "1")
        .stdout(to())
        .stderr(to())
        .spawn()
        .expect("a process");
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break Some(status);
        }
        if started.elapsed() > Duration::from_secs(120) {
            child.kill().expect("a child");
            break None;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let mut said = String::new();
    let mut output = output;
    io::Seek::rewind(&mut output).and_then(|()| io::Read::read_to_string(&mut output, &mut said)).expect("text");
    assert!(status.is_some_and(|s| s.success()) && said.contains("1 passed"), "{status:?}\n{said}");
    false
}

/// Thousands of clients that send nonsense leave nothing behind.
async fn garbage_leaves_no_memory(flavor: Flavor) {
    if !alone(flavor, "garbage_leaves_no_memory").await {
        return;
    }
    let bed = Bed::with(flavor, Plan { extra: "[limits]\nlogin_timeout = \"1s\"", ..Plan::default() }).await;
    let port = bed.port();
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut before = 0;
    for round in 0..22 {
        let mut clients = JoinSet::new();
        for client in 0..100 {
            let garbage = random.bytes(1 + client * 37 % 3000);
            clients.spawn(async move {
                match client % 4 {
                    0 => {
                        let (mut wire, _) = Wire::greeted(port).await;
                        wire.raw(&garbage).await;
                        let _gone = wire.0.shutdown().await;
                        let _error = wire.ends("random bytes").await;
                    }
                    1 => {
                        let (mut wire, _) = Wire::greeted(port).await;
                        wire.raw(&[&[0, 255, 0, 1][..], &vec![b'x'; 60_000]].concat()).await;
                    }
                    2 => {
                        let mut wire = Wire::logged_in(port).await;
                        wire.push(0, &[&[PREPARE], &garbage[..]].concat()).await;
                        wire.push(0, &[&[QUERY], &garbage[..]].concat()).await;
                        wire.raw(&garbage).await;
                        let _gone = wire.0.shutdown().await;
                        while soon("whatever", wire.packet()).await.is_ok() {}
                    }
                    _ => {
                        let mut wire = Wire::logged_in(port).await;
                        wire.raw(&[&[0xFF, 0xFF, 0xFF, 0, QUERY][..], &vec![b' '; 500_000]].concat()).await;
                    }
                }
            });
        }
        while let Some(client) = clients.join_next().await {
            client.expect("as it should");
        }
        all_gone(&bed).await;
        if round == 1 {
            before = memory();
        }
    }
    let grown = memory().saturating_sub(before);
    println!("2000 clients: {grown} KiB");
    assert!(grown < 64 * MIB, "2000 clients left {grown} KiB");
    well(&bed).await;
    bed.stop().await;
}

/// Long data is kept for an execution: so much and not more.
async fn long_data_has_a_limit(flavor: Flavor) {
    if !alone(flavor, "long_data_has_a_limit").await {
        return;
    }
    let bed = Bed::new(flavor).await;
    let mut wire = Wire::logged_in(bed.port()).await;
    let id = wire.prepare("INSERT INTO t (s) VALUES (?)").await;
    // Pieces that hold nothing.
    let mut nothing = Vec::new();
    frame(&mut nothing, 0, &[&[LONG_DATA], &id[..], &[0, 0]].concat());
    wire.raw(&nothing.repeat(10_000)).await;
    assert!(wire.is_in_step("empty pieces").await);
    let before = memory();
    // Pieces that hold much, until it is too much, and beyond.
    let mut much = Vec::new();
    frame(&mut much, 0, &[&[LONG_DATA], &id[..], &[0, 0], &vec![b'x'; 8 << 20]].concat());
    let mut most = 0;
    for _ in 0..160 {
        soon("long data", wire.0.write_all(&much)).await.expect("sent");
        most = most.max(memory().saturating_sub(before));
    }
    println!("long data: at most {most} KiB");
    assert!(most < 320 * MIB, "{most} KiB of long data are taken");
    // What is not whole is not executed.
    wire.push(0, &[&[EXECUTE], &id[..], &[0, 1, 0, 0, 0, 0, 1, 0xfc, 0]].concat()).await;
    let error = wire.packet().await.expect("an answer").error();
    assert_eq!(error.code, 1041, "{}", error.message);
    assert!(wire.is_in_step("long data").await);
    drop(wire);
    all_gone(&bed).await;
    well(&bed).await;
    bed.stop().await;
}

/// Long data that an execution did not use up goes into nobody else's, nor into the next one.
async fn long_data_stays_with_its_execution(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let (mut wire, mut other) = (Wire::logged_in(bed.port()).await, Wire::logged_in(bed.port()).await);
    let insert = "INSERT INTO t (s, n) VALUES (?, ?)";
    let (id, others) = (wire.prepare(insert).await, other.prepare(insert).await);
    let types = [0xfc, 0, 8, 0];
    for (parameter, rest) in [([0, 0], &b"\x07\0\0"[..]), ([9, 0], &b"\x01z\x07\0\0\0\0\0\0\0"[..])] {
        wire.push(0, &[&[LONG_DATA], &id[..], &parameter, b"secret"].concat()).await;
        // Too short for its second value; or data for a parameter that there is not.
        wire.push(0, &[&[EXECUTE], &id[..], &[0, 1, 0, 0, 0, 0, 1], &types, rest].concat()).await;
        let answer = wire.answer("an execution", Expect::Results).await.expect("an answer");
        println!("{flavor:?}: {:?}", answer.error.map(|error| (error.code, error.message)));
        for (wire, id, value) in [(&mut other, &others, b'b'), (&mut wire, &id, b'a')] {
            let body =
                [&[EXECUTE], &id[..], &[0, 1, 0, 0, 0, 0, 1], &types, &[1, value, 7, 0, 0, 0, 0, 0, 0, 0]].concat();
            wire.push(0, &body).await;
            let answer = wire.answer("the next one", Expect::Results).await.expect("an answer");
            assert!(answer.error.is_none(), "{:?}", answer.error);
        }
        let rows = bed.pair.primary.sql("SELECT GROUP_CONCAT(s, n ORDER BY id) FROM app.t WHERE s IN ('a', 'b')").await;
        assert_eq!(rows.expect("rows")[0][0].as_deref(), Some("b7,a7"));
        bed.pair.primary.sql("DELETE FROM app.t").await.expect("emptied");
    }
    bed.stop().await;
}

/// Another Landbridge without a relay in between, which would hold bytes of its own in this process.
async fn direct(bed: &Bed) -> App {
    let mut settings =
        settings(&bed.pair, (&bed.ocean, &bed.shore), (4, 16), ("200ms", accounts::MONITOR.password), ("", "", ""));
    for (server, addr) in settings.servers.iter_mut().zip([bed.pair.primary.addr(), bed.pair.replica.addr()]) {
        server.address = ServerAddress::Tcp { host: addr.ip().to_string(), port: addr.port() };
    }
    let app = App::start(&settings).await.expect("Landbridge starts");
    let ready = async {
        while !app.is_ready() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("warm", ready).await;
    app
}

const ENDLESS: &[u8] = b"\x03/* landbridge: primary */ SELECT a.s FROM t a, t b, t c";

/// A result that is read slowly waits at the server, not in memory.
async fn slow_readers(flavor: Flavor) {
    if !alone(flavor, "slow_readers").await {
        return;
    }
    let bed = Bed::new(flavor).await;
    fill(&bed).await;
    let app = direct(&bed).await;
    let mut readers = Vec::new();
    for _ in 0..8 {
        let mut reader = Wire::logged_in(app.mysql[0].port()).await;
        reader.query("SELECT s FROM t").await;
        readers.push(reader);
    }
    let before = memory();
    for reader in &mut readers {
        reader.push(0, ENDLESS).await;
    }
    let mut most = 0;
    let mut piece = vec![0; 16 * 1024];
    for _ in 0..60 {
        for reader in &mut readers {
            soon("rows", reader.0.read_exact(&mut piece)).await.expect("rows");
        }
        most = most.max(memory().saturating_sub(before));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("slow readers: {most} KiB");
    assert!(most < 8 * MIB, "{most} KiB for eight slow readers");
    drop(readers);
    // Their statements do not go on without them.
    let running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%t a, t b, t c'";
    let ended = async {
        while bed.pair.primary.sql(running).await.expect("administrator")[0][0].as_deref() != Some("0") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("statements without a reader", ended).await;
    app.shut_down().await;
    bed.stop().await;
}

/// Large results pass through without staying.
async fn large_results(flavor: Flavor) {
    if !alone(flavor, "large_results").await {
        return;
    }
    let bed = Bed::new(flavor).await;
    fill(&bed).await;
    let app = direct(&bed).await;
    let mut wire = Wire::logged_in(app.mysql[0].port()).await;
    // So that the connection to the server is there and its buffers are.
    wire.query("SELECT s FROM t").await;
    let before = memory();
    let mut most = 0;
    // Many rows; and few that are large.
    for (sql, rows, size) in [
        ("SELECT a.s FROM t a, t b LIMIT 600000", 600_000, 600_000 * 200),
        ("SELECT REPEAT(s, 40000) FROM t LIMIT 14", 14, 14 * 8_000_000),
    ] {
        wire.push(0, &[&[QUERY], sql.as_bytes()].concat()).await;
        let mut exchange = Exchange::new(Expect::Results, CAPS);
        let (mut got_rows, mut got_bytes, mut seq) = (0, 0, 1u8);
        let mut piece = vec![0; 64 * 1024];
        let mut reader = tokio::io::BufReader::with_capacity(64 * 1024, &mut wire.0);
        let started = Instant::now();
        loop {
            let mut header = [0; HEADER_LEN];
            soon(sql, reader.read_exact(&mut header)).await.expect("a packet");
            let header = Header::peek(&header).expect("complete");
            assert_eq!(header.seq, seq);
            seq = seq.wrapping_add(1);
            let mut left = header.len;
            let mut head = Vec::new();
            while left > 0 {
                let n = left.min(piece.len());
                soon(sql, reader.read_exact(&mut piece[..n])).await.expect("a packet");
                if head.is_empty() {
                    head.extend_from_slice(&piece[..n.min(64)]);
                }
                left -= n;
            }
            let step = exchange.packet(header.len, &head).expect("well formed");
            if step.role == Role::Row {
                got_rows += 1;
                got_bytes += header.len;
            }
            if got_rows % 1000 == 0 || header.len > 1_000_000 {
                most = most.max(memory().saturating_sub(before));
            }
            if step.end {
                assert_eq!(step.role, Role::RowsEnd);
                break;
            }
        }
        assert_eq!(got_rows, rows, "{sql}");
        assert!(got_bytes > size, "{sql}: {got_bytes}");
        println!("{sql}: {got_bytes} bytes in {:?}, {most} KiB", started.elapsed());
    }
    assert!(most < 8 * MIB, "{most} KiB");
    app.shut_down().await;
    bed.stop().await;
}

/// Nothing of a client's file is taken for commands when its server is lost.
async fn what_is_left_of_a_file(flavor: Flavor) {
    let servers = PairOptions { extra_args: vec!["--local-infile=1".into()], ..PairOptions::default() };
    let bed = Bed::with(flavor, Plan { servers, ..Plan::default() }).await;
    let mut wire = Wire::logged_in(bed.port()).await;
    wire.push(0, b"\x03LOAD DATA LOCAL INFILE 'rows' INTO TABLE t (n)").await;
    let asked = soon("a request", wire.packet()).await.expect("a request");
    assert_eq!(asked.payload.first(), Some(&0xFB), "for the file");
    wire.push(2, b"1\n2\n").await;
    bed.ocean.cut_existing_and_wait().await;
    // A piece that looks like a command, with a command's number.
    wire.push(0, b"\x03INSERT INTO t (n) VALUES (666)").await;
    wire.ends("a file without a server").await;
    let there = bed.pair.primary.sql("SELECT COUNT(*) FROM app.t WHERE n = 666").await.expect("rows");
    assert_eq!(there[0][0].as_deref(), Some("0"));
    bed.stop().await;
}

/// What stands behind a file that the client cannot send does not run, even where nobody could know of that file: a server
/// that were sent an empty one would go on.
async fn nothing_runs_behind_a_file_that_nobody_sends(flavor: Flavor) {
    let servers = PairOptions { extra_args: vec!["--local-infile=1".into()], ..PairOptions::default() };
    let bed = Bed::with(flavor, Plan { servers, ..Plan::default() }).await;
    let caps = (CAPS | Capabilities::MULTI_STATEMENTS) - Capabilities::LOCAL_FILES;
    let mut wire = Wire::logged_in_with(bed.port(), caps).await;
    for sql in ["SET NAMES gbk", "INSERT INTO t (n) VALUES (7)"] {
        assert_eq!(wire.query(sql).await.error, None, "{sql}");
    }
    let load = b"\x03LOAD DATA LOCAL INFILE 'rows' INTO TABLE t FIELDS TERMINATED BY '\xa3\xac' (n); DELETE FROM t; SELECT 'x'";
    wire.push(0, load).await;
    let answer = wire.answer("a load", Expect::Results).await.expect("an answer");
    assert_eq!((answer.rows.len(), answer.error.map(|error| error.code)), (0, Some(2013)));
    assert_eq!(wire.query("SELECT n FROM t").await.rows, [[Some("7".to_owned())]]);
    bed.stop().await;
}

crate::on_both!(
    what_is_left_of_a_file,
    nothing_runs_behind_a_file_that_nobody_sends,
    garbage_before_login,
    a_crowd_is_greeted,
    garbage_after_login,
    commands_in_one_write,
    garbage_leaves_no_memory,
    long_data_has_a_limit,
    long_data_stays_with_its_execution,
    slow_readers,
    large_results,
);
