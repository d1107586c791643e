//! Waits of reads for replicas that are behind: of all who wait for the same on one replica, one asks it.

use crate::consistency::gtid::GtidSet;
use crate::topology::ServerId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How a wait ended: well, or with what the replica has instead, if it told.
pub type Outcome = Result<(), Option<Arc<GtidSet>>>;

/// All waits under way.
#[derive(Debug, Default)]
pub struct Waits(Mutex<Vec<Ongoing>>);

#[derive(Debug)]
struct Ongoing {
    server: ServerId,
    gtids: Arc<GtidSet>,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What somebody who must wait does.
#[derive(Debug)]
pub enum Turn<'a> {
    /// He asks, and tells the others.
    Ask(Asking<'a>),
    /// Somebody else has asked for as much.
    Listen(watch::Receiver<Option<Outcome>>),
}

/// The one who asks. Dropped without a word, it leaves the others without an answer.
#[derive(Debug)]
pub struct Asking<'a> {
    waits: &'a Waits,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Waits {
    /// Joins those who wait for a server to have these transactions, no more and no less.
    pub fn join(&self, server: ServerId, gtids: &Arc<GtidSet>) -> Turn<'_> {
        let mut ongoing = self.lock();
        let is_same = |wait: &&Ongoing| wait.server == server && wait.gtids == *gtids;
        if let Some(wait) = ongoing.iter().find(is_same) {
            return Turn::Listen(wait.outcome.clone());
        }
        let (outcome, listen) = watch::channel(None);
        ongoing.push(Ongoing { server, gtids: gtids.clone(), outcome: listen });
        Turn::Ask(Asking { waits: self, outcome })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Ongoing>> {
        // Whole between any two statements; a panic elsewhere does not change that.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asking<'_> {
    /// Tells everybody how it ended.
    pub fn ended(self, outcome: &Outcome) {
        self.outcome.send_replace(Some(outcome.clone()));
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.waits.lock().retain(|wait| !wait.outcome.same_channel(&self.outcome.subscribe()));
    }
}

/// How a wait ended that somebody else asked for; no answer is none.
pub async fn listen(mut outcome: watch::Receiver<Option<Outcome>>) -> Outcome {
    match outcome.wait_for(Option::is_some).await {
        Ok(told) => told.clone().unwrap_or(Err(None)),
        Err(_) => Err(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consistency::gtid::Family;

    fn gtids(text: &str) -> Arc<GtidSet> {
        Arc::new(GtidSet::parse(Family::MariaDb, text).expect("well formed"))
    }

    #[tokio::test]
    async fn one_asks_for_all_who_need_the_same() {
        let waits = Waits::default();
        let Turn::Ask(asking) = waits.join(ServerId(1), &gtids("0-1-5")) else { panic!("nobody asked yet") };
        let Turn::Listen(same) = waits.join(ServerId(1), &gtids("0-1-5")) else { panic!("the same") };
        assert!(matches!(waits.join(ServerId(2), &gtids("0-1-5")), Turn::Ask(_)), "another server");
        assert!(matches!(waits.join(ServerId(1), &gtids("0-1-6")), Turn::Ask(_)), "more");
        asking.ended(&Ok(()));
        assert_eq!(listen(same).await, Ok(()));
        assert!(waits.lock().is_empty());
    }

    #[tokio::test]
    async fn an_asker_who_leaves_is_no_answer() {
        let waits = Waits::default();
        let Turn::Ask(asking) = waits.join(ServerId(1), &gtids("0-1-5")) else { panic!("nobody asked yet") };
        let Turn::Listen(other) = waits.join(ServerId(1), &gtids("0-1-5")) else { panic!("the same") };
        drop(asking);
        assert_eq!(listen(other).await, Err(None));
        assert!(matches!(waits.join(ServerId(1), &gtids("0-1-5")), Turn::Ask(_)));
    }
}
