//! Plain reads, and the traits some of them carry.

use super::*;

#[test]
fn queries() {
    all(
        "read",
        r#"
SELECT 1
select * from t where id = 1
SELECT `a`, `b` FROM `t` WHERE `id` IN (1,2,3) ORDER BY `a` DESC LIMIT 10 OFFSET 5
SELECT COUNT(*), MAX(a), MIN(a), SUM(b), AVG(b), GROUP_CONCAT(c SEPARATOR ';') FROM t GROUP BY d HAVING COUNT(*) > 1
SELECT DISTINCT a FROM t
select $$
SELECT SQL_NO_CACHE HIGH_PRIORITY a FROM t
SELECT 'FOR UPDATE', "INTO OUTFILE", `lock`, `get_lock` FROM t
SELECT 'it''s; DELETE FROM t', 'a\'; DROP TABLE x; --' FROM t
SELECT a FROM t WHERE b = 'x' -- FOR UPDATE
SELECT a FROM t # INTO OUTFILE 'x'
SELECT a /* FOR UPDATE */ FROM t
SELECT a FROM t;
SELECT a FROM t ; ;
SELECT a FROM t; -- done
SELECT a FROM t; /* done */
(SELECT a FROM t)
((SELECT a FROM t))
(SELECT a FROM t) UNION ALL (SELECT b FROM u) ORDER BY 1 LIMIT 3
SELECT 1 UNION SELECT 2 EXCEPT SELECT 3
WITH c AS (SELECT 1 AS a) SELECT * FROM c
WITH RECURSIVE tree (id, parent) AS (SELECT id, parent FROM t UNION ALL SELECT t.id, t.parent FROM t JOIN tree ON t.parent = tree.id) SELECT * FROM tree
WITH a AS (SELECT 1), b (x, y) AS (SELECT 2, 3) SELECT * FROM a JOIN b
WITH `tree` (`id`) AS (SELECT 1) SELECT * FROM `tree`
TABLE t
TABLE t ORDER BY a LIMIT 3
VALUES ROW(1,2), ROW(3,4)
SELECT * FROM (SELECT 1 AS a) AS d (a) WHERE EXISTS (SELECT 1 FROM u WHERE u.a = d.a)
SELECT a FROM t USE INDEX (i) FORCE INDEX FOR JOIN (i) IGNORE KEY FOR ORDER BY (j) WHERE a NOT IN (1)
SELECT a FROM t PARTITION (p0, p1)
SELECT a FROM t1 LEFT JOIN (t2, t3) ON (t1.a = t2.a) INNER JOIN u USING (id)
SELECT CASE WHEN (a > 1) THEN (2) ELSE (3) END FROM t
SELECT CAST(a AS CHAR(10) CHARACTER SET utf8mb4), CAST(b AS DECIMAL(10,2)), CONVERT(c USING utf8mb4) FROM t
SELECT CHAR(77 USING utf8mb4), INTERVAL(23,1,15,17), EXTRACT(YEAR_MONTH FROM x) FROM t
SELECT NOW() - INTERVAL 1 DAY, NOW(6), CURRENT_TIMESTAMP, CURRENT_TIMESTAMP(), UNIX_TIMESTAMP(), UTC_TIMESTAMP(3)
SELECT DATE_ADD(a, INTERVAL '1:30' HOUR_MINUTE), DATE_FORMAT(a, '%Y') FROM t
SELECT a, ROW_NUMBER() OVER (PARTITION BY b ORDER BY c), SUM(d) OVER w FROM t WINDOW w AS (PARTITION BY e)
SELECT MATCH (a, b) AGAINST ('x' IN BOOLEAN MODE) FROM t
SELECT * FROM t WHERE a LIKE ('x%') AND b REGEXP ('y') OR (c BETWEEN (1) AND (2)) AND NOT (d)
SELECT a MOD b, !a, a DIV b, a XOR b, a <=> b, \N, a SOUNDS LIKE b, a->'$.x', a->>'$.y', a && b, a || b FROM t
SELECT JSON_EXTRACT(a, '$.b'), JSON_VALUE(a, '$.c' DEFAULT 0 ON EMPTY), JSON_OBJECT('a', 1) FROM t
SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (a INT PATH '$', NESTED PATH '$.b' COLUMNS (c VARCHAR(10) PATH '$'))) AS j
SELECT SUBSTRING('abc' FROM 1 FOR 2), TRIM(LEADING 'a' FROM b), POSITION('a' IN b) FROM t
SELECT REPLACE(a, 'b', 'c'), INSERT(a, 1, 2, 'x'), REPEAT(a, 3), LEFT(a, 1), TRUNCATE(a, 2), IF(a, b, c) FROM t
SELECT REPLACE (a, 'b', 'c') FROM t
SELECT t.select, t.into, t.for, t.update, x.lock FROM t, x
SELECT into.a FROM `into` AS i
SELECT SLEEP(0), BENCHMARK(1, 1), UUID(), RAND(), VERSION(), DATABASE(), USER(), CURRENT_USER()
SELECT 1e5, 1.5e-3, .5, 5., 0x1F, 0b01, x'41', b'1', N'abc', _utf8mb4'abc', -1, 1.e5
SELECT DATE '2020-01-01', TIMESTAMP '2020-01-01 00:00:00'
SELECT été, naïve_col, 表 FROM données
SELECT ? FROM t WHERE a = ? AND b IN (?, ?)
SELECT {fn NOW()}, {d '2020-01-01'}
SELECT ANY_VALUE AS x FROM t
SELECT STRAIGHT_JOIN a FROM t STRAIGHT_JOIN u
SELECT * FROM t WHERE a = ANY (SELECT 1) AND b > ALL (SELECT 2)
SELECT a FROM t GROUP BY a WITH ROLLUP
SELECT /*+ SET_VAR(sort_buffer_size = 16M) NO_ICP(t) */ a FROM t
SELECT a.b.c FROM a.b
SELECT a FROM t PROCEDURE ANALYSE()
SELECT * FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '2020-01-01'
SELECT * FROM t FOR SYSTEM_TIME ALL
SELECT update_time, deleted, inserted_at, lock_version, call_id FROM information_schema.tables
SELECT * FROM information_schema.columns WHERE table_schema = DATABASE()
SELECT * FROM sequence_names WHERE next = 1
"#,
    );
}

