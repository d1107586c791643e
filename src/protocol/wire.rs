//! Bounds-checked reading and writing of the protocol's basic types.
//!
//! Every length on the wire is a claim by a peer. [`Reader`] never panics and never allocates more
//! than what is really there; it is the only place that turns offsets into slices.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_data_types.html>

/// The bytes do not hold what the protocol says they should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);

/// A cursor over one packet's payload.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Starts reading `bytes`; `what` names the packet in errors.
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// The error this reader reports.
    pub fn malformed(&self) -> Malformed {
        Malformed(self.what)
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all bytes were read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(Malformed(self.what))?;
        self.rest = rest;
        Ok(head)
    }

    /// Everything that is left.
    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed(self.what))?;
        self.rest = rest;
        Ok(*head)
    }

    /// `int<1>`
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// `int<2>`
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// `int<3>`
    pub fn u24(&mut self) -> Result<u32, Malformed> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_le_bytes([a, b, c, 0]))
    }

    /// `int<4>`
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// `int<8>`
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// `int<lenenc>`; 0xFB (NULL) and 0xFF are not integers.
    pub fn lenenc(&mut self) -> Result<u64, Malformed> {
        match self.u8()? {
            n @ 0..=0xFA => Ok(u64::from(n)),
            0xFC => Ok(u64::from(self.u16()?)),
            0xFD => Ok(u64::from(self.u24()?)),
            0xFE => self.u64(),
            0xFB | 0xFF => Err(Malformed(self.what)),
        }
    }

    /// `string<lenenc>`
    pub fn lenenc_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let n = usize::try_from(self.lenenc()?).map_err(|_| Malformed(self.what))?;
        self.take(n)
    }

    /// One column of a text row: NULL or `string<lenenc>`.
    pub fn text_value(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        if self.rest.first() == Some(&0xFB) {
            self.take(1)?;
            return Ok(None);
        }
        self.lenenc_bytes().map(Some)
    }

    /// `string<NUL>`, without the NUL.
    pub fn nul_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let end = memchr::memchr(0, self.rest).ok_or(Malformed(self.what))?;
        let bytes = self.take(end)?;
        self.take(1)?;
        Ok(bytes)
    }

    /// `string<NUL>` whose NUL some peers forget at the end of a packet.
    pub fn nul_or_rest(&mut self) -> &'a [u8] {
        match self.nul_bytes() {
            Ok(bytes) => bytes,
            Err(Malformed(_)) => self.take_rest(),
        }
    }
}

/// Appends the protocol's basic types to a buffer.
pub trait Put {
    /// Raw bytes.
    fn put(&mut self, bytes: &[u8]);

    /// `int<2>`
    fn put_u16(&mut self, n: u16) {
        self.put(&n.to_le_bytes());
    }

    /// `int<4>`
    fn put_u32(&mut self, n: u32) {
        self.put(&n.to_le_bytes());
    }

    /// `int<lenenc>`
    fn put_lenenc(&mut self, n: u64) {
        let b = n.to_le_bytes();
        match n {
            0..=0xFA => self.put(&b[..1]),
            0xFB..=0xFFFF => {
                self.put(&[0xFC]);
                self.put(&b[..2]);
            }
            0x1_0000..=0xFF_FFFF => {
                self.put(&[0xFD]);
                self.put(&b[..3]);
            }
            _ => {
                self.put(&[0xFE]);
                self.put(&b);
            }
        }
    }

    /// `string<lenenc>`
    fn put_lenenc_bytes(&mut self, bytes: &[u8]) {
        self.put_lenenc(bytes.len() as u64);
        self.put(bytes);
    }

    /// `string<NUL>`
    fn put_nul_bytes(&mut self, bytes: &[u8]) {
        self.put(bytes);
        self.put(&[0]);
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Put for bytes::BytesMut {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lenenc_round_trips(n: u64) {
            let mut out = Vec::new();
            out.put_lenenc(n);
            let mut r = Reader::new(&out, "test");
            prop_assert_eq!(r.lenenc(), Ok(n));
            prop_assert!(r.is_empty());
        }

        #[test]
        fn reading_garbage_never_panics(bytes: Vec<u8>) {
            let mut r = Reader::new(&bytes, "test");
            while !r.is_empty() {
                if r.text_value().is_err() || r.nul_bytes().is_err() || r.u24().is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn short_input_is_an_error() {
        assert_eq!(Reader::new(&[1], "x").u16(), Err(Malformed("x")));
        assert_eq!(Reader::new(&[0xFB], "x").lenenc(), Err(Malformed("x")));
        assert_eq!(Reader::new(&[0xFE, 1], "x").lenenc(), Err(Malformed("x")));
        assert_eq!(Reader::new(b"abc", "x").nul_bytes(), Err(Malformed("x")));
        assert_eq!(Reader::new(&[5, b'a'], "x").lenenc_bytes(), Err(Malformed("x")));
    }
}
