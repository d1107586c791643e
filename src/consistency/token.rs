//! Consistency tokens: what somebody has written or seen, and must see again. A value; see
//! [`scope`](super::scope) for who remembers it.

use super::gtid::GtidSet;
use crate::topology::{PrimaryReport, ServerId};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A set of more intervals is replaced by all that the primary has.
const MOST_PARTS: usize = 16;
/// How long a doubt lasts where the primary does not tell what it has.
const WITHOUT_REPORT: Duration = Duration::from_secs(10);

/// What a reader must see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Token {
    /// Transactions that must be contained in what is read.
    pub gtids: Option<Arc<GtidSet>>,
    /// Reads stay at the primary until then: for servers without GTIDs.
    pub primary_until: Option<Instant>,
    /// A write's answer was lost at this moment: it may have committed, or may yet.
    pub uncertain_since: Option<Instant>,
    /// Something was seen at the primary at this moment that no GTIDs name.
    pub unnamed_since: Option<Instant>,
    /// When it last grew.
    raised: Option<Instant>,
    /// Servers found to contain `gtids`, a bit each.
    satisfied: u64,
}

impl Token {
    /// A token of these transactions.
    pub fn of(gtids: Option<GtidSet>) -> Self {
        Self { gtids: gtids.map(Arc::new), ..Self::default() }
    }

    /// What must be seen after an exchange that wrote or saw this. `pin_for`: how long time is trusted.
    pub fn noted(noted: &Noted, now: Instant, pin_for: Duration) -> Self {
        let mut token = Self::default();
        match noted {
            Noted::Gtids(gtids) => token = Self::of(Some(gtids.clone())),
            Noted::Untold => token.primary_until = Some(now + pin_for),
            Noted::Uncertain => token.uncertain_since = Some(now),
            Noted::Unnamed => token.unnamed_since = Some(now),
        }
        token.raised(now)
    }

    /// The same token, which grew at this moment.
    pub fn raised(self, at: Instant) -> Self {
        Self { raised: Some(at), ..self }
    }

    /// When it last grew.
    pub fn grew(&self) -> Option<Instant> {
        self.raised
    }

    /// Whether nothing must be seen.
    pub fn is_empty(&self) -> bool {
        self.gtids.is_none() && !self.keeps_to_primary()
    }

    /// Whether only the primary is known to have what must be seen.
    pub fn keeps_to_primary(&self) -> bool {
        self.primary_until.is_some() || self.uncertain_since.is_some() || self.unnamed_since.is_some()
    }

    /// Whether a wait on this server has already shown that it contains the GTIDs.
    pub fn is_satisfied_on(&self, server: ServerId) -> bool {
        bit(server) & self.satisfied != 0
    }

    /// A wait showed that `server` contains `gtids`.
    pub fn satisfied_on(&mut self, server: ServerId, gtids: &GtidSet) {
        if self.gtids.as_ref().is_some_and(|own| gtids.contains(own)) {
            self.satisfied |= bit(server);
        }
    }

    /// Asks for what the other one asks for as well.
    pub fn merge(&mut self, other: &Self) {
        self.primary_until = self.primary_until.max(other.primary_until);
        self.uncertain_since = self.uncertain_since.max(other.uncertain_since);
        self.unnamed_since = self.unnamed_since.max(other.unnamed_since);
        self.raised = self.raised.max(other.raised);
        let Some(theirs) = &other.gtids else { return };
        match &mut self.gtids {
            Some(ours) if ours.contains(theirs) => {}
            Some(ours) if !theirs.contains(ours) && ours.family() == theirs.family() => {
                // Unequal families were ruled out.
                let _same_family = Arc::make_mut(ours).union(theirs);
                // What contains both contains all of it.
                self.satisfied &= other.satisfied;
            }
            // Another family means another primary: what it has seen is what counts now.
            _ => {
                self.gtids = Some(theirs.clone());
                self.satisfied = other.satisfied;
            }
        }
    }

    /// All that was seen until `asked` is contained in these transactions. They may be younger than that: who was asked
    /// answers behind a statement that waited.
    pub fn named(&mut self, asked: Instant, now: Instant, gtids: &GtidSet) {
        self.unnamed_since = self.unnamed_since.filter(|since| *since > asked);
        self.merge(&Self::of(Some(gtids.clone())).raised(now));
    }

    /// Forgets what is over: moments that have passed, doubts that the primary has cleared since, and
    /// transactions that every replica has.
    pub fn settle(&mut self, now: Instant, report: Option<&PrimaryReport>, everywhere: Option<&GtidSet>) {
        if self.primary_until.is_some_and(|until| until <= now) {
            self.primary_until = None;
        }
        if let Some(report) = report {
            let doubted = (self.uncertain_since, self.unnamed_since);
            self.uncertain_since = self.uncertain_since.filter(|since| *since >= report.nothing_on_its_way);
            self.unnamed_since = self.unnamed_since.filter(|since| *since >= report.asked);
            if doubted != (self.uncertain_since, self.unnamed_since) {
                // No doubt any more, but all that the primary had must be seen.
                self.merge(&Self { gtids: Some(report.executed.clone()), ..Self::default() });
            }
            let settled_at = report.primary_since.max(report.nothing_on_its_way);
            let is_settled = self.raised.is_none_or(|raised| raised < settled_at);
            let cut = self.gtids.as_ref().is_some_and(|gtids| {
                if report.executed.contains(gtids) {
                    // A set of many parts takes long to be compared and printed; all of it is in a simple one.
                    gtids.parts() > MOST_PARTS && gtids.parts() > 2 * report.executed.parts()
                } else {
                    // Lost with a former primary, or never at one: nobody will ever see it.
                    is_settled
                }
            });
            if cut {
                self.gtids = Some(report.executed.clone());
                self.satisfied = 0;
            }
        } else {
            // Nobody tells: then time must do.
            let is_recent = |since: &Instant| now.saturating_duration_since(*since) < WITHOUT_REPORT;
            self.uncertain_since = self.uncertain_since.filter(is_recent);
            self.unnamed_since = self.unnamed_since.filter(is_recent);
        }
        if let (Some(gtids), Some(everywhere)) = (&self.gtids, everywhere)
            && everywhere.contains(gtids)
        {
            self.gtids = None;
            self.satisfied = 0;
        }
    }
}

/// A server's bit; servers beyond the 64th are simply asked again.
fn bit(server: ServerId) -> u64 {
    1_u64.checked_shl(u32::from(server.0)).unwrap_or(0)
}

/// What one exchange wrote or saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// The server named the transactions.
    Gtids(GtidSet),
    /// It wrote, and the server does not say what: trust time.
    Untold,
    /// The answer was lost: it may have written, or may yet.
    Uncertain,
    /// It has seen what the primary had, and nobody says what that was.
    Unnamed,
}

/// What a write was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// Rows.
    Data,
    /// Possibly what tables there are and what they look like.
    Schema,
}
