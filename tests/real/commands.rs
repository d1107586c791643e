//! What applications send: big packets, several statements, files, prepared statements of all kinds.

use crate::support::{Bed, one};
use landbridge::lab::Flavor;
use mysql_async::prelude::*;
use mysql_async::{Conn, Opts};

/// The largest payload of one physical packet.
const EDGE: usize = 0xFF_FFFF;

/// Packets beyond 16 MiB, both ways, at the boundary and around it.
async fn packets_beyond_sixteen_mebibytes(flavor: Flavor) {
    let servers =
        landbridge::lab::PairOptions { extra_args: vec!["--max-allowed-packet=67108864".into()], ..Default::default() };
    let bed = Bed::with(flavor, crate::support::Plan { servers, ..Default::default() }).await;
    let mut client = bed.client().await;
    client.query_drop("CREATE TABLE big (id INT PRIMARY KEY, data LONGBLOB)").await.expect("table");
    for (size, id) in [EDGE - 40, EDGE - 1, EDGE, EDGE + 1, 2 * EDGE, 20_000_000].into_iter().zip(1u8..) {
        let data = vec![b'a' + id; size];
        client.exec_drop("INSERT INTO big VALUES (?, ?)", (id, &data)).await.expect("binary");
        let back: Vec<u8> =
            client.exec_first("SELECT data FROM big WHERE id = ?", (id,)).await.expect("row").expect("row");
        assert!(back == data, "{size} bytes by prepared statement");
        let text = [b"UPDATE big SET data = '".as_slice(), &data, format!("' WHERE id = {id}").as_bytes()].concat();
        client.query_drop(&text[..]).await.expect("text");
        let back: Vec<u8> =
            client.query_first(format!("SELECT data FROM big WHERE id = {id}")).await.expect("row").expect("row");
        assert!(back == data, "{size} bytes by text");
    }
    bed.stop().await;
}

/// Several statements in one command, several results, an error in the middle.
async fn several_statements(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    let mut results =
        client.query_iter("SELECT 1; SELECT 2, 3; INSERT INTO t (n) VALUES (1); SELECT 4").await.expect("runs");
    assert_eq!(results.collect::<u8>().await.expect("first"), [1]);
    assert_eq!(results.collect::<(u8, u8)>().await.expect("second"), [(2, 3)]);
    assert!(results.collect::<u8>().await.expect("third").is_empty());
    assert_eq!(results.collect::<u8>().await.expect("fourth"), [4]);
    drop(results);
    assert!(
        client.query_drop("INSERT INTO t (n) VALUES (2); SELECT nonsense; INSERT INTO t (n) VALUES (3)").await.is_err()
    );
    assert_eq!(one::<u64>(&mut client, "SELECT SUM(n) FROM t").await, 3, "what stood before the error has run");
    bed.stop().await;
}

/// A client that did not ask for several statements cannot be made to send them.
async fn several_statements_need_consent(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    // One client that may, so that the shared connections have had it switched on.
    let mut may = bed.client().await;
    may.query_drop("INSERT INTO t (n) VALUES (1); INSERT INTO t (n) VALUES (2)").await.expect("runs");
    let raw = bed.raw_client().await;
    let (raw, reply) = raw.query("INSERT INTO t (n) VALUES (3); DELETE FROM t").await.expect("answer");
    assert!(matches!(&reply, landbridge::backend::query::Reply::Err(e) if e.code == 1064), "{reply:?}");
    let (raw, reply) = raw.query("INSERT INTO t (s) VALUES ('a;b')").await.expect("answer");
    assert!(matches!(reply, landbridge::backend::query::Reply::Ok { .. }), "{reply:?}");
    raw.close().await;
    assert_eq!(one::<u64>(&mut may, "SELECT COUNT(*) FROM t").await, 3);
    bed.stop().await;
}

