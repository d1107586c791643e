//! What servers answer, and what becomes of it for a client.

use crate::Input;
use landbridge::consistency::gtid::Family;
use landbridge::frontend::relay::Expected;
use landbridge::frontend::translate::{Progress, Side, Translator};
use landbridge::protocol::capability::{Capabilities, Status};
use landbridge::protocol::exchange::{Exchange, Expect, Role, decode_end};
use landbridge::protocol::packet::{HEADER_LEN, Header};
use landbridge::protocol::response::{EOF, EofPacket, OkPacket, ServerError};
use landbridge::protocol::resultset::{
    Column, ColumnType, Protocol, column_name, convert_definition, encode, text_row,
};
use landbridge::protocol::track::{Changes, Reports};

/// OK, EOF or ERR, after four bytes of capabilities.
pub fn response(data: &[u8]) {
    let mut input = Input(data);
    let caps = input.caps();
    let payload = input.0;
    if let Ok(ok) = OkPacket::decode(payload, caps) {
        let mut out = Vec::new();
        ok.encode(&mut out, payload.first().copied().unwrap_or(0), caps);
        let again = OkPacket::decode(&out, caps).expect("what we write can be read");
        let status = ok.status - Status::SESSION_STATE_CHANGED;
        assert_eq!(again.status - Status::SESSION_STATE_CHANGED, status);
        assert_eq!(OkPacket { status: ok.status, ..again }, ok);
        changes(ok.changes);
    }
    changes(Changes::new(payload));
    let _ = decode_end(payload, caps);
    if let Ok(eof) = EofPacket::decode(payload) {
        let mut out = Vec::new();
        eof.encode(&mut out);
        let status = eof.status - Status::SESSION_STATE_CHANGED;
        assert_eq!(EofPacket::decode(&out), Ok(EofPacket { status, ..eof }));
    }
    if let Ok(error) = ServerError::decode(payload) {
        let mut out = Vec::new();
        error.encode(&mut out);
        assert_eq!(ServerError::decode(&out).as_ref(), Ok(&error));
        let _ = error.to_string();
    }
}

fn changes(changes: Changes<'_>) {
    let _ = changes.gtids();
    let mut shown = Vec::new();
    changes.filter(Reports::default(), &mut shown);
    let mut again = Vec::new();
    let shown = Changes::new(&shown);
    shown.try_for_each(|_| ()).expect("what we write can be read");
    shown.filter(Reports::default(), &mut again);
    assert_eq!(shown.encoded(), again, "nothing more to leave out");
}

/// Parameters of a response: what the server and the client understand, which command it answers.
fn exchange_of(input: &mut Input<'_>) -> (Capabilities, Expect) {
    let (caps, expect) = (input.u8(), input.u8());
    let mut understood = Capabilities::PROTOCOL_41;
    understood.set(Capabilities::DEPRECATE_EOF, caps & 1 != 0);
    understood.set(Capabilities::SESSION_TRACK, caps & 2 != 0);
    let expect = match expect % 8 {
        0 => Expect::Results,
        1 => Expect::Ok,
        2 => Expect::Prepare,
        3 => Expect::Rows,
        4 => Expect::FieldList,
        5 => Expect::Any,
        6 => Expect::Stream,
        _ => Expect::Text,
    };
    (understood, expect)
}

/// A response after two bytes of parameters: packets, each known whole.
pub fn exchange(data: &[u8]) {
    let mut input = Input(data);
    let (caps, expect) = exchange_of(&mut input);
    let mut exchange = Exchange::new(expect, caps);
    let mut stream = input.0;
    while let Some(header) = Header::peek(stream) {
        let Some(payload) = stream.get(HEADER_LEN..HEADER_LEN + header.len) else { return };
        stream = &stream[HEADER_LEN + header.len..];
        let in_rows = exchange.in_rows();
        let Ok(step) = exchange.packet(header.len, payload) else { return };
        if in_rows {
            let first = payload.first().copied().unwrap_or(0);
            assert_eq!(step.role == Role::Row, exchange.is_row(header.len, first));
            assert!(matches!(step.role, Role::Row | Role::RowsEnd | Role::Err | Role::Text));
        }
        match step.role {
            Role::LocalInfile => exchange.infile_sent(),
            Role::Err | Role::Text => assert!(step.end),
            Role::Row | Role::ColumnCount => assert!(!step.end),
            _ => {}
        }
        if step.end {
            assert!(exchange.packet(header.len, payload).is_err(), "nothing comes after the end");
            return;
        }
    }
}

/// One kind of server: capabilities in the lowest bits, the family above.
fn side(kind: usize) -> Side {
    let mut caps = Capabilities::PROTOCOL_41;
    caps.set(Capabilities::DEPRECATE_EOF, kind & 1 != 0);
    caps.set(Capabilities::SESSION_TRACK, kind & 2 != 0);
    let family = if kind & 4 != 0 { Family::MariaDb } else { Family::MySql };
    Side { caps, family, status: Status::AUTOCOMMIT, first_seq: 1 }
}

/// What a client got of a response.
#[derive(Debug, PartialEq, Eq)]
struct Relayed {
    out: Vec<u8>,
    end: &'static str,
    rows: u64,
    status: Status,
    error: Option<ServerError>,
}

