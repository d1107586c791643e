//! `[[rule]]`, and the table of a heartbeat.

use std::time::Duration;

use super::{LEAST, faults, settings, warnings};
use crate::config::{OnEmpty, ReadFrom, Rule, RuleTable, Transactions};

fn with(rules: &str) -> String {
    format!("{LEAST}\n{rules}")
}

#[test]
fn rules_keep_their_order() {
    let rules = r#"
        [[rule]]
        user = "app"
        schema = "shop"
        table = ["orders", "stock.items"]
        read = "replica"
        max_lag = "500ms"
        on_empty = "primary"
        [[rule]]
        table = "carts"
        read = "primary"
        [[rule]]
        schema = "shop"
        transactions = "optimistic"
    "#;
    let table = |schema: Option<&str>, name: &str| RuleTable { schema: schema.map(Into::into), name: name.into() };
    let found = settings(&with(rules));
    let first = Rule {
        user: Some("app".into()),
        schema: Some("shop".into()),
        tables: vec![table(None, "orders"), table(Some("stock"), "items")],
        read: Some(ReadFrom::Replica),
        max_lag: Some(Duration::from_millis(500)),
        on_empty: Some(OnEmpty::Primary),
        transactions: None,
    };
    let second = Rule {
        user: None,
        schema: None,
        tables: vec![table(None, "carts")],
        read: Some(ReadFrom::Primary),
        max_lag: None,
        on_empty: None,
        transactions: None,
    };
    let transactions = Some(Transactions::Optimistic);
    let third = Rule { schema: Some("shop".into()), tables: Vec::new(), read: None, transactions, ..second.clone() };
    assert_eq!(found.rules, [first, second, third]);
    assert_eq!(found.warnings, []);
    assert_eq!(settings(LEAST).rules, []);
    assert_ne!(found.fingerprint(), settings(LEAST).fingerprint());
}

#[test]
fn faults_are_all_told_with_their_lines() {
    let told = faults(&with(
        "[[rule]]\nuser = \"app\"\n[[rule]]\nread = \"primary\"\n[[rule]]\ntables = \"t\"\nread = \"replca\"\n\
         max_lag = \"0s\"\non_empty = \"replica\"\n[[rule]]\ntable = []\nmax_lag = \"1s\"\n\
         [[rule]]\ntable = [\"a.b.c\", \"\", \"a..b\"]\nmax_lag = \"1s\"\n\
         [[rule]]\ntable = \"t\"\ntransactions = \"optimistic\"\n[[rule]]\nuser = \"app\"\ntransactions = \"optimist\"\n",
    ));
    let parts = [
        "proxy.toml:11",
        "[[rule]] #1",
        "no effect",
        "write read, max_lag, on_empty or transactions",
        "proxy.toml:13",
        "no condition",
        "write user, schema or table",
        "did you mean table?",
        "did you mean \"replica\"?",
        "longer than zero",
        "write \"primary\"",
        "no table",
        "not the name of a table",
        "proxy.toml:28",
        "transactions = \"optimistic\": not together with table; write user or schema, or a rule of its own",
        "proxy.toml:31",
        "did you mean \"optimistic\"?",
    ];
    for part in parts {
        assert!(told.contains(part), "{part} missing in\n{told}");
    }
    assert_eq!(told.matches("not the name of a table").count(), 3, "{told}");
}

#[test]
fn a_heartbeat_is_a_table_with_its_schema() {
    let with = |table: &str| format!("{LEAST}\n[monitor]\nheartbeat = \"{table}\"\n");
    let found = settings(&with("percona.heartbeat")).monitor.heartbeat;
    assert_eq!(found, Some(("percona".to_owned(), "heartbeat".to_owned())));
    assert_eq!(settings(LEAST).monitor.heartbeat, None);
    for table in ["heartbeat", "a.b.c", ".b", "a.`b`"] {
        assert!(faults(&with(table)).contains("not a table with its schema; write it like"), "{table}");
    }
}

#[test]
fn what_is_odd_is_warned_of() {
    let odd =
        warnings(&with("[[rule]]\nuser = \"ap\"\nread = \"primary\"\nmax_lag = \"1s\"\non_empty = \"primary\"\n"));
    assert_eq!(odd.len(), 3, "{odd:?}");
    assert!(odd[0].contains("did you mean \"app\"?"), "{odd:?}");
    assert!(odd[1].contains("has no effect on reads that go to the primary"), "{odd:?}");
    // Whom a server lets in, nobody knows beforehand.
    let passthrough = format!("auth = \"passthrough\"\n{}", with("[[rule]]\nuser = \"ap\"\nread = \"primary\"\n"));
    assert_eq!(warnings(&passthrough), [""; 0]);
}
