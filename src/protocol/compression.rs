//! Compressed packets: envelopes around pieces of the packet stream, without regard to where packets
//! begin.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html>

use super::wire::{Malformed, Put, Reader};
use bytes::{Buf, BytesMut};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

/// Length of the wrapped bytes, number, length before compression.
const HEADER_LEN: usize = 7;
/// Where the number is.
const SEQ_AT: usize = 3;
/// Most bytes in one envelope, before compression.
const MOST: usize = 0xFF_FFFF;
/// What is shorter travels as it is, as with servers.
const WORTH_IT: usize = 50;
/// The level servers use for zlib.
const ZLIB_LEVEL: u32 = 6;

/// How envelopes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `CLIENT_COMPRESS`
    Zlib,
    /// `CLIENT_ZSTD_COMPRESSION_ALGORITHM`, at this level.
    Zstd(u8),
}

/// Both directions of a compressed connection.
#[derive(Debug)]
pub struct Compression {
    algorithm: Algorithm,
    /// The number of the next envelope sent: they count on from the peer's last one.
    seq: u8,
}

impl Compression {
    /// Nothing has been sent or received yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, seq: 0 }
    }

    /// The number of the next envelope.
    pub fn seq(&self) -> u8 {
        self.seq
    }

    /// Appends `plain` to `out`, in envelopes.
    pub fn wrap(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        for piece in plain.chunks(MOST) {
            let packed = if piece.len() < WORTH_IT { None } else { self.compress(piece) };
            // What does not become smaller travels as it is, which a length of 0 says.
            let (body, before) = match &packed {
                Some(packed) if packed.len() < piece.len() => (&packed[..], piece.len()),
                _ => (piece, 0),
            };
            put_u24(out, body.len());
            out.push(self.seq);
            put_u24(out, before);
            out.put(body);
            self.seq = self.seq.wrapping_add(1);
        }
    }

    /// How many bytes the first envelope and its contents take, as far as its header says and is there.
    pub fn announced(&self, raw: &[u8]) -> Option<usize> {
        let mut r = Reader::new(raw.first_chunk::<HEADER_LEN>()?, "compressed packet");
        let (len, _, before) = (r.u24().ok()?, r.u8().ok()?, r.u24().ok()?);
        Some(len as usize + before as usize)
    }

    /// What is sent next answers the first envelope, whose header is there, although it is not read.
    pub fn answer_unread(&mut self, raw: &[u8]) {
        if let Some(seq) = raw.get(SEQ_AT) {
            self.seq = seq.wrapping_add(1);
        }
    }

    /// Moves the contents of the first envelope from `raw` to `plain`, if it is complete: one at a time,
    /// since little may hold much.
    ///
    /// # Errors
    /// An envelope does not hold what it says.
    pub fn unwrap(&mut self, raw: &mut BytesMut, plain: &mut BytesMut) -> Result<(), Malformed> {
        let Some(header) = raw.first_chunk::<HEADER_LEN>() else { return Ok(()) };
        let mut r = Reader::new(header, "compressed packet");
        let (len, seq, before) = (r.u24()? as usize, r.u8()?, r.u24()? as usize);
        if raw.len() < HEADER_LEN + len {
            return Ok(());
        }
        raw.advance(HEADER_LEN);
        let body = raw.split_to(len);
        match before {
            0 => plain.extend_from_slice(&body),
            before => plain.extend_from_slice(&self.decompress(&body, before)?),
        }
        self.seq = seq.wrapping_add(1);
        Ok(())
    }

    fn compress(&self, piece: &[u8]) -> Option<Vec<u8>> {
        match self.algorithm {
            Algorithm::Zlib => {
                let mut out = Vec::with_capacity(piece.len());
                let done = Compress::new(flate2::Compression::new(ZLIB_LEVEL), true)
                    .compress_vec(piece, &mut out, FlushCompress::Finish)
                    .ok()?;
                // With no room left it would not have become smaller.
                (done == Status::StreamEnd).then_some(out)
            }
            Algorithm::Zstd(level) => zstd::bulk::compress(piece, level.into()).ok(),
        }
    }

    /// `before` is a claim: no more than that is made of `body`.
    fn decompress(&self, body: &[u8], before: usize) -> Result<Vec<u8>, Malformed> {
        let plain = match self.algorithm {
            Algorithm::Zlib => {
                let mut out = Vec::with_capacity(before);
                let done = Decompress::new(true).decompress_vec(body, &mut out, FlushDecompress::Finish);
                done.ok().filter(|done| *done == Status::StreamEnd).map(|_| out)
            }
            Algorithm::Zstd(_) => zstd::bulk::decompress(body, before).ok(),
        };
        plain.filter(|plain| plain.len() == before).ok_or(Malformed("compressed packet"))
    }
}

