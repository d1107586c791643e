//! Bounds on what clients may take: memory, connections that others wait for, and room to come in.

use crate::support::{Bed, Plan, one};
use landbridge::backend::conn::Busy;
use landbridge::lab::Flavor;
use landbridge::protocol::capability::Capabilities;
use landbridge::protocol::exchange::Expect;
use landbridge::protocol::packet::{HEADER_LEN, Header, frame};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error, Opts};
use std::time::Duration;
use tokio::task::JoinSet;

const QUERY: &[u8] = b"\x03";

fn code(failure: &Error) -> u16 {
    match failure {
        Error::Server(error) => error.code,
        other => panic!("not a server's error: {other}"),
    }
}

/// Waits for the end of a connection; the error that was sent before it, if one was.
async fn farewell(busy: &mut Busy) -> Option<u16> {
    let packets = busy.packets();
    let ended = async { while packets.fill().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it ends");
    let error = packets.input().get(HEADER_LEN..HEADER_LEN + 3)?;
    (error[0] == 0xff).then(|| u16::from_le_bytes([error[1], error[2]]))
}

/// A client that does not take its answer, or does not finish its command, gives back what others wait for.
async fn who_stops_in_the_middle_is_sent_away(flavor: Flavor) {
    let extra = "[limits]\nstalled_client_timeout = \"300ms\"";
    let bed = Bed::with(flavor, Plan { min_warm: 1, max: 1, extra, ..Plan::default() }).await;
    let mut setup = bed.client().await;
    setup.query_drop("INSERT INTO t (n, s) VALUES (1, REPEAT('x', 200))").await.expect("insert");
    for _ in 0..12 {
        setup.query_drop("INSERT INTO t (n, s) SELECT n, s FROM t").await.expect("doubled");
    }
    // More rows than fit all buffers on their way.
    let mut deaf = bed.raw_client().await.begin();
    deaf.command(Expect::Results, &[QUERY, b"/* landbridge: primary */ SELECT a.s, 'deaf' FROM t a, t b"]);
    deaf.flush().await.expect("sent");
    bed.until(|| bed.metric("landbridge_stalled_clients_total") >= 1.0).await;
    bed.until_sql("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%deaf%t b'", "0").await;
    // The only connection is there for others.
    setup.query_drop("INSERT INTO t (n) VALUES (2)").await.expect("write");

    let mut mute = bed.raw_client().await.begin();
    mute.command(Expect::Ok, &[QUERY, b"BEGIN"]);
    mute.flush().await.expect("sent");
    mute.reply().await.expect("begun");
    mute.command(Expect::Ok, &[QUERY, b"UPDATE t SET n = 3 WHERE id = 1"]);
    mute.flush().await.expect("sent");
    mute.reply().await.expect("locked");
    mute.packets().output().extend_from_slice(&[100, 0, 0, 0, 3, b'S']);
    mute.packets().flush().await.expect("half of a command");
    assert_eq!(farewell(&mut mute).await, None);
    assert!(bed.metric("landbridge_stalled_clients_total") >= 2.0);
    // Whoever has sent all of a part that goes on has stopped in the middle, too, and holds memory that others want.
    let mut large = bed.raw_client().await.begin();
    large.packets().output().extend_from_slice(&Header { len: 0xFF_FFFF, seq: 0 }.encode());
    large.packets().output().resize(HEADER_LEN + 0xFF_FFFF, 3);
    large.packets().flush().await.expect("a part");
    assert_eq!(farewell(&mut large).await, None);
    bed.until(|| bed.app().shared.memory.free() == 256 << 20).await;
    setup.query_drop("UPDATE t SET n = 4 WHERE id = 1").await.expect("the row is not locked");
    bed.stop().await;
}

/// Large commands of many clients share what memory there is for them: who comes too late waits, and is told.
async fn large_commands_share_memory(flavor: Flavor) {
    let extra = "checkout_timeout = \"500ms\"\n[limits]\nmemory = \"2MiB\"";
    let bed = Bed::with(flavor, Plan { extra, ..Plan::default() }).await;
    let large = format!("INSERT INTO t (s) VALUES (LEFT('{}', 100))", "x".repeat(1_500_000));
    let mut first = bed.raw_client().await.begin();
    // None of them, and one set of them.
    let attributes: &[u8] = if first.caps().contains(Capabilities::QUERY_ATTRIBUTES) { &[0, 1] } else { &[] };
    let mut packet = Vec::new();
    frame(&mut packet, 0, &[QUERY, attributes, large.as_bytes()].concat());
    first.packets().output().extend_from_slice(packet.get(..1_000_000).expect("half"));
    first.packets().flush().await.expect("half of a command");
    bed.until(|| bed.app().shared.memory.free() < 1 << 20).await;
    // Half of a command has its whole memory: there is none for another.
    let mut client = bed.client().await;
    let error = client.query_drop(&large).await.expect_err("no memory");
    assert_eq!(code(&error), 1041, "{error}");
    // However few bytes it travels as.
    let compressed = bed.opts().compression(Some(mysql_async::Compression::fast()));
    let mut client = Conn::new(Opts::from(compressed)).await.expect("client");
    assert_eq!(one::<u32>(&mut client, "SELECT COUNT(*) FROM t").await, 0);
    let error = client.query_drop(&large).await.expect_err("no memory");
    assert_eq!(code(&error), 1041, "{error}");
    // Small ones need none.
    let mut other = bed.client().await;
    assert_eq!(one::<u32>(&mut other, "SELECT COUNT(*) FROM t").await, 0);
    // Who waits gets it as soon as it is given back.
    let waiting = tokio::spawn(async move { other.query_drop(&large).await });
    first.packets().output().extend_from_slice(packet.get(1_000_000..).expect("the rest"));
    first.packets().flush().await.expect("the other half");
    let answer = first.packets().read_packet(1, 1000).await.expect("an answer").payload;
    assert_eq!(answer.first(), Some(&0), "{}", String::from_utf8_lossy(&answer));
    waiting.await.expect("no panic").expect("it had to wait, not more");
    bed.until_sql("SELECT COUNT(*) FROM app.t", "2").await;
    // More than there is in all is possible, for one; also in several packets.
    let huge = format!("INSERT INTO t (s) VALUES (LEFT('{}', 100))", "x".repeat(20_000_000));
    let done = bed.client().await.query_drop(huge).await;
    match flavor {
        Flavor::MySql => done.expect("alone"),
        // It takes no more than 16 MiB by default.
        Flavor::MariaDb => {
            let error = done.expect_err("too large");
            assert!(code(&error) == 1153 && !error.to_string().contains("Landbridge"), "{error}");
        }
    }
    bed.until(|| bed.app().shared.memory.free() == 2 << 20).await;
    bed.stop().await;
}

/// What is prepared is remembered, as far as there is memory; what is sent ahead of an execution, too.
async fn prepared_statements_share_memory(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { extra: "[limits]\nmemory = \"1MiB\"", ..Plan::default() }).await;
    let mut client = bed.client().await;
    let text = |n: u32| format!("SELECT {n}, '{}'", "x".repeat(60_000));
    let mut kept = Vec::new();
    let refused = loop {
        match client.prep(text(u32::try_from(kept.len()).expect("few"))).await {
            Ok(statement) => kept.push(statement),
            Err(error) => break error,
        }
        assert!(kept.len() < 100, "6 MB of statements are remembered");
    };
    assert_eq!(code(&refused), 1041, "{refused}");
    assert!(kept.len() > 10, "{} only", kept.len());
    let (closed, rest) = kept.split_last().expect("some");
    client.close(closed.clone()).await.expect("closed");
    client.prep(text(200)).await.expect("there is room again");
    let row: (u32, String) = client.exec_first(&rest[0], ()).await.expect("runs").expect("a row");
    assert_eq!(row.0, 0);
    client.disconnect().await.expect("goodbye");
    bed.until(|| bed.app().shared.memory.free() == 1 << 20).await;
    bed.stop().await;
}

