//! OK, ERR and EOF packets, decoded from a server and encoded for a client.
//!
//! Encoding depends on what the receiving client negotiated, so every `encode` takes its
//! capabilities; that is how one backend connection serves clients of every kind.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_response_packets.html>

use super::capability::{Capabilities, Status};
use super::track::Changes;
use super::wire::{Malformed, Put, Reader};

/// First byte of an OK packet.
pub const OK: u8 = 0x00;
/// First byte of an EOF packet, and of the OK packet that ends a result set.
pub const EOF: u8 = 0xFE;
/// First byte of an ERR packet.
pub const ERR: u8 = 0xFF;
/// First byte of a request for a local file.
pub const LOCAL_INFILE: u8 = 0xFB;

/// A decoded OK packet, borrowed from the bytes it came in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OkPacket<'a> {
    /// Rows changed (or found, with `FOUND_ROWS`).
    pub affected_rows: u64,
    /// First generated `AUTO_INCREMENT` value, 0 if none.
    pub last_insert_id: u64,
    /// Server status after the statement.
    pub status: Status,
    /// Number of warnings.
    pub warnings: u16,
    /// Human readable information.
    pub info: &'a [u8],
    /// Session changes, still encoded; see [`Changes`].
    pub changes: Changes<'a>,
}

impl<'a> OkPacket<'a> {
    /// Decodes the payload of an OK packet (0x00 or 0xFE) of a connection with `caps`.
    pub fn decode(payload: &'a [u8], caps: Capabilities) -> Result<Self, Malformed> {
        let mut r = Reader::new(payload, "OK packet");
        r.u8()?;
        let affected_rows = r.lenenc()?;
        let last_insert_id = r.lenenc()?;
        let status = Status::from_bits_retain(r.u16()?);
        let warnings = r.u16()?;
        // Servers send the text with its length whether or not changes follow, unlike the manual says.
        let (info, changes) = if r.is_empty() {
            (&b""[..], Changes::default())
        } else {
            let info = r.lenenc_bytes()?;
            let tracked = caps.contains(Capabilities::SESSION_TRACK)
                && status.contains(Status::SESSION_STATE_CHANGED)
                && !r.is_empty();
            let changes = if tracked { r.lenenc_bytes()? } else { b"" };
            (info, Changes::new(changes))
        };
        Ok(Self { affected_rows, last_insert_id, status, warnings, info, changes })
    }

    /// Encodes the payload for a client with `caps`, starting with `first` (0x00 or 0xFE).
    pub fn encode(&self, out: &mut Vec<u8>, first: u8, caps: Capabilities) {
        let tracked = caps.contains(Capabilities::SESSION_TRACK);
        let mut status = self.status;
        if !tracked || self.changes.is_empty() {
            status.remove(Status::SESSION_STATE_CHANGED);
        }
        out.push(first);
        out.put_lenenc(self.affected_rows);
        out.put_lenenc(self.last_insert_id);
        out.put_u16(status.bits());
        out.put_u16(self.warnings);
        let with_changes = tracked && !self.changes.is_empty();
        if with_changes || !self.info.is_empty() {
            out.put_lenenc_bytes(self.info);
        }
        if with_changes {
            out.put_lenenc_bytes(self.changes.encoded());
        }
    }

    /// Encodes what ends a result set: an OK with header 0xFE, or an EOF for older clients.
    pub fn encode_end_of_rows(&self, out: &mut Vec<u8>, caps: Capabilities) {
        if caps.contains(Capabilities::DEPRECATE_EOF) {
            self.encode(out, EOF, caps);
        } else {
            EofPacket { warnings: self.warnings, status: self.status }.encode(out);
        }
    }
}

/// An EOF packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EofPacket {
    /// Number of warnings.
    pub warnings: u16,
    /// Server status.
    pub status: Status,
}

impl EofPacket {
    /// Decodes the payload of an EOF packet.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(payload, "EOF packet");
        r.u8()?;
        Ok(Self { warnings: r.u16()?, status: Status::from_bits_retain(r.u16()?) })
    }

    /// Encodes the payload.
    pub fn encode(self, out: &mut Vec<u8>) {
        out.push(EOF);
        out.put_u16(self.warnings);
        out.put_u16((self.status - Status::SESSION_STATE_CHANGED).bits());
    }
}

