//! Statements without what is particular about them: which ones are alike, and how that can be shown.
//!
//! [`fingerprint`] is for the hot path: one pass over the bytes, nothing allocated; of statements that cannot be
//! read for certain it may take two for one, or one for two. [`digest`] is for people and shows no literal: it
//! reads as the servers do, and ends where it is not certain.

use super::Mode;
use super::lexer::{self, Lexeme, Lexer, Token};
use memchr::{memchr, memchr2, memmem};

/// A digest is cut after so many bytes.
const LONGEST: usize = 1024;

/// Pieces of a statement, as far as lists of literals are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Literal,
    Open,
    Close,
    Comma,
    Other,
}

/// Where in a list of literals the text is. What a state holds back is written once it turns out not to be one more
/// literal, or one more row of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fold {
    Outside,
    /// `(` has been written.
    Opened,
    /// `?` has been written.
    List,
    /// The same, and `,` is held back.
    ListComma,
    /// `(?` has been written.
    Row,
    /// The same, and `,` is held back.
    RowComma,
    /// `(?)` has been written.
    Rows,
    /// The same, and of another row this much is held back: `,`
    NextComma,
    /// `,(`
    NextOpened,
    /// `,(?`
    NextRow,
    /// `,(?,`
    NextRowComma,
}

impl Fold {
    /// Whether `NULL` would be a value here.
    fn is_in_list(self) -> bool {
        use Fold::{ListComma, NextOpened, NextRowComma, Opened, RowComma};
        matches!(self, Opened | ListComma | RowComma | NextOpened | NextRowComma)
    }

