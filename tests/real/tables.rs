//! `consistency.per_table`: a read waits only for writes to the tables that it reads, and for all where it is
//! not certain which those are.

use crate::support::{APP, Bed, PASSWORD, Plan, one};
use landbridge::lab::Flavor;
use mysql_async::prelude::*;
use mysql_async::{Conn, Opts};
use std::time::Duration;

const PER_TABLE: &str = "\n[consistency]\nscope = \"connection\"\nper_table = true";

const USERS: &str = r#"
[consistency]
scope = "connection"
per_table = true
[[user]]
name = "sees"
password = "p1"
min_warm = 0
[[user]]
name = "blind"
password = "p1"
min_warm = 0
"#;

const MADE: [&str; 20] = [
    "CREATE TABLE app.a (id INT AUTO_INCREMENT PRIMARY KEY, n INT)",
    "CREATE TABLE app.b (id INT AUTO_INCREMENT PRIMARY KEY, n INT)",
    "CREATE TABLE app.c (id INT AUTO_INCREMENT PRIMARY KEY, n INT)",
    "CREATE TABLE app.source (id INT AUTO_INCREMENT PRIMARY KEY, n INT)",
    "CREATE TRIGGER app.copies AFTER INSERT ON app.source FOR EACH ROW INSERT INTO app.c (n) VALUES (NEW.n)",
    "CREATE TABLE app.parent (id INT PRIMARY KEY)",
    "CREATE TABLE app.child (id INT PRIMARY KEY, p INT, \
     FOREIGN KEY (p) REFERENCES app.parent (id) ON DELETE CASCADE)",
    "CREATE VIEW app.v AS SELECT * FROM app.a",
    "CREATE PROCEDURE app.adds() INSERT INTO app.c (n) VALUES (1)",
    "CREATE FUNCTION app.adds_too() RETURNS INT DETERMINISTIC MODIFIES SQL DATA \
     BEGIN INSERT INTO app.c (n) VALUES (2); RETURN 1; END",
    "INSERT INTO app.parent VALUES (1), (2)",
    "INSERT INTO app.child VALUES (1, 1), (2, 2)",
    "CREATE TABLE app.last (n INT)",
    "CREATE USER sees@'%' IDENTIFIED BY 'p1'",
    "GRANT SELECT, TRIGGER ON app.* TO sees@'%'",
    "GRANT INSERT ON app.a TO sees@'%'",
    "GRANT INSERT ON app.source TO sees@'%'",
    "GRANT DELETE ON app.parent TO sees@'%'",
    "CREATE USER blind@'%' IDENTIFIED BY 'p1'",
    "GRANT SELECT, INSERT, DELETE ON app.* TO blind@'%'",
];

/// A bed whose replica has these tables and stops then; `b` gets another row at the primary afterwards.
async fn bed_with_tables(flavor: Flavor, extra: &'static str) -> Bed {
    let bed = Bed::with(flavor, Plan { extra, ..Plan::default() }).await;
    for sql in MADE {
        bed.pair.primary.sql(sql).await.expect(sql);
    }
    bed.pair.wait_caught_up().await.expect("catches up");
    tables_are_known(&bed).await;
    if extra == USERS {
        tables_are_known_to(&bed, "sees").await;
    }
    bed.pair.stop_applier().await.expect("stops");
    bed.pair.primary.sql("INSERT INTO app.b (n) VALUES (1)").await.expect("write");
    bed
}

/// Somebody with this account.
async fn client_of(bed: &Bed, user: &str) -> Conn {
    let password = if user == APP { PASSWORD } else { "p1" };
    Conn::new(Opts::from(bed.opts().user(Some(user)).pass(Some(password)))).await.expect("a client can connect")
}

/// Waits until it is known to an account which tables are plain; reading is what has that found out.
async fn tables_are_known_to(bed: &Bed, user: &str) {
    let definitions = &bed.app().shared.definitions;
    if !definitions.tell_apart {
        return;
    }
    let mut client = client_of(bed, user).await;
    let known = async {
        loop {
            client.query_drop("SELECT COUNT(*) FROM a").await.expect("read");
            if definitions.are_known_to(user) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), known).await.expect("known within 20 s");
}

async fn tables_are_known(bed: &Bed) {
    tables_are_known_to(bed, APP).await;
}

async fn rows(client: &mut Conn, of: &str) -> u64 {
    one(client, &format!("SELECT COUNT(*) FROM {of}")).await
}

/// Somebody new, who has done this.
async fn after(bed: &Bed, statements: &[&str]) -> Conn {
    tables_are_known(bed).await;
    let mut client = bed.client().await;
    for sql in statements {
        client.query_drop(*sql).await.expect(sql);
    }
    client
}

