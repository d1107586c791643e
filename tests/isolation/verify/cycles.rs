//! Circles in the graph: what no order of commits and moments explains.

use super::{Check, Rule, Why};
use std::collections::BTreeSet;
use std::fmt::Write as _;

impl Check<'_> {
    /// Looks for cycles: first in what the data alone show, then with the promises about time.
    pub(super) fn cycles(&mut self) {
        let data = |why| !matches!(why, Why::Time | Why::Scope);
        let rounds: [&dyn Fn(Why) -> bool; 3] = [&data, &|why| why != Why::Time, &|_| true];
        for counts in rounds {
            let cycles = self.graph.cycles(counts);
            let is_enough = !cycles.is_empty();
            for cycle in cycles {
                self.report_cycle(&cycle);
            }
            if is_enough {
                return;
            }
        }
    }

    fn report_cycle(&mut self, cycle: &[(usize, Why)]) {
        let has = |wanted: Why| cycle.iter().any(|(_, why)| *why == wanted);
        let rule = if has(Why::Time) {
            Rule::Stale
        } else if has(Why::Scope) {
            Rule::ScopeUnseen
        } else if has(Why::Unseen) {
            Rule::ReadSkew
        } else if has(Why::Seen) {
            Rule::CircularFlow
        } else {
            Rule::DirtyWrite
        };
        let commits: BTreeSet<usize> = self.commits.values().copied().collect();
        let mut text = String::from("a circle:\n");
        for (node, why) in cycle {
            let Some(transaction) = self.nodes[*node] else { continue };
            let what = if commits.contains(node) { "the commit of" } else { "a read of" };
            let who = &self.history.transactions[transaction];
            writeln!(text, "    {what} {} at {}, {why:?}, before", who.client, who.invoked).expect("a string");
        }
        let involved: Vec<usize> = cycle.iter().filter_map(|(node, _)| self.nodes[*node]).collect();
        self.report(rule, &involved, &text);
    }
}