#[test]
fn show_and_explain() {
    all(
        "read",
        r"
SHOW TABLES
SHOW FULL TABLES FROM db LIKE 'x%'
SHOW FULL COLUMNS FROM `t` WHERE Field = 'a'
SHOW EXTENDED COLUMNS FROM t
SHOW FIELDS FROM t
SHOW DATABASES
SHOW SCHEMAS LIKE 'a'
SHOW INDEX FROM t
SHOW KEYS FROM t WHERE Key_name = 'x'
SHOW CREATE TABLE t
SHOW CREATE DATABASE d
SHOW CREATE VIEW v
SHOW CREATE USER u
SHOW CREATE PROCEDURE p
SHOW TABLE STATUS LIKE 't'
SHOW TRIGGERS
SHOW PROCEDURE STATUS
SHOW FUNCTION STATUS WHERE Db = 'x'
SHOW GRANTS
SHOW GRANTS FOR CURRENT_USER()
SHOW CHARACTER SET
SHOW CHARSET
SHOW COLLATION WHERE Charset = 'utf8mb4'
SHOW ENGINES
SHOW STORAGE ENGINES
SHOW PRIVILEGES
SHOW VARIABLES LIKE 'sql_mode'
SHOW SESSION VARIABLES
SHOW LOCAL VARIABLES WHERE Variable_name IN ('a', 'b')
SHOW WARNINGS
SHOW WARNINGS LIMIT 5
SHOW COUNT(*) WARNINGS
SHOW ERRORS
HELP 'SELECT'
EXPLAIN SELECT 1
EXPLAIN EXTENDED SELECT 1
EXPLAIN PARTITIONS SELECT 1
EXPLAIN FORMAT=JSON SELECT * FROM t
EXPLAIN ANALYZE FORMAT=TREE SELECT 1
EXPLAIN (SELECT 1)
EXPLAIN WITH c AS (SELECT 1) SELECT * FROM c
DESC t
DESCRIBE `db`.`t`
DESC t col
DESC event
EXPLAIN t 'a%'
",
    );
    all(
        "server_local",
        r"
SHOW PROCESSLIST
SHOW FULL PROCESSLIST
SHOW STATUS
SHOW PROFILES
SHOW PROFILE FOR QUERY 1
SHOW GLOBAL STATUS LIKE 'x'
SHOW GLOBAL VARIABLES
SHOW ENGINE INNODB STATUS
SHOW MASTER STATUS
SHOW BINARY LOG STATUS
SHOW BINARY LOGS
SHOW BINLOG EVENTS
SHOW SLAVE STATUS
SHOW ALL SLAVES STATUS
SHOW REPLICA STATUS
SHOW REPLICAS
SHOW OPEN TABLES
SHOW EVENTS
SHOW CREATE EVENT e
SHOW VARIABLES LIKE 'read_only'
SHOW VARIABLES LIKE 'read\_only'
SHOW SESSION VARIABLES LIKE 'Server_%'
SHOW VARIABLES LIKE '%read_only%'
SHOW VARIABLES LIKE 'gtid%'
SHOW VARIABLES WHERE Variable_name IN ('sql_mode', 'hostname')
SELECT * FROM information_schema.events
SELECT @@port
SHOW PLUGINS
SHOW RELAYLOG EVENTS
SHOW EXPLAIN FOR 5
SHOW SOMETHING NEW
EXPLAIN FOR CONNECTION 5
EXPLAIN FORMAT=JSON FOR CONNECTION 5
SELECT * FROM information_schema.processlist
SELECT * FROM `information_schema`.`PROCESSLIST`
SELECT * FROM information_schema.innodb_trx
SELECT * FROM performance_schema.threads
SELECT * FROM mysql.slow_log
SELECT * FROM sys.session
SELECT LOAD_FILE('/etc/hosts')
SELECT @@global.gtid_executed
SELECT @@hostname, @@server_id
",
    );
}

