//! Waiting on a replica until it has what a read must see.

use super::job::Job;
use super::session::Session;
use super::waits::{Outcome, Turn, listen};
use crate::backend::executed::{executed, executed_sql};
use crate::backend::query::Reply;
use crate::consistency::gtid::{Family, GtidSet};
use crate::pool::{Disposition, Pool};
use crate::topology::{ServerId, Snapshot};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A server keeps to the time it is given; the margin is for the way there and back.
const MARGIN: Duration = Duration::from_secs(1);

impl Session {
    /// Waits until a replica has executed `gtids`. The error is what it has instead, if it told.
    pub(super) async fn catch_up(
        &self,
        pool: &Arc<Pool>,
        server: ServerId,
        job: &Job,
        gtids: &Arc<GtidSet>,
    ) -> Outcome {
        let budget = self.wait_budget(&self.shared.snapshot());
        if budget.is_zero() {
            return Err(None);
        }
        let started = Instant::now();
        let (label, outcome) = match self.shared.waits.join(server, gtids) {
            Turn::Listen(outcome) => {
                let heard = tokio::time::timeout(budget + MARGIN, listen(outcome)).await;
                match heard.unwrap_or(Err(None)) {
                    // What was in the way of another's question may not be in the way of this one.
                    Err(None) => self.ask_to_catch_up(pool, gtids, budget).await,
                    told => ("shared", told),
                }
            }
            Turn::Ask(asking) => {
                let (label, outcome) = self.ask_to_catch_up(pool, gtids, budget).await;
                asking.ended(&outcome);
                (label, outcome)
            }
        };
        self.shared.metrics.gtid_wait_seconds.observe(started.elapsed().as_secs_f64());
        self.shared.metrics.gtid_waits.with_label_values(&[&*pool.server().name, label]).inc();
        if outcome.is_ok() {
            self.sight.satisfied_on(&self.shared, job, server, gtids);
        }
        outcome
    }

    async fn ask_to_catch_up(&self, pool: &Arc<Pool>, gtids: &GtidSet, budget: Duration) -> (&'static str, Outcome) {
        let asking = async {
            let mut lease = pool.checkout(&self.state).await.ok()?;
            let conn = lease.take()?;
            let family = conn.family();
            let (conn, reply) = conn.query(&wait_sql(family, gtids, budget)).await.ok()?;
            lease.put(conn);
            lease.give_back(Disposition::Clean);
            Some(caught_up(family, &reply))
        };
        match tokio::time::timeout(budget + MARGIN, asking).await {
            Ok(Some(Ok(()))) => ("caught_up", Ok(())),
            Ok(Some(Err(seen))) => ("timed_out", Err(seen.map(Arc::new))),
            Ok(None) | Err(_) => ("failed", Err(None)),
        }
    }

    /// How long a read may wait on a replica: about what asking the primary would cost.
    pub(super) fn wait_budget(&self, snapshot: &Snapshot) -> Duration {
        self.settings().wait.unwrap_or_else(|| {
            let rtt = snapshot.primary().and_then(|p| p.rtt);
            rtt.unwrap_or(Duration::from_millis(100)).clamp(Duration::from_millis(10), Duration::from_secs(1))
        })
    }
}

/// Waits, and tells what the replica has executed after that.
fn wait_sql(family: Family, gtids: &GtidSet, budget: Duration) -> String {
    // What would be rounded to nothing is for ever to MySQL.
    let seconds = budget.max(Duration::from_millis(1)).as_secs_f64();
    let executed = executed_sql(family).trim_start_matches("SELECT ");
    match family {
        Family::MySql => format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{gtids}', {seconds:.3}), {executed}"),
        Family::MariaDb => format!("SELECT MASTER_GTID_WAIT('{gtids}', {seconds:.3}), {executed}"),
    }
}

/// Both families answer 0 when the replica has everything. If it has not: what it has.
fn caught_up(family: Family, reply: &Reply) -> Result<(), Option<GtidSet>> {
    if reply.first_value() == Some("0") {
        return Ok(());
    }
    let Reply::Rows { columns, rows } = reply else { return Err(None) };
    let rest = rows.iter().map(|row| row.iter().skip(1).cloned().collect()).collect();
    Err(executed(family, &Reply::Rows { columns: columns.clone(), rows: rest }))
}
