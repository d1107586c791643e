//! Transactions that move, by every kind of client, with every kind of command: packet by packet what a direct connection
//! shows. `tests/real/direct` has the language.

use super::{EVERYBODY, outcomes};
use crate::direct::compare_with;
use crate::support::{Bed, Plan};
use landbridge::lab::{Flavor, PairOptions};

const TABLES: [&str; 5] = [
    "CREATE TABLE app_twin.t (id INT AUTO_INCREMENT PRIMARY KEY, n INT, s VARCHAR(200))",
    "INSERT INTO app_twin.t (n, s) VALUES (1, 'a'), (2, 'b'), (3, NULL), (4, 'd'), (5, 'e')",
    "CREATE TABLE app_twin.u (n INT PRIMARY KEY, s VARCHAR(20))",
    "CREATE PROCEDURE app_twin.twice() BEGIN \
        SELECT n FROM t ORDER BY id; INSERT INTO u VALUES (50, 'p'); SELECT COUNT(*) FROM u; END",
    "CREATE PROCEDURE app_twin.none() UPDATE t SET n = 0 WHERE id = 77",
];

async fn shows_the_same(flavor: Flavor, script: &str, at_least: u64) {
    let servers = PairOptions { extra_args: vec!["--local-infile=1".into()], ..Default::default() };
    let bed = Bed::with(flavor, Plan { servers, extra: EVERYBODY, max: 8, ..Plan::default() }).await;
    let differences = compare_with(&bed, "optimistic", script, &TABLES).await;
    let moved = outcomes(&bed, "moved");
    let refused = outcomes(&bed, "refused");
    bed.stop().await;
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    // Some must have been where they were expected to be, for some clients.
    assert!(moved >= at_least && refused == 0, "{moved} moved, {refused} refused");
}

/// How they end and go on, and what can be asked of them.
const ENDS: &str = "BEGIN
SELECT * FROM t ORDER BY id
SELECT n, s FROM t WHERE id > 3
INSERT INTO t (n, s) VALUES (10, 'x'), (11, 'y')
SELECT LAST_INSERT_ID()
SELECT ROW_COUNT(), FOUND_ROWS()
SHOW WARNINGS
UPDATE t SET n = n + 1 WHERE id < 3
SELECT ROW_COUNT()
COMMIT AND CHAIN
SELECT COUNT(*) FROM t
INSERT IGNORE INTO u VALUES (1, 'a'), (1, 'b')
SHOW WARNINGS
SELECT @@warning_count
ROLLBACK AND CHAIN
SELECT s FROM t WHERE id = 4
SELECT * FROM u
ROLLBACK
SELECT COUNT(*) FROM u
=== what was found is known behind a move
BEGIN
SELECT SQL_CALC_FOUND_ROWS n FROM t ORDER BY id LIMIT 2
SELECT FOUND_ROWS()
SELECT SQL_CALC_FOUND_ROWS n FROM t ORDER BY id LIMIT 2
UPDATE t SET n = 20 WHERE id = 2
SELECT FOUND_ROWS()
ROLLBACK
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED
BEGIN
SELECT SQL_CALC_FOUND_ROWS n FROM t ORDER BY id LIMIT 2
UPDATE t SET n = 21 WHERE id = 2
SELECT FOUND_ROWS()
COMMIT
=== savepoints
START TRANSACTION
SELECT n FROM t WHERE id = 1
SAVEPOINT a
SELECT n FROM t WHERE id = 2
SAVEPOINT b
DELETE FROM t WHERE id = 3
ROLLBACK TO a
SELECT COUNT(*) FROM t
ROLLBACK TO b
INSERT INTO u VALUES (2, 'c')
RELEASE SAVEPOINT a
COMMIT
SELECT * FROM u ORDER BY n
=== without autocommit
SET autocommit = 0
SELECT n FROM t WHERE id = 1
INSERT INTO u VALUES (3, 'd')
COMMIT
SELECT n FROM t WHERE id = 2
ROLLBACK
SELECT n FROM t WHERE id = 2
SET autocommit = 1
SELECT * FROM u ORDER BY n
=== completion_type
SET completion_type = 1
BEGIN
SELECT n FROM t WHERE id = 1
COMMIT
INSERT INTO u VALUES (4, 'e')
ROLLBACK
SELECT COUNT(*) FROM u
=== completion_type, within
BEGIN
SELECT n FROM t WHERE id = 1
SET completion_type = 1
COMMIT
INSERT INTO u VALUES (5, 'e')
ROLLBACK
SELECT COUNT(*) FROM u
=== and it ends the connection
BEGIN
SELECT n FROM t WHERE id = 1
SET completion_type = 2
COMMIT
=== so does this
BEGIN
SELECT n FROM t WHERE id = 1
COMMIT RELEASE
=== and this
BEGIN
SELECT n FROM t WHERE id = 1
INSERT INTO u VALUES (6, 'f')
ROLLBACK RELEASE
=== nothing is left behind these
BEGIN
SELECT n FROM t WHERE id = 1
@reset_connection
INSERT INTO u VALUES (7, 'g')
BEGIN
SELECT n FROM t WHERE id = 1
SELECT * FROM u ORDER BY n
";

