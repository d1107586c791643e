//! What systemd is told, where it listens (`Type=notify`); elsewhere nothing happens.

use crate::frontend::shared::Shared;
use crate::http::unready;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// After so long a unit is started, even if not everything is warm: clients are served, and a server that does not
/// answer must not keep systemd waiting.
const READY_AT_LATEST: Duration = Duration::from_secs(10);
/// How often the sentence for people is looked at.
const STATUS_EVERY: Duration = Duration::from_secs(2);
/// How often to look whether everything is warm.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Says that clients are served once everything is warm, or when that takes too long; from then on how it is, and
/// that this process lives.
pub async fn keep_telling(shared: Arc<Shared>) {
    let warm = async {
        let mut topology = shared.topology.clone();
        while !unready(&shared).is_empty() {
            let _tick = tokio::time::timeout(LOOK_EVERY, topology.changed()).await;
        }
    };
    let _not_warm = tokio::time::timeout(READY_AT_LATEST, warm).await;
    let mut told = status(&shared);
    tell(&[NotifyState::Ready, NotifyState::MainPid(std::process::id()), NotifyState::Status(&told)]);
    let alive = sd_notify::watchdog_enabled().map_or(STATUS_EVERY, |limit| limit / 2);
    let mut ticks = tokio::time::interval(alive.min(STATUS_EVERY).max(LOOK_EVERY));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = status(&shared);
        if now == told {
            tell(&[NotifyState::Watchdog]);
        } else {
            tell(&[NotifyState::Watchdog, NotifyState::Status(&now)]);
            told = now;
        }
    }
}

/// Another process is the service from now on.
pub fn main_is(pid: u32) {
    tell(&[NotifyState::MainPid(pid), NotifyState::Status("Another process has taken over")]);
}

/// The service ends.
pub fn stopping(clients: usize) {
    let status = format!("Draining: {clients} clients may finish what they began");
    tell(&[NotifyState::Stopping, NotifyState::Status(&status)]);
}

/// The file is being read again; [`reloaded`] must follow.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "no monotonic clock"),
    }
}

/// It has been read.
pub fn reloaded(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

fn status(shared: &Shared) -> String {
    let (clients, missing) = (shared.registry.len(), unready(shared));
    if missing.is_empty() {
        return format!("Serving {clients} clients");
    }
    format!("Serving {clients} clients; {}", missing.trim_end().replace('\n', "; "))
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "cannot notify systemd");
    }
}
