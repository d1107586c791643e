//! Strings, quoted names and variables.

use memchr::{memchr, memchr2};

use super::{Lexer, Token, is_name};

/// What may stand ahead of a system variable's name.
const SCOPES: [&[u8]; 5] = [b"global", b"local", b"persist", b"persist_only", b"session"];

impl Lexer<'_> {
    pub(super) fn string(&mut self, quote: u8) -> Token {
        self.pos += 1;
        loop {
            let rest = self.rest();
            let hit = if self.mode.no_backslash_escapes { memchr(quote, rest) } else { memchr2(quote, b'\\', rest) };
            let Some(at) = hit else { return Token::Broken };
            self.pos += at + 1;
            if rest.get(at) != Some(&b'\\') && self.peek(0) != Some(quote) {
                return Token::Text;
            }
            self.pos += 1; // what is escaped, or the second of two quotes
        }
    }

    pub(super) fn quoted(&mut self, quote: u8) -> Token {
        self.pos += 1;
        loop {
            let rest = self.rest();
            let Some(at) = memchr2(quote, 0, rest) else { return Token::Broken };
            self.pos += at + 1;
            if rest.get(at) == Some(&0) {
                return Token::Broken;
            }
            if self.peek(0) != Some(quote) {
                return Token::Quoted;
            }
            self.pos += 1;
        }
    }

    pub(super) fn variable(&mut self) -> Token {
        self.pos += 1;
        if self.peek(0) == Some(b'@') {
            self.pos += 1;
            return self.system_variable();
        }
        let inner = match self.peek(0) {
            Some(b'"') if self.mode.ansi_quotes => self.quoted(b'"'),
            Some(quote @ (b'\'' | b'"')) => self.string(quote),
            Some(b'`') => self.quoted(b'`'),
            _ => {
                while self.peek(0).is_some_and(|b| is_name(b) || b == b'.') {
                    self.pos += 1;
                }
                Token::UserVariable
            }
        };
        if inner == Token::Broken { Token::Broken } else { Token::UserVariable }
    }

    fn system_variable(&mut self) -> Token {
        loop {
            let rest = self.rest();
            let name = match self.peek(0) {
                Some(quote @ b'`') => self.quoted(quote),
                Some(byte) if is_name(byte) => {
                    self.skip_name();
                    Token::SystemVariable
                }
                _ => return Token::Broken,
            };
            if name == Token::Broken {
                return Token::Broken;
            }
            let more = self.peek(0) == Some(b'.') && self.peek(1).is_some_and(|b| is_name(b) || b == b'`');
            if !more {
                // With white space round the `.` the name is still to come.
                let word = rest.get(..rest.len() - self.rest().len()).unwrap_or_default();
                let is_scope = SCOPES.iter().any(|scope| word.eq_ignore_ascii_case(scope));
                return if is_scope { Token::Broken } else { Token::SystemVariable };
            }
            self.pos += 1;
        }
    }
}