/// An error as a server words it, or as Landbridge words it in a server's place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ERROR {code} ({}): {message}", String::from_utf8_lossy(.state))]
pub struct ServerError {
    /// Error number.
    pub code: u16,
    /// SQLSTATE.
    pub state: [u8; 5],
    /// Text.
    pub message: String,
}

impl ServerError {
    /// An error of our own.
    pub fn new(code: u16, state: &[u8; 5], message: impl Into<String>) -> Self {
        Self { code, state: *state, message: message.into() }
    }

    /// Decodes the payload of an ERR packet. Before login a server sends no SQLSTATE.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(payload, "ERR packet");
        r.u8()?;
        let code = r.u16()?;
        let mut state = *b"HY000";
        if r.rest().first() == Some(&b'#') {
            r.take(1)?;
            state.copy_from_slice(r.take(5)?);
        }
        Ok(Self { code, state, message: String::from_utf8_lossy(r.rest()).into_owned() })
    }

    /// Encodes the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(ERR);
        out.put_u16(self.code);
        out.put(b"#");
        out.put(&self.state);
        out.put(self.message.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As MySQL 9.7 sends it after an INSERT with `session_track_gtids = OWN_GTID`.
    const OK_WITH_GTID: &[u8] = b"\x00\x01\x01\x02\x40\x00\x00\x00\x2c\x03\x2a\x00\x28\
        3e11fa47-71ca-11e1-9e33-c80aa9429562:230";

    #[test]
    fn ok_with_session_changes() {
        let ok = OkPacket::decode(OK_WITH_GTID, Capabilities::SESSION_TRACK).expect("decodes");
        assert_eq!((ok.affected_rows, ok.last_insert_id, ok.warnings), (1, 1, 0));
        assert_eq!(ok.changes.gtids().as_deref(), Some("3e11fa47-71ca-11e1-9e33-c80aa9429562:230"));
        let mut same = Vec::new();
        ok.encode(&mut same, OK, Capabilities::SESSION_TRACK);
        assert_eq!(same, OK_WITH_GTID);
        let mut plain = Vec::new();
        ok.encode(&mut plain, OK, Capabilities::empty());
        assert_eq!(plain, b"\x00\x01\x01\x02\x00\x00\x00");
    }

    /// As every server sends it to a client without `SESSION_TRACK`.
    const OK_WITH_INFO: &[u8] = b"\x00\x02\x00\x02\x00\x00\x00\x28Rows matched: 2  Changed: 2  Warnings: 0";

    #[test]
    fn information_has_its_length_for_all_clients() {
        for caps in [Capabilities::empty(), Capabilities::SESSION_TRACK] {
            let ok = OkPacket::decode(OK_WITH_INFO, caps).expect("decodes");
            assert_eq!(ok.info, b"Rows matched: 2  Changed: 2  Warnings: 0");
            let mut out = Vec::new();
            ok.encode(&mut out, OK, caps);
            assert_eq!(out, OK_WITH_INFO);
        }
    }

    #[test]
    fn end_of_rows_for_old_and_new_clients() {
        let ok = OkPacket { warnings: 3, status: Status::AUTOCOMMIT, ..OkPacket::default() };
        let mut out = Vec::new();
        ok.encode_end_of_rows(&mut out, Capabilities::empty());
        assert_eq!(out, [0xFE, 3, 0, 2, 0]);
        out.clear();
        ok.encode_end_of_rows(&mut out, Capabilities::DEPRECATE_EOF);
        assert_eq!(out, [0xFE, 0, 0, 2, 0, 3, 0]);
    }

    #[test]
    fn errors_with_and_without_sqlstate() {
        let e = ServerError::decode(b"\xff\x15\x04#28000Access denied").expect("decodes");
        assert_eq!((e.code, &e.state, e.message.as_str()), (1045, b"28000", "Access denied"));
        let e = ServerError::decode(b"\xff\x10\x04Too many connections").expect("decodes");
        assert_eq!((e.code, &e.state), (1040, b"HY000"));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes: Vec<u8>, caps: u32) {
            let caps = Capabilities::from_bits_retain(u64::from(caps));
            if let Ok(ok) = OkPacket::decode(&bytes, caps) {
                ok.changes.for_each(|_| ());
            }
            let _any = EofPacket::decode(&bytes);
            let _any = ServerError::decode(&bytes);
        }
    }
}
