//! `landbridge run`

use super::runtime;
use crate::config::{LogFormat, Settings};
use crate::lifecycle::Life;
use tracing_subscriber::EnvFilter;

/// Runs until it is told to end, or until another process has taken over and the last client has left.
pub(super) fn run(settings: &Settings) -> anyhow::Result<()> {
    start_log(settings);
    for warning in &settings.warnings {
        tracing::warn!(%warning, "configuration");
    }
    runtime()?.block_on(async {
        let life = Life::begin(settings).await?;
        let app = life.app();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            mysql = ?settings.listen.mysql.iter().map(ToString::to_string).collect::<Vec<_>>(),
            http = ?app.http,
            "ready for clients"
        );
        life.live().await;
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
