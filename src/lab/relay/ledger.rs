//! What went through a relay, and the cut that waits for its bytes. Pure: no sockets, no clock.

use std::collections::BTreeMap;

use crate::lab::relay::RoundTrips;

/// Closed connections that are remembered one by one. A benchmark opens hundreds of thousands.
const CLOSED_REMEMBERED: usize = 4096;

/// The totals of a relay at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections carried so far; those reset on arrival during a cut are not among them.
    pub connections_total: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// Round trips, as [`RoundTrips`] counts them.
    pub round_trips: u64,
    /// Bytes handed to the servers.
    pub bytes_to_server: u64,
    /// Bytes handed to the clients.
    pub bytes_to_client: u64,
    /// Bytes the clients put on the way.
    pub bytes_from_client: u64,
    /// Bytes the servers put on the way.
    pub bytes_from_server: u64,
}

impl Stats {
    /// What was added since `earlier`. `connections_open` is not a count and stays as it is.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            connections_total: self.connections_total.saturating_sub(earlier.connections_total),
            connections_open: self.connections_open,
            round_trips: self.round_trips.saturating_sub(earlier.round_trips),
            bytes_to_server: self.bytes_to_server.saturating_sub(earlier.bytes_to_server),
            bytes_to_client: self.bytes_to_client.saturating_sub(earlier.bytes_to_client),
            bytes_from_client: self.bytes_from_client.saturating_sub(earlier.bytes_from_client),
            bytes_from_server: self.bytes_from_server.saturating_sub(earlier.bytes_from_server),
        }
    }
}

/// The counters of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Counts from 0 in the order of arrival.
    pub id: u64,
    /// Whether it is still there.
    pub open: bool,
    /// Round trips, as [`RoundTrips`] counts them.
    pub round_trips: u64,
    /// Bytes handed to the server.
    pub bytes_to_server: u64,
    /// Bytes handed to the client.
    pub bytes_to_client: u64,
}

/// The books of one relay.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    total: Stats,
    connections: BTreeMap<u64, Entry>,
    /// The cut that waits.
    trap: Option<Trap>,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToServer,
    ToClient,
}

/// A cut that waits for bytes in one direction.
#[derive(Clone, Copy, Debug)]
struct Trap {
    direction: Direction,
    /// How many may still pass.
    limit: u64,
}

#[derive(Debug, Default)]
struct Entry {
    stats: ConnectionStats,
    /// How many cuts of what exists there had been when it came.
    cuts: u64,
    trips: RoundTrips,
    /// Sent in the trap's direction since it was armed.
    toward_trap: u64,
}

impl Ledger {
    pub(super) fn total(&self) -> Stats {
        self.total
    }

    pub(super) fn per_connection(&self) -> Vec<ConnectionStats> {
        self.connections.values().map(|entry| entry.stats).collect()
    }

    /// A connection came, behind so many cuts; returns its id.
    pub(super) fn open(&mut self, cuts: u64) -> u64 {
        let id = self.total.connections_total;
        self.total.connections_total += 1;
        self.total.connections_open += 1;
        let stats = ConnectionStats { id, open: true, ..ConnectionStats::default() };
        self.connections.insert(id, Entry { stats, cuts, ..Entry::default() });
        id
    }

    /// Whether a connection is open that this cut of what exists was to end.
    pub(super) fn is_open_before(&self, cut: u64) -> bool {
        self.connections.values().any(|entry| entry.stats.open && entry.cuts < cut)
    }

    pub(super) fn close(&mut self, id: u64) {
        let Some(entry) = self.connections.get_mut(&id) else {
            return;
        };
        entry.stats.open = false;
        self.total.connections_open -= 1;
        let closed = self.connections.len() as u64 - self.total.connections_open;
        if closed > CLOSED_REMEMBERED as u64 {
            let oldest = self.connections.values().find(|entry| !entry.stats.open);
            if let Some(id) = oldest.map(|entry| entry.stats.id) {
                self.connections.remove(&id);
            }
        }
    }

