//! Which tables a statement names.

use proptest::prelude::*;

use super::super::tables;
use super::*;

/// `t u d.v`, or `?` if it is not certain.
fn named(sql: &str, mode: Mode) -> String {
    let Some(found) = tables(sql.as_bytes(), mode) else { return "?".to_owned() };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let names = found.iter().map(|table| match &table.schema {
        Some(schema) => format!("{}.{}", text(schema), text(&table.name)),
        None => text(&table.name),
    });
    names.collect::<Vec<_>>().join(" ")
}

/// Lines of `tables | statement`, the same for both families.
fn lines(lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (expected, sql) = line.split_once('|').map(|(a, b)| (a.trim(), b.trim())).unwrap();
        for mode in [MYSQL, MARIADB] {
            assert_eq!(named(sql, mode), expected, "{sql}");
        }
    }
}

#[test]
fn of_queries() {
    lines(
        "
         | SELECT 1
         | SELECT 1 FROM DUAL
         | VALUES ROW(1, 2), ROW(3, 4)
        t | SELECT * FROM t
        t | select value, `from` FROM t WHERE a IN (1, 2) GROUP BY b, c ORDER BY d, e LIMIT 1, 2;
        d.t | SELECT * FROM d.t
        d.t | SELECT * FROM `d` . `t`
        d d.e | SELECT * FROM `d`, `d.e`
        a`b c d.e`f | SELECT * FROM `a``b`, `c`, d.`e``f`
        Dual t | SELECT * FROM `Dual`, t
        t u | SELECT * FROM t, u
        t u v w | SELECT * FROM t AS a JOIN u b ON a.x = b.x LEFT OUTER JOIN v USING (x, y) STRAIGHT_JOIN w
        t u v | SELECT STRAIGHT_JOIN * FROM t NATURAL JOIN u CROSS JOIN v
        t u v w | SELECT * FROM t LEFT JOIN (u CROSS JOIN v) ON (t.a = u.a), w
        t u v | SELECT * FROM ((t JOIN u) JOIN v)
        t t | SELECT * FROM t a, t b
        t u v | SELECT (SELECT MAX(a) FROM t), b FROM u WHERE c IN (SELECT d FROM v)
        t u | SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a)
        t u | SELECT * FROM (SELECT a FROM t) AS x, u
        t u | SELECT * FROM (SELECT a FROM t UNION SELECT a FROM u) x
        t u v | SELECT * FROM ((SELECT a FROM t) UNION (SELECT a FROM u)) x JOIN v
        t u | SELECT a FROM t UNION ALL SELECT b FROM u ORDER BY 1, 2
        t u | (SELECT a FROM t) UNION DISTINCT (SELECT b FROM u) LIMIT 3
        t u | ((SELECT a FROM t) UNION SELECT b FROM u)
        t u | SELECT a FROM t EXCEPT SELECT b FROM u
        t | TABLE t ORDER BY a LIMIT 1
        t u | SELECT * FROM t WHERE a IN (TABLE u)
        t u | SELECT * FROM t, LATERAL (SELECT * FROM u WHERE u.a = t.a) x
        t u | SELECT * FROM t, JSON_TABLE(t.d, '$[*]' COLUMNS (a INT PATH '$')) AS j, u
        t u | SELECT EXTRACT(DAY FROM a), TRIM(LEADING 'x' FROM b), SUBSTRING(c FROM 2) FROM t, u
        t u | SELECT TRIM((SELECT a FROM t) FROM b) FROM u
        t u | SELECT * FROM t USE INDEX (a, b) IGNORE INDEX FOR ORDER BY (c) FORCE INDEX FOR JOIN (d), u
        t u | SELECT * FROM t PARTITION (p0, p1), u
        t u | SELECT * FROM t AS window, u AS `where` WHERE 1
        t | SELECT SUM(a) OVER w FROM t WINDOW w AS (PARTITION BY b, c), v AS (ORDER BY d)
        t u | SELECT * FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '2020-01-01', u
        t u | SELECT * FROM t, u FOR UPDATE OF t, u NOWAIT
        t | SELECT a FROM t INTO @x, @y
        t u | SELECT * FROM t JOIN u ON CASE WHEN t.a THEN u.b ELSE u.c END = COALESCE(t.d, u.e)
        t | SELECT /* FROM x */ 'FROM y' FROM t -- , z
        t u | /*!40001 SELECT */ * FROM t /*!50000 , u */
        ",
    );
    assert_eq!(named("SELECT 1 FROM t -- x\n, u", MYSQL), "t u");
}

