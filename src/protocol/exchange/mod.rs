//! The exchange state machine: is the response over, and what is each packet of it?
//!
//! Fed with the beginning of every *logical* packet a server sends; says which role the packet
//! plays. It never sees row contents. Its end, [`Step::end`], is the only proof that a backend
//! connection may be used for something else.

use super::capability::{Capabilities, Status};
use super::packet::MAX_PAYLOAD;
use super::response::{EOF, ERR, EofPacket, LOCAL_INFILE, OK, OkPacket};
use super::wire::{Malformed, Put, Reader};

/// What kind of response a command has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// OK, ERR, result sets, local infile: `COM_QUERY` and `COM_STMT_EXECUTE`.
    Results,
    /// The same, but rows may stay on the server until they are fetched: a `COM_STMT_EXECUTE` that asks
    /// for a cursor. A procedure with a cursor of its own open shows the flag in any answer.
    Cursor,
    /// OK, EOF or ERR.
    Ok,
    /// `COM_STMT_PREPARE`: a header, parameters, columns.
    Prepare,
    /// `COM_STMT_FETCH`: rows, then the end.
    Rows,
    /// `COM_FIELD_LIST`: column definitions, then the end.
    FieldList,
    /// `COM_STATISTICS`: one packet of text.
    Text,
    /// A command nobody here knows: results, or an OK in the form of an EOF.
    Any,
    /// `COM_BINLOG_DUMP`: events without end, or until an EOF or an error.
    Stream,
}

/// The role of a packet in its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An OK that is not the end of rows.
    Ok,
    /// An error; the response is over.
    Err,
    /// How many columns follow.
    ColumnCount,
    /// A column or parameter definition.
    Definition,
    /// The EOF between definitions and rows (connections without `DEPRECATE_EOF`), or after
    /// a prepared statement's definitions.
    DefinitionsEnd,
    /// A row.
    Row,
    /// The end of rows: EOF, or OK with header 0xFE.
    RowsEnd,
    /// The server wants a file from the client.
    LocalInfile,
    /// The header of a prepared statement.
    PrepareOk,
    /// Bare text.
    Text,
}

/// What a packet meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its role.
    pub role: Role,
    /// Whether it was the last definition of its group, for connections without an EOF behind it.
    pub last_definition: bool,
    /// Whether the response is over.
    pub end: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    First(Expect),
    Definitions {
        left: u64,
    },
    DefinitionsEnd,
    Rows,
    /// Definitions of a prepared statement: parameters, then columns.
    Prepared {
        params: u16,
        columns: u16,
        eof: bool,
    },
    FieldList,
    LocalInfile,
    Stream,
    Over,
}

/// The response to one command, on a connection with given capabilities.
#[derive(Debug, Clone)]
pub struct Exchange {
    state: State,
    caps: Capabilities,
    /// Whether rows may stay on the server.
    cursor: bool,
}

/// How much of an OK or EOF packet the machine needs to see.
///
/// Callers pass at least this much of a packet's payload (or all of it, if shorter).
pub const NEEDS: usize = 64;

impl Exchange {
    /// A response that has not begun.
    pub fn new(expect: Expect, caps: Capabilities) -> Self {
        let cursor = expect == Expect::Cursor;
        let state = match expect {
            Expect::Cursor => State::First(Expect::Results),
            Expect::Rows => State::Rows,
            Expect::Stream => State::Stream,
            _ => State::First(expect),
        };
        Self { state, caps, cursor }
    }

    /// Whether the next packet may be a row; only then is [`Self::is_row`] meaningful.
    pub fn in_rows(&self) -> bool {
        matches!(self.state, State::Rows | State::Stream)
    }

    /// Whether the next packet begins a result.
    pub fn at_a_result(&self) -> bool {
        matches!(self.state, State::First(_))
    }

    /// Whether, inside rows, a packet of `len` bytes starting with `first` is a row.
    pub fn is_row(&self, len: usize, first: u8) -> bool {
        match first {
            ERR => false,
            EOF if self.deprecates_eof() && self.state != State::Stream => len >= MAX_PAYLOAD,
            EOF => len >= 9,
            _ => true,
        }
    }

    fn deprecates_eof(&self) -> bool {
        self.caps.contains(Capabilities::DEPRECATE_EOF)
    }

    /// Takes the next logical packet: its first physical length and the beginning of its payload.
    pub fn packet(&mut self, len: usize, head: &[u8]) -> Result<Step, Malformed> {
        let first = *head.first().unwrap_or(&0);
        match self.state {
            State::First(expect) => self.first(expect, len, first, head),
            State::Definitions { left } => Ok(self.definition(left)),
            State::DefinitionsEnd => {
                // With a cursor the rows come later, on COM_STMT_FETCH.
                let opened = EofPacket::decode(head)?.status.contains(Status::CURSOR_EXISTS);
                self.state = if self.cursor && opened { State::Over } else { State::Rows };
                Ok(self.step(Role::DefinitionsEnd))
            }
            State::Rows | State::Stream if self.is_row(len, first) => Ok(self.step(Role::Row)),
            State::Rows | State::Stream if first == ERR => Ok(self.over(Role::Err)),
            State::Stream => Ok(self.over(Role::Text)),
            State::Rows => {
                let status = self.status_of_end(head)?;
                Ok(self.after_result(Role::RowsEnd, status))
            }
            State::Prepared { params, columns, eof } => Ok(self.prepared(params, columns, eof)),
            State::FieldList if first == ERR => Ok(self.over(Role::Err)),
            State::FieldList if first == EOF && len < 9 => Ok(self.over(Role::RowsEnd)),
            State::FieldList => Ok(self.step(Role::Definition)),
            State::LocalInfile | State::Over => Err(Malformed("response: packet after its end")),
        }
    }

