//! What a client has set on its session, and how to bring a backend connection to it.
//!
//! A session's state is a schema and a list of settings, each the text of the assignment as the
//! client (or the server's session tracker) gave it. Settings are kept in a canonical order, so
//! that two clients who said the same things in another order share connections.

use std::cmp::Ordering;

/// One assignment that a fresh connection needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    key: Box<[u8]>,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// Part of a `SET` list: `sql_mode='ANSI'`, `NAMES utf8mb4`, `@x=1`.
    Item {
        /// The whole of it.
        sql: Box<[u8]>,
        /// Where its value begins; 0 for those that have none but their own words.
        value: usize,
    },
    /// A `SET` statement of its own: `SET SESSION TRANSACTION ..`.
    Statement(Box<[u8]>),
}

impl Form {
    fn assignment(name: &[u8], value: &[u8]) -> Self {
        Self::Item { sql: [name, b"=", value].concat().into(), value: name.len() + 1 }
    }
}

/// What must hold on a connection before a session's statement may run there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionState {
    schema: Option<Box<[u8]>>,
    settings: Vec<Setting>,
}

/// How to change one state into another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// They are the same.
    Nothing,
    /// Run these statements, after a reset if something must be unset.
    Apply(Prelude),
    /// No statement does it: a default schema cannot be unset. Log in anew.
    LogInAgain,
}

/// Statements to run ahead of a client's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prelude {
    /// Whether the connection's session must be reset first.
    pub reset: bool,
    /// Statements, each closed by `;`.
    pub sql: Vec<u8>,
    /// How many there are.
    pub statements: usize,
}

impl Prelude {
    /// Adds a statement.
    pub fn push(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.sql.extend_from_slice(part);
        }
        self.sql.push(b';');
        self.statements += 1;
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        !self.reset && self.statements == 0
    }
}

/// The variables that `SET NAMES` and `SET CHARACTER SET` assign.
const CHARSET_VARIABLES: [&[u8]; 4] =
    [b"character_set_client", b"character_set_connection", b"character_set_results", b"collation_connection"];
/// The key under which `SET NAMES` and `SET CHARACTER SET` are kept; sorts before every variable.
const NAMES: &[u8] = b" names";

/// The value of `optimizer_switch` after `'a=off,b=on'` was assigned to one of that kind: all switches
/// that were set, each as it was set last, ahead of them the default for all others. `None` if the new
/// value is not of that kind.
fn switches(before: Option<&[u8]>, assigned: &[u8]) -> Option<Vec<u8>> {
    let list = |value: &[u8]| -> Option<Vec<(String, String)>> {
        let inner = value.strip_prefix(b"'")?.strip_suffix(b"'")?;
        let text = std::str::from_utf8(inner).ok()?.to_ascii_lowercase();
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let pair = |item: &str| match item.split_once('=') {
            Some((name, value)) => Some((name.trim().to_owned(), value.trim().to_owned())),
            None => (item == "default").then(|| (item.to_owned(), String::new())),
        };
        items.map(pair).collect()
    };
    let mut switches = before.and_then(list).unwrap_or_default();
    for (name, value) in list(assigned)? {
        if name == "default" {
            switches.clear();
        }
        switches.retain(|(known, _)| *known != name);
        switches.push((name, value));
    }
    switches.retain(|(name, _)| name != "default");
    switches.sort();
    let switches = switches.into_iter().map(|(name, value)| format!(",{name}={value}"));
    Some(format!("'default{}'", switches.collect::<String>()).into_bytes())
}

impl SessionState {
    /// The default schema.
    pub fn schema(&self) -> Option<&[u8]> {
        self.schema.as_deref()
    }

    /// Changes the default schema.
    pub fn set_schema(&mut self, schema: Option<&[u8]>) {
        self.schema = schema.map(Into::into);
    }

    /// Records `SET name = value`; `name` without sigils, `value` as SQL that means the same anywhere.
    pub fn set_variable(&mut self, name: &[u8], value: &[u8]) {
        let key = canonical_name(name);
        // These two assign each other; the later one wins.
        match &key[..] {
            b"character_set_connection" => self.remove(b"collation_connection"),
            b"collation_connection" => self.remove(b"character_set_connection"),
            // It assigns the other.
            b"max_join_size" => self.remove(b"sql_big_selects"),
            // It changes the switches that it names.
            b"optimizer_switch" => {
                if let Some(whole) = switches(self.get(&key), value) {
                    return self.put(Setting { key, form: Form::assignment(name, &whole) });
                }
            }
            _ => {}
        }
        self.put(Setting { key, form: Form::assignment(name, value) });
    }

