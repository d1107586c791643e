//! Bytes to tokens, the way the servers' own lexer cuts them.
//!
//! Where two servers, two character sets or two versions would cut differently, the token is
//! [`Token::Broken`], which makes the whole text unknown. Three rules look odd and matter:
//! a number may touch the next word (`1.INTO`, `1e5FOR`), a word that directly follows or directly
//! precedes a `.` is an identifier even if it spells a keyword, and a NUL ends a `--` comment.

mod blank;
mod quoted;

use super::{Hint, Mode, words::Word};

/// One token; its text is `src[start..end]`. Offsets are short because it is copied a lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) start: u32,
    pub(super) end: u32,
    /// White space or a comment stands before it.
    pub(super) gap: bool,
    /// A `.` stands directly before it.
    pub(super) qualified: bool,
}

impl Lexeme {
    pub(super) const NONE: Self = Self { token: Token::End, start: 0, end: 0, gap: false, qualified: false };

    pub(super) fn is(self, word: Word) -> bool {
        self.token == Token::Word(word)
    }

    pub(super) fn is_punct(self, byte: u8) -> bool {
        self.token == Token::Punct(byte)
    }

    /// An unquoted or quoted name.
    pub(super) fn is_name(self) -> bool {
        matches!(self.token, Token::Word(_) | Token::Quoted)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    End,
    /// An unquoted name or keyword.
    Word(Word),
    /// `` `name` ``, or `"name"` under `ANSI_QUOTES`.
    Quoted,
    /// A string literal without its introducer.
    Text,
    Number,
    /// `@x`, `@'x'`, `@`.
    UserVariable,
    /// `@@x`, `@@global.x`, `` @@`x` ``.
    SystemVariable,
    /// `:=`
    Assign,
    Punct(u8),
    /// Not lexable, or not alike on all servers.
    Broken,
}

const SPACE: u8 = 1;
const NAME: u8 = 2;
const DIGIT: u8 = 4;
/// May begin a comment, or end an executable one.
const COMMENT: u8 = 8;

static CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "i < 256")]
        let byte = i as u8;
        table[i] = match byte {
            b' ' | 9..=13 => SPACE,
            b'0'..=b'9' => NAME | DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' | 0x80.. => NAME,
            b'#' | b'-' | b'/' | b'*' => COMMENT,
            _ => 0,
        };
        i += 1;
    }
    table
};

/// White space to the server's lexer in every character set.
pub(super) fn is_space(byte: u8) -> bool {
    CLASS[usize::from(byte)] == SPACE
}

/// Whether it may be part of a name.
pub(super) fn is_name(byte: u8) -> bool {
    CLASS[usize::from(byte)] & NAME != 0
}

fn is_digit(byte: u8) -> bool {
    CLASS[usize::from(byte)] & DIGIT != 0
}

