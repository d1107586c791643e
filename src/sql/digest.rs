//! Statements without what is particular about them, as people are shown them: without any literal. They are read as the
//! servers do, as far as that is certain. Which ones are alike, [`fingerprint`](super::fingerprint()) tells.

use super::Mode;
use super::lexer::{Lexeme, Lexer, Token};

/// A digest is cut after so many bytes.
const LONGEST: usize = 1024;

/// Pieces of a statement, as far as lists of literals are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Literal,
    Open,
    Close,
    Comma,
    Other,
}

/// Where in a list of literals the text is. What a state holds back is written once it turns out not to be one more
/// literal, or one more row of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
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
    pub(super) fn is_in_list(self) -> bool {
        use Fold::{ListComma, NextOpened, NextRowComma, Opened, RowComma};
        matches!(self, Opened | ListComma | RowComma | NextOpened | NextRowComma)
    }

    /// What it holds back.
    pub(super) fn held(self) -> &'static [Piece] {
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
    pub(super) fn take(&mut self, piece: Piece) -> (&'static [Piece], bool) {
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
}
