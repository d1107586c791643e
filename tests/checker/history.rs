//! What happened: operations with the moments of their invocation and completion. Pure.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Identifies a write; no two have the same. It is part of what the write leaves behind.
pub type Tag = u32;

/// Nanoseconds since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

/// What operations are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    /// Holds what was written last.
    Register(u32),
    /// Holds everything that was appended.
    List(u32),
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Reads the whole object.
    Read(Object),
    /// Writes a register or appends to a list.
    Write(Object, Tag),
}

impl Action {
    /// What it is about.
    pub fn object(self) -> Object {
        match self {
            Self::Read(object) | Self::Write(object, _) => object,
        }
    }

    /// The tag it writes, if it writes.
    pub fn tag(self) -> Option<Tag> {
        match self {
            Self::Read(_) => None,
            Self::Write(_, tag) => Some(tag),
        }
    }
}

/// The content of a register: how many writes it has had, and the tag of the last. The server counts, so
/// that the order of the writes can be seen; contents are ordered as the writes were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Content(pub u64);

impl Content {
    /// Bits of the tag.
    pub const TAG_BITS: u32 = 24;

    #[cfg(test)]
    pub fn new(version: u64, tag: Tag) -> Self {
        Self(version << Self::TAG_BITS | u64::from(tag))
    }

    /// How many writes it has had.
    pub fn version(self) -> u64 {
        self.0 >> Self::TAG_BITS
    }

    /// The tag of the last write; `None` if there was none.
    pub fn tag(self) -> Option<Tag> {
        let tag = self.0 & ((1 << Self::TAG_BITS) - 1);
        (self.version() > 0).then(|| Tag::try_from(tag).expect("24 bits"))
    }
}

/// What an operation found, or left behind, in its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The content of a register.
    Register(Content),
    /// Tags in a list: of a read all of them, of an append its own.
    List(Vec<Tag>),
}

impl Value {
    /// Whether whoever sees this sees an object at least as new as whoever saw `earlier`.
    pub fn includes(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Register(now), Self::Register(then)) => now >= then,
            (Self::List(now), Self::List(then)) => then.iter().all(|tag| now.contains(tag)),
            _ => false,
        }
    }

    /// Adds what `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Register(ours), Self::Register(theirs)) => *ours = (*ours).max(*theirs),
            (Self::List(ours), Self::List(theirs)) => {
                let news: Vec<Tag> = theirs.iter().filter(|tag| !ours.contains(tag)).copied().collect();
                ours.extend(news);
            }
            _ => {}
        }
    }

    /// The tags to be seen in it.
    pub fn tags(&self) -> Vec<Tag> {
        match self {
            Self::Register(content) => content.tag().into_iter().collect(),
            Self::List(tags) => tags.clone(),
        }
    }
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledged.
    Ok(Value),
    /// It did not happen.
    Fail(Arc<str>),
    /// It may have happened, or may yet.
    Info(Arc<str>),
}

/// One operation of a client.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Who ran it, and how.
    pub client: Arc<str>,
    /// Who shares what was written and seen; `None` if nothing is promised.
    pub scope: Option<Arc<str>>,
    /// What it does.
    pub action: Action,
    /// Before anything was sent.
    pub invoked: Moment,
    /// After the answer, or when the client gave up.
    pub completed: Moment,
    /// How it ended.
    pub outcome: Outcome,
}

impl Operation {
    /// What it saw or left behind, if it was acknowledged.
    pub fn value(&self) -> Option<&Value> {
        match &self.outcome {
            Outcome::Ok(value) => Some(value),
            Outcome::Fail(_) | Outcome::Info(_) => None,
        }
    }
}

/// Everything that happened.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In no particular order.
    pub operations: Vec<Operation>,
    /// What the primary holds in the end, after everything else.
    pub last: Vec<Operation>,
    /// What the nemesis did.
    pub events: Vec<(Moment, String)>,
}

impl History {
    /// Every operation, the last reads included.
    pub fn all(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().chain(&self.last)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:9.3} ms", Duration::from_nanos(self.0).as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(content) => {
                write!(f, "version {} of write {}", content.version(), content.tag().unwrap_or_default())
            }
            Self::List(tags) => write!(f, "{tags:?}"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, invoked, completed, .. } = self;
        let scope = self.scope.as_deref().unwrap_or("none");
        write!(f, "{invoked} .. {completed}  {client} [scope: {scope}]  ")?;
        match self.action {
            Action::Read(object) => write!(f, "read {object:?}: ")?,
            Action::Write(object, tag) => write!(f, "write {tag} to {object:?}: ")?,
        }
        match &self.outcome {
            Outcome::Ok(value) => write!(f, "ok, {value}"),
            Outcome::Fail(why) => write!(f, "fail ({why})"),
            Outcome::Info(why) => write!(f, "info ({why})"),
        }
    }
}
