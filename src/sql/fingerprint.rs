//! Which statements are alike, in one number. For the hot path: one pass over the bytes, nothing allocated. Of statements
//! that cannot be read for certain it may take two for one, or one for two.

use super::Mode;
use super::digest::{Fold, Piece};
use super::lexer;
use memchr::{memchr, memchr2, memmem};

/// A number that statements share which differ in literals, white space, comments, and upper and lower case only.
#[must_use]
pub fn fingerprint(sql: &[u8], mode: Mode) -> u64 {
    let mut mix = Mix { hash: 0, fold: Fold::Outside };
    let mut rest = sql;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = match byte {
            b' ' | 9..=13 | b';' => behind,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' | 0x80.. => mix.word(rest),
            b'0'..=b'9' => {
                mix.piece(Piece::Literal, 0);
                behind.trim_start_matches_name()
            }
            b'"' if mode.ansi_quotes => mix.name(behind, byte),
            b'`' => mix.name(behind, byte),
            b'\'' | b'"' => {
                mix.piece(Piece::Literal, 0);
                behind_string(behind, byte, mode)
            }
            b'?' => {
                mix.piece(Piece::Literal, 0);
                behind
            }
            b',' => mix.punctuation(Piece::Comma, byte, behind),
            b'(' => mix.punctuation(Piece::Open, byte, behind),
            b')' => mix.punctuation(Piece::Close, byte, behind),
            b'/' if behind.starts_with(b"*") && !behind.starts_with(b"*!") && !behind.starts_with(b"*M!") => {
                behind_first(behind, b"*/")
            }
            b'#' => behind_first(behind, b"\n"),
            b'-' if behind.starts_with(b"- ") || behind.starts_with(b"-\n") || behind.starts_with(b"-\t") => {
                behind_first(behind, b"\n")
            }
            _ => mix.punctuation(Piece::Other, byte, behind),
        };
    }
    mix.held(mix.fold.held());
    mix.hash
}

/// What is a name in a text.
trait Names {
    fn trim_start_matches_name(&self) -> &Self;
}

impl Names for [u8] {
    fn trim_start_matches_name(&self) -> &Self {
        let end = self.iter().position(|byte| !is_name(*byte) && *byte != b'.').unwrap_or(self.len());
        self.get(end..).unwrap_or_default()
    }
}

#[inline]
fn is_name(byte: u8) -> bool {
    lexer::is_name(byte)
}

fn behind_first<'t>(text: &'t [u8], end: &[u8]) -> &'t [u8] {
    memmem::find(text, end).and_then(|at| text.get(at + end.len()..)).unwrap_or_default()
}

/// What follows a string, given what follows its first quote.
fn behind_string(mut text: &[u8], quote: u8, mode: Mode) -> &[u8] {
    loop {
        let hit = if mode.no_backslash_escapes { memchr(quote, text) } else { memchr2(quote, b'\\', text) };
        let Some(at) = hit else { return &[] };
        let is_quote = text.get(at) == Some(&quote);
        let behind = text.get(at + 1..).unwrap_or_default();
        if is_quote && behind.first() != Some(&quote) {
            return behind;
        }
        text = behind.get(1..).unwrap_or_default();
    }
}

struct Mix {
    hash: u64,
    fold: Fold,
}

impl Mix {
    /// Both halves of the product count: in the lower one alone, no bit of the value would change those below it.
    #[inline]
    fn add(&mut self, value: u64) {
        let product = u128::from(self.hash.rotate_left(23) ^ value) * 0x9E37_79B9_7F4A_7C15;
        #[allow(clippy::cast_possible_truncation, reason = "folded")]
        let folded = product as u64 ^ (product >> 64) as u64;
        self.hash = folded;
    }

