//! After an answer: what the session must remember, and whether it keeps the connection.

use super::binding::{Binding, Open, PINNING, PinReason, PinSet, hides_found_rows};
use super::flight::INSERT_ID_QUERY;
use super::handling::ASKING;
use super::job::{Execution, Job, JobCommand};
use super::logged::Answer;
use super::record::Keep;
use super::session::{Gone, Session};
use super::summary::Summary;
use super::tenure::Tenure;
use crate::backend::query::Reply;
use crate::consistency::gtid::GtidSet;
use crate::metrics::Replayed;
use crate::pool::{Disposition, Lease};
use crate::protocol::capability::Status;
use crate::protocol::errno;
use crate::route::{Need, Reason};
use crate::sql::{Traits, Why};
use crate::topology::ServerId;
use std::time::Duration;

/// How long a connection may take to tell what only it knows, before it is given up instead.
pub(super) const LAST_QUESTION: Duration = Duration::from_secs(5);

impl Session {
    /// Takes in what a response said and decides what becomes of its connection.
    pub(super) async fn settle(
        &mut self,
        mut lease: Lease,
        (mut tenure, keep): (Tenure, Keep),
        job: &Job,
        summary: Summary,
    ) -> Result<(), Gone> {
        let (beside, was_held) = (tenure.is_beside(), tenure.was_held());
        self.note_for_all(&lease, job, &summary);
        self.remember(job, &summary);
        if let Some(went) = &mut self.went {
            went.answer = Some(Answer::of(&summary));
            went.ended = lease.conn().map(|conn| conn.used().into_std());
        }
        self.last_prepared = summary.prepared.filter(|_| summary.is_ok()).map(|(_, params, _)| params);
        if !beside && !job.only_prepares() {
            self.next_transaction = None;
        }
        if let JobCommand::Execute(Execution { cursor: Some(id), .. }) = &job.command
            && !summary.status.contains(Status::CURSOR_EXISTS)
        {
            // It had no rows to leave on the server.
            if let (Some(handle), Some(conn)) = (self.cursors.remove(id), lease.conn_mut()) {
                conn.close_statement(handle);
            }
        }
        if beside && !matches!(self.binding, Binding::Free) {
            // Prepared beside a transaction, which stays as it is.
            lease.give_back(Disposition::Clean);
            return Ok(());
        }
        let mut left_state = tenure.holds_state();
        let before = if let Tenure::Own { pins, .. } = &mut tenure { std::mem::take(pins) } else { PinSet::default() };
        let mut pins = self.pins_after(before, job, &summary, &lease);
        if self.cursors.is_empty() && pins.contains(PinReason::Cursor) {
            // The one that was open was this statement's own, from the time before.
            pins.remove(PinReason::Cursor);
            lease.taint();
        }
        self.track_changes(&mut lease, &mut pins, &mut left_state, job, &summary);
        if left_state {
            lease.taint();
        }
        if let Some(next) = job.becomes.as_ref().filter(|_| summary.is_ok()) {
            // Before the connection can be given back: it must not be known by its old state.
            self.state = next.clone();
            if let Some(conn) = lease.conn_mut() {
                conn.applied_is(next.clone());
            }
        }
        let released = job.ends.and_then(|end| end.release) == Some(true) && summary.is_ok();
        let mut open = if beside { Open::No } else { self.is_open(job, &summary) };
        let is_alone = !was_held && matches!(self.binding, Binding::Free) && !self.autocommit_off();
        if open != Open::No && is_alone && job.need == Need::Read {
            // A plain read begins no transaction: who says so must not be believed any more, least of all with a write.
            drop(lease.take());
            open = Open::No;
        }
        if self.anchor.is_none() || !was_held {
            // Where it was chosen as the primary it is held as such, whoever has become that while it was at work.
            let was_chosen = tenure.chosen().is_some_and(|chosen| chosen.at_primary);
            self.anchor = Some(lease.pool().server().id).filter(|server| was_chosen || self.is_primary(*server));
        }
        match tenure {
            Tenure::OnTrial { trial, fate, .. } => {
                self.settle_trial(lease, (trial, fate), job, &summary, open);
            }
            Tenure::Moving { trial, replica, .. } => {
                self.has_moved(*trial, replica);
                self.note_in_record(keep, job, &summary);
                self.bind(lease, pins, open).await;
            }
            Tenure::Again { record, .. } => {
                self.shared.metrics.replayed.count(Replayed::WentOn);
                self.record = Some(record);
                self.note_in_record(keep, job, &summary);
                self.bind(lease, pins, open).await;
            }
            Tenure::Taken(_) | Tenure::Beside(_) | Tenure::Own { .. } => {
                self.note_in_record(keep, job, &summary);
                self.bind(lease, pins, open).await;
            }
        }
        let draws = job.traits.intersects(Traits::DRAWS_FROM_SEQUENCE);
        self.last.drew = (draws || (self.last.drew && was_held)) && self.holds_connection();
        if released {
            self.client.packets.flush().await?;
            self.binding = Binding::Free;
            return Err(Gone::Goodbye);
        }
        Ok(())
    }

