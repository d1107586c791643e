//! `SET` in all its forms.

use super::*;

fn assignments(sql: &str) -> Vec<Assignment<'_>> {
    match classify(sql.as_bytes(), MYSQL).kind {
        Kind::Set(list) => list,
        other => panic!("{sql}: {other:?}"),
    }
}

/// `scope name = text (class)`, joined by `; `.
fn rendered(sql: &str) -> String {
    let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let one = |assignment: &Assignment<'_>| {
        let target = match &assignment.target {
            Target::Variable { scope, name } => format!("{scope:?} {}", show(name)),
            Target::User(name) => format!("@{}", show(name)),
            Target::Names { collation: None } => "names".into(),
            Target::Names { collation: Some(name) } => format!("names/{}", show(name)),
            Target::CharacterSet => "charset".into(),
            Target::Transaction { scope, isolation, access } => {
                format!("{scope:?} {isolation:?} {access:?}")
            }
            Target::Other => "other".into(),
        };
        format!("{target} = {} ({:?})", show(assignment.value.text), assignment.value.class)
    };
    assignments(sql).iter().map(one).collect::<Vec<_>>().join("; ")
}

#[test]
fn targets_and_values() {
    for (sql, expected) in [
        ("SET autocommit=0", "Session autocommit = 0 (Literal)"),
        ("SET SESSION sql_mode = ''", "Session sql_mode = '' (Literal)"),
        ("SET @@session.`sql_mode` := 'A'", "Session sql_mode = 'A' (Literal)"),
        ("SET @@LOCAL.a=ON, @@b = OFF", "Session a = ON (Literal); Session b = OFF (Literal)"),
        (
            "SET GLOBAL a=1, b=2, SESSION c=3, d=4",
            "Global a = 1 (Literal); Global b = 2 (Literal); Session c = 3 (Literal); Session d = 4 (Literal)",
        ),
        ("SET @@global.a=1, b=2", "Global a = 1 (Literal); Session b = 2 (Literal)"),
        ("SET PERSIST a=1, PERSIST_ONLY b=2", "Global a = 1 (Literal); Global b = 2 (Literal)"),
        ("SET @@persist.a=1", "Global a = 1 (Literal)"),
        ("SET GLOBAL hot.key_buffer_size = 1", "Global hot.key_buffer_size = 1 (Literal)"),
        (
            "SET a = DEFAULT, b = -5, c = 0x1F, d = x'41', e = _utf8mb4'x', f = NULL",
            "Session a = DEFAULT (Default); Session b = -5 (Literal); Session c = 0x1F (Literal); Session d = x'41' (Literal); Session e = _utf8mb4'x' (Literal); Session f = NULL (Literal)",
        ),
        ("SET NAMES utf8mb4", "names = utf8mb4 (Literal)"),
        ("SET NAMES 'utf8mb4' COLLATE 'utf8mb4_bin'", "names/utf8mb4_bin = 'utf8mb4' (Literal)"),
        ("SET NAMES DEFAULT", "names = DEFAULT (Default)"),
        ("SET NAMES utf8, time_zone = '+00:00'", "names = utf8 (Literal); Session time_zone = '+00:00' (Literal)"),
        ("SET CHARACTER SET x", "charset = x (Literal)"),
        ("SET CHARSET 'x'", "charset = 'x' (Literal)"),
        ("SET @a = 1, @`b c` := 'x', @'d' = f(1)", "@a = 1 (Literal); @b c = 'x' (Literal); @d = f(1) (Other)"),
        (
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
            "Next Some(ReadCommitted) None = ISOLATION LEVEL READ COMMITTED (Literal)",
        ),
        (
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            "Session Some(RepeatableRead) Some(ReadOnly) = ISOLATION LEVEL REPEATABLE READ, READ ONLY (Literal)",
        ),
        ("SET GLOBAL TRANSACTION READ WRITE", "Global None Some(ReadWrite) = READ WRITE (Literal)"),
        (
            "SET LOCAL TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            "Session Some(Serializable) None = ISOLATION LEVEL SERIALIZABLE (Literal)",
        ),
        (
            "SET sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')",
            "Session sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES') (Session)",
        ),
        (
            "SET sql_mode=(SELECT REPLACE(@@sql_mode,'ONLY_FULL_GROUP_BY',''))",
            "Session sql_mode = (SELECT REPLACE(@@sql_mode,'ONLY_FULL_GROUP_BY','')) (Session)",
        ),
        (
            "SET SQL_MODE = IF(@@SQL_MODE = '', 'A', @@SQL_MODE)",
            "Session SQL_MODE = IF(@@SQL_MODE = '', 'A', @@SQL_MODE) (Session)",
        ),
        ("SET @OLD=@@SQL_MODE, SQL_MODE='X'", "@OLD = @@SQL_MODE (Session); Session SQL_MODE = 'X' (Literal)"),
        ("SET SQL_MODE=@OLD", "Session SQL_MODE = @OLD (Other)"),
        ("SET a = (SELECT x FROM t)", "Session a = (SELECT x FROM t) (Other)"),
        ("SET @a = NOW()", "@a = NOW() (Other)"),
        ("SET @a = CURRENT_TIMESTAMP", "@a = CURRENT_TIMESTAMP (Other)"),
        ("SET @a = db.concat(1)", "@a = db.concat(1) (Other)"),
        ("SET @a = `concat`(1)", "@a = `concat`(1) (Other)"),
        ("SET @a = ?", "@a = ? (Other)"),
        ("SET transaction_isolation = 'SERIALIZABLE'", "Session transaction_isolation = 'SERIALIZABLE' (Literal)"),
        ("SET @@session.tx_read_only = 1", "Session tx_read_only = 1 (Literal)"),
        ("SET @@tx_read_only = 1", "other = 1 (Literal)"),
        ("SET PASSWORD = 'x'", "other = PASSWORD = 'x' (Other)"),
        ("SET PASSWORD FOR u = 'x'", "other = PASSWORD FOR u = 'x' (Other)"),
        ("SET ROLE ALL EXCEPT r", "other = ROLE ALL EXCEPT r (Other)"),
        ("SET ROLE 'r'@'%'", "other = ROLE 'r'@'%' (Other)"),
        ("SET DEFAULT ROLE r TO u", "other = DEFAULT ROLE r TO u (Other)"),
        ("SET RESOURCE GROUP g", "other = RESOURCE GROUP g (Other)"),
        ("SET @@landbridge_token = 'abc'", "Session landbridge_token = 'abc' (Literal)"),
        ("/* x */ SET /* y */ a /* z */ = 1 -- w", "Session a = 1 (Literal)"),
    ] {
        assert_eq!(rendered(sql), expected, "{sql}");
    }
}

#[test]
fn not_understood() {
    all(
        "unknown",
        "SET\nSET a\nSET a =\nSET = 1\nSET a = 1,\nSET a = (1\nSET a = 1)\nSET @@foo.a = 1\nSET TRANSACTION\nSET NAMES\nSET a == 'x",
    );
}

#[test]
fn effects_in_values_are_traits() {
    table(
        MYSQL,
        r"
set | ASSIGNS_USER_VARIABLE READS_USER_VARIABLE NAMED_LOCK | SET @a = GET_LOCK('x', 1)
set | ASSIGNS_USER_VARIABLE READS_USER_VARIABLE USES_LAST_INSERT_ID | SET @a = LAST_INSERT_ID()
set | CALLS_STORED_CODE | SET a = f(1)
set || SET NAMES utf8mb4
set || SET a = 1
set | READS_SYSTEM_VARIABLE READS_LANDBRIDGE_VARIABLE | SET @@landbridge_token = 'x'
",
    );
}
