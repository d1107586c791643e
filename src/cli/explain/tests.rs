use super::*;
use crate::cli::explain::show;
use crate::cli::paint::Paint;
use crate::config;
use std::path::Path;

const FILE: &str = "region = 'eu'\n[[server]]\nname = 'west'\naddress = 'w'\nrole = 'primary'\nregion = 'us'\n\
    [[server]]\nname = 'near'\naddress = 'n'\nrole = 'replica'\nregion = 'eu'\n\
    [[user]]\nname = 'app'\npassword = 'x'\n[[user]]\nname = 'batch'\npassword = 'x'\npool_mode = 'session'\n\
    [route]\nread_functions = ['shop.total']\n\
    [[rule]]\nuser = 'app'\ntable = 'stock'\nread = 'primary'\n\
    [[rule]]\nschema = 'shop'\ntable = 'carts'\nmax_lag = '500ms'\non_empty = 'primary'\n";

fn wish(user: &str, schema: &str) -> Wish {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Wish { user: some(user), schema: some(schema), ..Wish::default() }
}

fn with_file(sql: &str, wish: &Wish, more: &str) -> Answer {
    let text = format!("{FILE}{more}");
    let settings = config::parse(&text, "proxy.toml", Path::new(""), &|_| None).unwrap_or_else(|e| panic!("{e}"));
    answer(sql, wish, &Scene::with(wish, &settings).expect("a scene"))
}

#[test]
fn without_a_file() {
    let (plain, written) = (Wish::default(), Wish { after_write: true, ..Wish::default() });
    let begun = Wish { in_transaction: Some(Begun::Plain), ..Wish::default() };
    for (sql, wish, route, reason, trips, pin) in [
        ("SELECT * FROM t", &plain, "replica", "read", 0, ""),
        ("SELECT * FROM t", &written, "replica", "read_after_wait", 0, ""),
        ("SELECT 1", &written, "replica", "read", 0, ""),
        ("SELECT * FROM t", &begun, "primary", "in_transaction", 1, ""),
        ("/* landbridge: primary */ SELECT * FROM t", &plain, "primary", "hint", 1, ""),
        ("INSERT INTO t VALUES (1)", &plain, "primary", "insert", 1, ""),
        ("SELECT total(1)", &plain, "primary", "user_function", 1, "stored_code"),
        ("SELECT GET_LOCK('a', 1)", &plain, "primary", "side_effect_function", 1, "named_lock"),
        ("SELECT CONNECTION_ID(), a FROM t", &plain, "primary", "server_local", 1, "connection_id"),
        ("SELECT 1; DELETE FROM t", &plain, "primary", "multi", 1, ""),
        ("BEGIN", &plain, "landbridge", "", 0, ""),
        ("START TRANSACTION READ WRITE", &plain, "primary", "in_transaction", 1, ""),
        ("COMMIT", &plain, "landbridge", "", 0, ""),
        ("COMMIT", &begun, "primary", "in_transaction", 1, ""),
        ("SET sql_mode = 'ANSI'", &plain, "landbridge", "", 0, ""),
        ("SET GLOBAL max_connections = 5", &plain, "primary", "admin", 1, ""),
        ("SELECT FOUND_ROWS()", &plain, "landbridge", "", 0, ""),
        ("SELECT FOUND_ROWS() + 1", &plain, "landbridge", "", 0, ""),
        ("INSERT INTO t VALUES (ROW_COUNT())", &begun, "primary", "in_transaction", 1, ""),
        ("SELECT CONNECTION_ID()", &plain, "landbridge", "", 0, ""),
        ("SELECT CONNECTION_ID()", &begun, "landbridge", "", 0, ""),
        ("SELECT @@landbridge_version, @@landbridge_token", &plain, "landbridge", "", 0, ""),
        ("SET @@landbridge_token = 'x'", &plain, "landbridge", "", 0, ""),
        ("KILL 1073741825", &plain, "landbridge", "", 0, ""),
        ("KILL QUERY 1073741825", &begun, "landbridge", "", 0, ""),
        ("KILL 12", &plain, "primary", "admin", 1, ""),
        ("KILL USER app", &plain, "primary", "admin", 1, ""),
        ("SET @x = NOW()", &plain, "primary", "admin", 1, "user_variable,session_variable"),
        ("SET sql_mode = CONCAT(@@sql_mode, ',ANSI')", &begun, "primary", "in_transaction", 1, "session_variable"),
        ("", &plain, "landbridge", "", 0, ""),
        (" ; ", &begun, "landbridge", "", 0, ""),
        ("/* x */", &plain, "replica", "read", 0, ""),
    ] {
        let told = answer(sql, wish, &Scene::without_file(wish));
        let pins: Vec<&str> = told.pins.iter().map(|(name, ..)| *name).collect();
        let seen = (told.route, told.reason.unwrap_or_default(), told.round_trips, &*pins.join(","));
        assert_eq!(seen, (route, reason, trips, pin), "{sql}");
        assert!(told.reason.is_some() || !told.meaning.is_empty(), "{sql}");
    }
}

