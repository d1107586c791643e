//! Parameters of statements, and the attributes that queries carry in the same form.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html>
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html>

use super::capability::Capabilities;
use super::wire::{Malformed, Reader};
use bytes::Bytes;

/// The bit of an execution's flags that says that the number of parameters follows although the statement
/// itself has none.
const COUNT_FOLLOWS: u8 = 8;
/// The bits of an execution's flags that open a cursor.
const CURSOR_FLAGS: u8 = 0x07;
/// Ahead of a query without attributes: none, in one set.
pub const NO_ATTRIBUTES: &[u8] = &[0, 1];

/// A query's attributes, as they were encoded, and its text.
///
/// # Errors
/// They end before they should.
pub fn split_query(body: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut r = Reader::new(body, "attributes of a query");
    let count = count(&mut r)?;
    r.lenenc()?;
    if count > 0 {
        let nulls = r.take(count.div_ceil(8))?;
        if r.u8()? == 0 {
            return Err(r.malformed());
        }
        let mut kinds = Vec::new();
        for at in 0..count {
            let kind = r.u16()?.to_le_bytes()[0];
            r.lenenc_bytes()?;
            if nulls[at / 8] & (1 << (at % 8)) == 0 {
                kinds.push(kind);
            }
        }
        for kind in kinds {
            skip_value(&mut r, kind)?;
        }
    }
    Ok(body.split_at(body.len() - r.rest().len()))
}

fn count(r: &mut Reader<'_>) -> Result<usize, Malformed> {
    // As many as a statement may have.
    u16::try_from(r.lenenc()?).map(usize::from).map_err(|_| r.malformed())
}

/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>
fn skip_value(r: &mut Reader<'_>, kind: u8) -> Result<(), Malformed> {
    let len = match kind {
        0x06 => 0,
        0x01 => 1,
        0x02 | 0x0D => 2,
        0x03 | 0x04 | 0x09 => 4,
        0x05 | 0x08 => 8,
        // Dates and times say their length in one byte.
        0x07 | 0x0A..=0x0C => usize::from(r.u8()?),
        _ => return r.lenenc_bytes().map(drop),
    };
    r.take(len).map(drop)
}

/// The body of an execution behind the statement's id. What it holds of the client's bytes it does not copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Execution {
    flags: u8,
    iterations: [u8; 4],
    /// One bit for each parameter.
    nulls: Bytes,
    /// Types and names, or nothing where they are those of the execution before.
    pub bound: Option<Types>,
    values: Bytes,
    count: usize,
}

/// Types of parameters, with the names of those that are attributes, in both forms in which they travel. A clone shares
/// them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Types {
    /// Two bytes each.
    plain: Bytes,
    /// The same, each with a name behind it.
    named: Bytes,
}

/// What an execution begins with: flags, iterations, the number of parameters.
struct Head {
    bytes: [u8; 16],
    len: usize,
}

impl Execution {
    /// How many bytes its values take.
    pub fn size(&self) -> usize {
        self.nulls.len() + self.values.len()
    }

    /// Decodes the execution of a statement with `params` parameters. `known`: the types of the execution before, which
    /// most often are bound once more.
    ///
    /// # Errors
    /// It is too short for its parameters.
    pub fn decode(body: &Bytes, params: u16, caps: Capabilities, known: &Types) -> Result<Self, Malformed> {
        let mut r = Reader::new(body, "execution of a prepared statement");
        let flags = r.u8()?;
        let iterations = r.u32()?.to_le_bytes();
        let named = caps.contains(Capabilities::QUERY_ATTRIBUTES);
        // Where a statement has parameters the number follows in any case.
        let counted = named && (params > 0 || flags & COUNT_FOLLOWS != 0);
        let count = if counted { count(&mut r)? } else { params.into() };
        if count < params.into() {
            return Err(r.malformed());
        }
        let mut execution = Self { flags, iterations, count, ..Self::default() };
        if count > 0 {
            execution.nulls = body.slice_ref(r.take(count.div_ceil(8))?);
            if r.u8()? != 0 {
                execution.bound = Some(Types::decode(&mut r, count, named, known)?);
            }
            execution.values = body.slice_ref(r.rest());
        }
        Ok(execution)
    }

    /// Encodes it for a server that knows the statement to have `params` parameters.
    pub fn encode(&self, params: u16, caps: Capabilities) -> Vec<u8> {
        self.with_parts(params, caps, |parts| parts.concat())
    }

