//! From what probes find to what others see: the snapshot, metrics, the log and consistency tokens.

use super::calls::Calls;
use super::report::replication_privilege;
use super::table::{Event, Probed, Table};
use super::{MonitorSettings, ServerPlan};
use crate::consistency::gtid::GtidSet;
use crate::metrics::ServerMetrics;
use crate::topology::{Health, Lag, Role, ServerId, ServerView, Snapshot};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// The one place where probes of all servers meet.
#[derive(Debug)]
pub(super) struct Board {
    table: Mutex<Table>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    metrics: ServerMetrics,
    /// Wakes the watchers of servers whose word is waited for.
    calls: Calls,
}

impl Board {
    /// A board, and where its snapshots come out.
    pub(super) fn new(table: Table, calls: Calls, metrics: ServerMetrics) -> (Self, watch::Receiver<Arc<Snapshot>>) {
        let (snapshots, receiver) = watch::channel(table.snapshot().clone());
        (Self { table: Mutex::new(table), snapshots, metrics, calls }, receiver)
    }

    /// A full probe succeeded. Returns whether the server's GTIDs should be asked for in between.
    pub(super) fn probed(&self, id: ServerId, probed: Probed) -> bool {
        let mut table = self.lock();
        let events = table.probed(id, probed);
        self.publish(&mut table, id, &events);
        table.is_tracked_replica(id)
    }

    /// A replica told what it has executed. Returns whether to ask again.
    pub(super) fn applied(&self, id: ServerId, asked: Instant, answered: Instant, applied: GtidSet) -> bool {
        let mut table = self.lock();
        table.applied(id, asked, answered, applied);
        self.publish(&mut table, id, &[]);
        table.is_tracked_replica(id)
    }

    /// A probe failed.
    pub(super) fn failed(&self, id: ServerId, why: &Arc<str>) {
        let mut table = self.lock();
        let events = table.failed(id, why, Instant::now());
        self.publish(&mut table, id, &events);
    }

    /// The server answers, but not to us: its clients may still be served.
    pub(super) fn refused(&self, id: ServerId) {
        let mut table = self.lock();
        let events = table.refused(id, Instant::now());
        self.publish(&mut table, id, &events);
    }

    /// The control connection broke; whether that means anything, the next probe will tell.
    pub(super) fn lost(&self, id: ServerId) {
        let mut table = self.lock();
        table.lost(id, Instant::now());
        self.publish(&mut table, id, &[]);
    }