    fn held(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            self.add(*piece as u64);
        }
    }

    #[inline]
    fn piece(&mut self, piece: Piece, value: u64) {
        if self.fold == Fold::Outside && !matches!(piece, Piece::Literal | Piece::Open) {
            // Most of a statement: no list begins, none goes on.
            return self.add(value << 3 | piece as u64);
        }
        let (held, writes) = self.fold.take(piece);
        self.held(held);
        if writes {
            self.add(value << 3 | piece as u64);
        }
    }

    fn punctuation<'t>(&mut self, piece: Piece, byte: u8, behind: &'t [u8]) -> &'t [u8] {
        let value = if piece == Piece::Other { byte.into() } else { 0 };
        self.piece(piece, value);
        behind
    }

    #[inline]
    fn word<'t>(&mut self, text: &'t [u8]) -> &'t [u8] {
        let is_null = |text: &[u8]| {
            let (word, behind) = text.split_at_checked(4).unwrap_or_default();
            word.eq_ignore_ascii_case(b"null") && !behind.first().is_some_and(|byte| is_name(*byte))
        };
        if self.fold.is_in_list() && is_null(text) {
            self.piece(Piece::Literal, 0);
            return text.get(4..).unwrap_or_default();
        }
        self.piece(Piece::Other, 0);
        let end = self.bytes(text, is_name);
        text.get(end..).unwrap_or_default()
    }

    fn name<'t>(&mut self, text: &'t [u8], quote: u8) -> &'t [u8] {
        self.piece(Piece::Other, 0);
        let end = self.bytes(text, |byte| byte != quote);
        text.get(end + 1..).unwrap_or_default()
    }

    /// Takes bytes as long as they belong to it, eight at a time, in lower case as far as they are letters. How
    /// many it took.
    #[inline]
    fn bytes(&mut self, bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
        let taken = bytes.iter().position(|byte| !belongs(*byte)).unwrap_or(bytes.len());
        let (eights, rest) = bytes.get(..taken).unwrap_or_default().as_chunks();
        for eight in eights {
            self.add(u64::from_le_bytes(*eight) | 0x2020_2020_2020_2020);
        }
        // What follows is read along, where there is enough, and left out again: that is faster than byte by byte.
        let value = match bytes.get(taken - rest.len()..).and_then(<[u8]>::first_chunk) {
            Some(eight) => u64::from_le_bytes(*eight) & !(u64::MAX << (8 * rest.len())),
            None => rest.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)),
        };
        self.add((value | 0x2020_2020_2020_2020) & !(u64::MAX << (8 * rest.len())));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const PLAIN: Mode =
        Mode { ansi_quotes: false, no_backslash_escapes: false, ambiguous_charset: false, mariadb: false };

    #[test]
    fn like_statements_share_a_fingerprint() {
        let print = |sql: &str| fingerprint(sql.as_bytes(), PLAIN);
        for (a, b) in [
            ("SELECT c FROM t WHERE id=5", "select c from t where id = 1234 -- x"),
            ("SELECT c FROM t WHERE s='it''s \\' x'", "SELECT c FROM `t` WHERE s=?"),
            ("SELECT 1 IN (1)", "SELECT 2 IN (1, 2, 'x', NULL)"),
            ("INSERT INTO t VALUES (1,'a'),(2,'b'),(3,'c')", "INSERT INTO t VALUES (7,NULL);"),
            ("/* trace=1 */ SELECT 1", "SELECT /* b */ 2 # c"),
        ] {
            assert_eq!(print(a), print(b), "{a} / {b}");
        }
        for (a, b) in [
            ("SELECT a FROM t", "SELECT b FROM t"),
            ("SELECT a FROM t", "SELECT a, FROM t"),
            ("SELECT a IS NULL", "SELECT a IS NOT NULL"),
            ("/*!40101 SET a = 1 */", "/*!40101 SET b = 1 */"),
            ("SELECT f(1), (a)", "SELECT f(1), (b)"),
            ("SELECT f(1), (2", "SELECT f(1)"),
        ] {
            assert_ne!(print(a), print(b), "{a} / {b}");
        }
    }

    #[test]
    fn names_that_differ_in_few_characters_are_told_apart() {
        let two_digits = || (0..100).flat_map(|a| (0..100).map(move |b| (a, b)));
        for name in ["shard_{}_{}", "tenant_{}_{}", "t{}{}", "a_longer_name_{}_of_{}_them", "{}{}"] {
            let of = |(a, b): (u32, u32)| {
                let name = name.replacen("{}", &format!("{a:02}"), 1).replacen("{}", &format!("{b:02}"), 1);
                fingerprint(format!("SELECT 1 FROM `x{name}` WHERE id = 1").as_bytes(), PLAIN)
            };
            assert_eq!(two_digits().map(of).collect::<HashSet<_>>().len(), 10_000, "{name}");
        }
        let letters = || b'a'..=b'z';
        for (before, between) in (0..12).flat_map(|before| (0..12).map(move |between| (before, between))) {
            let (before, between) = ("x".repeat(before), "x".repeat(between));
            let of = |(a, b): (u8, u8)| {
                let name = format!("{before}{}{between}{}", char::from(a), char::from(b));
                fingerprint(format!("SELECT 1 FROM y{name}").as_bytes(), PLAIN)
            };
            let all = letters().flat_map(|a| letters().map(move |b| (a, b)));
            assert_eq!(all.map(of).collect::<HashSet<_>>().len(), 26 * 26, "{before}_{between}_");
        }
    }
}
