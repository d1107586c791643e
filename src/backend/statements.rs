//! Statements prepared on one backend connection, least recently used closed first.

use crate::state::SessionState;
use std::collections::HashMap;
use std::sync::Arc;

/// Most statements kept prepared on one connection.
const LIMIT: usize = 200;
/// Most bytes of text of those, but for the last one.
const MOST_TEXT: usize = 1 << 20;
/// Most numbers that one execution takes. Servers prepare a statement once more, under a number that nobody is told,
/// where its parameters are of other types, and up to three times where its tables have changed.
const TAKEN_BY_AN_EXECUTION: u32 = 4;
/// A guard that has to outdo more executions than these would cost more than a round trip.
const MOST_OUTDONE: u32 = 16;

/// Handles of prepared statements by text and by the state they were prepared in (schema, character
/// set and `sql_mode` decide what a text means).
#[derive(Debug, Default)]
pub struct Statements {
    by_text: HashMap<Arc<[u8]>, Vec<Handle>>,
    count: usize,
    /// Bytes of their texts.
    text: usize,
    clock: u64,
    /// Those that were sent long data which their execution has not been seen to use up: it would go into the next one's,
    /// whoever's that is.
    filled: Vec<u32>,
    /// How many statements were prepared since login, as far as we know: servers number those of both protocols, and
    /// those that fail, 1, 2, 3 ..
    prepared: u32,
    /// By how much the numbers that the server says are ahead of that.
    ahead: u32,
    /// Whether statements may have been prepared that nobody counted.
    uncounted: bool,
    /// Executions that were sent.
    executed: u32,
    /// Of these, those ahead of the last statement whose number the server said.
    outdone: u32,
    /// What was foretold last.
    latest: Foretold,
}

/// The handle that a statement will have, as far as anybody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Foretold {
    /// Its number.
    pub number: u32,
    /// The how many-eth it is, as far as we know.
    place: u32,
    /// How many executions were sent ahead of it.
    behind: u32,
}

#[derive(Debug)]
struct Handle {
    state: Arc<SessionState>,
    id: u32,
    used: u64,
}

impl Statements {
    /// What remains after a session reset: no statements, but the server goes on counting.
    pub fn after_reset(before: &Self) -> Self {
        let Self { prepared, ahead, uncounted, executed, outdone, latest, .. } = *before;
        Self { prepared, ahead, uncounted, executed, outdone, latest, ..Self::default() }
    }

    /// The handle of `text` prepared in `state`, if it can be executed.
    pub fn find(&mut self, text: &Arc<[u8]>, state: &Arc<SessionState>) -> Option<u32> {
        self.known(text, state).filter(|id| !self.filled.contains(id))
    }

    /// The handle of `text` prepared in `state`.
    pub fn known(&mut self, text: &Arc<[u8]>, state: &Arc<SessionState>) -> Option<u32> {
        self.clock += 1;
        let clock = self.clock;
        let handle = self.by_text.get_mut(text)?.iter_mut().find(|h| same(&h.state, state))?;
        handle.used = clock;
        Some(handle.id)
    }

    /// It is sent long data: until that is seen to be used up, it is not found any more.
    pub fn fill(&mut self, id: u32) {
        self.filled.push(id);
    }

    /// Its long data is used up, or never reached it.
    pub fn is_empty_again(&mut self, id: u32) {
        self.filled.retain(|filled| *filled != id);
    }

    /// Foretells the handle of the statement about to be prepared, by SQL or not.
    ///
    /// Whoever executes by a foretold handle must expect error 1243: statements that stored code
    /// prepared are not counted here.
    pub fn foretell(&mut self) -> Foretold {
        self.prepared = self.prepared.wrapping_add(1);
        let place = self.prepared;
        self.latest = Foretold { number: place.wrapping_add(self.ahead), place, behind: self.executed };
        self.latest
    }

    /// What was foretold last.
    pub fn latest(&self) -> Foretold {
        self.latest
    }

