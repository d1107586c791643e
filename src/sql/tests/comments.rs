//! Comments, executable comments, quoting and character sets.

use super::*;

#[test]
fn executable_comments_are_code() {
    for (sql, expected) in [
        ("/*!40101 SET NAMES utf8 */", "set"),
        ("/*! SET NAMES utf8 */;", "set"),
        ("/*!40000 ALTER TABLE t DISABLE KEYS */", "ddl"),
        ("/*!50003 CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1 */", "ddl"),
        ("/*!80000 DELETE FROM t */", "delete"),
        ("/*!100100 DELETE FROM t */", "delete"),
        ("/*M! DELETE FROM t */", "delete"),
        ("/*M!100100 DELETE FROM t */", "delete"),
        ("/*!99999 SELECT 1 */", "read"),
        ("/*!80000 SELECT 1 */ ", "read"),
        ("SELECT 1 /*!80000 FOR UPDATE */", "locking_read"),
        ("SELECT 1 /*!50000 FOR UPDATE */", "locking_read"),
        ("SELECT 1 /*M!100100 INTO OUTFILE 'x' */", "into_file"),
        ("SELECT 1 FOR /*!80000 UPDATE */", "locking_read"),
        ("SELECT /*!40001 SQL_NO_CACHE */ * FROM `t`", "read"),
        ("SELECT a /*!80000 , b */ FROM t", "read"),
        ("/*!80000 SELECT 1; */ DELETE FROM t", "unknown"),
        ("SELECT 1 /*!80000 ; DELETE FROM t */", "multi"),
        // What one reading takes for a string, the other runs.
        ("SELECT 1 /*!99999 '*/ INTO OUTFILE 'x' /*!99999 ' */", "into_file"),
        ("SELECT 1 /*!99999 `*/ FOR UPDATE -- ` */", "locking_read"),
        // Readings that differ in kind, or too many of them.
        ("/*!80000 SET a = 1 */", "unknown"),
        ("SET a = 1 /*!80000 , b = 2 */", "unknown"),
        ("SELECT 1 /*!80000 x */ /*!50600 y */", "read"),
        ("SELECT 1 /*!80000 x */ /*!80001 y */", "unknown"),
        // Nesting is read differently by different versions.
        ("SELECT 1 /*! /*! FOR UPDATE */ */", "unknown"),
        ("SELECT 1 /*!80000 /* x */ */", "unknown"),
        ("SELECT 1 /*! /* x */ */", "read"),
        ("SELECT 1 */", "read"),
        ("SELECT 1 /*! -- x */ \n */", "unknown"),
        // A sixth digit is code to some, and a hint may hide its end in quotes.
        ("SELECT a /*!500001.INTO @v */", "unknown"),
        ("SELECT /*+ SET_VAR(optimizer_switch = 'mrr=on') QB_NAME(`q`) */ 1", "read"),
        ("SELECT /*+ BKA(`*/ '`) */ INTO OUTFILE 'x' -- '", "unknown"),
        ("SELECT /*+ BKA('`' `*/ '`) */ INTO OUTFILE 'x' -- '", "unknown"),
    ] {
        assert_eq!(label(&classify(sql.as_bytes(), MYSQL).kind), expected, "{sql}");
        assert_eq!(label(&classify(sql.as_bytes(), MARIADB).kind), expected, "{sql}");
    }
}

#[test]
fn mysql_only_syntax() {
    for sql in [
        "SELECT 1 FROM t, JSON_TABLE('[]', '$' COLUMNS (a INT PATH '$')) AS j",
        "SELECT 1 FROM t WHERE 5 MEMBER OF('[5]')",
        "SELECT * FROM t, LATERAL (SELECT 1) AS d",
    ] {
        assert_eq!(label(&classify(sql.as_bytes(), MYSQL).kind), "read", "{sql}");
        assert_eq!(label(&classify(sql.as_bytes(), MARIADB).kind), "user_function", "{sql}");
    }
}

#[test]
fn dashes_need_a_blank() {
    all("locking_read", "SELECT 1--1 FOR UPDATE\nSELECT 1 --2 FOR UPDATE");
    all("read", "SELECT 1 -- FOR UPDATE\nSELECT 1 --\tFOR UPDATE\nSELECT 1 --");
    for sql in ["SELECT 1 -- x\nFOR UPDATE", "SELECT 1 # x\nFOR UPDATE"] {
        assert_eq!(label(&classify(sql.as_bytes(), MYSQL).kind), "locking_read", "{sql}");
    }
    for sql in [&b"SELECT 1 -- x\0FOR UPDATE"[..], b"SELECT 1 --\xA0x", b"SELECT 1 --\x7fx", b"SELECT \0"] {
        assert_eq!(label(&classify(sql, MYSQL).kind), "unknown", "{sql:?}");
    }
}

#[test]
fn sql_mode_changes_the_reading() {
    let plain = Mode { no_backslash_escapes: true, ..MYSQL };
    let hidden = br"SELECT '\'; DELETE FROM t; -- '";
    assert_eq!(label(&classify(hidden, plain).kind), "multi");
    assert_eq!(label(&classify(hidden, MYSQL).kind), "read");
    let ansi = Mode { ansi_quotes: true, ..MYSQL };
    let identifier = br#"SELECT "a\" FOR UPDATE -- ""#;
    assert_eq!(label(&classify(identifier, ansi).kind), "locking_read");
    assert_eq!(label(&classify(identifier, MYSQL).kind), "read");
    assert_eq!(label(&classify(br#"SELECT "get_lock"('a', 1)"#, ansi).kind), "user_function");
}

#[test]
fn character_sets() {
    let gbk = Mode { ambiguous_charset: true, ..MYSQL };
    assert_eq!(label(&classify(b"SELECT 'abc'", gbk).kind), "read");
    assert_eq!(label(&classify(b"SELECT '\xbf\x5c' FOR UPDATE -- '", gbk).kind), "unknown");
    // A server may ask for a file where one cannot tell.
    let load = b"LOAD DATA LOCAL InFile 'f' INTO TABLE t FIELDS TERMINATED BY '\xa3\xac'";
    assert!(classify(load, gbk).traits.contains(Traits::MAY_ASK_FOR_FILE));
    let read = classify(load, MYSQL).traits;
    assert!(read.contains(Traits::LOCAL_INFILE) && !read.contains(Traits::MAY_ASK_FOR_FILE));
    let behind = b"CREATE PROCEDURE p() SELECT 1; LOAD DATA LOCAL INFILE 'f' INTO TABLE t";
    assert!(classify(behind, MYSQL).traits.contains(Traits::MAY_ASK_FOR_FILE));
    assert!(!classify(b"CREATE PROCEDURE p() SELECT 1", MYSQL).traits.contains(Traits::MAY_ASK_FOR_FILE));
    // 0xA0 is white space in latin1 and part of a name in UTF-8.
    for sql in [&b"SELECT 1 INTO\xA0@x"[..], b"SELECT 1 FOR\xA0UPDATE", b"SELECT 1 \xA0FOR UPDATE"] {
        assert_eq!(label(&classify(sql, MYSQL).kind), "unknown", "{sql:?}");
    }
    assert_eq!(label(&classify(b"SELECT '\xff\xfe', \"\x80\" FROM `\x90`", MYSQL).kind), "read");
}
