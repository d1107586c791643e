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
    /// The cut that waits: how many bytes a server may still send.
    trap: Option<u64>,
}

#[derive(Debug, Default)]
struct Entry {
    stats: ConnectionStats,
    trips: RoundTrips,
    /// Sent by the server since the trap was armed.
    toward_trap: u64,
}

impl Ledger {
    pub(super) fn total(&self) -> Stats {
        self.total
    }

    pub(super) fn per_connection(&self) -> Vec<ConnectionStats> {
        self.connections.values().map(|entry| entry.stats).collect()
    }

    /// A connection came; returns its id.
    pub(super) fn open(&mut self) -> u64 {
        let id = self.total.connections_total;
        self.total.connections_total += 1;
        self.total.connections_open += 1;
        let stats = ConnectionStats { id, open: true, ..ConnectionStats::default() };
        self.connections.insert(id, Entry { stats, ..Entry::default() });
        id
    }

    /// Whether a connection with an id below this one is open.
    pub(super) fn is_open_before(&self, id: u64) -> bool {
        self.connections.range(..id).any(|(_, entry)| entry.stats.open)
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

    /// The client put bytes on the way.
    pub(super) fn client_sent(&mut self, id: u64) {
        let Some(entry) = self.connections.get_mut(&id) else {
            return;
        };
        if entry.trips.on_client_bytes() {
            entry.stats.round_trips += 1;
            self.total.round_trips += 1;
        }
    }

    /// The server put bytes on the way. `Some(n)` springs the trap: the first `n` of them may pass,
    /// then the connection is to be reset.
    pub(super) fn server_sent(&mut self, id: u64, bytes: u64) -> Option<u64> {
        let limit = self.trap?;
        let entry = self.connections.get_mut(&id)?;
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

    pub(super) fn arm(&mut self, bytes: u64) {
        self.trap = Some(bytes);
        for entry in self.connections.values_mut() {
            entry.toward_trap = 0;
        }
    }

    pub(super) fn disarm(&mut self) {
        self.trap = None;
    }
}

#[cfg(test)]
mod tests {
    use super::{CLOSED_REMEMBERED, Ledger, Stats};

    #[test]
    fn the_trap_counts_each_connection_for_itself_and_springs_once() {
        let mut ledger = Ledger::default();
        let (probe, query) = (ledger.open(), ledger.open());
        assert_eq!(ledger.server_sent(query, 1_000_000), None, "not armed");

        ledger.arm(100);
        assert_eq!(ledger.server_sent(probe, 80), None);
        assert_eq!(ledger.server_sent(query, 80), None);
        assert_eq!(ledger.server_sent(query, 80), Some(20));
        assert_eq!(ledger.server_sent(probe, 80), None);
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
        let kept = ledger.open();
        for _ in 0..CLOSED_REMEMBERED + 10 {
            let id = ledger.open();
            ledger.close(id);
        }
        let connections = ledger.per_connection();
        assert_eq!(connections.len(), CLOSED_REMEMBERED + 1);
        assert_eq!((connections[0].id, connections[1].id), (kept, 11));
    }
}
