//! The flight itself: what goes ahead, the client's command, what is asked behind it, and the client's answer.

use super::ahead::{insert_id_ahead, prelude, set_insert_id};
use super::answers::{is_error_next, land_execution, not_preparable, note_statement, refused_by_replica};
use super::behind::{Questions, push_questions};
use super::conclude::Asked;
use super::landing::Grounded;
use super::replay::Along;
use super::steps::{Flight, Guard, guard};
use super::{Broken, Failed, Flown};
use crate::backend::conn::Ready;
use crate::backend::server::Setup;
use crate::frontend::job::Job;
use crate::frontend::optimistic::can_be_undone;
use crate::frontend::relay::{Expected, RelayError, relay};
use crate::frontend::session::Session;
use crate::frontend::tenure::Tenure;
use crate::protocol::capability::Capabilities;
use crate::protocol::errno;
use crate::sql::Traits;
use crate::topology::ServerId;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

/// What may look at the connection's `LAST_INSERT_ID()`.
const LOOKS_AT_INSERT_ID: Traits =
    Traits::USES_LAST_INSERT_ID.or(Traits::CALLS_READ_FUNCTION).or(Traits::CALLS_STORED_CODE);

/// The flight itself, until the client's answer is whole.
pub(super) async fn fly(
    session: &mut Session,
    conn: Ready,
    job: &Job,
    tenure: &Tenure,
    name: &str,
) -> Result<Flown, Broken> {
    let server = conn.server().id;
    let pipelining = conn.server().facts().is_none_or(|facts| facts.pipelining);
    // Whoever holds a connection has it as it was set up then: a reset would take all it holds.
    let setup = conn.own_setup().filter(|_| tenure.is_own()).unwrap_or_else(|| conn.setup());
    let (conn, mut prelude) = prelude(session, conn, &setup, job, tenure, name).await?;
    let guard = guard(session, job, pipelining && conn.statements().is_counted());
    let insert_id = match tenure {
        Tenure::Again { record, .. } => Some(record.insert_id),
        _ => insert_id_ahead(session, &conn, job, tenure, &prelude),
    };
    // Where the statement itself may look at it, it is guarded like any other state.
    let looks = job.traits.intersects(LOOKS_AT_INSERT_ID);
    let guarded = guard == Guard::SameText || prelude.statements > 0 || looks;
    if let Some(id) = insert_id.filter(|_| guarded) {
        prelude.push(&[set_insert_id(id).as_bytes()]);
    }
    let mut flight = Flight::new(conn.begin(), pipelining, name);
    let again = tenure.journal().filter(|journal| !journal.is_empty());
    let along = match again {
        Some(journal) => along(session, job, guard, pipelining && journal.only_reads()),
        None => Along::Together(guard),
    };
    let (prefix, ahead): (Cow<'_, [u8]>, usize) = match again {
        Some(journal) => {
            let (prefix, ahead) = flight.replay(session, prelude.clone(), journal, along).await?;
            (prefix.into(), ahead)
        }
        None => {
            let prefix = flight.go_ahead(&prelude, guard).await?;
            (prefix.into(), if prefix.is_empty() { 0 } else { prelude.statements })
        }
    };
    if flight.differing().is_some() {
        return Err(differs(flight, session, &setup).await?);
    }
    let anew = guard == Guard::Handle && prelude.statements > 0 && along != Along::Behind;
    if let Some(id) = insert_id.filter(|_| !guarded) {
        flight.set_insert_id(set_insert_id(id).as_bytes()).await?;
    }
    let mut expected = expected(session, job, tenure, server, ahead);
    if let Err(error) = flight.push(session, job, &prefix, anew, &mut expected).await? {
        return not_preparable(session, flight.busy, (&setup, insert_id), tenure, error).await;
    }
    // A server that waits for a file would take the question for its contents.
    let questions = Questions {
        insert_id: session.must_ask_insert_id(job, tenure),
        executed: pipelining && session.must_ask_executed(job, tenure, server),
    };
    let asked_at = questions.any().then(Instant::now);
    let asks_along = questions.any() && pipelining && !job.traits.contains(Traits::LOCAL_INFILE);
    // Where something is asked behind several statements, its answer shows that one was not answered.
    let several = !prefix.is_empty() || job.semicolons.may_separate();
    let infile = job.traits.contains(Traits::LOCAL_INFILE);
    expected.may_go_silent = several && pipelining && !asks_along && !infile;
    if asks_along {
        push_questions(&mut flight.busy, questions);
    }
    flight.busy.flush().await.map_err(RelayError::from)?;
    let grounded = flight.land(true).await?;
    if let (Some(Grounded::Prelude(error)), true) = (&grounded, again.is_some()) {
        // It did not begin, or not in the session's state: what was read then says nothing.
        return Err(Failed::Refused(errno::state_not_restored(name, error)).into());
    }
    if flight.differing().is_some() {
        return Err(differs(flight, session, &setup).await?);
    }
    if let Some(refusal) = land_execution(session, &mut flight, job, grounded, questions.along(asks_along)).await? {
        return not_preparable(session, flight.busy, (&setup, insert_id), tenure, refusal).await;
    }
    let mut busy = flight.busy;
    let others_may_know_better = !tenure.has_own();
    if others_may_know_better && job.only_prepares() && !session.is_primary(server) && is_error_next(&mut busy).await? {
        // The replica may only be late: it is not for it to say what cannot be prepared.
        return refused_by_replica(session, busy, &setup).await;
    }
    let sums = match tenure {
        Tenure::OnTrial { trial, .. } => Some(&trial.journal),
        Tenure::Again { record, .. } => Some(&record.journal),
        Tenure::Moving { trial, .. } => Some(&trial.journal).filter(|_| session.settings().transaction_replay),
        _ => session.record.as_ref().map(|record| &record.journal),
    };
    let sums = sums.map(|journal| journal.key().clone());
    let summary = relay(&mut busy, &mut session.client, expected, sums.as_ref()).await?;
    if let Some(error) = &summary.prelude_error {
        // How far the prelude came is not known: the connection is not used again.
        return Err(Failed::Refused(errno::state_not_restored(name, error)).into());
    }
    busy.applied_is(session.state.clone(), &setup);
    if job.traits.intersects(Traits::SQL_PREPARE | Traits::SQL_EXECUTE | Traits::CALLS_STORED_CODE) {
        busy.statements_mut().lose_count();
    }
    let may_differ = job.traits.intersects(Traits::SETS_LAST_INSERT_ID | Traits::CALLS_STORED_CODE)
        || again.is_some_and(|journal| !journal.only_reads());
    let there = insert_id.or_else(|| busy.insert_id()).filter(|_| !may_differ);
    busy.insert_id_is(there);
    note_statement(&mut busy, session, job, &summary);
    Ok(Flown { busy, summary, asked: Some(Asked { questions, along: asks_along, at: asked_at }) })
}

