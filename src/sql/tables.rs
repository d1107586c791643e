//! Which tables a statement names.
//!
//! One pass over the tokens, with one [`Place`] per open bracket: a `FROM` in a call (`TRIM(x FROM y)`)
//! brings no table in, a comma is a join only in a list of tables, and the name of a `WITH` is a table
//! only where it cannot be seen. Whatever does not fit is `None`.
//!
//! Views are named like tables; what they, triggers and stored functions read is not in the text.

mod with;

use std::borrow::Cow;

use super::lexer::{Lexeme, Lexer, Token};
use super::words::Word;
use super::{Mode, set};

/// A table as it is named in a statement, without quotes, in its own case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName<'a> {
    /// Its schema; `None` = the session's.
    pub schema: Option<Cow<'a, [u8]>>,
    /// Its name.
    pub name: Cow<'a, [u8]>,
}

/// The tables that a query, `INSERT`, `REPLACE`, `UPDATE` or `DELETE` names, as often as it names them and
/// in the order of the text: in a change, the one that is changed comes first. `None` if that is not
/// certain, which holds for every other kind of statement.
#[must_use]
pub fn tables(sql: &[u8], mode: Mode) -> Option<Vec<TableName<'_>>> {
    if (mode.ambiguous_charset && !sql.is_ascii()) || u32::try_from(sql.len()).is_err() {
        return None;
    }
    let mut lexer = Lexer::new(sql, mode, false);
    let cur = lexer.next();
    let mut reader =
        Reader { lexer, cur, places: Vec::new(), names: Vec::new(), found: Vec::new(), defined: 0, changes: false };
    loop {
        while reader.cur.is_punct(b';') {
            reader.advance();
        }
        if reader.cur.token == Token::End {
            break;
        }
        reader.statement()?;
    }
    // What only some servers execute may name tables, or hide them.
    (reader.lexer.uncertain == 0).then_some(reader.found)
}

