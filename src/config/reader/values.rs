//! The readers of single values: one method per kind of value a key can have.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::Section;
use super::entry::Entry;
use crate::config::document::{Found, Secrets, alternatives};
use crate::config::fault::Problem;
use crate::config::nearest::nearest;
use crate::config::secret::Secret;
use crate::config::{duration, size};

impl<'d, 'a> Section<'d, 'a> {
    /// A text that `parse` makes something of; `example` is the fix when it is not a text.
    pub(in crate::config) fn parsed<T>(
        &mut self,
        key: &'static str,
        example: impl Into<Cow<'static, str>>,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<Found<T>> {
        let entry = self.take(key)?;
        let text = entry.text(example)?.text;
        entry.found(parse(&text))
    }

    /// A text or a list of texts; an empty list is the fault `when_empty`, if there is one.
    pub(in crate::config) fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Problem>,
        when_empty: Option<Problem>,
    ) -> Option<Vec<Found<T>>> {
        let entry = self.take(key)?;
        let spot = entry.spot.clone();
        let items = entry.into_items();
        if items.is_empty()
            && let Some(problem) = when_empty
        {
            self.document.fault(&spot, problem);
        }
        let read = |entry: Entry<'d, 'a>| {
            let text = entry.text("write it in quotes")?.text;
            entry.found(parse(&text))
        };
        Some(items.into_iter().filter_map(read).collect())
    }

    /// A secret, and whether the environment made it empty.
    pub(in crate::config) fn secret(&mut self, key: &'static str) -> Option<Found<Secret>> {
        let entry = self.take(key)?;
        if self.document.secrets() == Secrets::Ignored {
            return entry.found(Ok(Secret::unread()));
        }
        let expanded = entry.text("write it in quotes")?;
        if expanded.from_env && expanded.text.is_empty() {
            self.document
                .warn(&entry.spot, Problem::new("the environment makes it empty", "set the variable, or write \"\""));
        }
        entry.found(Ok(Secret::new(expanded.text)))
    }

    /// A file, relative to the directory of this file.
    pub(in crate::config) fn path(&mut self, key: &'static str) -> Option<Found<PathBuf>> {
        let base = self.document.base_dir();
        self.parsed(key, "write the path in quotes", |text| {
            if text.is_empty() || text.contains('\0') {
                return Err(Problem::new("not the path of a file", "write a path or leave it out"));
            }
            Ok(base.join(text))
        })
    }

    /// A yes or no.
    pub(in crate::config) fn flag(&mut self, key: &'static str) -> Option<Found<bool>> {
        let entry = self.take(key)?;
        let value = entry.flag()?;
        entry.found(Ok(value))
    }

    /// A whole number.
    pub(in crate::config) fn count(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<Found<u32>> {
        let entry = self.take(key)?;
        let number = entry.number("a whole number", "write a whole number without quotes")?;
        let fits = u32::try_from(number).ok().filter(|number| range.contains(number));
        entry.found(fits.ok_or_else(|| {
            let (from, to) = range.into_inner();
            Problem::new("out of range", format!("write a number from {from} to {to}"))
        }))
    }

    /// A size in bytes; a number without a unit counts bytes.
    pub(in crate::config) fn size(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<Found<u32>> {
        let entry = self.take(key)?;
        let bytes = if entry.is_integer() {
            u64::try_from(entry.number("a size", size::EXAMPLE)?).ok()
        } else {
            let parsed = size::parse(&entry.text(size::EXAMPLE)?.text);
            Some(entry.found(parsed)?.into_value())
        };
        let fits = bytes.and_then(|bytes| u32::try_from(bytes).ok());
        entry.found(fits.filter(|bytes| range.contains(bytes)).ok_or_else(|| {
            let (from, to) = range.into_inner();
            Problem::new("out of range", format!("write a size from {from} to {to} bytes"))
        }))
    }

    /// A duration that may be zero.
    pub(in crate::config) fn duration(&mut self, key: &'static str) -> Option<Found<Duration>> {
        self.parsed(key, duration::EXAMPLE, duration::parse)
    }

    /// A duration longer than zero.
    pub(in crate::config) fn positive(&mut self, key: &'static str) -> Option<Found<Duration>> {
        self.parsed(key, duration::EXAMPLE, |text| match duration::parse(text)? {
            Duration::ZERO => Err(Problem::new("must be longer than zero", duration::EXAMPLE)),
            longer => Ok(longer),
        })
    }

    /// One of a few words.
    pub(in crate::config) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &'static [(&'static str, T)],
    ) -> Option<Found<T>> {
        let all = alternatives(words.iter().map(|(word, _)| *word));
        self.parsed(key, format!("write {all}"), |text| {
            if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
                return Ok(*value);
            }
            Err(unknown_word(text, words.iter().map(|(word, _)| *word)))
        })
    }
}

/// The fault of a text that is none of `words`.
pub(in crate::config) fn unknown_word<'w>(text: &str, words: impl Iterator<Item = &'w str> + Clone) -> Problem {
    let all = alternatives(words.clone());
    match nearest(text, words) {
        Some(word) => Problem::new("unknown word", format!("did you mean \"{word}\"? (known: {all})")),
        None => Problem::new("unknown word", format!("write {all}")),
    }
}
