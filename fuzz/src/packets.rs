//! What arrives before or with a command: framing, login, executions.

use crate::Input;
use bytes::{Bytes, BytesMut};
use landbridge::frontend::prepared::{Prepared, PreparedStatement, PreparedStatements};
use landbridge::net::budget::Budget;
use landbridge::net::packets::{PacketStream, ReadError};
use landbridge::net::stream::Socket;
use landbridge::protocol::capability::Capabilities;
use landbridge::protocol::compression::{Algorithm, Compression};
use landbridge::protocol::handshake::{AuthSwitch, ChangeUser, Greeting, Login, LoginOrTls};
use landbridge::protocol::packet::{HEADER_LEN, Header, frame_parts};
use landbridge::route::{Need, Reason};
use landbridge::sql::{Mode, Traits};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// The largest input that fits a socket's buffer, so that nobody needs to read while it is written.
const FITS: usize = 64 * 1024;

pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_io().build().expect("a runtime"));

/// What came of a stream: packets, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Framed {
    packets: Vec<(u8, Vec<u8>)>,
    end: &'static str,
}

/// A stream of packets after bytes 0 (limit) and 1 (sequence id).
pub fn framing(data: &[u8]) {
    let mut input = Input(data);
    let limit = 1usize << (input.u8() % 20);
    let seq = input.u8();
    let stream = input.take(FITS);
    assert_eq!(read_all(stream, seq, limit), model(stream, seq, limit));

    let cut = usize::from(seq).min(stream.len());
    let mut out = Vec::new();
    let next = frame_parts(&mut out, seq, &[&stream[..cut], b"", &stream[cut..]]);
    assert_eq!(next, seq.wrapping_add(1));
    assert_eq!(Header::peek(&out), Some(Header { len: stream.len(), seq }));
    assert_eq!(&out[HEADER_LEN..], stream);
}

fn read_all(stream: &[u8], mut seq: u8, limit: usize) -> Framed {
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    theirs.write_all(stream).expect("fits");
    drop(theirs);
    ours.set_nonblocking(true).expect("a socket");
    let read = async {
        let ours = tokio::net::UnixStream::from_std(ours).expect("a socket");
        let mut ours = PacketStream::plain(Socket::Unix(ours));
        let mut packets = Vec::new();
        loop {
            match ours.read_packet(seq, limit).await {
                Ok(packet) => {
                    seq = packet.seq.wrapping_add(1);
                    packets.push((packet.seq, packet.payload.to_vec()));
                }
                Err(ReadError::Io(_)) => return Framed { packets, end: "over" },
                Err(ReadError::TooLarge { .. } | ReadError::Exhausted(_)) => {
                    return Framed { packets, end: "too large" };
                }
                Err(ReadError::OutOfOrder { .. }) => return Framed { packets, end: "out of order" },
            }
        }
    };
    RUNTIME.block_on(read)
}

fn model(mut stream: &[u8], mut seq: u8, limit: usize) -> Framed {
    let mut packets = Vec::new();
    let end = loop {
        let &[a, b, c, got, ref rest @ ..] = stream else { break "over" };
        let len = usize::from(a) + 256 * usize::from(b) + 65_536 * usize::from(c);
        if got != seq {
            break "out of order";
        }
        if len > limit {
            break "too large";
        }
        let Some(payload) = rest.get(..len) else { break "over" };
        packets.push((seq, payload.to_vec()));
        seq = seq.wrapping_add(1);
        stream = &rest[len..];
    };
    Framed { packets, end }
}

/// A server's greeting.
pub fn greeting(data: &[u8]) {
    if let Ok(greeting) = Greeting::decode(data) {
        let mut out = Vec::new();
        greeting.encode(&mut out);
        assert_eq!(Greeting::decode(&out), Ok(greeting));
    }
}

/// A client's login.
pub fn login(data: &[u8]) {
    let Ok(LoginOrTls::Login(login)) = Login::decode(data) else { return };
    let held = [&login.user, &login.auth, &login.attributes].map(Vec::len).iter().sum::<usize>();
    assert!(held <= data.len(), "more than was sent");
    let has = |flag| login.capabilities.contains(flag);
    let plain = login.schema.is_some() == has(Capabilities::CONNECT_WITH_DB)
        && login.plugin.is_some() == has(Capabilities::PLUGIN_AUTH)
        && (has(Capabilities::PLUGIN_AUTH_LENENC) || has(Capabilities::SECURE_CONNECTION));
    if plain {
        let mut out = Vec::new();
        login.encode(&mut out);
        assert_eq!(Login::decode(&out), Ok(LoginOrTls::Login(login)));
    }
}

