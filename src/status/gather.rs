//! From what the process knows at this moment to a report.

use super::report::{
    Clients, Connections, Consistency, Detail, FORMAT, Health, PoolLine, Replication, Report, Role, RoundTrips,
    RouteLine, ServerLine, State, StatementLine,
};
use super::{Plan, alarms, words};
use crate::frontend::digests::{Digest, Digests};
use crate::frontend::holds::Holds;
use crate::frontend::registry::ClientView;
use crate::frontend::shared::Shared;
use crate::metrics::Reading;
use crate::pool::{Counts, Pool};
use crate::protocol::capability::Capabilities;
use crate::topology::{self, Lag, ServerView, Snapshot};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// So many statements are told, by all their time and by their slowest.
const STATEMENTS: usize = 20;

/// Where everything is known.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Servers, pools, clients.
    pub shared: &'a Shared,
    /// What is counted.
    pub readings: &'a [Reading],
    /// What the file says.
    pub plan: &'a Plan,
    /// Since when the process runs.
    pub up: Duration,
    /// What is missing until everything is warm, in lines.
    pub missing: &'a str,
}

impl Source<'_> {
    /// Tells so much.
    pub fn report(&self, detail: Detail) -> Report {
        let Self { shared, plan, .. } = *self;
        let (snapshot, pools) = (shared.snapshot(), shared.pools.all());
        let pools: Vec<&Arc<Pool>> = pools.iter().filter(|pool| !pool.server().is_retired()).collect();
        let known = alarms::Known {
            rivals: self.sum("landbridge_rival_primaries") > 0,
            primary_is_read_only: self.sum("landbridge_primary_read_only") > 0,
            full: shared.lacks_of_space(),
            certificates: shared
                .certificates()
                .into_iter()
                .map(|(shown, at)| (shown, at.saturating_sub(now())))
                .collect(),
        };
        let in_full = detail == Detail::Full;
        // Its lines name users.
        let not_ready: Vec<String> = self.missing.lines().filter(|_| in_full).map(str::to_owned).collect();
        let servers = snapshot.servers.iter().filter(|server| server.health != topology::Health::Retired);
        Report {
            format: FORMAT,
            detail,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            fingerprint: self.fingerprint(),
            uptime_seconds: self.up.as_secs(),
            region: plan.region.clone(),
            state: self.state(),
            not_ready,
            alarms: alarms::of(&snapshot, plan, &known),
            servers: servers.map(|server| self.server(&snapshot, server, &pools, in_full)).collect(),
            pools: pools.iter().filter(|_| in_full).map(|pool| line(pool)).collect(),
            clients: self.clients(&pools),
            routes: self.routes(),
            round_trips: self.round_trips(&snapshot),
            consistency: Consistency {
                stale_reads_avoided: self.sum("landbridge_stale_reads_avoided_total"),
                waits: self.by("landbridge_gtid_waits_total", "outcome", |_| true),
            },
            statements: shared.digests.as_ref().filter(|_| in_full).map(statements).unwrap_or_default(),
        }
    }

    fn state(&self) -> State {
        let shared = self.shared;
        match () {
            () if shared.drain.is_cancelled() => State::Draining,
            () if shared.succession.is_lingering() => State::Lingering,
            () if shared.gate.is_paused() => State::Paused,
            () if self.missing.is_empty() => State::Serving,
            () => State::Warming,
        }
    }

    fn server(&self, snapshot: &Snapshot, server: &ServerView, pools: &[&Arc<Pool>], in_full: bool) -> ServerLine {
        let is_replica = server.role == topology::Role::Replica;
        let of_it = pools.iter().filter(|pool| pool.server().id == server.id);
        ServerLine {
            name: server.name.to_string(),
            region: self.plan.regions.get(&*server.name).cloned(),
            is_near: server.local,
            role: if is_replica { Role::Replica } else { Role::Primary },
            takes_reads: snapshot.readers.contains(&server.id),
            health: match server.health {
                topology::Health::Up if server.is_doubtful => Health::Doubtful,
                topology::Health::Up => Health::Up,
                topology::Health::Down(_) => Health::Down,
                topology::Health::Unknown | topology::Health::Retired => Health::Unknown,
            },
            why: words::why(server).filter(|_| in_full),
            rtt_ms: server.rtt.map(millis),
            replication: match server.lag {
                _ if !is_replica => Replication::None,
                Lag::Unknown => Replication::Unknown,
                Lag::Stopped => Replication::Stopped,
                Lag::Behind(_) => Replication::Running,
            },
            lag_ms: match server.lag {
                Lag::Behind(lag) if is_replica => u64::try_from(lag.as_millis()).ok(),
                _ => None,
            },
            max_lag_ms: u64::try_from(server.max_lag.as_millis()).unwrap_or(u64::MAX),
            position: server.executed.as_deref().filter(|_| in_full).map(words::short),
            has_everything: words::has_everything(snapshot, server).filter(|_| is_replica),
            connections: of_it.fold(Connections::default(), |sum, pool| sum.and(&connections(pool))),
            waits: self
                .by("landbridge_gtid_waits_total", "outcome", |reading| reading.label("server") == Some(&*server.name)),
        }
    }

    fn clients(&self, pools: &[&Arc<Pool>]) -> Clients {
        let waiting_for_connection = pools.iter().map(|pool| pool.counts().waiting).sum();
        let waiting_at_gate = self.shared.gate.waiting();
        Clients { waiting_for_connection, waiting_at_gate, ..census(&self.shared.registry.views()) }
    }

    fn routes(&self) -> Vec<RouteLine> {
        let is_meant = |reading: &&Reading| reading.name == "landbridge_statements_total" && reading.value > 0.0;
        let line = |reading: &Reading| RouteLine {
            target: reading.label("target").unwrap_or_default().to_owned(),
            reason: reading.label("reason").unwrap_or_default().to_owned(),
            count: whole(reading.value),
        };
        let mut routes: Vec<RouteLine> = self.readings.iter().filter(is_meant).map(line).collect();
        routes.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.target, &a.reason).cmp(&(&b.target, &b.reason))));
        routes
    }

    fn round_trips(&self, snapshot: &Snapshot) -> RoundTrips {
        let spent_at = self.by("landbridge_round_trips_total", "server", |_| true);
        let spent = snapshot.primary().map(|primary| spent_at.get(&*primary.name).copied().unwrap_or_default());
        let saved_by = self.by("landbridge_round_trips_saved_total", "kind", |reading| reading.value > 0.0);
        RoundTrips { saved: saved_by.values().sum(), saved_by, spent }
    }

    fn fingerprint(&self) -> String {
        let info = self.readings.iter().find(|reading| reading.name == "landbridge_config_info");
        info.and_then(|info| info.label("fingerprint")).unwrap_or_default().to_owned()
    }

    /// A metric, over all of its labels.
    fn sum(&self, name: &str) -> u64 {
        self.readings.iter().filter(|reading| reading.name == name).map(|reading| whole(reading.value)).sum()
    }

    /// A metric by one of its labels.
    fn by(&self, name: &str, label: &str, is_meant: impl Fn(&Reading) -> bool) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for reading in self.readings.iter().filter(|reading| reading.name == name && is_meant(reading)) {
            *sums.entry(reading.label(label).unwrap_or_default().to_owned()).or_default() += whole(reading.value);
        }
        sums
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Clients by what they hold.
fn census(clients: &[ClientView]) -> Clients {
    let mut census = Clients { connected: clients.len(), ..Clients::default() };
    for client in clients {
        census.running += usize::from(client.running.is_some());
        match &client.holds {
            _ if client.user.is_empty() => census.logging_in += 1,
            Holds::Nothing => census.free += 1,
            Holds::Begun => census.begun += 1,
            Holds::Optimistic(_) | Holds::Transaction(_) => census.in_transaction += 1,
            Holds::Pinned(_, pins) => {
                census.pinned += 1;
                for pin in pins {
                    *census.pins.entry(pin.as_str().to_owned()).or_default() += 1;
                }
            }
        }
    }
    census
}

