use super::*;
use proptest::prelude::*;

fn state(schema: Option<&str>, settings: &[(&str, &str)]) -> SessionState {
    let mut state = SessionState::default();
    state.set_schema(schema.map(str::as_bytes));
    for (name, value) in settings {
        match *name {
            "names" => state.set_names(format!("NAMES {value}").as_bytes()),
            name if name.starts_with('@') => state.set_user_variable(name.as_bytes(), value.as_bytes()),
            name => state.set_variable(name.as_bytes(), value.as_bytes()),
        }
    }
    state
}

fn sql(plan: Plan) -> String {
    match plan {
        Plan::Nothing => "nothing".into(),
        Plan::LogInAgain => "log in again".into(),
        Plan::Apply(p) => {
            format!("{}{}", if p.reset { "RESET;" } else { "" }, String::from_utf8_lossy(&p.sql))
        }
    }
}

#[test]
fn plans() {
    let none = state(None, &[]);
    let app = state(Some("app"), &[]);
    let web = state(Some("app"), &[("names", "utf8mb4"), ("sql_mode", "''"), ("@x", "1")]);
    assert_eq!(sql(none.plan_to(&none)), "nothing");
    assert_eq!(sql(none.plan_to(&app)), "USE `app`;");
    assert_eq!(sql(app.plan_to(&none)), "log in again");
    assert_eq!(sql(app.plan_to(&web)), "SET NAMES utf8mb4;SET sql_mode='';SET @x=1;");
    assert_eq!(sql(none.plan_to(&web)), "SET NAMES utf8mb4;SET sql_mode='';SET @x=1;USE `app`;");
    assert_eq!(sql(web.plan_to(&app)), "RESET;USE `app`;");
    let other = state(Some("app"), &[("names", "latin1"), ("sql_mode", "''"), ("@x", "1")]);
    // Its value has the character set in which it was assigned.
    assert_eq!(sql(web.plan_to(&other)), "SET NAMES latin1;SET @x=1;");
    let compared = state(Some("app"), &[("names", "latin1"), ("collation_connection", "c"), ("@x", "1")]);
    let by_session = sql(state(Some("app"), &[("names", "latin1"), ("@x", "1")]).plan_to(&compared));
    assert_eq!(by_session, "SET collation_connection=c;SET @x=1;");
    let less = state(Some("b`c"), &[("names", "utf8mb4"), ("time_zone", "'+00:00'")]);
    assert_eq!(sql(web.plan_to(&less)), "RESET;SET NAMES utf8mb4;SET time_zone='+00:00';USE `b``c`;");
}

#[test]
fn charset_variables_follow_names() {
    let mut a = state(None, &[("names", "utf8mb4"), ("character_set_results", "NULL")]);
    let b = state(None, &[("names", "latin1"), ("character_set_results", "NULL")]);
    assert_eq!(sql(a.plan_to(&b)), "SET NAMES latin1;SET character_set_results=NULL;");
    a.set_names(b"NAMES utf8");
    assert_eq!(a, state(None, &[("names", "utf8")]));
    a.set_variable(b"collation_connection", b"utf8_bin");
    a.set_variable(b"character_set_connection", b"utf8");
    assert_eq!(a, state(None, &[("names", "utf8"), ("character_set_connection", "utf8")]));
}

#[test]
fn switches_add_up() {
    let mut state = SessionState::default();
    for (assigned, whole) in [
        ("'mrr=on'", "'default,mrr=on'"),
        ("'semijoin=off, MRR=off'", "'default,mrr=off,semijoin=off'"),
        ("'materialization=default'", "'default,materialization=default,mrr=off,semijoin=off'"),
        ("'default,mrr=on'", "'default,mrr=on'"),
        ("DEFAULT", "DEFAULT"),
        ("''", "'default'"),
    ] {
        state.set_variable(b"optimizer_switch", assigned.as_bytes());
        assert_eq!(state.get(b"optimizer_switch"), Some(whole.as_bytes()), "{assigned}");
    }
    state.set_variable(b"sql_big_selects", b"1");
    state.set_variable(b"max_join_size", b"2");
    assert_eq!(state.get(b"sql_big_selects"), None, "assigned along");
}

