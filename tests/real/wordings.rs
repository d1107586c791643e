//! What a session left, asked for or assigned in words that are easily overlooked. Each test was once a way to get it wrong.

use crate::leftovers::{P, code, run, solo};
use crate::support::one;
use landbridge::lab::Flavor;
use mysql_async::prelude::*;

/// What a text of several statements asks first, or a statement assigns without saying `SET`, is the session's own.
async fn asked_in_other_words(flavor: Flavor) {
    let bed = solo(flavor).await;
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    run(&mut a, "INSERT INTO t (n) VALUES (1), (2), (3)").await;
    let own = one::<u64>(&mut a, "SELECT LAST_INSERT_ID()").await;
    run(&mut b, "INSERT INTO t (n) VALUES (4)").await;
    for sql in
        ["SELECT ROW_COUNT(); SELECT 1", "INSERT INTO t (n) VALUES (ROW_COUNT()); SELECT 1", "SHOW WARNINGS; DO 0"]
    {
        assert_eq!(code(a.query_drop(sql).await), 1235, "{sql}");
    }
    assert_eq!(one::<i64>(&mut a, "SELECT 1; SELECT ROW_COUNT()").await, 1, "the first answer");
    let shown: Option<(String, u64)> = a.query_first("SHOW VARIABLES LIKE 'last_insert_id'").await.expect("shown");
    assert_eq!(shown.map(|(_, id)| id), Some(own));

    run(&mut a, "BEGIN").await;
    run(&mut a, "UPDATE t SET n = n + 1 WHERE n < 3").await;
    run(&mut a, "GET DIAGNOSTICS @rows = ROW_COUNT").await;
    run(&mut a, "COMMIT").await;
    assert_eq!(one::<Option<i64>>(&mut a, "SELECT @rows").await, Some(2));
    a.reset().await.expect("reset");

    // A moment in the past is over with the text.
    run(&mut a, "SET timestamp = 5; INSERT INTO t (n) VALUES (7); SET timestamp = DEFAULT").await;
    let before = one::<f64>(&mut a, &format!("{P}SELECT UNIX_TIMESTAMP(NOW(6)) + 0e0")).await;
    let after = one::<f64>(&mut a, &format!("{P}SELECT UNIX_TIMESTAMP(NOW(6)) + 0e0")).await;
    assert!(after > before, "the time stands still: {before} {after}");
    a.reset().await.expect("reset");
    bed.stop().await;
}

/// A literal has the character set and the collation of the session that assigned it.
async fn literals_of_two_character_sets(flavor: Flavor) {
    let bed = solo(flavor).await;
    let (mut a, mut b) = (bed.client().await, bed.client().await);
    run(&mut a, "SET NAMES latin1").await;
    run(&mut b, "SET NAMES utf8mb4").await;
    for client in [&mut a, &mut b] {
        run(client, "SET @x = 'é'").await;
    }
    for _ in 0..2 {
        let length = format!("{P}SELECT CHAR_LENGTH(@x)");
        assert_eq!((one::<u64>(&mut a, &length).await, one::<u64>(&mut b, &length).await), (2, 1));
    }
    let mut c = bed.client().await;
    run(&mut c, "SET collation_connection = 'utf8mb4_bin'").await;
    run(&mut c, "SET @y = 'a'").await;
    for _ in 0..2 {
        assert_eq!(one::<u64>(&mut c, &format!("{P}SELECT @y = 'A'")).await, 0);
        assert_eq!(one::<u64>(&mut b, &format!("{P}SELECT CHAR_LENGTH(@x)")).await, 1);
    }
    bed.stop().await;
}

/// What was prepared means what it meant then, or is refused.
async fn prepared_in_another_character_set(flavor: Flavor) {
    let bed = solo(flavor).await;
    let mut a = bed.client().await;
    run(&mut a, "SET NAMES utf8mb4").await;
    let (ascii, other) = (a.prep("SET @w = 'e'").await.expect("ascii"), a.prep("SET @v = 'é'").await.expect("other"));
    run(&mut a, "SET NAMES latin1").await;
    assert_eq!(code(a.exec_drop(&other, ()).await), 1243, "it would be two characters");
    run(&mut a, "SET NAMES utf8mb4").await;
    a.exec_drop(&other, ()).await.expect("as it was prepared");
    assert_eq!(one::<u64>(&mut a, &format!("{P}SELECT CHAR_LENGTH(@v)")).await, 1);
    run(&mut a, "SET NAMES latin1").await;
    a.exec_drop(&ascii, ()).await.expect("that says the same in both");
    bed.stop().await;
}

crate::on_both!(asked_in_other_words, literals_of_two_character_sets, prepared_in_another_character_set);
