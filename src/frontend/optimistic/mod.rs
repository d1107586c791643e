//! Transactions that live on a replica as long as they only read, and go to the primary when they first write.
//!
//! A [`Trial`] is such a transaction: its reads, what they showed, and how it began. Its first statement that needs
//! the primary begins a transaction there, runs the reads again in the same flight (`flight/replay.rs`), and goes on
//! there if they show the same: then nobody can tell that it was not there from the beginning. Otherwise it is undone,
//! and the client told what a deadlock would tell it: to try again.

mod fate;
mod foretold;
mod fresh;
mod spoiled;
mod wish;

pub(super) use self::fate::{Fate, can_be_undone};
pub use self::foretold::{Onward, onward};
pub use self::spoiled::Spoiled;
pub use self::wish::is_to_be_tried;

use self::foretold::asks_where_it_was;
use self::fresh::{AskedFor, Seen, looks};
use super::acquire::Acquired;
use super::binding::{Beginning, Binding, Open};
use super::flight::FOUND_ROWS_QUERY;
use super::job::{Job, JobCommand};
use super::journal::{Again, Journal, Shown, Step, is_too_long};
use super::session::Session;
use super::settle::LAST_QUESTION;
use super::summary::Summary;
use super::tenure::{Chosen, Tenure};
use super::whom::Whom;
use super::witness::name;
use crate::backend::query::Reply;
use crate::consistency::touched::Touch;
use crate::metrics::{Outcome, Replayed};
use crate::pool::{Disposition, Lease};
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use crate::route::{Need, Reason};
use crate::sql::{Access, Isolation};
use std::time::Duration;

/// How long a replica may take to end a transaction, before its connection is given up instead.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(5);

/// A transaction on a replica.
#[derive(Debug)]
pub struct Trial {
    /// How it began, and will begin again at the primary.
    pub(super) beginning: Beginning,
    /// Whether all its reads see the same: then they must once more, at the primary.
    pub(super) is_repeatable: bool,
    pub(super) journal: Journal,
    /// What its first look at data asked for, if there was one.
    asked_for: Option<AskedFor>,
    /// How its replica was chosen.
    pub(super) chosen: Chosen,
}

impl Trial {
    fn seen(&self) -> Seen {
        let Self { is_repeatable, asked_for, .. } = *self;
        Seen { is_repeatable, is_fixed: self.journal.has_snapshot(), asked_for }
    }
}

impl Session {
    /// The connection for a job in a transaction on a replica, or that begins one there, or takes it to the primary.
    /// `None`: it has nothing to do with one.
    ///
    /// # Errors
    /// The primary cannot be had. The transaction stays where it is.
    pub(super) async fn acquire_on_trial(&mut self, job: &Job, whom: Whom) -> Result<Option<Acquired>, ServerError> {
        if job.only_prepares() {
            return Ok(None);
        }
        match &self.binding {
            Binding::Optimistic(lease, trial) => {
                let server = lease.pool().server().id;
                let fate = self.fate(job, trial);
                let seen = trial.seen();
                let stays = fate.stays() && whom.is_first() && lease.conn().is_some();
                if stays && self.sees_there(job, fate, server, seen).await {
                    return Ok(self.stay(job, fate));
                }
                self.go(job, whom).await.map(Some)
            }
            Binding::Begun(_) | Binding::Free if whom.is_first() => self.try_on_replica(job, whom).await,
            _ => Ok(None),
        }
    }

    /// Where a job of this transaction belongs.
    fn fate(&self, job: &Job, trial: &Trial) -> Fate {
        let fate = Fate::of(job, self.is_about_data(job));
        let is_kept = matches!(fate, Fate::Reads | Fate::Savepoint);
        let cannot_be_kept = || trial.journal.is_full() || trial.journal.is_torn() || self.is_too_long(job);
        if is_kept && (cannot_be_kept() || self.is_spoiled(job)) {
            return Fate::Moves;
        }
        fate
    }

    /// Whether a job is too long to be kept for doing it again.
    fn is_too_long(&self, job: &Job) -> bool {
        is_too_long(&job.command, self.attributes.as_ref())
    }