/// LOAD DATA LOCAL takes the file from the client that asked, and only then.
async fn local_files(flavor: Flavor) {
    let servers = landbridge::lab::PairOptions { extra_args: vec!["--local-infile=1".into()], ..Default::default() };
    let bed = Bed::with(flavor, crate::support::Plan { servers, ..Default::default() }).await;
    let rows = (0..50_000).fold(String::new(), |rows, n| rows + &format!("{n}\trow {n}\n"));
    let mut client = bed.client().await;
    client.set_infile_handler(async move { Ok(Box::pin(futures_stream(rows.into())) as _) });
    client.query_drop("LOAD DATA LOCAL INFILE 'rows' INTO TABLE t (n, s)").await.expect("loaded");
    assert_eq!(one::<i64>(&mut client, "SELECT ROW_COUNT()").await, 50_000);
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 50_000);
    bed.stop().await;
}

/// Nor do texts keep it from that which cannot be read, because their character set hides where a string ends.
async fn local_files_in_texts_that_cannot_be_read(flavor: Flavor) {
    let servers = landbridge::lab::PairOptions { extra_args: vec!["--local-infile=1".into()], ..Default::default() };
    let bed = Bed::with(flavor, crate::support::Plan { servers, ..Default::default() }).await;
    let mut client = bed.client().await;
    client.query_drop("SET NAMES gbk").await.expect("a character set");
    client.set_infile_handler(async move { Ok(Box::pin(futures_stream(b"1\xa3\xaca\n2\xa3\xacb\n".into())) as _) });
    let load = b"LOAD DATA LOCAL INFILE 'rows' INTO TABLE t CHARACTER SET gbk FIELDS TERMINATED BY '\xa3\xac' (n, s)";
    client.query_drop(&load[..]).await.expect("loaded");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t WHERE s IN ('a', 'b')").await, 2);
    client.set_infile_handler(async move { Ok(Box::pin(futures_stream(b"3\xa3\xacc\n".into())) as _) });
    let several = [&load[..], b"; DELETE FROM t WHERE n = 1"].concat();
    client.query_drop(several).await.expect("loaded and deleted");
    assert_eq!(one::<u64>(&mut client, "SELECT SUM(n) FROM t").await, 5);
    bed.stop().await;
}

fn futures_stream(data: Vec<u8>) -> impl futures_core::Stream<Item = std::io::Result<bytes::Bytes>> + Send {
    struct Once(Option<bytes::Bytes>);
    impl futures_core::Stream for Once {
        type Item = std::io::Result<bytes::Bytes>;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            std::task::Poll::Ready(self.0.take().map(Ok))
        }
    }
    Once(Some(data.into()))
}

/// Servers bound what is prepared on all connections together: what is kept here gives way.
async fn more_statements_than_servers_allow(flavor: Flavor) {
    let bed = Bed::with(flavor, crate::support::Plan { min_warm: 1, max: 2, ..Default::default() }).await;
    for server in [&bed.pair.primary, &bed.pair.replica] {
        server.sql("SET GLOBAL max_prepared_stmt_count = 12").await.expect("set");
    }
    let mut client = Conn::new(Opts::from(bed.opts().stmt_cache_size(Some(0)))).await.expect("client");
    for n in 0..40u32 {
        let write = format!("INSERT INTO t (n) VALUES (?) /* {n} */");
        client.exec_drop(&write, (n,)).await.unwrap_or_else(|error| panic!("{write}: {error}"));
        let read = format!("SELECT n FROM t WHERE n = ? /* {n} */");
        let read: Option<u32> = client.exec_first(&read, (n,)).await.unwrap_or_else(|error| panic!("{read}: {error}"));
        assert_eq!(read, Some(n));
        client.query_drop("BEGIN").await.expect("begin");
        let write = format!("UPDATE t SET s = ? WHERE n = ? /* {n} */");
        client.exec_drop(&write, ("x", n)).await.unwrap_or_else(|error| panic!("{write}: {error}"));
        client.query_drop("COMMIT").await.expect("commit");
    }
    bed.stop().await;
}

