//! Takes a TOML document apart, key by key.
//!
//! A [`Section`] is a table: every reader takes one key out of it and reports what is wrong with
//! its value; [`Section::finish`] then reports the keys nobody took. So the list of known keys is
//! the code that reads them, and no fault hides another.

mod entry;
mod values;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{Document, Spot, printable};
use super::fault::Problem;
use super::nearest::nearest;

use self::entry::Entry;

pub(super) use self::values::unknown_word;

/// A table of the file, or the empty one in its place.
#[must_use = "call `finish`, or unknown keys go unnoticed"]
pub(super) struct Section<'d, 'a> {
    document: &'d Document<'a>,
    /// `[pool]`, `[[server]] "primary"`; empty at the top of the file.
    label: String,
    /// What stands before a key of an inline table: `tls.`.
    prefix: &'static str,
    /// The key path: `pool`, `server[1]`.
    path: String,
    /// The table itself, for what is missing in it.
    header: Spot,
    table: DeTable<'a>,
    /// The keys asked for so far, each with how it is shown: `region`, `[pool]`, `[[server]]`.
    known: Vec<(&'static str, String)>,
}

impl<'d, 'a> Section<'d, 'a> {
    /// The whole file.
    pub(super) fn root(document: &'d Document<'a>, table: DeTable<'a>) -> Self {
        let header = Spot { at: None, key: String::new(), place: String::new() };
        Self::new(document, String::new(), String::new(), header, table)
    }

    fn new(document: &'d Document<'a>, label: String, path: String, header: Spot, table: DeTable<'a>) -> Self {
        Self { document, label, prefix: "", path, header, table, known: Vec::new() }
    }

    /// The file this is a part of.
    pub(super) fn document(&self) -> &'d Document<'a> {
        self.document
    }

    /// The table itself: where to report what is missing in it.
    pub(super) fn header(&self) -> &Spot {
        &self.header
    }

    /// The place of a key that is not in the file.
    pub(super) fn absent(&self, key: &str) -> Spot {
        Spot { at: None, key: self.key_path(key), place: joined(&self.label, key) }
    }

    /// Whether `key` is in the file, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Reports a fault of the table as a whole.
    pub(super) fn fault(&self, problem: Problem) {
        self.document.fault(&self.header, problem);
    }

    /// The table `name`; an empty one when it is absent or not a table.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'d, 'a> {
        let label = format!("[{name}]");
        let mut header = Spot { at: None, key: name.to_owned(), place: label.clone() };
        let mut table = None;
        if let Some(entry) = self.take_as(name, label.clone()) {
            header.at = entry.spot.at;
            table = entry.into_table(&header, &format!("write {label} on a line of its own"));
        }
        Self::new(self.document, label, name.to_owned(), header, table.unwrap_or_default())
    }

    /// Every `[[name]]`, in the order of the file.
    pub(super) fn sections(&mut self, name: &'static str) -> Vec<Section<'d, 'a>> {
        let place = format!("[[{name}]]");
        let Some(entry) = self.take_as(name, place.clone()) else {
            return Vec::new();
        };
        let document = self.document;
        let header = Spot { place, ..entry.spot.clone() };
        let items = entry.into_tables(&header, name);
        let numbered = items.into_iter().enumerate();
        numbered
            .map(|(index, (span_start, table))| {
                let label = match table.get("name").map(Spanned::get_ref) {
                    Some(DeValue::String(text)) if !text.contains('@') => {
                        format!("[[{name}]] \"{}\"", printable(text))
                    }
                    _ => format!("[[{name}]] #{}", index + 1),
                };
                let path = format!("{name}[{index}]");
                let at = Some(document.position(span_start));
                let header = Spot { at, key: path.clone(), place: label.clone() };
                Self::new(document, label, path, header, table)
            })
            .collect()
    }

    /// The inline table `key` of this one; `None` when it is absent or not a table.
    pub(super) fn inline(&mut self, key: &'static str, prefix: &'static str) -> Option<Self> {
        let entry = self.take(key)?;
        let header = Spot { place: format!("{} {key}", self.label), ..entry.spot.clone() };
        let table = entry.into_table(&header, "write it like { mode = \"verify-full\" }")?;
        let path = header.key.clone();
        let section = Self::new(self.document, self.label.clone(), path, header, table);
        Some(Section { prefix, ..section })
    }

    /// Whether `key` is a table in the file.
    pub(super) fn is_table(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| value.get_ref().is_table())
    }

    /// Reports `key` as missing unless it is in the file.
    pub(super) fn require(&self, key: &'static str, fix: &'static str) {
        if !self.has(key) {
            self.fault(Problem::new(format!("{key} is missing"), fix));
        }
    }

    /// Reports every key that was not taken.
    pub(super) fn finish(self) {
        for (key, value) in &self.table {
            // Its value is not quoted: it may be a password under a mistyped key.
            let name = printable(key.get_ref());
            let is_table = value.get_ref().is_table();
            let is_tables = matches!(value.get_ref(), DeValue::Array(items)
                if self.path.is_empty() && items.iter().any(|item| item.get_ref().is_table()));
            let (shown, what) = match (self.path.is_empty(), is_table, is_tables) {
                (true, true, _) => (format!("[{name}]"), "table"),
                (true, _, true) => (format!("[[{name}]]"), "table"),
                _ => (format!("{}{name}", self.prefix), "key"),
            };
            let near = nearest(key.get_ref(), self.known.iter().map(|(known, _)| *known));
            let near = near.and_then(|near| self.known.iter().find(|(known, _)| *known == near));
            let all = || self.known.iter().map(|(_, shown)| &**shown).collect::<Vec<_>>();
            let fix = match near {
                Some((_, shown)) => format!("did you mean {shown}?"),
                None => format!("known here: {}", all().join(", ")),
            };
            let spot = Spot {
                at: Some(self.document.position(key.span().start)),
                key: self.key_path(&name),
                place: joined(&self.label, &shown),
            };
            self.document.fault(&spot, Problem::new(format!("unknown {what}"), fix));
        }
    }

    /// Takes `key` out and remembers it as known.
    fn take(&mut self, key: &'static str) -> Option<Entry<'d, 'a>> {
        self.take_as(key, key.to_owned())
    }

    /// The same for a key that is shown with brackets.
    fn take_as(&mut self, key: &'static str, shown: String) -> Option<Entry<'d, 'a>> {
        self.known.push((key, shown));
        let (written, value) = self.table.remove_entry(key)?;
        let bare = joined(&self.label, &format!("{}{key}", self.prefix));
        let path = self.key_path(key);
        Some(Entry::new(self.document, key, bare, path, written.span().start, value))
    }

    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// `label written`, or the one that is there.
fn joined(label: &str, written: &str) -> String {
    if label.is_empty() { written.to_owned() } else { format!("{label} {written}") }
}