    /// Whether unqualified names are those of data, not of the server.
    pub(super) fn is_about_data(&self, job: &Job) -> bool {
        // A prepared statement goes on to mean what it meant where it was prepared.
        let schema = match &job.command {
            JobCommand::Execute(execution) => execution.statement.prepared_in.schema(),
            _ => self.state.schema(),
        };
        !schema.is_some_and(super::circumstances::is_about_server)
    }

    /// A job runs in its transaction on the replica.
    fn stay(&mut self, job: &Job, fate: Fate) -> Option<Acquired> {
        let Binding::Optimistic(lease, mut trial) = std::mem::take(&mut self.binding) else { return None };
        if looks(job, fate) {
            trial.asked_for.get_or_insert(self.asks_for(job));
        }
        if fate == Fate::Reads {
            trial.journal.takes_snapshot();
        }
        Some(Acquired { lease, tenure: Tenure::OnTrial { trial, begins: false, fate } })
    }

    /// A job takes its transaction to the primary.
    async fn go(&mut self, job: &Job, whom: Whom) -> Result<Acquired, ServerError> {
        if asks_where_it_was(job.traits) {
            return Err(super::commands::asked_elsewhere());
        }
        if let Binding::Optimistic(_, trial) = &self.binding
            && trial.journal.is_torn()
        {
            self.end_on_replica();
            self.binding = Binding::Free;
            self.shared.metrics.optimistic.count(Outcome::Refused);
            return Err(errno::changed_meanwhile());
        }
        self.ask_found_rows().await;
        let whom = if whom.is_first() { whom } else { Whom::OnlyPrimary };
        let (lease, chosen) = self.acquire_for(job, Need::Primary(Reason::InTransaction), whom).await?;
        let (replica, mut trial) = match std::mem::take(&mut self.binding) {
            Binding::Optimistic(replica, trial) => (replica, trial),
            other => {
                self.binding = other;
                return Ok(Acquired { lease, tenure: Tenure::Taken(chosen) });
            }
        };
        if !self.shared.settings().verify_transactions {
            trial.journal.forget_reads();
        }
        self.binding = Binding::Begun(trial.beginning.clone());
        self.keep_defaults_for(job);
        Ok(Acquired { lease, tenure: Tenure::Moving { trial, replica, chosen } })
    }

    /// Has the replica tell how many rows the last read found, where only it knows: the primary may never be asked to
    /// read the same, or is asked something else last.
    async fn ask_found_rows(&mut self) {
        let Binding::Optimistic(lease, trial) = &mut self.binding else { return };
        if self.last.found_rows.is_some() || !trial.journal.has_snapshot() {
            return;
        }
        let Some(conn) = lease.take() else { return };
        if let Ok(Ok((conn, reply))) = tokio::time::timeout(LAST_QUESTION, conn.query(FOUND_ROWS_QUERY)).await {
            self.last.found_rows = reply.first_value().and_then(|rows| rows.parse().ok());
            lease.put(conn);
        }
    }

    /// The first statement of a transaction that may begin on a replica.
    async fn try_on_replica(&mut self, job: &Job, whom: Whom) -> Result<Option<Acquired>, ServerError> {
        let is_free = matches!(self.binding, Binding::Free);
        if is_free && !self.autocommit_off() || self.may_run_beside(job) {
            return Ok(None);
        }
        let beginning = match &self.binding {
            Binding::Begun(beginning) => beginning.clone(),
            // What `SET TRANSACTION` said of it would have pinned the job.
            _ => Beginning::default(),
        };
        let fate = Fate::of(job, self.is_about_data(job));
        let Some(is_repeatable) = self.may_try(job, fate, &beginning) else { return Ok(None) };
        let for_all = self.for_all_reads(job, is_repeatable);
        let (lease, chosen) = self.acquire_for(&for_all, Need::Read, whom).await?;
        if is_free {
            // Said aloud: where the transaction goes on, it must not begin and end with each statement.
            self.binding = Binding::Begun(beginning.clone());
        }
        if self.is_at_primary(&lease) {
            let chosen = Chosen { reason: Reason::InTransaction, ..chosen };
            return Ok(Some(Acquired { lease, tenure: Tenure::Taken(chosen) }));
        }
        // Whoever has ceased to be the primary since it was chosen serves it as the replica that it is.
        let chosen = Chosen { at_primary: false, ..chosen };
        self.shared.metrics.optimistic.count(Outcome::Begun);
        let mut journal = Journal::default();
        if fate == Fate::Reads {
            journal.takes_snapshot();
        }
        let asked_for = looks(job, fate).then(|| self.asks_for(job));
        let trial = Box::new(Trial { beginning, is_repeatable, journal, asked_for, chosen });
        Ok(Some(Acquired { lease, tenure: Tenure::OnTrial { trial, begins: true, fate } }))
    }