#[test]
fn traits_of_reads() {
    table(
        MYSQL,
        r"
read || SELECT 1
read | READS_SYSTEM_VARIABLE | SELECT @@version
read | READS_SYSTEM_VARIABLE | SELECT @@session.`sql_mode`, @@`sql_mode`
read | READS_SYSTEM_VARIABLE | SHOW VARIABLES
read | READS_SYSTEM_VARIABLE USES_LAST_INSERT_ID | SELECT @@identity
read | READS_SYSTEM_VARIABLE USES_LAST_INSERT_ID | SELECT @@session.last_insert_id
read | READS_SYSTEM_VARIABLE USES_DIAGNOSTICS | SELECT @@warning_count
read | READS_SYSTEM_VARIABLE READS_LANDBRIDGE_VARIABLE | SELECT @@landbridge_version
read | READS_SYSTEM_VARIABLE READS_LANDBRIDGE_VARIABLE | SELECT @@SESSION.Landbridge_Token
read | READS_SYSTEM_VARIABLE READS_TRANSACTION_STATE | SELECT @@in_transaction
read | USES_LAST_INSERT_ID | SELECT LAST_INSERT_ID()
read | USES_LAST_INSERT_ID | SELECT * FROM t WHERE id = last_insert_id( )
read | USES_ROW_COUNT | SELECT ROW_COUNT()
read | USES_FOUND_ROWS | SELECT FOUND_ROWS()
read | CALC_FOUND_ROWS | SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1
read | SKIPS_ROWS | SELECT * FROM t LIMIT 1 OFFSET 2
read | SKIPS_ROWS | SELECT * FROM t LIMIT ?, ?
read | SKIPS_ROWS | VALUES ROW(1), ROW(2)
read |  | SELECT a, b FROM t WHERE a IN (1, 2) LIMIT 2
read | USES_CONNECTION_ID | SELECT CONNECTION_ID()
read | READS_USER_VARIABLE | SELECT @a
read | READS_USER_VARIABLE | SELECT @`a b`, @'c', @x.y FROM t
read | USES_DIAGNOSTICS | SHOW WARNINGS
read | USES_DIAGNOSTICS | SHOW COUNT(*) ERRORS
server_local | SERVER_LOCAL | SHOW PROCESSLIST
",
    );
    let now = classify(b"SELECT NOW()", MYSQL);
    assert!(now.traits.contains(Traits::NON_DETERMINISTIC | Traits::SELECTS));
}

