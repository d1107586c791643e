//! Another configuration: who is new, who is retired, and what that means for what readers must see.

use super::entry::{Entry, Place};
use super::{Event, Table};
use crate::consistency::gtid::GtidSet;
use crate::monitor::health::Thresholds;
use crate::monitor::{Planned, ServerPlan};
use crate::topology::ServerId;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Table {
    /// From now on these are the servers. Those that are known and missing here are retired; ids that are not
    /// known yet come next, in order.
    pub(in crate::monitor) fn configure(
        &mut self,
        servers: &[(ServerId, Arc<str>, ServerPlan)],
        thresholds: Thresholds,
        [sight, grace]: [Duration; 2],
        now: Instant,
    ) -> Vec<Event> {
        (self.thresholds, self.sight, self.grace) = (thresholds, sight, grace);
        let is_gone = |entry: &&Entry| servers.iter().all(|(kept, ..)| *kept != entry.id);
        let gone: Vec<_> = self.servers.iter().filter(is_gone).map(|entry| entry.id).collect();
        for id in gone {
            self.retire(id);
        }
        let mut others_may_serve = false;
        for (id, name, plan) in servers {
            match self.entry(*id) {
                Some(entry) => {
                    others_may_serve |= may_serve_others(&entry.plan, plan);
                    entry.plan = plan.clone();
                }
                None => {
                    others_may_serve = true;
                    self.fill_up_to(*id);
                    self.servers.push(Entry::new(*id, name.clone(), plan.clone(), Place::Added));
                }
            }
        }
        if others_may_serve {
            // What all replicas have is remembered by nobody. Somebody who did not count among them may lack it. And
            // where weights are others, other scopes read from each.
            self.floor.unknown(now);
        }
        let mut events = Vec::new();
        self.choose(&mut events, now);
        events
    }

    /// Ids that were given away, and never came into use, have their places all the same.
    fn fill_up_to(&mut self, id: ServerId) {
        let plan = ServerPlan { role: Planned::Replica, local: false, weight: 0, max_lag: Duration::ZERO };
        for unused in (0..id.0).skip(self.servers.len()) {
            self.servers.push(Entry::new(ServerId(unused), "".into(), plan.clone(), Place::Retired));
        }
    }

    fn retire(&mut self, id: ServerId) {
        let Some(entry) = self.entry(id) else { return };
        entry.place = Place::Retired;
        entry.gtids.committed = None;
        if let Some(applied) = &mut entry.gtids.applied {
            *applied = Arc::new(GtidSet::empty(applied.family()));
        }
        // It will not be asked again: what was seen there the primary must tell.
        self.floor.silent(id);
    }
}

/// Whether a server may serve readers that it did not serve before.
fn may_serve_others(before: &ServerPlan, plan: &ServerPlan) -> bool {
    let was_primary = before.role != plan.role && before.role != Planned::Replica;
    was_primary || before.weight != plan.weight
}