#[test]
fn names_of_with_are_no_tables() {
    lines(
        "
        t | WITH c AS (SELECT * FROM t) SELECT * FROM c
        t u v | WITH c (a, b) AS (SELECT * FROM t), d AS (SELECT * FROM c, u) SELECT * FROM c JOIN d JOIN v
        t t | WITH c AS (SELECT * FROM t) SELECT * FROM (SELECT * FROM c) x, t
        t x.c | WITH c AS (SELECT * FROM t) SELECT * FROM x.c
        t u c | SELECT * FROM (WITH c AS (SELECT * FROM t) SELECT * FROM c, u) x, c
        c | WITH c AS (SELECT * FROM c) SELECT * FROM c
        d | WITH c AS (SELECT * FROM d), d AS (SELECT 1) SELECT * FROM c, d
        t | WITH RECURSIVE c AS (SELECT 1 UNION ALL SELECT a FROM c JOIN t) SELECT * FROM c
        ? | WITH RECURSIVE c AS (SELECT * FROM d), d AS (SELECT 1) SELECT * FROM c
        ? | WITH c AS (SELECT 1) SELECT * FROM C
        t u | WITH c AS (SELECT * FROM t) (SELECT * FROM c) UNION (SELECT * FROM u)
        ? | WITH c AS (SELECT 1) UPDATE t SET a = 1
        ? | WITH c AS (SELECT 1) DELETE FROM t
        ",
    );
}

#[test]
fn of_changes() {
    lines(
        "
        t | INSERT INTO t VALUES (1, 2), (3, 4)
        t | INSERT INTO t (a, value) VALUE (1, VALUES(a)) ON DUPLICATE KEY UPDATE a = VALUES(a), b = 2
        t | INSERT LOW_PRIORITY IGNORE t SET a = 1, b = TRIM('x' FROM 'y')
        d.t | REPLACE INTO d.t () VALUES ()
        t | INSERT INTO t PARTITION (p0) (a) VALUES (1) AS n (x) ON DUPLICATE KEY UPDATE a = n.x
        t u v | INSERT INTO t (a) SELECT b FROM u JOIN v ON DUPLICATE KEY UPDATE c = 1, d = 2
        t u | INSERT INTO t (a) (SELECT b FROM u)
        t u | INSERT INTO t SELECT * FROM u
        t u | INSERT INTO t WITH c AS (SELECT * FROM u) SELECT * FROM c
        t u | INSERT INTO t (a) WITH c AS (SELECT * FROM u) SELECT * FROM c
        t u | INSERT INTO t TABLE u
        t u | INSERT INTO t VALUES ((SELECT a FROM u), 2)
        t | UPDATE t SET a = 1, b = 2 WHERE c = 3 ORDER BY d, e LIMIT 1
        quick | UPDATE quick SET a = 1
        t u | UPDATE LOW_PRIORITY IGNORE t AS x SET a = (SELECT b FROM u)
        t u | UPDATE t JOIN u ON t.a = u.a SET t.b = u.b
        t | DELETE FROM t WHERE a = 1 ORDER BY b, c LIMIT 1
        d.t u | DELETE QUICK FROM d.t WHERE a IN (SELECT b FROM u)
        ? | DELETE t, u FROM t JOIN u
        ? | DELETE FROM t USING t JOIN u
        ? | DELETE FROM t.*
        ? | UPDATE t FOR PORTION OF p FROM 1 TO 2 SET a = 1
        ",
    );
    assert_eq!(named("DELETE FROM t WHERE a RETURNING b, c", MARIADB), "t");
    assert_eq!(named("DELETE FROM t RETURNING b, c", MARIADB), "t");
    assert_eq!(named("INSERT INTO t SELECT * FROM u RETURNING b, c", MARIADB), "t u");
    assert_eq!(named("SELECT * FROM t returning, u", MYSQL), "t u");
}

#[test]
fn of_several_statements() {
    lines(
        "
        t u | SELECT * FROM t; INSERT INTO u VALUES (1);
        ? | SELECT * FROM t; SET a = 1
         | ;
        ",
    );
}

