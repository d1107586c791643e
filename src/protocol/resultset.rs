//! Small text result sets: read from control queries, written for answers of our own.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html>

use super::capability::Capabilities;
use super::exchange::encode_count;
use super::packet::frame;
use super::response::{EofPacket, OK, OkPacket};
use super::wire::{Malformed, Put, Reader};
use std::borrow::Cow;

/// Column type `MYSQL_TYPE_LONG`.
const TYPE_LONG: u8 = 3;
/// Column type `MYSQL_TYPE_LONGLONG`.
const TYPE_LONGLONG: u8 = 8;
/// Column type `MYSQL_TYPE_VAR_STRING`.
const TYPE_VAR_STRING: u8 = 253;
/// Collation `utf8mb4_general_ci`.
const UTF8MB4: u16 = 45;
/// Collation `binary`.
const BINARY: u16 = 63;
/// Column flag `NOT_NULL_FLAG`.
const NOT_NULL: u16 = 0x01;
/// Column flag `UNSIGNED_FLAG`.
const UNSIGNED: u16 = 0x20;
/// Column flag `BINARY_FLAG`.
const BINARY_FLAG: u16 = 0x80;

/// What a column of an answer of our own holds, as servers describe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// The value of a function that counts.
    Count,
    /// A generated value.
    Id,
    /// The value of a system variable that counts.
    Variable,
    /// The number of an error.
    ErrorCode {
        /// Digits.
        width: u8,
    },
    /// Text.
    Text {
        /// Collation id.
        collation: u16,
        /// Most bytes.
        length: u32,
        /// What servers say of decimals: they differ.
        decimals: u8,
        /// Column flags.
        flags: u16,
    },
}

impl ColumnType {
    /// Text that nobody describes more closely.
    pub const TEXT: Self = Self::Text { collation: UTF8MB4, length: 1024, decimals: 0, flags: 0 };

    /// Text that is never NULL.
    pub fn text_not_null(collation: u16, length: u32, decimals: u8) -> Self {
        Self::Text { collation, length, decimals, flags: NOT_NULL }
    }

    /// Collation, length, type, flags, decimals.
    fn described(self) -> (u16, u32, u8, u16, u8) {
        match self {
            Self::Count => (BINARY, 21, TYPE_LONGLONG, NOT_NULL | BINARY_FLAG, 0),
            Self::Id => (BINARY, 21, TYPE_LONGLONG, NOT_NULL | UNSIGNED | BINARY_FLAG, 0),
            Self::Variable => (BINARY, 21, TYPE_LONGLONG, UNSIGNED | BINARY_FLAG, 0),
            Self::ErrorCode { width } => (BINARY, width.into(), TYPE_LONG, NOT_NULL | UNSIGNED | BINARY_FLAG, 0),
            Self::Text { collation, length, decimals, flags } => (collation, length, TYPE_VAR_STRING, flags, decimals),
        }
    }

    /// Appends a value in binary form.
    fn encode(self, out: &mut Vec<u8>, text: &[u8]) {
        let number = || std::str::from_utf8(text).ok().and_then(|text| text.parse::<i128>().ok()).unwrap_or(0);
        match self {
            Self::Count | Self::Id | Self::Variable => out.extend_from_slice(&number().to_le_bytes()[..8]),
            Self::ErrorCode { .. } => out.put_u32(u32::try_from(number()).unwrap_or(0)),
            Self::Text { .. } => out.put_lenenc_bytes(text),
        }
    }
}

/// A column of an answer of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// What it holds.
    pub kind: ColumnType,
}

