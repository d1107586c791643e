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
                    others_may_serve |= may_serve_now(&entry.plan, plan);
                    entry.plan = plan.clone();
                }
                None => {
                    others_may_serve = true;
                    self.servers.push(Entry::new(*id, name.clone(), plan.clone(), Place::Added));
                }
            }
        }
        if others_may_serve {
            // What all replicas have is remembered by nobody. Somebody who did not count among them may lack it.
            self.floor.unknown(now);
        }
        let mut events = Vec::new();
        self.choose(&mut events, now);
        events
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

/// Whether a server may serve reads, or may do so in another role, that could not before.
fn may_serve_now(before: &ServerPlan, plan: &ServerPlan) -> bool {
    let was_primary = before.role != plan.role && before.role != Planned::Replica;
    was_primary || (before.weight == 0 && plan.weight > 0)
}