    /// Whether a transaction that begins with this job may do so on a replica; and whether all its reads will see
    /// the same.
    fn may_try(&self, job: &Job, fate: Fate, beginning: &Beginning) -> Option<bool> {
        if self.shared.settings().session_mode.is_for(&self.account.user)
            || !self.is_optimistic(job, beginning)
            || beginning.access() == Some(Access::ReadWrite)
            || !fate.stays()
            // A transaction that nobody began aloud begins with what sees data, or with a savepoint.
            || (fate == Fate::Passes && !self.binding.is_begun())
            || self.is_too_long(job)
            || self.is_spoiled(job)
        {
            return None;
        }
        match beginning.characteristics.isolation.or_else(|| self.isolation())? {
            Isolation::RepeatableRead => Some(true),
            Isolation::ReadCommitted => Some(false),
            Isolation::ReadUncommitted | Isolation::Serializable => None,
        }
    }

    /// The isolation level of transactions that do not say otherwise, if it is known.
    fn isolation(&self) -> Option<Isolation> {
        let default = || {
            let names = ["transaction_isolation", "tx_isolation"];
            names.iter().find_map(|name| self.shared.default_of(name))
        };
        match self.state.get(b"transaction_isolation") {
            Some(chosen) => Isolation::named_in(chosen),
            None => Isolation::named_in(default()?.as_bytes()),
        }
    }

    /// A job has run on the replica: what is kept of it, and where the transaction goes on.
    pub(super) fn settle_trial(
        &mut self,
        mut lease: Lease,
        (mut trial, fate): (Box<Trial>, Fate),
        job: &Job,
        summary: &Summary,
        open: Open,
    ) {
        if open == Open::No {
            self.sight.doubt(&self.shared);
            self.sight.ends();
            self.leave_replica(lease);
            return;
        }
        let journal = &mut trial.journal;
        match (fate, Again::of(&job.command)) {
            (Fate::Passes, _) => {}
            (Fate::Savepoint, Some(Again::Text(text))) if summary.is_ok() => journal.savepoint(&text),
            (Fate::Reads, _) if summary.is_ok() && !trial.is_repeatable => {}
            (Fate::Reads, Some(command)) => match Shown::of(&command, summary) {
                Some(shown) => {
                    journal.add(Step { command, attributes: self.attributes.clone(), shown, only_reads: true });
                }
                // It was ended before it showed anything.
                None if summary.sum.as_deref().is_some_and(|sum| sum.rows == 0) => {}
                None => journal.tear(),
            },
            _ => journal.tear(),
        }
        if lease.conn_mut().is_none() {
            // It broke behind the answer. What was read can be read again elsewhere.
            self.shared.metrics.lost.inc();
        }
        self.binding = Binding::Optimistic(lease, trial);
    }

    /// A job that was to run in a transaction on a replica, or to take it away from there, did neither: the
    /// transaction is where it was.
    pub(super) fn back_on_trial(&mut self, lease: Lease, tenure: Tenure) {
        match tenure {
            Tenure::Taken(_) | Tenure::Beside(_) | Tenure::Own { .. } | Tenure::Again { .. } => drop(lease),
            Tenure::OnTrial { trial, .. } => self.binding = Binding::Optimistic(lease, trial),
            Tenure::Moving { .. } => {
                drop(lease);
                self.stays_on_trial(tenure);
            }
        }
    }