    /// What an answer says of its server, or of all of them, is for every session to know.
    fn note_for_all(&self, lease: &Lease, job: &Job, summary: &Summary) {
        self.note_privileges(lease.pool().server(), job, summary);
        if let Some(error) = &summary.error {
            self.shared.metrics.errors.server(error.code);
            if errno::lacks_space(error) {
                let server = lease.pool().server();
                server.space.refused(&server.name, error);
            }
        }
        if summary.error.as_deref().is_some_and(errno::is_read_only) {
            // The client has been told. Somebody else may be the primary by now.
            self.shared.look_again();
        }
    }

    /// Facts that later functions ask for.
    fn remember(&mut self, job: &Job, summary: &Summary) {
        let asked = self.asked_warnings.take();
        let last = &mut self.last;
        last.error = summary.error.as_deref().cloned();
        if matches!(job.command, JobCommand::Prepare(..)) {
            // Preparing says nothing of rows.
            last.warnings = summary.warnings;
            last.diagnostics = asked;
            return;
        }
        if let Some(gtids @ GtidSet::MariaDb(_)) = summary.gtids.as_deref() {
            last.gtid = Some(gtids.clone());
        }
        last.warnings = summary.warnings;
        last.row_count = match (&summary.error, summary.affected_rows) {
            (None, Some(affected)) => i64::try_from(affected).unwrap_or(i64::MAX),
            _ => -1,
        };
        let counts_otherwise = job.traits.contains(Traits::SKIPS_ROWS);
        let shows_less = counts_otherwise || job.traits.contains(Traits::CALC_FOUND_ROWS);
        match (summary.affected_rows, &summary.error) {
            (None, None) => last.found_rows = Some(summary.rows).filter(|_| !shows_less),
            // What MySQL finds to update is found, too.
            (Some(_), None) if summary.matched_rows.is_some() => last.found_rows = summary.matched_rows,
            // What it selects to insert is found, too.
            (Some(_), _) if counts_otherwise || job.need == Need::Primary(Reason::Statement(Why::Ddl)) => {
                last.found_rows = None;
            }
            _ => {}
        }
        if job.traits.contains(Traits::SETS_LAST_INSERT_ID) {
            // Unless it was asked for right behind the statement.
            if !last.insert_id_stale {
                last.insert_id_told = 0;
            }
            last.insert_id_stale |= asked.is_none();
            if summary.last_insert_id != 0 {
                last.insert_id_told = summary.last_insert_id;
            }
        }
        last.diagnostics = asked;
    }

    /// Whether the value of `LAST_INSERT_ID()` must be asked behind this job, because the
    /// connection that knows it may be given back after it.
    pub(super) fn must_ask_insert_id(&self, job: &Job, tenure: &Tenure) -> bool {
        if matches!(job.command, JobCommand::Prepare(..) | JobCommand::Raw(..)) {
            return false;
        }
        let releasing = Traits::IMPLICIT_COMMIT
            .or(Traits::CONTROLS_TRANSACTION)
            .or(Traits::UNLOCKS_TABLES)
            .or(Traits::RELEASES_ALL_NAMED_LOCKS);
        let ends = job.ends.is_some() || job.becomes.is_some() || job.traits.intersects(releasing);
        let alone = !self.binding.is_begun() && !self.autocommit_off() && !tenure.was_held();
        let stays = job.pins.is_some() || job.traits.intersects(PINNING);
        (job.traits.contains(Traits::SETS_LAST_INSERT_ID) && alone && !stays) || (ends && self.last.insert_id_stale)
    }

