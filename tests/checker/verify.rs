//! Whether a history keeps the promises. Pure.
//!
//! All rules about order are one: a later operation must [include](Value::includes) what the earlier ones
//! had seen. They differ in who is compared with whom.

use crate::history::{Action, Content, History, Moment, Object, Operation, Outcome, Tag, Value};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A read sees every write of its scope that was acknowledged before it began.
    ReadYourWrites,
    /// A read sees everything that reads of its scope saw that had ended before it began.
    MonotonicReads,
    /// What was acknowledged stays, and later writes come after it.
    LostWrite,
    /// What is read was written, by a write that had begun and had not failed.
    ThinAir,
    /// A write happens at most once.
    AppliedTwice,
}

/// A broken promise.
#[derive(Clone, Copy, Debug)]
pub struct Violation<'a> {
    /// Which one.
    pub rule: Rule,
    /// The operation that promised, if there is one.
    pub earlier: Option<&'a Operation>,
    /// The operation that shows the fault.
    pub later: &'a Operation,
}

/// Finds every broken promise.
pub fn verify(history: &History) -> Vec<Violation<'_>> {
    let mut found = Vec::new();
    let mut scopes: BTreeMap<(&str, Object), Vec<&Operation>> = BTreeMap::new();
    let mut objects: BTreeMap<Object, Vec<&Operation>> = BTreeMap::new();
    for operation in history.all().filter(|operation| operation.value().is_some()) {
        let object = operation.action.object();
        if let Some(scope) = &operation.scope {
            scopes.entry((scope, object)).or_default().push(operation);
        }
        if is_write(operation) {
            objects.entry(object).or_default().push(operation);
        }
    }
    for operations in scopes.into_values() {
        let reads = || operations.iter().copied().filter(|operation| !is_write(operation));
        let writes = operations.iter().copied().filter(|operation| is_write(operation));
        follow(Rule::ReadYourWrites, writes, reads(), &mut found);
        follow(Rule::MonotonicReads, reads(), reads(), &mut found);
    }
    for (object, writes) in objects {
        let last = history.last.iter().filter(|read| read.action.object() == object);
        let later_writes = writes.iter().copied().filter(|_| matches!(object, Object::Register(_)));
        follow(Rule::LostWrite, writes.iter().copied(), last.chain(later_writes), &mut found);
    }
    origins(history, &mut found);
    found
}

fn is_write(operation: &Operation) -> bool {
    matches!(operation.action, Action::Write(..))
}

/// Each of `later` must include what those of `earlier` saw that had completed before it was invoked. All
/// of them are acknowledged and about one object.
fn follow<'a>(
    rule: Rule,
    earlier: impl Iterator<Item = &'a Operation>,
    later: impl Iterator<Item = &'a Operation>,
    found: &mut Vec<Violation<'a>>,
) {
    let mut earlier: Vec<&Operation> = earlier.collect();
    let mut later: Vec<&Operation> = later.collect();
    earlier.sort_by_key(|operation| operation.completed);
    later.sort_by_key(|operation| operation.invoked);
    let mut seen: Option<Value> = None;
    let mut done = 0;
    for operation in later {
        let Some(value) = operation.value() else { continue };
        while let Some(next) = earlier.get(done).filter(|next| next.completed < operation.invoked) {
            match (&mut seen, next.value()) {
                (Some(seen), Some(more)) => seen.merge(more),
                (seen @ None, more) => *seen = more.cloned(),
                (Some(_), None) => {}
            }
            done += 1;
        }
        if seen.as_ref().is_some_and(|seen| !value.includes(seen)) {
            // The latest is the most telling.
            let is_missed = |other: &&&Operation| other.value().is_some_and(|other| !value.includes(other));
            let missed = earlier[..done].iter().rev().find(is_missed).copied();
            found.push(Violation { rule, earlier: missed, later: operation });
        }
    }
}