    /// Records `SET @name = value`; `name` as written, with its `@` and quotes.
    pub fn set_user_variable(&mut self, name: &[u8], value: &[u8]) {
        self.put(Setting { key: name.to_ascii_lowercase().into(), form: Form::assignment(name, value) });
    }

    /// Records `SET NAMES ..` or `SET CHARACTER SET ..` (`item` is what follows `SET`).
    pub fn set_names(&mut self, item: &[u8]) {
        for variable in CHARSET_VARIABLES {
            self.remove(variable);
        }
        self.put(Setting { key: NAMES.into(), form: Form::Item { sql: item.into(), value: 0 } });
    }

    /// Records a `SET` statement that stands alone, replacing what `key` held before.
    pub fn set_statement(&mut self, key: &[u8], statement: &[u8]) {
        self.put(Setting { key: canonical_name(key), form: Form::Statement(statement.into()) });
    }

    /// What decides how a statement's text is understood when it is prepared: schema, character set
    /// and `sql_mode`, taken over from `other`. `sql_mode` is what a session has that sets none.
    #[must_use]
    pub fn reading_like(&self, other: &Self, sql_mode: &str) -> Self {
        let mut like = self.clone();
        like.schema.clone_from(&other.schema);
        for key in CHARSET_VARIABLES.into_iter().chain([NAMES, b"sql_mode"]) {
            match other.settings.iter().find(|s| *s.key == *key) {
                Some(setting) => like.put(setting.clone()),
                None if key == b"sql_mode" && like.get(key).is_some() => {
                    like.set_variable(key, &literal(sql_mode.as_bytes()).unwrap_or_default());
                }
                None => like.remove(key),
            }
        }
        like
    }

    /// How much text it takes to set all this, about, in bytes.
    pub fn size(&self) -> usize {
        let texts = self.settings.iter().map(|setting| match &setting.form {
            Form::Item { sql, .. } | Form::Statement(sql) => sql.len(),
        });
        self.schema().map_or(0, <[u8]>::len) + texts.sum::<usize>()
    }

    /// Whether user variables are part of the state.
    pub fn has_user_variables(&self) -> bool {
        self.settings.iter().any(|s| s.key.starts_with(b"@"))
    }

    /// The text of a setting, if it was set.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let setting = self.settings.iter().find(|s| *s.key == *name)?;
        match &setting.form {
            Form::Item { sql, value } => sql.get(*value..),
            Form::Statement(sql) => Some(sql),
        }
    }

    /// What was said of the character set that the client speaks, in lower case.
    pub fn client_charset(&self) -> Vec<u8> {
        let said = [NAMES, CHARSET_VARIABLES[0]].map(|name| self.get(name).unwrap_or_default());
        said.join(&b' ').to_ascii_lowercase()
    }

    fn remove(&mut self, key: &[u8]) {
        self.settings.retain(|s| *s.key != *key);
    }

    fn put(&mut self, setting: Setting) {
        match self.settings.binary_search_by(|s| s.key.cmp(&setting.key)) {
            Ok(at) => self.settings[at] = setting,
            Err(at) => self.settings.insert(at, setting),
        }
    }

    /// What brings a connection in state `self` to state `wanted`.
    pub fn plan_to(&self, wanted: &Self) -> Plan {
        if self == wanted {
            return Plan::Nothing;
        }
        if self.schema.is_some() && wanted.schema.is_none() {
            return Plan::LogInAgain;
        }
        let (changed, reset) = self.changes_to(wanted);
        let changed = if reset { wanted.settings.iter().collect() } else { changed };
        let mut prelude = Prelude { reset, ..Prelude::default() };
        push_settings(&mut prelude, &changed);
        // A reset leaves the schema, but forgets what character set it has.
        let chosen = |schema: &&[u8]| !reset && self.schema.as_deref() == Some(*schema);
        if let Some(schema) = wanted.schema.as_deref().filter(|schema| !chosen(schema)) {
            prelude.push(&[b"USE ", &quote_identifier(schema)]);
        }
        Plan::Apply(prelude)
    }

    /// As [`Self::plan_to`], by way of a reset, which leaves nothing but the schema.
    pub fn plan_from_reset(&self, wanted: &Self) -> Plan {
        if self.schema.is_some() && wanted.schema.is_none() {
            return Plan::LogInAgain;
        }
        match Self::default().plan_to(wanted) {
            Plan::Apply(prelude) => Plan::Apply(Prelude { reset: true, ..prelude }),
            _ => Plan::Apply(Prelude { reset: true, ..Prelude::default() }),
        }
    }

    /// Settings to apply, and whether one must be unset. Both lists are sorted: merge them.
    fn changes_to<'a>(&self, wanted: &'a Self) -> (Vec<&'a Setting>, bool) {
        let mut ours = self.settings.iter().peekable();
        let mut changed = Vec::new();
        let mut names_change = false;
        for want in &wanted.settings {
            if ours.peek().is_some_and(|have| have.key < want.key) {
                return (changed, true);
            }
            let have = ours.next_if(|have| have.key == want.key);
            // SET NAMES assigns the charset variables, so those must follow it again.
            let follows = names_change && CHARSET_VARIABLES.contains(&&*want.key);
            if have != Some(want) || follows {
                names_change |= *want.key == *NAMES;
                changed.push(want);
            }
        }
        (changed, ours.next().is_some())
    }
}

