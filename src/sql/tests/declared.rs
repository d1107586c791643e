//! Functions that are declared to only read.

use super::*;
use std::sync::Arc;

fn label_knowing(functions: &[&str], schema: &str, sql: &str, mode: Mode) -> &'static str {
    let names: Vec<String> = functions.iter().map(ToString::to_string).collect();
    let functions = Arc::new(ReadFunctions::new(&names));
    let schema = (!schema.is_empty()).then_some(schema.as_bytes());
    let found = classify_knowing(sql.as_bytes(), mode, &functions, schema);
    if found.is_read() {
        let traits = found.traits;
        assert!(traits.contains(Traits::CALLS_READ_FUNCTION) != traits.contains(Traits::TABLE_FREE), "{sql}");
        assert!(!traits.contains(Traits::CALLS_STORED_CODE), "{sql}");
    }
    label(&found.kind)
}

#[test]
fn declared_functions_are_known_by_schema_and_name() {
    for (functions, schema, sql, want) in [
        (&["total"][..], "", "SELECT total(1)", "read"),
        (&["total"], "", "SELECT TOTAL (1) FROM t", "read"),
        (&["total"], "", "SELECT `total`(1)", "read"),
        (&["total"], "", "SELECT shop.total(1)", "read"),
        (&["total"], "", "SELECT totals(1)", "user_function"),
        (&["shop.total"], "", "SELECT shop.total(1)", "read"),
        (&["shop.total"], "", "SELECT `shop` . `Total` (1)", "read"),
        (&["shop.total"], "", "SELECT/**/shop./**/total/**/(1)", "read"),
        (&["shop.total"], "", "SELECT Shop.total(1)", "user_function"),
        (&["shop.total"], "", "SELECT other.total(1)", "user_function"),
        (&["shop.total"], "", "SELECT total(1)", "user_function"),
        (&["shop.total"], "shop", "SELECT total(1)", "read"),
        (&["shop.total"], "other", "SELECT total(1)", "user_function"),
        (&["shop.total"], "shop", "SELECT other.total(1)", "user_function"),
        // Within something with one more name in front: a package, or nothing a server understands.
        (&["shop.total"], "shop", "SELECT a.shop.total(1)", "user_function"),
        (&["shop.total"], "shop", "SELECT a. shop.total(1)", "user_function"),
        (&["shop.total"], "shop", "SELECT a . shop . total(1)", "user_function"),
        (&["total", "tax"], "", "SELECT total(tax(1)) FROM t", "read"),
        (&["total"], "", "SELECT total(1), tax(1)", "user_function"),
        (&["total"], "", "SELECT total(id) FROM t FOR UPDATE", "locking_read"),
        (&["total"], "", "SELECT total(id) INTO @x", "into_variable"),
        (&["total"], "", "SELECT total(id), GET_LOCK('a', 1)", "side_effect_function"),
        // What is no read either way stays what it was.
        (&["total"], "", "SELECT @@hostname, total(1)", "user_function"),
        (&["total"], "", "SELECT @a := total(1)", "user_function"),
        (&["total"], "", "INSERT INTO t VALUES (total(1))", "insert"),
        (&["total"], "", "DO total(1)", "do"),
        (&["total"], "", "CALL total(1)", "call"),
        (&["total"], "shop", "USE other; SELECT total(1)", "multi"),
        // No declaration makes something harmless of what has a meaning of its own.
        (&["get_lock"], "", "SELECT GET_LOCK('a', 1)", "side_effect_function"),
        (&["sleep"], "", "SELECT 1", "read"),
        (&["total"], "", "SELECT 'total(1)', tax(1)", "user_function"),
        (&["total"], "", "SELECT total(1) /*!99999 , tax(2) */", "user_function"),
    ] {
        for mode in [MYSQL, MARIADB] {
            assert_eq!(label_knowing(functions, schema, sql, mode), want, "{functions:?} {schema} {sql}");
        }
    }
}

#[test]
fn nothing_declared_changes_nothing() {
    for sql in ["SELECT 1", "SELECT total(1)", "INSERT INTO t VALUES (total(1))", ""] {
        let none = Arc::default();
        assert_eq!(classify_knowing(sql.as_bytes(), MYSQL, &none, Some(b"shop")), classify(sql.as_bytes(), MYSQL));
    }
}