/// A cursor over the text.
#[derive(Clone)]
pub(super) struct Lexer<'a> {
    src: &'a [u8],
    pos: usize,
    mode: Mode,
    /// Treat comments that only some servers execute as comments, not as code.
    skip_uncertain: bool,
    in_executable: bool,
    /// Comments seen that only some servers execute.
    pub(super) uncertain: u32,
    /// Collected until the first token.
    pub(super) hint: Hint<'a>,
    before_first: bool,
    /// Begin and end of what the last comment says; 0 without one.
    comment: (usize, usize),
    /// End of a name token: a `.` exactly here qualifies.
    name_end: usize,
    /// End of a `.` token that followed a name directly.
    dot_end: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(src: &'a [u8], mode: Mode, skip_uncertain: bool) -> Self {
        Self {
            src,
            pos: 0,
            mode,
            skip_uncertain,
            in_executable: false,
            uncertain: 0,
            hint: Hint::default(),
            before_first: true,
            comment: (0, 0),
            name_end: usize::MAX,
            dot_end: usize::MAX,
        }
    }

    /// What the comment says that ends the text, white space and `;` aside; the text must have been read.
    pub(super) fn last_comment(&self) -> Option<&'a [u8]> {
        let (start, end) = self.comment;
        let behind = self.src.get(end + 2..).filter(|_| start > 0)?;
        behind.iter().all(|byte| *byte == b';' || is_space(*byte)).then(|| self.src.get(start..end))?
    }

    /// The text between two offsets.
    pub(super) fn slice(&self, start: u32, end: u32) -> &'a [u8] {
        self.src.get(start as usize..end as usize).unwrap_or_default()
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn skips_uncertain(&self) -> bool {
        self.skip_uncertain
    }

    pub(super) fn text(&self, lexeme: Lexeme) -> &'a [u8] {
        self.slice(lexeme.start, lexeme.end)
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.src.get(self.pos + ahead).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.src.get(self.pos..).unwrap_or_default()
    }

    /// The next token; after `End` or `Broken` it repeats.
    pub(super) fn next(&mut self) -> Lexeme {
        let mut lexeme = Lexeme::NONE;
        self.read(&mut lexeme);
        lexeme
    }

    /// As [`Lexer::next`], written in place.
    #[inline]
    pub(super) fn read(&mut self, to: &mut Lexeme) {
        let from = self.pos;
        let mut clean = true;
        loop {
            match self.peek(0).map(|byte| CLASS[usize::from(byte)]) {
                Some(SPACE) => self.pos += 1,
                Some(COMMENT) => {
                    clean = self.skip_blank();
                    break;
                }
                _ => break,
            }
        }
        let start = self.pos;
        let gap = start != from;
        let qualified = !gap && self.dot_end == start;
        let token = if clean { self.token(qualified) } else { Token::Broken };
        self.before_first = false;
        match token {
            Token::Word(_) => self.name_end = self.pos,
            // `x`.5 is a name and a number.
            Token::Quoted if !self.peek(1).is_some_and(is_digit) => self.name_end = self.pos,
            Token::Broken => {
                self.pos = self.src.len();
                self.in_executable = true; // so that every later call is broken, too
            }
            _ => {}
        }
        to.token = token;
        to.start = offset(start);
        to.end = offset(self.pos);
        to.gap = gap;
        to.qualified = qualified;
    }

    fn token(&mut self, qualified: bool) -> Token {
        let Some(byte) = self.peek(0) else {
            return if self.in_executable { Token::Broken } else { Token::End };
        };
        match byte {
            b'0'..=b'9' if !qualified => self.number(),
            _ if is_name(byte) => self.word(qualified),
            b'`' => self.quoted(byte),
            b'"' if self.mode.ansi_quotes => self.quoted(byte),
            b'\'' | b'"' => self.string(byte),
            b'@' => self.variable(),
            b'.' => self.dot(),
            b':' if self.peek(1) == Some(b'=') => {
                self.pos += 2;
                Token::Assign
            }
            0 => Token::Broken,
            _ => {
                // The server reads the next statement as a new text, outside of any comment.
                self.in_executable &= byte != b';';
                self.pos += 1;
                Token::Punct(byte)
            }
        }
    }

    /// Skips the bytes of a name; true if all are ASCII.
    fn skip_name(&mut self) -> bool {
        let mut seen = 0;
        let name = self.rest().iter().take_while(|byte| is_name(**byte));
        self.pos += name.inspect(|byte| seen |= **byte).count();
        seen.is_ascii()
    }

    fn word(&mut self, qualified: bool) -> Token {
        let from_here = self.rest();
        let start = self.pos;
        let ascii = self.skip_name();
        let text = from_here.get(..self.pos - start).unwrap_or_default();
        if !ascii && hides_keyword(text) {
            return Token::Broken;
        }
        if text.first() == Some(&b'$') && text.iter().skip(1).any(|b| *b == b'$') {
            // A dollar-quoted string to newer servers. One that begins where the text ends is an error to them, and a
            // name to others: `select $$` is how MySQL's command line finds out.
            let is_probe = text == b"$$" && self.rest().is_empty();
            return if is_probe { Token::Word(Word::Other) } else { Token::Broken };
        }
        if qualified || (self.peek(0) == Some(b'.') && self.peek(1).is_some_and(is_name)) {
            return Token::Word(Word::Other);
        }
        Token::Word(Word::find_prefix(from_here, text.len()))
    }

    fn number(&mut self) -> Token {
        let start = self.pos;
        self.skip_digits();
        if self.peek(0) == Some(b'.') {
            self.pos += 1;
            self.skip_digits();
            self.skip_exponent();
            return Token::Number;
        }
        if self.skip_exponent() {
            return Token::Number;
        }
        if self.peek(0).is_some_and(is_name) {
            self.pos = start;
            return self.word(false);
        }
        Token::Number
    }

    fn skip_digits(&mut self) {
        self.pos += self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
    }

    fn skip_exponent(&mut self) -> bool {
        if !matches!(self.peek(0), Some(b'e' | b'E')) {
            return false;
        }
        let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
        if !self.peek(1 + sign).is_some_and(is_digit) {
            return false;
        }
        self.pos += 1 + sign;
        self.skip_digits();
        true
    }

    fn dot(&mut self) -> Token {
        let adjacent = self.name_end == self.pos;
        self.pos += 1;
        if adjacent {
            self.dot_end = self.pos;
        } else if self.peek(0).is_some_and(is_digit) {
            self.skip_digits();
            self.skip_exponent();
            return Token::Number;
        } else {
            self.dot_end = self.pos;
        }
        Token::Punct(b'.')
    }
}

/// Texts of 4 GiB and more are refused before they are read.
#[allow(clippy::cast_possible_truncation, reason = "see above")]
fn offset(at: usize) -> u32 {
    at as u32
}

/// In a single-byte character set some bytes >= 0x80 are white space, so `x<A0>FOR` is two words
/// there and one in UTF-8. True if the difference could uncover a keyword.
fn hides_keyword(text: &[u8]) -> bool {
    text.split(|b| !b.is_ascii()).any(|run| !run.is_empty() && Word::find(run) != Word::Other)
}