#[test]
fn parts_and_semicolons() {
    for (sql, parts, semicolons) in [
        ("", Parts::Empty, Semicolons::None),
        (" ;", Parts::Empty, Semicolons::None),
        ("/* x */ -- y", Parts::Empty, Semicolons::None),
        ("SELECT 1", Parts::Single, Semicolons::None),
        ("SELECT 1 ; \n;", Parts::Single, Semicolons::None),
        ("SELECT ';'", Parts::Single, Semicolons::InTokens),
        (r"SELECT 'it\'s; ', `a;b` -- ;", Parts::Single, Semicolons::InTokens),
        ("SELECT 'a;' ; ", Parts::Single, Semicolons::InTokens),
        ("SELECT /*!99999 ';' */ 1", Parts::Single, Semicolons::Between),
        ("SELECT 1; -- x", Parts::Single, Semicolons::Between),
        ("SELECT 1; SELECT 2", Parts::Multi, Semicolons::Between),
        ("SELECT 1;;SELECT 2", Parts::Multi, Semicolons::Between),
        ("SELECT ';x", Parts::Single, Semicolons::Between),
        ("CREATE PROCEDURE p() BEGIN SELECT 1; END", Parts::Multi, Semicolons::Between),
        ("CREATE PROCEDURE p() SELECT 1", Parts::Single, Semicolons::None),
    ] {
        let found = classify(sql.as_bytes(), MYSQL);
        assert_eq!((found.parts, found.semicolons), (parts, semicolons), "{sql}");
    }
    for (sql, free) in [
        ("SELECT 1", true),
        ("SELECT @@sql_mode, DATABASE()", true),
        ("SHOW VARIABLES LIKE 'sql_mode'", true),
        ("SELECT 1 FROM t", false),
        ("TABLE t", false),
        ("SELECT 1; SELECT 2 FROM t", false),
        ("SELECT 1 /*!99999 FROM t */", false),
        ("SHOW TABLES", false),
        ("SELECT (SELECT MAX(a) FROM t)", false),
    ] {
        assert_eq!(classify(sql.as_bytes(), MYSQL).traits.contains(Traits::TABLE_FREE), free, "{sql}");
    }
    all("read", "SELECT 1; SELECT 2; SHOW TABLES;");
    all("multi", "SELECT 1; DELETE FROM t\nDELETE FROM t; SELECT 1\nSET a = 1; SELECT 1\nBEGIN; COMMIT");
    table(
        MYSQL,
        "multi | CHANGES_SESSION SETS_UNTRACKED ASSIGNS_USER_VARIABLE READS_USER_VARIABLE | SET @a = 1; SELECT 2
                  multi | CHANGES_SESSION | SET SESSION a = 1; SELECT 2
                  multi | CHANGES_SESSION SETS_UNTRACKED | SELECT 2; SET TRANSACTION READ ONLY
                  multi | CHANGES_SESSION SETS_UNTRACKED | SET ROLE x; SELECT 2
                  multi | CHANGES_SESSION | SELECT 1; USE x
                  multi | CONTROLS_TRANSACTION | START TRANSACTION; UPDATE t SET a = 1; COMMIT",
    );
}