/// Variables that would be too much to carry from connection to connection keep theirs.
async fn large_states_stay_where_they_are(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    for n in 0..20 {
        client.query_drop(format!("SET @v{n} = '{}'", "x".repeat(10_000))).await.expect("set");
    }
    assert!(bed.metric_of("landbridge_pins_total", "session_variable") >= 1.0);
    assert_eq!(one::<u32>(&mut client, "SELECT LENGTH(CONCAT(@v0, @v19))").await, 20_000);
    client.disconnect().await.expect("goodbye");
    bed.stop().await;
}

/// Half a thousand clients connect in the same moment, again and again: all come in, and nothing of them stays.
async fn storms_are_weathered(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    for _ in 0..3 {
        let mut storm = JoinSet::new();
        for n in 0..500u32 {
            let opts = bed.opts();
            storm.spawn(async move {
                let mut client = Conn::new(opts).await.expect("comes in");
                assert_eq!(one::<u32>(&mut client, &format!("SELECT {n}")).await, n);
                client.disconnect().await.expect("goodbye");
            });
        }
        while let Some(done) = storm.join_next().await {
            done.expect("served");
        }
    }
    bed.settled().await;
    let connections = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app'";
    let at_replica: usize = bed.pair.replica.sql(connections).await.expect("count")[0][0]
        .as_deref()
        .and_then(|n| n.parse().ok())
        .expect("n");
    assert!(at_replica <= 16, "{at_replica} connections, and 16 is all the pool may have");
    bed.stop().await;
}

/// A header is not a command: announced bytes cost nothing before they come.
async fn announced_bytes_cost_nothing(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let before = bed.app().shared.memory.free();
    let mut liars = Vec::new();
    for _ in 0..20 {
        let mut liar = bed.raw_client().await.begin();
        liar.packets().output().extend_from_slice(&Header { len: 10_000_000, seq: 0 }.encode());
        liar.packets().flush().await.expect("a header");
        liars.push(liar);
    }
    bed.until(|| bed.app().shared.memory.free() + 20 * 10_000_000 <= before).await;
    // They are counted, so that nobody else comes to harm when they come true.
    let mut client = bed.client().await;
    assert_eq!(one::<u32>(&mut client, "SELECT COUNT(*) FROM t").await, 0);
    drop(liars);
    bed.until(|| bed.app().shared.memory.free() == before).await;
    bed.stop().await;
}

crate::on_both!(
    who_stops_in_the_middle_is_sent_away,
    large_commands_share_memory,
    prepared_statements_share_memory,
    large_states_stay_where_they_are,
    storms_are_weathered,
    announced_bytes_cost_nothing,
);
