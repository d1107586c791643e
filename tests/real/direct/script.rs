//! The language of the corpus: one command a line.
//!
//! ```text
//! # a comment
//! === a new session follows
//! SELECT 1                          COM_QUERY; `\` at the end of a line goes on in the next
//! ~SELECT NOW()                     rows may differ in their values, nothing else
//! !SELECT FOUND_ROWS()              differs; a comment ahead of it says why
//! mysql| SHOW REPLICAS              for one family only
//! @prepare a: SELECT ?              COM_STMT_PREPARE
//! @execute a: 1, 'x', NULL, 2.5     COM_STMT_EXECUTE; integers, text, NULL, doubles, x'hex'
//! @cursor a: 1                      the same with a cursor
//! @bulk a: 1, 'x' | 2, 'y'          MariaDB's COM_STMT_BULK_EXECUTE, for clients that know it
//! @fetch a 2                        COM_STMT_FETCH
//! @long a 0 text                    COM_STMT_SEND_LONG_DATA
//! @reset a   @close a   @init_db s   @ping   @statistics   @reset_connection   @change_user
//! @attribute name value             for what follows, from clients that know attributes
//! @set_option on   @field_list t %   @raw 0d   @file a\tb
//! ```

use landbridge::protocol::capability::Capabilities;
use landbridge::protocol::exchange::Expect;
use landbridge::protocol::wire::Put;
use std::collections::HashMap;

/// A line of a script.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
    /// What may differ.
    pub(super) tolerance: Tolerance,
}

/// What of an answer may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tolerance {
    Nothing,
    /// The values in rows.
    Rows,
    /// Everything.
    All,
}

/// The sessions of a script, for one family.
pub(super) fn sessions(script: &str, family: &str) -> Vec<Vec<Line>> {
    let mut sessions = vec![Vec::new()];
    let mut carried: Option<Line> = None;
    for (number, raw) in script.lines().enumerate() {
        if let Some(mut line) = carried.take() {
            line.text.push('\n');
            line.text.push_str(raw.strip_suffix('\\').unwrap_or(raw));
            if raw.ends_with('\\') {
                carried = Some(line);
            } else {
                sessions.last_mut().expect("one").push(line);
            }
            continue;
        }
        if raw.trim().is_empty() || raw.starts_with("# ") || raw == "#" {
            continue;
        }
        if raw.starts_with("===") {
            sessions.push(Vec::new());
            continue;
        }
        let text = match raw.split_once("| ") {
            Some((only @ ("mysql" | "mariadb"), text)) if only == family => text,
            Some(("mysql" | "mariadb", _)) => continue,
            _ => raw,
        };
        let (tolerance, text) = match text.split_at_checked(1) {
            Some(("~", rest)) => (Tolerance::Rows, rest),
            Some(("!", rest)) => (Tolerance::All, rest),
            _ => (Tolerance::Nothing, text),
        };
        let line = Line { number: number + 1, text: text.strip_suffix('\\').unwrap_or(text).into(), tolerance };
        if text.ends_with('\\') {
            carried = Some(line);
        } else {
            sessions.last_mut().expect("one").push(line);
        }
    }
    sessions.retain(|session| !session.is_empty());
    sessions
}

/// A command to be sent, and the answer it has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) bytes: Vec<u8>,
    /// `None`: there is no answer.
    pub(super) expect: Option<Expect>,
}

/// What a session's names stand for.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Statement ids by name.
    pub(super) statements: HashMap<String, u32>,
    /// The attribute that queries and executions carry, for clients that know attributes.
    attribute: Option<(String, String)>,
    /// What the next `LOAD DATA LOCAL` gets.
    pub(super) file: Vec<u8>,
}

impl Names {
    /// The command of a line; `None` for lines that only set something here.
    pub(super) fn command(&mut self, text: &str, caps: Capabilities) -> Option<Command> {
        let Some(rest) = text.strip_prefix('@') else {
            return Some(answered(self.query(text, caps), Expect::Results));
        };
        let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let command = match verb {
            "prepare" => {
                let (_, sql) = rest.split_once(": ").expect("name: statement");
                answered(with_text(0x16, sql), Expect::Prepare)
            }
            "execute" | "cursor" => {
                let (name, values) = rest.split_once(':').unwrap_or((rest, ""));
                let cursor = verb == "cursor";
                let expect = if cursor { Expect::Cursor } else { Expect::Results };
                answered(self.execute(self.id(name), values, cursor, caps), expect)
            }
            "bulk" if !caps.contains(Capabilities::BULK) => return None,
            "bulk" => {
                let (name, rows) = rest.split_once(':').expect("name: rows");
                answered(bulk(self.id(name), rows), Expect::Results)
            }
            "fetch" => {
                let (name, rows) = rest.split_once(' ').expect("name rows");
                let rows: u32 = rows.parse().expect("a number");
                answered(with_ids(0x1C, &[self.id(name), rows]), Expect::Rows)
            }
            "long" => {
                let mut parts = rest.splitn(3, ' ');
                let id = self.id(parts.next().expect("name"));
                let at: u16 = parts.next().expect("parameter").parse().expect("a number");
                let mut bytes = with_ids(0x18, &[id]);
                bytes.put_u16(at);
                bytes.extend_from_slice(parts.next().unwrap_or("").as_bytes());
                Command { bytes, expect: None }
            }
            "reset" => answered(with_ids(0x1A, &[self.id(rest)]), Expect::Ok),
            "close" => Command { bytes: with_ids(0x19, &[self.id(rest)]), expect: None },
            "init_db" => answered(with_text(0x02, rest), Expect::Ok),
            "ping" => answered(vec![0x0E], Expect::Ok),
            "statistics" => answered(vec![0x09], Expect::Text),
            "reset_connection" => answered(vec![0x1F], Expect::Ok),
            "set_option" => answered(vec![0x1B, u8::from(rest != "on"), 0], Expect::Ok),
            "field_list" => {
                let (table, wild) = rest.split_once(' ').unwrap_or((rest, ""));
                answered([&[0x04], table.as_bytes(), b"\0", wild.as_bytes()].concat(), Expect::FieldList)
            }
            "raw" => answered(hex(rest), Expect::Ok),
            "attribute" => {
                self.attribute = rest.split_once(' ').map(|(name, value)| (name.into(), value.into()));
                return None;
            }
            "file" => {
                self.file = rest.replace("\\t", "\t").replace("\\n", "\n").into_bytes();
                return None;
            }
            other => panic!("unknown verb @{other}"),
        };
        Some(command)
    }

