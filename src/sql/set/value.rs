//! The right-hand side of an assignment, and whether it could be repeated elsewhere.

use super::{Value, ValueClass, parser::Parser};
use crate::sql::{
    functions,
    lexer::{Lexeme, Token},
    words::Word,
};

impl<'a> Parser<'a> {
    /// Everything up to the next `,` outside of parentheses.
    pub(super) fn value(&mut self) -> Option<Value<'a>> {
        let (start, first) = (self.cur.start, self.cur);
        let mut depth = 0_u32;
        let mut tokens = 0_u32;
        let (mut pure, mut prev) = (true, Lexeme::NONE);
        let (mut sign, mut simple) = (0_u32, true);
        loop {
            match self.cur.token {
                Token::End | Token::Punct(b',') if depth == 0 => break,
                Token::End | Token::Broken | Token::Punct(b';') => return None,
                Token::Punct(b'(') => {
                    depth += 1;
                    pure &= !prev.is_name() || self.may_call(prev);
                }
                Token::Punct(b')') => depth = depth.checked_sub(1)?,
                Token::Punct(b'-' | b'+') if tokens == sign => sign += 1,
                Token::Word(word) => {
                    pure &= !self.cur.qualified && self.is_pure_word(word, depth);
                    simple &= !functions::is_niladic(self.lexer.text(self.cur));
                    pure &= simple;
                }
                // Servers differ in those.
                Token::SystemVariable => pure &= !is_global(self.lexer.text(self.cur)),
                Token::UserVariable | Token::Assign | Token::Quoted | Token::Punct(b'.' | b'?') => {
                    pure = false;
                }
                _ => {}
            }
            tokens += 1;
            prev = self.cur;
            self.advance();
        }
        let literal = match first.token {
            Token::Text | Token::Number => tokens == 1,
            Token::Quoted => tokens == 1 && sign == 0,
            Token::Word(_) if tokens == 1 => simple,
            // x'41', _utf8'a': an introducer that belongs to the string after it.
            Token::Word(Word::Other) => tokens == 2 && prev.token == Token::Text,
            Token::Punct(b'-' | b'+') => sign == 1 && tokens == 2 && prev.token == Token::Number,
            _ => false,
        };
        let class = match (tokens, literal) {
            (0, _) => return None,
            (1, _) if first.is(Word::Default) => ValueClass::Default,
            (_, true) => ValueClass::Literal,
            _ if pure => ValueClass::Session,
            _ => ValueClass::Other,
        };
        Some(Value { text: self.slice(start), class })
    }

    /// `prev (` inside a value keeps it repeatable.
    fn may_call(&self, prev: Lexeme) -> bool {
        let name = self.lexer.text(prev);
        let operator = matches!(
            prev.token,
            Token::Word(
                Word::And
                    | Word::Or
                    | Word::Not
                    | Word::In
                    | Word::Like
                    | Word::Select
                    | Word::Xor
                    | Word::Div
                    | Word::Mod
                    | Word::When
                    | Word::Then
                    | Word::Else
                    | Word::Case
            )
        );
        !prev.qualified && (operator || (!self.cur.gap && functions::is_pure(name)))
    }

    /// Words a repeatable expression may have. A `SELECT` without `FROM` in parentheses is the
    /// usual way to write `SET sql_mode = (SELECT REPLACE(@@sql_mode, ..))`.
    fn is_pure_word(&self, word: Word, depth: u32) -> bool {
        match word {
            Word::And
            | Word::As
            | Word::Between
            | Word::Case
            | Word::Char
            | Word::Div
            | Word::Else
            | Word::End
            | Word::If
            | Word::In
            | Word::Is
            | Word::Left
            | Word::Like
            | Word::Mod
            | Word::Not
            | Word::Or
            | Word::Replace
            | Word::Right
            | Word::Then
            | Word::When
            | Word::Xor => true,
            Word::Select => depth > 0,
            Word::Other => {
                let text = self.lexer.text(self.cur);
                functions::is_pure(text)
                    || [&b"null"[..], b"true", b"false", b"signed", b"unsigned"]
                        .iter()
                        .any(|known| text.eq_ignore_ascii_case(known))
            }
            _ => false,
        }
    }
}

/// Whether `@@name` names its scope, and that is the server.
fn is_global(variable: &[u8]) -> bool {
    let scope = variable.get(2..).unwrap_or_default();
    ["global", "persist"]
        .iter()
        .any(|name| scope.get(..name.len()).is_some_and(|s| s.eq_ignore_ascii_case(name.as_bytes())))
}
