//! What a transaction has done, on its replica or on a connection that may be lost: enough to do it again at the primary,
//! and to tell whether that shows the same.

use super::job::{Execution, JobCommand};
use super::kill::without_comments;
use super::summary::Summary;
use crate::protocol::sum::Sum;
use bytes::Bytes;
use std::hash::RandomState;

/// A transaction that has done more than this moves to the primary with its next read or savepoint, or is not run again
/// where it is lost: to do all of it again would take too long.
const MOST_STEPS: usize = 200;
/// The same for the bytes of its statements, which are kept,
const MOST_TEXT: usize = 64 * 1024;
/// and of their rows, which will cross the ocean.
const MOST_ROWS: u64 = 1024 * 1024;

/// What a transaction has done so far, in its order.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Of all its sums.
    key: RandomState,
    steps: Vec<Step>,
    /// `SAVEPOINT` and its kind: where nothing was written, it does not matter between which reads they stand.
    savepoints: Vec<Bytes>,
    text: usize,
    rows: u64,
    /// Something cannot be read again: part of it was seen, and its end was not.
    is_torn: bool,
    /// Whether a server may have fixed what the transaction sees.
    has_snapshot: bool,
}

/// A statement that has run, and what it showed.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) command: Again,
    /// Attributes of the query, as the client encoded them.
    pub(super) attributes: Option<Vec<u8>>,
    pub(super) shown: Shown,
    /// Whether it is a plain read. What its answer looks like does not tell: a write may return rows.
    pub(super) only_reads: bool,
}

/// What a statement showed its client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    sum: Sum,
    is_ordered: bool,
    /// If it showed no rows: how many it affected, the id that was given to one, how many it matched, warnings.
    changed: Option<(u64, u64, Option<u64>, u16)>,
}

impl Shown {
    /// `None`: it failed, or nobody has summed it up.
    pub(super) fn of(command: &Again, summary: &Summary) -> Option<Self> {
        let sum = *summary.sum.as_deref().filter(|_| summary.is_ok())?;
        Some(Self { sum, is_ordered: mentions_order(command.text()), changed: changed(summary) })
    }

    /// Whether the same statement has now shown the same.
    pub(super) fn agrees(&self, again: &Summary) -> bool {
        let changed = changed(again);
        let is_same = |sum: &Sum| sum.agrees(&self.sum, self.is_ordered);
        again.is_ok() && changed == self.changed && again.sum.as_deref().is_some_and(is_same)
    }
}

/// A statement to be run once more.
#[derive(Debug)]
pub(super) enum Again {
    /// `COM_QUERY`
    Text(Bytes),
    /// `COM_STMT_EXECUTE`
    Execute(Box<Execution>),
}

/// Whether a command, with its attributes, is longer than all that is kept of a transaction: it would be held on to, and
/// counted by nobody.
pub(super) fn is_too_long(command: &JobCommand, attributes: Option<&Vec<u8>>) -> bool {
    command.size() + attributes.map_or(0, Vec::len) >= MOST_TEXT
}

impl Again {
    /// The same command, if it is of a kind that can be run again.
    pub(super) fn of(command: &JobCommand) -> Option<Self> {
        match command {
            JobCommand::Text(text) => Some(Self::Text(text.clone())),
            JobCommand::Execute(execution) => Some(Self::Execute(Box::new(execution.clone()))),
            JobCommand::Prepare(..) | JobCommand::Raw(..) => None,
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        match self {
            Self::Text(text) => text,
            Self::Execute(execution) => &execution.statement.text,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Execute(execution) => execution.size(),
        }
    }
}

impl Journal {
    /// The key of its sums.
    pub(super) fn key(&self) -> &RandomState {
        &self.key
    }

    /// What it has done.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What of it executed prepared statements.
    pub(super) fn executions(&self) -> impl Iterator<Item = &Execution> {
        self.steps.iter().filter_map(|step| match &step.command {
            Again::Execute(execution) => Some(&**execution),
            Again::Text(_) => None,
        })
    }

    /// Whether all of it are plain reads.
    pub(super) fn only_reads(&self) -> bool {
        self.steps.iter().all(|step| step.only_reads)
    }

    /// The savepoints that were set and released.
    pub(super) fn savepoints(&self) -> &[Bytes] {
        &self.savepoints
    }

    /// Whether nothing has to be done again.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.savepoints.is_empty()
    }

    /// Whether there is too much of it to go on.
    pub(super) fn is_full(&self) -> bool {
        self.steps.len() >= MOST_STEPS || self.text >= MOST_TEXT || self.rows >= MOST_ROWS
    }

    /// Whether it cannot be done again.
    pub(super) fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// Whether what the transaction sees was fixed already, if its isolation level does that.
    pub(super) fn has_snapshot(&self) -> bool {
        self.has_snapshot
    }

    /// A server may have fixed it now.
    pub(super) fn takes_snapshot(&mut self) {
        self.has_snapshot = true;
    }

    /// It was seen in part.
    pub(super) fn tear(&mut self) {
        self.is_torn = true;
    }

    /// One more statement, and what it showed.
    pub(super) fn add(&mut self, step: Step) {
        self.text += step.command.size() + step.attributes.as_ref().map_or(0, Vec::len);
        self.rows += step.shown.sum.bytes;
        self.steps.push(step);
    }

