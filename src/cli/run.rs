//! `landbridge run`

use super::paint::Paint;
use crate::config::{LogFormat, LogLevel, Settings};
use crate::lifecycle::Life;
use std::path::Path;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

/// Says what is logged instead of the file, for as long as the process lives.
const LOG_VARIABLE: &str = "LANDBRIDGE_LOG";

/// Sets the level of the log, unless the environment has.
type SetLevel = Box<dyn Fn(LogLevel) -> bool + Send + Sync>;

/// Runs until it is told to end, or until another process has taken over and the last client has left. `path` is the
/// file, to be read again when that is asked for.
pub(super) fn run(path: &Path, settings: &Settings) -> anyhow::Result<()> {
    let set_level = start_log(settings);
    for warning in &settings.warnings {
        tracing::warn!(%warning, "configuration warning");
    }
    let runtime = runtime(settings.limits.threads)?;
    let done = runtime.block_on(async {
        let life = Life::begin(path, settings).await?;
        let app = life.app();
        app.on_log_level(set_level);
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            mysql = settings.listen.mysql.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            http = app.http.map_or_else(|| "off".to_owned(), |address| address.to_string()),
            "ready for clients"
        );
        life.live().await;
        Ok(())
    });
    // A name or a file that is asked for may never be answered.
    runtime.shutdown_background();
    done
}

/// With so many threads; half of the processors are the application's. One thread by itself spends less on each
/// statement than any of several, which hand each other work (`docs/decisions/0015`).
fn runtime(threads: Option<u32>) -> std::io::Result<Runtime> {
    let half = || std::thread::available_parallelism().map_or(1, |processors| processors.get() / 2);
    let threads = threads.map_or_else(half, |threads| threads as usize);
    let mut builder = if threads > 1 { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    builder.worker_threads(threads.max(1)).enable_all().build()
}

/// Starts logging to standard error. Returns what sets the level.
fn start_log(settings: &Settings) -> SetLevel {
    let filter = |level: LogLevel| EnvFilter::new(format!("landbridge={level}"));
    let chosen = EnvFilter::try_from_env(LOG_VARIABLE).ok();
    let is_chosen = chosen.is_some();
    let first = chosen.unwrap_or_else(|| filter(settings.log.level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(first)
        .with_writer(std::io::stderr)
        .with_ansi(Paint::of(&std::io::stderr()).is_on());
    let set: Box<dyn Fn(EnvFilter) + Send + Sync> = match settings.log.format {
        LogFormat::Text => {
            let log = log.with_filter_reloading();
            let handle = log.reload_handle();
            log.init();
            // It fails when there is no log any more.
            Box::new(move |filter| drop(handle.reload(filter)))
        }
        LogFormat::Json => {
            let log = log.json().flatten_event(true).with_filter_reloading();
            let handle = log.reload_handle();
            log.init();
            Box::new(move |filter| drop(handle.reload(filter)))
        }
    };
    Box::new(move |level| {
        if !is_chosen {
            set(filter(level));
        }
        !is_chosen
    })
}
