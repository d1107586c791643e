//! The file being read: where its lines begin, what environment it sees, what was found wrong.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::expand::{self, Expanded};
use super::fault::{Fault, Position, Problem};

/// Longest piece of the file quoted in a fault, in characters.
const LONGEST_QUOTE: usize = 60;

/// A key in the file, or the table in which it is missing: what a fault points at.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    /// Where; `None` for what is not in the file at all.
    pub(super) at: Option<Position>,
    /// The key path for programs.
    pub(super) key: String,
    /// The same for people, with the value as written.
    pub(super) place: String,
}

impl Spot {
    /// "on line 12", to point at it from another fault.
    pub(super) fn line(&self) -> String {
        self.at.map_or_else(|| "by default".to_owned(), |at| format!("on line {}", at.line))
    }
}

/// A value together with where it was found.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    /// The value, parsed.
    pub(super) value: T,
    /// Where it was found.
    pub(super) spot: Spot,
}

impl<T> Found<T> {
    /// The value alone.
    pub(super) fn into_value(self) -> T {
        self.value
    }
}

/// Whether passwords are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrets {
    /// They are: what is missing of them is a fault.
    Read,
    /// Nobody logs in anywhere: neither variables nor files with them need be there.
    Ignored,
}

/// The text of the file and everything reported about it so far.
pub(super) struct Document<'a> {
    file: Arc<str>,
    text: &'a str,
    line_starts: Vec<usize>,
    base_dir: &'a Path,
    env: &'a dyn Fn(&str) -> Option<String>,
    secrets: Secrets,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Fault>>,
}

impl<'a> Document<'a> {
    /// Starts with nothing reported.
    pub(super) fn new(text: &'a str, file: &str, base_dir: &'a Path, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            file: file.into(),
            text,
            line_starts: std::iter::once(0).chain(breaks.map(|(index, _)| index + 1)).collect(),
            base_dir,
            env,
            secrets: Secrets::Read,
            faults: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// The same, but for its passwords if they are not wanted.
    pub(super) fn with(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    /// Whether passwords are wanted.
    pub(super) fn secrets(&self) -> Secrets {
        self.secrets
    }

    /// The text being read.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// The directory relative paths start from.
    pub(super) fn base_dir(&self) -> &Path {
        self.base_dir
    }

    /// Line and column of a byte of the text.
    pub(super) fn position(&self, byte: usize) -> Position {
        let line = self.line_starts.partition_point(|start| *start <= byte).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        let column = 1 + self.text.get(start..byte).map_or(0, |before| before.chars().count());
        Position { line, column }
    }

    /// A piece of the text as it may be printed: one line, short, nothing a terminal obeys.
    ///
    /// What holds an `@` is kept back: it may be a URL with a password in it.
    pub(super) fn quote(&self, span: Range<usize>) -> String {
        let raw = self.text.get(span).unwrap_or_default();
        if raw.contains('@') {
            return "[redacted]".to_owned();
        }
        printable(raw)
    }

    /// Expands the variables in `raw`; what is wrong is reported at `spot`.
    pub(super) fn expand(&self, raw: &str, spot: &Spot) -> Option<Expanded> {
        match expand::expand(raw, self.env) {
            Ok(expanded) => Some(expanded),
            Err(problems) => {
                for problem in problems {
                    self.fault(spot, problem);
                }
                None
            }
        }
    }

    /// Reports what makes the file unusable.
    pub(super) fn fault(&self, spot: &Spot, problem: Problem) {
        self.faults.borrow_mut().push(self.fault_at(spot, problem));
    }

    /// Reports what is allowed but worth a look.
    pub(super) fn warn(&self, spot: &Spot, problem: Problem) {
        self.warnings.borrow_mut().push(self.fault_at(spot, problem));
    }

    /// Everything reported: faults, then warnings in the order of their lines.
    pub(super) fn into_reports(self) -> (Vec<Fault>, Vec<Fault>) {
        let mut warnings = self.warnings.into_inner();
        warnings.sort_by_key(|warning| warning.at.map(|at| at.line));
        (self.faults.into_inner(), warnings)
    }

    fn fault_at(&self, spot: &Spot, problem: Problem) -> Fault {
        Fault {
            file: Arc::clone(&self.file),
            at: spot.at,
            key: spot.key.clone(),
            place: spot.place.clone(),
            message: problem.message.into_owned(),
            fix: problem.fix.into_owned(),
        }
    }
}

/// The first line of `raw`, cut and with control characters escaped.
pub(super) fn printable(raw: &str) -> String {
    let mut shown = String::new();
    for (count, c) in raw.chars().enumerate() {
        if c == '\n' || count == LONGEST_QUOTE {
            shown.push_str("..");
            break;
        }
        if c.is_control() || is_invisible(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Characters that change how the rest of a line is shown: direction marks, zero widths.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `"a", "b" or "c"`, each in quotes.
pub(super) fn alternatives<T: Display>(words: impl IntoIterator<Item = T>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}