    /// Has the transaction go on as if it had read nothing: nobody notices that it sees something else then.
    pub(super) fn forget_reads(&mut self) {
        self.steps.clear();
    }

    /// Now that something will be written, savepoints have their place: behind what there is.
    pub(super) fn settle_savepoints(&mut self) {
        for text in std::mem::take(&mut self.savepoints) {
            let shown = Shown { sum: Sum::default(), is_ordered: false, changed: Some((0, 0, None, 0)) };
            self.steps.push(Step { command: Again::Text(text), attributes: None, shown, only_reads: false });
        }
    }

    /// One more savepoint.
    pub(super) fn savepoint(&mut self, text: &Bytes) {
        self.text += text.len();
        self.savepoints.push(text.clone());
    }
}

/// What an answer without rows says of what was done.
fn changed(summary: &Summary) -> Option<(u64, u64, Option<u64>, u16)> {
    let Summary { last_insert_id, matched_rows, warnings, .. } = *summary;
    summary.affected_rows.map(|rows| (rows, last_insert_id, matched_rows, warnings))
}

/// Whether the order of a statement's rows may mean something. Without `ORDER BY` servers may answer in any, and do
/// so differently although they have the same rows.
fn mentions_order(text: &[u8]) -> bool {
    words(text).any(|word| word.eq_ignore_ascii_case(b"order"))
}

/// The words of a text, wherever they stand.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')))
}

/// Whether a text names the time without a call, such as `CURRENT_TIMESTAMP`; maybe it only looks so.
pub(super) fn mentions_time(text: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] = [
        b"current_date",
        b"current_time",
        b"current_timestamp",
        b"localtime",
        b"localtimestamp",
        b"utc_date",
        b"utc_time",
        b"utc_timestamp",
    ];
    words(text).any(|word| NAMES.iter().any(|name| word.eq_ignore_ascii_case(name)))
}

/// Whether a statement describes tables or the server instead of showing data: transactions do not concern it, and
/// nothing is to be compared.
pub(super) fn describes(text: &[u8]) -> bool {
    const VERBS: [&[u8]; 5] = [b"show", b"desc", b"describe", b"explain", b"help"];
    let text = without_comments(text);
    let end = text.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(text.len());
    VERBS.iter().any(|verb| text[..end].eq_ignore_ascii_case(verb))
}

/// Whether a bracket of a transaction is about a savepoint, and can stand between others as it is.
pub(super) fn is_savepoint(text: &[u8]) -> bool {
    const VERBS: [&[u8]; 3] = [b"savepoint", b"rollback", b"release"];
    let verb = words(text).find(|word| !word.is_empty()).unwrap_or_default();
    VERBS.iter().any(|known| verb.eq_ignore_ascii_case(known))
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'`' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(journal: &mut Journal, text: &'static str, rows: u64) {
        let mut sum = Sum::default();
        sum.bytes = rows;
        let command = Again::Text(Bytes::from_static(text.as_bytes()));
        let summary = Summary { sum: Some(Box::new(sum)), ..Summary::default() };
        let shown = Shown::of(&command, &summary).expect("it went well");
        journal.add(Step { command, attributes: None, shown, only_reads: true });
    }

    #[test]
    fn it_is_bounded() {
        let mut journal = Journal::default();
        read(&mut journal, "SELECT 1 FROM t", MOST_ROWS - 1);
        assert!(!journal.is_full());
        read(&mut journal, "SELECT 1 FROM t", 1);
        assert!(journal.is_full(), "rows");
        let mut journal = Journal::default();
        for _ in 0..MOST_STEPS {
            assert!(!journal.is_full());
            read(&mut journal, "SELECT 1 FROM t", 0);
        }
        assert!(journal.is_full(), "reads");
        let mut journal = Journal::default();
        journal.savepoint(&Bytes::from(vec![b'a'; MOST_TEXT]));
        assert!(journal.is_full(), "text");
    }

    #[test]
    fn order_counts_where_it_was_asked_for() {
        let mut journal = Journal::default();
        read(&mut journal, "SELECT a FROM t", 0);
        read(&mut journal, "SELECT a FROM t Order\nBY a", 0);
        read(&mut journal, "SELECT a FROM orders", 0);
        let ordered: Vec<bool> = journal.steps().iter().map(|step| step.shown.is_ordered).collect();
        assert_eq!(ordered, [false, true, false]);
    }

    #[test]
    fn what_describes() {
        for (text, is) in [
            ("SHOW TABLES", true),
            ("/* a */ desc t", true),
            ("EXPLAIN SELECT 1", true),
            ("help", true),
            ("SELECT 1", false),
            ("description", false),
            ("(SELECT 1)", false),
            ("", false),
        ] {
            assert_eq!(describes(text.as_bytes()), is, "{text}");
        }
    }

    #[test]
    fn savepoints_that_can_be_strung_together() {
        for (text, is) in
            [("SAVEPOINT a_1", true), ("ROLLBACK TO `x`", true), ("SAVEPOINT a -- x", false), ("SAVEPOINT a;", false)]
        {
            assert_eq!(is_savepoint(text.as_bytes()), is, "{text}");
        }
    }
}
