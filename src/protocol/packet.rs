//! Packet framing: a 3-byte length, a sequence id, and payloads split at 16 MiB.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html>

use super::wire::Put;

/// Bytes of a packet header.
pub const HEADER_LEN: usize = 4;

/// Largest payload of one physical packet; a payload of this size is continued by the next packet.
pub const MAX_PAYLOAD: usize = 0xFF_FFFF;

/// A decoded packet header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Payload bytes that follow.
    pub len: usize,
    /// Sequence id, wrapping at 255, 0 for the first packet of a command.
    pub seq: u8,
}

impl Header {
    /// Reads the header at the start of `buf`, or `None` when it is not complete yet.
    pub fn peek(buf: &[u8]) -> Option<Self> {
        let &[a, b, c, seq] = buf.first_chunk::<HEADER_LEN>()?;
        Some(Self { len: u32::from_le_bytes([a, b, c, 0]) as usize, seq })
    }

    /// Whether the next packet continues this one's payload.
    pub fn is_continued(self) -> bool {
        self.len == MAX_PAYLOAD
    }

    /// The wire form.
    pub fn encode(self) -> [u8; HEADER_LEN] {
        let n = u32::try_from(self.len).unwrap_or(0).to_le_bytes();
        [n[0], n[1], n[2], self.seq]
    }
}

/// Appends `payload` as one or more packets starting at `seq`; returns the next sequence id.
pub fn frame(out: &mut impl Put, seq: u8, payload: &[u8]) -> u8 {
    frame_parts(out, seq, &[payload])
}

/// Like [`frame`], for a payload that `encode` appends: nothing is copied where it fits into one packet.
pub fn frame_with(out: &mut Vec<u8>, seq: u8, encode: impl FnOnce(&mut Vec<u8>)) -> u8 {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_LEN]);
    encode(out);
    let len = out.len() - start - HEADER_LEN;
    if len >= MAX_PAYLOAD {
        let payload = out.split_off(start + HEADER_LEN);
        out.truncate(start);
        return frame(out, seq, &payload);
    }
    if let Some(header) = out.get_mut(start..start + HEADER_LEN) {
        header.copy_from_slice(&Header { len, seq }.encode());
    }
    seq.wrapping_add(1)
}

/// Like [`frame`], for a payload given in pieces.
pub fn frame_parts(out: &mut impl Put, mut seq: u8, parts: &[&[u8]]) -> u8 {
    let mut left: usize = parts.iter().map(|p| p.len()).sum();
    let mut parts = parts.iter().copied();
    let mut piece: &[u8] = &[];
    loop {
        let len = left.min(MAX_PAYLOAD);
        out.put(&Header { len, seq }.encode());
        seq = seq.wrapping_add(1);
        left -= len;
        let mut want = len;
        while want > 0 {
            if piece.is_empty() {
                let Some(next) = parts.next() else { break };
                piece = next;
                continue;
            }
            let (head, tail) = piece.split_at(want.min(piece.len()));
            out.put(head);
            want -= head.len();
            piece = tail;
        }
        // A payload that ends exactly on the boundary is closed by an empty packet.
        if len < MAX_PAYLOAD {
            return seq;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_in_place_is_framed_alike() {
        for len in [0, 1, 300, MAX_PAYLOAD - 1, MAX_PAYLOAD, MAX_PAYLOAD + 5] {
            let payload = vec![7; len];
            let (mut copied, mut in_place) = (b"before".to_vec(), b"before".to_vec());
            let next = frame(&mut copied, 254, &payload);
            assert_eq!(frame_with(&mut in_place, 254, |out| out.extend_from_slice(&payload)), next);
            assert!(copied == in_place, "{len} bytes");
        }
    }

    #[test]
    fn header_round_trips() {
        let h = Header { len: 0x0001_0203, seq: 7 };
        assert_eq!(h.encode(), [3, 2, 1, 7]);
        assert_eq!(Header::peek(&h.encode()), Some(h));
        assert_eq!(Header::peek(&[1, 2, 3]), None);
    }

    #[test]
    fn payloads_split_at_the_boundary() {
        for (size, packets) in [(0, 1), (1, 1), (MAX_PAYLOAD - 1, 1), (MAX_PAYLOAD, 2), (MAX_PAYLOAD + 1, 2)] {
            let mut out = Vec::new();
            let half = vec![7u8; size / 2];
            let rest = vec![7u8; size - size / 2];
            assert_eq!(frame_parts(&mut out, 255, &[&half, &rest]), 255u8.wrapping_add(packets));
            assert_eq!(out.len(), size + usize::from(packets) * HEADER_LEN);
            let first = Header::peek(&out).expect("header");
            assert_eq!(first.len, size.min(MAX_PAYLOAD));
        }
    }
}