    /// The server said which handle a statement has. Others may have been foretold behind it.
    pub fn numbered(&mut self, id: u32, foretold: Foretold) {
        self.ahead = id.wrapping_sub(foretold.place);
        self.uncounted = false;
        self.outdone = foretold.behind;
    }

    /// One of them is executed.
    pub fn executes(&mut self) {
        self.executed = self.executed.wrapping_add(1);
    }

    /// Something ran that may have prepared statements of its own: until the server says a number
    /// again, a foretold one may be wrong, and must not guard anything.
    pub fn lose_count(&mut self) {
        self.uncounted = true;
    }

    /// Whether foretold numbers are right, as far as anybody can know.
    pub fn is_counted(&self) -> bool {
        !self.uncounted
    }

    /// How many numbers a guard must take behind `more` executions, so that without it the statement behind it cannot
    /// get the number that it would have with it: one more than executions may have taken. `None`: no number guards.
    pub fn guard_behind(&self, more: u32) -> Option<u32> {
        let executions = self.executed.wrapping_sub(self.outdone).saturating_add(more);
        let can_be_outdone = !self.uncounted && executions <= MOST_OUTDONE;
        can_be_outdone.then_some(executions * TAKEN_BY_AN_EXECUTION + 1)
    }

    /// So many numbers are taken.
    pub fn take_numbers(&mut self, count: u32) {
        self.prepared = self.prepared.wrapping_add(count);
    }

    /// Remembers a new handle; returns those to close: the one that it replaces, or what is too many.
    pub fn insert(&mut self, text: Arc<[u8]>, state: Arc<SessionState>, id: u32) -> Vec<u32> {
        self.clock += 1;
        let (handle, size) = (Handle { state, id, used: self.clock }, text.len());
        let handles = self.by_text.entry(text).or_default();
        if let Some(known) = handles.iter_mut().find(|h| same(&h.state, &handle.state)) {
            let replaced = std::mem::replace(known, handle).id;
            self.is_empty_again(replaced);
            return vec![replaced];
        }
        handles.push(handle);
        self.count += 1;
        self.text += size;
        let mut displaced = Vec::new();
        while self.count > 1 && (self.count > LIMIT || self.text > MOST_TEXT) {
            displaced.extend(self.evict());
        }
        displaced
    }

    /// Forgets a handle that the server no longer accepts.
    pub fn forget(&mut self, id: u32) {
        self.is_empty_again(id);
        for (text, handles) in &mut self.by_text {
            let before = handles.len();
            handles.retain(|h| h.id != id);
            self.count -= before - handles.len();
            self.text -= (before - handles.len()) * text.len();
        }
        self.by_text.retain(|_, handles| !handles.is_empty());
    }

    /// Forgets all of them; returns those to close.
    pub fn forget_all(&mut self) -> Vec<u32> {
        (self.count, self.text) = (0, 0);
        self.filled.clear();
        std::mem::take(&mut self.by_text).into_values().flatten().map(|handle| handle.id).collect()
    }

    fn evict(&mut self) -> Option<u32> {
        let oldest = self.by_text.values().flatten().min_by_key(|h| h.used)?.id;
        self.forget(oldest);
        Some(oldest)
    }

