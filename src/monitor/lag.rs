//! How far a replica is behind, by GTIDs where there are any. Pure: time is a parameter.
//!
//! The monitor remembers what the primary had executed at which moment. A replica is as far behind
//! as the oldest of these samples that it does not contain is old. Unlike `Seconds_Behind_Source`
//! this sees a replica whose receiver is stuck, counts in milliseconds and trusts no server's clock.

use super::report::{Replication, Threads};
use crate::consistency::gtid::GtidSet;
use crate::topology::Lag;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Samples this young are all kept, as far as [`DENSE`] allows.
const RECENT: Duration = Duration::from_secs(60);
/// Most samples kept because they are recent.
const DENSE: usize = 256;
/// Older samples stand at least this part of their age apart.
const COARSE: u32 = 16;
/// Samples older than this are forgotten: a replica this far behind is simply far behind.
const OLDEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What the primary had executed, and when, oldest first. Each sample contains the one before.
#[derive(Debug, Default)]
pub(super) struct History {
    samples: VecDeque<Sample>,
}

#[derive(Debug)]
struct Sample {
    /// When the set was first seen.
    at: Instant,
    executed: Arc<GtidSet>,
}

impl History {
    /// Remembers that the primary had executed this at that moment.
    pub(super) fn record(&mut self, at: Instant, executed: &Arc<GtidSet>) {
        if let Some(newest) = self.samples.back() {
            if newest.executed == *executed {
                return;
            }
            if !executed.contains(&newest.executed) {
                // The primary forgot something: a new history began.
                self.samples.clear();
            }
        }
        self.samples.push_back(Sample { at, executed: executed.clone() });
        self.thin(at);
    }

    /// How long ago the primary had executed something that `applied` lacks; zero if it lacks
    /// nothing, `None` if nothing is known of the primary.
    fn behind(&self, applied: &GtidSet, now: Instant) -> Option<Duration> {
        let newest = self.samples.back()?;
        if applied.contains(&newest.executed) {
            return Some(Duration::ZERO);
        }
        let first_missing = self.samples.partition_point(|s| applied.contains(&s.executed));
        let missing = self.samples.get(first_missing).unwrap_or(newest);
        Some(now.saturating_duration_since(missing.at))
    }

    /// The newest sample that each of these sets contains.
    pub(super) fn contained_in_all(&self, sets: &[&Arc<GtidSet>]) -> Option<Arc<GtidSet>> {
        let known = |s: &&Sample| sets.iter().all(|set| set.contains(&s.executed));
        self.samples.iter().rev().find(known).map(|s| s.executed.clone())
    }

    fn thin(&mut self, now: Instant) {
        let dense_from = self.samples.len().saturating_sub(DENSE);
        let (mut place, mut kept) = (0, None::<Instant>);
        self.samples.retain(|sample| {
            let age = now.saturating_duration_since(sample.at);
            let dense = place >= dense_from && age <= RECENT;
            let apart = kept.is_none_or(|kept| sample.at.saturating_duration_since(kept) >= age / COARSE);
            place += 1;
            let keep = age <= OLDEST && (dense || apart);
            if keep {
                kept = Some(sample.at);
            }
            keep
        });
    }
}

/// What is known of a replica when its lag is judged.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    /// How far it is behind by its heartbeat: whoever has one believes it before all else.
    pub(super) heartbeat: Option<Duration>,
    /// What it has executed.
    pub(super) applied: Option<&'a GtidSet>,
    /// What it says of its replication.
    pub(super) replication: &'a Replication,
    /// When its replication was last seen running.
    pub(super) ran_at: Option<Instant>,
    /// Whether the primary answered lately: silence says nothing about what it executes.
    pub(super) primary_is_seen: bool,
    /// How far behind it may be.
    pub(super) max_lag: Duration,
}

