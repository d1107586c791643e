//! Transactions that are run again where their connection is lost (`route.transaction_replay`).

use crate::support::{APP, Bed, Plan, one, run};
use landbridge::lab::Flavor;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};

const EXTRA: &str = "[route]\ntransaction_replay = true\nprimary_down = \"wait 30s\"\n";

/// A bed with ten rows in `t`, and all tables known.
async fn bed(flavor: Flavor, extra: &'static str) -> Bed {
    let bed = Bed::with(flavor, Plan { extra, ..Plan::default() }).await;
    bed.pair.primary.sql("CREATE TABLE app.loose (n INT) ENGINE = MyISAM").await.expect("a table");
    let mut client = bed.client().await;
    client
        .query_drop("INSERT INTO t (id, n) VALUES (1,1),(2,2),(3,3),(4,4),(5,5),(6,6),(7,7),(8,8),(9,9),(10,10)")
        .await
        .expect("rows");
    client.disconnect().await.expect("goodbye");
    bed
}

/// Begins a transaction once it is known what tables there are: what is known is soon too old to be believed.
async fn begin(bed: &Bed, client: &mut Conn, statements: &[&str]) {
    while !bed.app().shared.definitions.are_known_to(APP) {
        client.query_drop("SELECT n FROM t WHERE id = 0").await.expect("a read has tables looked up");
        tokio::task::yield_now().await;
    }
    run(client, statements).await;
}

async fn code(client: &mut Conn, statement: &str) -> u16 {
    match client.query_drop(statement).await {
        Err(Error::Server(error)) => error.code,
        other => panic!("{statement}: {other:?}"),
    }
}

/// How many transactions went on, and how many differed.
fn replayed(bed: &Bed) -> (f64, f64) {
    let of = |outcome| bed.metric_of("landbridge_replayed_transactions_total", outcome);
    (of("went_on"), of("differed"))
}

/// A value at the primary.
async fn there(bed: &Bed, sql: &str) -> String {
    let mut rows = bed.pair.primary.sql(sql).await.expect("the primary answers");
    rows.pop().and_then(|mut row| row.pop().flatten()).unwrap_or_else(|| panic!("{sql}: nothing"))
}

async fn nobody_notices(flavor: Flavor) {
    let bed = bed(flavor, EXTRA).await;
    let mut client = bed.client().await;
    let first = ["BEGIN", "SELECT n FROM t WHERE id = 1 FOR UPDATE", "UPDATE t SET n = n + 1 WHERE id = 1"];
    begin(&bed, &mut client, &first).await;
    bed.ocean.cut_existing_and_wait().await;
    assert_eq!(one::<i64>(&mut client, "SELECT n FROM t WHERE id = 1").await, 2, "in a read");
    run(&mut client, &["SAVEPOINT a", "INSERT INTO t (id, n) VALUES (100, 1)", "ROLLBACK TO a"]).await;
    bed.ocean.cut_existing_and_wait().await;
    run(&mut client, &["UPDATE t SET n = n + 1 WHERE id = 1"]).await;
    client.exec_drop("UPDATE t SET n = n + ? WHERE id = ?", (1, 1)).await.expect("prepared");
    bed.ocean.cut_existing_and_wait().await;
    client.exec_drop("UPDATE t SET n = n + ? WHERE id = ?", (1, 1)).await.expect("prepared");
    run(&mut client, &["COMMIT"]).await;
    assert_eq!(there(&bed, "SELECT n FROM app.t WHERE id = 1").await, "5");
    assert_eq!(there(&bed, "SELECT COUNT(*) FROM app.t").await, "10");
    begin(
        &bed,
        &mut client,
        &["SET autocommit = 0", "SELECT n FROM t WHERE id = 2", "UPDATE t SET n = n + 1 WHERE id = 2"],
    )
    .await;
    bed.ocean.cut_existing_and_wait().await;
    run(&mut client, &["UPDATE t SET n = n + 1 WHERE id = 2", "COMMIT", "SELECT 1 FROM t", "COMMIT"]).await;
    assert_eq!(there(&bed, "SELECT n FROM app.t WHERE id = 2").await, "4", "without autocommit");
    assert_eq!(replayed(&bed), (4.0, 0.0));
    bed.stop().await;
}