/// What is special about the answer.
fn expected(session: &Session, job: &Job, tenure: &Tenure, server: ServerId, skip: usize) -> Expected {
    let is_on_trial = tenure.on_trial().is_some();
    Expected {
        skip,
        local_infile: job.traits.contains(Traits::LOCAL_INFILE)
            && session.client.caps.contains(Capabilities::LOCAL_FILES),
        reports: session.reports,
        cursor: job.opens_cursor(),
        only_with_rows: session.asks_again_if_empty(job, tenure, server),
        elsewhere: (!tenure.is_own() || is_on_trial) && job.is_repeatable(),
        no_errors: is_on_trial,
        ..Expected::default()
    }
}

/// How the client's statement goes along with what a transaction that moves has to show again.
fn along(session: &Session, job: &Job, guard: Guard, pipelining: bool) -> Along {
    let can_be_undone = can_be_undone(job, session.undoes_all(job));
    if pipelining && guard != Guard::Wait && can_be_undone { Along::Together(guard) } else { Along::Behind }
}

/// A transaction that was to move has seen something else here: nothing of it may remain.
async fn differs(mut flight: Flight<'_>, session: &Session, setup: &Arc<Setup>) -> Result<Broken, Broken> {
    let read = flight.differing().unwrap_or_default();
    flight.undo().await?;
    let mut busy = flight.busy;
    busy.applied_is(session.state.clone(), setup);
    busy.insert_id_is(None);
    Ok(Broken::Differs(busy.finish(), read))
}
