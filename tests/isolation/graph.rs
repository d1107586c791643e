//! A directed graph whose edges say why; its shortest cycles. Pure.

use std::collections::VecDeque;

/// Nodes are numbers from 0; edges are kept with what they mean.
#[derive(Clone, Debug)]
pub struct Graph<E> {
    edges: Vec<Vec<(usize, E)>>,
}

impl<E> Default for Graph<E> {
    fn default() -> Self {
        Self { edges: Vec::new() }
    }
}

impl<E: Copy> Graph<E> {
    /// A new node.
    pub fn node(&mut self) -> usize {
        self.edges.push(Vec::new());
        self.edges.len() - 1
    }

    /// `from` comes before `to`.
    pub fn edge(&mut self, from: usize, to: usize, why: E) {
        self.edges[from].push((to, why));
    }

    /// For each knot of nodes that all come before each other, a short cycle through it: each node with the edge that
    /// leaves it. Only edges that `counts` count.
    pub fn cycles(&self, counts: impl Fn(E) -> bool) -> Vec<Vec<(usize, E)>> {
        let knots = self.knots(&counts);
        let mut sizes = vec![0_usize; self.edges.len()];
        for knot in &knots {
            sizes[*knot] += 1;
        }
        let mut done = vec![false; self.edges.len()];
        let mut found = Vec::new();
        for start in 0..self.edges.len() {
            let knot = knots[start];
            let loops = self.edges[start].iter().any(|(to, why)| *to == start && counts(*why));
            if (sizes[knot] > 1 || loops) && !std::mem::replace(&mut done[knot], true) {
                found.push(self.shortest(start, |node| knots[node] == knot, &counts));
            }
        }
        found
    }

    /// The number of each node's strongly connected component (Tarjan, without recursion).
    fn knots(&self, counts: &impl Fn(E) -> bool) -> Vec<usize> {
        const NONE: usize = usize::MAX;
        let count = self.edges.len();
        let (mut order, mut low, mut knot) = (vec![NONE; count], vec![NONE; count], vec![NONE; count]);
        let (mut open, mut path): (Vec<usize>, Vec<(usize, usize)>) = (Vec::new(), Vec::new());
        let (mut next, mut knots) = (0, 0);
        for root in 0..count {
            if order[root] != NONE {
                continue;
            }
            path.push((root, 0));
            while let Some((node, edge)) = path.pop() {
                if edge == 0 {
                    (order[node], low[node]) = (next, next);
                    next += 1;
                    open.push(node);
                }
                // Where the walk goes on; what it has come back from is looked at again.
                let further = self.edges[node].iter().enumerate().skip(edge).find(|(_, (to, why))| {
                    let is_open = counts(*why) && knot[*to] == NONE;
                    if is_open && order[*to] != NONE {
                        low[node] = low[node].min(low[*to]);
                    }
                    is_open && order[*to] == NONE
                });
                if let Some((at, (to, _))) = further {
                    path.push((node, at + 1));
                    path.push((*to, 0));
                    continue;
                }
                if low[node] == order[node] {
                    while let Some(member) = open.pop() {
                        knot[member] = knots;
                        if member == node {
                            break;
                        }
                    }
                    knots += 1;
                }
                if let Some((parent, _)) = path.last() {
                    low[*parent] = low[*parent].min(low[node]);
                }
            }
        }
        knot
    }

    /// The shortest way from `start` back to it.
    fn shortest(&self, start: usize, inside: impl Fn(usize) -> bool, counts: &impl Fn(E) -> bool) -> Vec<(usize, E)> {
        let mut came: Vec<Option<(usize, E)>> = vec![None; self.edges.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for (to, why) in self.edges[node].iter().filter(|(to, why)| inside(*to) && counts(*why)) {
                if came[*to].is_some() {
                    continue;
                }
                came[*to] = Some((node, *why));
                if *to == start {
                    let mut way = Vec::new();
                    let mut at = start;
                    while let Some((from, why)) = came[at] {
                        way.push((from, why));
                        at = from;
                        if at == start {
                            break;
                        }
                    }
                    way.reverse();
                    return way;
                }
                queue.push_back(*to);
            }
        }
        unreachable!("the nodes of a knot all come before each other")
    }
}

#[cfg(test)]
mod tests {
    use super::Graph;

    fn cycles(nodes: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
        let mut graph = Graph::default();
        for _ in 0..nodes {
            graph.node();
        }
        for (from, to) in edges {
            graph.edge(*from, *to, ());
        }
        graph.cycles(|()| true).into_iter().map(|cycle| cycle.into_iter().map(|(node, ())| node).collect()).collect()
    }

    #[test]
    fn cycles_are_found_and_short() {
        let none: Vec<Vec<usize>> = Vec::new();
        assert_eq!(cycles(3, &[(0, 1), (1, 2), (0, 2)]), none);
        assert_eq!(cycles(3, &[(0, 1), (1, 2), (2, 0), (1, 0)]), [[0, 1]]);
        assert_eq!(cycles(6, &[(0, 1), (1, 2), (2, 1), (2, 3), (3, 4), (4, 5), (5, 3)]), [vec![1, 2], vec![3, 4, 5]]);
        assert_eq!(cycles(2, &[(0, 1), (1, 1)]), [[1]]);
        // A long chain is no matter of the stack.
        let chain: Vec<(usize, usize)> = (0..100_000).map(|n| (n, n + 1)).collect();
        assert_eq!(cycles(100_001, &chain), none);
    }

    /// Against the definition: what reaches itself is in a cycle.
    #[test]
    fn random_graphs() {
        let mut seed = 1_u64;
        let mut below = |bound: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((seed >> 33) % bound).expect("small")
        };
        for _ in 0..500 {
            let edges: Vec<(usize, usize)> = (0..below(14)).map(|_| (below(8), below(8))).collect();
            let mut reaches = [[false; 8]; 8];
            for (from, to) in &edges {
                reaches[*from][*to] = true;
            }
            for (via, from, to) in (0..512).map(|n| (n / 64, n / 8 % 8, n % 8)) {
                reaches[from][to] |= reaches[from][via] && reaches[via][to];
            }
            let found = cycles(8, &edges);
            let mut knots: Vec<Vec<usize>> = (0..8)
                .filter(|node| reaches[*node][*node])
                .map(|node| (0..8).filter(|other| reaches[node][*other] && reaches[*other][node]).collect())
                .collect();
            knots.dedup();
            knots.sort();
            knots.dedup();
            assert_eq!(found.len(), knots.len(), "{edges:?}");
            for cycle in found {
                for (at, node) in cycle.iter().enumerate() {
                    assert!(edges.contains(&(*node, cycle[(at + 1) % cycle.len()])), "{edges:?} {cycle:?}");
                }
            }
        }
    }
}
