//! `landbridge run`

use super::runtime;
use crate::app::App;
use crate::config::{LogFormat, Settings};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Runs until SIGTERM or SIGINT, then drains.
pub(super) fn run(settings: &Settings) -> anyhow::Result<()> {
    start_log(settings);
    for warning in &settings.warnings {
        tracing::warn!(%warning, "configuration");
    }
    runtime()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let app = App::start(settings).await?;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            mysql = ?settings.listen.mysql.iter().map(ToString::to_string).collect::<Vec<_>>(),
            http = ?app.http,
            "ready for clients"
        );
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!(clients = app.shared.registry.len(), "draining");
        app.shut_down().await;
        Ok(())
    })
}

/// Starts logging to standard error.
fn start_log(settings: &Settings) {
    let filter = EnvFilter::try_from_env("LANDBRIDGE_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("landbridge={}", settings.log.level)));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log.format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
