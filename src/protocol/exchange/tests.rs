use super::*;
use proptest::prelude::*;

const OLD: Capabilities = Capabilities::PROTOCOL_41;
const NEW: Capabilities = Capabilities::DEPRECATE_EOF;

/// Feeds packets and returns their roles; the last must end the response, no other.
fn roles(expect: Expect, caps: Capabilities, packets: &[&[u8]]) -> Vec<Role> {
    let mut exchange = Exchange::new(expect, caps);
    let mut roles = Vec::new();
    for (i, packet) in packets.iter().enumerate() {
        let step = exchange.packet(packet.len(), packet).expect("well formed");
        assert_eq!(step.end, i + 1 == packets.len(), "packet {i} of {packets:?}");
        roles.push(step.role);
    }
    roles
}

const OK_PACKET: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
const OK_MORE: &[u8] = &[0, 0, 0, 10, 0, 0, 0];
const END_NEW: &[u8] = &[0xFE, 0, 0, 2, 0, 0, 0];
const EOF_OLD: &[u8] = &[0xFE, 0, 0, 2, 0];
const EOF_CURSOR: &[u8] = &[0xFE, 0, 0, 0x42, 0];
const ERR_PACKET: &[u8] = b"\xff\x15\x04#28000no";
const COLUMN: &[u8] = b"\x03def";
const ROW: &[u8] = b"\x011";

#[test]
fn responses() {
    use Role::*;
    type Row<'a> = (Expect, Capabilities, &'a [&'a [u8]], &'a [Role]);
    let table: &[Row<'_>] = &[
        (Expect::Ok, NEW, &[OK_PACKET], &[Ok]),
        (Expect::Ok, OLD, &[EOF_OLD], &[Ok]),
        (Expect::Ok, OLD, &[ERR_PACKET], &[Err]),
        (Expect::Any, NEW, &[OK_PACKET], &[Ok]),
        (Expect::Any, NEW, &[EOF_OLD], &[Ok]),
        (Expect::Any, NEW, &[b"\x01", COLUMN, ROW, END_NEW], &[ColumnCount, Definition, Row, RowsEnd]),
        (Expect::Stream, NEW, &[OK_PACKET, ROW, ERR_PACKET], &[Row, Row, Err]),
        (Expect::Stream, NEW, &[OK_PACKET, EOF_OLD], &[Row, Text]),
        (Expect::Results, NEW, &[OK_PACKET], &[Ok]),
        (Expect::Results, NEW, &[OK_MORE, OK_PACKET], &[Ok, Ok]),
        (Expect::Results, NEW, &[OK_MORE, ERR_PACKET], &[Ok, Err]),
        (Expect::Results, NEW, &[b"\x01", COLUMN, ROW, END_NEW], &[ColumnCount, Definition, Row, RowsEnd]),
        (
            Expect::Results,
            OLD,
            &[b"\x01", COLUMN, EOF_OLD, ROW, EOF_OLD],
            &[ColumnCount, Definition, DefinitionsEnd, Row, RowsEnd],
        ),
        (Expect::Results, NEW, &[b"\x01", COLUMN, ROW, ERR_PACKET], &[ColumnCount, Definition, Row, Err]),
        // A cursor was opened: rows come with COM_STMT_FETCH.
        (Expect::Cursor, OLD, &[b"\x01", COLUMN, EOF_CURSOR], &[ColumnCount, Definition, DefinitionsEnd]),
        // One of a procedure's own.
        (
            Expect::Results,
            OLD,
            &[b"\x01", COLUMN, EOF_CURSOR, ROW, EOF_OLD],
            &[ColumnCount, Definition, DefinitionsEnd, Row, RowsEnd],
        ),
        (Expect::Rows, OLD, &[ROW, EOF_OLD], &[Row, RowsEnd]),
        (Expect::Prepare, NEW, &[b"\0\x01\0\0\0\0\0\0\0\0\0\0"], &[PrepareOk]),
        (
            Expect::Prepare,
            NEW,
            &[b"\0\x01\0\0\0\x01\0\x02\0\0\0\0", COLUMN, COLUMN, COLUMN],
            &[PrepareOk, Definition, Definition, Definition],
        ),
        (
            Expect::Prepare,
            OLD,
            &[b"\0\x01\0\0\0\x01\0\x01\0\0\0\0", COLUMN, EOF_OLD, COLUMN, EOF_OLD],
            &[PrepareOk, Definition, DefinitionsEnd, Definition, DefinitionsEnd],
        ),
        (Expect::FieldList, NEW, &[COLUMN, COLUMN, END_NEW], &[Definition, Definition, RowsEnd]),
        (Expect::Text, OLD, &[b"Uptime: 1"], &[Text]),
    ];
    for (expect, caps, packets, want) in table {
        assert_eq!(roles(*expect, *caps, packets), *want, "{expect:?} {packets:?}");
    }
}

#[test]
fn a_long_row_that_starts_with_fe_is_a_row() {
    let mut exchange = Exchange::new(Expect::Rows, NEW);
    assert_eq!(exchange.packet(MAX_PAYLOAD, &[0xFE, 1, 2, 3]).map(|s| s.role), Ok(Role::Row));
    let mut exchange = Exchange::new(Expect::Rows, OLD);
    assert_eq!(exchange.packet(20, &[0xFE, 1, 2, 3]).map(|s| s.role), Ok(Role::Row));
}

#[test]
fn local_infile_waits_for_the_file() {
    let mut exchange = Exchange::new(Expect::Results, NEW);
    assert_eq!(exchange.packet(2, b"\xfbf").map(|s| (s.role, s.end)), Ok((Role::LocalInfile, false)));
    assert!(exchange.packet(7, OK_PACKET).is_err());
    exchange.infile_sent();
    assert_eq!(exchange.packet(7, OK_PACKET).map(|s| s.end), Ok(true));
}

#[test]
fn nothing_may_follow_the_end() {
    let mut exchange = Exchange::new(Expect::Ok, NEW);
    assert!(exchange.packet(7, OK_PACKET).is_ok());
    assert!(exchange.packet(7, OK_PACKET).is_err());
}

proptest! {
    #[test]
    fn garbage_never_panics(caps: u32, packets: Vec<Vec<u8>>) {
        let caps = Capabilities::from_bits_retain(u64::from(caps));
        for expect in [Expect::Results, Expect::Ok, Expect::Prepare, Expect::Rows, Expect::FieldList, Expect::Text] {
            let mut exchange = Exchange::new(expect, caps);
            for packet in &packets {
                if exchange.packet(packet.len(), packet).is_err() {
                    break;
                }
            }
        }
    }
}
