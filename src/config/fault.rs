//! What is wrong in the file, said so that one edit mends it.
//!
//! Texts here are shown to operators and logged: they quote the file, never an expanded
//! environment variable and never a secret.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

/// Where in the file; both numbers count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One thing that is wrong in the file, or (in `Settings::warnings`) allowed but worth a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named when it was opened.
    pub file: Arc<str>,
    /// Where; `None` when it concerns the file as a whole.
    pub at: Option<Position>,
    /// The key path, such as `pool.min_warm` or `server[1].address`; empty for the whole file.
    pub key: String,
    /// The same for people: `[pool] min_warm = 99`. Secrets are redacted.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub fix: String,
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(at) = self.at {
            write!(f, ":{}", at.line)?;
        }
        if !self.place.is_empty() {
            write!(f, ": {}", self.place)?;
        }
        write!(f, ": {}; {}", self.message, self.fix)
    }
}

/// All faults of a file, in the order of its lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// `None` when there is nothing to report.
    pub(super) fn from_found(mut found: Vec<Fault>) -> Option<Self> {
        found.sort_by_key(|fault| fault.at.map(|at| at.line));
        (!found.is_empty()).then_some(Self(found))
    }

    /// One fault of the file as a whole.
    pub(super) fn file(file: &str, at: Option<Position>, problem: Problem) -> Self {
        Self(vec![Fault {
            file: file.into(),
            at,
            key: String::new(),
            place: String::new(),
            message: problem.message.into_owned(),
            fix: problem.fix.into_owned(),
        }])
    }

    /// The faults, in the order of their lines.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One fault per line, without a line end after the last.
impl Display for Faults {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl Error for Faults {}

/// What a parser of one value found wrong; it does not know where in the file it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// What is wrong.
    pub(super) message: Cow<'static, str>,
    /// What to write instead.
    pub(super) fix: Cow<'static, str>,
}

impl Problem {
    /// Neither text may hold the value: it may have come from the environment.
    pub(super) fn new(message: impl Into<Cow<'static, str>>, fix: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), fix: fix.into() }
    }
}
