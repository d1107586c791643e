//! Scopes: who shares a token. A scope's token grows with each write that its sessions are told of,
//! and with what they have seen where others may not see it yet.

use super::by_table::ByTable;
use super::gtid::GtidSet;
use super::token::{Changed, Noted, Token};
use super::touched::Footing;
use crate::topology::{ServerId, Snapshot};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What one scope must see, shared by all its sessions.
#[derive(Debug, Default)]
pub struct Scope(Mutex<Tokens>);

#[derive(Debug, Default)]
struct Tokens {
    all: Token,
    /// The part of it that changed schemas: whoever only prepares a statement need not see more.
    schema: Token,
    /// What was written to single tables, if tables are told apart: it is not in `all`.
    by_table: Option<Box<ByTable>>,
}

impl Tokens {
    /// What whoever reads these tables must see; without tables: all there is.
    fn of(&self, footing: Option<Footing<'_>>) -> Token {
        let mut token = self.all.clone();
        if let Some(by_table) = &self.by_table {
            by_table.add_to(&mut token, footing);
        }
        token
    }
}

impl Scope {
    /// What a reader must see now, whatever it reads.
    pub fn token(&self, now: Instant, snapshot: &Snapshot) -> Token {
        self.token_of(None, now, snapshot)
    }

    /// What a reader must see now that reads these tables and nothing else; `None`: whatever there is.
    pub fn token_of(&self, footing: Option<Footing<'_>>, now: Instant, snapshot: &Snapshot) -> Token {
        let mut tokens = self.lock();
        settle(&mut tokens.all, now, snapshot);
        if let Some(by_table) = &mut tokens.by_table {
            by_table.settle(|token| settle(token, now, snapshot));
        }
        tokens.of(footing)
    }

    /// What must be seen now by whoever only asks what tables look like.
    pub fn schema_token(&self, now: Instant, snapshot: &Snapshot) -> Token {
        let mut tokens = self.lock();
        settle(&mut tokens.schema, now, snapshot);
        tokens.schema.clone()
    }

    /// What was written or seen since the beginning, whether replicas here have it or not.
    pub fn everything(&self) -> Token {
        self.lock().of(None)
    }

    /// Records what an exchange wrote or saw.
    pub fn note(&self, noted: &Noted, changed: Changed, now: Instant, pin_for: Duration) {
        let add = Token::noted(noted, now, pin_for);
        let mut tokens = self.lock();
        if changed == Changed::Schema {
            tokens.schema.merge(&add);
        }
        tokens.all.merge(&add);
    }

    /// Records rows written to these tables and nowhere else.
    pub fn note_tables(&self, gtids: &GtidSet, footing: Footing<'_>, now: Instant) {
        let add = Token::of(Some(gtids.clone())).raised(now);
        let mut tokens = self.lock();
        let Tokens { all, by_table, .. } = &mut *tokens;
        by_table.get_or_insert_default().note(footing, &add, all);
    }

    /// All that was seen until `asked` is contained in these transactions.
    pub fn named(&self, asked: Instant, now: Instant, gtids: &GtidSet) {
        self.lock().all.named(asked, now, gtids);
    }

    /// Takes on what somebody else has written or seen.
    pub fn take_on(&self, token: &Token) {
        let mut tokens = self.lock();
        tokens.all.merge(token);
        tokens.schema.merge(token);
    }