    /// One side put bytes on the way. `Some(n)` springs the trap: the first `n` of them may pass, then
    /// the connection is to be reset.
    pub(super) fn sent(&mut self, id: u64, direction: Direction, bytes: u64) -> Option<u64> {
        let entry = self.connections.get_mut(&id)?;
        match direction {
            Direction::ToServer => {
                self.total.bytes_from_client += bytes;
                if entry.trips.on_client_bytes() {
                    entry.stats.round_trips += 1;
                    self.total.round_trips += 1;
                }
            }
            Direction::ToClient => self.total.bytes_from_server += bytes,
        }
        let Trap { limit, .. } = self.trap.filter(|trap| trap.direction == direction)?;
        let before = entry.toward_trap;
        entry.toward_trap += bytes;
        if entry.toward_trap <= limit {
            return None;
        }
        self.trap = None;
        Some(limit - before)
    }

    pub(super) fn delivered_to_server(&mut self, id: u64, bytes: u64) {
        let Some(entry) = self.connections.get_mut(&id) else {
            return;
        };
        entry.stats.bytes_to_server += bytes;
        self.total.bytes_to_server += bytes;
    }

    pub(super) fn delivered_to_client(&mut self, id: u64, bytes: u64) {
        let Some(entry) = self.connections.get_mut(&id) else {
            return;
        };
        entry.trips.on_server_bytes();
        entry.stats.bytes_to_client += bytes;
        self.total.bytes_to_client += bytes;
    }

    pub(super) fn arm(&mut self, direction: Direction, bytes: u64) {
        self.trap = Some(Trap { direction, limit: bytes });
        for entry in self.connections.values_mut() {
            entry.toward_trap = 0;
        }
    }

    pub(super) fn disarm(&mut self) {
        self.trap = None;
    }

    pub(super) fn is_armed(&self) -> bool {
        self.trap.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{CLOSED_REMEMBERED, Direction, Ledger, Stats};

    #[test]
    fn the_trap_counts_each_connection_for_itself_and_springs_once() {
        let mut ledger = Ledger::default();
        let (probe, query) = (ledger.open(0), ledger.open(0));
        assert_eq!(ledger.sent(query, Direction::ToClient, 1_000_000), None, "not armed");

        ledger.arm(Direction::ToClient, 100);
        assert_eq!(ledger.sent(probe, Direction::ToClient, 80), None);
        assert_eq!(ledger.sent(query, Direction::ToClient, 80), None);
        assert_eq!(ledger.sent(query, Direction::ToClient, 80), Some(20));
        assert_eq!(ledger.sent(probe, Direction::ToClient, 80), None);
    }

    #[test]
    fn a_trap_minds_one_direction() {
        let mut ledger = Ledger::default();
        let query = ledger.open(0);
        ledger.arm(Direction::ToServer, 10);
        assert_eq!(ledger.sent(query, Direction::ToClient, 1_000), None);
        assert!(ledger.is_armed());
        assert_eq!(ledger.sent(query, Direction::ToServer, 11), Some(10));
        assert!(!ledger.is_armed());
        assert_eq!((ledger.total().bytes_from_server, ledger.total().bytes_from_client), (1_000, 11));
    }

    #[test]
    fn differences_keep_the_gauge() {
        let earlier = Stats { connections_total: 3, connections_open: 3, round_trips: 10, ..Stats::default() };
        let later = Stats { connections_total: 5, connections_open: 1, round_trips: 12, ..Stats::default() };
        let expected = Stats { connections_total: 2, connections_open: 1, round_trips: 2, ..Stats::default() };
        assert_eq!(later.since(&earlier), expected);
    }

    #[test]
    fn forgets_the_oldest_closed_connections_only() {
        let mut ledger = Ledger::default();
        let kept = ledger.open(0);
        for _ in 0..CLOSED_REMEMBERED + 10 {
            let id = ledger.open(0);
            ledger.close(id);
        }
        let connections = ledger.per_connection();
        assert_eq!(connections.len(), CLOSED_REMEMBERED + 1);
        assert_eq!((connections[0].id, connections[1].id), (kept, 11));
    }
}
