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
            b"character_set_server" => self.remove(b"collation_server"),
            b"collation_server" => self.remove(b"character_set_server"),
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
    ///
    /// What can be prepared in no schema means the same in each.
    #[must_use]
    pub fn reading_like(&self, other: &Self, sql_mode: &str) -> Self {
        let mut like = self.clone();
        if other.schema.is_some() {
            like.schema.clone_from(&other.schema);
        }
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
        self.settings.iter().any(|s| is_user_variable(&s.key))
    }

    /// The same, but for user variables.
    pub fn without_user_variables(&self) -> Self {
        let mut without = self.clone();
        without.settings.retain(|s| !is_user_variable(&s.key));
        without
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
        // What looks the same was assigned in another character set.
        let is_charset = |key: &[u8]| key == NAMES || CHARSET_VARIABLES.contains(&key);
        if changed.iter().any(|setting| is_charset(&setting.key)) {
            let is_changed = |want: &Setting| changed.iter().any(|setting| setting.key == want.key);
            let of_user = |want: &&Setting| is_user_variable(&want.key) && !is_changed(want);
            let again: Vec<_> = wanted.settings.iter().filter(of_user).collect();
            changed.extend(again);
        }
        (changed, ours.next().is_some())
    }
}

/// Whether a setting is a user variable: its value keeps the character set and the collation in which it was assigned.
fn is_user_variable(key: &[u8]) -> bool {
    key.first() == Some(&b'@')
}

fn push_settings(prelude: &mut Prelude, settings: &[&Setting]) {
    // The character set decides how the literals behind it are read: it goes ahead of them.
    let (names, others): (Vec<&Setting>, Vec<&Setting>) = settings.iter().partition(|s| *s.key == *NAMES);
    for setting in &names {
        if let Form::Item { sql, .. } = &setting.form {
            prelude.push(&[b"SET ", sql]);
        }
    }
    // A server reads all literals of a SET before it assigns the first.
    let (of_user, of_session): (Vec<&Setting>, Vec<&Setting>) =
        others.iter().partition(|setting| is_user_variable(&setting.key));
    for settings in [of_session, of_user] {
        let mut list = Vec::new();
        for setting in settings {
            if let Form::Item { sql, .. } = &setting.form {
                list.extend_from_slice(if list.is_empty() { b"SET " } else { b"," });
                list.extend_from_slice(sql);
            }
        }
        if !list.is_empty() {
            prelude.push(&[&list]);
        }
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
        b"storage_engine" => b"default_storage_engine"[..].into(),
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
mod tests;
