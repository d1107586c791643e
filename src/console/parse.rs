//! What a line typed at the console, or sent by a driver of its own accord, asks for. Pure.

use super::control::Action;
use super::text::{Word, is_like, words};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// A table of the console.
    Show(Show, Filter),
    /// What servers tell, and clients ask: always empty here, with these columns.
    Empty(Vec<String>),
    /// Variables of the server, by name.
    Variables(Filter),
    /// A `SELECT` without tables: the expression and the name of each column.
    Select(Vec<(String, String)>),
    /// Something that changes nothing here: `SET NAMES`, `BEGIN`, `USE`.
    Accepted,
    /// Open connections anew, to one server or to all.
    Reconnect(Option<String>),
    /// End a client, or only its statement.
    Kill {
        /// Its id.
        id: u32,
        /// Only what it runs.
        query_only: bool,
    },
    /// Something for the whole process.
    Act(Action),
}

macro_rules! shows {
    ($($(#[$meta:meta])* $name:ident = $word:literal, $help:literal;)+) => {
        /// The tables of the console.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Show { $($(#[$meta])* $name,)+ }

        impl Show {
            /// Each with its name and what it shows.
            pub(super) const ALL: &[(Self, &str, &str)] = &[$((Self::$name, $word, $help),)+];
        }
    };
}

shows! {
    Pools = "POOLS", "connections by server and user, and who waits for one";
    Clients = "CLIENTS", "sessions: what they run, what they hold and why (also SHOW SESSIONS, SHOW PROCESSLIST)";
    Servers = "SERVERS", "role, health with its reason, lag, round trip, connections";
    Stats = "STATS", "statements by route and reason, round trips saved, errors";
    Routes = "ROUTES", "statements by digest: where they went, why, and how long they took";
    Lag = "LAG", "how far each replica is behind, and how waits for it ended";
    Tokens = "TOKENS", "what each scope must see, the largest first";
    Config = "CONFIG", "every key, its value, and whether that is the default";
    Lists = "LISTS", "totals: users, servers, pools, clients";
    Databases = "DATABASES", "the one that there is";
    Version = "VERSION", "what this is";
    Help = "HELP", "this list";
}

/// Which rows are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter(Vec<Condition>);

/// One condition; all must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    /// The column; none: any.
    column: Option<String>,
    /// A value, or a pattern.
    wanted: String,
    like: bool,
}

impl Filter {
    /// A column that it asks for, and that is none of these.
    pub(super) fn stranger(&self, columns: &[&str]) -> Option<&str> {
        let mut wanted = self.0.iter().filter_map(|condition| condition.column.as_deref());
        wanted.find(|wanted| !columns.iter().any(|column| column.eq_ignore_ascii_case(wanted)))
    }

    /// Whether a row fits.
    pub(super) fn fits(&self, columns: &[&str], row: &[Option<String>]) -> bool {
        self.0.iter().all(|condition| {
            let is_meant =
                |name: &str| condition.column.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(name));
            let mut cells = columns.iter().zip(row).filter(|(name, _)| is_meant(name));
            cells.any(|(_, cell)| condition.holds(cell.as_deref().unwrap_or_default()))
        })
    }
}

impl Condition {
    fn holds(&self, value: &str) -> bool {
        if self.like { is_like(value, &self.wanted) } else { value.eq_ignore_ascii_case(&self.wanted) }
    }
}

/// Why a text is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing was asked.
    Empty,
    /// Only one statement at a time.
    Several,
    /// It is not understood.
    Unknown(String),
}