    /// What it holds back.
    fn held(self) -> &'static [Piece] {
        use Piece::{Comma, Literal, Open};
        match self {
            Self::ListComma | Self::RowComma | Self::NextComma => &[Comma],
            Self::NextOpened => &[Comma, Open],
            Self::NextRow => &[Comma, Open, Literal],
            Self::NextRowComma => &[Comma, Open, Literal, Comma],
            Self::Outside | Self::Opened | Self::List | Self::Row | Self::Rows => &[],
        }
    }

    /// Takes the next piece: what of the pieces held back is to be written first, and whether it is itself.
    #[inline]
    fn take(&mut self, piece: Piece) -> (&'static [Piece], bool) {
        let (next, holds) = match (*self, piece) {
            (Self::List | Self::ListComma, Piece::Literal) => (Self::List, true),
            (Self::List, Piece::Comma) => (Self::ListComma, true),
            (Self::Row | Self::RowComma, Piece::Literal) => (Self::Row, true),
            (Self::Row, Piece::Comma) => (Self::RowComma, true),
            (Self::Rows, Piece::Comma) => (Self::NextComma, true),
            (Self::NextComma, Piece::Open) => (Self::NextOpened, true),
            (Self::NextOpened | Self::NextRow | Self::NextRowComma, Piece::Literal) => (Self::NextRow, true),
            (Self::NextRow, Piece::Comma) => (Self::NextRowComma, true),
            (Self::NextRow, Piece::Close) => (Self::Rows, true),
            (Self::Opened, Piece::Literal) => (Self::Row, false),
            (_, Piece::Literal) => (Self::List, false),
            (_, Piece::Open) => (Self::Opened, false),
            (Self::Row, Piece::Close) => (Self::Rows, false),
            _ => (Self::Outside, false),
        };
        let held = if holds { &[] } else { self.held() };
        *self = next;
        (held, !holds)
    }
}

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
    #[inline]
    fn add(&mut self, value: u64) {
        self.hash = (self.hash.rotate_left(23) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
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

/// The statement with `?` for each literal, and for each list of literals; comments are left out.
#[must_use]
pub fn digest(sql: &[u8], mode: Mode) -> String {
    if mode.ambiguous_charset && !sql.is_ascii() {
        // A quote may be half of a character: what is a literal cannot be known.
        return "…".to_owned();
    }
    let mut out = Out { text: String::new(), gap: false };
    let mut fold = Fold::Outside;
    let mut lexer = Lexer::new(sql, mode, false);
    loop {
        let lexeme = lexer.next();
        if lexeme.token == Token::End {
            out.held(fold.held());
            return out.text;
        }
        if lexeme.token == Token::Broken || out.text.len() > LONGEST {
            out.held(fold.held());
            out.text.push('…');
            return out.text;
        }
        let text = lexer.text(lexeme);
        let piece = piece(lexeme, text, fold);
        let (held, writes) = fold.take(piece);
        out.held(held);
        if writes {
            match piece {
                Piece::Literal => out.write(lexeme.gap, "?"),
                _ => out.write(lexeme.gap, &String::from_utf8_lossy(text)),
            }
        }
    }
}

fn piece(lexeme: Lexeme, text: &[u8], fold: Fold) -> Piece {
    match lexeme.token {
        Token::Text | Token::Number | Token::Punct(b'?') => Piece::Literal,
        Token::Punct(b'(') => Piece::Open,
        Token::Punct(b')') => Piece::Close,
        Token::Punct(b',') => Piece::Comma,
        // 0x6869 is a word to the lexer, and a literal.
        Token::Word(_) if text.first().is_some_and(u8::is_ascii_digit) && !lexeme.qualified => Piece::Literal,
        Token::Word(_) if fold.is_in_list() && text.eq_ignore_ascii_case(b"null") => Piece::Literal,
        _ => Piece::Other,
    }
}

struct Out {
    text: String,
    /// A comma is the last that was written.
    gap: bool,
}

impl Out {
    fn held(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            let text = match piece {
                Piece::Literal | Piece::Other => "?",
                Piece::Open => "(",
                Piece::Close => ")",
                Piece::Comma => ",",
            };
            self.write(false, text);
        }
    }

    fn write(&mut self, gap: bool, text: &str) {
        if (gap || self.gap) && !self.text.is_empty() {
            self.text.push(' ');
        }
        self.gap = text == ",";
        // Control characters may be in quoted names; the log and a terminal must not see them.
        self.text.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Mode =
        Mode { ansi_quotes: false, no_backslash_escapes: false, ambiguous_charset: false, mariadb: false };

    fn of(sql: &str) -> String {
        digest(sql.as_bytes(), PLAIN)
    }

    #[test]
    fn literals_are_gone() {
        for (sql, want) in [
            ("SELECT c FROM t WHERE id=5", "SELECT c FROM t WHERE id=?"),
            (
                "select  *\n from `t` -- secret\n where a = 'it''s' and b = \"x\"",
                "select * from `t` where a = ? and b = ?",
            ),
            ("SELECT 0xCAFE, x'41', 1e5, .5", "SELECT ?, x?"),
            ("INSERT INTO t VALUES (1,'a',NULL),(2,'b',NULL)", "INSERT INTO t VALUES (?)"),
            (
                "INSERT INTO t (a, b) VALUES (1, now()), (2, now())",
                "INSERT INTO t (a, b) VALUES (?, now()), (?, now())",
            ),
            (
                "SELECT 1 FROM t WHERE a IN (1, 2, 3) AND b IS NULL LIMIT 10, 20",
                "SELECT ? FROM t WHERE a IN (?) AND b IS NULL LIMIT ?",
            ),
            ("/* key=secret */ SELECT @@version, @x", "SELECT @@version, @x"),
            ("SELECT 'never closed, secret", "SELECT…"),
            ("SELECT a\\'secret", "SELECT a\\…"),
            ("", ""),
        ] {
            assert_eq!(of(sql), want, "{sql}");
        }
    }

    #[test]
    fn what_is_a_literal_depends_on_the_mode() {
        let plain = r"SELECT 'a\', secret, 'b'";
        assert_eq!(digest(plain.as_bytes(), Mode { no_backslash_escapes: true, ..PLAIN }), "SELECT ?, secret, ?");
        assert!(!of(r"SELECT 'a\' secret'").contains("secret"));
        let ansi = Mode { ansi_quotes: true, ..PLAIN };
        assert_eq!(digest(b"SELECT \"name\" FROM t", ansi), "SELECT \"name\" FROM t");
        assert_eq!(of("SELECT \"secret\" FROM t"), "SELECT ? FROM t");
        let ambiguous = Mode { ambiguous_charset: true, ..PLAIN };
        assert_eq!(digest(b"SELECT '\xbf\\', secret, '\xbf'", ambiguous), "…");
    }

    #[test]
    fn a_long_one_is_cut() {
        let sql = format!("SELECT {}", "a_long_name, ".repeat(1000));
        let digest = of(&sql);
        assert!(digest.len() < LONGEST + 100 && digest.ends_with('…'));
    }

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
}
