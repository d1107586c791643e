//! Rewrites a server's packets for a client, without I/O: bytes in, bytes out.

mod ends;
mod foreseen;
mod hold;

pub use self::ends::{Progress, Side};
pub use self::hold::Hold;
use super::relay::Expected;
use super::summary::Summary;
use crate::consistency::gtid::Family;
use crate::protocol::capability::{Capabilities, Status};
use crate::protocol::errno;
use crate::protocol::exchange::{Exchange, Role, Step, decode_count, decode_end, encode_count};
use crate::protocol::packet::{HEADER_LEN, Header, frame, frame_with};
use crate::protocol::response::{EOF, EofPacket, OK, OkPacket, ServerError};
use crate::protocol::resultset::{column_name, convert_definition};
use crate::protocol::sum::Summing;
use crate::protocol::track::Changes;
use crate::protocol::wire::{Malformed, Put, Reader};
use std::hash::RandomState;

/// Rows are written from where they lie, not copied, from this size on.
const BIG_RUN: usize = 16 * 1024;

/// The state of a response on its way.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a response")]
pub struct Translator {
    server_caps: Capabilities,
    client_caps: Capabilities,
    family: Family,
    expected: Expected,
    skip: usize,
    seq: u8,
    server_seq: u8,
    /// Payload bytes of a row that are still to come.
    row_left: usize,
    /// The next physical packet continues the row before it.
    row_continues: bool,
    rows: u64,
    /// An older client's EOF behind the definitions, due unless a cursor was opened.
    eof_due: bool,
    preparing: bool,
    infile_refused: bool,
    hold: Hold,
    /// What its rows are, if somebody wants to know.
    summing: Option<Box<Summing>>,
    summary: Summary,
}

impl Translator {
    /// Starts a response on a connection with this status, whose first packet gets `seq`. With a key its rows are summed
    /// up, to be compared with those that are with the same key.
    pub fn new(
        server: Side,
        client_caps: Capabilities,
        expected: Expected,
        seq: u8,
        sums: Option<&RandomState>,
    ) -> Self {
        Self {
            server_caps: server.caps,
            client_caps,
            family: server.family,
            expected,
            skip: expected.skip,
            seq,
            server_seq: server.first_seq,
            row_left: 0,
            row_continues: false,
            rows: 0,
            eof_due: false,
            preparing: false,
            infile_refused: false,
            hold: Hold::new(expected.only_with_rows),
            summing: sums.map(|key| Box::new(Summing::new(key))),
            summary: Summary { status: server.status & Status::OF_SESSION, ..Summary::default() },
        }
    }

    /// Sequence id of the client's next packet.
    pub fn client_seq(&self) -> u8 {
        self.seq
    }

    /// Sequence id the server expects next.
    pub fn server_seq(&self) -> u8 {
        self.server_seq
    }

    /// Whether the client may see it.
    pub fn hold(&self) -> Hold {
        self.hold
    }

    /// Goes on with the client's next packet numbered `client`, and the server's next one `server`: after the
    /// client has sent a file, or where an envelope begins.
    pub fn continue_at(&mut self, client: u8, server: u8) {
        self.seq = client;
        self.server_seq = server;
    }

    /// What the response said.
    pub fn into_summary(self) -> Summary {
        let mut summary = self.summary;
        summary.sum = self.summing.map(|summing| Box::new(summing.finish()));
        summary
    }

    /// Works through `input` as far as it goes.
    ///
    /// # Errors
    /// The server talks nonsense.
    pub fn advance(
        &mut self,
        input: &mut [u8],
        exchange: &mut Exchange,
        out: &mut Vec<u8>,
    ) -> Result<Progress, Malformed> {
        let mut at = 0;
        loop {
            // Older clients get an EOF between definitions and rows.
            if self.eof_due && self.is_row_next(&input[at..], exchange) {
                let status = self.foreseen(&input[at..], exchange).unwrap_or(self.summary.status);
                self.push_due_eof(status, out);
            }
            let start = at;
            at += self.rows(&mut input[at..], exchange);
            if at - start >= BIG_RUN {
                return Ok(Progress::Verbatim { consumed: start, len: at - start });
            }
            out.put(&input[start..at]);
            let rest = &input[at..];
            if self.row_left == 0
                && let Some(header) = Header::peek(rest)
            {
                self.check_seq(header)?;
            }
            if self.row_left > 0 || self.row_continues {
                return Ok(Progress::More { consumed: at });
            }
            let Some(header) = Header::peek(rest) else { return Ok(Progress::More { consumed: at }) };
            if exchange.in_rows() && rest.get(HEADER_LEN).is_some_and(|first| exchange.is_row(header.len, *first)) {
                continue;
            }
            let Some(payload) = rest.get(HEADER_LEN..HEADER_LEN + header.len) else {
                return Ok(Progress::More { consumed: at });
            };
            at += HEADER_LEN + header.len;
            self.server_seq = header.seq.wrapping_add(1);
            let step = exchange.packet(header.len, payload)?;
            self.packet(step, payload, out)?;
            if step.role == Role::LocalInfile {
                return Ok(Progress::LocalInfile { consumed: at });
            }
            if step.end {
                return Ok(Progress::Over { consumed: at });
            }
        }
    }