/// Reads a text.
pub(super) fn parse(text: &str) -> Result<Command, Fault> {
    let words = words(text);
    if words.contains(&Word::Sign(';')) {
        return Err(Fault::Several);
    }
    let Some((verb, rest)) = words.split_first() else { return Err(Fault::Empty) };
    let unknown = || Fault::Unknown(text.trim().chars().take(100).collect());
    let name = || match rest {
        [] => Ok(None),
        [all] if all.is("ALL") => Ok(None),
        [name] => Ok(name.text().map(str::to_owned)),
        _ => Err(unknown()),
    };
    let Word::Bare(verb) = verb else { return Err(unknown()) };
    match verb.to_ascii_uppercase().as_str() {
        "SHOW" => show(rest).ok_or_else(unknown),
        "SELECT" => select(rest).ok_or_else(unknown),
        "SET" => match rest {
            [key, Word::Sign('='), value] if key.is("log_level") => {
                value.text().map(|level| Command::Act(Action::LogLevel(level.to_owned()))).ok_or_else(unknown)
            }
            _ => Ok(Command::Accepted),
        },
        "HELP" | "?" => Ok(Command::Show(Show::Help, Filter::default())),
        "USE" | "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" => Ok(Command::Accepted),
        "PAUSE" => name().map(|name| Command::Act(Action::Pause(name))),
        "RESUME" => name().map(|name| Command::Act(Action::Resume(name))),
        "RECONNECT" => name().map(Command::Reconnect),
        "RELOAD" if rest.is_empty() => Ok(Command::Act(Action::Reload)),
        "DRAIN" if rest.is_empty() => Ok(Command::Act(Action::Drain)),
        "SHUTDOWN" if rest.is_empty() => Ok(Command::Act(Action::Shutdown)),
        "KILL" => kill(rest).ok_or_else(unknown),
        _ => Err(unknown()),
    }
}

fn kill(words: &[Word]) -> Option<Command> {
    let (id, query_only) = match words {
        [id] => (id, false),
        [what, id] if what.is("QUERY") => (id, true),
        [what, id] if what.is("CONNECTION") => (id, false),
        _ => return None,
    };
    Some(Command::Kill { id: id.text()?.parse().ok()?, query_only })
}

/// What servers show, and clients ask on their own.
const FOREIGN: [(&str, &[&str]); 10] = [
    ("WARNINGS", &["Level", "Code", "Message"]),
    ("ERRORS", &["Level", "Code", "Message"]),
    ("TABLES", &["Tables_in_landbridge"]),
    ("ENGINES", &["Engine", "Support", "Comment", "Transactions", "XA", "Savepoints"]),
    ("PLUGINS", &["Name", "Status", "Type", "Library", "License"]),
    ("CHARSET", &["Charset", "Description", "Default collation", "Maxlen"]),
    ("CHARACTER", &["Charset", "Description", "Default collation", "Maxlen"]),
    ("COLLATION", &["Collation", "Charset", "Id", "Default", "Compiled", "Sortlen"]),
    ("TRIGGERS", &["Trigger", "Event", "Table", "Statement", "Timing"]),
    ("STATUS", &["Variable_name", "Value"]),
];

fn show(words: &[Word]) -> Option<Command> {
    const FILLERS: [&str; 4] = ["FULL", "GLOBAL", "SESSION", "EXTENDED"];
    let filler = words.iter().take_while(|word| FILLERS.iter().any(|filler| word.is(filler))).count();
    let (what, rest) = words.get(filler..)?.split_first()?;
    let Word::Bare(what) = what else { return None };
    let what = match what.to_ascii_uppercase().as_str() {
        "SESSIONS" | "PROCESSLIST" => "CLIENTS".to_owned(),
        "SCHEMAS" => "DATABASES".to_owned(),
        "TOTALS" => "LISTS".to_owned(),
        "DIGESTS" => "ROUTES".to_owned(),
        other => other.to_owned(),
    };
    if what == "VARIABLES" {
        // Drivers ask with conditions of all kinds, and look for themselves in what they get.
        return Some(Command::Variables(filter(rest).unwrap_or_default()));
    }
    if let Some((show, ..)) = Show::ALL.iter().find(|(_, name, _)| *name == what) {
        return Some(Command::Show(*show, filter(rest)?));
    }
    let (_, columns) = FOREIGN.iter().find(|(name, _)| *name == what)?;
    Some(Command::Empty(columns.iter().map(ToString::to_string).collect()))
}

