//! What a transaction at the primary has done, so that it can be done again where its connection is lost
//! (`route.transaction_replay`): on the same server once it answers again, or on its successor.
//!
//! Nothing of such a transaction was committed, so nothing is done twice: only statements are kept of which a server
//! undoes all when it loses the connection, and a transaction whose end may have been sent is never run again. It goes
//! on only if each statement shows what it showed before.

use super::acquire::Acquired;
use super::binding::{Beginning, Binding};
use super::handling::ASKING;
use super::job::Job;
use super::journal::{Again, Journal, Shown, Step, mentions_time};
use super::optimistic::{Fate, can_be_undone};
use super::session::Session;
use super::summary::Summary;
use super::tenure::Tenure;
use super::whom::Whom;
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use crate::route::{Need, Reason};
use crate::sql::{Semicolons, Traits, Why};
use crate::state::SessionState;
use std::sync::Arc;

/// What a transaction has done.
#[derive(Debug)]
pub(super) struct Record {
    /// How it began.
    pub(super) beginning: Beginning,
    pub(super) journal: Journal,
    /// The state in which its session was all along.
    state: Arc<SessionState>,
    /// `LAST_INSERT_ID()` when it began.
    pub(super) insert_id: u64,
}

/// What is to be kept of a statement of such a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// All of it.
    Step,
    /// Nothing: it does nothing, and shows nothing of any table.
    Nothing,
    /// It cannot be run again, and neither can its transaction.
    Impossible,
}

impl Keep {
    /// That of a job. `is_about_data`: unqualified names are those of data; `undoes_all`: so does a server with all that
    /// it changes.
    fn of(job: &Job, is_about_data: bool, undoes_all: bool) -> Self {
        match Fate::of(job, is_about_data) {
            Fate::Reads | Fate::Savepoint => return Self::Step,
            Fate::Passes => return Self::Nothing,
            Fate::Moves => {}
        }
        let is_write = matches!(job.need, Need::Primary(Reason::Statement(Why::Insert | Why::Update | Why::Delete)));
        // What a read shows of the time, or by chance, would be something else.
        let varies = job.traits.contains(Traits::NON_DETERMINISTIC) || job.statement().is_some_and(mentions_time);
        let is_one = job.semicolons == Semicolons::None;
        let is_certain = is_one && is_about_data && (!varies || (is_write && undoes_all));
        if is_certain && !job.opens_cursor() && can_be_undone(job, undoes_all) { Self::Step } else { Self::Impossible }
    }
}

impl Session {
    /// A job is about to run: whether what its transaction does is, or goes on being, kept.
    pub(super) fn keep_record(&mut self, job: &Job, tenure: &Tenure) -> Keep {
        match tenure {
            Tenure::Taken(_) => self.record = self.new_record(job).map(Box::new),
            Tenure::OnTrial { .. } | Tenure::Moving { .. } => self.record = None,
            // What was kept goes on; of one that is run again, it is in there.
            Tenure::Own { .. } | Tenure::Beside(_) | Tenure::Again { .. } => {}
        }
        let is_kept = self.record.is_some() || matches!(tenure, Tenure::Again { .. });
        let is_to_be = matches!(tenure, Tenure::Moving { .. }) && self.settings().transaction_replay;
        if is_kept || is_to_be { self.keep(job) } else { Keep::Impossible }
    }

    fn keep(&self, job: &Job) -> Keep {
        if job.only_prepares() {
            return Keep::Nothing;
        }
        Keep::of(job, self.is_about_data(job), self.undoes_all(job))
    }

    /// The record of a transaction that begins with this job, on a connection of the primary.
    fn new_record(&self, job: &Job) -> Option<Record> {
        if !self.settings().transaction_replay || job.pins.is_some() || self.last.insert_id_stale {
            return None;
        }
        let beginning = match &self.binding {
            Binding::Begun(beginning) => beginning.clone(),
            Binding::Free if self.autocommit_off() => Beginning::default(),
            _ => return None,
        };
        let (state, insert_id) = (self.state.clone(), self.last.insert_id);
        Some(Record { beginning, journal: Journal::default(), state, insert_id })
    }

    /// A job has run in the transaction on the connection that the session holds from now on.
    pub(super) fn note_in_record(&mut self, keep: Keep, job: &Job, summary: &Summary) {
        let Some(record) = &mut self.record else { return };
        let step = || {
            let command = Again::of(&job.command)?;
            let shown = Shown::of(&command, summary)?;
            let only_reads = job.need == Need::Read;
            Some(Step { command, attributes: self.attributes.clone(), shown, only_reads })
        };
        let is_kept = match keep {
            Keep::Nothing => summary.is_ok(),
            Keep::Step => step().map(|step| record.journal.add(step)).is_some(),
            Keep::Impossible => false,
        };
        if !is_kept || record.journal.is_full() || !Arc::ptr_eq(&record.state, &self.state) {
            self.record = None;
        }
    }

