//! Processes that serve the same clients for a while: one has handed its sockets over and *lingers* until its
//! sessions have left, its successor accepts all that are new.
//!
//! What the sessions of the lingering one write and see must be seen by everybody at the successor, and the other
//! way round. The first is told before a client gets its answer; for the second the lingering one reads at the
//! primary, which has everything. So nobody at the successor waits for anything. `docs/decisions/0012` has the
//! reasons; the line between the processes is `lifecycle::line`'s.

use crate::consistency::gtid::GtidSet;
use crate::consistency::scope::Scope;
use crate::consistency::token::{Changed, Noted, Token};
use crate::topology::{ServerId, Snapshot};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Sessions that may wait to be told that the successor knows.
const QUEUE: usize = 1024;

/// What one process knows of those before and after it.
#[derive(Debug, Default)]
pub struct Succession {
    /// A [`Stage`]; changed only by whoever holds `untold`.
    stage: AtomicU8,
    untold: Mutex<Untold>,
    /// What clients of other processes wrote and saw.
    others: Scope,
    /// Whether there may be anything in it.
    heeds_others: AtomicBool,
    /// Processes that linger while this one is the newest.
    elders: AtomicUsize,
    /// Where they are told what an operator wants.
    orders: Mutex<Vec<mpsc::Sender<Order>>>,
}

/// Where a process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    /// Nobody has taken over.
    Serving,
    /// A successor has, and is told.
    Lingering,
    /// A successor has, and nobody can be told any more.
    Bereft,
}

/// What the successor must hear of.
#[derive(Debug, Default)]
struct Untold {
    token: Token,
    line: Option<mpsc::Sender<Ask>>,
}

/// Somebody waits until the successor knows all that was noted before this was sent.
pub type Ask = oneshot::Sender<()>;

/// What an operator wants of a process that lingers, and where it says how much that concerned.
#[derive(Debug)]
pub struct Order {
    /// What.
    pub what: Wish,
    /// How many connections are still in use, or how many statements have waited.
    pub answer: oneshot::Sender<usize>,
}

/// What an operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Hold statements back, each at most so long.
    Pause(Duration),
    /// Let them go on.
    Resume,
    /// Go by the file as it is now.
    Reload,
}

/// A process that lingers has not done what was wanted of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a process that lingers since a take-over does not answer")]
pub struct Deaf;

impl Succession {
    /// Whether a successor serves new clients.
    pub fn is_lingering(&self) -> bool {
        self.stage() != Stage::Serving
    }

    /// Whether other processes serve the same clients, or did a moment ago.
    pub(super) fn is_shared(&self) -> bool {
        self.is_lingering() || self.heeds_others.load(Ordering::SeqCst)
    }

    /// Records what an exchange wrote or saw. Whether the successor must be [told](Self::told) of it.
    pub(super) fn note(&self, noted: &Noted, now: Instant, pin_for: Duration) -> bool {
        // A write whose answer was lost may come true after the successor has begun.
        let lasts = *noted == Noted::Uncertain;
        if !lasts && !self.is_lingering() {
            return false;
        }
        let mut untold = self.lock();
        // Handing over takes the lock: whatever is noted before is covered by the successor's own beginning.
        let lingers = self.is_lingering();
        if lasts || lingers {
            untold.token.merge(&Token::noted(noted, now, pin_for));
        }
        lingers
    }

    /// Waits until the successor knows what was noted. False if that will never be.
    pub(super) async fn told(&self) -> bool {
        let line = {
            // Both change under the lock.
            let untold = self.lock();
            match (self.stage(), untold.line.clone()) {
                (Stage::Serving, _) => return true,
                (Stage::Lingering, Some(line)) => line,
                _ => return false,
            }
        };
        let (ask, answer) = oneshot::channel();
        let told = line.send(ask).await.is_ok() && answer.await.is_ok();
        // Where the successor is gone and this process serves again, nobody needs to be told.
        told || self.stage() == Stage::Serving
    }

