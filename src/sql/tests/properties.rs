//! What must hold for any input.

use proptest::prelude::*;

use super::*;

pub(super) fn modes() -> impl Strategy<Value = Mode> {
    any::<[bool; 4]>().prop_map(|[ansi_quotes, no_backslash_escapes, ambiguous_charset, mariadb]| Mode {
        ansi_quotes,
        no_backslash_escapes,
        ambiguous_charset,
        mariadb,
    })
}

const TOKENS: &[&str] = &[
    "SELECT",
    "1",
    "FROM",
    "t",
    "WHERE",
    "a",
    "=",
    "'x'",
    ",",
    "(",
    ")",
    "FOR",
    "UPDATE",
    "INTO",
    "@v",
    "@@v",
    ":=",
    "SET",
    "DELETE",
    "INSERT",
    "/*",
    "*/",
    "/*!",
    "/*!80000",
    "/*M!",
    "--",
    "#",
    "\n",
    ";",
    "'",
    "\"",
    "`",
    "\\",
    ".",
    "1e5",
    ".5",
    "GET_LOCK",
    "f",
    "COUNT",
    "WITH",
    "AS",
    "c",
    "UNION",
    "LOCK",
    "IN",
    "SHARE",
    "EXPLAIN",
    "ANALYZE",
    "SHOW",
    "TABLES",
    "BEGIN",
    "COMMIT",
    "é",
    "GLOBAL",
    "NAMES",
    "TRANSACTION",
    "STATEMENT",
    "CALL",
    "0x1",
    "$$",
    "\0",
    "\u{a0}",
    "DO",
];

pub(super) fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec((prop::sample::select(TOKENS), any::<bool>()), 0..24).prop_map(|tokens| {
        let spaced = tokens.iter().map(|(token, gap)| {
            let gap = if *gap { " " } else { "" };
            format!("{token}{gap}")
        });
        spaced.collect::<Vec<_>>().concat()
    })
}

const STATEMENTS: &[&str] = &[
    "SELECT a , b FROM t WHERE c = 'x;y' ORDER BY d",
    "SELECT COUNT( * ) FROM t",
    "SELECT a FROM t FOR UPDATE",
    "SELECT a INTO @x FROM t",
    "SELECT f ( 1 ) FROM t",
    "SELECT LAST_INSERT_ID ( 5 )",
    "WITH c AS ( SELECT 1 ) UPDATE t SET a = 1",
    "WITH c ( x ) AS ( SELECT 1 ) SELECT * FROM c",
    "INSERT INTO t ( a ) VALUES ( 1 )",
    "UPDATE t SET a = 'b' WHERE c = 1",
    "DELETE FROM t WHERE a = 1",
    "CREATE TABLE t ( a INT )",
    "CALL p ( 1 )",
    "LOCK TABLES t READ",
    "START TRANSACTION READ ONLY",
    "COMMIT AND NO CHAIN",
    "SET SESSION a = 1 , b = 'x'",
    "USE shop",
    "SHOW FULL PROCESSLIST",
    "EXPLAIN SELECT 1",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn bytes_never_panic(sql in prop::collection::vec(any::<u8>(), 0..200), mode in modes()) {
        let _any = classify(&sql, mode);
    }

    #[test]
    fn token_soup_never_panics_and_keeps_writes(sql in soup(), mode in modes()) {
        let found = classify(sql.as_bytes(), mode);
        if found.parts == Parts::Multi {
            prop_assert_eq!(found.semicolons, Semicolons::Between, "{}", sql);
        }
        for verb in ["DELETE FROM t WHERE ", "INSERT INTO t ", "UPDATE t SET a = ", "CALL ", "DROP "] {
            let whole = format!("{verb}{sql}");
            prop_assert!(!classify(whole.as_bytes(), mode).is_read(), "{whole}");
        }
    }

    #[test]
    fn anything_after_a_semicolon_counts(sql in soup(), mode in modes()) {
        // If the head is readable by itself, a write behind it is never lost.
        if classify(sql.as_bytes(), mode).is_read() {
            let whole = format!("{sql}\n; DELETE FROM t");
            prop_assert!(!classify(whole.as_bytes(), mode).is_read(), "{whole}");
            let whole = format!("DELETE FROM t; {sql}");
            prop_assert!(!classify(whole.as_bytes(), mode).is_read(), "{whole}");
        }
    }

    #[test]
    fn blanks_and_case_do_not_matter(
        index in 0..STATEMENTS.len(),
        blanks in prop::collection::vec(
            prop::sample::select(&[" ", "\n", "\t ", " /* x */ ", " -- y\n", " # z\n", "/**/ "][..]),
            40,
        ),
        upper in any::<bool>(),
    ) {
        let sql = STATEMENTS[index];
        let words: Vec<&str> = sql.split(' ').collect();
        let mut changed = String::new();
        for (word, blank) in words.iter().zip(&blanks) {
            let quoted = word.contains('\'') || word.contains('@');
            changed += &match (quoted, upper) {
                (true, _) => (*word).to_owned(),
                (false, true) => word.to_ascii_uppercase(),
                (false, false) => word.to_ascii_lowercase(),
            };
            changed += blank;
        }
        let (before, after) = (classify(sql.as_bytes(), MYSQL), classify(changed.as_bytes(), MYSQL));
        prop_assert_eq!(label(&before.kind), label(&after.kind), "{}", changed);
        prop_assert_eq!(before.traits, after.traits, "{}", changed);
    }

    #[test]
    fn executable_comments_keep_writes(
        index in 0..STATEMENTS.len(),
        open in prop::sample::select(&["/*!", "/*!40101", "/*!80000", "/*M!", "/*M!100100", "/*!999999"][..]),
    ) {
        let plain = classify(STATEMENTS[index].as_bytes(), MYSQL);
        let whole = format!("{open} {} */", STATEMENTS[index]);
        let wrapped = classify(whole.as_bytes(), MYSQL);
        prop_assert_eq!(plain.is_read(), wrapped.is_read(), "{}", whole);
    }
}