    /// A response goes on numbering its packets; the answer to the next command begins at 1. A server
    /// whose statement is killed between two of one command promises more results and sends none:
    /// what comes then must not be taken for the client's.
    fn check_seq(&self, header: Header) -> Result<(), Malformed> {
        if header.seq == self.server_seq { Ok(()) } else { Err(Malformed("response: a packet of another one")) }
    }

    /// Whether a row of this response is what comes next, as far as its first bytes are there.
    fn is_row_next(&self, rest: &[u8], exchange: &Exchange) -> bool {
        let Some(header) = Header::peek(rest) else { return false };
        let is_row = |first: &u8| exchange.is_row(header.len, *first);
        self.check_seq(header).is_ok()
            && exchange.in_rows()
            && (header.len == 0 || rest.get(HEADER_LEN).is_some_and(is_row))
    }

    /// Renumbers as many rows as there are; returns how many bytes they take.
    fn rows(&mut self, input: &mut [u8], exchange: &Exchange) -> usize {
        let mut at = 0;
        loop {
            let passed = self.row_left.min(input.len() - at);
            if let Some(summing) = &mut self.summing {
                summing.add(&input[at..at + passed]);
            }
            self.row_left -= passed;
            at += passed;
            let rest = &mut input[at..];
            let Some(header) = Header::peek(rest) else { return at };
            if self.row_left > 0 || self.check_seq(header).is_err() {
                return at;
            }
            if !self.row_continues {
                if !self.is_row_next(rest, exchange) {
                    return at;
                }
                self.rows += 1;
                self.hold.release();
                if let Some(summing) = &mut self.summing {
                    summing.begin_row();
                }
            }
            rest[HEADER_LEN - 1] = self.seq;
            self.seq = self.seq.wrapping_add(1);
            self.server_seq = header.seq.wrapping_add(1);
            self.row_continues = header.is_continued();
            self.row_left = header.len;
            at += HEADER_LEN;
        }
    }

    fn packet(&mut self, step: Step, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        match step.role {
            Role::Ok => self.ok(payload, out),
            Role::RowsEnd => self.rows_end(payload, out),
            Role::Err => self.err(payload, out),
            Role::PrepareOk => self.prepare_ok(payload, out),
            Role::Definition => {
                if let Some(summing) = &mut self.summing {
                    summing.column(&column_name(payload)?);
                }
                let definition = convert_definition(payload, self.server_caps, self.client_caps)?;
                self.push(&definition, out);
                if step.last_definition && !self.deprecates_eof() {
                    self.eof_due = true;
                    if self.preparing {
                        self.push_due_eof(self.summary.status, out);
                    }
                }
                Ok(())
            }
            Role::DefinitionsEnd if self.client_wants_eof() => {
                let cursor = self.opens_cursor(EofPacket::decode(payload)?.status);
                self.eof_due = false;
                if cursor {
                    self.summary.status = EofPacket::decode(payload)?.status;
                }
                self.push(payload, out);
                Ok(())
            }
            Role::DefinitionsEnd => {
                let end = decode_end(payload, self.server_caps)?;
                // With a cursor this EOF is the end of the response, which newer clients want as an OK.
                if self.opens_cursor(end.status) {
                    self.summary.absorb(&end, Some(0), self.family);
                    self.push_end(&end, out);
                }
                Ok(())
            }
            Role::LocalInfile => {
                self.hold.release();
                self.infile_refused = !self.expected.local_infile;
                if self.expected.local_infile {
                    self.push(payload, out);
                }
                Ok(())
            }
            Role::ColumnCount => {
                self.rows = 0;
                let (columns, _) = decode_count(payload, self.server_caps)?;
                self.push_with(out, |packet, caps| encode_count(packet, columns, caps));
                Ok(())
            }
            Role::Row | Role::Text => {
                self.hold.release();
                self.push(payload, out);
                Ok(())
            }
        }
    }

    fn opens_cursor(&self, status: Status) -> bool {
        self.expected.cursor && status.contains(Status::CURSOR_EXISTS)
    }

