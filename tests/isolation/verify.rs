//! Does a history show what the isolation level on the primary alone would not allow? Pure.
//!
//! Committed transactions that wrote became visible in some order, and every consistent read saw all of them up to
//! some point of it. Both are put into one graph: a node for each such commit, a node for each snapshot, an edge where
//! one must come before the other. If there is a cycle, no order explains the history. What is allowed and forbidden
//! this way, and why, is in `docs/decisions/0014-what-optimistic-transactions-may-show.md`.

use crate::graph::Graph;
use crate::history::{Deed, End, History, Key, Moment, Step, Tag, Transaction};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

mod cycles;
mod time;

/// What is asked of the transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// All plain reads of a transaction see the same moment.
    RepeatableRead,
    /// Each of them sees a moment of its own.
    ReadCommitted,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// What was committed is gone, or in another order than somebody read it.
    LostAppend,
    /// What was sent once is there twice.
    AppliedTwice,
    /// Nobody appended it there.
    ThinAir,
    /// A transaction that did not commit has left something (G1a).
    AbortedRead,
    /// Half of what a transaction appended to one list (G1b).
    IntermediateRead,
    /// A transaction does not see what it did itself, or sees it beforehand.
    Internal,
    /// Writes overtake each other (G0).
    DirtyWrite,
    /// Transactions see each other in a circle (G1c).
    CircularFlow,
    /// Reads that no single moment explains (G-single, long fork).
    ReadSkew,
    /// A read misses what its scope had written or seen.
    ScopeUnseen,
    /// A transaction at the primary misses what was committed before it began.
    Stale,
}

/// Something that is wrong, in words.
#[derive(Clone, Debug)]
pub struct Anomaly {
    /// Which rule.
    pub rule: Rule,
    /// The transactions that show it.
    pub shown_by: String,
}

/// Why something comes before something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// A snapshot is taken before its transaction commits; statements come one after the other.
    Inside,
    /// It overwrites.
    Write,
    /// It is seen.
    Seen,
    /// It is not seen.
    Unseen,
    /// It was acknowledged before, and both at the primary.
    Time,
    /// It was acknowledged before, and both of one scope.
    Scope,
}

/// Finds everything that is wrong.
pub fn verify(history: &History, level: Level) -> Vec<Anomaly> {
    let mut check = Check::new(history, level);
    check.lists();
    for (number, transaction) in history.transactions.iter().enumerate() {
        check.reads_of(number, transaction);
    }
    check.clocks();
    check.cycles();
    check.found
}

/// Where an append stands.
#[derive(Clone, Copy, Debug)]
struct Origin {
    transaction: usize,
    key: Key,
    may_be_seen: bool,
}

struct Check<'h> {
    history: &'h History,
    level: Level,
    origins: HashMap<Tag, Origin>,
    last: HashMap<Key, &'h [Tag]>,
    graph: Graph<Why>,
    /// What a node is, for people; `None` for moments in time.
    nodes: Vec<Option<usize>>,
    /// The nodes of commits that wrote, by transaction.
    commits: HashMap<usize, usize>,
    /// The nodes of snapshots: by when they were asked for, with the transaction, and whether it was at the primary.
    snapshots: Vec<Snapshot>,
    found: Vec<Anomaly>,
}

struct Snapshot {
    node: usize,
    transaction: usize,
    invoked: Moment,
    completed: Moment,
    is_at_primary: bool,
    /// The commits that it shows to contain.
    contains: Vec<usize>,
}

impl<'h> Check<'h> {
    fn new(history: &'h History, level: Level) -> Self {
        let mut origins = HashMap::new();
        for (number, transaction) in history.transactions.iter().enumerate() {
            for (key, tag, may_be_seen) in transaction.sent() {
                origins.insert(tag, Origin { transaction: number, key, may_be_seen });
            }
        }
        let last = history.last.iter().map(|(key, tags)| (*key, tags.as_slice())).collect();
        let (graph, nodes, commits, snapshots, found) = Default::default();
        Self { history, level, origins, last, graph, nodes, commits, snapshots, found }
    }

    fn report(&mut self, rule: Rule, transactions: &[usize], what: &str) {
        let mut text = format!("{what}\n");
        for number in transactions.iter().collect::<BTreeSet<_>>() {
            write!(text, "    {}", self.history.transactions[*number]).expect("a string");
        }
        self.found.push(Anomaly { rule, shown_by: text });
    }

    fn node(&mut self, transaction: Option<usize>) -> usize {
        self.nodes.push(transaction);
        self.graph.node()
    }

