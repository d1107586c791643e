//! What statements do on a server of the simulation: those of its clients, and Landbridge's own.

use super::tag::{State, Tag};
use super::wire::Cord;
use super::world::{Facts, PRIMARY};
use landbridge::protocol::capability::Status;
use landbridge::protocol::response::ServerError;
use landbridge::protocol::wire::Put;
use std::collections::HashMap;

/// What a connection has on its server.
#[derive(Debug)]
pub struct Conn {
    /// The server.
    pub server: usize,
    /// The connection.
    pub thread: u32,
    /// The session's state.
    pub state: State,
    /// The transaction: whose, once it is known, and what it wrote.
    pub transaction: Option<Transaction>,
    /// Prepared statements: text, and the schema in which they were prepared.
    pub prepared: HashMap<u32, (String, String)>,
    /// The number of the last statement prepared.
    pub last_prepared: u32,
    /// Whether a command may hold several statements.
    pub multi_statements: bool,
    /// `LAST_INSERT_ID()`
    pub insert_id: u64,
}

/// An open transaction.
#[derive(Debug, Default)]
pub struct Transaction {
    /// Whose it is: 0 until a client's statement says so.
    pub number: u64,
    /// What it wrote.
    pub writes: Vec<u64>,
}

/// What a statement answers.
#[derive(Debug)]
pub enum Answer {
    /// An OK.
    Ok {
        /// The value of `AUTO_INCREMENT` it made.
        insert_id: u64,
        /// What the session tracker says.
        changes: Vec<u8>,
    },
    /// Rows.
    Rows(Vec<&'static str>, Vec<Vec<Option<String>>>),
    /// An error.
    Err(ServerError),
}

impl Answer {
    /// Nothing to say.
    pub fn ok() -> Self {
        Self::Ok { insert_id: 0, changes: Vec::new() }
    }

    /// One row of one column.
    pub fn value(name: &'static str, value: impl ToString) -> Self {
        Self::Rows(vec![name], vec![vec![Some(value.to_string())]])
    }

    /// An error.
    pub fn error(code: u16, text: &str) -> Self {
        Self::Err(ServerError::new(code, b"HY000", text))
    }

