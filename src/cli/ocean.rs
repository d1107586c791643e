//! `landbridge ocean`: a relay that delays, for compose files and experiments.

use super::runtime;
use crate::lab::Relay;
use anyhow::Context;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::lookup_host;

/// How often the name is looked up again: a container that starts anew may have another address.
const LOOK_UP_EVERY: Duration = Duration::from_secs(1);

/// Relays until interrupted.
pub(super) fn ocean(listen: SocketAddr, to: &str, rtt: Duration) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let target = lookup_host(to).await?.next().with_context(|| format!("{to} has no address"))?;
        let relay =
            Relay::start_at(listen, target, rtt / 2).await.with_context(|| format!("cannot listen on {listen}"))?;
        super::print(&format!("{listen} -> {to}, {rtt:?} round trip; stop with Ctrl-C"));
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            never = follow(&relay, to) => match never {},
        }
        super::print(&format!(
            "{} round trips in {} connections",
            relay.stats().round_trips,
            relay.stats().connections_total
        ));
        Ok(())
    })
}

/// Relays to another address once the name stands for others only. While it stands for none, nothing has changed.
async fn follow(relay: &Relay, name: &str) -> Infallible {
    loop {
        tokio::time::sleep(LOOK_UP_EVERY).await;
        let found: Vec<SocketAddr> = lookup_host(name).await.map(Iterator::collect).unwrap_or_default();
        if let Some(first) = found.first()
            && !found.contains(&relay.target())
        {
            relay.set_target(*first);
        }
    }
}
