//! MySQL GTID sets: `uuid[:tag]:1-5:7[:tag:1-3],uuid:...`.
//!
//! Format: MySQL manual, "GTID Format and Storage"
//! <https://dev.mysql.com/doc/refman/9.7/en/replication-gtids-concepts.html>; functions that take
//! sets: <https://dev.mysql.com/doc/refman/9.7/en/gtid-functions.html>. Where the manual is silent
//! (empty elements, reversed intervals) this follows what the server's parser does.
//!
//! Invariant: sources are in ascending order of (UUID, tag), each appears once and none is empty.
//! This is also the order in which the server prints them: the untagged part of a UUID comes first.

use std::fmt;

use super::interval_set::{Interval, IntervalSet, MAX_NUMBER};
use super::parse::{Cursor, GtidError, Malformed};

pub(super) const TAG_MAX_LEN: usize = 32;

/// A set of MySQL GTIDs, with or without tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UuidSet {
    sources: Vec<Source>,
}

impl UuidSet {
    /// Reads `@@gtid_executed`, `@@gtid_purged`, a replica's `Executed_Gtid_Set`, or the GTIDs
    /// reported in an OK packet.
    ///
    /// As in the server: white space may stand between any two tokens, surplus commas are ignored,
    /// UUIDs and tags are of either case, intervals come in any order and may overlap, a UUID or a
    /// tag may have no intervals, and a reversed interval (`7-3`, `5-0`) holds nothing. A tag holds
    /// for the intervals behind it, up to the next tag or UUID.
    ///
    /// Not accepted: numbers with leading zeros or in hexadecimal (the server's reading of them
    /// depends on its version), and the `+` that `SET gtid_purged` takes.
    ///
    /// # Errors
    ///
    /// When the text is not such a set.
    pub fn parse(text: &str) -> Result<Self, GtidError> {
        let mut cursor = Cursor::new(text);
        let mut listed = Vec::new();
        cursor.skip_space();
        loop {
            while cursor.eat(b',') {
                cursor.skip_space();
            }
            if cursor.at_end() {
                return Ok(Self::from_listed(listed));
            }
            parse_uuid(&mut cursor, &mut listed)?;
            if !cursor.at_end() && cursor.peek() != Some(b',') {
                return Err(cursor.error(Malformed::Separator));
            }
        }
    }

    /// True if no transaction is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// True if every transaction of `other` is in this set.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.sources.iter().all(|wanted| {
            let own = self.sources.binary_search_by(|own| own.id.cmp(&wanted.id));
            own.ok().and_then(|at| self.sources.get(at)).is_some_and(|own| own.numbers.contains(&wanted.numbers))
        })
    }

    /// Adds the transactions of `other`.
    pub fn union(&mut self, other: &Self) {
        let mut unknown = Vec::new();
        for added in &other.sources {
            let own = self.sources.binary_search_by(|own| own.id.cmp(&added.id));
            match own.ok().and_then(|at| self.sources.get_mut(at)) {
                Some(own) => own.numbers.union(&added.numbers),
                None => unknown.push(added.clone()),
            }
        }
        if !unknown.is_empty() {
            self.sources.append(&mut unknown);
            // Two sorted runs, which this sort merges in linear time.
            self.sources.sort_by(|a, b| a.id.cmp(&b.id));
        }
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = (&SourceId, &IntervalSet)> {
        self.sources.iter().map(|source| (&source.id, &source.numbers))
    }

    pub(super) fn from_listed(mut listed: Vec<Listed>) -> Self {
        // `sort_by`, not `sort_by_key`: the key would have to borrow from its element.
        listed.sort_by(|a, b| a.id.cmp(&b.id));
        listed.dedup_by(|next, kept| {
            let same = next.id == kept.id;
            if same {
                kept.intervals.append(&mut next.intervals);
            }
            same
        });
        let sources = listed.into_iter().map(|Listed { id, intervals }| {
            let numbers = IntervalSet::new(intervals);
            Source { id, numbers }
        });
        Self { sources: sources.filter(|source| !source.numbers.is_empty()).collect() }
    }
}