    fn changed(changes: Vec<u8>) -> Self {
        Self::Ok { insert_id: 0, changes }
    }
}

fn entry(changes: &mut Vec<u8>, kind: u8, content: &[u8]) {
    changes.push(kind);
    changes.put_lenenc_bytes(content);
}

fn variable(changes: &mut Vec<u8>, name: &str, value: &str) {
    let mut content = Vec::new();
    content.put_lenenc_bytes(name.as_bytes());
    content.put_lenenc_bytes(value.as_bytes());
    entry(changes, 0, &content);
}

fn schema_change(schema: &str) -> Vec<u8> {
    let (mut changes, mut content) = (Vec::new(), Vec::new());
    content.put_lenenc_bytes(schema.as_bytes());
    entry(&mut changes, 1, &content);
    changes
}

fn state_change(changes: &mut Vec<u8>) {
    entry(changes, 2, b"\x011");
}

fn gtid_change(transaction: u64) -> Vec<u8> {
    let (mut changes, mut content) = (Vec::new(), vec![0]);
    content.put_lenenc_bytes(format!("{}:{transaction}", super::world::UUID).as_bytes());
    entry(&mut changes, 3, &content);
    changes
}

/// The text without comments and the blanks around it.
fn plain(sql: &str) -> String {
    let mut text = String::new();
    let mut rest = sql;
    while let Some((before, behind)) = rest.split_once("/*") {
        text.push_str(before);
        rest = behind.split_once("*/").map_or("", |(_, behind)| behind);
    }
    text.push_str(rest);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Conn {
    /// A connection just opened.
    pub fn new(server: usize, thread: u32) -> Self {
        Self {
            server,
            thread,
            state: State::fresh(""),
            transaction: None,
            prepared: HashMap::new(),
            last_prepared: 0,
            multi_statements: false,
            insert_id: 0,
        }
    }

    /// `COM_RESET_CONNECTION`: the schema stays.
    pub fn reset(&mut self) {
        self.state = State::fresh(&self.state.schema.clone());
        (self.transaction, self.insert_id) = (None, 0);
        self.prepared.clear();
    }

    /// Its status between statements.
    pub fn status(&self) -> Status {
        let mut status = Status::empty();
        status.set(Status::AUTOCOMMIT, self.state.autocommit);
        status.set(Status::IN_TRANS, self.transaction.is_some());
        status
    }

    fn commit(&mut self, facts: &mut Facts) -> Answer {
        match self.transaction.take() {
            Some(transaction) if !transaction.writes.is_empty() => {
                Answer::changed(gtid_change(facts.commit(&transaction.writes)))
            }
            _ => Answer::ok(),
        }
    }

    /// Chooses a schema.
    pub fn choose(&mut self, schema: &str) -> Answer {
        if !schema.starts_with('s') {
            return Answer::error(1049, "Unknown database");
        }
        schema.clone_into(&mut self.state.schema);
        Answer::changed(schema_change(schema))
    }

    /// Checks that a statement runs where it must.
    fn check(&mut self, facts: &mut Facts, tag: &Tag, sql: &str) {
        let (server, thread) = (self.server, self.thread);
        let at = format!("client {}: {sql} on {server}/{thread}", tag.client);
        if !facts.honest {
            return;
        }
        if self.state.to_string() != tag.state {
            facts.violated(format!("{at} in a state of its own: {}", self.state));
        }
        if tag.transaction > 0 && !self.state.autocommit && self.transaction.is_none() {
            self.transaction = Some(Transaction::default());
        }
        match &mut self.transaction {
            None if tag.transaction > 0 => facts.violated(format!("{at} outside of its transaction")),
            None => {}
            Some(open) => {
                if open.number == 0 {
                    open.number = tag.transaction;
                }
                if open.number != tag.transaction {
                    facts.violated(format!("{at} inside the transaction {}", open.number));
                }
                let here = (server, thread, tag.number);
                let place = *facts.transactions.entry(open.number).or_insert(here);
                if tag.number == place.2 || !facts.seen_of.contains(&open.number) {
                    // A read that began it, and was not answered, may begin it anew elsewhere; and so may whatever
                    // follows one that was refused.
                    facts.transactions.insert(open.number, here);
                } else if (place.0, place.1) != (server, thread) {
                    facts.violated(format!("{at}: its transaction is on {place:?}"));
                }
            }
        }
        if facts.machines[server].executed < tag.must_see {
            let executed = facts.machines[server].executed;
            facts.violated(format!("{at} sees {executed}, and must see {}", tag.must_see));
        }
    }

    /// Runs one statement.
    pub fn run(&mut self, facts: &mut Facts, sql: &str) -> Answer {
        let tag = Tag::find(sql);
        if let Some(tag) = &tag {
            self.check(facts, tag, sql);
        }
        let text = plain(sql);
        let verb = text.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "SET" => self.set(text[3..].trim()),
            "USE" => self.choose(text[3..].trim().trim_matches('`')),
            "BEGIN" | "START" => {
                let done = self.commit(facts);
                self.transaction = Some(Transaction::default());
                done
            }
            "COMMIT" => self.commit(facts),
            "ROLLBACK" => {
                self.transaction = None;
                Answer::ok()
            }
            "INSERT" => self.insert(facts, tag.as_ref()),
            "CREATE" => self.bound(|state| state.temporary = true),
            "DROP" => self.bound(|state| state.temporary = false),
            "LOCK" => {
                let done = self.commit(facts);
                self.state.locked = true;
                done
            }
            "UNLOCK" => {
                let done = self.commit(facts);
                self.state.locked = false;
                done
            }
            "PREPARE" | "DEALLOCATE" => {
                self.last_prepared += u32::from(verb == "PREPARE");
                self.bound(|_| ())
            }
            "SELECT" => self.select(facts, &text, tag.as_ref()),
            "SHOW" => show(&text),
            "KILL" => {
                let victim = text.rsplit(' ').next().and_then(|id| id.parse().ok());
                let cord = victim.and_then(|id: u32| facts.machines[self.server].connections.remove(&id));
                cord.inspect(Cord::cut).map_or_else(|| Answer::error(1094, "Unknown thread id"), |_| Answer::ok())
            }
            _ => Answer::ok(),
        }
    }

    fn bound(&mut self, change: impl FnOnce(&mut State)) -> Answer {
        change(&mut self.state);
        let mut changes = Vec::new();
        state_change(&mut changes);
        Answer::changed(changes)
    }

    fn insert(&mut self, facts: &mut Facts, tag: Option<&Tag>) -> Answer {
        let Some(tag) = tag else { return Answer::ok() };
        facts.runs(self.server, tag);
        if self.server != PRIMARY {
            return Answer::error(1290, "The server is running with the --read-only option");
        }
        facts.inserted += 1;
        self.insert_id = facts.inserted;
        let changes = match &mut self.transaction {
            Some(open) => {
                open.writes.push(tag.number);
                Vec::new()
            }
            None => gtid_change(facts.commit(&[tag.number])),
        };
        Answer::Ok { insert_id: self.insert_id, changes }
    }

    fn select(&mut self, facts: &Facts, text: &str, tag: Option<&Tag>) -> Answer {
        if text.contains("@@global.gtid_owned") {
            let row = vec![Some(String::new()), Some(facts.executed(self.server))];
            return Answer::Rows(vec!["o", "e"], vec![row]);
        }
        if text.contains("information_schema.COLLATIONS") {
            let row = |values: [&str; 4]| values.map(|value| Some(value.to_owned())).to_vec();
            let rows = vec![
                row(["45", "utf8mb4", "utf8mb4_general_ci", ""]),
                row(["255", "utf8mb4", "utf8mb4_0900_ai_ci", "Yes"]),
            ];
            return Answer::Rows(vec!["i", "c", "n", "d"], rows);
        }
        if text.contains("LAST_INSERT_ID") {
            return Answer::value("LAST_INSERT_ID()", self.insert_id);
        }
        if text.contains("FOUND_ROWS") {
            return Answer::value("FOUND_ROWS()", 1);
        }
        if text.contains("GET_LOCK") {
            self.state.named = true;
        }
        if text.contains("RELEASE_ALL_LOCKS") {
            self.state.named = false;
        }
        match tag {
            Some(tag) => {
                let executed = facts.machines[self.server].executed;
                Answer::value("n", format!("{} {} {executed}", tag.client, tag.number))
            }
            None => Answer::value("n", 1),
        }
    }

    fn set(&mut self, items: &str) -> Answer {
        // All or nothing, as servers do it.
        if items.contains("'nowhere'") {
            return Answer::error(1298, "Unknown or incorrect time zone");
        }
        let mut changes = Vec::new();
        for item in items.split(',') {
            let Some((name, value)) = item.split_once('=') else { continue };
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().trim_matches('\''));
            let name = name.trim_start_matches("session ").trim_start_matches("@@session.").to_owned();
            match name.as_str() {
                "@a" | "@`a`" => {
                    value.clone_into(&mut self.state.a);
                    state_change(&mut changes);
                    continue;
                }
                "time_zone" => value.clone_into(&mut self.state.zone),
                "group_concat_max_len" => value.clone_into(&mut self.state.length),
                "autocommit" => self.state.autocommit = matches!(value, "1" | "ON"),
                "last_insert_id" => {
                    self.insert_id = value.parse().unwrap_or(0);
                    continue;
                }
                _ => continue,
            }
            let shown = if name == "autocommit" { if self.state.autocommit { "ON" } else { "OFF" } } else { value };
            variable(&mut changes, &name, shown);
        }
        Answer::changed(changes)
    }
}

fn show(text: &str) -> Answer {
    if !text.contains("VARIABLES") {
        return Answer::Rows(vec!["Level", "Code", "Message"], Vec::new());
    }
    let known = [
        ("autocommit", "ON"),
        ("sql_mode", ""),
        ("time_zone", "SYSTEM"),
        ("group_concat_max_len", "1024"),
        ("character_set_client", "utf8mb4"),
    ];
    let row = |(name, value): (&str, &str)| vec![Some(name.to_owned()), Some(value.to_owned())];
    Answer::Rows(vec!["Variable_name", "Value"], known.map(row).to_vec())
}