/// A response on its way to a client, after four bytes of parameters. However the bytes arrive, the
/// client gets the same packets, numbered one by one.
pub fn translate(data: &[u8]) {
    let mut input = Input(data);
    let (server, expect) = exchange_of(&mut input);
    let how = input.u8();
    let chunk = usize::from(input.u8()).max(1);
    let whole = relay(server, expect, how, input.0, usize::MAX);
    let mut pieces = relay(server, expect, how, input.0, chunk);
    if how & 2 == 0 && server.contains(Capabilities::DEPRECATE_EOF) {
        // The EOF ahead of rows tells what their end tells, if that is there already.
        assert_eq!(whole.out.len(), pieces.out.len(), "in pieces of {chunk}");
        pieces.out.clone_from(&whole.out);
    }
    assert_eq!(whole, pieces, "in pieces of {chunk}");
    let mut rest = &whole.out[..];
    let mut seq = 1u8;
    while let Some(header) = Header::peek(rest) {
        assert_eq!(header.seq, seq);
        seq = seq.wrapping_add(1);
        match rest.get(HEADER_LEN + header.len..) {
            Some(next) => rest = next,
            None => {
                assert_ne!(whole.end, "over", "the last packet is cut short");
                break;
            }
        }
    }
}

fn relay(server: Capabilities, expect: Expect, how: u8, stream: &[u8], chunk: usize) -> Relayed {
    let kind = usize::from(server.contains(Capabilities::DEPRECATE_EOF))
        + 2 * usize::from(server.contains(Capabilities::SESSION_TRACK))
        + 4 * usize::from(how & 1 != 0);
    let mut client = Capabilities::PROTOCOL_41;
    client.set(Capabilities::DEPRECATE_EOF, how & 2 != 0);
    client.set(Capabilities::SESSION_TRACK, how & 4 != 0);
    let expected = Expected {
        skip: usize::from(how >> 3 & 3),
        statement_id: (how & 32 != 0).then_some(7),
        local_infile: how & 64 != 0,
        ..Expected::default()
    };
    let mut translator = Translator::new(side(kind), client, expected, 1, None);
    let mut exchange = Exchange::new(expect, server);
    let (mut buffer, mut out) = (Vec::new(), Vec::new());
    let mut end = "cut off";
    'stream: for piece in stream.chunks(chunk) {
        buffer.extend_from_slice(piece);
        loop {
            let Ok(progress) = translator.advance(&mut buffer, &mut exchange, &mut out) else {
                end = "malformed";
                break 'stream;
            };
            match progress {
                Progress::More { consumed } => {
                    buffer.drain(..consumed);
                    break;
                }
                Progress::Verbatim { consumed, len } => {
                    assert!(len > 0);
                    out.extend_from_slice(&buffer[consumed..consumed + len]);
                    buffer.drain(..consumed + len);
                }
                Progress::LocalInfile { consumed } => {
                    buffer.drain(..consumed);
                    exchange.infile_sent();
                }
                Progress::Over { .. } => {
                    end = "over";
                    break 'stream;
                }
            }
        }
    }
    let summary = translator.into_summary();
    Relayed {
        out,
        end,
        rows: summary.rows,
        status: summary.status,
        error: summary.error.or(summary.prelude_error).map(|error| *error),
    }
}

fn kind_of(integer: bool) -> ColumnType {
    if integer { ColumnType::Count } else { ColumnType::TEXT }
}

/// Text rows and column definitions from a server; and a result set of our own made of them.
pub fn rows(data: &[u8]) {
    let _ = column_name(data);
    let extended = Capabilities::EXTENDED_METADATA;
    if let Ok(with) = convert_definition(data, Capabilities::empty(), extended) {
        let back = convert_definition(&with, extended, Capabilities::empty()).expect("what we write can be read");
        assert_eq!(&back[..], data);
    }
    let Ok(row) = text_row(data) else { return };
    if row.is_empty() {
        return;
    }
    let values: Vec<Option<Vec<u8>>> = row.iter().map(|value| value.clone().map(String::into_bytes)).collect();
    let names: Vec<Column<'_>> =
        values.iter().map(|v| Column { name: v.as_deref().unwrap_or(b"NULL"), kind: kind_of(v.is_none()) }).collect();
    for caps in [Capabilities::empty(), Capabilities::DEPRECATE_EOF] {
        let mut out = Vec::new();
        let end = OkPacket { status: Status::AUTOCOMMIT, ..OkPacket::default() };
        encode(&mut out, caps, &end, &names, &[values.clone(), values.clone()], Protocol::Text);
        let (mut exchange, mut stream) = (Exchange::new(Expect::Results, caps), &out[..]);
        let (mut names_read, mut rows_read) = (Vec::new(), Vec::new());
        loop {
            let header = Header::peek(stream).expect("an end");
            let payload = &stream[HEADER_LEN..HEADER_LEN + header.len];
            stream = &stream[HEADER_LEN + header.len..];
            let step = exchange.packet(header.len, payload).expect("a result set");
            match step.role {
                Role::ColumnCount | Role::DefinitionsEnd => {}
                Role::Definition => names_read.push(column_name(payload).expect("a definition")),
                Role::Row => rows_read.push(text_row(payload).expect("a row")),
                Role::RowsEnd => assert_eq!(payload.first(), Some(&EOF)),
                other => panic!("{other:?} in a result set"),
            }
            if step.end {
                break;
            }
        }
        assert!(stream.is_empty());
        assert!(names_read.iter().map(Vec::as_slice).eq(names.iter().map(|c| c.name)));
        assert_eq!(rows_read, [row.clone(), row.clone()]);
    }
}
