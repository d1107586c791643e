//! The grammar of `SET`.

use std::borrow::Cow;

use super::{Access, Assignment, Isolation, Target, TransactionScope, Value, ValueClass, VariableScope, name};
use crate::sql::{
    lexer::{Lexeme, Lexer, Token},
    words::Word,
};

/// A cursor over one `SET`.
pub(super) struct Parser<'a> {
    pub(super) lexer: Lexer<'a>,
    pub(super) cur: Lexeme,
    pub(super) prev_end: u32,
    pub(super) sticky: VariableScope,
}

impl<'a> Parser<'a> {
    pub(super) fn list(&mut self) -> Option<Vec<Assignment<'a>>> {
        let mut list = Vec::with_capacity(1);
        loop {
            let closed = self.assignment(list.is_empty(), &mut list)?;
            match self.cur.token {
                Token::End => return Some(list),
                Token::Punct(b',') if !closed => self.advance(),
                _ => return None,
            }
        }
    }

    /// Reads one assignment; true if the grammar allows none after it.
    fn assignment(&mut self, first: bool, list: &mut Vec<Assignment<'a>>) -> Option<bool> {
        if let Some(one) = self.alone(first) {
            list.push(one);
            return Some(true);
        }
        let keyword = self.scope();
        if self.cur.is(Word::Transaction) && !self.followed_by_value() {
            let scope = match keyword {
                None => TransactionScope::Next,
                Some(VariableScope::Session) => TransactionScope::Session,
                Some(VariableScope::Global) => TransactionScope::Global,
            };
            list.push(self.transaction(scope)?);
            return Some(true);
        }
        if keyword.is_none()
            && let Some(one) = self.charset()
        {
            list.push(one);
            return Some(false);
        }
        let target = self.target()?;
        if !(self.punct(b'=') || self.assign()) {
            return None;
        }
        list.push(Assignment { target, value: self.value()? });
        Some(false)
    }

    /// Forms that are a statement of their own and end at its end.
    fn alone(&mut self, first: bool) -> Option<Assignment<'a>> {
        let special = first
            && match self.cur.token {
                Token::Word(Word::Password | Word::Role | Word::Default) => {
                    !self.followed_by_value() || self.cur.is(Word::Password)
                }
                Token::Word(Word::Resource) => true,
                _ => false,
            };
        special.then(|| {
            let start = self.cur.start;
            while !matches!(self.cur.token, Token::End | Token::Broken) {
                self.advance();
            }
            let text = self.slice(start);
            Assignment { target: Target::Other, value: Value { text, class: ValueClass::Other } }
        })
    }

    /// `GLOBAL`, `SESSION`, .. as a keyword, which then sticks.
    fn scope(&mut self) -> Option<VariableScope> {
        let scope = match self.cur.token {
            Token::Word(Word::Session | Word::Local) => VariableScope::Session,
            Token::Word(Word::Global | Word::Persist | Word::Persist_only) => VariableScope::Global,
            _ => return None,
        };
        if self.followed_by_value() {
            return None;
        }
        self.advance();
        self.sticky = scope;
        Some(scope)
    }

    fn transaction(&mut self, scope: TransactionScope) -> Option<Assignment<'a>> {
        self.advance();
        let start = self.cur.start;
        let (mut isolation, mut access) = (None, None);
        loop {
            if self.take(Word::Isolation) {
                if !self.take(Word::Level) {
                    return None;
                }
                isolation = Some(self.isolation()?);
            } else if self.take(Word::Read) {
                access = Some(if self.take(Word::Only) {
                    Access::ReadOnly
                } else if self.take(Word::Write) {
                    Access::ReadWrite
                } else {
                    return None;
                });
            } else {
                return None;
            }
            if !self.punct(b',') {
                break;
            }
        }
        let value = Value { text: self.slice(start), class: ValueClass::Literal };
        Some(Assignment { target: Target::Transaction { scope, isolation, access }, value })
    }

    fn isolation(&mut self) -> Option<Isolation> {
        if self.take(Word::Serializable) {
            return Some(Isolation::Serializable);
        }
        if self.take(Word::Repeatable) {
            return self.take(Word::Read).then_some(Isolation::RepeatableRead);
        }
        if !self.take(Word::Read) {
            return None;
        }
        if self.take(Word::Committed) {
            return Some(Isolation::ReadCommitted);
        }
        self.take(Word::Uncommitted).then_some(Isolation::ReadUncommitted)
    }

    /// `NAMES ..`, `CHARSET ..`, `CHARACTER SET ..`.
    fn charset(&mut self) -> Option<Assignment<'a>> {
        if self.followed_by_value() {
            return None;
        }
        let names = self.cur.is(Word::Names);
        if self.cur.is(Word::Character) || self.cur.is(Word::Char) {
            self.advance();
            if !self.take(Word::Set) {
                return None;
            }
        } else if names || self.cur.is(Word::Charset) {
            self.advance();
        } else {
            return None;
        }
        let value = self.one_word()?;
        if !names {
            return Some(Assignment { target: Target::CharacterSet, value });
        }
        let after = if self.take(Word::Collate) { Some(self.one_word()?) } else { None };
        // `COLLATE DEFAULT` is what it is without.
        let collation = after.filter(|value| value.class != ValueClass::Default).map(|value| name(value.text));
        Some(Assignment { target: Target::Names { collation }, value })
    }

    fn one_word(&mut self) -> Option<Value<'a>> {
        let class = match self.cur.token {
            Token::Word(Word::Default) => ValueClass::Default,
            Token::Word(_) | Token::Text | Token::Quoted => ValueClass::Literal,
            _ => return None,
        };
        let text = self.lexer.text(self.cur);
        self.advance();
        Some(Value { text, class })
    }

    fn target(&mut self) -> Option<Target<'a>> {
        let text = self.lexer.text(self.cur);
        match self.cur.token {
            Token::UserVariable => {
                self.advance();
                Some(Target::User(name(text.get(1..)?)))
            }
            Token::SystemVariable => {
                self.advance();
                let (scope, name) = system_variable(text.get(2..)?)?;
                // Without a scope these are of the next transaction only.
                if name.len() == text.len() - 2 && is_of_next_transaction(&name) {
                    return Some(Target::Other);
                }
                Some(Target::Variable { scope, name })
            }
            Token::Word(_) | Token::Quoted => {
                let start = self.cur.start;
                self.advance();
                let mut whole = name(text);
                if self.punct(b'.') {
                    if !self.cur.is_name() {
                        return None;
                    }
                    self.advance();
                    whole = Cow::Borrowed(self.slice(start));
                }
                Some(Target::Variable { scope: self.sticky, name: whole })
            }
            _ => None,
        }
    }

    /// The token after the current one is `=` or `:=`.
    fn followed_by_value(&self) -> bool {
        let next = self.lexer.clone().next();
        next.is_punct(b'=') || next.token == Token::Assign
    }

    pub(super) fn advance(&mut self) {
        self.prev_end = self.cur.end;
        self.cur = self.lexer.next();
    }

    pub(super) fn take(&mut self, word: Word) -> bool {
        let hit = self.cur.is(word);
        if hit {
            self.advance();
        }
        hit
    }

    pub(super) fn punct(&mut self, byte: u8) -> bool {
        let hit = self.cur.is_punct(byte);
        if hit {
            self.advance();
        }
        hit
    }

    fn assign(&mut self) -> bool {
        let hit = self.cur.token == Token::Assign;
        if hit {
            self.advance();
        }
        hit
    }

    /// The source from `start` to the end of the last token consumed.
    pub(super) fn slice(&self, start: u32) -> &'a [u8] {
        self.lexer.slice(start, self.prev_end)
    }
}

/// `SET @@transaction_isolation = ..` is `SET TRANSACTION ..`, unlike the form without `@@`.
/// <https://dev.mysql.com/doc/refman/9.4/en/set-transaction.html>
fn is_of_next_transaction(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 4] = [b"transaction_isolation", b"transaction_read_only", b"tx_isolation", b"tx_read_only"];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Splits `global.sort_buffer_size`; `None` for a scope that cannot be assigned.
fn system_variable(text: &[u8]) -> Option<(VariableScope, Cow<'_, [u8]>)> {
    let Some(dot) = text.iter().position(|b| *b == b'.') else {
        return Some((VariableScope::Session, name(text)));
    };
    let (scope, rest) = (text.get(..dot)?, text.get(dot + 1..)?);
    let is = |names: &[&str]| names.iter().any(|n| scope.eq_ignore_ascii_case(n.as_bytes()));
    if is(&["session", "local"]) {
        Some((VariableScope::Session, name(rest)))
    } else if is(&["global", "persist", "persist_only"]) {
        Some((VariableScope::Global, name(rest)))
    } else {
        None
    }
}