/// Somebody else was faster, or an id is given only once.
async fn what_differs_is_refused(flavor: Flavor) {
    let bed = bed(flavor, EXTRA).await;
    let mut client = bed.client().await;
    let mut other = bed.client().await;
    begin(&bed, &mut client, &["BEGIN", "SELECT n FROM t WHERE id = 1", "UPDATE t SET n = 20 WHERE id = 2"]).await;
    run(&mut other, &["UPDATE t SET n = 7 WHERE id = 1"]).await;
    bed.ocean.cut_existing_and_wait().await;
    assert_eq!(code(&mut client, "UPDATE t SET n = 30 WHERE id = 3").await, 1213, "a read");
    assert_eq!(there(&bed, "SELECT GROUP_CONCAT(n ORDER BY id) FROM app.t WHERE id < 4").await, "7,2,3");
    run(&mut client, &["UPDATE t SET n = 3 WHERE id = 3"]).await;

    begin(&bed, &mut client, &["BEGIN", "UPDATE t SET n = 20 WHERE n = 4"]).await;
    bed.ocean.cut_existing_and_wait().await;
    // By somebody whose connection was not cut.
    bed.pair.primary.sql("DELETE FROM app.t WHERE id = 4").await.expect("administrator");
    assert_eq!(code(&mut client, "INSERT INTO t (id, n) VALUES (300, 3)").await, 1213, "rows affected");
    begin(&bed, &mut client, &["BEGIN", "INSERT INTO t (n) VALUES (1000)"]).await;
    bed.ocean.cut_existing_and_wait().await;
    assert_eq!(code(&mut client, "SELECT n FROM t WHERE id = 5").await, 1213, "the id that was given");
    run(&mut client, &["UPDATE t SET n = 5 WHERE id = 5"]).await;
    assert_eq!(one::<u64>(&mut client, "SELECT LAST_INSERT_ID()").await, 0, "nothing of it remains");
    assert_eq!(there(&bed, "SELECT COUNT(*) FROM app.t WHERE n IN (20, 30, 1000) OR id = 300").await, "0");
    begin(&bed, &mut client, &["BEGIN", "UPDATE t SET n = 20 WHERE id = 2", "COMMIT"]).await;
    assert_eq!(replayed(&bed), (0.0, 3.0));
    bed.stop().await;
}

/// What a server would not undo, or cannot do twice, or has been told to commit.
async fn what_is_not_run_again(flavor: Flavor) {
    let bed = bed(flavor, EXTRA).await;
    let mut client = bed.client().await;
    let update = "UPDATE t SET n = n + 1 WHERE id = 1";
    let loose: &[&str] = &["INSERT INTO loose VALUES (1)"];
    let mut asking = bed.client().await;
    begin(&bed, &mut asking, &["BEGIN", update, "SELECT CAST('x' AS SIGNED)"]).await;
    bed.ocean.cut_existing_and_wait().await;
    assert_eq!(code(&mut asking, "SHOW WARNINGS").await, 2013, "only the lost connection knew them");
    assert_eq!(replayed(&bed), (0.0, 0.0));
    let never: [&[&str]; 7] = [
        // MySQL with GTIDs refuses it.
        if flavor == Flavor::MariaDb { loose } else { &["SELECT n FROM t LIMIT 1; SELECT 1"] },
        &["SELECT n, RAND() FROM t"],
        &["SELECT n FROM t WHERE s < NOW()"],
        &["SET @a = 1", "SELECT @a := n FROM t"],
        &["SET time_zone = '+04:00'"],
        &["INSERT INTO t (id, n) SELECT n + 100, n FROM loose"],
        &["DO GET_LOCK('a', 0)"],
    ];
    for (at, more) in never.into_iter().enumerate() {
        let mut client = bed.client().await;
        begin(&bed, &mut client, &["BEGIN", update]).await;
        run(&mut client, more).await;
        // A connection at rest may have turned out to be dead with the first statement: that was run again, rightly.
        let before = replayed(&bed);
        bed.ocean.cut_existing_and_wait().await;
        assert_eq!(code(&mut client, update).await, 2013, "{more:?}");
        assert_eq!(there(&bed, "SELECT n FROM app.t WHERE id = 1").await, "1", "{at}: {more:?}");
        assert_eq!(replayed(&bed), before, "{at}: {more:?}");
    }
    let loose = if flavor == Flavor::MariaDb { "1" } else { "0" };
    assert_eq!(there(&bed, "SELECT COUNT(*) FROM app.loose").await, loose);
    begin(&bed, &mut client, &["BEGIN", update]).await;
    let before = replayed(&bed);
    bed.ocean.hold_answers();
    let commit = tokio::spawn(async move { code(&mut client, "COMMIT").await });
    bed.until_sql("SELECT n FROM app.t WHERE id = 1", "2").await;
    bed.ocean.cut_existing_and_wait().await;
    bed.ocean.resume();
    assert_eq!(commit.await.expect("no panic"), 2013, "it may be committed");
    assert_eq!(there(&bed, "SELECT n FROM app.t WHERE id = 1").await, "2");
    assert_eq!(replayed(&bed), before);
    bed.stop().await;
}

