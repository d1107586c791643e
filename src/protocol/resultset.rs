//! Small text result sets: read from control queries, written for answers of our own.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html>

use super::capability::{Capabilities, Status};
use super::packet::frame;
use super::response::{EofPacket, OkPacket};
use super::wire::{Malformed, Put, Reader};

/// Column type `MYSQL_TYPE_LONGLONG`.
const TYPE_LONGLONG: u8 = 8;
/// Column type `MYSQL_TYPE_VAR_STRING`.
const TYPE_VAR_STRING: u8 = 253;
/// Collation `utf8mb4_general_ci`.
const UTF8MB4: u16 = 45;
/// Collation `binary`.
const BINARY: u16 = 63;

/// A column of an answer of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Whether it holds integers rather than text.
    pub integer: bool,
}

impl<'a> Column<'a> {
    /// A column of text.
    pub fn text(name: &'a str) -> Self {
        Self { name: name.as_bytes(), integer: false }
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.put_lenenc_bytes(b"def");
        out.put_lenenc_bytes(b"");
        out.put_lenenc_bytes(b"");
        out.put_lenenc_bytes(b"");
        out.put_lenenc_bytes(self.name);
        out.put_lenenc_bytes(b"");
        out.push(0x0C);
        let (collation, length, kind, flags) =
            if self.integer { (BINARY, 21, TYPE_LONGLONG, 0x81_u16) } else { (UTF8MB4, 1024, TYPE_VAR_STRING, 0) };
        out.put_u16(collation);
        out.put_u32(length);
        out.push(kind);
        out.put_u16(flags);
        out.push(0);
        out.put_u16(0);
    }
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// As text, for `COM_QUERY`.
    Text,
    /// In binary form, for `COM_STMT_EXECUTE`.
    Binary,
}

/// Appends a whole result set for a client with `caps`, its first packet numbered 1. Values are
/// given as text.
pub fn encode(
    out: &mut Vec<u8>,
    caps: Capabilities,
    status: Status,
    columns: &[Column<'_>],
    rows: &[Vec<Option<Vec<u8>>>],
    protocol: Protocol,
) {
    let mut payload = Vec::new();
    payload.put_lenenc(columns.len() as u64);
    let mut seq = frame(out, 1, &payload);
    for column in columns {
        payload.clear();
        column.encode(&mut payload);
        seq = frame(out, seq, &payload);
    }
    if !caps.contains(Capabilities::DEPRECATE_EOF) {
        payload.clear();
        EofPacket { warnings: 0, status }.encode(&mut payload);
        seq = frame(out, seq, &payload);
    }
    for row in rows {
        payload.clear();
        match protocol {
            Protocol::Text => encode_text(&mut payload, row),
            Protocol::Binary => encode_binary(&mut payload, columns, row),
        }
        seq = frame(out, seq, &payload);
    }
    payload.clear();
    OkPacket { status, ..OkPacket::default() }.encode_end_of_rows(&mut payload, caps);
    frame(out, seq, &payload);
}

fn encode_text(payload: &mut Vec<u8>, row: &[Option<Vec<u8>>]) {
    for value in row {
        match value {
            Some(text) => payload.put_lenenc_bytes(text),
            None => payload.push(0xFB),
        }
    }
}

/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>
fn encode_binary(payload: &mut Vec<u8>, columns: &[Column<'_>], row: &[Option<Vec<u8>>]) {
    // The bitmap of NULLs begins with two bits that are not used.
    let mut head = vec![0; 1 + (row.len() + 9) / 8];
    for (at, _) in row.iter().enumerate().filter(|(_, value)| value.is_none()) {
        head[1 + (at + 2) / 8] |= 1 << ((at + 2) % 8);
    }
    payload.extend_from_slice(&head);
    for (column, text) in columns.iter().zip(row).filter_map(|(column, value)| Some((column, value.as_ref()?))) {
        if column.integer {
            let number: i64 = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
            payload.extend_from_slice(&number.to_le_bytes());
        } else {
            payload.put_lenenc_bytes(text);
        }
    }
}

/// The name in a column definition.
pub fn column_name(definition: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut r = Reader::new(definition, "column definition");
    for _catalog_schema_table_original in 0..4 {
        r.lenenc_bytes()?;
    }
    Ok(r.lenenc_bytes()?.to_vec())
}

/// The values of a text row.
pub fn text_row(payload: &[u8]) -> Result<Vec<Option<String>>, Malformed> {
    let mut r = Reader::new(payload, "text row");
    let mut row = Vec::new();
    while !r.is_empty() {
        row.push(r.text_value()?.map(|v| String::from_utf8_lossy(v).into_owned()));
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::exchange::{Exchange, Expect, Role};
    use crate::protocol::packet::{HEADER_LEN, Header};

    #[test]
    fn binary_rows() {
        let columns = [Column::text("name"), Column { name: b"n", integer: true }];
        let mut payload = Vec::new();
        encode_binary(&mut payload, &columns, &[Some(b"a".to_vec()), Some(b"-2".to_vec())]);
        assert_eq!(payload, b"\0\0\x01a\xfe\xff\xff\xff\xff\xff\xff\xff");
        payload.clear();
        encode_binary(&mut payload, &columns, &[Some(b"a".to_vec()), None]);
        assert_eq!(payload, b"\0\x08\x01a");
    }

    #[test]
    fn what_we_write_reads_as_a_result_set() {
        for caps in [Capabilities::empty(), Capabilities::DEPRECATE_EOF] {
            let mut out = Vec::new();
            let columns = [Column::text("name"), Column { name: b"n", integer: true }];
            let rows = [vec![Some(b"a".to_vec()), None]];
            encode(&mut out, caps, Status::AUTOCOMMIT, &columns, &rows, Protocol::Text);
            let mut exchange = Exchange::new(Expect::Results, caps);
            let (mut rest, mut names, mut rows, mut seq) = (&out[..], vec![], vec![], 1);
            loop {
                let header = Header::peek(rest).expect("header");
                assert_eq!(header.seq, seq);
                seq += 1;
                let payload = &rest[HEADER_LEN..HEADER_LEN + header.len];
                rest = &rest[HEADER_LEN + header.len..];
                let step = exchange.packet(header.len, payload).expect("well formed");
                match step.role {
                    Role::Definition => names.push(column_name(payload).expect("name")),
                    Role::Row => rows.push(text_row(payload).expect("row")),
                    _ => {}
                }
                if step.end {
                    break;
                }
            }
            assert!(rest.is_empty());
            assert_eq!(names, [b"name".to_vec(), b"n".to_vec()]);
            assert_eq!(rows, [vec![Some("a".to_owned()), None]]);
        }
    }
}