/// `LIKE 'x%'`, `WHERE a = 'x' AND b LIKE 'y%'`
fn filter(words: &[Word]) -> Option<Filter> {
    match words {
        [] => Some(Filter::default()),
        [like, pattern] if like.is("LIKE") => {
            let wanted = pattern.text()?.to_owned();
            Some(Filter(vec![Condition { column: None, wanted, like: true }]))
        }
        [first, conditions @ ..] if first.is("WHERE") => {
            let conditions: Option<Vec<Condition>> =
                conditions.split(|word| word.is("AND") || word.is("OR")).map(condition).collect();
            conditions.filter(|_| !words.iter().any(|word| word.is("OR"))).map(Filter)
        }
        _ => None,
    }
}

fn condition(words: &[Word]) -> Option<Condition> {
    let (column, wanted, like) = match words {
        [column, Word::Sign('='), wanted] => (column, wanted, false),
        [column, operator, wanted] if operator.is("LIKE") => (column, wanted, true),
        _ => return None,
    };
    Some(Condition { column: Some(column.text()?.to_owned()), wanted: wanted.text()?.to_owned(), like })
}

/// `SELECT a [AS] b, c() LIMIT 1`: what is asked of no table. What is asked of some has no rows here.
fn select(words: &[Word]) -> Option<Command> {
    let end = words.iter().position(|word| word.is("LIMIT") || word.is("FROM")).unwrap_or(words.len());
    let items: Option<Vec<(String, String)>> =
        words.get(..end)?.split(|word| *word == Word::Sign(',')).map(item).collect();
    if words.get(end).is_some_and(|word| word.is("FROM")) {
        let names = items.map(|items| items.into_iter().map(|(_, name)| name).collect());
        return Some(Command::Empty(names.unwrap_or_else(|| vec!["?".to_owned()])));
    }
    items.map(Command::Select)
}