/// Where there is nobody to run it again the transaction is over: what comes next is by itself.
async fn without_a_primary(flavor: Flavor) {
    let bed = bed(flavor, "[route]\ntransaction_replay = true\n").await;
    let mut client = bed.client().await;
    begin(&bed, &mut client, &["BEGIN", "UPDATE t SET n = 20 WHERE id = 2"]).await;
    bed.ocean.cut();
    assert_eq!(code(&mut client, "UPDATE t SET n = 30 WHERE id = 3").await, 2013);
    bed.ocean.resume();
    bed.warm().await;
    run(&mut client, &["UPDATE t SET n = 40 WHERE id = 4"]).await;
    assert_eq!(there(&bed, "SELECT GROUP_CONCAT(n ORDER BY id) FROM app.t WHERE id < 5").await, "1,2,3,40");
    begin(&bed, &mut client, &["BEGIN", "UPDATE t SET n = 20 WHERE id = 2"]).await;
    bed.ocean.cut_existing_and_wait().await;
    assert_eq!(code(&mut client, "ROLLBACK").await, 2013, "there is nothing to run again for that");
    bed.stop().await;
}

/// MariaDB answers some writes with rows.
async fn writes_that_return_rows(flavor: Flavor) {
    if flavor == Flavor::MySql {
        return;
    }
    let bed = bed(flavor, EXTRA).await;
    let mut client = bed.client().await;
    begin(
        &bed,
        &mut client,
        &["BEGIN", "INSERT INTO t (id, n) VALUES (200, 7) RETURNING n", "SELECT n FROM t WHERE id = 1"],
    )
    .await;
    bed.ocean.cut_existing_and_wait().await;
    run(&mut client, &["DELETE FROM t WHERE id = 1 RETURNING n", "COMMIT"]).await;
    assert_eq!(there(&bed, "SELECT COUNT(*) FROM app.t WHERE id IN (1, 200)").await, "1");
    assert_eq!(replayed(&bed), (1.0, 0.0));
    bed.stop().await;
}

/// Unless the file says so nothing is run again.
async fn it_is_a_choice(flavor: Flavor) {
    let bed = bed(flavor, "[consistency]\nper_table = true\n").await;
    let mut client = bed.client().await;
    begin(&bed, &mut client, &["BEGIN", "UPDATE t SET n = n + 1 WHERE id = 1"]).await;
    bed.ocean.cut_existing_and_wait().await;
    assert_eq!(code(&mut client, "UPDATE t SET n = n + 1 WHERE id = 1").await, 2013);
    bed.stop().await;
}

/// A transaction that began on a replica goes on being run again at the primary.
async fn behind_a_move(flavor: Flavor) {
    let bed = bed(flavor, "[route]\ntransaction_replay = true\nprimary_down = \"wait 30s\"\ntransactions = \"optimistic\"\n[consistency]\nwait = \"10s\"\n").await;
    let mut client = bed.client().await;
    let first = ["BEGIN", "SELECT n FROM t WHERE id = 1", "SAVEPOINT a", "UPDATE t SET n = n + 1 WHERE id = 1"];
    begin(&bed, &mut client, &first).await;
    bed.ocean.cut_existing_and_wait().await;
    run(&mut client, &["UPDATE t SET n = n + 1 WHERE id = 2", "ROLLBACK TO a", "SELECT n FROM t WHERE id = 3"]).await;
    bed.ocean.cut_existing_and_wait().await;
    run(&mut client, &["UPDATE t SET n = n + 1 WHERE id = 3", "COMMIT"]).await;
    assert_eq!(there(&bed, "SELECT GROUP_CONCAT(n ORDER BY id) FROM app.t WHERE id < 4").await, "1,2,4");
    assert_eq!(replayed(&bed), (2.0, 0.0));
    bed.stop().await;
}

/// Where servers take one command at a time.
async fn one_command_at_a_time(flavor: Flavor) {
    let extra = "pipelining = \"off\"\n[route]\ntransaction_replay = true\nprimary_down = \"wait 30s\"\n";
    let bed = bed(flavor, extra).await;
    let mut client = bed.client().await;
    begin(&bed, &mut client, &["BEGIN", "SELECT n FROM t WHERE id = 1"]).await;
    client.exec_drop("UPDATE t SET n = n + ? WHERE id = ?", (1, 1)).await.expect("prepared");
    bed.ocean.cut_existing_and_wait().await;
    client.exec_drop("UPDATE t SET n = n + ? WHERE id = ?", (1, 1)).await.expect("prepared");
    run(&mut client, &["COMMIT"]).await;
    assert_eq!(there(&bed, "SELECT n FROM app.t WHERE id = 1").await, "3");
    assert_eq!(replayed(&bed), (1.0, 0.0));
    bed.stop().await;
}

crate::on_both!(
    nobody_notices,
    what_differs_is_refused,
    what_is_not_run_again,
    without_a_primary,
    writes_that_return_rows,
    it_is_a_choice,
    behind_a_move,
    one_command_at_a_time
);