async fn reads_wait_for_writes_to_their_tables(flavor: Flavor) {
    let bed = bed_with_tables(flavor, PER_TABLE).await;
    for writes in [
        &["INSERT INTO a (n) VALUES (1)"][..],
        &["UPDATE app.a SET n = n + 1"],
        &["BEGIN", "INSERT INTO a (n) VALUES (1)", "SAVEPOINT s", "UPDATE a SET n = 7", "COMMIT"],
        &["SET autocommit = 0", "INSERT INTO a (n) VALUES (1)", "COMMIT", "SET autocommit = 1"],
    ] {
        let mut client = after(&bed, writes).await;
        assert_eq!(rows(&mut client, "b").await, 0, "at the replica, after {writes:?}");
        let prepared: Option<u64> = client.exec_first("SELECT COUNT(*) FROM b WHERE n > ?", (0,)).await.expect("read");
        assert_eq!(prepared, Some(0), "prepared, after {writes:?}");
        assert_eq!(rows(&mut client, "b JOIN c USING (id)").await, 0);
        assert!(rows(&mut client, "a").await > 0, "at the primary, after {writes:?}");
        assert_eq!(rows(&mut client, "b").await, 1, "what was seen at the primary counts for all");
    }
    let mut client = after(&bed, &[]).await;
    client.exec_drop("INSERT INTO a (n) VALUES (?)", (3,)).await.expect("write");
    assert_eq!(rows(&mut client, "b").await, 0, "after an execution");
    assert!(rows(&mut client, "a").await > 0, "after an execution");
    let mut client = after(&bed, &["INSERT INTO b (n) VALUES (2)"]).await;
    assert_eq!(rows(&mut client, "a").await, 0);
    assert_eq!(rows(&mut client, "b").await, 2);
    bed.stop().await;
}

const A: &str = "INSERT INTO a (n) VALUES (1)";

async fn in_doubt_reads_wait_for_all_writes(flavor: Flavor) {
    let bed = bed_with_tables(flavor, PER_TABLE).await;
    for from in ["b LEFT JOIN a ON a.n = 77", "b, (SELECT COUNT(*) FROM a) AS x", "b LEFT JOIN v ON v.n = 77"] {
        assert_eq!(rows(&mut after(&bed, &[A]).await, from).await, 1, "{from}");
    }
    assert!(rows(&mut after(&bed, &[A]).await, "v").await > 0, "a view");
    for writes in [
        &["INSERT INTO a (n) SELECT n FROM b"][..],
        &["UPDATE a SET n = (SELECT MAX(n) FROM b)", A],
        &["BEGIN", "SELECT COUNT(*) FROM b", A, "COMMIT"],
        &["BEGIN", A, "SELECT COUNT(*) FROM b", "COMMIT"],
        &["BEGIN", A, "ROLLBACK"],
        &["INSERT INTO source (n) VALUES (1)"],
        &["BEGIN", A, "INSERT INTO source (n) VALUES (1)", "COMMIT"],
        &["INSERT INTO child VALUES (7, 2)"],
        &["CALL adds()"],
        &["INSERT INTO a (n) VALUES (adds_too())"],
        &["/* landbridge: primary */ SELECT COUNT(*) FROM a"],
    ] {
        assert_eq!(rows(&mut after(&bed, writes).await, "b").await, 1, "after {writes:?}");
    }
    assert!(rows(&mut after(&bed, &["INSERT INTO source (n) VALUES (2)"]).await, "c").await > 0, "by a trigger");
    assert!(rows(&mut after(&bed, &["CALL adds()"]).await, "c").await > 0, "by a procedure");
    let mut client = after(&bed, &["DELETE FROM parent WHERE id = 1"]).await;
    assert_eq!(rows(&mut client, "child WHERE p = 1").await, 0, "by a foreign key");
    // What changes tables here counts at once.
    let mut client = after(&bed, &["RENAME TABLE last TO first"]).await;
    assert_eq!(rows(&mut client, "first").await, 0);
    let mut other = bed.client().await;
    other.query_drop(A).await.expect("write");
    assert_eq!(rows(&mut other, "b").await, 1, "nothing is known of tables now");
    tables_are_known(&bed).await;
    other.query_drop(A).await.expect("write");
    assert_eq!(rows(&mut other, "b").await, 1, "of others than the replica has");
    bed.stop().await;
}

/// `TRIGGER` on a schema is what it takes to be shown its triggers and foreign keys; without it, writes count
/// for all.
async fn privileges_decide_what_is_known(flavor: Flavor) {
    let bed = bed_with_tables(flavor, USERS).await;
    let definitions = &bed.app().shared.definitions;
    for (write, want) in [
        ("INSERT INTO a (n) VALUES (1)", 0),
        ("INSERT INTO source (n) VALUES (1)", 1),
        ("DELETE FROM parent WHERE id = 1", 1),
    ] {
        tables_are_known_to(&bed, "sees").await;
        let mut sees = client_of(&bed, "sees").await;
        sees.query_drop(write).await.expect(write);
        assert_eq!(rows(&mut sees, "b").await, want, "{write}");
    }
    let mut blind = client_of(&bed, "blind").await;
    for _ in 0..3 {
        blind.query_drop("SELECT COUNT(*) FROM a").await.expect("read");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(!definitions.are_known_to("blind"));
    blind.query_drop("INSERT INTO a (n) VALUES (1)").await.expect("write");
    assert_eq!(rows(&mut blind, "b").await, 1);
    bed.stop().await;
}

async fn without_it_writes_count_for_all_tables(flavor: Flavor) {
    let bed = bed_with_tables(flavor, "\n[consistency]\nscope = \"connection\"").await;
    assert_eq!(rows(&mut after(&bed, &[]).await, "b").await, 0);
    assert_eq!(rows(&mut after(&bed, &["INSERT INTO a (n) VALUES (1)"]).await, "b").await, 1);
    bed.stop().await;
}

crate::on_both!(
    reads_wait_for_writes_to_their_tables,
    in_doubt_reads_wait_for_all_writes,
    privileges_decide_what_is_known,
    without_it_writes_count_for_all_tables,
);
