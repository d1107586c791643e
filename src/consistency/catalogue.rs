//! Which tables are plain: a read of one shows nothing else, a write to one changes nothing else.
//!
//! Whatever is not known to be plain is not: a name that is missing here may be a view, or hidden from whoever
//! asked.

use super::gtid::GtidSet;
use super::token::Token;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

/// A table by its schema and name. Names that are not ASCII are none: what they are depends on character sets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Table(Arc<[u8]>);

impl Table {
    /// The table of this schema and name.
    pub fn of(schema: &[u8], name: &[u8]) -> Option<Self> {
        let is_name = |name: &[u8]| !name.is_empty() && name.is_ascii() && !name.contains(&0);
        (is_name(schema) && is_name(name)).then(|| Self([schema, b"\0", name].concat().into()))
    }
}

/// A row as a server prints it.
type Row = Vec<Option<String>>;

/// What a server tells of its tables, as it does to one account.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// `lower_case_table_names`, `CURRENT_USER()`, whether global privileges may be revoked for some schemas.
    pub session: Vec<Row>,
    /// Global privileges: grantee, kind.
    pub global: Vec<Row>,
    /// Privileges on schemas: grantee, pattern, kind.
    pub schemas: Vec<Row>,
    /// Base tables: schema, name, engine, when it was made.
    pub tables: Vec<Row>,
    /// Tables with triggers: schema, name.
    pub triggers: Vec<Row>,
    /// Foreign keys: schema and name of the table that has it, and of the one that it refers to.
    pub foreign_keys: Vec<Row>,
}

/// What is known of a plain table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plain {
    /// A write to it changes nothing else and shows nothing else.
    is_for_writes: bool,
    /// A write to it is undone with its transaction, and so is all that it sets off.
    is_transactional: bool,
    /// When it was made: another one of the same name is another table.
    made: Option<String>,
}

/// The plain tables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plains(HashMap<Table, Plain>);

/// The plain tables as an account was told of them.
#[derive(Debug)]
pub struct Catalogue {
    /// No two have the same one.
    pub generation: u64,
    plains: Plains,
    /// All that the server had executed once it had told.
    since: Token,
}

const ENGINES: [&str; 3] = ["InnoDB", "MyISAM", "Aria"];
/// The one among them that undoes what a transaction did. Foreign keys exist only between its tables.
const TRANSACTIONAL: &str = "InnoDB";
const TRIGGER: &str = "TRIGGER";

impl Plains {
    /// Those among what a server told.
    ///
    /// # Errors
    /// Why it does not say which tables are plain.
    pub fn of(told: &Told) -> Result<Self, &'static str> {
        const UNREADABLE: &str = "the server's answer is not understood";
        let [session] = &told.session[..] else { return Err(UNREADABLE) };
        let [Some(lower_case), Some(user), revocable] = &session[..] else { return Err(UNREADABLE) };
        if lower_case != "0" {
            return Err("lower_case_table_names is not 0");
        }
        let is_revocable = !matches!(revocable.as_deref(), Some("0" | "OFF"));
        let sees = Privileges::of(told, user, is_revocable).ok_or(UNREADABLE)?;
        let mut not_for_writes: HashSet<Table> = HashSet::new();
        for row in &told.triggers {
            let [Some(schema), Some(name)] = &row[..] else { return Err(UNREADABLE) };
            not_for_writes.extend(Table::of(schema.as_bytes(), name.as_bytes()));
        }
        let triggers = not_for_writes.clone();
        for row in &told.foreign_keys {
            let [Some(schema), Some(name), Some(to_schema), Some(to)] = &row[..] else { return Err(UNREADABLE) };
            // A write to either may change the other, or shows by its success what is in it.
            not_for_writes.extend(Table::of(schema.as_bytes(), name.as_bytes()));
            not_for_writes.extend(Table::of(to_schema.as_bytes(), to.as_bytes()));
        }
        let mut all = HashMap::new();
        for row in &told.tables {
            let [Some(schema), Some(name), engine, made] = &row[..] else { return Err(UNREADABLE) };
            let Some(table) = Table::of(schema.as_bytes(), name.as_bytes()) else { continue };
            if engine.as_deref().is_some_and(|engine| ENGINES.contains(&engine)) && sees.triggers_of(schema) {
                let is_transactional = engine.as_deref() == Some(TRANSACTIONAL) && !triggers.contains(&table);
                let is_for_writes = !not_for_writes.contains(&table);
                let plain = Plain { is_for_writes, is_transactional, made: made.clone() };
                all.insert(table, plain);
            }
        }
        if all.is_empty() && !told.tables.is_empty() {
            return Err("the account has no TRIGGER privilege on a schema, so triggers are hidden from it");
        }
        Ok(Self(all))
    }
}

