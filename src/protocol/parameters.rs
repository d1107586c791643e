//! Parameters of statements, and the attributes that queries carry in the same form.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html>
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html>

use super::capability::Capabilities;
use super::wire::{Malformed, Put, Reader};

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

/// The body of an execution behind the statement's id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Execution {
    flags: u8,
    iterations: [u8; 4],
    /// One bit for each parameter.
    nulls: Vec<u8>,
    /// Types and names, or nothing where they are those of the execution before.
    pub bound: Option<Types>,
    values: Vec<u8>,
    count: usize,
}

/// Types of parameters, two bytes each, with the names of those that are attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Types(Vec<([u8; 2], Vec<u8>)>);

impl Execution {
    /// Decodes the execution of a statement with `params` parameters.
    ///
    /// # Errors
    /// It is too short for its parameters.
    pub fn decode(body: &[u8], params: u16, caps: Capabilities) -> Result<Self, Malformed> {
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
            execution.nulls = r.take(count.div_ceil(8))?.to_vec();
            if r.u8()? != 0 {
                execution.bound = Some(Types::decode(&mut r, count, named)?);
            }
            execution.values = r.rest().to_vec();
        }
        Ok(execution)
    }

    /// Encodes it for a server that knows the statement to have `params` parameters.
    pub fn encode(&self, params: u16, caps: Capabilities) -> Vec<u8> {
        let named = caps.contains(Capabilities::QUERY_ATTRIBUTES);
        // What is left out at the end of the values, servers do not read.
        let count = if named { self.count } else { self.count.min(params.into()) };
        let mut out = Vec::with_capacity(self.values.len() + 16 * count + 16);
        out.push(self.flags & !COUNT_FOLLOWS | if named && count > 0 { COUNT_FOLLOWS } else { 0 });
        out.put(&self.iterations);
        if count == 0 {
            return out;
        }
        if named {
            out.put_lenenc(count as u64);
        }
        out.put(&self.nulls[..count.div_ceil(8)]);
        out.push(u8::from(self.bound.is_some()));
        for (kind, name) in self.bound.iter().flat_map(|types| &types.0).take(count) {
            out.put(kind);
            if named {
                out.put_lenenc_bytes(name);
            }
        }
        out.put(&self.values);
        out
    }

    /// Whether rows stay on the server until they are fetched.
    pub fn opens_cursor(&self) -> bool {
        self.flags & CURSOR_FLAGS != 0
    }

    /// The value of the one parameter, if it is text or bytes.
    pub fn only_text(&self) -> Option<&[u8]> {
        let is_null = self.nulls.first().is_none_or(|nulls| nulls & 1 != 0);
        let (kind, _) = self.bound.as_ref()?.0.first()?;
        let is_text = matches!(kind[0], 0x0F | 0xF9..=0xFE);
        if is_null || !is_text {
            return None;
        }
        Reader::new(&self.values, "the value of a parameter").lenenc_bytes().ok()
    }

    /// Whether so many types are those of its parameters.
    pub fn fits(&self, types: &Types) -> bool {
        types.0.len() == self.count
    }
}

impl Types {
    /// Those that came without names.
    pub fn of_plain(types: &[u8]) -> Self {
        Self(types.chunks_exact(2).map(|kind| ([kind[0], kind[1]], Vec::new())).collect())
    }

    /// Without names.
    pub fn plain(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(kind, _)| *kind).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn decode(r: &mut Reader<'_>, count: usize, named: bool) -> Result<Self, Malformed> {
        let mut types = Vec::new();
        for _ in 0..count {
            let kind = r.u16()?.to_le_bytes();
            let name = if named { r.lenenc_bytes()?.to_vec() } else { Vec::new() };
            types.push((kind, name));
        }
        Ok(Self(types))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        let execution = Execution::decode(plain, 2, PLAIN).expect("well formed");
        assert_eq!(execution.encode(2, NAMED), named);
        assert_eq!(execution.encode(2, PLAIN), plain);
        assert_eq!(Execution::decode(named, 2, NAMED), Ok(Execution { flags: 8, ..execution.clone() }));
        let unsaid = [b"\0", &named[1..]].concat();
        assert_eq!(Execution::decode(&unsaid, 2, NAMED), Ok(execution));
    }

    #[test]
    fn attributes_of_executions_are_left_out_where_nobody_reads_them() {
        let body = b"\x09\x01\0\0\0\x02\x02\x01\x08\0\0\xfd\0\x03whoVALUES";
        let execution = Execution::decode(body, 1, NAMED).expect("well formed");
        assert!(execution.opens_cursor());
        assert_eq!(execution.encode(1, NAMED), body);
        assert_eq!(execution.encode(1, PLAIN), b"\x01\x01\0\0\0\x02\x01\x08\0VALUES");
        assert_eq!(execution.encode(0, PLAIN), b"\x01\x01\0\0\0");
    }

    #[test]
    fn executions_that_are_too_short() {
        for (body, params) in [(&b"\0\x01\0\0"[..], 0), (b"\x01\x01\0\0\0", 1), (b"\0\x01\0\0\0\0\0\x01\x08", 9)] {
            assert!(Execution::decode(body, params, PLAIN).is_err(), "{}", body.escape_ascii());
        }
        assert!(Execution::decode(b"\x08\x01\0\0\0\x01\0\x00", 2, NAMED).is_err(), "fewer than it has");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(body: Vec<u8>, params in 0u16..40, named: bool) {
            if let Ok((attributes, text)) = split_query(&body) {
                prop_assert_eq!([attributes, text].concat(), &body[..]);
            }
            let caps = if named { NAMED } else { PLAIN };
            if let Ok(execution) = Execution::decode(&body, params, caps) {
                prop_assert_eq!(Execution::decode(&execution.encode(params, NAMED), params, NAMED).map(|e| e.encode(params, PLAIN)),
                    Ok(execution.encode(params, PLAIN)));
            }
        }
    }
}
