//! Routing wishes in a leading comment: `/* landbridge: replica, max_lag=200ms, key=abc */`.
//!
//! A hint is a wish about reads. It never makes a write go anywhere but to the primary.

use std::time::Duration;

/// Where a hint asks a read to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The primary.
    Primary,
    /// A replica, within the other rules.
    Replica,
}

/// What the leading comments ask for; of a repeated word the last one counts.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Hint<'a> {
    /// `primary` or `replica`.
    pub target: Option<Target>,
    /// `max_lag=200ms` (units `us`, `ms`, `s`, `m`).
    pub max_lag: Option<Duration>,
    /// `key=abc`: the consistency key.
    pub key: Option<&'a [u8]>,
}

impl<'a> Hint<'a> {
    /// Reads the text of one comment, without its markers; other comments change nothing.
    pub(super) fn absorb(&mut self, comment: &'a [u8]) {
        const MARK: &[u8] = b"landbridge:";
        let text = comment.trim_ascii();
        let Some((mark, words)) = text.split_at_checked(MARK.len()) else { return };
        if !mark.eq_ignore_ascii_case(MARK) {
            return;
        }
        for word in words.split(|b| *b == b',' || b.is_ascii_whitespace()) {
            if word.eq_ignore_ascii_case(b"primary") {
                self.target = Some(Target::Primary);
            } else if word.eq_ignore_ascii_case(b"replica") {
                self.target = Some(Target::Replica);
            } else if let Some(text) = value_of(word, b"max_lag=") {
                self.max_lag = duration(text).or(self.max_lag);
            } else if let Some(key) = value_of(word, b"key=") {
                self.key = Some(key);
            }
        }
    }
}

fn value_of<'a>(word: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (head, value) = word.split_at_checked(name.len())?;
    (head.eq_ignore_ascii_case(name) && !value.is_empty()).then_some(value)
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