    /// What clients of other processes wrote and saw, if there may be anything.
    pub(super) fn others(&self, now: Instant, snapshot: &Snapshot) -> Option<&Scope> {
        if !self.heeds_others.load(Ordering::SeqCst) {
            return None;
        }
        if self.elders.load(Ordering::SeqCst) == 0 && self.others.token(now, snapshot).is_empty() {
            self.heeds_others.store(false, Ordering::SeqCst);
            // One may have come meanwhile, or told something.
            let came = self.elders.load(Ordering::SeqCst) > 0 || !self.others.token(now, snapshot).is_empty();
            self.heeds_others.fetch_or(came, Ordering::SeqCst);
            return None;
        }
        Some(&self.others)
    }

    /// How many processes that served before this one still have clients.
    pub fn elders(&self) -> usize {
        self.elders.load(Ordering::SeqCst)
    }

    /// A wait showed that `server` contains `gtids`.
    pub(super) fn satisfied_on(&self, server: ServerId, gtids: &GtidSet) {
        if self.heeds_others.load(Ordering::SeqCst) {
            self.others.satisfied_on(server, gtids);
        }
    }

    /// A successor serves new clients from now on. Returns who waits until it knows of something, and what it must
    /// know at once.
    pub fn hand_over(&self) -> (mpsc::Receiver<Ask>, Token) {
        let (sender, asks) = mpsc::channel(QUEUE);
        let mut untold = self.lock();
        untold.line = Some(sender);
        self.stage.store(Stage::Lingering as u8, Ordering::SeqCst);
        let mut token = std::mem::take(&mut untold.token);
        // What elder processes told is the successor's to know now.
        token.merge(&self.others.everything());
        (asks, token)
    }

    /// What the successor has not been told yet.
    pub fn take_untold(&self) -> Token {
        std::mem::take(&mut self.lock().token)
    }

    /// The successor is gone, and this process serves again. `names_gtids`: whether the primary can tell what
    /// the other did.
    pub fn serves_again(&self, names_gtids: bool, pin_for: Duration) {
        self.is_beside_others(names_gtids, pin_for);
        if names_gtids {
            // What it sent to the primary last may still be on its way.
            self.others.note(&Noted::Uncertain, Changed::Schema, Instant::now(), pin_for);
        }
        let mut untold = self.lock();
        untold.line = None;
        self.stage.store(Stage::Serving as u8, Ordering::SeqCst);
    }

    /// Nobody can be told anything any more, and somebody may serve.
    pub fn is_bereft(&self) {
        let mut untold = self.lock();
        untold.line = None;
        self.stage.store(Stage::Bereft as u8, Ordering::SeqCst);
    }

    /// From now on clients of other processes must be reckoned with: whatever they wrote and saw until now.
    pub fn is_beside_others(&self, names_gtids: bool, pin_for: Duration) {
        let before = if names_gtids { Noted::Unnamed } else { Noted::Untold };
        self.others.note(&before, Changed::Schema, Instant::now(), pin_for);
        self.heeds_others.store(true, Ordering::SeqCst);
    }

    /// An elder process will tell what it does, and wants to hear what comes out of what is returned.
    pub fn elder_came(&self) -> mpsc::Receiver<Order> {
        let (sender, orders) = mpsc::channel(1);
        self.orders().push(sender);
        self.elders.fetch_add(1, Ordering::SeqCst);
        self.heeds_others.store(true, Ordering::SeqCst);
        orders
    }

    /// Has all elder processes do something; how much it concerned at all of them together.
    ///
    /// # Errors
    /// One of them is there and has not done it `within` this time. Others have.
    pub async fn order(&self, what: Wish, within: Duration) -> Result<usize, Deaf> {
        let lines = self.orders().clone();
        // All at once: who hangs keeps nobody else from hearing it.
        let mut told = JoinSet::new();
        for line in lines {
            told.spawn(async move {
                let (answer, answered) = oneshot::channel();
                // Whoever has gone meanwhile has taken its clients along.
                line.send(Order { what, answer }).await.is_ok().then_some(answered)?.await.ok()
            });
        }
        let all = async {
            let mut sum = 0;
            while let Some(one) = told.join_next().await {
                sum += one.ok().flatten().unwrap_or_default();
            }
            sum
        };
        tokio::time::timeout(within, all).await.map_err(|_| Deaf)
    }

