//! Statements that last so long at the primary that it may lack the space to write them down: the monitor is told, and
//! looks. Nothing else comes of it: a long statement is nothing bad.

use super::shared::Shared;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// What lasts longer is worth a look.
const LONG: Duration = Duration::from_secs(3);
/// How often it is looked whether anything does.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Shared {
    /// Tells the monitor whether any statement lasts long at the primary, until `stop`.
    pub async fn follow_lasting(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            let Some(primary) = self.snapshot().primary().map(|primary| primary.id) else { continue };
            let Some(server) = self.server(primary) else { continue };
            // Most of the time nothing is in use there, and nobody needs to be looked at.
            let pools = self.pools.all();
            let is_in_use = pools.iter().any(|pool| pool.server().id == primary && pool.counts().leased > 0);
            let long_ago = Instant::now().checked_sub(LONG).filter(|_| is_in_use);
            server.space.suspect(long_ago.is_some_and(|since| self.registry.runs_since(primary, since)));
        }
    }
}