fn connections(pool: &Pool) -> Connections {
    let (Counts { idle, leased, dialing, resetting, waiting }, settings) = (pool.counts(), pool.settings());
    Connections {
        idle,
        leased,
        resetting,
        warming: dialing,
        waiting,
        target: settings.min_warm.min(settings.max),
        max: settings.max,
    }
}

fn line(pool: &Arc<Pool>) -> PoolLine {
    PoolLine {
        server: pool.server().name.clone(),
        user: pool.account().user.clone(),
        flags: if pool.flags().contains(Capabilities::FOUND_ROWS) { "found_rows".into() } else { String::new() },
        is_warm: pool.is_warm(),
        connections: connections(pool),
        failure: pool.failure().map(|failure| failure.to_string()),
    }
}

/// Those that took most time in all, and the slowest.
fn statements(digests: &Digests) -> Vec<StatementLine> {
    let (all, now) = (digests.list(), Instant::now());
    let mut slowest: Vec<Duration> = all.iter().map(|digest| digest.worst).collect();
    slowest.sort_unstable_by(|a, b| b.cmp(a));
    let slow = slowest.get(STATEMENTS - 1).copied().unwrap_or_default();
    let is_told = |(place, digest): &(usize, &Digest)| *place < STATEMENTS || digest.worst > slow;
    all.iter().enumerate().filter(is_told).map(|(_, digest)| statement(digest, now)).collect()
}

