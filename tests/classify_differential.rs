//! The classifier against an independent parser: whatever `sqlparser` understands as something
//! other than a plain query must never be a read, and so must a query that locks, stores or
//! contains data changes.

use landbridge::sql::{Kind, Mode, classify};
use sqlparser::{
    ast::{SetExpr, Statement},
    dialect::MySqlDialect,
    parser::Parser,
};

const QUERIES: &[&str] = &[
    "SELECT 1",
    "SELECT * FROM t",
    "SELECT a, b FROM t WHERE c = 'x' AND d IN (1, 2)",
    "SELECT COUNT(*) FROM t GROUP BY a HAVING COUNT(*) > 1",
    "SELECT * FROM t JOIN u ON t.a = u.b LEFT JOIN v USING (c)",
    "SELECT * FROM (SELECT a FROM t) AS d",
    "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u)",
    "SELECT 1 UNION SELECT 2",
    "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1 LIMIT 1",
    "WITH c AS (SELECT 1) SELECT * FROM c",
    "WITH RECURSIVE c AS (SELECT 1 UNION ALL SELECT 2) SELECT * FROM c",
    "SELECT `a` FROM `t` ORDER BY `b` DESC LIMIT 5 OFFSET 10",
    "SELECT NOW(), UUID(), CONCAT('a', \"b\"), IF(a, b, c), COALESCE(a, 1) FROM t",
    "SELECT CASE WHEN a THEN b ELSE c END FROM t",
    "SELECT CAST(a AS CHAR), DATE_ADD(b, INTERVAL 1 DAY) FROM t",
    "SELECT 'FOR UPDATE' FROM t -- INTO OUTFILE",
    "SELECT @@version",
    "VALUES ROW(1, 2)",
];

const LOCKING: &[&str] = &[" FOR UPDATE", " FOR SHARE", " FOR UPDATE NOWAIT", " FOR UPDATE SKIP LOCKED"];

const CHANGES: &[&str] = &[
    "INSERT INTO t (a, b) VALUES (1, 2)",
    "INSERT INTO t SELECT * FROM u",
    "INSERT IGNORE INTO t VALUES (1)",
    "INSERT INTO t SET a = 1",
    "REPLACE INTO t VALUES (1)",
    "UPDATE t SET a = 1",
    "UPDATE t JOIN u ON t.a = u.a SET t.b = u.b WHERE u.c = 1",
    "DELETE FROM t",
    "DELETE FROM t WHERE a = 1 ORDER BY b LIMIT 1",
    "WITH c AS (SELECT 1) UPDATE t SET a = 1",
    "WITH c AS (SELECT 1) DELETE FROM t",
    "CREATE TABLE t (a INT)",
    "CREATE TABLE t AS SELECT 1",
    "CREATE TEMPORARY TABLE t (a INT)",
    "CREATE INDEX i ON t (a)",
    "CREATE VIEW v AS SELECT 1",
    "CREATE DATABASE d",
    "ALTER TABLE t ADD COLUMN b INT",
    "ALTER TABLE t DROP COLUMN b",
    "DROP TABLE t",
    "DROP TABLE IF EXISTS t, u",
    "DROP VIEW v",
    "DROP DATABASE d",
    "DROP PROCEDURE p",
    "TRUNCATE TABLE t",
    "RENAME TABLE a TO b",
    "GRANT SELECT ON t TO u",
    "REVOKE SELECT ON t FROM u",
    "LOCK TABLES t READ",
    "UNLOCK TABLES",
    "FLUSH TABLES",
    "KILL 5",
    "KILL QUERY 5",
    "CALL p()",
    "CALL p(1, @a)",
    "SET a = 1",
    "SET @a = 1",
    "SET SESSION a = 1, b = 2",
    "SET NAMES utf8mb4",
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "START TRANSACTION",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "ROLLBACK TO SAVEPOINT s",
    "RELEASE SAVEPOINT s",
    "USE d",
    "PREPARE s AS SELECT 1",
    "EXECUTE s",
    "DEALLOCATE PREPARE s",
    "ANALYZE TABLE t",
    "OPTIMIZE TABLE t",
];