    fn deprecates_eof(&self) -> bool {
        // The server's own EOFs, where it sends them, come as packets of their own.
        !self.server_caps.contains(Capabilities::DEPRECATE_EOF) || !self.client_wants_eof()
    }

    fn client_wants_eof(&self) -> bool {
        !self.client_caps.contains(Capabilities::DEPRECATE_EOF)
    }

    fn ok(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        let ok = if payload.first() == Some(&EOF) {
            decode_end(payload, self.server_caps)?
        } else {
            OkPacket::decode(payload, self.server_caps)?
        };
        if self.skip > 0 && ok.status.contains(Status::MORE_RESULTS) {
            self.skip -= 1;
            self.summary.status = ok.status - Status::MORE_RESULTS;
            return Ok(());
        }
        self.hold.release();
        self.summary.absorb(&ok, None, self.family);
        if self.infile_refused {
            let error = errno::local_infile_off(self.family == Family::MariaDb);
            self.push_error(&error, out);
            self.summary.error = Some(Box::new(error));
            return Ok(());
        }
        let mut shown = Vec::new();
        let changes = self.shown_changes(&ok, &mut shown);
        let ok = OkPacket { changes, ..ok };
        let mut packet = Vec::with_capacity(payload.len());
        // COM_SET_OPTION and COM_DEBUG are answered with an EOF.
        if payload.first() == Some(&EOF) {
            ok.encode_end_of_rows(&mut packet, self.client_caps);
        } else {
            ok.encode(&mut packet, OK, self.client_caps);
        }
        self.push(&packet, out);
        Ok(())
    }

    fn rows_end(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        let end = decode_end(payload, self.server_caps)?;
        let cursor = self.opens_cursor(end.status) && !end.status.contains(Status::LAST_ROW_SENT);
        if self.eof_due && !(cursor && self.rows == 0) {
            self.push_due_eof(end.status - Status::LAST_ROW_SENT, out);
        }
        self.eof_due = false;
        self.hold.rows_end(end.status.contains(Status::MORE_RESULTS));
        self.summary.absorb(&end, Some(self.rows), self.family);
        self.rows = 0;
        self.push_end(&end, out);
        Ok(())
    }

    fn push_end(&mut self, end: &OkPacket<'_>, out: &mut Vec<u8>) {
        let mut shown = Vec::new();
        let changes = self.shown_changes(end, &mut shown);
        let end = OkPacket { changes, ..end.clone() };
        self.push_with(out, |packet, caps| end.encode_end_of_rows(packet, caps));
    }

    fn err(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        let error = ServerError::decode(payload)?;
        if self.skip > 0 {
            self.summary.prelude_error = Some(Box::new(error));
            return Ok(());
        }
        self.hold.release();
        if self.eof_due {
            self.push_due_eof(self.summary.status, out);
        }
        self.push(payload, out);
        self.summary.error = Some(Box::new(error));
        Ok(())
    }

    fn prepare_ok(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        let mut r = Reader::new(payload, "prepare response");
        let first = r.u8()?;
        let (id, columns, params) = (r.u32()?, r.u16()?, r.u16()?);
        self.preparing = true;
        self.summary.prepared = Some((id, params, columns));
        let mut packet = vec![first];
        packet.put_u32(self.expected.statement_id.unwrap_or(id));
        packet.put_u16(columns);
        packet.put_u16(params);
        packet.put(r.rest());
        if self.client_caps.contains(Capabilities::OPTIONAL_RESULTSET_METADATA) {
            packet.push(1);
        }
        self.push(&packet, out);
        Ok(())
    }

    fn shown_changes<'b>(&self, ok: &OkPacket<'_>, buffer: &'b mut Vec<u8>) -> Changes<'b> {
        if self.client_caps.contains(Capabilities::SESSION_TRACK) && !ok.changes.is_empty() {
            ok.changes.filter(self.expected.reports, buffer);
        }
        Changes::new(buffer)
    }

    fn push_due_eof(&mut self, status: Status, out: &mut Vec<u8>) {
        self.eof_due = false;
        self.push_with(out, |packet, _| EofPacket { warnings: 0, status }.encode(packet));
    }

    fn push_error(&mut self, error: &ServerError, out: &mut Vec<u8>) {
        self.push_with(out, |packet, _| error.encode(packet));
    }

    fn push(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        self.seq = frame(out, self.seq, payload);
    }

    fn push_with(&mut self, out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>, Capabilities)) {
        self.seq = frame_with(out, self.seq, |packet| encode(packet, self.client_caps));
    }
}

#[cfg(test)]
mod tests;
