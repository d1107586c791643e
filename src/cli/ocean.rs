//! `landbridge ocean`: a relay that delays, for compose files and experiments.

use super::runtime;
use crate::lab::Relay;
use anyhow::Context;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::lookup_host;

/// Relays until interrupted.
pub(super) fn ocean(listen: SocketAddr, to: &str, rtt: Duration) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let target = lookup_host(to).await?.next().with_context(|| format!("{to} has no address"))?;
        let relay =
            Relay::start_at(listen, target, rtt / 2).await.with_context(|| format!("cannot listen on {listen}"))?;
        super::print(&format!("{listen} -> {to}, {rtt:?} round trip; stop with Ctrl-C"));
        tokio::signal::ctrl_c().await?;
        super::print(&format!(
            "{} round trips in {} connections",
            relay.stats().round_trips,
            relay.stats().connections_total
        ));
        Ok(())
    })
}