impl Column<'_> {
    fn encode(self, out: &mut Vec<u8>, caps: Capabilities) {
        out.put_lenenc_bytes(b"def");
        out.put_lenenc_bytes(b"");
        out.put_lenenc_bytes(b"");
        out.put_lenenc_bytes(b"");
        out.put_lenenc_bytes(self.name);
        out.put_lenenc_bytes(b"");
        if caps.contains(Capabilities::EXTENDED_METADATA) {
            out.put_lenenc_bytes(b"");
        }
        out.push(0x0C);
        let (collation, length, kind, flags, decimals) = self.kind.described();
        out.put_u16(collation);
        out.put_u32(length);
        out.push(kind);
        out.put_u16(flags);
        out.push(decimals);
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
/// given as text. `end`: the status and the number of warnings.
pub fn encode(
    out: &mut Vec<u8>,
    caps: Capabilities,
    end: &OkPacket<'_>,
    columns: &[Column<'_>],
    rows: &[Vec<Option<Vec<u8>>>],
    protocol: Protocol,
) {
    let mut payload = Vec::new();
    encode_count(&mut payload, columns.len() as u64, caps);
    let mut seq = frame(out, 1, &payload);
    for column in columns {
        payload.clear();
        column.encode(&mut payload, caps);
        seq = frame(out, seq, &payload);
    }
    if !caps.contains(Capabilities::DEPRECATE_EOF) {
        payload.clear();
        EofPacket { warnings: 0, status: end.status }.encode(&mut payload);
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
    end.encode_end_of_rows(&mut payload, caps);
    frame(out, seq, &payload);
}

/// Appends the answer to the preparation of a statement without parameters, its first packet numbered 1.
pub fn encode_prepared(out: &mut Vec<u8>, caps: Capabilities, id: u32, columns: &[Column<'_>]) {
    let mut payload = vec![OK];
    payload.put_u32(id);
    payload.put_u16(u16::try_from(columns.len()).unwrap_or(u16::MAX));
    payload.put_u16(0);
    payload.push(0);
    payload.put_u16(0);
    let mut seq = frame(out, 1, &payload);
    for column in columns {
        payload.clear();
        column.encode(&mut payload, caps);
        seq = frame(out, seq, &payload);
    }
    if !columns.is_empty() && !caps.contains(Capabilities::DEPRECATE_EOF) {
        payload.clear();
        EofPacket::default().encode(&mut payload);
        frame(out, seq, &payload);
    }
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
        column.kind.encode(payload, text);
    }
}

/// A column definition as a client with other capabilities expects it: with or without the part that
/// names extended types.
///
/// # Errors
/// The definition is too short.
pub fn convert_definition(definition: &[u8], from: Capabilities, to: Capabilities) -> Result<Cow<'_, [u8]>, Malformed> {
    let (has, wants) = [from, to].map(|caps| caps.contains(Capabilities::EXTENDED_METADATA)).into();
    if has == wants {
        return Ok(Cow::Borrowed(definition));
    }
    let mut r = Reader::new(definition, "column definition");
    for _catalog_schema_tables_names in 0..6 {
        r.lenenc_bytes()?;
    }
    let names = definition.len() - r.rest().len();
    let mut converted = definition[..names].to_vec();
    if has {
        r.lenenc_bytes()?;
    } else {
        converted.put_lenenc_bytes(b"");
    }
    converted.put(r.rest());
    Ok(Cow::Owned(converted))
}

/// The name in a column definition.
pub fn column_name(definition: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut r = Reader::new(definition, "column definition");
    for _catalog_schema_table_original in 0..4 {
        r.lenenc_bytes()?;
    }
    Ok(r.lenenc_bytes()?.to_vec())
}

/// The values of a text row, each made of its bytes.
///
/// # Errors
/// The payload is malformed.
pub fn row_of<V>(payload: &[u8], value: impl Fn(&[u8]) -> V) -> Result<Vec<Option<V>>, Malformed> {
    let mut r = Reader::new(payload, "text row");
    let mut row = Vec::new();
    while !r.is_empty() {
        row.push(r.text_value()?.map(&value));
    }
    Ok(row)
}

/// The same as texts.
///
/// # Errors
/// The payload is malformed.
pub fn text_row(payload: &[u8]) -> Result<Vec<Option<String>>, Malformed> {
    row_of(payload, |value| String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::exchange::{Exchange, Expect, Role};
    use crate::protocol::packet::{HEADER_LEN, Header};

    #[test]
    fn definitions_with_and_without_extended_types() {
        let (plain, extended) = (Capabilities::empty(), Capabilities::EXTENDED_METADATA);
        let with = b"\x03def\0\0\0\x01a\0\x06\0\x04json\x0c\x2d\0".as_slice();
        let without = b"\x03def\0\0\0\x01a\0\x0c\x2d\0".as_slice();
        assert_eq!(convert_definition(with, extended, plain).as_deref(), Ok(without));
        assert_eq!(convert_definition(with, extended, extended).as_deref(), Ok(with));
        let empty = b"\x03def\0\0\0\x01a\0\0\x0c\x2d\0".as_slice();
        assert_eq!(convert_definition(without, plain, extended).as_deref(), Ok(empty));
        assert!(convert_definition(b"\x03def", extended, plain).is_err());
    }

    #[test]
    fn binary_rows() {
        let columns =
            [Column { name: b"name", kind: ColumnType::TEXT }, Column { name: b"n", kind: ColumnType::Count }];
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
            let columns =
                [Column { name: b"name", kind: ColumnType::TEXT }, Column { name: b"n", kind: ColumnType::Count }];
            let rows = [vec![Some(b"a".to_vec()), None]];
            encode(&mut out, caps, &OkPacket::default(), &columns, &rows, Protocol::Text);
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
