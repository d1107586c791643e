//! Names of `WITH`: no tables where they can be seen.

use super::{Place, Reader};
use crate::sql::words::Word;

/// More names of `WITH` than any statement has.
const MOST_NAMES: usize = 64;

impl Reader<'_> {
    /// `name [(columns)] AS (`
    pub(super) fn define(&mut self, recursive: bool) -> Option<()> {
        let name = self.name()?;
        if self.cur.is_punct(b'(') {
            self.skip_names()?;
        }
        if !self.take(Word::As) || !self.cur.is_punct(b'(') || self.defined >= MOST_NAMES {
            return None;
        }
        self.defined += 1;
        self.advance();
        if recursive {
            // Some servers let earlier definitions see later ones.
            if self.found.iter().any(|table| table.schema.is_none() && table.name.eq_ignore_ascii_case(&name)) {
                return None;
            }
            self.names.push((self.places.len(), name.clone()));
        }
        self.place(Place::Defining { name, recursive })?;
        self.places.push(Place::Open);
        Some(())
    }

    /// Whether a name is one of a `WITH`; servers differ in what they make of case.
    pub(super) fn is_defined(&self, name: &[u8]) -> Option<bool> {
        match self.names.iter().rev().find(|(_, known)| known.eq_ignore_ascii_case(name)) {
            Some((_, known)) => (**known == *name).then_some(true),
            None => Some(false),
        }
    }
}
