//! What transactions did and when: the history that is verified afterwards.
//!
//! All data are lists that only grow. Each append has a number of its own, so that every list that somebody read tells
//! which transactions it contains, and in which order they changed it.

use std::fmt;
use std::sync::Arc;

/// A list, by the key of its row.
pub type Key = u32;
/// An appended number; nobody else appends it.
pub type Tag = u32;

/// Nanoseconds since the history began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} s", self.0 / 1_000_000_000, self.0 % 1_000_000_000 / 1_000)
    }
}

/// What a transaction did in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It read these lists, all in one statement, without locks. None: it fixed the moment that it will see.
    Read(Vec<(Key, Vec<Tag>)>),
    /// It read a list with `FOR UPDATE`: as it is at the primary, whatever it saw before.
    Lock(Key, Vec<Tag>),
    /// It appended to a list.
    Append(Key, Tag),
    /// It appended to a list, and rolled back to a savepoint before that.
    Undone(Key, Tag),
}

/// One step that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it was sent.
    pub invoked: Moment,
    /// When its answer was there.
    pub completed: Moment,
    /// What it was.
    pub deed: Deed,
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// COMMIT was acknowledged.
    Committed,
    /// ROLLBACK was acknowledged: it has left nothing.
    RolledBack,
    /// It failed: it has left nothing, and never will.
    Aborted(Arc<str>),
    /// Nobody knows: COMMIT was sent, and no answer came.
    Unknown(Arc<str>),
}

/// A transaction.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Who ran it, and how it began.
    pub client: Arc<str>,
    /// Who shares what is written and seen; `None` = nobody.
    pub scope: Option<Arc<str>>,
    /// Whether all of it must be as fresh as the primary: it was sent there, straight or as Landbridge was told.
    pub at_primary: bool,
    /// When its first statement was sent.
    pub invoked: Moment,
    /// When its end was known.
    pub completed: Moment,
    /// What it did, as far as it was answered.
    pub steps: Vec<Step>,
    /// Appends that were sent and not answered: they may be there, if the transaction is.
    pub unanswered: Vec<(Key, Tag)>,
    /// How it ended.
    pub end: End,
}

impl Transaction {
    /// What it appended for good, if it was committed: answered, in its order.
    pub fn appends(&self) -> impl Iterator<Item = (Key, Tag)> {
        self.steps.iter().filter_map(|step| match step.deed {
            Deed::Append(key, tag) => Some((key, tag)),
            _ => None,
        })
    }

    /// Every append that it sent, with whether it may ever be seen by others.
    pub fn sent(&self) -> impl Iterator<Item = (Key, Tag, bool)> {
        let may = matches!(self.end, End::Committed | End::Unknown(_));
        let answered = self.steps.iter().filter_map(move |step| match step.deed {
            Deed::Append(key, tag) => Some((key, tag, may)),
            Deed::Undone(key, tag) => Some((key, tag, false)),
            Deed::Read(_) | Deed::Lock(..) => None,
        });
        answered.chain(self.unanswered.iter().map(move |(key, tag)| (*key, *tag, may)))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The last ones are enough.
        const SHOWN: usize = 6;
        let list = |tags: &Vec<Tag>| {
            let shown = &tags[tags.len().saturating_sub(SHOWN)..];
            format!("{}{shown:?}", if shown.len() < tags.len() { ".." } else { "" })
        };
        let text = match &self.deed {
            Deed::Read(lists) => {
                let lists: Vec<String> = lists.iter().map(|(key, tags)| format!("{key} = {}", list(tags))).collect();
                format!("read {}", lists.join(", "))
            }
            Deed::Lock(key, tags) => format!("locked {key} = {}", list(tags)),
            Deed::Append(key, tag) => format!("append {tag} to {key}"),
            Deed::Undone(key, tag) => format!("append {tag} to {key}, undone"),
        };
        write!(f, "{} .. {} {text}", self.invoked, self.completed)
    }
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} .. {} {}: {:?}", self.invoked, self.completed, self.client, self.end)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "      {step}"))
    }
}

/// Everything that happened.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The transactions, in the order of their ends.
    pub transactions: Vec<Transaction>,
    /// The lists as they were at the primary when all was over.
    pub last: Vec<(Key, Vec<Tag>)>,
    /// What the nemesis did.
    pub events: Vec<(Moment, String)>,
}