#[test]
fn what_was_set_can_be_asked_for() {
    let mut state = state(Some("app"), &[("names", "gbk"), ("TX_READ_ONLY", "1"), ("SQL_MODE", "'ANSI'"), ("@x", "7")]);
    assert_eq!(state.get(b"transaction_read_only"), Some(&b"1"[..]), "by its other name");
    assert_eq!(state.get(b"sql_mode"), Some(&b"'ANSI'"[..]));
    assert_eq!(state.get(b"@x"), Some(&b"7"[..]));
    assert_eq!(state.client_charset(), b"names gbk ");
    state.set_variable(b"character_set_client", b"BIG5");
    assert_eq!(state.client_charset(), b"names gbk big5");
    state.set_statement(b"transaction_isolation", b"SET SESSION TRANSACTION ..");
    assert_eq!(state.get(b"transaction_isolation"), Some(&b"SET SESSION TRANSACTION .."[..]));
}

#[test]
fn order_does_not_matter_and_aliases_are_one() {
    let a = state(None, &[("sql_mode", "''"), ("time_zone", "'+00:00'")]);
    let b = state(None, &[("TIME_ZONE", "'+01:00'"), ("SQL_MODE", "''"), ("time_zone", "'+00:00'")]);
    assert_eq!(sql(a.plan_to(&b)), "SET SQL_MODE='';");
    let mut c = state(None, &[("tx_isolation", "'SERIALIZABLE'")]);
    c.set_statement(b"transaction_isolation", b"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    assert_eq!(sql(state(None, &[]).plan_to(&c)), "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;");
}

#[test]
fn literals() {
    for (value, want) in [
        ("ON", Some("'ON'")),
        ("10", Some("10")),
        ("-1", Some("-1")),
        ("10.000000", Some("10.000000")),
        ("", Some("''")),
        ("+00:00", Some("'+00:00'")),
        ("a'b", None),
        ("a\\b", None),
        ("-", Some("'-'")),
        ("1.2.", Some("'1.2.'")),
    ] {
        assert_eq!(literal(value.as_bytes()).as_deref(), want.map(str::as_bytes), "{value}");
    }
}

/// A model server: applies the plan's items in order.
fn apply(model: &mut std::collections::BTreeMap<String, String>, plan: &Plan) {
    let Plan::Apply(prelude) = plan else { return };
    if prelude.reset {
        model.retain(|k, _| k == "schema");
    }
    for statement in String::from_utf8_lossy(&prelude.sql).split_terminator(';') {
        if let Some(schema) = statement.strip_prefix("USE ") {
            model.insert("schema".into(), schema.into());
        } else if let Some(list) = statement.strip_prefix("SET ") {
            for item in list.split(',') {
                match item.split_once('=') {
                    Some((name, value)) => model.insert(name.to_ascii_lowercase(), value.into()),
                    None => {
                        for variable in CHARSET_VARIABLES {
                            model.remove(&String::from_utf8_lossy(variable).into_owned());
                        }
                        model.insert("names".into(), item.into())
                    }
                };
            }
        }
    }
}

fn any_state() -> impl Strategy<Value = SessionState> {
    let names = ["names", "character_set_results", "sql_mode", "time_zone", "@x", "wait_timeout"];
    let setting = (0..names.len(), 0..3u8).prop_map(move |(n, v)| (names[n], v.to_string()));
    (0..2u8, proptest::collection::vec(setting, 0..6)).prop_map(|(schema, settings)| {
        let settings: Vec<(&str, &str)> = settings.iter().map(|(n, v)| (*n, v.as_str())).collect();
        state(Some(if schema == 0 { "a" } else { "b" }), &settings)
    })
}

proptest! {
    #[test]
    fn a_plan_always_arrives(from in any_state(), to in any_state()) {
        let start = state(None, &[]);
        let (mut there, mut direct) = Default::default();
        apply(&mut there, &start.plan_to(&from));
        apply(&mut there, &from.plan_to(&to));
        apply(&mut direct, &start.plan_to(&to));
        prop_assert_eq!(there, direct);
        prop_assert_eq!(to.plan_to(&to), Plan::Nothing);
    }
}