    /// A transaction has moved from a replica to the primary: what it did there is the beginning of its record.
    pub(super) fn record_moved(&mut self, beginning: Beginning, mut journal: Journal) {
        if self.settings().transaction_replay {
            journal.settle_savepoints();
            let (state, insert_id) = (self.state.clone(), self.last.insert_id);
            self.record = Some(Box::new(Record { beginning, journal, state, insert_id }));
        }
    }

    /// Whether the transaction of a job may be run again whose connection was lost under it, and the job behind it.
    /// `sent`: the job itself may have reached the server.
    pub(super) fn may_run_again(&self, job: &Job, tenure: &Tenure, keep: Keep, sent: bool) -> bool {
        let is_own = match tenure {
            Tenure::Own { .. } => !tenure.holds_state(),
            // It begins with this job: what was not sent, or only reads, is tried again as if there were no transaction.
            Tenure::Taken(_) => sent && !job.is_repeatable() && keep == Keep::Step,
            _ => false,
        };
        // What the statement before it left went with its connection; and nothing is left to be undone.
        let is_about_lost = job.traits.intersects(ASKING) || job.rolls_back;
        let is_same = |record: &Record| Arc::ptr_eq(&record.state, &self.state);
        is_own
            && !self.client.answered
            && !is_about_lost
            && (keep != Keep::Impossible || !sent)
            && self.record.as_deref().is_some_and(is_same)
    }

    /// The connection of a transaction has gone, and with it what it had done. Returns what that was.
    pub(super) fn lose_but_remember(&mut self) -> Option<Box<Record>> {
        self.binding = Binding::Free;
        self.sight.doubt(&self.shared);
        self.record.take()
    }

    /// A connection on which a transaction is run again, and the job behind it.
    ///
    /// # Errors
    /// None can be had. Of the transaction nothing is left.
    pub(super) async fn acquire_again(&mut self, job: &Job, record: Box<Record>) -> Result<Acquired, ServerError> {
        let (lease, chosen) = match self.acquire_for(job, Need::Primary(Reason::InTransaction), Whom::FIRST).await {
            Ok(taken) => taken,
            Err(error) => {
                // Only the lost connection knew it.
                self.last.insert_id_stale = false;
                self.binding = Binding::Free;
                return Err(errno::lost_transaction_because(&error));
            }
        };
        self.binding = Binding::Begun(record.beginning.clone());
        Ok(Acquired { lease, tenure: Tenure::Again { record, chosen } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Mode, classify};
    use bytes::Bytes;

    fn keep(sql: &'static str, undoes_all: bool) -> Keep {
        let statement = classify(sql.as_bytes(), Mode::default());
        let job = Job::of_statement(Bytes::from_static(sql.as_bytes()), &statement, Need::of(&statement));
        Keep::of(&job, true, undoes_all)
    }

    #[test]
    fn what_can_be_run_again() {
        use Keep::{Impossible, Nothing, Step};
        for (sql, where_undone, elsewhere) in [
            ("SELECT a FROM t", Step, Step),
            ("SELECT a FROM t FOR UPDATE", Step, Step),
            ("SELECT 1", Nothing, Nothing),
            ("SELECT NOW()", Nothing, Nothing),
            ("SHOW TABLES", Nothing, Nothing),
            ("SAVEPOINT a", Step, Step),
            ("ROLLBACK TO SAVEPOINT a", Step, Step),
            ("SELECT a, RAND() FROM t", Impossible, Impossible),
            ("SELECT a FROM t WHERE x < CURRENT_DATE", Impossible, Impossible),
            ("SELECT a FROM t WHERE x < NOW() FOR UPDATE", Impossible, Impossible),
            ("INSERT INTO t VALUES (1)", Step, Impossible),
            ("INSERT INTO t VALUES (NOW(), UUID())", Step, Impossible),
            ("UPDATE t SET a = 1", Step, Impossible),
            ("DELETE FROM t", Step, Impossible),
            ("UPDATE t SET a = (@x := 1)", Impossible, Impossible),
            ("INSERT INTO t VALUES (f(1))", Impossible, Impossible),
            ("SELECT a FROM t; SELECT b FROM t", Impossible, Impossible),
            ("LOAD DATA LOCAL INFILE 'x' INTO TABLE t", Impossible, Impossible),
            ("CALL p()", Impossible, Impossible),
            ("SELECT GET_LOCK('a', 1)", Impossible, Impossible),
            ("SELECT @a := 1 FROM t", Impossible, Impossible),
            ("CREATE TABLE u (id INT)", Impossible, Impossible),
            ("COMMIT", Impossible, Impossible),
            ("ROLLBACK", Impossible, Impossible),
            ("nonsense", Impossible, Impossible),
        ] {
            assert_eq!((keep(sql, true), keep(sql, false)), (where_undone, elsewhere), "{sql}");
        }
    }
}