    /// The node of the commit of a transaction that is known to have written.
    fn commit(&mut self, transaction: usize) -> usize {
        if let Some(node) = self.commits.get(&transaction) {
            return *node;
        }
        let node = self.node(Some(transaction));
        self.commits.insert(transaction, node);
        node
    }

    /// The lists as they ended: the order of all writes.
    fn lists(&mut self) {
        let history = self.history;
        for (key, tags) in &history.last {
            self.contents(*key, tags, None);
            let mut before: Option<Origin> = None;
            for tag in tags {
                let Some(origin) = self.origins.get(tag).copied().filter(|origin| origin.may_be_seen) else { continue };
                let node = self.commit(origin.transaction);
                if let Some(before) = before.filter(|before| before.transaction != origin.transaction) {
                    let earlier = self.commit(before.transaction);
                    self.graph.edge(earlier, node, Why::Write);
                }
                before = Some(origin);
            }
        }
        for (number, transaction) in history.transactions.iter().enumerate() {
            let is_there = |(key, tag): &(Key, Tag)| self.last.get(key).is_some_and(|tags| tags.contains(tag));
            let (there, gone): (Vec<_>, Vec<_>) = transaction.appends().partition(is_there);
            let is_lost = match transaction.end {
                End::Committed => !gone.is_empty(),
                // All of it, or nothing.
                End::Unknown(_) => !gone.is_empty() && !there.is_empty(),
                End::Aborted(_) | End::RolledBack => false,
            };
            if is_lost {
                self.report(Rule::LostAppend, &[number], &format!("{gone:?} (list, number) were lost"));
            }
            let kept = match transaction.end {
                End::Committed => there.clone(),
                End::Unknown(_) | End::Aborted(_) | End::RolledBack => Vec::new(),
            };
            let order: BTreeMap<Key, Vec<Tag>> = kept.iter().fold(BTreeMap::new(), |mut order, (key, tag)| {
                order.entry(*key).or_insert_with(Vec::new).push(*tag);
                order
            });
            for (key, tags) in order {
                let place = |tag: &Tag| self.last[&key].iter().position(|other| other == tag);
                let places: Vec<_> = tags.iter().filter_map(place).collect();
                if places.windows(2).any(|pair| pair[1] != pair[0] + 1) {
                    self.report(Rule::DirtyWrite, &[number], &format!("others wrote to {key} in between"));
                }
            }
        }
    }

    /// Whether what a list holds was appended to it, once, by who may be seen. `by`: who read it, if not the
    /// administrator.
    fn contents(&mut self, key: Key, tags: &[Tag], by: Option<usize>) -> bool {
        let before = self.found.len();
        let mut seen = BTreeSet::new();
        for tag in tags {
            let origin = self.origins.get(tag).copied();
            let involved: Vec<usize> = origin.iter().map(|origin| origin.transaction).chain(by).collect();
            match origin {
                Some(origin) if origin.key == key => {
                    if !origin.may_be_seen && by != Some(origin.transaction) {
                        self.report(Rule::AbortedRead, &involved, &format!("{tag} in list {key} was never committed"));
                    }
                }
                _ => self.report(Rule::ThinAir, &involved, &format!("nobody appended {tag} to list {key}")),
            }
            if !seen.insert(*tag) {
                self.report(Rule::AppliedTwice, &involved, &format!("{tag} is twice in list {key}"));
            }
        }
        self.found.len() == before
    }

    fn reads_of(&mut self, number: usize, transaction: &'h Transaction) {
        let mut own: Vec<(Key, Tag)> = Vec::new();
        let mut is_at_primary = transaction.at_primary;
        let wrote = transaction.steps.iter().any(|step| !matches!(step.deed, Deed::Read(_)));
        // Whatever it read before was verified when it wrote.
        is_at_primary |= wrote && self.level == Level::RepeatableRead;
        let mut before: Option<usize> = None;
        for step in &transaction.steps {
            match &step.deed {
                // The first plain read fixes what the others see, even if it shows what the transaction has changed.
                Deed::Read(lists) => {
                    let at = match (self.level, before) {
                        (Level::RepeatableRead, Some(at)) => at,
                        _ => self.snapshot(number, step, is_at_primary),
                    };
                    for (key, tags) in lists {
                        if self.read(number, *key, tags, &own) {
                            self.snapshots[at].completed = step.completed;
                            self.place(at, *key, tags);
                        }
                    }
                    if let Some(before) = before.replace(at)
                        && before != at
                    {
                        self.graph.edge(self.snapshots[before].node, self.snapshots[at].node, Why::Inside);
                    }
                }
                // As it is at the primary, which no snapshot explains.
                Deed::Lock(key, tags) => {
                    self.read(number, *key, tags, &own);
                    is_at_primary = true;
                }
                Deed::Append(key, tag) => {
                    own.push((*key, *tag));
                    is_at_primary = true;
                }
                Deed::Undone(..) => is_at_primary = true,
            }
        }
    }