/// What the first write can be.
const WRITES: &str = "BEGIN
SELECT n FROM t WHERE id = 1
SELECT n, s INTO @n, @s FROM t WHERE id = 2
SELECT @n, @s
INSERT INTO u VALUES (@n, @s)
COMMIT
BEGIN
SELECT s FROM u ORDER BY n
INSERT INTO u VALUES (2, 'again')
SHOW WARNINGS
INSERT INTO u VALUES (@n + 20, 'c')
COMMIT
SELECT * FROM u ORDER BY n
=== a call
BEGIN
SELECT n FROM t WHERE id = 1
CALL twice()
SELECT ROW_COUNT()
COMMIT
BEGIN
SELECT n FROM t WHERE id = 1
CALL none()
ROLLBACK
SELECT * FROM u ORDER BY n
=== a file
@file 60\\tsix\\n61\\tseven\\n
BEGIN
SELECT n FROM t WHERE id = 1
LOAD DATA LOCAL INFILE 'x' INTO TABLE u
SELECT COUNT(*) FROM u
ROLLBACK
SELECT n FROM t WHERE id = 1
=== prepared
@prepare r: SELECT n, s FROM t WHERE id > ? ORDER BY id
@prepare w: INSERT INTO u VALUES (?, ?)
@prepare b: DELETE FROM u WHERE n = ?
BEGIN
@execute r: 1
@execute r: 2
@execute w: 70, 'x'
@execute r: 3
@execute w: 70, 'y'
COMMIT
BEGIN
@execute r: 1
@execute b: 70
@execute w: 71, NULL
COMMIT
SELECT * FROM u ORDER BY n
@close r
@execute r: 1
=== in bulk
@prepare w: INSERT INTO u VALUES (?, ?)
@prepare r: SELECT n FROM t WHERE id = ?
BEGIN
@execute r: 1
@bulk w: 80, 'x' | 81, 'y'
SELECT ROW_COUNT()
@bulk w: 82, 'z'
COMMIT
BEGIN
SELECT n FROM u WHERE n > 79
@execute r: 2
UPDATE t SET n = 3 WHERE id = 3
@bulk w: 83, 'x' | 84, 'y'
ROLLBACK
SELECT * FROM u ORDER BY n
=== a cursor
@prepare c: SELECT n FROM t ORDER BY id
@prepare r: SELECT s FROM t WHERE id = ?
BEGIN
@execute r: 1
@cursor c:
@fetch c 2
@execute r: 2
@fetch c 2
INSERT INTO u VALUES (90, 'c')
@fetch c 9
@fetch c 1
COMMIT
BEGIN
@execute r: 1
@cursor c:
@fetch c 1
@close c
INSERT INTO u VALUES (91, 'c')
ROLLBACK
BEGIN
@execute r: 1
@reset r
@execute r: 1
INSERT INTO u VALUES (92, 'd')
COMMIT
SELECT * FROM u ORDER BY n
=== long data
@prepare l: SELECT COUNT(*) FROM t WHERE s <> ?
BEGIN
@long l 0 some
@long l 0 thing
@execute l: LONG
INSERT INTO u VALUES (93, 'l')
COMMIT
=== attributes
@attribute trace one
@prepare r: SELECT n FROM t WHERE id = ?
BEGIN
SELECT n FROM t WHERE id = 1
@attribute trace two
@execute r: 2
INSERT INTO u VALUES (95, 'a')
@execute r: 1
COMMIT
=== several in one text
BEGIN
SELECT n FROM t WHERE id = 1
SELECT n FROM t WHERE id = 2; INSERT INTO u VALUES (94, 'm'); SELECT s FROM u WHERE n = 94
ROLLBACK
BEGIN
SELECT n FROM t WHERE id = 1
INSERT INTO u VALUES (94, 'm'); COMMIT; SELECT COUNT(*) FROM u
SELECT @@autocommit
";

async fn however_they_end(flavor: Flavor) {
    shows_the_same(flavor, ENDS, 8).await;
}

async fn whatever_they_write(flavor: Flavor) {
    shows_the_same(flavor, WRITES, 8).await;
}

crate::on_both!(however_they_end, whatever_they_write);
