//! What was acknowledged before something else began comes before it: for everybody at the primary, and for the
//! transactions of one scope wherever they read.

use super::{Check, Why};
use crate::history::{End, Moment};
use std::collections::BTreeMap;

/// Something that happens on a clock.
enum Tick {
    /// This node had come to pass.
    Done(usize),
    /// This node has not begun before.
    Begins(usize),
}

impl Check<'_> {
    /// One clock for the primary, and one for each scope.
    pub(super) fn clocks(&mut self) {
        let mut primary: Vec<(Moment, Tick)> = Vec::new();
        let mut scopes: BTreeMap<&str, Vec<(Moment, Tick)>> = BTreeMap::new();
        let history = self.history;
        for (number, transaction) in history.transactions.iter().enumerate() {
            let Some(commit) = self.commits.get(&number).copied() else { continue };
            primary.push((transaction.invoked, Tick::Begins(commit)));
            if transaction.end == End::Committed {
                primary.push((transaction.completed, Tick::Done(commit)));
                if let Some(scope) = &transaction.scope {
                    scopes.entry(scope).or_default().push((transaction.completed, Tick::Done(commit)));
                }
            }
        }
        for snapshot in &self.snapshots {
            let transaction = &history.transactions[snapshot.transaction];
            if let Some(commit) = self.commits.get(&snapshot.transaction) {
                self.graph.edge(snapshot.node, *commit, Why::Inside);
            }
            if snapshot.is_at_primary {
                primary.push((snapshot.invoked, Tick::Begins(snapshot.node)));
            }
            // Wherever it was taken, it shows nothing of what began later.
            primary.push((snapshot.completed, Tick::Done(snapshot.node)));
            if let Some(scope) = &transaction.scope {
                let clock = scopes.entry(scope).or_default();
                clock.push((snapshot.invoked, Tick::Begins(snapshot.node)));
                // What was seen stays seen once the transaction has come to an end.
                if matches!(transaction.end, End::Committed | End::RolledBack) {
                    clock.extend(snapshot.contains.iter().map(|commit| (transaction.completed, Tick::Done(*commit))));
                }
            }
        }
        self.clock(primary, Why::Time);
        for clock in scopes.into_values() {
            self.clock(clock, Why::Scope);
        }
    }

    /// A chain of moments: what was done before one of them comes before what begins after it.
    fn clock(&mut self, mut ticks: Vec<(Moment, Tick)>, why: Why) {
        // At the same moment nothing is known: what begins then does so first.
        ticks.sort_by_key(|(at, tick)| (*at, matches!(tick, Tick::Done(_))));
        let mut moment = None;
        for (_, tick) in ticks {
            match tick {
                Tick::Done(node) => {
                    let next = self.node(None);
                    self.graph.edge(node, next, why);
                    if let Some(moment) = moment.replace(next) {
                        self.graph.edge(moment, next, why);
                    }
                }
                Tick::Begins(node) => {
                    if let Some(moment) = moment {
                        self.graph.edge(moment, node, why);
                    }
                }
            }
        }
    }
}
