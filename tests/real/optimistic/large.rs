//! Reads of more than a packet holds, verified; cursors whose connection is lost.

use super::{EVERYBODY, is_refused, outcomes, run};
use crate::support::{Bed, Plan};
use landbridge::backend::conn::{Busy, Ready};
use landbridge::backend::query::Reply;
use landbridge::lab::{Flavor, PairOptions};
use landbridge::protocol::exchange::Expect;
use mysql_async::prelude::*;
use mysql_async::{Compression, Conn, Opts};
use std::time::Duration;

/// Longer than anything here takes, shorter than anybody's patience.
const SOON: Duration = Duration::from_secs(30);
/// Values of a row: its packet is full to the last byte, and an empty one follows; and larger ones.
const SIZES: [usize; 3] = [0xFF_FFFF - 4, 0xFF_FFFF, 35_000_000];

/// What it read must be the same to the last byte, in however many packets.
async fn rows_of_several_packets(flavor: Flavor) {
    let servers = PairOptions { extra_args: vec!["--max-allowed-packet=64M".into()], ..PairOptions::default() };
    let bed = Bed::with(flavor, Plan { servers, extra: EVERYBODY, ..Plan::default() }).await;
    let sql = async |sql: &str| drop(bed.pair.primary.sql(sql).await.expect("administrator"));
    sql("CREATE TABLE app.big (id INT PRIMARY KEY, b LONGBLOB, s VARCHAR(20))").await;
    sql("INSERT INTO app.t (id, n) VALUES (1, 0)").await;
    for (id, size) in SIZES.iter().enumerate() {
        sql(&format!("INSERT INTO app.big VALUES ({id}, REPEAT('x', {size}), 'a')")).await;
    }
    bed.pair.wait_caught_up().await.expect("the replica follows");
    let compressed = Opts::from(bed.opts().compression(Some(Compression::fast())));
    for (round, (opts, sizes)) in [(Opts::from(bed.opts()), 0..3), (compressed, 1..2)].into_iter().enumerate() {
        let mut client = Conn::new(opts).await.expect("a client can connect");
        for (id, size) in SIZES.iter().enumerate().filter(|(id, _)| sizes.contains(id)) {
            for is_prepared in [false, true] {
                let read = format!("SELECT b, s AS s{round}{is_prepared} FROM big WHERE id = {id}");
                begin_with(&bed, &mut client, &read, is_prepared, *size).await;
                run(&mut client, &["UPDATE t SET n = n + 1 WHERE id = 1", "COMMIT"]).await;
            }
            let read = format!("SELECT b, s AS again{round} FROM big WHERE id = {id}");
            begin_with(&bed, &mut client, &read, false, *size).await;
            sql(&format!("UPDATE app.big SET b = CONCAT(LEFT(b, {}), 'yy') WHERE id = {id}", size - 2)).await;
            is_refused(client.query_drop("UPDATE t SET n = 100 WHERE id = 1").await);
            bed.pair.wait_caught_up().await.expect("the replica follows");
            // Other bytes of the same length, and then the same ones again.
            sql(&format!("UPDATE app.big SET b = REPEAT('x', {size}) WHERE id = {id}")).await;
            bed.pair.wait_caught_up().await.expect("the replica follows");
        }
    }
    let n = bed.pair.primary.sql("SELECT n FROM app.t").await.expect("administrator")[0][0].clone();
    assert_eq!(n.as_deref(), Some("8"));
    assert_eq!(outcomes(&bed, "refused"), 4);
    bed.stop().await;
}

/// Begins a transaction that reads a large row on the replica.
async fn begin_with(bed: &Bed, client: &mut Conn, read: &str, is_prepared: bool, size: usize) {
    let before = outcomes(bed, "begun");
    let reading = async {
        while outcomes(bed, "begun") == before {
            run(client, &["ROLLBACK", "BEGIN"]).await;
            let row: Option<(Vec<u8>, String)> =
                if is_prepared { client.exec_first(read, ()).await } else { client.query_first(read).await }
                    .expect("a read");
            assert_eq!(row.map(|(b, s)| (b.len(), s)), Some((size, "a".into())));
        }
    };
    tokio::time::timeout(SOON, reading).await.expect("it is read there");
}

async fn reply(busy: &mut Busy, expect: Expect, parts: &[&[u8]]) -> Reply {
    busy.command(expect, parts);
    busy.flush().await.expect("sent");
    busy.reply().await.expect("an answer")
}

async fn ok(client: Ready, sql: &str) -> Ready {
    let (client, reply) = client.query(sql).await.expect("an answer");
    assert!(!matches!(reply, Reply::Err(_)), "{sql}: {reply:?}");
    client
}

/// A cursor is gone with its connection: whoever closes its statement later does nothing to a transaction elsewhere.
async fn a_cursor_that_was_lost(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { extra: EVERYBODY, ..Plan::default() }).await;
    bed.pair.primary.sql("INSERT INTO app.t (id, n) VALUES (1, 1)").await.expect("a row");
    bed.pair.wait_caught_up().await.expect("the replica follows");
    let mut busy = bed.raw_client().await.begin();
    let text = b"SELECT SLEEP(600) FROM t";
    let Reply::Prepared { id } = reply(&mut busy, Expect::Prepare, &[&[0x16], text]).await else {
        panic!("it can be prepared")
    };
    let id = id.to_le_bytes();
    busy.command(Expect::Results, &[&[0x17], &id, &[1, 1, 0, 0, 0]]);
    busy.flush().await.expect("sent");
    let runs = "FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(600)%'";
    bed.until_sql(&format!("SELECT COUNT(*) {runs}"), "1").await;
    let thread = bed.pair.primary.sql(&format!("SELECT MAX(id) {runs}")).await.expect("administrator")[0][0].clone();
    bed.pair.primary.sql(&format!("KILL {}", thread.expect("it runs"))).await.expect("killed");
    let lost = busy.reply().await.expect("an answer");
    assert!(matches!(&lost, Reply::Err(error) if error.code == 2013), "{lost:?}");
    let mut client = busy.finish().expect("the session goes on");
    let before = outcomes(&bed, "begun");
    let reading = async {
        while outcomes(&bed, "begun") == before {
            for sql in ["ROLLBACK", "BEGIN", "SELECT n FROM t WHERE id = 1"] {
                client = ok(client, sql).await;
            }
        }
        client
    };
    let client = tokio::time::timeout(SOON, reading).await.expect("it is read there");
    let mut busy = client.begin();
    busy.silent_command(&[&[0x19], &id]);
    let mut client = busy.finish().expect("nothing is due");
    for sql in ["SELECT n FROM t WHERE id = 1", "UPDATE t SET n = 7 WHERE id = 1", "COMMIT"] {
        client = ok(client, sql).await;
    }
    assert_eq!(outcomes(&bed, "moved"), 1);
    let n = bed.pair.primary.sql("SELECT n FROM app.t").await.expect("administrator")[0][0].clone();
    assert_eq!(n.as_deref(), Some("7"));
    client.close().await;
    bed.stop().await;
}

crate::on_both!(rows_of_several_packets, a_cursor_that_was_lost);
