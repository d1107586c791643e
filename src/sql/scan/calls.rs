//! Calls: every `(` behind a name is judged here.

use super::Scan;
use crate::sql::{
    Traits, Why,
    functions::{self, Effect},
    lexer::Token,
    set,
    words::Word,
};

impl Scan<'_> {
    /// At `(`: what does the word before it call?
    #[allow(clippy::match_same_arms, reason = "one arm per rule")]
    pub(super) fn call(&mut self) {
        if !self.prev().is_name() || self.defining || self.declares_columns() {
            return;
        }
        let name = self.text(self.prev());
        let effect = match self.prev().token {
            _ if self.prev().qualified || self.prev2().is_punct(b'.') => Effect::Unknown,
            Token::Quoted => Effect::Unknown,
            // The most frequent ones, without a search.
            Token::Word(
                Word::And
                | Word::By
                | Word::Exists
                | Word::From
                | Word::Having
                | Word::In
                | Word::Join
                | Word::Not
                | Word::On
                | Word::Or
                | Word::Over
                | Word::Using
                | Word::Values
                | Word::Where,
            ) => Effect::None,
            Token::Word(Word::Count | Word::Max | Word::Min | Word::Sum) if !self.cur().gap => Effect::None,
            // The verb itself, before a parenthesised query.
            Token::Word(Word::Explain | Word::Describe | Word::Desc | Word::Analyze) => Effect::None,
            // Not reserved everywhere: harmless only where a call could not stand.
            Token::Word(Word::Lateral) if self.prev2().is(Word::Join) => Effect::None,
            Token::Word(Word::Lateral) if !self.lexer.mode().mariadb => Effect::None,
            Token::Word(Word::Intersect) if self.prev2().is_punct(b')') => Effect::None,
            _ if self.prev2().is(Word::Procedure) => Effect::None,
            _ if !self.lexer.mode().mariadb && self.is_mysql_syntax(name) => Effect::None,
            _ if name.eq_ignore_ascii_case(b"AGAINST") && self.prev2().is_punct(b')') => Effect::None,
            Token::Word(Word::Columns) if self.prev2().token == Token::Text => Effect::None,
            _ if name.eq_ignore_ascii_case(b"JSON_TABLE")
                && (self.prev2().is(Word::From) || self.prev2().is(Word::Join)) =>
            {
                Effect::None
            }
            _ => functions::effect(name, self.cur().gap, self.lexer.mode()),
        };
        self.apply(effect);
    }

    /// Words that MySQL reserves, or cannot call, and MariaDB can.
    fn is_mysql_syntax(&self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(b"JSON_TABLE")
            || (name.eq_ignore_ascii_case(b"OF") && self.text(self.prev2()).eq_ignore_ascii_case(b"MEMBER"))
    }

    /// `name (` where grammar has no room for a call: after `AS`, or a CTE's column list.
    fn declares_columns(&mut self) -> bool {
        if std::mem::take(&mut self.column_list) {
            return true;
        }
        match self.prev2().token {
            Token::Word(Word::As) => !self.prev2().qualified,
            Token::Word(Word::With | Word::Recursive) | Token::Punct(b',') => self.in_with && self.depth == 0,
            _ => false,
        }
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::None => {}
            Effect::Reads(traits) => self.traits |= traits,
            Effect::Acts(traits) => {
                self.traits |= traits;
                self.raise(Why::SideEffectFunction);
            }
            Effect::Local => self.server_local(),
            Effect::LastInsertId => {
                self.last_insert_id = true;
                self.pending = true;
            }
            Effect::Unknown if self.calls_declared() => {
                // What it reads is not in the text.
                self.traits |= Traits::CALLS_READ_FUNCTION;
                self.reads_tables = true;
            }
            Effect::Unknown => {
                self.traits |= Traits::CALLS_STORED_CODE;
                self.raise(Why::UserFunction);
            }
        }
    }

    /// At `(`: is the function before it one that is declared to only read?
    fn calls_declared(&self) -> bool {
        let Some(declared) = &self.declared else { return false };
        let function = set::name(self.text(self.prev()));
        if !self.prev().qualified && !self.prev2().is_punct(b'.') {
            return declared.holds(None, &function);
        }
        let before = self.prev3();
        self.prev2().is_punct(b'.')
            && before.is_name()
            && !before.qualified
            && !self.prev4().is_punct(b'.')
            && declared.holds(Some(&set::name(self.text(before))), &function)
    }

    pub(super) fn last_insert_id_argument(&mut self) {
        if self.cur().is_punct(b')') {
            self.traits |= Traits::USES_LAST_INSERT_ID;
        } else {
            self.traits |= Traits::SETS_LAST_INSERT_ID;
            self.raise(Why::SideEffectFunction);
        }
    }
}