/// Where an account sees triggers and foreign keys: with the privilege `TRIGGER` alone.
struct Privileges<'a> {
    everywhere: bool,
    /// Patterns of schemas, and whether the account has it there. A server goes by one that fits, and does not
    /// say by which.
    patterns: HashMap<&'a str, bool>,
}

impl<'a> Privileges<'a> {
    fn of(told: &'a Told, user: &str, is_revocable: bool) -> Option<Self> {
        let (name, host) = user.rsplit_once('@')?;
        let grantee = format!("'{name}'@'{host}'");
        let mut everywhere = false;
        for row in &told.global {
            let [Some(whose), Some(kind)] = &row[..] else { return None };
            everywhere |= !is_revocable && *whose == grantee && kind == TRIGGER;
        }
        let mut patterns = HashMap::new();
        for row in &told.schemas {
            let [Some(whose), Some(pattern), Some(kind)] = &row[..] else { return None };
            if *whose == grantee {
                *patterns.entry(pattern.as_str()).or_insert(false) |= kind == TRIGGER;
            }
        }
        Some(Self { everywhere, patterns })
    }

    fn triggers_of(&self, schema: &str) -> bool {
        let mut fitting =
            self.patterns.iter().filter(|(pattern, _)| fits(pattern.as_bytes(), schema.as_bytes())).peekable();
        self.everywhere || (fitting.peek().is_some() && fitting.all(|(_, has)| *has))
    }
}

/// Whether a name fits a pattern of `LIKE`; `\` takes the meaning from what follows.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    // Where to go on if what was tried last does not fit: the rest of the pattern behind a `%`, and of the name.
    let mut again: Option<(&[u8], &[u8])> = None;
    let (mut pattern, mut name) = (pattern, name);
    loop {
        match (pattern, name) {
            ([], []) => return true,
            ([b'%', rest @ ..], _) => {
                again = Some((rest, name));
                pattern = rest;
                continue;
            }
            ([b'\\', wanted, rest @ ..], [found, left @ ..]) if wanted == found => {
                (pattern, name) = (rest, left);
                continue;
            }
            ([b'_', rest @ ..], [_, left @ ..]) => {
                (pattern, name) = (rest, left);
                continue;
            }
            ([wanted, rest @ ..], [found, left @ ..]) if wanted == found && *wanted != b'\\' => {
                (pattern, name) = (rest, left);
                continue;
            }
            _ => {}
        }
        let Some((rest, [_, left @ ..])) = again else { return false };
        again = Some((rest, left));
        (pattern, name) = (rest, left);
    }
}

impl Catalogue {
    /// The catalogue of these tables, told before the server was `asked` what it had executed.
    pub fn new(generation: u64, plains: Plains, asked: Instant, executed: GtidSet) -> Self {
        Self { generation, plains, since: Token::of(Some(executed)).raised(asked) }
    }

    /// Whether it is of the same tables.
    pub fn is_of(&self, plains: &Plains) -> bool {
        self.plains == *plains
    }

    /// Whether all of these are tables that show nothing else.
    pub fn shows_only(&self, tables: &[Table]) -> bool {
        !tables.is_empty() && tables.iter().all(|table| self.plains.0.contains_key(table))
    }

    /// Whether a write to this table changes and shows nothing else.
    pub fn changes_only(&self, table: &Table) -> bool {
        self.plains.0.get(table).is_some_and(|plain| plain.is_for_writes)
    }

    /// Whether a write to this table, with all that it sets off, is undone where its transaction is.
    pub fn is_transactional(&self, table: &Table) -> bool {
        self.plains.0.get(table).is_some_and(|plain| plain.is_transactional)
    }