impl fmt::Display for UuidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut uuid = None;
        for source in &self.sources {
            if uuid != Some(source.id.uuid) {
                if uuid.is_some() {
                    f.write_str(",")?;
                }
                write_uuid(f, source.id.uuid)?;
                uuid = Some(source.id.uuid);
            }
            if let Some(tag) = &source.id.tag {
                write!(f, ":{tag}")?;
            }
            for interval in source.numbers.iter() {
                write!(f, ":{interval}")?;
            }
        }
        Ok(())
    }
}

/// Where transactions come from, and which of them are in the set.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    id: SourceId,
    numbers: IntervalSet,
}

/// What the server calls a TSID. The order of the fields is the order of the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SourceId {
    /// As a big-endian number, so that the order is that of the text.
    pub(super) uuid: u128,
    /// In lower case, never empty. `None`, the usual case, sorts first and compares without
    /// touching memory; comparing two empty strings is far slower on some processors.
    pub(super) tag: Option<Box<str>>,
}

/// One UUID or tag of a text with its intervals, in the order of the text.
pub(super) struct Listed {
    pub(super) id: SourceId,
    pub(super) intervals: Vec<Interval>,
}

/// Reads a UUID and all that belongs to it, with the white space behind.
fn parse_uuid(cursor: &mut Cursor<'_>, listed: &mut Vec<Listed>) -> Result<(), GtidError> {
    let uuid = cursor.uuid()?;
    let mut tag = None;
    let mut intervals = Vec::new();
    cursor.skip_space();
    while cursor.eat(b':') {
        cursor.skip_space();
        if cursor.peek().is_some_and(|byte| byte == b'_' || byte.is_ascii_alphabetic()) {
            let previous = tag.replace(parse_tag(cursor)?);
            list(listed, SourceId { uuid, tag: previous }, std::mem::take(&mut intervals));
        } else if let Some(interval) = parse_interval(cursor)? {
            if intervals.is_empty() {
                // One interval is the rule: do not let the first push reserve room for four.
                intervals.reserve_exact(1);
            }
            intervals.push(interval);
        }
        cursor.skip_space();
    }
    list(listed, SourceId { uuid, tag }, intervals);
    Ok(())
}

fn list(listed: &mut Vec<Listed>, id: SourceId, intervals: Vec<Interval>) {
    if intervals.is_empty() {
        return;
    }
    if listed.is_empty() {
        listed.reserve_exact(1);
    }
    listed.push(Listed { id, intervals });
}

fn parse_tag(cursor: &mut Cursor<'_>) -> Result<Box<str>, GtidError> {
    let too_long = cursor.error(Malformed::Tag);
    let mut tag = String::new();
    while let Some(byte) = cursor.next_if(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
        if tag.len() == TAG_MAX_LEN {
            return Err(too_long);
        }
        tag.push(char::from(byte.to_ascii_lowercase()));
    }
    Ok(tag.into_boxed_str())
}

fn parse_interval(cursor: &mut Cursor<'_>) -> Result<Option<Interval>, GtidError> {
    let zero = cursor.error(Malformed::Range);
    let first = cursor.number(MAX_NUMBER)?;
    if first == 0 {
        return Err(zero);
    }
    cursor.skip_space();
    if !cursor.eat(b'-') {
        return Ok(Interval::new(first, first));
    }
    cursor.skip_space();
    let last = cursor.number(MAX_NUMBER)?;
    Ok(Interval::new(first, last))
}

fn write_uuid(f: &mut fmt::Formatter<'_>, uuid: u128) -> fmt::Result {
    write!(
        f,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        uuid >> 96,
        uuid >> 80 & 0xffff,
        uuid >> 64 & 0xffff,
        uuid >> 48 & 0xffff,
        uuid & 0xffff_ffff_ffff,
    )
}