#[test]
fn transactions_that_read_on_a_replica() {
    let more = "[[rule]]\nschema = 'shop'\ntransactions = 'optimistic'\n";
    for (sql, user, schema, route, reason) in [
        ("SELECT * FROM t", "app", "shop", "replica", "optimistic"),
        ("SAVEPOINT a", "app", "shop", "replica", "optimistic"),
        ("SELECT * FROM t", "app", "blog", "primary", "in_transaction"),
        ("/* landbridge: transactions=optimistic */ SELECT * FROM t", "app", "blog", "replica", "optimistic"),
        ("/* landbridge: transactions=primary */ SELECT * FROM t", "app", "shop", "primary", "in_transaction"),
        ("SELECT * FROM t WHERE x < NOW()", "app", "shop", "primary", "in_transaction"),
        ("SELECT * FROM stock", "app", "shop", "primary", "in_transaction"),
        ("SELECT * FROM t", "batch", "shop", "primary", "in_transaction"),
        ("UPDATE t SET a = 1", "app", "shop", "primary", "in_transaction"),
        ("SET sql_mode = 'ANSI'", "app", "shop", "primary", "in_transaction"),
        ("USE blog", "app", "shop", "primary", "in_transaction"),
        ("SELECT CONNECTION_ID(), a FROM t", "app", "shop", "primary", "in_transaction"),
        ("COMMIT", "app", "shop", "landbridge", ""),
        ("BEGIN", "app", "shop", "landbridge", ""),
        ("BEGIN", "app", "blog", "primary", "in_transaction"),
    ] {
        let wish = Wish { in_transaction: Some(Begun::Plain), ..wish(user, schema) };
        let told = with_file(sql, &wish, more);
        assert_eq!((told.route, told.reason.unwrap_or_default()), (route, reason), "{sql} by {user} in {schema}");
    }
}

#[test]
fn transactions_that_say_that_they_only_read() {
    for (sql, user, route, reason) in [
        ("SELECT * FROM t", "app", "replica", "optimistic"),
        ("/* landbridge: transactions=primary */ SELECT * FROM t", "app", "primary", "in_transaction"),
        ("SELECT * FROM t", "batch", "primary", "in_transaction"),
        ("UPDATE t SET a = 1", "app", "primary", "in_transaction"),
        ("COMMIT", "app", "landbridge", ""),
    ] {
        let begun = Wish { in_transaction: Some(Begun::ReadOnly), ..wish(user, "shop") };
        let told = with_file(sql, &begun, "");
        assert_eq!((told.route, told.reason.unwrap_or_default()), (route, reason), "{sql} by {user}");
    }
    let begun = Wish { in_transaction: Some(Begun::ReadOnly), ..Wish::default() };
    let told = answer("SELECT * FROM t", &begun, &Scene::without_file(&begun));
    assert_eq!(told.reason, Some("optimistic"), "without a file");
    let told = with_file("SELECT * FROM t", &begun, "");
    assert!(told.notes.join(" ").contains("READ ONLY"), "{:?}", told.notes);
}

#[test]
fn with_rules_functions_and_modes_of_the_file() {
    for (sql, user, schema, server, reason, rule) in [
        ("SELECT * FROM stock", "app", "", "west", "rule", 1),
        ("/* landbridge: replica */ SELECT * FROM stock", "app", "", "near", "read", 1),
        ("SELECT * FROM stock", "", "", "near", "read", 0),
        ("SELECT * FROM carts", "app", "shop", "near", "read", 2),
        ("SELECT * FROM carts", "app", "", "near", "read", 0),
        ("SELECT * FROM carts", "batch", "shop", "west", "session_mode", 2),
        ("SELECT total(1)", "app", "shop", "near", "read", 0),
        ("SELECT total(1)", "app", "", "west", "user_function", 0),
        ("SELECT * FROM user", "app", "mysql", "west", "server_local", 0),
    ] {
        let told = with_file(sql, &wish(user, schema), "");
        let number = told.rule.as_ref().map_or(0, |(number, _)| *number);
        let seen = (told.server.as_deref(), told.reason, number);
        assert_eq!(seen, (Some(server), Some(reason), rule), "{sql} {user} {schema}");
    }
    let told = with_file("SELECT * FROM carts", &wish("app", "shop"), "");
    assert_eq!(
        told.rule.expect("a rule").1,
        "schema = \"shop\", table = \"carts\", max_lag = \"500ms\", on_empty = \"primary\""
    );
    assert!(told.unless.is_some_and(|more| more.contains("no row")) && told.notes.join(" ").contains("500ms"));
}

#[test]
fn the_scope_and_its_patience_count() {
    let wish = Wish { after_write: true, ..wish("app", "") };
    for (more, reason) in [
        ("", "read_after_wait"),
        ("[consistency]\nscope = 'off'\n", "read"),
        ("[consistency]\nwait = '0s'\n", "replica_behind"),
    ] {
        assert_eq!(with_file("SELECT * FROM t", &wish, more).reason, Some(reason), "{more}");
    }
}

#[test]
fn for_people_and_for_programs() {
    let told = with_file("SELECT * FROM stock", &wish("app", ""), "");
    let text = show::text("SELECT *\n FROM\x1b[2J stock", &told, Paint::Off);
    assert!(!text.contains('\x1b') && text.contains("statement    SELECT * FROM?[2J stock"), "{text}");
    for part in ["route        primary (west)", "reason       rule: ", "[[rule]] 1 of the file: user = \"app\""] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(show::text("", &told, Paint::On).contains('\x1b'));
    let told: serde_json::Value = serde_json::from_str(&show::json("SELECT 1", &told)).expect("JSON");
    assert_eq!(
        (&told["route"], &told["rule"]["number"], &told["round_trips"]),
        (&"primary".into(), &1.into(), &1.into())
    );
}

#[test]
fn a_user_who_is_not_listed_is_a_fault() {
    let settings = config::parse(FILE, "proxy.toml", Path::new(""), &|_| None).unwrap_or_else(|e| panic!("{e}"));
    let why = Scene::with(&wish("nobody", ""), &settings).expect_err("not listed");
    assert!(why.contains("nobody") && why.contains("app, batch"), "{why}");
}
