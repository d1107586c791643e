//! What systemd is told, where it listens (`Type=notify`); elsewhere nothing happens.

use crate::frontend::shared::Shared;
use crate::http::unready;
use sd_notify::NotifyState;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// After so long a unit is started, even if not everything is warm: clients are served, and a server that does not
/// answer must not keep systemd waiting.
const READY_AT_LATEST: Duration = Duration::from_secs(10);
/// How often the sentence for people is looked at.
const STATUS_EVERY: Duration = Duration::from_secs(2);
/// So long somebody may take to listen.
const PATIENCE: Duration = Duration::from_secs(1);
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
    let text = told.clone();
    tell(move || {
        sd_notify::notify(&[NotifyState::Ready, NotifyState::MainPid(std::process::id()), NotifyState::Status(&text)])
    })
    .await;
    let alive = sd_notify::watchdog_enabled().map_or(STATUS_EVERY, |limit| limit / 2);
    let mut ticks = tokio::time::interval(alive.min(STATUS_EVERY).max(LOOK_EVERY));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = status(&shared);
        if now == told {
            tell(|| sd_notify::notify(&[NotifyState::Watchdog])).await;
        } else {
            told.clone_from(&now);
            tell(move || sd_notify::notify(&[NotifyState::Watchdog, NotifyState::Status(&now)])).await;
        }
    }
}

/// Another process is the service from now on.
pub async fn main_is(pid: u32) {
    let status = NotifyState::Status("Another process has taken over");
    tell_soon(move || sd_notify::notify(&[NotifyState::MainPid(pid), status])).await;
}

/// The service ends.
pub async fn stopping(clients: usize) {
    let status = format!("Draining: {clients} clients may finish what they began");
    tell_soon(move || sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status(&status)])).await;
}

/// The file is being read again; [`reloaded`] must follow.
pub async fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell_soon(move || sd_notify::notify(&[NotifyState::Reloading, now])).await,
        Err(error) => tracing::debug!(%error, "no monotonic clock"),
    }
}

/// It has been read.
pub async fn reloaded(shared: &Shared) {
    let status = status(shared);
    tell_soon(move || sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)])).await;
}

fn status(shared: &Shared) -> String {
    let (clients, missing) = (shared.registry.len(), unready(shared));
    if missing.is_empty() {
        return format!("Serving {clients} clients");
    }
    format!("Serving {clients} clients; {}", missing.trim_end().replace('\n', "; "))
}

/// On a thread of its own: the socket of a systemd that reads nothing takes nothing in the end, and whoever writes waits.
async fn tell(say: impl FnOnce() -> io::Result<()> + Send + 'static) {
    if let Ok(Err(error)) = tokio::task::spawn_blocking(say).await {
        tracing::debug!(%error, "cannot notify systemd");
    }
}

/// The same, but whoever does not listen is not waited for.
async fn tell_soon(say: impl FnOnce() -> io::Result<()> + Send + 'static) {
    if tokio::time::timeout(PATIENCE, tell(say)).await.is_err() {
        tracing::debug!("systemd does not listen");
    }
}
