//! The floor: what everybody here must see, because somebody may have seen it already.
//!
//! A scope reads from one replica at a time, so that what it saw is never unseen. When another replica takes
//! over, that one must have all the former had: the former is asked, or the primary, which has everything.
//! The same holds for what was written or seen before this process began, and for a replica that restarts
//! and may have lost what it had. Until the answer is there only the primary can be trusted.

use super::gtid::GtidSet;
use crate::topology::ServerId;
use std::sync::Arc;
use std::time::Instant;

/// What everybody must see, and whom else to ask for it.
#[derive(Debug, Default)]
pub struct Floor {
    gtids: Option<Arc<GtidSet>>,
    /// When somebody was asked what is in it.
    raised: Option<Instant>,
    waits: Vec<Wait>,
}

/// An answer that is needed, to a question not asked before this moment.
#[derive(Debug, PartialEq, Eq)]
struct Wait {
    /// The replica whose answer would do; the primary's always does.
    replica: Option<ServerId>,
    since: Instant,
}

impl Floor {
    /// What must be seen, as far as it is known.
    pub fn gtids(&self) -> Option<&Arc<GtidSet>> {
        self.gtids.as_ref()
    }

    /// Whether more must be seen than is known yet.
    pub fn is_pending(&self) -> bool {
        !self.waits.is_empty()
    }

    /// Servers whose answer is waited for; `None` stands for the primary.
    pub fn awaited(&self) -> impl Iterator<Item = Option<ServerId>> {
        self.waits.iter().map(|wait| wait.replica)
    }

    /// What anybody saw at this replica must be seen wherever they read next.
    pub fn replaced(&mut self, replica: ServerId, now: Instant) {
        self.add(Wait { replica: Some(replica), since: now });
    }

    /// Anybody may have seen anything.
    pub fn unknown(&mut self, now: Instant) {
        self.add(Wait { replica: None, since: now });
    }

    /// This replica will not answer, or not truly: the primary must.
    pub fn silent(&mut self, replica: ServerId) {
        let mut since = None;
        self.waits.retain(|wait| {
            let is_its = wait.replica == Some(replica);
            since = since.max(Some(wait.since).filter(|_| is_its));
            !is_its
        });
        if let Some(since) = since {
            self.unknown(since);
        }
    }

    /// A server told what it has executed.
    pub fn told(&mut self, server: ServerId, is_primary: bool, asked: Instant, executed: &Arc<GtidSet>) {
        if is_primary && self.raised.is_some_and(|raised| raised <= asked) {
            // What a replica had that the primary has not got is its own; no other will ever have it.
            let known = |gtids: Arc<GtidSet>| if executed.contains(&gtids) { gtids } else { executed.clone() };
            self.gtids = self.gtids.take().map(known);
        }
        let before = self.waits.len();
        self.waits.retain(|wait| asked < wait.since || !(is_primary || wait.replica == Some(server)));
        if self.waits.len() == before {
            return;
        }
        self.raised = self.raised.max(Some(asked));
        match &mut self.gtids {
            Some(gtids) if gtids.family() == executed.family() => {
                // Unequal families were ruled out.
                let _same_family = Arc::make_mut(gtids).union(executed);
            }
            gtids => *gtids = Some(executed.clone()),
        }
    }

    /// Nobody can tell: the primary has no GTIDs, or does not speak to us.
    pub fn give_up(&mut self) {
        self.waits.clear();
    }

    /// Another primary: nothing that it lacks will ever be seen again.
    pub fn begin_anew(&mut self, now: Instant) {
        *self = Self::default();
        self.unknown(now);
    }

    /// Every replica contains this.
    pub fn contained(&mut self, everywhere: &GtidSet) {
        if self.gtids.as_ref().is_some_and(|gtids| everywhere.contains(gtids)) {
            self.gtids = None;
        }
    }

    fn add(&mut self, wait: Wait) {
        match self.waits.iter_mut().find(|known| known.replica == wait.replica) {
            Some(known) => known.since = known.since.max(wait.since),
            None => self.waits.push(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consistency::gtid::Family;
    use std::time::Duration;

    fn gtids(text: &str) -> Arc<GtidSet> {
        Arc::new(GtidSet::parse(Family::MariaDb, text).expect("well formed"))
    }

    const PRIMARY: ServerId = ServerId(0);
    const A: ServerId = ServerId(1);
    const B: ServerId = ServerId(2);

    #[test]
    fn the_replica_that_was_left_tells_what_must_be_seen() {
        let before = Instant::now();
        let now = before + Duration::from_millis(1);
        let later = now + Duration::from_millis(1);
        let mut floor = Floor::default();
        floor.replaced(A, now);
        floor.told(A, false, before, &gtids("0-1-4"));
        assert!(floor.is_pending(), "it was asked before");
        floor.told(B, false, later, &gtids("0-1-9"));
        assert!(floor.is_pending(), "another one does not know");
        floor.told(A, false, later, &gtids("0-1-5"));
        assert!(!floor.is_pending());
        assert_eq!(floor.gtids(), Some(&gtids("0-1-5")));
        floor.contained(&gtids("0-1-4"));
        assert!(floor.gtids().is_some());
        floor.contained(&gtids("0-1-5"));
        assert!(floor.gtids().is_none());
    }

    #[test]
    fn where_it_is_gone_only_the_primary_knows() {
        let now = Instant::now();
        let later = now + Duration::from_millis(1);
        let mut floor = Floor::default();
        floor.replaced(A, now);
        floor.silent(A);
        floor.told(A, false, later, &gtids("0-1-1"));
        assert!(floor.is_pending());
        floor.told(PRIMARY, true, later, &gtids("0-1-8"));
        assert_eq!((floor.is_pending(), floor.gtids()), (false, Some(&gtids("0-1-8"))));
    }

    #[test]
    fn what_only_a_replica_has_is_not_asked_of_others() {
        let now = Instant::now();
        let mut floor = Floor::default();
        floor.replaced(A, now);
        floor.told(A, false, now, &gtids("0-1-5,7-3-1"));
        assert_eq!(floor.gtids(), Some(&gtids("0-1-5,7-3-1")));
        floor.told(PRIMARY, true, now + Duration::from_millis(1), &gtids("0-1-6"));
        assert_eq!(floor.gtids(), Some(&gtids("0-1-6")));
    }

    #[test]
    fn another_primary_begins_another_history() {
        let now = Instant::now();
        let mut floor = Floor::default();
        floor.unknown(now);
        floor.told(PRIMARY, true, now + Duration::from_millis(1), &gtids("0-1-8"));
        floor.begin_anew(now);
        assert_eq!((floor.is_pending(), floor.gtids()), (true, None));
    }
}