fn push_settings(prelude: &mut Prelude, settings: &[&Setting]) {
    // The character set decides how the literals behind it are read: it goes ahead of them.
    let (names, others): (Vec<&Setting>, Vec<&Setting>) = settings.iter().partition(|s| *s.key == *NAMES);
    for setting in &names {
        if let Form::Item { sql, .. } = &setting.form {
            prelude.push(&[b"SET ", sql]);
        }
    }
    let mut list = Vec::new();
    for setting in others {
        if let Form::Item { sql, .. } = &setting.form {
            list.extend_from_slice(if list.is_empty() { b"SET " } else { b"," });
            list.extend_from_slice(sql);
        }
    }
    if !list.is_empty() {
        prelude.push(&[&list]);
    }
    for setting in settings {
        if let Form::Statement(sql) = &setting.form {
            prelude.push(&[sql]);
        }
    }
}

/// Lower case, and one name for variables that have two.
fn canonical_name(name: &[u8]) -> Box<[u8]> {
    let lower = name.to_ascii_lowercase();
    match &lower[..] {
        b"tx_isolation" => b"transaction_isolation"[..].into(),
        b"tx_read_only" => b"transaction_read_only"[..].into(),
        _ => lower.into(),
    }
}

/// `name` in backticks.
pub fn quote_identifier(name: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'`'];
    for &byte in name {
        if byte == b'`' {
            quoted.push(b'`');
        }
        quoted.push(byte);
    }
    quoted.push(b'`');
    quoted
}

/// `value` as an SQL literal a server accepts back for a variable it reported.
///
/// Numbers stay bare, because numeric variables refuse strings. The form has no backslash escapes,
/// so it means the same in every `sql_mode`; `None` when the value would need them.
pub fn literal(value: &[u8]) -> Option<Vec<u8>> {
    let numeric = !value.is_empty()
        && value.len() < 32
        && value.iter().enumerate().all(|(i, b)| b.is_ascii_digit() || (i > 0 && *b == b'.') || (i == 0 && *b == b'-'))
        && value.last().is_some_and(u8::is_ascii_digit);
    if numeric {
        return Some(value.to_vec());
    }
    if value.iter().any(|b| matches!(b, b'\\' | b'\'' | 0)) {
        return None;
    }
    Some([b"'", value, b"'"].concat())
}

impl PartialOrd for Setting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Setting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(sql(app.plan_to(&web)), "SET NAMES utf8mb4;SET @x=1,sql_mode='';");
        assert_eq!(sql(none.plan_to(&web)), "SET NAMES utf8mb4;SET @x=1,sql_mode='';USE `app`;");
        assert_eq!(sql(web.plan_to(&app)), "RESET;USE `app`;");
        let other = state(Some("app"), &[("names", "latin1"), ("sql_mode", "''"), ("@x", "1")]);
        assert_eq!(sql(web.plan_to(&other)), "SET NAMES latin1;");
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
        let mut state =
            state(Some("app"), &[("names", "gbk"), ("TX_READ_ONLY", "1"), ("SQL_MODE", "'ANSI'"), ("@x", "7")]);
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
}