/// Everything seen was written, once.
fn origins<'a>(history: &'a History, found: &mut Vec<Violation<'a>>) {
    let writes: HashMap<Tag, &Operation> =
        history.operations.iter().filter_map(|operation| Some((operation.action.tag()?, operation))).collect();
    let mut contents: HashMap<(Object, u64), (Content, &Operation)> = HashMap::new();
    let mut versions: HashMap<Tag, (Content, &Operation)> = HashMap::new();
    for operation in history.all() {
        let Some(value) = operation.value() else { continue };
        let mut report = |rule, earlier| found.push(Violation { rule, earlier, later: operation });
        let mut tags = value.tags();
        for tag in &tags {
            let write = writes.get(tag).copied();
            if !write.is_some_and(|write| can_be_seen(write, operation)) {
                report(Rule::ThinAir, write);
            }
        }
        let count = tags.len();
        tags.sort_unstable();
        tags.dedup();
        if tags.len() < count {
            report(Rule::AppliedTwice, None);
        }
        if let (Value::Register(content), Some(tag)) = (value, value.tags().first()) {
            let (same_version, by) =
                *contents.entry((operation.action.object(), content.version())).or_insert((*content, operation));
            if same_version != *content {
                report(Rule::LostWrite, Some(by));
            }
            let (same_tag, by) = *versions.entry(*tag).or_insert((*content, operation));
            if same_tag != *content {
                report(Rule::AppliedTwice, Some(by));
            }
        }
    }
}

/// Whether what `write` wrote may be what `operation` came upon.
fn can_be_seen(write: &Operation, operation: &Operation) -> bool {
    write.action.object() == operation.action.object()
        && write.invoked < operation.completed
        && !matches!(write.outcome, Outcome::Fail(_))
        // An acknowledged write knows what it left behind.
        && operation.action.tag().is_none_or(|tag| write.action.tag() == Some(tag))
}

impl Violation<'_> {
    /// How long the excerpt is, in time.
    pub fn span(&self) -> u64 {
        self.later.completed.0.saturating_sub(self.since().0)
    }

    fn since(&self) -> Moment {
        self.earlier.map_or(self.later.invoked, |earlier| earlier.invoked)
    }

    /// The part of the history that shows it: the two operations, the writes of what they saw, and what
    /// the nemesis did meanwhile and last before.
    pub fn excerpt(&self, history: &History) -> String {
        let mut tags: Vec<Tag> =
            self.earlier.into_iter().chain([self.later]).filter_map(Operation::value).flat_map(Value::tags).collect();
        if let (Some(Value::List(then)), Some(Value::List(now))) =
            (self.earlier.and_then(Operation::value), self.later.value())
        {
            // The latest are enough.
            tags = then.iter().rev().filter(|tag| !now.contains(tag)).take(2).copied().collect();
        }
        let origin = |operation: &&Operation| operation.action.tag().is_some_and(|tag| tags.contains(&tag));
        let operations = self.earlier.into_iter().chain([self.later]).chain(history.all().filter(origin));
        let mut lines: Vec<(Moment, String)> = operations.map(|op| (op.invoked, op.to_string())).collect();
        let before = history.events.iter().filter(|(at, _)| *at < self.since()).count().saturating_sub(6);
        let events = history.events.iter().skip(before).take_while(|(at, _)| *at < self.later.completed);
        lines.extend(events.map(|(at, what)| (*at, format!("{at}  nemesis: {what}"))));
        lines.sort();
        lines.dedup();
        let mut text = format!("{:?}\n", self.rule);
        for (_, line) in lines {
            // Writing to a string cannot fail.
            writeln!(text, "  {line}").expect("a string");
        }
        text
    }
}

/// The number of violations of each rule, and the shortest excerpts.
pub fn report(history: &History, violations: &[Violation<'_>]) -> String {
    const SHOWN_PER_RULE: usize = 2;
    let mut by_rule: BTreeMap<Rule, Vec<&Violation<'_>>> = BTreeMap::new();
    for violation in violations {
        by_rule.entry(violation.rule).or_default().push(violation);
    }
    let mut text = String::new();
    for (rule, mut violations) in by_rule {
        writeln!(text, "{} violations of {rule:?}, the shortest:", violations.len()).expect("a string");
        violations.sort_by_key(|violation| violation.span());
        for violation in violations.iter().take(SHOWN_PER_RULE) {
            text.push_str(&violation.excerpt(history));
        }
    }
    text
}