    /// Encodes it in parts, which copies nothing.
    pub fn with_parts<T>(&self, params: u16, caps: Capabilities, take: impl FnOnce([&[u8]; 5]) -> T) -> T {
        let named = caps.contains(Capabilities::QUERY_ATTRIBUTES);
        // What is left out at the end of the values, servers do not read.
        let count = if named { self.count } else { self.count.min(params.into()) };
        let mut head = Head { bytes: [0; 16], len: 0 };
        head.put(&[self.flags & !COUNT_FOLLOWS | if named && count > 0 { COUNT_FOLLOWS } else { 0 }]);
        head.put(&self.iterations);
        if count == 0 {
            return take([head.bytes(), &[], &[], &[], &[]]);
        }
        if named {
            head.put_count(count);
        }
        let types = self.bound.as_ref().map_or(&[][..], |types| {
            if named { &types.named[..] } else { types.plain.get(..2 * count).unwrap_or(&types.plain) }
        });
        let is_bound = [u8::from(self.bound.is_some())];
        let nulls = self.nulls.get(..count.div_ceil(8)).unwrap_or(&self.nulls);
        take([head.bytes(), nulls, &is_bound, types, &self.values])
    }

    /// Whether rows stay on the server until they are fetched.
    pub fn opens_cursor(&self) -> bool {
        self.flags & CURSOR_FLAGS != 0
    }

    /// The value of the one parameter, if it is text or bytes.
    pub fn only_text(&self) -> Option<&[u8]> {
        let is_null = self.nulls.first().is_none_or(|nulls| nulls & 1 != 0);
        let kind = self.bound.as_ref()?.plain.first()?;
        let is_text = matches!(kind, 0x0F | 0xF9..=0xFE);
        if is_null || !is_text {
            return None;
        }
        Reader::new(&self.values, "the value of a parameter").lenenc_bytes().ok()
    }

    /// Has it say of which types its values are, where it left that out and these are the ones that it was said of
    /// before. `has_data`: some of its values came ahead of it.
    ///
    /// # Errors
    /// They are too few to read its values by.
    pub fn bind(&mut self, types: &Types, has_data: bool) -> Result<(), Malformed> {
        if self.bound.is_some() || self.count == 0 {
            return Ok(());
        }
        self.bound = types.first(self.count);
        // NULLs are of no type.
        if self.bound.is_none() && (has_data || !self.values.is_empty()) {
            return Err(Malformed("types of parameters"));
        }
        Ok(())
    }
}

