//! The file, read again while clients are served.

use super::notify;
use crate::app::App;
use crate::config::{self, Faults, Settings};
use std::convert::Infallible;
use std::path::Path;
use tokio::sync::Notify;

/// Reads the file again and tells what came of it: in the log, and how many things changed, or why nothing did.
pub(super) async fn reload(app: &App, path: &Path) -> Result<u64, String> {
    notify::reloading().await;
    let reloaded = read_again(app, path).await;
    notify::reloaded(&app.shared).await;
    reloaded
}

/// In a process that lingers: reads the file as often as the newest one has.
pub(super) async fn reload_whenever(again: &Notify, app: &App, path: &Path) -> Infallible {
    loop {
        again.notified().await;
        // The log has what came of it.
        let _told = read_again(app, path).await;
    }
}

/// Files may be on a disk that is slow, or gone for good: no client waits for them.
async fn load(path: &Path) -> Result<Result<Settings, Faults>, String> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || config::load(&path, &|name| std::env::var(name).ok()));
    read.await.map_err(|error| error.to_string())
}

async fn read_again(app: &App, path: &Path) -> Result<u64, String> {
    let settings = match load(path).await? {
        Ok(settings) => settings,
        Err(faults) => {
            app.reload_refused();
            for fault in &faults {
                tracing::error!(%fault, "configuration fault");
            }
            tracing::error!("the file has faults: the configuration stays as it was");
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            return Err(faults.join("; "));
        }
    };
    for warning in &settings.warnings {
        tracing::warn!(%warning, "configuration warning");
    }
    match app.reload(settings).await {
        Ok(reloaded) => {
            for key in &reloaded.needs_restart {
                tracing::warn!(key, "this has changed and needs a restart");
            }
            tracing::info!(
                applied = reloaded.applied.join("; "),
                fingerprint = reloaded.fingerprint,
                "configuration read again"
            );
            Ok(reloaded.applied.len() as u64)
        }
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(error, "the configuration cannot be used and stays as it was");
            Err(error)
        }
    }
}