/// What may come next between two brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place<'a> {
    /// A query may begin, or an expression.
    Open,
    /// Behind `UNION` and its kind: a query must begin.
    Union,
    /// In the definition of this name.
    Defining { name: Cow<'a, [u8]>, recursive: bool },
    /// In a call or an expression: a `FROM` means something else.
    Expression,
    /// In what a query selects, before its `FROM`.
    Selected,
    /// A table must come; where a bracket has just been opened, a query may.
    Table { opened: bool },
    /// Behind a table: its alias, hints, conditions.
    Joined,
    /// Behind the tables.
    Tail,
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    cur: Lexeme,
    /// One for each open bracket, and one for the statement.
    places: Vec<Place<'a>>,
    /// Names of `WITH` that can be seen, each with the number of brackets around it.
    names: Vec<(usize, Cow<'a, [u8]>)>,
    found: Vec<TableName<'a>>,
    /// Names of `WITH` met so far, in view or not.
    defined: usize,
    /// The statement is not a query.
    changes: bool,
}

impl<'a> Reader<'a> {
    fn advance(&mut self) -> Lexeme {
        std::mem::replace(&mut self.cur, self.lexer.next())
    }

    fn take(&mut self, word: Word) -> bool {
        let hit = self.cur.is(word);
        if hit {
            self.advance();
        }
        hit
    }

    fn spells(&self, lexeme: Lexeme, word: &str) -> bool {
        let plain = matches!(lexeme.token, Token::Word(_)) && !lexeme.qualified;
        plain && self.lexer.text(lexeme).eq_ignore_ascii_case(word.as_bytes())
    }

    fn take_spelled(&mut self, words: &[&str]) {
        while words.iter().any(|word| self.spells(self.cur, word)) {
            self.advance();
        }
    }

    /// A name and what it is without quotes.
    fn name(&mut self) -> Option<Cow<'a, [u8]>> {
        let lexeme = self.cur;
        lexeme.is_name().then(|| {
            self.advance();
            set::name(self.lexer.text(lexeme))
        })
    }

    fn table(&mut self) -> Option<TableName<'a>> {
        let first = self.name()?;
        if !self.cur.is_punct(b'.') {
            return Some(TableName { schema: None, name: first });
        }
        self.advance();
        let name = self.name()?;
        (!self.cur.is_punct(b'.')).then_some(TableName { schema: Some(first), name })
    }

    /// One statement, up to its `;`.
    fn statement(&mut self) -> Option<()> {
        self.places.clear();
        self.names.clear();
        self.changes = false;
        let place = match self.cur.token {
            Token::Punct(b'(') | Token::Word(Word::Select | Word::With | Word::Table | Word::Values) => Place::Open,
            Token::Word(verb @ (Word::Insert | Word::Replace | Word::Update | Word::Delete)) => {
                self.advance();
                self.changes = true;
                self.change(verb)?
            }
            _ => return None,
        };
        self.places.push(place);
        while !matches!(self.cur.token, Token::End | Token::Punct(b';')) {
            self.step()?;
        }
        let whole =
            matches!(self.places.as_slice(), [Place::Expression | Place::Selected | Place::Joined | Place::Tail]);
        whole.then_some(())
    }

    /// What stands between the verb of a change and its table, and the table of an `INSERT`.
    fn change(&mut self, verb: Word) -> Option<Place<'a>> {
        match verb {
            Word::Update => {
                self.take_spelled(&["low_priority", "ignore"]);
                return Some(Place::Table { opened: false });
            }
            Word::Delete => {
                self.take_spelled(&["low_priority", "quick", "ignore"]);
                // Otherwise it deletes from several.
                return self.take(Word::From).then_some(Place::Table { opened: false });
            }
            _ => self.take_spelled(&["low_priority", "delayed", "high_priority", "ignore"]),
        }
        self.take(Word::Into);
        let table = self.table()?;
        self.found.push(table);
        if self.take(Word::Partition) {
            self.skip_names()?;
        }
        if self.cur.is_punct(b'(') {
            // Columns, or a query.
            return Some(Place::Open);
        }
        let goes_on = matches!(
            self.cur.token,
            Token::Word(Word::Values | Word::Value | Word::Set | Word::Select | Word::With | Word::Table)
        );
        goes_on.then_some(Place::Open)
    }

    /// `(a, b)`
    fn skip_names(&mut self) -> Option<()> {
        if !self.advance().is_punct(b'(') {
            return None;
        }
        loop {
            let lexeme = self.advance();
            if lexeme.is_punct(b')') {
                return Some(());
            }
            if !(lexeme.is_name() || lexeme.is_punct(b',')) {
                return None;
            }
        }
    }

    fn place(&mut self, place: Place<'a>) -> Option<()> {
        *self.places.last_mut()? = place;
        Some(())
    }

    /// Reads one token, or a few that belong together.
    fn step(&mut self) -> Option<()> {
        if self.cur.token == Token::Broken {
            return None;
        }
        if self.cur.is_punct(b')') {
            return self.close();
        }
        match self.places.last()?.clone() {
            Place::Open => self.open(true),
            Place::Union => self.open(false),
            Place::Table { opened } => self.wanted(opened),
            Place::Joined => self.joined(),
            // A definition stands in brackets, which have their own place.
            Place::Defining { .. } => None,
            place @ (Place::Expression | Place::Selected | Place::Tail) => self.other(&place),
        }
    }

    fn close(&mut self) -> Option<()> {
        match self.places.pop()? {
            // `f()` and `()`.
            Place::Open | Place::Expression | Place::Selected | Place::Joined | Place::Tail => {}
            Place::Union | Place::Defining { .. } | Place::Table { .. } => return None,
        }
        self.advance();
        let depth = self.places.len();
        self.names.retain(|(at, _)| *at <= depth);
        let Place::Defining { name, recursive } = self.places.last()?.clone() else { return Some(()) };
        if !recursive {
            self.names.push((depth, name));
        }
        if self.cur.is_punct(b',') {
            self.advance();
            return self.define(recursive);
        }
        match self.cur.token {
            Token::Punct(b'(') | Token::Word(Word::Select | Word::Table | Word::Values) => self.place(Place::Union),
            _ => None,
        }
    }

    /// Where a query may begin; `free`: or anything else.
    fn open(&mut self, free: bool) -> Option<()> {
        let lexeme = self.advance();
        match lexeme.token {
            Token::Word(Word::Select) => self.place(Place::Selected),
            Token::Word(Word::Table) => self.place(Place::Table { opened: false }),
            Token::Word(Word::Values) => self.place(Place::Tail),
            Token::Word(Word::Value) if self.places.len() == 1 => self.place(Place::Tail),
            Token::Word(Word::With) if free => {
                let recursive = self.take(Word::Recursive);
                self.define(recursive)
            }
            Token::Word(Word::All | Word::Distinct) if !free => Some(()),
            Token::Punct(b'(') => {
                // Behind the columns of an `INSERT` the query is still to come.
                self.place(Place::Expression)?;
                self.places.push(Place::Open);
                Some(())
            }
            _ if free => self.place(Place::Expression),
            _ => None,
        }
    }

    /// A table or what stands in its place.
    fn wanted(&mut self, opened: bool) -> Option<()> {
        if self.cur.is_punct(b'(') {
            self.advance();
            self.place(Place::Joined)?;
            self.places.push(Place::Table { opened: true });
            return Some(());
        }
        if opened && matches!(self.cur.token, Token::Word(Word::Select | Word::With | Word::Table | Word::Values)) {
            return self.place(Place::Open);
        }
        let lexeme = self.cur;
        if lexeme.is(Word::Lateral) {
            self.advance();
            return self.cur.is_punct(b'(').then_some(());
        }
        let table = self.table()?;
        self.place(Place::Joined)?;
        if self.cur.is_punct(b'(') {
            return self.spells(lexeme, "json_table").then_some(());
        }
        if table.schema.is_some() || !(self.spells(lexeme, "dual") || self.is_defined(&table.name)?) {
            self.found.push(table);
        }
        Some(())
    }

    /// Behind a table.
    fn joined(&mut self) -> Option<()> {
        let lexeme = self.advance();
        match lexeme.token {
            Token::Punct(b',') | Token::Word(Word::Join) => self.place(Place::Table { opened: false }),
            Token::Punct(b'(') => {
                self.places.push(Place::Open);
                Some(())
            }
            Token::Word(word) => self.joined_word(word, lexeme),
            _ => Some(()),
        }
    }

    fn joined_word(&mut self, word: Word, lexeme: Lexeme) -> Option<()> {
        match word {
            Word::As => {
                self.advance();
                Some(())
            }
            Word::Where
            | Word::Group
            | Word::Having
            | Word::Order
            | Word::Limit
            | Word::Into
            | Word::Lock
            | Word::Procedure
            | Word::Set
            | Word::Update => self.place(Place::Tail),
            Word::For => match self.cur.token {
                Token::Word(Word::Update | Word::Share) => self.place(Place::Tail),
                // `USE INDEX FOR JOIN (i)`
                Token::Word(Word::Join | Word::Order | Word::Group) => {
                    self.advance();
                    Some(())
                }
                _ => Some(()),
            },
            Word::Union | Word::Except | Word::Intersect => self.place(Place::Union),
            Word::Using => self.cur.is_punct(b'(').then_some(()),
            Word::From | Word::Select => None,
            Word::Returning if self.changes && self.lexer.mode().mariadb => self.place(Place::Tail),
            Word::Other if self.spells(lexeme, "straight_join") => self.place(Place::Table { opened: false }),
            Word::Other if self.spells(lexeme, "window") => {
                // An alias to old servers.
                self.name()?;
                self.cur.is(Word::As).then_some(())?;
                self.place(Place::Tail)
            }
            _ => Some(()),
        }
    }

    /// In an expression, in what is selected, or behind the tables.
    fn other(&mut self, place: &Place<'a>) -> Option<()> {
        let lexeme = self.advance();
        match lexeme.token {
            Token::Punct(b'(') => {
                self.places.push(Place::Open);
                Some(())
            }
            Token::Word(Word::Select) => self.place(Place::Selected),
            Token::Word(Word::Table) if *place == Place::Expression => self.place(Place::Table { opened: false }),
            Token::Word(Word::Union | Word::Except | Word::Intersect) => self.place(Place::Union),
            Token::Word(Word::Distinct) if self.cur.is(Word::From) => None,
            Token::Word(Word::From) => match place {
                Place::Selected => self.place(Place::Table { opened: false }),
                Place::Expression if self.places.len() > 1 => Some(()),
                _ => None,
            },
            // The query of an `INSERT`.
            Token::Word(word) if *place == Place::Expression && self.changes && self.places.len() == 1 => match word {
                Word::Values | Word::Value => self.place(Place::Tail),
                Word::With => {
                    let recursive = self.take(Word::Recursive);
                    self.define(recursive)
                }
                _ => Some(()),
            },
            _ => Some(()),
        }
    }
}