    /// A job was to take its transaction to the primary, and nothing of it remained there: the transaction goes on on
    /// its replica, as behind any statement that failed.
    pub(super) fn stays_on_trial(&mut self, tenure: Tenure) {
        if let Tenure::Moving { trial, replica, .. } = tenure {
            self.binding = Binding::Optimistic(replica, trial);
        }
    }

    /// A job has taken its transaction to the primary.
    pub(super) fn has_moved(&mut self, trial: Trial, replica: Lease) {
        self.shared.metrics.optimistic.count(Outcome::Moved);
        for step in trial.journal.steps() {
            self.shared.spoiled.agreed(step.command.text());
        }
        self.leave_replica(replica);
        self.record_moved(trial.beginning, trial.journal);
    }

    /// The primary shows something else than the replica did: nobody may go on from there. `read`: which one.
    pub(super) fn differs(&mut self, lease: Lease, tenure: Tenure, read: usize) -> ServerError {
        lease.give_back(Disposition::Clean);
        self.binding = Binding::Free;
        self.sight.doubt(&self.shared);
        self.sight.ends();
        let Tenure::Moving { trial, replica, .. } = tenure else {
            self.last.insert_id_stale = false;
            self.shared.metrics.replayed.count(Replayed::Differed);
            return errno::differs_when_run_again();
        };
        self.shared.metrics.optimistic.count(Outcome::Refused);
        if let Some(read) = trial.journal.steps().get(read) {
            self.spoil(read.command.text());
        }
        self.leave_replica(replica);
        errno::changed_meanwhile()
    }

    /// A transaction that only read is over, if it is one, and nothing of it is of interest to any server.
    pub(super) fn end_on_replica(&mut self) -> bool {
        let (lease, trial) = match std::mem::take(&mut self.binding) {
            Binding::Optimistic(lease, trial) => (lease, trial),
            other => {
                self.binding = other;
                return false;
            }
        };
        self.sight.doubt(&self.shared);
        self.sight.ends();
        self.leave_replica(lease);
        // `COMMIT AND CHAIN` begins another one like it.
        self.binding = Binding::Begun(trial.beginning);
        true
    }

    /// Ends the transaction on a replica's connection, behind the client's back, and gives it back.
    fn leave_replica(&mut self, mut lease: Lease) {
        let unnamed = self.sight.take_unnamed(lease.pool().server().id);
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let Some(conn) = lease.take() else { return };
            let ended = tokio::time::timeout(ROLLBACK_TIMEOUT, conn.query("ROLLBACK")).await;
            let Ok(Ok((conn, Reply::Ok { .. }))) = ended else {
                return;
            };
            lease.put(conn);
            if let Some(unnamed) = unnamed {
                name([unnamed], &mut lease, &shared).await;
            }
            lease.give_back(Disposition::Clean);
        });
    }

    /// Whether a statement like this has often shown something else at the primary of late.
    fn is_spoiled(&self, job: &Job) -> bool {
        job.statement().is_some_and(|text| self.shared.spoiled.holds(text))
    }

    fn spoil(&self, text: &[u8]) {
        self.shared.spoiled.differed(text);
    }

    /// Whether a table that a job writes to is known to undo that, with all that goes with it.
    pub(super) fn undoes_all(&self, job: &Job) -> bool {
        let Touch::Writes(table) = &job.touch else { return false };
        self.sight.tables(&self.shared).is_some_and(|catalogue| catalogue.is_transactional(table))
    }

    /// Whether transactions that begin so, with this job, are to be tried on a replica.
    fn is_optimistic(&self, job: &Job, beginning: &Beginning) -> bool {
        let hint = beginning.wish.or(job.wishes.transactions);
        let only_reads = beginning.access().map_or_else(|| self.reads_only(), |access| access == Access::ReadOnly);
        let settings = self.shared.settings();
        is_to_be_tried(only_reads, hint, || settings.transactions_for(hint, &self.account.user, self.state.schema()))
    }
}