    /// Another configuration. Snapshots say so when this returns.
    pub(super) fn configure(&self, servers: &[(ServerId, Arc<str>, ServerPlan)], settings: &MonitorSettings) {
        self.calls.grow(servers.iter().map(|(id, ..)| usize::from(id.0) + 1).max().unwrap_or_default());
        let mut table = self.lock();
        let events = table.configure(servers, settings.thresholds(), settings.patience(), Instant::now());
        let before = table.snapshot().clone();
        for server in before.servers.iter().filter(|s| servers.iter().all(|(id, ..)| *id != s.id)) {
            self.hide(server);
        }
        self.publish(&mut table, None, &events);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is whole between any two probes; a panic elsewhere does not change that.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a snapshot if anything changed. Under the lock, so that they are sent in order.
    fn publish(&self, table: &mut Table, told: impl Into<Option<ServerId>>, events: &[Event]) {
        let told = told.into();
        if let Some(snapshot) = table.publish(Instant::now()) {
            let before = self.snapshots.send_replace(snapshot.clone());
            for (old, new) in before.servers.iter().zip(&snapshot.servers) {
                self.show_role(old, new);
            }
        }
        // Who was just heard, or does not answer, is asked when it is due.
        for awaited in table.awaited().into_iter().filter(|awaited| Some(*awaited) != told) {
            self.calls.ask(awaited);
        }
        let snapshot = table.snapshot();
        if let Some(server) = told.and_then(|id| snapshot.server(id)).filter(|s| s.health != Health::Retired) {
            self.show(server);
        }
        let (rivals, is_read_only) = table.alarms();
        self.metrics.rival_primaries.set(gauge(rivals as u128));
        self.metrics.primary_read_only.set(is_read_only.into());
        for event in events {
            tell(event, snapshot);
        }
    }

    /// Takes away what was shown of a server in its former role.
    fn show_role(&self, old: &ServerView, new: &ServerView) {
        if old.role == new.role {
            return;
        }
        // Nothing was shown of a server that was never probed.
        let _never_shown = self.metrics.up.remove_label_values(&[&old.name, role_name(old.role)]);
        let _never_shown = self.metrics.lag_seconds.remove_label_values(&[&old.name]);
        let _never_shown = self.metrics.replication_running.remove_label_values(&[&old.name]);
        if !matches!(new.health, Health::Unknown | Health::Retired) {
            self.show(new);
        }
    }

    /// Takes away all that was shown of a server.
    fn hide(&self, server: &ServerView) {
        let metrics = &self.metrics;
        let _never_shown = metrics.up.remove_label_values(&[&server.name, role_name(server.role)]);
        let _never_shown = metrics.lag_seconds.remove_label_values(&[&server.name]);
        let _never_shown = metrics.replication_running.remove_label_values(&[&server.name]);
        let _never_shown = metrics.rtt_seconds.remove_label_values(&[&server.name]);
    }

    fn show(&self, server: &ServerView) {
        let metrics = &self.metrics;
        let name = &*server.name;
        metrics.up.with_label_values(&[name, role_name(server.role)]).set((server.health == Health::Up).into());
        if server.role == Role::Replica {
            let lag = if let Lag::Behind(lag) = server.lag { Some(lag) } else { None };
            metrics.replication_running.with_label_values(&[name]).set(lag.is_some().into());
            match lag {
                Some(lag) => metrics.lag_seconds.with_label_values(&[name]).set(lag.as_secs_f64()),
                None => drop(metrics.lag_seconds.remove_label_values(&[name])),
            }
        }
        if let Some(rtt) = server.rtt {
            metrics.rtt_seconds.with_label_values(&[name]).set(rtt.as_secs_f64());
        }
    }
}

fn gauge(value: u128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Primary => "primary",
        Role::Replica => "replica",
    }
}

/// Writes an event to the log.
fn tell(event: &Event, snapshot: &Snapshot) {
    let name = |id: &ServerId| snapshot.server(*id).map_or("?", |s| &*s.name);
    match event {
        Event::Up(id) => {
            let rtt = snapshot.server(*id).and_then(|s| s.rtt).unwrap_or_default();
            tracing::info!(server = name(id), rtt_ms = rtt.as_secs_f64() * 1e3, "server is up");
        }
        Event::Down(id, why) => tracing::warn!(server = name(id), %why, "server is down"),
        Event::ReplicationStopped { id, source, error } => {
            let error = error.as_deref().unwrap_or("none");
            tracing::warn!(server = name(id), source, error, "replication is stopped");
        }
        Event::ReplicationRuns(id) => tracing::info!(server = name(id), "replication runs again"),
        Event::ReplicationHidden(id, family) => {
            let grant = replication_privilege(*family);
            tracing::warn!(server = name(id), grant, "the monitor's account may not ask for the state of replication");
        }
        Event::PrimaryIs(id) => tracing::info!(server = name(id), "primary found"),
        Event::NoPrimary => tracing::warn!("no server takes writes"),
        Event::Rivals(ids) => {
            let primary = snapshot.primary().map_or("none", |s| &*s.name);
            let rivals: Vec<_> = ids.iter().map(name).collect();
            tracing::error!(
                primary,
                rivals = %rivals.join(","),
                "several servers take writes: the one that was the primary stays it; make the others read-only"
            );
        }
        Event::PrimaryReadOnly(id) => tracing::error!(
            server = name(id),
            "role = \"primary\", but the server is read-only: writes will fail; make it writable, or write role = \"auto\" \
             at all servers that may become the primary"
        ),
        Event::PrimaryWritable(id) => tracing::info!(server = name(id), "the primary takes writes again"),
    }
}
