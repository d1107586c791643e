//! What is decided of a flight before it departs. Nothing is sent here.

use super::replay::Along;
use super::steps::{Guard, means_the_same};
use crate::backend::conn::Ready;
use crate::frontend::binding::PINNING;
use crate::frontend::job::{Job, JobCommand};
use crate::frontend::journal::Journal;
use crate::frontend::optimistic::can_be_undone;
use crate::frontend::session::Session;
use crate::frontend::tenure::Tenure;
use crate::route::{Need, Reason};
use crate::sql::{Traits, Why};
use crate::state::Prelude;

/// What may look at the connection's `LAST_INSERT_ID()`.
const LOOKS_AT_INSERT_ID: Traits =
    Traits::USES_LAST_INSERT_ID.or(Traits::CALLS_READ_FUNCTION).or(Traits::CALLS_STORED_CODE);

/// A longer statement is not sent behind reads whose rows nobody takes meanwhile: a server that is busy sending them
/// reads no further, and all of them would have to be held.
const SHORT: usize = 16 * 1024;

/// The course of a flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course {
    /// Whether the server takes several commands at a time.
    pub(super) pipelining: bool,
    /// What keeps the client's command from running where its prelude failed.
    pub(super) guard: Guard,
    /// How it goes along with what its transaction does again ahead of it.
    pub(super) along: Along,
    /// What the connection is told about `LAST_INSERT_ID()`.
    pub(super) insert_id: InsertId,
    /// Nobody knows the numbers of its statements any more: what has a prelude is prepared once more, which tells them.
    pub(super) renumbers: bool,
}

/// What a connection is told about `LAST_INSERT_ID()`.
#[derive(Debug, Clone, Copy)]
pub(super) enum InsertId {
    /// Nothing: it has the session's, or it does not matter.
    Untold,
    /// The session's, guarded like any other state.
    InPrelude(u64),
    /// The session's, by itself.
    Alone(u64),
}

impl InsertId {
    /// What it is told.
    pub(super) fn told(self) -> Option<u64> {
        match self {
            Self::Untold => None,
            Self::InPrelude(id) | Self::Alone(id) => Some(id),
        }
    }
}

impl Course {
    /// Decides it, for a connection that needs this prelude.
    pub(super) fn set(session: &Session, conn: &Ready, job: &Job, tenure: &Tenure, prelude: &Prelude) -> Self {
        let pipelining = conn.server().facts().is_none_or(|facts| facts.pipelining);
        let again_executed = again(tenure).map_or(0, |journal| journal.executions().count());
        let outdone = u32::try_from(again_executed).ok().and_then(|more| conn.statements().guard_behind(more));
        let guard = guard(session, job, pipelining && outdone.is_some());
        let renumbers = pipelining && outdone.is_none() && matches!(job.command, JobCommand::Execute(_));
        let along = match again(tenure) {
            Some(journal) => along(session, job, guard, pipelining && journal.only_reads()),
            None => Along::Together(guard),
        };
        let insert_id = match tenure {
            Tenure::Again { record, .. } => Some(record.insert_id),
            _ => insert_id_ahead(session, conn, job, tenure, prelude),
        };
        // Where the statement itself may look at it, it is guarded like any other state.
        let looks = job.traits.intersects(LOOKS_AT_INSERT_ID);
        let is_guarded = guard == Guard::SameText || prelude.statements > 0 || looks;
        let insert_id = match insert_id {
            None => InsertId::Untold,
            Some(id) if is_guarded => InsertId::InPrelude(id),
            Some(id) => InsertId::Alone(id),
        };
        Self { pipelining, guard, along, insert_id, renumbers }
    }
}

/// What the job's transaction does again ahead of it, if anything.
pub(super) fn again(tenure: &Tenure) -> Option<&Journal> {
    tenure.journal().filter(|journal| !journal.is_empty())
}

/// How a job is kept from running in a state its session was not told about.
fn guard(session: &Session, job: &Job, pipelining: bool) -> Guard {
    match &job.command {
        JobCommand::Text(_)
            if session.attributes.is_none()
                && job.semicolons.allow_prefix(session.multi_statements, || session.knows_charset()) =>
        {
            Guard::SameText
        }
        JobCommand::Execute(execution) if pipelining && means_the_same(session, &execution.statement.prepared_in) => {
            Guard::Handle
        }
        _ => Guard::Wait,
    }
}

/// How the client's statement goes along with what its transaction has to show again.
fn along(session: &Session, job: &Job, guard: Guard, pipelining: bool) -> Along {
    let can_be_undone = can_be_undone(job, session.undoes_all(job));
    let is_short = job.command.size() <= SHORT;
    if pipelining && is_short && guard != Guard::Wait && can_be_undone { Along::Together(guard) } else { Along::Behind }
}

/// What `LAST_INSERT_ID()` must be set to ahead of the job, because the connection's last user left
/// something else there and the session may come to see it.
fn insert_id_ahead(session: &Session, conn: &Ready, job: &Job, tenure: &Tenure, prelude: &Prelude) -> Option<u64> {
    // Functions may look at it, too, whatever they are declared to be.
    let uses = Traits::USES_LAST_INSERT_ID | Traits::CALLS_READ_FUNCTION;
    let seen = uses | Traits::SETS_LAST_INSERT_ID | Traits::CALLS_STORED_CODE;
    let may_stay = PINNING | Traits::CALC_FOUND_ROWS | Traits::CHANGES_SESSION | Traits::CONTROLS_TRANSACTION;
    let stays = session.binding.is_begun()
        || session.autocommit_off()
        || job.pins.is_some()
        || job.opens_cursor()
        || job.traits.intersects(may_stay);
    // Their triggers may look at it.
    let may_trigger = matches!(job.need, Need::Primary(Reason::Statement(Why::Update | Why::Delete)));
    let matters = if tenure.was_held() {
        // What it says is the session's own, unless the session came to it for another reason.
        job.traits.intersects(uses) && !session.last.insert_id_stale && conn.insert_id().is_some()
    } else {
        !matches!(job.command, JobCommand::Prepare(..)) && (stays || may_trigger || job.traits.intersects(seen))
    };
    let there = if prelude.reset { Some(0) } else { conn.insert_id() };
    let wanted = session.last.insert_id;
    (matters && there != Some(wanted)).then_some(wanted)
}