    /// The client's file was passed on; the server's verdict follows.
    pub fn infile_sent(&mut self) {
        if self.state == State::LocalInfile {
            self.state = State::First(Expect::Results);
        }
    }

    fn first(&mut self, expect: Expect, len: usize, first: u8, head: &[u8]) -> Result<Step, Malformed> {
        match (expect, first) {
            (Expect::Text | _, ERR) => Ok(self.over(Role::Err)),
            (Expect::Text, _) => Ok(self.over(Role::Text)),
            (Expect::Prepare, OK) => {
                let mut r = Reader::new(head, "prepare response");
                r.take(5)?;
                let columns = r.u16()?;
                let params = r.u16()?;
                self.state = State::Prepared { params, columns, eof: false };
                if params == 0 && columns == 0 {
                    self.state = State::Over;
                }
                Ok(self.step(Role::PrepareOk))
            }
            (Expect::Ok | Expect::Any, EOF) => Ok(self.over(Role::Ok)),
            (Expect::Ok, OK) => Ok(self.over(Role::Ok)),
            (Expect::Results | Expect::Any, OK) => {
                let status = ok_status(head)?;
                Ok(self.after_result(Role::Ok, status))
            }
            (Expect::Results, LOCAL_INFILE) => {
                self.state = State::LocalInfile;
                Ok(self.step(Role::LocalInfile))
            }
            (Expect::Results | Expect::Any, _) => {
                let (columns, follow) = decode_count(head, self.caps)?;
                self.state = match (follow, self.deprecates_eof()) {
                    (true, _) => State::Definitions { left: columns },
                    (false, true) => State::Rows,
                    (false, false) => State::DefinitionsEnd,
                };
                Ok(self.step(Role::ColumnCount))
            }
            (Expect::FieldList, EOF) if len < 9 => Ok(self.over(Role::RowsEnd)),
            (Expect::FieldList, _) => {
                self.state = State::FieldList;
                Ok(self.step(Role::Definition))
            }
            (Expect::Prepare | Expect::Ok | Expect::Rows | Expect::Cursor | Expect::Stream, _) => {
                Err(Malformed("response"))
            }
        }
    }

    fn definition(&mut self, left: u64) -> Step {
        let left = left.saturating_sub(1);
        self.state = match (left, self.deprecates_eof()) {
            (0, true) => State::Rows,
            (0, false) => State::DefinitionsEnd,
            (left, _) => State::Definitions { left },
        };
        Step { role: Role::Definition, last_definition: left == 0, end: false }
    }

    fn prepared(&mut self, mut params: u16, mut columns: u16, eof: bool) -> Step {
        if eof {
            self.state = if columns == 0 { State::Over } else { State::Prepared { params: 0, columns, eof: false } };
            return self.step(Role::DefinitionsEnd);
        }
        let group = if params > 0 { &mut params } else { &mut columns };
        *group = group.saturating_sub(1);
        let last_definition = *group == 0;
        self.state = if last_definition && !self.deprecates_eof() {
            State::Prepared { params, columns, eof: true }
        } else if params == 0 && columns == 0 {
            State::Over
        } else {
            State::Prepared { params, columns, eof: false }
        };
        Step { last_definition, ..self.step(Role::Definition) }
    }

    fn status_of_end(&self, head: &[u8]) -> Result<Status, Malformed> {
        if self.deprecates_eof() { ok_status(head) } else { EofPacket::decode(head).map(|e| e.status) }
    }

    fn after_result(&mut self, role: Role, status: Status) -> Step {
        self.state = if status.contains(Status::MORE_RESULTS) { State::First(Expect::Results) } else { State::Over };
        self.step(role)
    }

    fn over(&mut self, role: Role) -> Step {
        self.state = State::Over;
        self.step(role)
    }

    fn step(&self, role: Role) -> Step {
        Step { role, last_definition: false, end: self.state == State::Over }
    }
}

/// Whoever may get no definitions is told behind the number of columns whether they follow. So measured on
/// servers of both families; the documentation has it ahead of the number.
const TELLS: Capabilities = Capabilities::OPTIONAL_RESULTSET_METADATA.union(Capabilities::CACHE_METADATA);

/// How many columns there are, and whether their definitions follow.
pub fn decode_count(payload: &[u8], caps: Capabilities) -> Result<(u64, bool), Malformed> {
    let mut r = Reader::new(payload, "column count");
    let columns = r.lenenc()?;
    Ok((columns, !caps.intersects(TELLS) || r.u8()? != 0))
}

/// Encodes the number of columns, whose definitions follow.
pub fn encode_count(out: &mut Vec<u8>, columns: u64, caps: Capabilities) {
    out.put_lenenc(columns);
    if caps.intersects(TELLS) {
        out.push(1);
    }
}

/// The status flags of an OK packet of which perhaps only the beginning is there.
fn ok_status(head: &[u8]) -> Result<Status, Malformed> {
    let mut r = Reader::new(head, "OK packet");
    r.u8()?;
    r.lenenc()?;
    r.lenenc()?;
    Ok(Status::from_bits_retain(r.u16()?))
}

/// Decodes the OK or EOF that ended a result set.
pub fn decode_end(payload: &[u8], caps: Capabilities) -> Result<OkPacket<'_>, Malformed> {
    if caps.contains(Capabilities::DEPRECATE_EOF) {
        return OkPacket::decode(payload, caps);
    }
    let EofPacket { warnings, status } = EofPacket::decode(payload)?;
    Ok(OkPacket { status, warnings, ..OkPacket::default() })
}

#[cfg(test)]
mod tests;