    /// What a replica must have for the catalogue to be right about it.
    pub fn since(&self) -> &Token {
        &self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Row> {
        let value = |text: &&str| (*text != "NULL").then(|| (*text).to_owned());
        rows.iter().map(|row| row.iter().map(value).collect()).collect()
    }

    fn told() -> Told {
        Told {
            session: rows(&[&["0", "app@%", "0"]]),
            global: rows(&[&["'root'@'%'", "TRIGGER"], &["'app'@'%'", "PROCESS"]]),
            schemas: rows(&[
                &["'app'@'%'", "app%", "SELECT"],
                &["'app'@'%'", "app%", "TRIGGER"],
                &["'app'@'%'", "s\\_1", "TRIGGER"],
                &["'app'@'%'", "read", "SELECT"],
                &["'bert'@'%'", "read", "TRIGGER"],
            ]),
            tables: rows(&[
                &["app", "a", "InnoDB", "2026-01-01"],
                &["app", "b", "Aria", "NULL"],
                &["app", "merged", "MRG_MyISAM", "NULL"],
                &["app", "engineless", "NULL", "NULL"],
                &["app", "triggers", "InnoDB", "NULL"],
                &["app", "parent", "InnoDB", "NULL"],
                &["app", "child", "InnoDB", "NULL"],
                &["app", "\u{e4}", "InnoDB", "NULL"],
                &["s_1", "a", "MyISAM", "NULL"],
                &["sx1", "a", "MyISAM", "NULL"],
                &["read", "a", "InnoDB", "NULL"],
            ]),
            triggers: rows(&[&["app", "triggers"]]),
            foreign_keys: rows(&[&["app", "child", "app", "parent"]]),
        }
    }

    fn judge(told: &Told) -> impl Fn(&str, &str) -> (bool, bool) + use<> {
        let plains = Plains::of(told).expect("understood");
        let executed = GtidSet::parse(super::super::gtid::Family::MariaDb, "0-1-5").expect("well formed");
        let catalogue = Catalogue::new(1, plains, Instant::now(), executed);
        move |schema, name| match Table::of(schema.as_bytes(), name.as_bytes()) {
            Some(table) => (catalogue.shows_only(std::slice::from_ref(&table)), catalogue.changes_only(&table)),
            None => (false, false),
        }
    }

    #[test]
    fn plain_is_what_is_known_to_be() {
        let is_plain = judge(&told());
        for (schema, name, want) in [
            ("app", "a", (true, true)),
            ("app", "b", (true, true)),
            ("app", "A", (false, false)),
            ("app", "view", (false, false)),
            ("app", "merged", (false, false)),
            ("app", "engineless", (false, false)),
            ("app", "triggers", (true, false)),
            ("app", "parent", (true, false)),
            ("app", "child", (true, false)),
            ("app", "\u{e4}", (false, false)),
            ("s_1", "a", (true, true)),
            ("sx1", "a", (false, false)),
            ("read", "a", (false, false)),
        ] {
            assert_eq!(is_plain(schema, name), want, "{schema}.{name}");
        }
    }

    #[test]
    fn where_something_may_be_hidden_nothing_is_plain() {
        let all = rows(&[&["'app'@'%'", "TRIGGER"]]);
        let only_global = Told { global: all, schemas: Vec::new(), ..told() };
        assert_eq!(judge(&only_global)("read", "a"), (true, true));
        let revocable = Told { session: rows(&[&["0", "app@%", "1"]]), ..only_global };
        assert!(Plains::of(&revocable).is_err(), "some schemas may be exempt");
        let mut overlapping = told();
        overlapping.schemas.extend(rows(&[&["'app'@'%'", "app", "SELECT"]]));
        assert_eq!(judge(&overlapping)("app", "a"), (false, false), "the server goes by one of the two");
        for spoilt in [
            Told { session: rows(&[&["1", "app@%", "0"]]), ..told() },
            Told { session: Vec::new(), ..told() },
            Told { session: rows(&[&["0", "app", "0"]]), ..told() },
            Told { foreign_keys: rows(&[&["app", "child", "NULL", "parent"]]), ..told() },
            Told { triggers: rows(&[&["app"]]), ..told() },
        ] {
            assert!(Plains::of(&spoilt).is_err(), "{spoilt:?}");
        }
    }

    #[test]
    fn a_table_made_anew_is_another() {
        let mut anew = told();
        anew.tables[0] = rows(&[&["app", "a", "InnoDB", "2026-01-02"]]).remove(0);
        assert_eq!(Plains::of(&told()), Plains::of(&told()));
        assert_ne!(Plains::of(&told()), Plains::of(&anew));
    }

    #[test]
    fn patterns_are_those_of_grants() {
        for (pattern, name, want) in [
            ("app", "app", true),
            ("app", "apps", false),
            ("app%", "app", true),
            ("app%", "apps", true),
            ("%s%e", "sense", true),
            ("%s%e", "senses", false),
            ("a_c", "abc", true),
            ("a\\_c", "abc", false),
            ("a\\_c", "a_c", true),
            ("a\\%", "a%", true),
            ("a\\%", "ab", false),
            ("%", "", true),
            ("", "a", false),
            ("\\", "\\", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), want, "{pattern} {name}");
        }
    }

    #[test]
    fn names_are_told_apart() {
        assert_ne!(Table::of(b"a", b"bc"), Table::of(b"ab", b"c"));
        assert_eq!(Table::of(b"", b"a"), None);
        assert_eq!(Table::of(b"a", b"b\0c"), None);
    }
}
