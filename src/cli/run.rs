//! `landbridge run`

use super::runtime;
use crate::app::App;
use crate::config::{self, LogFormat, LogLevel, Settings};
use std::convert::Infallible;
use std::path::Path;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Says what is logged instead of the file, for as long as the process lives.
const LOG_VARIABLE: &str = "LANDBRIDGE_LOG";

/// Sets the level of the log.
type SetLevel = Box<dyn Fn(LogLevel) + Send + Sync>;

/// Runs until SIGTERM or SIGINT, then drains. SIGHUP has the file at `path` read again.
pub(super) fn run(path: &Path, settings: &Settings) -> anyhow::Result<()> {
    let set_level = start_log(settings);
    for warning in &settings.warnings {
        tracing::warn!(%warning, "configuration");
    }
    runtime()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let hangup = signal(SignalKind::hangup())?;
        let app = App::start(settings).await?;
        app.on_log_level(set_level);
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            mysql = ?settings.listen.mysql.iter().map(ToString::to_string).collect::<Vec<_>>(),
            http = ?app.http,
            "ready for clients"
        );
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            never = follow_file(&app, path, hangup) => match never {},
        }
        tracing::info!(clients = app.shared.registry.len(), "draining");
        app.shut_down().await;
        Ok(())
    })
}

/// Reads the file again whenever that is asked for.
async fn follow_file(app: &App, path: &Path, mut asked: Signal) -> Infallible {
    loop {
        if asked.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        reload(app, path).await;
    }
}

/// Reads the file again and tells what came of it.
async fn reload(app: &App, path: &Path) {
    let settings = match config::load(path, &|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(faults) => {
            app.reload_refused();
            for fault in &faults {
                tracing::error!(%fault, "configuration");
            }
            tracing::error!("the file has faults: the configuration stays as it was");
            return;
        }
    };
    for warning in &settings.warnings {
        tracing::warn!(%warning, "configuration");
    }
    match app.reload(settings).await {
        Ok(reloaded) => {
            for key in &reloaded.needs_restart {
                tracing::warn!(key, "this has changed and needs a restart");
            }
            tracing::info!(applied = ?reloaded.applied, fingerprint = reloaded.fingerprint, "configuration read again");
        }
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(error, "the configuration cannot be used and stays as it was");
        }
    }
}

/// Starts logging to standard error. Returns what sets the level.
fn start_log(settings: &Settings) -> SetLevel {
    let filter = |level: LogLevel| EnvFilter::new(format!("landbridge={level}"));
    let chosen = EnvFilter::try_from_env(LOG_VARIABLE).ok();
    let is_chosen = chosen.is_some();
    let first = chosen.unwrap_or_else(|| filter(settings.log.level));
    let log = tracing_subscriber::fmt().with_env_filter(first).with_writer(std::io::stderr);
    let set: Box<dyn Fn(EnvFilter) + Send + Sync> = match settings.log.format {
        LogFormat::Text => {
            let log = log.with_filter_reloading();
            let handle = log.reload_handle();
            log.init();
            // It fails when there is no log any more.
            Box::new(move |filter| drop(handle.reload(filter)))
        }
        LogFormat::Json => {
            let log = log.json().with_filter_reloading();
            let handle = log.reload_handle();
            log.init();
            Box::new(move |filter| drop(handle.reload(filter)))
        }
    };
    Box::new(move |level| {
        if !is_chosen {
            set(filter(level));
        }
    })
}
