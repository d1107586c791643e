//! What looks like a read and is none.

use super::*;

#[test]
fn locking_and_into() {
    all(
        "locking_read",
        r"
SELECT * FROM t FOR UPDATE
SELECT * FROM t for update nowait
SELECT * FROM t FOR UPDATE WAIT 5
SELECT * FROM t FOR UPDATE SKIP LOCKED
SELECT * FROM t FOR UPDATE OF t
SELECT * FROM t FOR SHARE
SELECT * FROM t LOCK IN SHARE MODE
SELECT * FROM t LOCK IN SHARE MODE NOWAIT
SELECT 1 UNION SELECT 2 FOR UPDATE
(SELECT 1 FROM t) UNION (SELECT 2 FROM u) FOR UPDATE
(SELECT 1 FROM t FOR UPDATE) UNION (SELECT 2 FROM u)
SELECT * FROM (SELECT * FROM t FOR UPDATE) AS d
SELECT * FROM t WHERE a IN (SELECT a FROM u FOR SHARE)
WITH c AS (SELECT * FROM t FOR UPDATE) SELECT * FROM c
SELECT * FROM t FOR/**/UPDATE
SELECT * FROM t FOR SYSTEM_TIME ALL FOR UPDATE
SELECT .5FOR UPDATE
SELECT 1.FOR UPDATE
SELECT 1e5FOR UPDATE
SELECT a FROM t WHERE x=1.5FOR UPDATE
SELECT 'a'FOR UPDATE
SELECT `a`FOR UPDATE
SELECT a FROM t. for update
",
    );
    all(
        "into_file",
        r"
SELECT * INTO OUTFILE 'f' FROM t
SELECT * FROM t INTO OUTFILE 'f'
SELECT * FROM t INTO DUMPFILE 'f'
TABLE t INTO OUTFILE 'f'
VALUES ROW(1) INTO OUTFILE 'f'
SELECT 1 UNION SELECT 2 INTO OUTFILE 'f'
",
    );
    all(
        "into_variable",
        r"
SELECT a FROM t LIMIT 1 INTO @x
SELECT a, b INTO @x, @y FROM t
SELECT 1 INTO x
SELECT 1.INTO @x
SELECT .5INTO @x
SELECT t .5INTO @x
SELECT 1e5INTO @x
SELECT 1e+5INTO @x
SELECT 'a'INTO@x
EXPLAIN FORMAT=JSON INTO @x SELECT 1
",
    );
    all(
        "user_variable",
        r"
SELECT @a := 1
SELECT @a:=@a+1, b FROM t
SELECT (@row := @row + 1) FROM t, (SELECT @row := 0) r
SELECT @`a` := 5
SELECT @'a':=5
",
    );
}

#[test]
fn functions_with_effects() {
    all(
        "side_effect_function",
        r"
SELECT GET_LOCK('a', 1)
SELECT get_lock ('a', 1)
SELECT GET_LOCK/**/('a', 1)
SELECT RELEASE_LOCK('a')
SELECT RELEASE_ALL_LOCKS()
SELECT IS_FREE_LOCK('a'), IS_USED_LOCK('a')
SELECT LAST_INSERT_ID(5)
SELECT last_insert_id (id + 1) FROM t
SELECT LAST_INSERT_ID/* */( /* */ 5)
SELECT MASTER_POS_WAIT('x', 4)
SELECT WAIT_FOR_EXECUTED_GTID_SET('x', 1)
SELECT NEXTVAL(s), LASTVAL(s)
SELECT SETVAL(s, 5)
SELECT NEXT VALUE FOR s
SELECT * FROM t WHERE GET_LOCK('a', 1) = 1
SHOW TABLES WHERE GET_LOCK('a', 1)
(SELECT GET_LOCK('a', 1))
EXPLAIN SELECT GET_LOCK('a', 1)
SELECT BENCHMARK(1, GET_LOCK('a', 1))
",
    );
    all(
        "user_function",
        r"
SELECT my_function(1)
SELECT db.my_function(1)
SELECT db . my_function (1)
SELECT `my_function`(1)
SELECT `db`.`my_function`(1)
SELECT `get_lock`('a', 1)
SELECT sys.version_major()
SELECT * FROM t WHERE a = f(b)
SELECT COUNT (*) FROM t
SELECT NOW ()
SELECT a.count(1)
SELECT sys_exec('rm')
SELECT uuid_v7()
WITH c AS (SELECT f(1)) SELECT * FROM c
WITH c AS (SELECT 1) SELECT 1, f(2)
WITH c AS (SELECT 1) (SELECT 1, f(2))
SHOW TABLES WHERE f(1)
",
    );
    let only_mysql =
        [("SELECT sformat('{}', 1)", true), ("SELECT nvl(1, 2)", false), ("SELECT regexp_like('a', 'b')", true)];
    for (sql, mariadb) in only_mysql {
        let mode = Mode { mariadb, ..MYSQL };
        assert_eq!(label(&classify(sql.as_bytes(), mode).kind), "user_function", "{sql}");
    }
    table(
        MYSQL,
        r"
side_effect_function | NAMED_LOCK | SELECT GET_LOCK('a', 1)
side_effect_function | RELEASES_NAMED_LOCK | SELECT RELEASE_LOCK('a')
side_effect_function | RELEASES_ALL_NAMED_LOCKS | SELECT RELEASE_ALL_LOCKS()
side_effect_function | RELEASES_ALL_NAMED_LOCKS | select release_all_locks( ) ;
side_effect_function | RELEASES_NAMED_LOCK | SELECT RELEASE_ALL_LOCKS() FROM t WHERE 0
side_effect_function | RELEASES_NAMED_LOCK READS_USER_VARIABLE | SELECT IF(@done, RELEASE_ALL_LOCKS(), 0)
side_effect_function | SETS_LAST_INSERT_ID | SELECT LAST_INSERT_ID(5)
user_function | CALLS_STORED_CODE | SELECT f()
user_function | CALLS_STORED_CODE | WITH c AS (SELECT 1 AS a) (SELECT a FROM c) ORDER BY a, f(a)
side_effect_function | NAMED_LOCK SKIPS_ROWS | WITH c AS (SELECT 1) (SELECT 1) UNION (SELECT 2) ORDER BY 1, GET_LOCK('x', 0)
read | | WITH c (a) AS (SELECT 1), d (a) AS (SELECT 2) (SELECT a FROM c)
into_variable | ASSIGNS_USER_VARIABLE READS_USER_VARIABLE | SELECT 1 INTO @a
user_variable | ASSIGNS_USER_VARIABLE READS_USER_VARIABLE | SELECT @a := 1
locking_read || SELECT 1 FOR UPDATE
side_effect_function | NAMED_LOCK ASSIGNS_USER_VARIABLE READS_USER_VARIABLE CALLS_STORED_CODE | SELECT f(GET_LOCK('a', 1)) INTO @a
",
    );
}