    /// One list that was read. Whether it is a consistent read, and not one of what the transaction itself has changed.
    fn read(&mut self, number: usize, key: Key, tags: &[Tag], own: &[(Key, Tag)]) -> bool {
        if !self.contents(key, tags, Some(number)) {
            return false;
        }
        let mine: Vec<Tag> = own.iter().filter(|(k, _)| *k == key).map(|(_, tag)| *tag).collect();
        if !tags.ends_with(&mine) {
            self.report(Rule::Internal, &[number], &format!("its own {mine:?} are not the last of list {key}"));
        }
        let others = &tags[..tags.len().saturating_sub(mine.len())];
        if others.iter().any(|tag| self.origins.get(tag).is_some_and(|origin| origin.transaction == number)) {
            self.report(Rule::Internal, &[number], &format!("list {key} has what it was not to have yet"));
            return false;
        }
        let last = self.last.get(&key).copied().unwrap_or_default();
        if !last.starts_with(others) {
            let ended: Vec<Tag> = last.iter().take(tags.len() + 1).copied().collect();
            self.report(Rule::LostAppend, &[number], &format!("list {key} ended in another order: {ended:?}"));
            return false;
        }
        if let (Some(latest), Some(next)) = (self.origin(others.last()), self.origin(last.get(others.len())))
            && latest.transaction == next.transaction
            && latest.transaction != number
        {
            let involved = [number, latest.transaction];
            self.report(Rule::IntermediateRead, &involved, &format!("half of one transaction is in list {key}"));
            return false;
        }
        mine.is_empty()
    }

    fn origin(&self, tag: Option<&Tag>) -> Option<Origin> {
        self.origins.get(tag?).copied()
    }

    /// A snapshot that begins with this step.
    fn snapshot(&mut self, transaction: usize, step: &Step, is_at_primary: bool) -> usize {
        let node = self.node(Some(transaction));
        let (invoked, completed) = (step.invoked, step.completed);
        let contains = Vec::new();
        self.snapshots.push(Snapshot { node, transaction, invoked, completed, is_at_primary, contains });
        self.snapshots.len() - 1
    }

    /// Between which commits a snapshot was taken, by what it shows of a list.
    fn place(&mut self, at: usize, key: Key, tags: &[Tag]) {
        let node = self.snapshots[at].node;
        let me = self.snapshots[at].transaction;
        let next = self.last.get(&key).and_then(|last| last.get(tags.len())).copied();
        let visible = |origin: &Origin| origin.may_be_seen;
        if let Some(seen) = self.origin(tags.last()).filter(visible) {
            let commit = self.commit(seen.transaction);
            self.graph.edge(commit, node, Why::Seen);
            self.snapshots[at].contains.push(commit);
        }
        if let Some(unseen) = self.origin(next.as_ref()).filter(visible).filter(|origin| origin.transaction != me) {
            let commit = self.commit(unseen.transaction);
            self.graph.edge(node, commit, Why::Unseen);
        }
    }
}

/// How often each rule is broken, with a few examples and what the nemesis did before.
pub fn report(history: &History, anomalies: &[Anomaly]) -> String {
    const SHOWN_PER_RULE: usize = 2;
    let mut by_rule: BTreeMap<Rule, Vec<&Anomaly>> = BTreeMap::new();
    for anomaly in anomalies {
        by_rule.entry(anomaly.rule).or_default().push(anomaly);
    }
    let mut text = String::new();
    for (rule, mut anomalies) in by_rule {
        writeln!(text, "{} x {rule:?}, the shortest:", anomalies.len()).expect("a string");
        anomalies.sort_by_key(|anomaly| anomaly.shown_by.len());
        for anomaly in anomalies.iter().take(SHOWN_PER_RULE) {
            writeln!(text, "  {}", anomaly.shown_by).expect("a string");
        }
    }
    if !text.is_empty() {
        for (at, what) in &history.events {
            writeln!(text, "{at} nemesis: {what}").expect("a string");
        }
    }
    text
}