    /// How many are prepared now.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is prepared.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

fn same(a: &Arc<SessionState>, b: &Arc<SessionState>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_found_by_text_and_state() {
        let (mut statements, state) = (Statements::default(), Arc::new(SessionState::default()));
        let mut other = SessionState::default();
        other.set_schema(Some(b"app"));
        let (other, text): (_, Arc<[u8]>) = (Arc::new(other), b"SELECT 1"[..].into());
        assert_eq!(statements.insert(text.clone(), state.clone(), 1), [0; 0]);
        assert_eq!(statements.find(&text, &state), Some(1));
        assert_eq!(statements.find(&text, &other), None);
        assert_eq!(statements.insert(text.clone(), state.clone(), 4), [1], "the same again");
        statements.forget(4);
        assert_eq!((statements.find(&text, &state), statements.len()), (None, 0));
    }

    #[test]
    fn what_was_sent_data_is_found_again_once_that_is_used_up() {
        let (mut statements, state) = (Statements::default(), Arc::new(SessionState::default()));
        let text: Arc<[u8]> = b"SELECT ?"[..].into();
        statements.fill(1);
        statements.insert(text.clone(), state.clone(), 1);
        assert_eq!((statements.find(&text, &state), statements.known(&text, &state)), (None, Some(1)));
        statements.is_empty_again(1);
        assert_eq!(statements.find(&text, &state), Some(1));
        statements.fill(1);
        assert_eq!(statements.insert(text.clone(), state.clone(), 2), [1], "prepared anew");
        assert_eq!((statements.find(&text, &state), statements.filled.len()), (Some(2), 0));
    }

    #[test]
    fn numbers_are_foretold_and_corrected() {
        let mut statements = Statements::default();
        let (first, second) = (statements.foretell(), statements.foretell());
        assert_eq!((first.number, second.number), (1, 2));
        statements.numbered(6, first);
        statements.numbered(7, second);
        assert_eq!(Statements::after_reset(&statements).foretell().number, 8, "a reset does not start anew");
        statements.lose_count();
        assert!(!Statements::after_reset(&statements).is_counted(), "nor does it count");
        let third = statements.foretell();
        statements.numbered(9, third);
        assert!(statements.is_counted());
    }

    #[test]
    fn a_guard_outdoes_what_executions_may_have_taken() {
        let mut statements = Statements::default();
        let first = statements.foretell();
        statements.numbered(1, first);
        assert_eq!((statements.guard_behind(0), statements.guard_behind(1)), (Some(1), Some(5)));
        statements.executes();
        assert_eq!(statements.guard_behind(0), Some(5));
        // What was prepared ahead of an execution says nothing of what came behind it.
        let second = statements.foretell();
        statements.executes();
        statements.numbered(2, second);
        let mut statements = Statements::after_reset(&statements);
        assert_eq!(statements.guard_behind(0), Some(5));
        statements.take_numbers(5);
        let third = statements.foretell();
        assert_eq!((third.number, statements.latest()), (8, third));
        // What is foretold behind it moves along.
        assert_eq!(statements.foretell().number, 9);
        statements.numbered(10, third);
        assert_eq!((statements.guard_behind(0), statements.foretell().number), (Some(1), 12));
        for _ in 0..=MOST_OUTDONE {
            statements.executes();
        }
        assert_eq!(statements.guard_behind(0), None, "too many");
        let last = statements.foretell();
        statements.numbered(20, last);
        assert_eq!(statements.guard_behind(0), Some(1));
        statements.lose_count();
        assert_eq!(statements.guard_behind(0), None);
    }

    #[test]
    fn the_least_recently_used_is_closed() {
        let (mut statements, state) = (Statements::default(), Arc::new(SessionState::default()));
        let text = |n: u32| -> Arc<[u8]> { n.to_string().into_bytes().into() };
        for n in 1..=u32::try_from(LIMIT).expect("small") {
            assert_eq!(statements.insert(text(n), state.clone(), n), [0; 0]);
        }
        assert_eq!(statements.find(&text(1), &state), Some(1));
        assert_eq!(statements.insert(text(0), state.clone(), 999), [2]);
        assert_eq!(statements.len(), LIMIT);
        let long: Arc<[u8]> = vec![b'x'; MOST_TEXT].into();
        assert_eq!(statements.insert(long.clone(), state.clone(), 1000).len(), LIMIT, "it is too much with any other");
        assert_eq!((statements.find(&long, &state), statements.len()), (Some(1000), 1));
        assert_eq!(statements.insert(text(1), state.clone(), 1001), [1000]);
        assert_eq!((statements.forget_all(), statements.text), (vec![1001], 0));
    }
}
