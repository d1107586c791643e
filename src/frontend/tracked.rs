//! What a server reports of the session's state behind a statement that did not announce it.

use super::binding::{PinReason, PinSet};
use super::job::Job;
use super::session::Session;
use super::summary::Summary;
use crate::pool::Lease;
use crate::protocol::track::Reports;
use crate::sql::Traits;
use crate::state::literal;
use std::sync::Arc;

impl Session {
    /// Session changes the server reports that no `SET` or `USE` of the client announced: from
    /// inside procedures and multi-statements.
    pub(super) fn track_changes(
        &mut self,
        lease: &mut Lease,
        pins: &mut PinSet,
        left_state: &mut bool,
        job: &Job,
        summary: &Summary,
    ) {
        let Some(changed) = summary.changed.as_deref() else { return };
        for (name, _) in &changed.variables {
            self.reports |= Reports::named_in(name);
        }
        let mut state = None;
        let mut unknown = changed.otherwise && !explains_state_change(job);
        if job.becomes.is_some() || job.pins.is_some() {
            return;
        }
        // MariaDB reports what `SET STATEMENT` sets, and not that it is over.
        let for_one_statement = job.traits.contains(Traits::SET_STATEMENT);
        let variables = if for_one_statement { &[] } else { &changed.variables[..] };
        if for_one_statement {
            // What its triggers assigned besides cannot be told from it: nobody else shall have that.
            *left_state |= changed.otherwise && !job.need.is_read();
            unknown = false;
        }
        if let Some(schema) = &changed.schema {
            state
                .get_or_insert_with(|| (*self.state).clone())
                .set_schema(Some(schema).filter(|s| !s.is_empty()).map(Vec::as_slice));
            unknown |= schema.is_empty();
        }
        // The collation that goes with a reported character set is not reported.
        unknown |= variables.iter().any(|(name, _)| name.starts_with(b"character_set_"));
        for (name, value) in variables {
            match literal(value) {
                _ if is_transient(name) => {}
                Some(sql) => state.get_or_insert_with(|| (*self.state).clone()).set_variable(name, &sql),
                None => unknown = true,
            }
        }
        if let Some(state) = state {
            self.state = Arc::new(state);
            if let Some(conn) = lease.conn_mut() {
                conn.applied_is(self.state.clone());
            }
            // Reported variables and schemas can be set again elsewhere: they explain the change.
            let unrepeatable =
                |(name, value): &(Vec<u8>, Vec<u8>)| literal(value).is_none() || name.starts_with(b"character_set_");
            unknown = variables.iter().any(unrepeatable)
                || (changed.otherwise && job.traits.intersects(Traits::CALLS_STORED_CODE));
        }
        // Only the primary may be held for long: a session pinned to a replica could not write. A
        // plain read that changes state there is unheard of; it is undone.
        if unknown && !self.is_at_primary(lease) {
            *left_state = true;
        } else if unknown && pins.insert(PinReason::UnknownState) {
            self.count_pin(PinReason::UnknownState);
        }
    }
}

/// Whether the statement itself explains that the server's session state changed.
fn explains_state_change(job: &Job) -> bool {
    const KNOWN: Traits = Traits::CREATES_TEMP_TABLE
        .or(Traits::DROPS_TEMP_TABLE)
        .or(Traits::ASSIGNS_USER_VARIABLE)
        .or(Traits::SQL_PREPARE)
        .or(Traits::SQL_DEALLOCATE);
    // What a write does, a trigger may have done.
    job.traits.intersects(KNOWN) || (job.need.is_read() && job.traits.intersects(Traits::USES_LAST_INSERT_ID))
}

/// Variables servers report although they say nothing about the session's later statements.
fn is_transient(name: &[u8]) -> bool {
    matches!(
        name,
        b"last_gtid"
            | b"timestamp"
            | b"pseudo_thread_id"
            | b"last_insert_id"
            | b"insert_id"
            | b"identity"
            | b"statement_id"
    )
}