/// A server's request to authenticate in another way.
pub fn auth_switch(data: &[u8]) {
    if let Ok(switch) = AuthSwitch::decode(data) {
        let mut out = Vec::new();
        switch.encode(&mut out);
        assert_eq!(AuthSwitch::decode(&out), Ok(switch));
    }
}

/// `COM_CHANGE_USER` after four bytes of capabilities.
pub fn change_user(data: &[u8]) {
    let mut input = Input(data);
    let caps = input.caps();
    if let Ok(change) = ChangeUser::decode(input.0, caps) {
        let held = change.user.len() + change.auth.len() + change.schema.map_or(0, |s| s.len());
        assert!(held <= data.len(), "more than was sent");
    }
}

/// Executions of one prepared statement: after the number of parameters, bodies and long data.
pub fn execute(data: &[u8]) {
    const LIMIT: usize = 100;
    let mut input = Input(data);
    let params = u16::from_le_bytes([input.u8(), input.u8() % 4]);
    let caps = if input.u8() % 2 == 0 { Capabilities::empty() } else { Capabilities::QUERY_ATTRIBUTES };
    let mut statements = PreparedStatements::default();
    let memory = Budget::new(1 << 20, Duration::ZERO);
    let says = || Prepared::new(b"?"[..].into(), Arc::default(), Mode::default());
    let new = || PreparedStatement::new(says(), Need::Primary(Reason::Pinned), Traits::NONE, params);
    while !input.0.is_empty() {
        match input.u8() % 8 {
            0 => {
                let id = statements.next_id();
                statements.insert(new());
                assert!(statements.find(id).is_some() && statements.just_prepared() == id);
            }
            1 => {
                let id = input.u8().into();
                let known = statements.find(id).is_some();
                assert_eq!(statements.reset(id), known);
                statements.remove(id);
                assert!(statements.find(id).is_none());
            }
            2 => statements.clear(),
            3 | 4 => {
                let piece = input.piece();
                statements.add_long_data(statements.just_prepared(), piece, LIMIT, &memory);
            }
            _ => {
                let body = input.piece();
                let last = statements.just_prepared();
                let Some(statement) = statements.find(last) else { continue };
                let Ok(execution) = statement.complete(&Bytes::copy_from_slice(body), caps) else { continue };
                let bytes = execution.encode(params, caps);
                let again = statement.complete(&Bytes::copy_from_slice(&bytes), caps);
                assert_eq!(again.map(|again| again.encode(params, caps)), Ok(bytes), "spelled out already");
                let (pieces, bytes) = statement.take_long_data();
                let pieces = pieces.unwrap_or_default();
                assert!(pieces.iter().map(Vec::len).sum::<usize>() <= bytes && bytes <= LIMIT);
                assert!(pieces.len() <= LIMIT, "many small pieces are as heavy as a few large ones");
                assert_eq!(statement.take_long_data(), (Some(Vec::new()), 0));
                statements.long_data_is_gone(bytes);
            }
        }
    }
}

/// A stream of envelopes, after the algorithm: what comes out is what was announced, and goes in again.
pub fn compression(data: &[u8]) {
    let mut input = Input(data);
    let algorithm = || if data.first().is_some_and(|b| b & 1 == 0) { Algorithm::Zlib } else { Algorithm::Zstd(1) };
    input.u8();
    let (mut raw, mut plain) = (BytesMut::from(input.0), BytesMut::new());
    let mut compression = Compression::new(algorithm());
    loop {
        let (left, had) = (raw.len(), plain.len());
        let announced = raw.get(4..7).map_or(0, |n| u32::from_le_bytes([n[0], n[1], n[2], 0]) as usize);
        if compression.unwrap(&mut raw, &mut plain).is_err() || raw.len() == left {
            break;
        }
        let came = plain.len() - had;
        assert!(came == announced || (announced == 0 && came <= left), "{came} of {announced}");
        // A few bytes may hold much; enough has been seen.
        if plain.len() > 1 << 20 {
            return;
        }
    }
    let (mut wrapped, mut again) = (Vec::new(), BytesMut::new());
    Compression::new(algorithm()).wrap(&plain, &mut wrapped);
    let (mut raw, mut reader) = (BytesMut::from(&wrapped[..]), Compression::new(algorithm()));
    while !raw.is_empty() {
        reader.unwrap(&mut raw, &mut again).expect("what we write can be read");
    }
    assert_eq!(again, plain);
}