    /// A wait showed that `server` contains `gtids`: if nothing was written since, the next read
    /// need not wait again.
    pub fn satisfied_on(&self, server: ServerId, gtids: &GtidSet) {
        let mut tokens = self.lock();
        tokens.all.satisfied_on(server, gtids);
        tokens.schema.satisfied_on(server, gtids);
        if let Some(by_table) = &mut tokens.by_table {
            by_table.satisfied_on(server, gtids);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tokens> {
        // Tokens are whole between any two statements; a panic elsewhere does not change that.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn settle(token: &mut Token, now: Instant, snapshot: &Snapshot) {
    if !token.is_empty() {
        token.settle(now, snapshot.report.as_ref(), snapshot.everywhere.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consistency::gtid::Family;
    use crate::topology::PrimaryReport;
    use std::sync::Arc;

    fn gtids(text: &str) -> GtidSet {
        GtidSet::parse(Family::MariaDb, text).expect("well formed")
    }

    fn everywhere(text: &str) -> Snapshot {
        Snapshot { everywhere: Some(Arc::new(gtids(text))), ..Snapshot::default() }
    }

    fn report(asked: Instant, text: &str) -> Snapshot {
        let report = PrimaryReport {
            asked,
            nothing_on_its_way: asked.checked_sub(GRACE).unwrap_or(asked),
            primary_since: asked,
            executed: Arc::new(gtids(text)),
        };
        Snapshot { report: Some(report), ..Snapshot::default() }
    }

    fn wrote(scope: &Scope, text: &str, changed: Changed, now: Instant) {
        scope.note(&Noted::Gtids(gtids(text)), changed, now, PIN);
    }

    fn of(text: &str) -> Arc<GtidSet> {
        Arc::new(gtids(text))
    }

    const PIN: Duration = Duration::from_secs(2);
    const GRACE: Duration = Duration::from_secs(1);

    #[test]
    fn writes_add_up_and_are_forgotten_once_everywhere() {
        let (scope, now) = (Scope::default(), Instant::now());
        wrote(&scope, "0-1-5", Changed::Data, now);
        wrote(&scope, "1-1-2", Changed::Data, now);
        assert_eq!(scope.token(now, &Snapshot::default()).gtids, Some(of("0-1-5,1-1-2")));
        assert!(!scope.token(now, &everywhere("0-1-9")).is_empty());
        assert!(scope.token(now, &everywhere("0-1-9,1-1-2")).is_empty());
        assert!(scope.token(now, &Snapshot::default()).is_empty());
    }

    #[test]
    fn a_satisfied_wait_is_remembered_until_the_next_write() {
        let (scope, now, replica) = (Scope::default(), Instant::now(), ServerId(1));
        let is_satisfied = || scope.token(now, &Snapshot::default()).is_satisfied_on(replica);
        wrote(&scope, "0-1-5", Changed::Data, now);
        scope.satisfied_on(replica, &gtids("0-1-4"));
        assert!(!is_satisfied());
        scope.satisfied_on(replica, &gtids("0-1-5"));
        assert!(is_satisfied());
        wrote(&scope, "0-1-6", Changed::Data, now);
        assert!(!is_satisfied());
    }

    #[test]
    fn only_schema_changes_concern_those_who_prepare() {
        let (scope, now, snapshot) = (Scope::default(), Instant::now(), Snapshot::default());
        wrote(&scope, "0-1-5", Changed::Schema, now);
        wrote(&scope, "0-1-6", Changed::Data, now);
        assert_eq!(scope.token(now, &snapshot).gtids, Some(of("0-1-6")));
        assert_eq!(scope.schema_token(now, &snapshot).gtids, Some(of("0-1-5")));
        let snapshot = everywhere("0-1-5");
        assert!(scope.schema_token(now, &snapshot).is_empty() && !scope.token(now, &snapshot).is_empty());
    }

    #[test]
    fn without_gtids_time_decides() {
        let (scope, now, snapshot) = (Scope::default(), Instant::now(), Snapshot::default());
        scope.note(&Noted::Untold, Changed::Data, now, PIN);
        assert!(scope.token(now, &snapshot).keeps_to_primary());
        assert!(scope.token(now + PIN, &snapshot).is_empty());
    }

    #[test]
    fn a_lost_answer_is_resolved_by_a_later_look_at_the_primary() {
        let (scope, now) = (Scope::default(), Instant::now());
        let lost = now + Duration::from_secs(1);
        scope.note(&Noted::Uncertain, Changed::Data, lost, PIN);
        let soon = report(lost + GRACE, "0-1-7");
        assert_eq!(scope.token(lost + GRACE, &soon).uncertain_since, Some(lost), "it may be on its way");
        let later = lost + GRACE * 2;
        let token = scope.token(later, &report(later, "0-1-8"));
        assert_eq!((token.keeps_to_primary(), token.gtids), (false, Some(of("0-1-8"))));
    }

    #[test]
    fn what_was_seen_at_the_primary_is_named_by_whoever_asks_later() {
        let (scope, before, snapshot) = (Scope::default(), Instant::now(), Snapshot::default());
        let now = before + GRACE;
        scope.note(&Noted::Unnamed, Changed::Data, now, PIN);
        assert!(scope.token(now, &snapshot).keeps_to_primary());
        scope.named(before, now, &gtids("0-1-3"));
        assert!(scope.token(now, &snapshot).keeps_to_primary(), "asked before it was seen");
        scope.named(now, now, &gtids("0-1-4"));
        let token = scope.token(now, &snapshot);
        assert_eq!((token.keeps_to_primary(), token.gtids), (false, Some(of("0-1-4"))));
        scope.note(&Noted::Unnamed, Changed::Data, now, PIN);
        let later = now + Duration::from_millis(1);
        let token = scope.token(later, &report(later, "0-1-9"));
        assert_eq!((token.keeps_to_primary(), token.gtids), (false, Some(of("0-1-9"))));
    }

    #[test]
    fn what_waited_long_to_be_named_is_younger_than_its_question() {
        let (scope, asked) = (Scope::default(), Instant::now());
        let answered = asked + 3 * GRACE;
        scope.named(asked, answered, &gtids("0-1-9"));
        let between = asked + 2 * GRACE;
        assert_eq!(scope.token(answered, &report(between, "0-1-8")).gtids, Some(of("0-1-9")));
    }

    #[test]
    fn what_a_former_primary_took_with_it_is_not_waited_for() {
        let (scope, before) = (Scope::default(), Instant::now());
        let now = before + GRACE;
        wrote(&scope, "0-1-9", Changed::Data, now);
        let same = PrimaryReport { primary_since: before, ..report(now, "0-1-5").report.expect("made") };
        let snapshot = Snapshot { report: Some(same), ..Snapshot::default() };
        assert_eq!(scope.token(now, &snapshot).gtids, Some(of("0-1-9")), "the same primary, asked too early");
        let later = now + GRACE;
        assert_eq!(scope.token(later, &report(later, "0-2-7")).gtids, Some(of("0-2-7")));
    }
}