    /// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html>
    fn query(&self, text: &str, caps: Capabilities) -> Vec<u8> {
        let mut bytes = vec![0x03];
        if caps.contains(Capabilities::QUERY_ATTRIBUTES) {
            bytes.extend([u8::from(self.attribute.is_some()), 1]);
            if let Some((name, value)) = &self.attribute {
                bytes.extend([0, 1, 253, 0]);
                bytes.put_lenenc_bytes(name.as_bytes());
                bytes.put_lenenc_bytes(value.as_bytes());
            }
        }
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    /// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html>
    fn execute(&self, id: u32, values: &str, cursor: bool, caps: Capabilities) -> Vec<u8> {
        const COUNT_FOLLOWS: u8 = 8;
        let named = caps.contains(Capabilities::QUERY_ATTRIBUTES);
        let mut values: Vec<(Value, &str)> = row(values).into_iter().map(|value| (value, "")).collect();
        if let Some((name, text)) = self.attribute.as_ref().filter(|_| named) {
            values.push((value(&format!("'{text}'")), name));
        }
        let mut bytes = with_ids(0x17, &[id]);
        bytes.push(u8::from(cursor) | if named { COUNT_FOLLOWS } else { 0 });
        bytes.put_u32(1);
        if named {
            bytes.put_lenenc(values.len() as u64);
        }
        if values.is_empty() {
            return bytes;
        }
        let mut nulls = vec![0u8; values.len().div_ceil(8)];
        for (at, _) in values.iter().enumerate().filter(|(_, (value, _))| value.data.is_none() && value.kind == 6) {
            nulls[at / 8] |= 1 << (at % 8);
        }
        bytes.extend(nulls);
        bytes.push(1);
        for (value, name) in &values {
            bytes.extend([value.kind, 0]);
            if named {
                bytes.put_lenenc_bytes(name.as_bytes());
            }
        }
        bytes.extend(values.into_iter().filter_map(|(value, _)| value.data).flatten());
        bytes
    }

    fn id(&self, name: &str) -> u32 {
        // A name that was never prepared is an id that nobody knows.
        self.statements.get(name.trim()).copied().unwrap_or(4_000_000)
    }
}

fn answered(bytes: Vec<u8>, expect: Expect) -> Command {
    Command { bytes, expect: Some(expect) }
}

fn with_text(command: u8, text: &str) -> Vec<u8> {
    [&[command], text.as_bytes()].concat()
}

fn with_ids(command: u8, ids: &[u32]) -> Vec<u8> {
    let mut bytes = vec![command];
    for id in ids {
        bytes.put_u32(*id);
    }
    bytes
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex"))
        .collect()
}

/// <https://mariadb.com/docs/server/reference/clientserver-protocol/3-binary-protocol-prepared-statements/com_stmt_bulk_execute>
fn bulk(id: u32, rows: &str) -> Vec<u8> {
    const SEND_TYPES: u16 = 128;
    let mut bytes = with_ids(0xFA, &[id]);
    bytes.put_u16(SEND_TYPES);
    let rows: Vec<Vec<Value>> = rows.split(" | ").map(row).collect();
    bytes.extend(rows[0].iter().flat_map(|value| [value.kind, 0]));
    for value in rows.into_iter().flatten() {
        match value.data {
            Some(data) => {
                bytes.push(0);
                bytes.extend(data);
            }
            None => bytes.push(1),
        }
    }
    bytes
}

/// A parameter: its type, and its bytes unless it is NULL or was sent before.
struct Value {
    kind: u8,
    data: Option<Vec<u8>>,
}

fn row(values: &str) -> Vec<Value> {
    let values = values.trim();
    if values.is_empty() { Vec::new() } else { values.split(", ").map(value).collect() }
}

fn value(text: &str) -> Value {
    let lenenc = |kind, bytes: &[u8]| {
        let mut data = Vec::new();
        data.put_lenenc_bytes(bytes);
        Value { kind, data: Some(data) }
    };
    if text == "NULL" {
        Value { kind: 6, data: None }
    } else if text == "LONG" {
        Value { kind: 252, data: None }
    } else if let Some(digits) = text.strip_prefix("x'") {
        lenenc(252, &hex(digits))
    } else if let Some(text) = text.strip_prefix('\'') {
        lenenc(253, text.trim_end_matches('\'').as_bytes())
    } else if let Ok(n) = text.parse::<i64>() {
        Value { kind: 8, data: Some(n.to_le_bytes().into()) }
    } else {
        Value { kind: 5, data: Some(text.parse::<f64>().expect("a value").to_le_bytes().into()) }
    }
}