fn put_u24(out: &mut Vec<u8>, n: usize) {
    out.put(&u32::try_from(n).unwrap_or(0).to_le_bytes()[..3]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALGORITHMS: [Algorithm; 2] = [Algorithm::Zlib, Algorithm::Zstd(3)];

    #[test]
    fn numbers_count_on_from_the_peers() {
        let (mut client, mut server) = (Compression::new(Algorithm::Zlib), Compression::new(Algorithm::Zlib));
        let (mut sent, mut plain) = (Vec::new(), BytesMut::new());
        client.wrap(b"short", &mut sent);
        assert_eq!(sent, b"\x05\0\0\0\0\0\0short");
        server.unwrap(&mut sent[..].into(), &mut plain).expect("well formed");
        assert_eq!(&plain[..], b"short");
        let mut answer = Vec::new();
        server.wrap(&[b'a'; 1000], &mut answer);
        assert_eq!(answer[3..7], [1, 0xE8, 3, 0]);
        assert!(answer.len() < 100);
    }

    #[test]
    fn claims_are_not_believed() {
        for algorithm in ALGORITHMS {
            let mut good = Vec::new();
            Compression::new(algorithm).wrap(&[b'a'; 1000], &mut good);
            for claim in [999_usize, 1001, MOST] {
                let mut bad = good.clone();
                bad[4..7].copy_from_slice(&claim.to_le_bytes()[..3]);
                let result = Compression::new(algorithm).unwrap(&mut bad[..].into(), &mut BytesMut::new());
                assert!(result.is_err(), "{algorithm:?} {claim}");
            }
        }
    }

    #[test]
    fn large_pieces_are_split() {
        let plain = vec![7; MOST + 10];
        let (mut sent, mut back) = (Vec::new(), BytesMut::new());
        Compression::new(Algorithm::Zlib).wrap(&plain, &mut sent);
        let (mut receiver, mut raw) = (Compression::new(Algorithm::Zlib), BytesMut::from(&sent[..]));
        while !raw.is_empty() {
            receiver.unwrap(&mut raw, &mut back).expect("well formed");
        }
        assert!(back == plain);
    }

    proptest! {
        #[test]
        fn what_was_wrapped_comes_out(pieces in proptest::collection::vec(proptest::collection::vec(0u8..4, 0..300), 0..5), at in 0usize..50) {
            for algorithm in ALGORITHMS {
                let mut sent = Vec::new();
                let mut sender = Compression::new(algorithm);
                for piece in &pieces {
                    sender.wrap(piece, &mut sent);
                }
                // However it is cut on the way.
                let (mut receiver, mut raw, mut plain) = (Compression::new(algorithm), BytesMut::new(), BytesMut::new());
                for part in sent.chunks(at.max(1)) {
                    raw.extend_from_slice(part);
                    receiver.unwrap(&mut raw, &mut plain).expect("well formed");
                }
                while !raw.is_empty() {
                    receiver.unwrap(&mut raw, &mut plain).expect("well formed");
                }
                prop_assert_eq!(&plain[..], &pieces.concat()[..]);
            }
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            for algorithm in ALGORITHMS {
                let _any = Compression::new(algorithm).unwrap(&mut bytes[..].into(), &mut BytesMut::new());
            }
        }
    }
}