impl Evidence<'_> {
    /// The lag of the replica, and how old what it has is, which is known of some that are stopped, too.
    ///
    /// A stopped replica grows old like any other, so one that is known to be further behind than
    /// `max_lag` is reported with its age, which keeps reads away from it.
    pub(super) fn lag(&self, history: &History, now: Instant) -> (Lag, Option<Duration>) {
        let by_gtids = self.applied.and_then(|applied| history.behind(applied, now));
        // Containing the last thing seen of a primary that is not seen any more is no news.
        let is_news = |behind: &Duration| self.primary_is_seen || !behind.is_zero();
        let by_gtids = self.heartbeat.or(by_gtids).filter(is_news);
        let since_it_ran = || {
            let ran_at = self.ran_at.filter(|_| self.primary_is_seen)?;
            Some(now.saturating_duration_since(ran_at))
        };
        let behind = match self.replication {
            Replication::Hidden | Replication::Absent => by_gtids,
            Replication::Silent => by_gtids.or_else(since_it_ran),
            Replication::Configured(channels) => match channels.threads {
                Threads::Running { behind } => by_gtids.or(behind),
                Threads::Connecting => by_gtids.or_else(since_it_ran),
                Threads::Stopped => match by_gtids.or_else(since_it_ran) {
                    Some(age) if age > self.max_lag => Some(age),
                    age => return (Lag::Stopped, age),
                },
            },
        };
        (behind.map_or(Lag::Unknown, Lag::Behind), behind)
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Channels;
    use super::*;
    use crate::consistency::gtid::Family;

    fn gtids(text: &str) -> Arc<GtidSet> {
        Arc::new(GtidSet::parse(Family::MariaDb, text).expect("well formed"))
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// A primary that commits number n at second n, from 1 to `last`.
    fn busy(start: Instant, last: u64) -> History {
        let mut history = History::default();
        for n in 1..=last {
            history.record(start + seconds(n), &gtids(&format!("0-1-{n}")));
        }
        history
    }

    #[test]
    fn a_replica_is_as_old_as_the_oldest_sample_it_lacks() {
        let (start, mut history) = (Instant::now(), History::default());
        assert_eq!(history.behind(&gtids("0-1-5"), start), None);
        for (second, set) in [(1, "0-1-5"), (2, "0-1-5"), (3, "0-1-6"), (4, "0-1-9")] {
            history.record(start + seconds(second), &gtids(set));
        }
        for (applied, behind) in
            [("0-1-4", 4), ("0-1-5", 2), ("0-1-6", 1), ("0-1-8", 1), ("0-1-9", 0), ("0-1-10", 0), ("", 4)]
        {
            assert_eq!(history.behind(&gtids(applied), start + seconds(5)), Some(seconds(behind)), "{applied}");
        }
    }

    #[test]
    fn a_set_counts_from_the_moment_it_was_first_seen() {
        let (start, mut history) = (Instant::now(), History::default());
        history.record(start, &gtids("0-1-1"));
        for second in 10..100 {
            history.record(start + seconds(second), &gtids("0-1-2"));
        }
        assert_eq!(history.samples.len(), 2);
        assert_eq!(history.behind(&gtids("0-1-1"), start + seconds(100)), Some(seconds(90)));
    }

    #[test]
    fn old_samples_thin_out_and_stay_accurate() {
        let (start, last) = (Instant::now(), 100_000);
        let history = busy(start, last);
        assert!(history.samples.len() < 300, "{}", history.samples.len());
        for age in [1, 30, 59, 100, 500, 3_000, 20_000, 80_000] {
            let applied = gtids(&format!("0-1-{}", last - age - 1));
            let behind = history.behind(&applied, start + seconds(last)).expect("known").as_secs();
            assert!((age - age / 8..=age).contains(&behind), "{age}: {behind}");
        }
    }

    #[test]
    fn many_samples_in_a_minute_stay_within_bounds() {
        let (start, mut history) = (Instant::now(), History::default());
        for n in 1..10_000_u32 {
            history.record(start + Duration::from_millis(2) * n, &gtids(&format!("0-1-{n}")));
        }
        assert!(history.samples.len() < 500, "{}", history.samples.len());
    }

    #[test]
    fn a_primary_that_lost_transactions_begins_anew() {
        let start = Instant::now();
        let mut history = busy(start, 10);
        history.record(start + seconds(11), &gtids("0-1-3"));
        assert_eq!(history.behind(&gtids("0-1-3"), start + seconds(12)), Some(Duration::ZERO));
    }

    #[test]
    fn what_all_replicas_contain_is_found() {
        let history = busy(Instant::now(), 10);
        let (a, b) = (gtids("0-1-7,9-2-1"), gtids("0-1-6,9-3-5"));
        assert_eq!(history.contained_in_all(&[&a, &b]), Some(gtids("0-1-6")));
        assert_eq!(history.contained_in_all(&[&a, &gtids("")]), None);
    }

    #[test]
    fn all_evidence_counts() {
        let start = Instant::now();
        let (history, now) = (busy(start, 10), start + seconds(11));
        let configured = |threads| Replication::Configured(Channels { threads, ..Channels::default() });
        let running = |behind| configured(Threads::Running { behind });
        let (connecting, stopped) = (configured(Threads::Connecting), configured(Threads::Stopped));
        let behind = |n| Lag::Behind(seconds(n));
        let (all, some) = (Some("0-1-10"), Some("0-1-7"));
        for (applied, replication, ran, seen, max_lag, lag) in [
            // GTIDs are believed before Seconds_Behind.
            (all, running(Some(seconds(7))), Some(0), true, 5, behind(0)),
            (some, running(Some(seconds(0))), Some(0), true, 5, behind(3)),
            (None, running(Some(seconds(7))), Some(0), true, 5, behind(7)),
            (None, running(None), Some(0), true, 5, Lag::Unknown),
            // The monitor may not ask.
            (some, Replication::Hidden, None, true, 5, behind(3)),
            (None, Replication::Hidden, None, true, 5, Lag::Unknown),
            // Replicated by other means than a channel.
            (all, Replication::Absent, None, true, 5, behind(0)),
            // The primary is out of sight: what is missing is missing, what is not may be.
            (some, running(None), Some(0), false, 5, behind(3)),
            (all, running(Some(seconds(2))), Some(0), false, 5, behind(2)),
            (all, connecting.clone(), Some(4), false, 5, Lag::Unknown),
            (all, connecting.clone(), Some(4), true, 5, behind(0)),
            (None, connecting, Some(4), true, 5, behind(4)),
            // Stopped, until it is older than allowed.
            (all, stopped.clone(), Some(9), true, 5, Lag::Stopped),
            (some, stopped.clone(), Some(9), true, 5, Lag::Stopped),
            (some, stopped.clone(), Some(9), true, 2, behind(3)),
            (None, stopped.clone(), Some(4), true, 5, Lag::Stopped),
            (None, stopped.clone(), Some(6), true, 5, behind(6)),
            (None, stopped, None, true, 5, Lag::Stopped),
        ] {
            let set = applied.map(gtids);
            let evidence = Evidence {
                heartbeat: None,
                applied: set.as_deref(),
                replication: &replication,
                ran_at: ran.and_then(|n| now.checked_sub(seconds(n))),
                primary_is_seen: seen,
                max_lag: seconds(max_lag),
            };
            assert_eq!(evidence.lag(&history, now).0, lag, "{evidence:?}");
        }
    }
}
