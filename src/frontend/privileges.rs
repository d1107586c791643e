//! Accounts and privileges that a client has changed. A connection keeps those that its login had, and a replica has the
//! change later than the primary.

use super::job::Job;
use super::session::Session;
use super::shared::Shared;
use super::summary::Summary;
use crate::backend::server::Server;
use crate::consistency::gtid::GtidSet;
use crate::route::{Need, Reason};
use crate::sql::{Traits, Why};
use crate::topology::{Role, ServerView, Snapshot};
use std::sync::Arc;
use std::time::Duration;

/// After so long a replica that has not followed is not waited for any more.
const LONGEST: Duration = Duration::from_secs(600);

impl Session {
    /// What a statement at this server has changed for those who have logged in, or have been let do something.
    pub(super) fn note_privileges(&self, server: &Arc<Server>, job: &Job, summary: &Summary) {
        if let Need::Primary(Reason::Statement(Why::Ddl | Why::Admin)) = job.need {
            // Schemas or privileges may be others now.
            self.shared.proven.forget();
        }
        if !summary.is_ok() {
            return;
        }
        if job.traits.contains(Traits::CHANGES_ACCOUNTS) {
            changed(&self.shared, server, summary.gtids.as_deref());
        }
        if job.traits.contains(Traits::ALTERS_SCHEMA) {
            // MariaDB reads a schema's character set anew only for a login: `USE` of the same is none.
            for pool in self.pools.iter() {
                pool.server().logins_outdated();
            }
        }
    }
}

/// Accounts or privileges have changed at this server. `gtids`: of that change, if they were told.
fn changed(shared: &Arc<Shared>, server: &Arc<Server>, gtids: Option<&GtidSet>) {
    server.logins_outdated();
    if !shared.snapshot().has_replicas() {
        return;
    }
    let (shared, server, gtids) = (shared.clone(), server.clone(), gtids.cloned());
    tokio::spawn(async move {
        let again = || {
            // Who has logged in at a replica meanwhile may have what was taken away, and lack what was given.
            shared.proven.forget();
            server.logins_outdated();
        };
        match gtids {
            Some(gtids) => {
                until(&shared, |seen| has_arrived(seen, &gtids)).await;
                again();
                // One that does not answer comes back with what it had.
                until(&shared, |seen| seen.everywhere.as_ref().is_some_and(|all| all.contains(&gtids))).await;
            }
            None => tokio::time::sleep(shared.settings().pin_for).await,
        }
        again();
    });
}

/// Waits until it is seen, or for so long that it is better late than never.
async fn until(shared: &Shared, is_seen: impl Fn(&Snapshot) -> bool) {
    let mut topology = shared.topology.clone();
    drop(tokio::time::timeout(LONGEST, topology.wait_for(|snapshot| is_seen(snapshot))).await);
}

/// Whether every replica that answers, and that anybody reads from, has these transactions.
fn has_arrived(seen: &Snapshot, gtids: &GtidSet) -> bool {
    let is_read = |server: &&ServerView| server.role == Role::Replica && server.weight > 0 && server.is_usable();
    seen.servers
        .iter()
        .filter(is_read)
        .all(|server| server.executed.as_ref().is_some_and(|executed| executed.contains(gtids)))
}