    /// An elder process tells what its clients wrote or saw.
    pub fn heed(&self, token: &Token) {
        self.others.take_on(token);
    }

    /// An elder process has gone, or tells somebody else by now.
    pub(super) fn elder_left(&self) {
        self.elders.fetch_sub(1, Ordering::SeqCst);
    }

    fn orders(&self) -> MutexGuard<'_, Vec<mpsc::Sender<Order>>> {
        // Whole between any two statements, as what `lock` guards.
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.retain(|line| !line.is_closed());
        orders
    }

    fn stage(&self) -> Stage {
        match self.stage.load(Ordering::SeqCst) {
            0 => Stage::Serving,
            1 => Stage::Lingering,
            _ => Stage::Bereft,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Untold> {
        // Whole between any two statements; a panic elsewhere does not change that.
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consistency::gtid::Family;
    use crate::topology::PrimaryReport;
    use std::sync::Arc;

    const PIN: Duration = Duration::from_secs(2);

    fn wrote(text: &str) -> Noted {
        Noted::Gtids(GtidSet::parse(Family::MariaDb, text).expect("well formed"))
    }

    #[tokio::test]
    async fn nobody_is_told_before_there_is_a_successor() {
        let succession = Succession::default();
        let now = Instant::now();
        assert!(!succession.note(&wrote("0-1-1"), now, PIN));
        assert!(!succession.note(&Noted::Uncertain, now, PIN));
        assert!(succession.told().await);
        let (mut asks, token) = succession.hand_over();
        assert_eq!((token.gtids, token.uncertain_since), (None, Some(now)), "only what may come true later");
        assert!(succession.note(&wrote("0-1-2"), now, PIN));
        let telling = async {
            let ask = asks.recv().await.expect("somebody waits");
            assert_eq!(succession.take_untold().gtids.expect("named").to_string(), "0-1-2");
            ask.send(()).expect("it still waits");
        };
        assert!(tokio::join!(succession.told(), telling).0);
    }

    #[tokio::test]
    async fn who_waits_when_the_line_breaks_learns_what_became_of_it() {
        let succession = Succession::default();
        let (asks, _) = succession.hand_over();
        let (told, ()) = tokio::join!(succession.told(), async {
            succession.serves_again(true, PIN);
            drop(asks);
        });
        assert!(told && !succession.is_lingering());
        assert!(succession.others.everything().keeps_to_primary(), "what the other did is not known");
        let (asks, _) = succession.hand_over();
        let (told, ()) = tokio::join!(succession.told(), async {
            succession.is_bereft();
            drop(asks);
        });
        assert!(!told && !succession.told().await && succession.is_lingering());
    }

    #[test]
    fn others_are_heeded_until_replicas_have_what_they_did() {
        let (succession, nothing) = (Succession::default(), Snapshot::default());
        assert!(succession.others(Instant::now(), &nothing).is_none());
        succession.elder_came();
        succession.is_beside_others(true, PIN);
        let gtids = |text| Arc::new(GtidSet::parse(Family::MariaDb, text).expect("well formed"));
        let seen = |everywhere| {
            let asked = Instant::now();
            let (primary_since, nothing_on_its_way) = (asked, asked);
            let report = PrimaryReport { asked, nothing_on_its_way, primary_since, executed: gtids("0-1-9") };
            Snapshot { report: Some(report), everywhere: Some(gtids(everywhere)), ..Snapshot::default() }
        };
        let behind = seen("0-1-8");
        let others = succession.others(Instant::now(), &behind).expect("heeded");
        assert_eq!(others.token(Instant::now(), &behind).gtids, Some(gtids("0-1-9")));
        let caught_up = seen("0-1-9");
        assert!(succession.others(Instant::now(), &caught_up).is_some(), "it may tell more");
        succession.elder_left();
        assert!(succession.others(Instant::now(), &behind).is_some(), "it has told something");
        assert!(succession.others(Instant::now(), &caught_up).is_none() && !succession.is_shared());
    }
}