#[test]
fn hints() {
    use std::time::Duration;
    let hint = |sql: &'static str| classify(sql.as_bytes(), MYSQL).hint;
    assert_eq!(hint("/* landbridge: primary */ SELECT 1").target, Some(HintTarget::Primary));
    let all = hint("/* x */ /*Landbridge:REPLICA,max_lag=200ms key=abc;1 what=ever*/SELECT 1");
    assert_eq!(all.target, Some(HintTarget::Replica));
    assert_eq!(all.max_lag, Some(Duration::from_millis(200)));
    assert_eq!(all.key.expect("a key").bytes(), &b"abc;1"[..]);
    assert_eq!(hint("-- landbridge: replica\nSELECT 1").target, Some(HintTarget::Replica));
    assert_eq!(hint("# landbridge: replica\nSELECT 1").target, Some(HintTarget::Replica));
    for none in ["SELECT 1 /* landbridge: primary */", "/* landbridge primary */ SELECT 1", "SELECT 1"] {
        assert_eq!(hint(none), Hint::default(), "{none}");
    }
    assert_eq!(hint("/* landbridge: max_lag=99999999999999999999s */ SELECT 1"), Hint::default());
}

#[test]
fn hints_about_transactions() {
    use Transactions::{Optimistic, Primary};
    for (sql, want) in [
        ("/* landbridge: transactions=optimistic */ BEGIN", Some(Optimistic)),
        ("/*landbridge:Transactions=PRIMARY*/START TRANSACTION READ WRITE", Some(Primary)),
        ("/* landbridge: key=a, transactions=optimistic */ SELECT a FROM t", Some(Optimistic)),
        ("/* landbridge: transactions=optimistic transactions=primary */ SET autocommit = 0", Some(Primary)),
        ("/* landbridge: transactions=optimist */ BEGIN", None),
        ("/* landbridge: transactions= */ BEGIN", None),
        ("/* landbridge: optimistic */ BEGIN", None),
        ("BEGIN /* landbridge: transactions=optimistic */", None),
    ] {
        let hint = classify(sql.as_bytes(), MYSQL).hint;
        assert_eq!((hint.transactions, hint.target), (want, None), "{sql}");
    }
}

