//! What statements touch, and transactions with them.

use super::catalogue::{Catalogue, Table};
use std::sync::Arc;

/// What a statement touches, as far as its text tells.
#[derive(Debug, Clone, Default)]
pub enum Touch {
    /// Nobody knows: whatever there is.
    #[default]
    Anything,
    /// The same, and it may change what tables there are.
    Definitions,
    /// It reads these names, and nothing else.
    Reads(Arc<[Table]>),
    /// It changes what has this name, and reads nothing else.
    Writes(Table),
    /// Nothing: a bracket of a transaction.
    Bracket,
    /// It ends a transaction, whose changes then hold.
    Commits,
}

/// Tables that something is about, by a catalogue that says that they are plain.
#[derive(Debug, Clone, Copy)]
pub struct Footing<'a> {
    /// It says so.
    pub catalogue: &'a Catalogue,
    /// They.
    pub tables: &'a [Table],
}

/// What the transaction under way has touched.
#[derive(Debug, Default)]
pub enum Touched {
    /// Nothing yet.
    #[default]
    Nothing,
    /// It wrote to these tables, which are plain by this catalogue, and did nothing else.
    Tables(Arc<Catalogue>, Vec<Table>),
    /// Whatever there is.
    Anything,
}

impl Touched {
    /// A statement is about to run, while this is what is known of tables.
    pub fn add(&mut self, touch: &Touch, catalogue: Option<Arc<Catalogue>>) {
        let table = match touch {
            Touch::Bracket | Touch::Commits => return,
            Touch::Reads(tables) if tables.is_empty() => return,
            Touch::Writes(table) => table,
            Touch::Anything | Touch::Definitions | Touch::Reads(_) => {
                *self = Self::Anything;
                return;
            }
        };
        let known = catalogue.filter(|catalogue| catalogue.changes_only(table));
        match (&mut *self, known) {
            (Self::Nothing, Some(known)) => *self = Self::Tables(known, vec![table.clone()]),
            (Self::Tables(before, tables), Some(known)) if before.generation == known.generation => {
                if !tables.contains(table) {
                    tables.push(table.clone());
                }
            }
            _ => *self = Self::Anything,
        }
    }

    /// The tables that it wrote to, if it did nothing else and what was known of them is `still` known.
    pub fn footing(&self, still: Option<&Catalogue>) -> Option<Footing<'_>> {
        match self {
            Self::Tables(catalogue, tables) if still.is_some_and(|still| still.generation == catalogue.generation) => {
                Some(Footing { catalogue, tables })
            }
            _ => None,
        }
    }
}
