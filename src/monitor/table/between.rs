//! Between two primaries: every server answers and none takes writes, as in a planned change of roles. Whoever is
//! about to be the primary will tell what must be seen, so reads that depend on it had better wait than guess.

use super::Table;
use crate::topology::Health;
use std::time::{Duration, Instant};

/// If nobody has become the primary after this long, nobody is about to.
const LONGEST: Duration = Duration::from_secs(10);

impl Table {
    /// Whether a primary is about to be there.
    pub(super) fn is_between_primaries(&mut self, now: Instant) -> bool {
        if self.choice.primary.is_some() {
            self.between_since = None;
            return false;
        }
        let mut others = self.servers.iter().filter(|s| !s.is_retired());
        if !others.all(|s| *s.opinion.health() == Health::Up) {
            // Whoever comes and goes does not begin it anew.
            return false;
        }
        let since = *self.between_since.get_or_insert(now);
        now.saturating_duration_since(since) < LONGEST
    }
}