#[test]
fn what_is_not_certain() {
    lines(
        "
        ? | SHOW COLUMNS FROM t
        ? | EXPLAIN SELECT * FROM t
        ? | CREATE TABLE t AS SELECT * FROM u
        ? | CALL p()
        ? | SELECT * FROM { OJ t LEFT OUTER JOIN u ON 1 }
        ? | SELECT * FROM f(1)
        ? | SELECT * FROM a.b.c
        ? | SELECT * FROM @t
        ? | SELECT * FROM 't'
        ? | SELECT * FROM
        ? | SELECT * FROM t,
        ? | SELECT * FROM (t
        ? | SELECT * FROM t)
        ? | SELECT a IS DISTINCT FROM b FROM t
        ? | SELECT * FROM t FOR SYSTEM_TIME FROM '1' TO '2', u
        ? | SELECT * FROM t window, u
        ? | SELECT * FROM lateral l
        ? | SELECT * FROM t /*!80000 , u */
        ? | SELECT * FROM t /*M! , u */
        ? | SELECT 'x
        ? | SELECT a FROM t UNION
        ",
    );
    let gbk = Mode { ambiguous_charset: true, ..MYSQL };
    assert_eq!(named("SELECT * FROM t WHERE a = 'é'", gbk), "?");
    assert_eq!(named("SELECT * FROM t", gbk), "t");
    let ansi = Mode { ansi_quotes: true, ..MYSQL };
    assert_eq!(named(r#"SELECT * FROM "a""b"."c""#, ansi), r#"a"b.c"#);
    assert_eq!(named(r#"SELECT * FROM "a""#, MYSQL), "?");
}

/// A query and the tables it names, in order.
fn query() -> impl Strategy<Value = (String, Vec<String>)> {
    let table = (0..20u32).prop_map(|n| (format!("t{n}"), vec![format!("t{n}")]));
    let quoted = (0..20u32).prop_map(|n| (format!("`d`.`t{n}`"), vec![format!("d.t{n}")]));
    let leaf = prop_oneof![table, quoted];
    let factor = leaf.prop_recursive(4, 24, 3, |inner| {
        let joined = (inner.clone(), inner.clone(), prop::sample::select(&["JOIN", ",", "STRAIGHT_JOIN"][..]));
        let conditions = ["", " WHERE a IN (1, 2) GROUP BY b, c", " ORDER BY TRIM(a FROM b), c LIMIT 1, 2"];
        let select = (inner.clone(), inner, prop::sample::select(conditions.to_vec()), any::<bool>());
        prop_oneof![
            joined.prop_map(|((a, mut t), (b, u), how)| {
                t.extend(u);
                (format!("({a} {how} {b})"), t)
            }),
            select.prop_map(|((a, mut t), (b, u), tail, union)| {
                t.extend(u);
                let other = if union {
                    format!(" UNION (SELECT x, y FROM {b})")
                } else {
                    format!(" HAVING EXISTS (SELECT 1 FROM {b})")
                };
                let (open, close) = if union { ("(", ")") } else { ("", "") };
                let tail = if union || !tail.contains("ORDER") { tail } else { "" };
                (format!("({open}SELECT EXTRACT(DAY FROM x), y FROM {a} AS a{tail}{close}{other}) AS d"), t)
            }),
        ]
    });
    factor.prop_map(|(factor, tables)| (format!("SELECT * FROM {factor}"), tables))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_query_names_the_tables_it_was_made_of((sql, tables) in query()) {
        prop_assert_eq!(named(&sql, MYSQL), tables.join(" "), "{}", sql);
        // As they are in a query, so they are where it is part of something else.
        prop_assert_eq!(named(&format!("INSERT INTO x {sql}"), MYSQL), format!("x {}", tables.join(" ")));
        let with = format!("WITH c AS ({sql}) SELECT * FROM c");
        prop_assert_eq!(named(&with, MYSQL), tables.join(" "), "{}", with);
    }

    #[test]
    fn bytes_never_panic(sql in prop::collection::vec(any::<u8>(), 0..200), mode in properties::modes()) {
        let _any = tables(&sql, mode);
    }

    #[test]
    fn soup_never_panics(sql in properties::soup(), mode in properties::modes()) {
        let _any = tables(sql.as_bytes(), mode);
        let _any = tables(format!("SELECT * FROM t {sql}").as_bytes(), mode);
    }
}