fn statement(digest: &Digest, now: Instant) -> StatementLine {
    let mean = digest.total.div_f64(f64::from(u32::try_from(digest.count).unwrap_or(u32::MAX)).max(1.0));
    StatementLine {
        digest: digest.text.clone(),
        target: if digest.at_primary { "primary" } else { "replica" }.to_owned(),
        reason: digest.reason.as_str().to_owned(),
        count: digest.count,
        total_ms: millis(digest.total),
        mean_ms: millis(mean),
        worst_ms: millis(digest.worst),
        last_seconds: now.saturating_duration_since(digest.last).as_secs(),
    }
}

/// Milliseconds with three decimals.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters are whole, and never negative")]
fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

impl Connections {
    /// With those of another pool.
    fn and(self, other: &Self) -> Self {
        Self {
            idle: self.idle + other.idle,
            leased: self.leased + other.leased,
            resetting: self.resetting + other.resetting,
            warming: self.warming + other.warming,
            waiting: self.waiting + other.waiting,
            target: self.target + other.target,
            max: self.max + other.max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::binding::PinReason;
    use crate::frontend::digests::Seen;
    use crate::route::Reason;
    use crate::sql::{self, Mode};
    use crate::topology::ServerId;

    #[test]
    fn clients_are_counted_by_what_they_hold() {
        let now = Instant::now();
        let client = |user: &str, running, holds| ClientView {
            id: 7,
            user: user.into(),
            host: String::new(),
            schema: None,
            connected: now,
            running,
            since: None,
            holds,
            scope: None,
        };
        let pinned = |pins: &[PinReason]| client("app", None, Holds::Pinned(ServerId(0), pins.to_vec()));
        let census = census(&[
            client("", None, Holds::Nothing),
            client("app", None, Holds::Nothing),
            client("app", Some((ServerId(0), 9)), Holds::Transaction(ServerId(0))),
            client("app", None, Holds::Begun),
            pinned(&[PinReason::NamedLock]),
            pinned(&[PinReason::NamedLock, PinReason::TemporaryTable]),
        ]);
        let by_holding = (census.logging_in, census.free, census.in_transaction, census.begun, census.pinned);
        assert_eq!((census.connected, census.running, by_holding), (6, 1, (1, 1, 1, 1, 2)));
        let pins: Vec<_> = census.pins.iter().map(|(pin, count)| (&**pin, *count)).collect();
        assert_eq!(pins, [("named_lock", 2), ("temporary_table", 1)]);
    }

    #[test]
    fn the_most_and_the_slowest_statements_are_told_without_literals() {
        let digests = Digests::new(4096).expect("some");
        let add = |text: &str, millis, weight| {
            let took = Duration::from_millis(millis);
            let (mode, reason, ended) = (Mode::default(), Reason::Read, Instant::now());
            let (text, fingerprint) = (text.as_bytes(), sql::fingerprint(text.as_bytes(), mode));
            let seen = Seen { text, mode, fingerprint, at_primary: false, reason, took, weight, ended };
            digests.add(&seen);
        };
        for n in 0..u64::try_from(STATEMENTS * 2).expect("few") {
            add(&format!("SELECT secret{n} FROM t WHERE id = 'hidden'"), 10 + n, 100);
        }
        add("SELECT SLEEP(7)", 900, 1);
        let told = statements(&digests);
        assert_eq!(told.len(), STATEMENTS + 1, "the slowest took less in all than the others");
        assert_eq!((&*told[STATEMENTS].digest, told[STATEMENTS].worst_ms), ("SELECT SLEEP(?)", 900.0));
        assert!(told.iter().all(|line| !line.digest.contains("hidden")), "{told:?}");
    }
}