/// Many prepared statements over few connections, interleaved, after DDL, and beyond the cache.
async fn prepared_statements_of_all_kinds(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut a = Conn::new(Opts::from(bed.opts().stmt_cache_size(Some(1000)))).await.expect("client");
    let mut b = bed.client().await;
    for n in 0..300u32 {
        let sql = format!("INSERT INTO t (n, s) VALUES (?, ?) /* {n} */");
        a.exec_drop(&*sql, (n, "a")).await.expect("insert");
        b.exec_drop("INSERT INTO t (n, s) VALUES (?, ?)", (n, None::<String>)).await.expect("insert");
    }
    assert_eq!(
        a.exec_first::<u64, _, _>("SELECT COUNT(*) FROM t WHERE s = ?", ("a",)).await.expect("count"),
        Some(300)
    );
    assert_eq!(
        a.exec_first::<u64, _, _>("SELECT COUNT(*) FROM t WHERE s IS NULL AND n < ?", (100,)).await.expect("count"),
        Some(100)
    );
    b.query_drop("ALTER TABLE t ADD COLUMN extra INT DEFAULT 7").await.expect("ddl");
    let row: mysql_async::Row =
        b.exec_first("SELECT * FROM t WHERE n = ? AND s IS NULL", (5,)).await.expect("row").expect("row");
    assert_eq!(row.len(), 4);
    let error = b.exec_drop("SELECT * FROM nowhere WHERE n = ?", (1,)).await.expect_err("no such table");
    assert!(error.to_string().contains("1146") || error.to_string().contains("doesn't exist"), "{error}");
    bed.stop().await;
}

/// The servers' own `sql_mode` decides how statements are read, even if no session ever sets it.
async fn the_servers_sql_mode_is_heeded(flavor: Flavor) {
    let servers = landbridge::lab::PairOptions {
        extra_args: vec!["--sql-mode=NO_BACKSLASH_ESCAPES".into()],
        ..Default::default()
    };
    let bed = Bed::with(flavor, crate::support::Plan { servers, ..Default::default() }).await;
    let mut client = bed.client().await;
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("insert");
    // With backslash escapes this would be a read: everything from the first quote on a string.
    let sneaky = r"SELECT ''; DELETE FROM t; -- '";
    client.query_drop(sneaky).await.expect("runs");
    assert_eq!(one::<u64>(&mut client, "SELECT COUNT(*) FROM t").await, 0, "it was a write, and went to the primary");
    bed.stop().await;
}

/// Comments alone, nothing at all, and a signal.
async fn statements_that_are_hardly_any(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let mut client = bed.client().await;
    client.query_drop("/* only a comment */").await.expect("comments are welcome");
    client.query_drop("-- another").await.expect("comments are welcome");
    for (sql, want) in [(" ; ", 1065), ("SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31001", 31001)] {
        match client.query_drop(sql).await {
            Err(mysql_async::Error::Server(error)) => assert_eq!(error.code, want, "{sql}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    client.query_drop("CREATE TEMPORARY TABLE x (n INT)").await.expect("pinned");
    client.query_drop("INSERT IGNORE INTO t (id, n) VALUES (1, 1), (1, 1)").await.expect("insert");
    client.query_drop("DROP TABLE IF EXISTS nowhere").await.expect("drop");
    let warnings: Vec<(String, u16, String)> = client.query("SHOW WARNINGS").await.expect("warnings");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    bed.stop().await;
}

crate::on_both!(
    more_statements_than_servers_allow,
    statements_that_are_hardly_any,
    the_servers_sql_mode_is_heeded,
    packets_beyond_sixteen_mebibytes,
    several_statements,
    several_statements_need_consent,
    local_files,
    local_files_in_texts_that_cannot_be_read,
    prepared_statements_of_all_kinds,
);