    fn pins_after(&self, mut pins: PinSet, job: &Job, summary: &Summary, lease: &Lease) -> PinSet {
        if !job.traits.intersects(ASKING) && !job.only_prepares() {
            pins.end_brief();
        }
        if let Some(reason) = job.pins
            && pins.insert(reason)
        {
            self.count_pin(reason);
        }
        // A statement that failed may have done part of its work, such as a lock taken before, and need not have
        // done what would end a pin.
        let ending = Traits::UNLOCKS_TABLES | Traits::RELEASES_ALL_NAMED_LOCKS;
        // Nor does a server look into every comment.
        let surely = summary.is_ok() && !job.traits.contains(Traits::EXECUTABLE_COMMENT);
        let traits = if surely { job.traits } else { job.traits.without(ending) };
        for reason in pins.apply(traits) {
            self.count_pin(reason);
        }
        // Warnings that were asked for right behind the statement need no connection to be known.
        let known = job.traits.contains(Traits::USES_DIAGNOSTICS) || self.last.diagnostics.is_some();
        // An error packet holds one condition of perhaps several.
        let has_conditions = summary.warnings > 0 || summary.error.is_some();
        if has_conditions && !known && pins.insert(PinReason::Warnings) {
            self.count_pin(PinReason::Warnings);
        }
        // What a change has found is not known any more: it was asked what it inserted.
        let is_hidden = hides_found_rows(job.traits, summary.affected_rows.is_none());
        if summary.is_ok() && is_hidden && pins.insert(PinReason::FoundRows) {
            self.count_pin(PinReason::FoundRows);
        }
        if job.opens_cursor() && summary.status.contains(Status::CURSOR_EXISTS) && pins.insert(PinReason::Cursor) {
            self.count_pin(PinReason::Cursor);
        }
        if self.settings().session_mode.is_for(&self.account.user) && self.is_at_primary(lease) {
            pins.insert(PinReason::SessionMode);
        }
        pins
    }

    pub(super) fn is_at_primary(&self, lease: &Lease) -> bool {
        self.is_primary(lease.pool().server().id)
    }

    pub(super) fn is_primary(&self, server: ServerId) -> bool {
        self.shared.topology.borrow().is_primary(server)
    }

    pub(super) fn count_pin(&self, reason: PinReason) {
        self.shared.metrics.pins.with_label_values(&[reason.as_str()]).inc();
    }

    /// Whether a transaction is open on the connection now.
    pub(super) fn is_open(&self, job: &Job, summary: &Summary) -> Open {
        // After an error the server does not say: believe that one is open where one may be.
        let maybe = summary.error.is_some() && (self.autocommit_off() || is_opaque(job));
        // A savepoint opens one without a word, where statements do not commit by themselves.
        let bracket = job.need == Need::Primary(Reason::InTransaction) && job.ends.is_none() && summary.is_ok();
        let is_said = summary.status.contains(Status::IN_TRANS);
        match () {
            () if is_said && summary.is_ok() => Open::Yes,
            () if is_said || maybe || (bracket && self.autocommit_off()) => Open::Maybe,
            () => Open::No,
        }
    }

    async fn bind(&mut self, mut lease: Lease, mut pins: PinSet, open: Open) {
        if lease.conn().is_none() {
            // It broke behind the answer. Nobody can be asked any more about the last statement; but a transaction
            // that was open there must not be taken to have ended.
            pins.end_brief();
        }
        if open == Open::Maybe
            && let Some(conn) = lease.conn_mut()
        {
            // Whoever would let the connection go looks there.
            conn.may_be_in_transaction();
        }
        if open == Open::No {
            self.record = None;
            // Ahead of the end, which forgets the keys that it concerns.
            self.sight.doubt(&self.shared);
            self.sight.ends();
        }
        if !pins.is_empty() {
            if !pins.is_brief() {
                self.name_elsewhere(lease.pool().server().id);
            }
            self.binding = Binding::Pinned(lease, pins);
        } else if open != Open::No {
            self.binding = Binding::InTransaction(lease);
        } else {
            self.binding = Binding::Free;
            self.release(lease, Disposition::Clean).await;
        }
    }

    /// Gives a connection back, once it has told what only it knows: `LAST_INSERT_ID()`.
    pub(super) async fn release(&mut self, mut lease: Lease, disposition: Disposition) {
        if self.last.insert_id_stale
            && let Some(conn) = lease.take()
            && let Ok(Ok((mut conn, reply @ Reply::Rows { .. }))) =
                tokio::time::timeout(LAST_QUESTION, conn.query(INSERT_ID_QUERY)).await
        {
            let told = reply.first_value().and_then(|id| id.parse().ok());
            self.last.insert_id = told.unwrap_or(self.last.insert_id);
            conn.insert_id_is(told);
            lease.put(conn);
        } else if self.last.insert_id_stale && self.last.insert_id_told != 0 {
            // The connection is gone, but what it did is not.
            self.last.insert_id = self.last.insert_id_told;
        }
        self.last.insert_id_stale = false;
        self.give_back(lease, disposition);
    }
}

/// Whether a statement that failed may have done something before, and committed it or not.
pub(super) fn is_opaque(job: &Job) -> bool {
    let inside = Traits::CALLS_STORED_CODE | Traits::CONTROLS_TRANSACTION;
    job.traits.intersects(inside) || job.need == Need::Primary(Reason::Statement(Why::Multi))
}