#[test]
fn keys_among_tags() {
    let key = |sql: &str| {
        let key = classify(sql.as_bytes(), MYSQL).hint.key?;
        Some(String::from_utf8_lossy(&key.bytes()).into_owned())
    };
    for (sql, want) in [
        ("SELECT 1 /*landbridge_key='abc'*/", "abc"),
        ("SELECT 1/*action='%2Findex',landbridge_key='abc',route='a'*/ ; \n", "abc"),
        ("SELECT 1 -- x\n /* x */ /* landbridge_key = 'abc' , b='1' */;", "abc"),
        ("INSERT INTO t VALUES ('/*') /*a='=,\\'',landbridge_key='abc'*/", "abc"),
        ("/*landbridge_key='abc'*/ SELECT 1", "abc"),
        ("SELECT 1 /*landbridge_key='user%2042%2F%C3%A9'*/", "user 42/é"),
        ("SELECT 1 /*landbridge_key='user%%2042'*/", "user 42"),
        (r"SELECT 1 /*landbridge_key='it\'s%27%zz%'*/", "it's'%zz%"),
        // What is said at the beginning counts more.
        ("/* landbridge: key=first */ SELECT 1 /*landbridge_key='abc'*/", "first"),
        ("/*! SELECT */ 1 /*landbridge_key='abc'*/", "abc"),
    ] {
        assert_eq!(key(sql).as_deref(), Some(want), "{sql}");
    }
    for sql in [
        "SELECT '/*landbridge_key=\\'abc\\'*/'",
        "SELECT \"/*landbridge_key='abc'*/\"",
        "SELECT 1 AS `/*landbridge_key='abc'*/`",
        "SELECT '\\'/*landbridge_key='abc'*/'",
        "SELECT 1 -- /*landbridge_key='abc'*/",
        "SELECT 1 /*landbridge_key='abc'*/ + 1",
        "SELECT 1 /*landbridge_key='abc'*/ -- x",
        "SELECT 1 /*landbridge_key='abc'*/ /* x */",
        "SELECT 1 /*landbridge_key='abc'",
        "SELECT 1 /*landbridge_key=abc*/",
        "SELECT 1 /*landbridge_key=''*/",
        "SELECT 1 /*landbridge_key='abc*/",
        "SELECT 1 /*a='landbridge_key=',b='1'*/",
        "SELECT 1 /*a=1,landbridge_key='abc'*/",
        "SELECT 1 /*not_landbridge_key='abc'*/",
        "SELECT 1 /*!landbridge_key='abc'*/",
    ] {
        assert_eq!(key(sql), None, "{sql}");
    }
    assert_eq!(classify(b"SELECT 1 /*landbridge_key='abc'*/", MYSQL).hint.target, None);
}

#[test]
fn a_hint_never_turns_a_write_into_a_read() {
    all("update", "/* landbridge: replica */ UPDATE t SET a = 1");
}

#[test]
fn variables_that_ask_about_the_last_statement() {
    for (sql, traits) in [
        ("SHOW VARIABLES LIKE 'last_insert_id'", Traits::USES_LAST_INSERT_ID),
        ("SHOW SESSION VARIABLES WHERE Variable_name = 'Warning_Count'", Traits::USES_DIAGNOSTICS),
        ("SELECT @@session.identity", Traits::USES_LAST_INSERT_ID),
        ("SELECT @@error_count", Traits::USES_DIAGNOSTICS),
        ("SELECT SQL%ROWCOUNT", Traits::USES_ROW_COUNT),
        ("SELECT sql % rowcount", Traits::USES_ROW_COUNT),
    ] {
        assert!(classify(sql.as_bytes(), MARIADB).traits.contains(traits), "{sql}");
    }
    // Nobody knows what follows.
    for sql in ["SELECT @@session . last_insert_id", "SELECT @@local.\tx, @@global .read_only"] {
        assert_eq!(label(&classify(sql.as_bytes(), MYSQL).kind), "unknown", "{sql}");
    }
}

#[test]
fn the_first_of_several_statements_is_known_by_itself() {
    let first = |sql: &'static str| classify(sql.as_bytes(), MARIADB).first;
    assert!(first("SELECT ROW_COUNT(); SELECT 1").contains(Traits::USES_ROW_COUNT));
    assert!(!first("UPDATE t SET a = 1; SELECT ROW_COUNT()").contains(Traits::USES_ROW_COUNT));
    assert!(first("SHOW WARNINGS; SELECT 1").contains(Traits::USES_DIAGNOSTICS));
    assert!(first("SELECT FOUND_ROWS()").contains(Traits::USES_FOUND_ROWS));
    // The time goes on behind the last of them, whatever servers report of it.
    let timestamp = classify(b"SET timestamp = 5; SELECT NOW(); SET timestamp = DEFAULT", MYSQL);
    assert!(timestamp.traits.contains(Traits::SETS_UNTRACKED));
}

#[test]
fn tables_about_the_server_wherever_they_stand() {
    all(
        "server_local",
        r"
TABLE mysql.general_log
SELECT * FROM t, mysql.slow_log
SELECT * FROM (mysql.slow_log)
SELECT * FROM t STRAIGHT_JOIN sys.processlist
",
    );
}
