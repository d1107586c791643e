use super::*;
use crate::protocol::exchange::Expect;
use proptest::prelude::*;

const OLD: Capabilities = Capabilities::PROTOCOL_41;
const NEW: Capabilities = Capabilities::DEPRECATE_EOF;
const TRACKING: Capabilities = Capabilities::DEPRECATE_EOF.union(Capabilities::SESSION_TRACK);

/// Frames payloads as a server numbers them, from 1.
fn stream(packets: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    packets.iter().fold(1, |seq, packet| frame(&mut out, seq, packet));
    out
}

/// Translates `packets`, fed in pieces of `step` bytes; returns the client's packets, which must be
/// numbered without a gap.
fn translate(
    expect: Expect,
    server: Capabilities,
    client: Capabilities,
    expected: Expected,
    packets: &[&[u8]],
    step: usize,
) -> (Vec<Vec<u8>>, Summary) {
    let (packets, translator) = translator_of(expect, server, client, expected, packets, step);
    (packets, translator.into_summary())
}

fn translator_of(
    expect: Expect,
    server: Capabilities,
    client: Capabilities,
    expected: Expected,
    packets: &[&[u8]],
    step: usize,
) -> (Vec<Vec<u8>>, Translator) {
    let side = Side { caps: server, family: Family::MySql, status: Status::AUTOCOMMIT, first_seq: 1 };
    let mut translator = Translator::new(side, client, expected, 1, None);
    let mut exchange = Exchange::new(expect, server);
    let (all, mut input, mut out) = (stream(packets), Vec::new(), Vec::new());
    let mut pieces = all.chunks(step);
    loop {
        match translator.advance(&mut input, &mut exchange, &mut out).expect("well formed") {
            Progress::Over { .. } => break,
            Progress::Verbatim { consumed, len } => {
                out.extend_from_slice(&input[consumed..consumed + len]);
                input.drain(..consumed + len);
            }
            Progress::More { consumed } => {
                input.drain(..consumed);
                input.extend_from_slice(pieces.next().expect("the response ends before its bytes do"));
            }
            Progress::LocalInfile { .. } => panic!("no file was asked for"),
        }
    }
    (unframe(&out), translator)
}

fn unframe(mut out: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut seq = 1u8;
    while !out.is_empty() {
        let header = Header::peek(out).expect("whole");
        assert_eq!(header.seq, seq, "numbered without a gap");
        seq = seq.wrapping_add(1);
        packets.push(out[HEADER_LEN..HEADER_LEN + header.len].to_vec());
        out = &out[HEADER_LEN + header.len..];
    }
    packets
}

const COUNT: &[u8] = b"\x01";
const COLUMN: &[u8] = b"\x03def\0\0\0\x01a";
const ROW: &[u8] = b"\x011";
const EOF_OLD: &[u8] = &[0xFE, 0, 0, 2, 0];
const END_NEW: &[u8] = &[0xFE, 0, 0, 2, 0, 0, 0];
const EOF_CURSOR: &[u8] = &[0xFE, 0, 0, 0x42, 0];
const END_CURSOR: &[u8] = &[0xFE, 0, 0, 0x42, 0, 0, 0];
const EOF_CURSOR_MORE: &[u8] = &[0xFE, 0, 0, 0x4A, 0];
const END_CURSOR_MORE: &[u8] = &[0xFE, 0, 0, 0x4A, 0, 0, 0];
const ERR_PACKET: &[u8] = b"\xff\x15\x04#28000no";
const OK_PACKET: &[u8] = &[0, 1, 0, 2, 0, 0, 0];