fn item(words: &[Word]) -> Option<(String, String)> {
    let (expression, rest) = match words {
        [name, Word::Sign('('), Word::Sign(')'), rest @ ..] => (format!("{}()", name.text()?), rest),
        [Word::Text(text), rest @ ..] => (format!("'{text}'"), rest),
        [Word::Sign('*'), rest @ ..] => ("*".to_owned(), rest),
        [Word::Bare(name), rest @ ..] => (name.clone(), rest),
        _ => return None,
    };
    let name = match rest {
        [] => expression.trim_matches('\'').to_owned(),
        [alias] => alias.text()?.to_owned(),
        [as_, alias] if as_.is("AS") => alias.text()?.to_owned(),
        _ => return None,
    };
    Some((expression, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as what it is compared with")]
    fn shows(show: Show) -> Result<Command, Fault> {
        Ok(Command::Show(show, Filter::default()))
    }

    #[test]
    fn commands_of_the_console() {
        for (text, want) in [
            ("SHOW POOLS", shows(Show::Pools)),
            ("show clients;", shows(Show::Clients)),
            ("SHOW SESSIONS", shows(Show::Clients)),
            ("SHOW FULL PROCESSLIST", shows(Show::Clients)),
            ("help", shows(Show::Help)),
            ("PAUSE", Ok(Command::Act(Action::Pause(None)))),
            ("pause all", Ok(Command::Act(Action::Pause(None)))),
            ("PAUSE replica-eu", Ok(Command::Act(Action::Pause(Some("replica-eu".into()))))),
            ("RESUME `x y`", Ok(Command::Act(Action::Resume(Some("x y".into()))))),
            ("RECONNECT", Ok(Command::Reconnect(None))),
            ("RECONNECT 'primary'", Ok(Command::Reconnect(Some("primary".into())))),
            ("RELOAD", Ok(Command::Act(Action::Reload))),
            ("DRAIN", Ok(Command::Act(Action::Drain))),
            ("SHUTDOWN", Ok(Command::Act(Action::Shutdown))),
            ("KILL 7", Ok(Command::Kill { id: 7, query_only: false })),
            ("kill query 8;", Ok(Command::Kill { id: 8, query_only: true })),
            ("KILL CONNECTION 9", Ok(Command::Kill { id: 9, query_only: false })),
            ("SET log_level = 'debug'", Ok(Command::Act(Action::LogLevel("debug".into())))),
            ("SET log_level=debug", Ok(Command::Act(Action::LogLevel("debug".into())))),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
        for text in ["DROP TABLE x", "SHOW NOTHING", "KILL", "KILL x", "KILL -1", "RELOAD now", "'x'", "PAUSE a b"] {
            assert!(matches!(parse(text), Err(Fault::Unknown(_))), "{text}");
        }
        assert_eq!(parse(" ; "), Err(Fault::Empty));
        assert_eq!(parse("SHOW POOLS; SHOW CLIENTS"), Err(Fault::Several));
    }

    #[test]
    fn what_clients_send_on_their_own() {
        let select = |items: &[(&str, &str)]| {
            Ok(Command::Select(items.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()))
        };
        for (text, want) in [
            ("select @@version_comment limit 1", select(&[("@@version_comment", "@@version_comment")])),
            ("SELECT DATABASE(), USER() LIMIT 1", select(&[("DATABASE()", "DATABASE()"), ("USER()", "USER()")])),
            (
                "/* mysql-connector-j */SELECT  @@session.auto_increment_increment AS n",
                select(&[("@@session.auto_increment_increment", "n")]),
            ),
            ("SELECT 1", select(&[("1", "1")])),
            ("SELECT 'x' y", select(&[("'x'", "y")])),
            ("SET NAMES utf8mb4", Ok(Command::Accepted)),
            ("SET autocommit=0", Ok(Command::Accepted)),
            ("SET character_set_results = NULL", Ok(Command::Accepted)),
            ("USE landbridge", Ok(Command::Accepted)),
            ("START TRANSACTION READ ONLY", Ok(Command::Accepted)),
            (
                "SELECT TABLE_NAME FROM information_schema.tables WHERE x = 'y'",
                Ok(Command::Empty(vec!["TABLE_NAME".into()])),
            ),
            ("SHOW WARNINGS LIMIT 5", Ok(Command::Empty(vec!["Level".into(), "Code".into(), "Message".into()]))),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
        assert!(matches!(parse("SHOW SESSION VARIABLES LIKE 'tx%'"), Ok(Command::Variables(_))));
        assert!(matches!(parse("SELECT 1 + 1"), Err(Fault::Unknown(_))));
    }

    #[test]
    fn filters() {
        let fits = |text: &str, row: [&str; 2]| {
            let Ok(Command::Show(_, filter)) = parse(text) else { panic!("{text}") };
            filter.fits(&["user", "state"], &row.map(|cell| Some(cell.to_owned())))
        };
        assert!(fits("SHOW CLIENTS LIKE 'app%'", ["app", "idle"]));
        assert!(fits("SHOW CLIENTS LIKE 'id%'", ["app", "idle"]));
        assert!(!fits("SHOW CLIENTS LIKE 'x%'", ["app", "idle"]));
        assert!(fits("SHOW CLIENTS WHERE user = 'APP'", ["app", "idle"]));
        assert!(!fits("SHOW CLIENTS WHERE user = 'app' AND state LIKE 'pin%'", ["app", "idle"]));
        let Ok(Command::Show(_, filter)) = parse("SHOW CLIENTS WHERE nothing = 'x'") else { panic!("a filter") };
        assert_eq!((filter.stranger(&["user"]), filter.stranger(&["Nothing"])), (Some("nothing"), None));
        assert!(matches!(parse("SHOW CLIENTS WHERE user = 'a' OR user = 'b'"), Err(Fault::Unknown(_))));
        assert!(matches!(parse("SHOW CLIENTS LIMIT 3"), Err(Fault::Unknown(_))));
    }
}