impl Head {
    fn put(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = *byte;
                self.len += 1;
            }
        }
    }

    /// As `int<lenenc>`; a statement has no more parameters than two bytes can count.
    fn put_count(&mut self, count: usize) {
        match u8::try_from(count) {
            Ok(count @ 0..=250) => self.put(&[count]),
            _ => {
                self.put(&[0xFC]);
                self.put(&u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Names of attributes are kept from one execution to the next up to so many bytes.
const MOST_NAMES: usize = 64 * 1024;

impl Types {
    /// What is remembered of them for the next execution, which may not bind any: names that are very long are left out.
    pub fn kept(&self) -> Self {
        if self.named.len() > MOST_NAMES { Self::of_plain(&self.plain) } else { self.clone() }
    }

    /// Those that came without names.
    pub fn of_plain(types: &[u8]) -> Self {
        let named: Vec<u8> = types.chunks_exact(2).flat_map(|kind| [kind[0], kind[1], 0]).collect();
        Self { plain: Bytes::copy_from_slice(types), named: named.into() }
    }

    /// Without names.
    pub fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }

    fn len(&self) -> usize {
        self.plain.len() / 2
    }

    /// So many of them, if there are as many.
    fn first(&self, count: usize) -> Option<Self> {
        if self.len() == count {
            return Some(self.clone());
        }
        let mut r = Reader::new(&self.named, "types of parameters");
        for _ in 0..count {
            r.u16().ok()?;
            r.lenenc_bytes().ok()?;
        }
        let named = self.named.len() - r.rest().len();
        Some(Self { plain: self.plain.get(..2 * count).map(Bytes::copy_from_slice)?, named: self.named.slice(..named) })
    }

    /// What is the same as before is not made anew.
    fn decode(r: &mut Reader<'_>, count: usize, named: bool, known: &Self) -> Result<Self, Malformed> {
        if !named {
            let plain = r.take(2 * count)?;
            // A name was never heard of then, or it is not this client's any more.
            let is_known = known.plain == plain && known.named.len() == 3 * count;
            return Ok(if is_known { known.clone() } else { Self::of_plain(plain) });
        }
        let all = r.rest();
        let mut plain = Vec::new();
        if known.len() == count && all.starts_with(&known.named) {
            r.take(known.named.len())?;
            return Ok(known.clone());
        }
        for _ in 0..count {
            plain.extend_from_slice(&r.u16()?.to_le_bytes());
            r.lenenc_bytes()?;
        }
        let named = all.get(..all.len() - r.rest().len()).unwrap_or_default();
        Ok(Self { plain: plain.into(), named: Bytes::copy_from_slice(named) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(body: &[u8], params: u16, caps: Capabilities) -> Result<Execution, Malformed> {
        Execution::decode(&Bytes::copy_from_slice(body), params, caps, &Types::default())
    }

    const PLAIN: Capabilities = Capabilities::empty();
    const NAMED: Capabilities = Capabilities::QUERY_ATTRIBUTES;

    #[test]
    fn queries_and_their_attributes() {
        let table: [(&[u8], usize); 5] = [
            (b"\x00\x01SELECT 1", 2),
            (b"\x01\x01\0\x01\xfd\0\x03who\x04twinSELECT 1", 15),
            (b"\x02\x01\x01\x01\xfd\0\x01a\x08\0\x01b\x01\0\0\0\0\0\0\0SELECT 1", 20),
            (b"\x01\x01\0\x01\x0c\0\x01t\x04\xea\x07\x02\x1cSELECT 1", 13),
            (b"\x00\x01", 2),
        ];
        for (body, at) in table {
            assert_eq!(split_query(body), Ok(body.split_at(at)), "{}", body.escape_ascii());
        }
        for body in [&b""[..], b"\x01\x01\0\x00", b"\x01\x01\0\x01\xfd\0\x03who\x7ftwin", b"\xfe\0\0\0\0\0\0\0\x01\x01"]
        {
            assert!(split_query(body).is_err(), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn executions_are_rewritten_for_the_other_side() {
        let plain = b"\0\x01\0\0\0\x00\x01\x08\0\xfd\0VALUES";
        let named = b"\x08\x01\0\0\0\x02\x00\x01\x08\0\0\xfd\0\0VALUES";
        let execution = decode(plain, 2, PLAIN).expect("well formed");
        assert_eq!(execution.encode(2, NAMED), named);
        assert_eq!(execution.encode(2, PLAIN), plain);
        assert_eq!(decode(named, 2, NAMED), Ok(Execution { flags: 8, ..execution.clone() }));
        let unsaid = [b"\0", &named[1..]].concat();
        assert_eq!(decode(&unsaid, 2, NAMED), Ok(execution));
    }

    #[test]
    fn attributes_of_executions_are_left_out_where_nobody_reads_them() {
        let body = b"\x09\x01\0\0\0\x02\x02\x01\x08\0\0\xfd\0\x03whoVALUES";
        let execution = decode(body, 1, NAMED).expect("well formed");
        assert!(execution.opens_cursor());
        assert_eq!(execution.encode(1, NAMED), body);
        assert_eq!(execution.encode(1, PLAIN), b"\x01\x01\0\0\0\x02\x01\x08\0VALUES");
        assert_eq!(execution.encode(0, PLAIN), b"\x01\x01\0\0\0");
    }

    #[test]
    fn executions_that_are_too_short() {
        for (body, params) in [(&b"\0\x01\0\0"[..], 0), (b"\x01\x01\0\0\0", 1), (b"\0\x01\0\0\0\0\0\x01\x08", 9)] {
            assert!(decode(body, params, PLAIN).is_err(), "{}", body.escape_ascii());
        }
        assert!(decode(b"\x08\x01\0\0\0\x01\0\x00", 2, NAMED).is_err(), "fewer than it has");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(body: Vec<u8>, params in 0u16..40, named: bool) {
            if let Ok((attributes, text)) = split_query(&body) {
                prop_assert_eq!([attributes, text].concat(), &body[..]);
            }
            let caps = if named { NAMED } else { PLAIN };
            if let Ok(execution) = decode(&body, params, caps) {
                prop_assert_eq!(decode(&execution.encode(params, NAMED), params, NAMED).map(|e| e.encode(params, PLAIN)),
                    Ok(execution.encode(params, PLAIN)));
            }
        }
    }
}