#[test]
fn every_kind_of_client_understands_every_kind_of_server() {
    type Form<'a> = (Capabilities, &'a [&'a [u8]]);
    let responses: &[(Expect, [Form<'_>; 2])] = &[
        (
            Expect::Results,
            [(OLD, &[COUNT, COLUMN, EOF_OLD, ROW, ROW, EOF_OLD]), (NEW, &[COUNT, COLUMN, ROW, ROW, END_NEW])],
        ),
        (Expect::Results, [(OLD, &[COUNT, COLUMN, EOF_OLD, EOF_OLD]), (NEW, &[COUNT, COLUMN, END_NEW])]),
        (
            Expect::Results,
            [(OLD, &[COUNT, COLUMN, EOF_OLD, ROW, ERR_PACKET]), (NEW, &[COUNT, COLUMN, ROW, ERR_PACKET])],
        ),
        (Expect::Results, [(OLD, &[COUNT, COLUMN, EOF_OLD, ERR_PACKET]), (NEW, &[COUNT, COLUMN, ERR_PACKET])]),
        (Expect::Cursor, [(OLD, &[COUNT, COLUMN, EOF_CURSOR]), (NEW, &[COUNT, COLUMN, END_CURSOR])]),
        // A procedure that has a cursor of its own open.
        (
            Expect::Results,
            [
                (OLD, &[COUNT, COLUMN, EOF_CURSOR, EOF_CURSOR_MORE, OK_PACKET]),
                (NEW, &[COUNT, COLUMN, END_CURSOR_MORE, OK_PACKET]),
            ],
        ),
        (Expect::Results, [(OLD, &[OK_PACKET]), (NEW, &[OK_PACKET])]),
        (Expect::Rows, [(OLD, &[ROW, EOF_OLD]), (NEW, &[ROW, END_NEW])]),
        (Expect::FieldList, [(OLD, &[COLUMN, COLUMN, EOF_OLD]), (NEW, &[COLUMN, COLUMN, END_NEW])]),
        (Expect::Ok, [(OLD, &[EOF_OLD]), (NEW, &[END_NEW])]),
        (
            Expect::Prepare,
            [
                (OLD, &[b"\0\x05\0\0\0\x01\0\x01\0\0\0\0", COLUMN, EOF_OLD, COLUMN, EOF_OLD]),
                (NEW, &[b"\0\x05\0\0\0\x01\0\x01\0\0\0\0", COLUMN, COLUMN]),
            ],
        ),
    ];
    for (expect, forms) in responses {
        for (server, sent) in forms {
            for (client, wanted) in forms {
                for step in [1, 2, 3, 7, 4096] {
                    let expected = Expected { cursor: *expect == Expect::Cursor, ..Expected::default() };
                    let (mut got, _) = translate(*expect, *server, *client, expected, sent, step);
                    if sent.contains(&END_CURSOR_MORE) && wanted.contains(&EOF_CURSOR) {
                        // What is true at the end is true ahead of the rows, but for what follows.
                        assert_eq!(got[2], EOF_CURSOR_MORE);
                        got[2] = EOF_CURSOR.to_vec();
                    }
                    assert_eq!(got, *wanted, "{expect:?} {server:?} -> {client:?}, {step} bytes at a time");
                }
            }
        }
    }
}

#[test]
fn results_of_our_own_are_kept_from_the_client() {
    let more: &[u8] = &[0, 0, 0, 10, 0, 0, 0];
    let expected = Expected { skip: 2, ..Expected::default() };
    let (got, summary) = translate(Expect::Results, NEW, OLD, expected, &[more, more, COUNT, COLUMN, ROW, END_NEW], 5);
    assert_eq!(got, [COUNT, COLUMN, EOF_OLD, ROW, EOF_OLD]);
    assert_eq!((summary.rows, summary.prelude_error), (1, None));
    let (got, summary) = translate(Expect::Results, NEW, NEW, expected, &[more, ERR_PACKET], 5);
    assert_eq!((got.len(), summary.prelude_error.map(|e| e.code)), (0, Some(1045)));
}

#[test]
fn statement_ids_and_session_changes_are_ours() {
    let expected = Expected { statement_id: Some(9), ..Expected::default() };
    let (got, summary) = translate(Expect::Prepare, NEW, NEW, expected, &[b"\0\x05\0\0\0\0\0\0\0\0\0\0"], 4096);
    assert_eq!((got[0][1], summary.prepared), (9, Some((5, 0, 0))));
    let gtid = b"\x00\x01\x00\x02\x40\x00\x00\x00\x2c\x03\x2a\x00\x283e11fa47-71ca-11e1-9e33-c80aa9429562:230";
    let (got, summary) = translate(Expect::Results, TRACKING, TRACKING, Expected::default(), &[gtid], 4096);
    assert_eq!(got, [&[0, 1, 0, 2, 0, 0, 0]]);
    assert!(summary.gtids.is_some());
}

#[test]
fn long_rows_pass_in_pieces() {
    let long = vec![b'x'; 3 * BIG_RUN];
    let mut rows: Vec<&[u8]> = vec![COUNT, COLUMN];
    rows.extend([&long[..]; 5]);
    rows.push(END_NEW);
    let mut wanted = rows.clone();
    wanted.insert(2, EOF_OLD);
    wanted.pop();
    wanted.push(EOF_OLD);
    for step in [1000, BIG_RUN - 1, BIG_RUN, 100_000] {
        let (got, summary) = translate(Expect::Results, NEW, OLD, Expected::default(), &rows, step);
        assert!(got == wanted, "{step}");
        assert_eq!(summary.rows, 5);
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(mut bytes: Vec<u8>, client: u64, server: u64) {
        let caps = Capabilities::from_bits_retain;
        let side = Side { caps: caps(server), family: Family::MySql, status: Status::empty(), first_seq: 1 };
        for expect in [Expect::Results, Expect::Ok, Expect::Prepare, Expect::Rows, Expect::FieldList, Expect::Text] {
            let mut translator = Translator::new(side, caps(client), Expected::default(), 1, None);
            let mut exchange = Exchange::new(expect, caps(server));
            let _any = translator.advance(&mut bytes, &mut exchange, &mut Vec::new());
        }
    }
}

#[test]
fn only_a_result_without_rows_is_held_to_its_end() {
    const MORE_OLD: &[u8] = &[0xFE, 0, 0, 0x0A, 0];
    const MORE_NEW: &[u8] = &[0xFE, 0, 0, 0x0A, 0, 0, 0];
    type Form<'a> = (Capabilities, &'a [&'a [u8]]);
    let answers: &[(Hold, [Form<'_>; 2])] = &[
        (Hold::Empty, [(OLD, &[COUNT, COLUMN, EOF_OLD, EOF_OLD]), (NEW, &[COUNT, COLUMN, END_NEW])]),
        (Hold::Released, [(OLD, &[COUNT, COLUMN, EOF_OLD, ROW, EOF_OLD]), (NEW, &[COUNT, COLUMN, ROW, END_NEW])]),
        (Hold::Released, [(OLD, &[COUNT, COLUMN, EOF_OLD, ERR_PACKET]), (NEW, &[COUNT, COLUMN, ERR_PACKET])]),
        (Hold::Released, [(OLD, &[ERR_PACKET]), (NEW, &[ERR_PACKET])]),
        (Hold::Released, [(OLD, &[OK_PACKET]), (NEW, &[OK_PACKET])]),
        (
            Hold::Released,
            [
                (OLD, &[COUNT, COLUMN, EOF_OLD, MORE_OLD, COUNT, COLUMN, EOF_OLD, EOF_OLD]),
                (NEW, &[COUNT, COLUMN, MORE_NEW, COUNT, COLUMN, END_NEW]),
            ],
        ),
    ];
    let held = Expected { only_with_rows: true, ..Expected::default() };
    for (hold, forms) in answers {
        for (server, packets) in forms {
            for client in [OLD, NEW, TRACKING] {
                for step in [1, 3, 1000] {
                    let (shown, translator) = translator_of(Expect::Results, *server, client, held, packets, step);
                    assert_eq!(translator.hold(), *hold, "{packets:?}");
                    let plain = translate(Expect::Results, *server, client, Expected::default(), packets, step);
                    assert_eq!(shown, plain.0, "what is told in the end is the same");
                }
            }
        }
    }
    // Results of our own ahead of it do not count.
    let skipping = Expected { skip: 1, ..held };
    let packets = [&[0, 0, 0, 0x0A, 0, 0, 0][..], COUNT, COLUMN, END_NEW];
    assert_eq!(translator_of(Expect::Results, NEW, NEW, skipping, &packets, 1).1.hold(), Hold::Empty);
}
