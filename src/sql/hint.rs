//! Routing wishes in a leading comment: `/* landbridge: replica, max_lag=200ms, key=abc */`, and the key
//! among the tags of a sqlcommenter, which stand at the end: `/*app='shop',landbridge_key='abc'*/`.
//!
//! <https://google.github.io/sqlcommenter/spec/>
//!
//! `transactions=optimistic` is about the transaction that the statement begins.
//!
//! A hint is a wish about reads. It never makes a write go anywhere but to the primary.

use memchr::{memchr, memmem};
use std::borrow::Cow;
use std::time::Duration;

/// Where a hint asks a read to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The primary.
    Primary,
    /// A replica, within the other rules.
    Replica,
}

/// Where a transaction reads until it first writes.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub enum Transactions {
    /// At the primary.
    #[default]
    Primary,
    /// On a replica, where its isolation level allows that; what it read is verified when it moves to the primary.
    Optimistic,
}

impl Transactions {
    /// The word for it in hints and the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Optimistic => "optimistic",
        }
    }
}

/// What the leading comments ask for; of a repeated word the last one counts.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Hint<'a> {
    /// `primary` or `replica`.
    pub target: Option<Target>,
    /// `max_lag=200ms` (units `us`, `ms`, `s`, `m`).
    pub max_lag: Option<Duration>,
    /// `key=abc`: the consistency key.
    pub key: Option<HintKey<'a>>,
    /// `transactions=optimistic` or `transactions=primary`: of the transaction that the statement begins.
    pub transactions: Option<Transactions>,
}

/// A consistency key as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintKey<'a> {
    /// As it is.
    Plain(&'a [u8]),
    /// As the value of a tag: URL-encoded, then with `\\` before quotes.
    Encoded(&'a [u8]),
}

impl<'a> HintKey<'a> {
    /// The key itself.
    #[must_use]
    pub fn bytes(self) -> Cow<'a, [u8]> {
        match self {
            Self::Encoded(text) if text.iter().any(|byte| matches!(byte, b'%' | b'\\')) => decoded(text).into(),
            Self::Plain(text) | Self::Encoded(text) => text.into(),
        }
    }
}

impl<'a> Hint<'a> {
    /// Reads the text of one comment, without its markers; other comments change nothing.
    pub(super) fn absorb(&mut self, comment: &'a [u8]) {
        const MARK: &[u8] = b"landbridge:";
        let text = comment.trim_ascii();
        let Some((_, words)) = text.split_at_checked(MARK.len()).filter(|(mark, _)| mark.eq_ignore_ascii_case(MARK))
        else {
            self.key = tag(text).map(HintKey::Encoded).or(self.key);
            return;
        };
        for word in words.split(|b| *b == b',' || b.is_ascii_whitespace()) {
            if word.eq_ignore_ascii_case(b"primary") {
                self.target = Some(Target::Primary);
            } else if word.eq_ignore_ascii_case(b"replica") {
                self.target = Some(Target::Replica);
            } else if let Some(text) = value_of(word, b"max_lag=") {
                self.max_lag = duration(text).or(self.max_lag);
            } else if let Some(key) = value_of(word, b"key=") {
                self.key = Some(HintKey::Plain(key));
            } else if let Some(place) = value_of(word, b"transactions=") {
                self.transactions = transactions(place).or(self.transactions);
            }
        }
    }

    /// The same with what the comment at the end of the text says, if there is one.
    pub(super) fn with_tags(self, comment: Option<&'a [u8]>) -> Self {
        if self.key.is_some() {
            return self;
        }
        Self { key: comment.and_then(tag).map(HintKey::Encoded), ..self }
    }
}

/// The value of our tag in `a='1',b='2'`.
fn tag(comment: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"landbridge_key";
    memmem::find(comment, NAME)?;
    let mut rest = comment;
    loop {
        let (name, value) = rest.split_at_checked(memchr(b'=', rest)?)?;
        let value = value.get(1..)?.trim_ascii_start().strip_prefix(b"'")?;
        let (value, behind) = value.split_at_checked(quoted_len(value)?)?;
        if name.trim_ascii() == NAME {
            return Some(value).filter(|value| !value.is_empty());
        }
        rest = behind.get(1..)?.trim_ascii_start().strip_prefix(b",")?;
    }
}

/// How much of `text` stands before the quote that ends it.
fn quoted_len(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|byte| {
        let ends = *byte == b'\'' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })
}

/// Without `\` and `%`; some drivers leave a `%` doubled.
fn decoded(text: &[u8]) -> Vec<u8> {
    let hex =
        |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'\\' => {
                let Some((&byte, behind)) = rest.split_first() else { break };
                rest = behind;
                plain.push(byte);
            }
            b'%' => {
                rest = rest.strip_prefix(b"%").unwrap_or(rest);
                match (hex(rest.first()), hex(rest.get(1))) {
                    (Some(high), Some(low)) => {
                        plain.push(high << 4 | low);
                        rest = rest.get(2..).unwrap_or_default();
                    }
                    _ => plain.push(byte),
                }
            }
            _ => plain.push(byte),
        }
    }
    plain
}

fn value_of<'a>(word: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (head, value) = word.split_at_checked(name.len())?;
    (head.eq_ignore_ascii_case(name) && !value.is_empty()).then_some(value)
}

fn transactions(text: &[u8]) -> Option<Transactions> {
    let is = |name: &[u8]| text.eq_ignore_ascii_case(name);
    if is(b"optimistic") { Some(Transactions::Optimistic) } else { is(b"primary").then_some(Transactions::Primary) }
}

fn duration(text: &[u8]) -> Option<Duration> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    let is = |name: &[u8]| unit.eq_ignore_ascii_case(name);
    if is(b"us") {
        Some(Duration::from_micros(number))
    } else if is(b"ms") {
        Some(Duration::from_millis(number))
    } else if is(b"s") {
        Some(Duration::from_secs(number))
    } else if is(b"m") {
        number.checked_mul(60).map(Duration::from_secs)
    } else {
        None
    }
}