fn changes(body: &SetExpr) -> bool {
    match body {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => true,
        SetExpr::Select(select) => select.into.is_some(),
        SetExpr::SetOperation { left, right, .. } => changes(left) || changes(right),
        SetExpr::Query(query) => !query.locks.is_empty() || changes(&query.body),
        _ => false,
    }
}

fn has_effect(statement: &Statement) -> bool {
    let harmless = match statement {
        Statement::Query(_)
        | Statement::ExplainTable { .. }
        | Statement::ShowTables { .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowCreate { .. }
        | Statement::ShowDatabases { .. }
        | Statement::ShowVariable { .. }
        | Statement::ShowVariables { .. }
        | Statement::ShowStatus { .. }
        | Statement::ShowCollation { .. }
        | Statement::ShowCharset(_) => true,
        // Servers explain queries and data changes only; nothing else runs or parses.
        Statement::Explain { statement, .. } => {
            !matches!(&**statement, Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_))
        }
        _ => false,
    };
    let top = matches!(statement, Statement::Query(query) if changes(&query.body));
    // Deeper down the syntax tree's own rendering is searched: it spares a visitor.
    let tree = format!("{statement:?}").to_ascii_lowercase();
    let nested = ["lockclause {", "value: \"get_lock\"", "value: \"my_function\"", "into: some("]
        .iter()
        .any(|part| tree.contains(part));
    !harmless || top || nested
}

fn check(sql: &str) -> bool {
    let Ok(statements) = Parser::parse_sql(&MySqlDialect {}, sql) else {
        return false;
    };
    if statements.iter().any(has_effect) {
        for mariadb in [false, true] {
            let kind = classify(sql.as_bytes(), Mode { mariadb, ..Mode::default() }).kind;
            assert_ne!(kind, Kind::Read, "{sql}\n{statements:?}");
        }
    }
    true
}

fn corpus() -> Vec<String> {
    let plain = QUERIES.iter().chain(CHANGES).map(|sql| (*sql).to_owned());
    let mut all: Vec<String> = plain.collect();
    for query in QUERIES {
        all.extend(LOCKING.iter().map(|tail| format!("{query}{tail}")));
        all.push(format!("{query} INTO x"));
        all.push(format!("EXPLAIN {query}"));
        all.push(format!("SELECT * FROM ({query}) AS d"));
        all.push(format!("SELECT * FROM ({query} FOR UPDATE) AS d"));
        all.push(format!("SELECT my_function(1), ({query})"));
        all.push(format!("SELECT 1 FROM t WHERE a IN ({query}) AND GET_LOCK('a', 1)"));
        all.push(format!("WITH d AS ({query} FOR SHARE) SELECT * FROM d"));
        all.push(format!("WITH d AS ({query}) UPDATE t SET a = 1"));
        all.push(format!("WITH d AS ({query}) DELETE FROM t"));
        all.push(format!("INSERT INTO t {query}"));
        all.push(format!("CREATE TABLE n AS {query}"));
        for change in CHANGES {
            all.push(format!("{query}; {change}"));
            all.push(format!("{change}; {query}"));
        }
    }
    all.extend(CHANGES.iter().map(|change| format!("EXPLAIN {change}")));
    let decorated: Vec<String> = all
        .iter()
        .flat_map(|sql| {
            [
                format!("/* landbridge: replica */ {sql}"),
                format!("-- x\n{sql} -- y"),
                sql.replace(' ', "\n\t/* ; */ "),
                sql.to_ascii_lowercase(),
                format!("{sql};"),
            ]
        })
        .collect();
    all.extend(decorated);
    all
}

#[test]
fn what_the_parser_calls_a_change_is_never_a_read() {
    let corpus = corpus();
    let parsed = corpus.iter().filter(|sql| check(sql)).count();
    // If the parser stops understanding the corpus, this test has stopped testing.
    assert!(parsed * 2 > corpus.len(), "only {parsed} of {} parse", corpus.len());
}

#[test]
fn plain_queries_are_reads() {
    for sql in QUERIES {
        let kind = classify(sql.as_bytes(), Mode::default()).kind;
        assert_eq!(kind, Kind::Read, "{sql}");
    }
}
