//! One pass over the tokens that notes everything with an effect, whatever the statement.
//!
//! [`Scan::advance`] looks at each token exactly once, with the two before it, and records traits
//! and the strongest reason to run on the primary. The verbs in [`super::verbs`] only add what
//! position alone tells. Rules here are a deny-list of the reserved words and calls through which
//! a query can have an effect; calls are an allow-list.

mod calls;
mod names;

pub(super) use self::names::{names_server_variable, shows_what_is_left};

use super::{
    Hint, Mode, Traits, Why,
    declared::Declared,
    lexer::{Lexeme, Lexer, Token},
    words::Word,
};

/// A token cursor with memory.
#[allow(clippy::struct_excessive_bools, reason = "independent facts about the position")]
pub(super) struct Scan<'a> {
    lexer: Lexer<'a>,
    /// The last eight tokens; a ring, because moving them costs more than reading them.
    recent: [Lexeme; 8],
    at: usize,
    pub(super) depth: u32,
    pub(super) traits: Traits,
    /// Why the current statement needs the primary, as far as read.
    why: Option<Why>,
    /// Between `WITH` and the main verb, where `name (` declares columns.
    pub(super) in_with: bool,
    /// The next `(` after a name is a column list.
    pub(super) column_list: bool,
    /// In a definition, up to its `SELECT`: `name (` declares, nothing is called.
    pub(super) defining: bool,
    /// A stored program's text went on after a `;`.
    pub(super) spilled: bool,
    /// The token before is not judged yet: it depends on the current one.
    pending: bool,
    /// The last two tokens were `LAST_INSERT_ID (`.
    last_insert_id: bool,
    /// Where the first `;` token is.
    separator: Option<u32>,
    /// A word that names where rows come from: `FROM`, `JOIN`, `TABLE`.
    reads_tables: bool,
    /// Functions that are declared to only read, if anybody asks for that.
    declared: Option<Box<Declared>>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(sql: &'a [u8], mode: Mode, skip_uncertain: bool, declared: Option<&Declared>) -> Self {
        let mut scan = Self {
            lexer: Lexer::new(sql, mode, skip_uncertain),
            recent: [Lexeme::NONE; 8],
            at: 0,
            depth: 0,
            traits: Traits::NONE,
            why: None,
            in_with: false,
            column_list: false,
            defining: false,
            spilled: false,
            pending: false,
            last_insert_id: false,
            separator: None,
            reads_tables: false,
            declared: declared.cloned().map(Box::new),
        };
        scan.advance();
        scan
    }

    /// What comments ask for, when all has been read.
    pub(super) fn hint(&self) -> Hint<'a> {
        self.lexer.hint.with_tags(self.lexer.last_comment())
    }

    pub(super) fn uncertain(&self) -> u32 {
        self.lexer.uncertain
    }

    /// Where the first `;` is that is a token of its own.
    pub(super) fn separator(&self) -> Option<u32> {
        self.separator
    }

    /// Whether a word was met that may bring a table in.
    pub(super) fn reads_tables(&self) -> bool {
        self.reads_tables
    }

    pub(super) fn lexer(&self) -> &Lexer<'a> {
        &self.lexer
    }

    pub(super) fn text(&self, lexeme: Lexeme) -> &'a [u8] {
        self.lexer.text(lexeme)
    }

    /// The token the scan stands on.
    #[inline]
    pub(super) fn cur(&self) -> Lexeme {
        self.recent[self.at & 7]
    }

    /// The token before it, in the same statement.
    #[inline]
    pub(super) fn prev(&self) -> Lexeme {
        self.recent[self.at.wrapping_sub(1) & 7]
    }

    #[inline]
    fn prev2(&self) -> Lexeme {
        self.recent[self.at.wrapping_sub(2) & 7]
    }

    #[inline]
    fn prev3(&self) -> Lexeme {
        self.recent[self.at.wrapping_sub(3) & 7]
    }

    /// The current token spells `name` without quotes.
    pub(super) fn spells(&self, name: &str) -> bool {
        matches!(self.cur().token, Token::Word(_)) && self.text(self.cur()).eq_ignore_ascii_case(name.as_bytes())
    }

    pub(super) fn broken(&self) -> bool {
        self.cur().token == Token::Broken
    }

    /// The current statement is over.
    pub(super) fn done(&self) -> bool {
        matches!(self.cur().token, Token::End | Token::Broken | Token::Punct(b';'))
    }

    /// Over, and readable to the end.
    pub(super) fn clean_end(&self) -> bool {
        matches!(self.cur().token, Token::End | Token::Punct(b';'))
    }

    fn prev4(&self) -> Lexeme {
        self.recent[self.at.wrapping_sub(4) & 7]
    }

    /// Moves to the first token of the next statement; false if there is none.
    pub(super) fn next_statement(&mut self) -> bool {
        while self.cur().is_punct(b';') {
            self.advance();
        }
        self.why = None;
        self.depth = 0;
        self.in_with = false;
        self.column_list = false;
        self.defining = false;
        self.recent[self.at.wrapping_sub(1) & 7] = Lexeme::NONE;
        self.recent[self.at.wrapping_sub(2) & 7] = Lexeme::NONE;
        // The first token was observed as part of the statement before; see it again.
        self.observe();
        !self.done()
    }

    /// Consumes the rest of the statement and says what was found in all of it.
    pub(super) fn finish(&mut self) -> Option<Why> {
        while !self.done() {
            self.advance();
        }
        if self.broken() { Some(Why::Unknown) } else { self.why }
    }

    /// As [`Scan::finish`], over all `;` to the end of the text.
    pub(super) fn finish_all(&mut self) -> Option<Why> {
        let mut found = self.finish();
        while self.cur().is_punct(b';') {
            self.advance();
            self.spilled |= !self.done();
            found = self.finish();
        }
        found
    }

    /// Consumes the current token if it is `word`.
    pub(super) fn take(&mut self, word: Word) -> bool {
        let hit = self.cur().is(word);
        if hit {
            self.advance();
        }
        hit
    }

    pub(super) fn advance(&mut self) {
        self.at = self.at.wrapping_add(1);
        self.lexer.read(&mut self.recent[self.at & 7]);
        // Most tokens of a long statement are values and commas.
        if self.pending || !matches!(self.cur().token, Token::Text | Token::Number) {
            self.observe();
        }
    }

    fn raise(&mut self, why: Why) {
        let stronger = match self.why {
            None | Some(Why::UserFunction | Why::ServerLocal | Why::UserVariable) => true,
            Some(_) => why == Why::Unknown,
        };
        if stronger {
            self.why = Some(why);
        }
    }

    #[inline]
    fn observe(&mut self) {
        if self.pending {
            self.judge_previous();
        }
        match self.cur().token {
            Token::Punct(b',') if self.prev2().is(Word::Limit) => self.traits |= Traits::SKIPS_ROWS,
            Token::Punct(b',') | Token::Text | Token::Number | Token::End => {}
            Token::Word(word) => self.word(word),
            Token::Punct(byte) => self.punct(byte),
            Token::UserVariable => self.user_variable(),
            Token::SystemVariable => self.system_variable(),
            Token::Assign => {
                self.traits |= Traits::ASSIGNS_USER_VARIABLE;
                self.raise(Why::UserVariable);
            }
            Token::Broken => self.why = Some(Why::Unknown),
            Token::Quoted => self.local_table(),
        }
    }

    /// `INTO`, `INSERT`, `REPLACE` and `LAST_INSERT_ID (` mean what the next token says.
    #[cold]
    fn judge_previous(&mut self) {
        self.pending = false;
        if std::mem::take(&mut self.last_insert_id) {
            self.last_insert_id_argument();
        }
        match self.prev().token {
            Token::Word(Word::Into) => {
                if self.cur().is(Word::Outfile) || self.cur().is(Word::Dumpfile) {
                    self.raise(Why::IntoFile);
                } else {
                    self.raise(Why::IntoVariable);
                }
            }
            // With `(` they are functions.
            Token::Word(Word::Insert | Word::Replace) if !self.cur().is_punct(b'(') => {
                self.raise(Why::Insert);
            }
            _ => {}
        }
    }

    #[inline]
    fn word(&mut self, word: Word) {
        match word {
            Word::Other if self.prev().is_punct(b'.') => self.local_table(),
            Word::Into | Word::Insert | Word::Replace => self.pending = true,
            Word::Update | Word::Share if self.prev().is(Word::For) => {
                self.raise(Why::LockingRead);
            }
            Word::Update => self.raise(Why::Update),
            Word::Delete => self.raise(Why::Delete),
            // LOCK IN SHARE MODE; as a verb it gets its own reason.
            Word::Lock => self.raise(Why::LockingRead),
            Word::Call => self.raise(Why::Call),
            Word::Offset | Word::Union | Word::Except | Word::Intersect => self.traits |= Traits::SKIPS_ROWS,
            Word::SqlCalcFoundRows => self.traits |= Traits::CALC_FOUND_ROWS,
            Word::For if self.prev().is(Word::Value) => {
                if matches!(self.prev2().token, Token::Word(Word::Next | Word::Previous)) {
                    self.raise(Why::SideEffectFunction);
                }
                self.traits |= match self.prev2().token {
                    Token::Word(Word::Previous) => Traits::USES_LAST_DRAW,
                    Token::Word(Word::Next) => Traits::DRAWS_FROM_SEQUENCE,
                    _ => Traits::NONE,
                };
            }
            Word::Processlist | Word::Optimizer_trace => self.server_local(),
            Word::From | Word::Join => self.reads_tables = true,
            Word::Select | Word::Table | Word::Values => {
                self.reads_tables |= word == Word::Table;
                self.in_with &= self.depth > 0;
                self.defining &= word != Word::Select;
                if word == Word::Select && self.why == Some(Why::Insert) {
                    self.traits |= Traits::SKIPS_ROWS;
                }
            }
            _ => {}
        }
    }

    #[inline]
    fn punct(&mut self, byte: u8) {
        match byte {
            b'(' => {
                // A main query in brackets: what follows it defines nothing any more.
                self.in_with &= self.depth > 0 || !self.prev().is_punct(b')');
                self.call();
                self.depth = self.depth.saturating_add(1);
            }
            b')' => self.depth = self.depth.saturating_sub(1),
            b'.' => self.schema(),
            // Oracle's `SQL%ROWCOUNT`, as MariaDB knows it.
            b'%' if self.text(self.prev()).eq_ignore_ascii_case(b"sql") => self.traits |= Traits::USES_ROW_COUNT,
            b';' => {
                self.separator.get_or_insert(self.cur().start);
            }
            _ => {}
        }
    }
}
