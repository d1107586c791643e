//! The tokens both GTID formats are made of, and the error for text that is neither.
//!
//! Bytes are taken one at a time from the front and never indexed, so no input can panic.

use std::fmt;

/// Text that is not a GTID set. Names the place and the reason, never the text itself, which may
/// come from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GtidError {
    at: usize,
    reason: Malformed,
}

impl GtidError {
    /// The offset in bytes where reading stopped.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// What was wrong there.
    #[must_use]
    pub fn reason(&self) -> Malformed {
        self.reason
    }
}

impl fmt::Display for GtidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            Malformed::Number => "expected a decimal number without leading zeros",
            Malformed::Range => "number out of range",
            Malformed::Separator => "expected a separator or the end",
            Malformed::Tag => "tag longer than 32 characters",
            Malformed::Uuid => "expected a UUID",
        };
        write!(f, "malformed GTID set at byte {}: {reason}", self.at)
    }
}

impl std::error::Error for GtidError {}

/// Why a text is not a GTID set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// A number was expected. Leading zeros are refused: no server prints them, and MySQL servers
    /// may take such a number for octal.
    Number,
    /// The number is zero where it may not be, or larger than the server allows.
    Range,
    /// Something other than a separator or the end of the text follows a complete element.
    Separator,
    /// A tag of more than 32 characters.
    Tag,
    /// A UUID in the form 8-4-4-4-12 was expected.
    Uuid,
}

/// A place in a text, moving forward only.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text.as_bytes(), len: text.len() }
    }

    pub(super) fn error(&self, reason: Malformed) -> GtidError {
        GtidError { at: self.len.saturating_sub(self.rest.len()), reason }
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes the next byte if it satisfies `wanted`.
    pub(super) fn next_if(&mut self, wanted: impl FnOnce(u8) -> bool) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        wanted(byte).then(|| {
            self.rest = rest;
            byte
        })
    }

    /// Takes the next byte if it is `byte`.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        self.next_if(|next| next == byte).is_some()
    }

    /// Skips what the servers call white space, which includes the vertical tab.
    pub(super) fn skip_space(&mut self) {
        while self.next_if(|byte| byte == 0x0b || byte.is_ascii_whitespace()).is_some() {}
    }

    /// Takes a decimal number of at most `max`.
    pub(super) fn number(&mut self, max: u64) -> Result<u64, GtidError> {
        let start = self.error(Malformed::Range);
        let Some(first) = self.digit() else {
            return Err(self.error(Malformed::Number));
        };
        let mut number = first;
        while let Some(digit) = self.digit() {
            if first == 0 {
                return Err(GtidError { reason: Malformed::Number, ..start });
            }
            number = number.checked_mul(10).and_then(|shifted| shifted.checked_add(digit)).ok_or(start)?;
        }
        if number > max { Err(start) } else { Ok(number) }
    }

    /// Takes a UUID in the form 8-4-4-4-12, in either case.
    pub(super) fn uuid(&mut self) -> Result<u128, GtidError> {
        let start = self.error(Malformed::Uuid);
        let mut uuid: u128 = 0;
        for (section, digits) in [8, 4, 4, 4, 12].into_iter().enumerate() {
            if section > 0 && !self.eat(b'-') {
                return Err(start);
            }
            for _ in 0..digits {
                let digit = self.next_if(|byte| byte.is_ascii_hexdigit()).and_then(hex_digit);
                uuid = uuid << 4 | digit.ok_or(start)?;
            }
        }
        Ok(uuid)
    }

    fn digit(&mut self) -> Option<u64> {
        let byte = self.next_if(|byte| byte.is_ascii_digit())?;
        Some(u64::from(byte.wrapping_sub(b'0')))
    }
}

fn hex_digit(byte: u8) -> Option<u128> {
    char::from(byte).to_digit(16).map(u128::from)
}
