//! The flight itself: what goes ahead, the client's command, what is asked behind it, and the client's answer.

use super::ahead::{prelude, set_insert_id};
use super::answers::{is_error_next, land_execution, not_preparable, note_statement, refused_by_replica};
use super::behind::{Questions, push_questions};
use super::conclude::Asked;
use super::course::{Course, InsertId, again};
use super::landing::Grounded;
use super::replay::Along;
use super::steps::{Flight, Guard};
use super::{Broken, Failed, Flown};
use crate::backend::conn::{Busy, Ready};
use crate::backend::server::Setup;
use crate::frontend::job::Job;
use crate::frontend::relay::{Expected, RelayError, relay};
use crate::frontend::session::Session;
use crate::frontend::tenure::Tenure;
use crate::protocol::capability::Capabilities;
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use crate::sql::Traits;
use crate::state::Prelude;
use crate::topology::ServerId;
use std::hash::RandomState;
use std::sync::Arc;
use std::time::Instant;

/// Why the client's command does not run here, although the connection lives on.
enum Halt {
    /// A transaction that does again what it did elsewhere was shown something else.
    Differs,
    /// The server will not prepare what is to be executed.
    NotPreparable(ServerError),
}

/// The flight itself, until the client's answer is whole.
pub(super) async fn fly(
    session: &mut Session,
    conn: Ready,
    job: &Job,
    tenure: &Tenure,
    name: &str,
) -> Result<Flown, Broken> {
    // Whoever holds a connection has it as it was set up then: a reset would take all it holds.
    let own = if tenure.was_held() { conn.own_setup() } else { None };
    let setup = own.unwrap_or_else(|| conn.setup());
    let (conn, mut prelude) = prelude(session, conn, &setup, job, tenure, name).await?;
    let course = Course::set(session, &conn, job, tenure, &prelude);
    if let InsertId::InPrelude(id) = course.insert_id {
        prelude.push(&[set_insert_id(id).as_bytes()]);
    }
    let mut flight = Flight::new(conn.begin(), course.pipelining, name);
    let halt = match depart(session, &mut flight, (job, tenure), prelude, course).await? {
        Ok((expected, asked)) => match arrive(session, &mut flight, (job, tenure), &asked).await? {
            None => return answer(session, flight.busy, (job, tenure), (course, &setup), (expected, asked)).await,
            Some(halt) => halt,
        },
        Err(halt) => halt,
    };
    match halt {
        Halt::Differs => Err(differs(flight, session, &setup).await?),
        Halt::NotPreparable(error) => {
            not_preparable(session, flight.busy, (&setup, course.insert_id.told()), tenure, error).await
        }
    }
}

/// Sends all that goes ahead, the client's command, and what is asked along with it.
async fn depart(
    session: &mut Session,
    flight: &mut Flight<'_>,
    (job, tenure): (&Job, &Tenure),
    prelude: Prelude,
    course: Course,
) -> Result<Result<(Expected, Asked), Halt>, Broken> {
    let Course { guard, along, pipelining, insert_id, renumbers } = course;
    // A handle from before the prelude guards nothing.
    let anew = prelude.statements > 0 && (renumbers || (guard == Guard::Handle && along != Along::Behind));
    let (prefix, ahead) = match again(tenure) {
        Some(journal) => flight.replay(session, prelude, journal, along).await?,
        None if flight.go_ahead(&prelude, guard).await? => (prelude.sql, prelude.statements),
        None => (Vec::new(), 0),
    };
    if flight.differing().is_some() {
        return Ok(Err(Halt::Differs));
    }
    if let InsertId::Alone(id) = insert_id {
        flight.set_insert_id(set_insert_id(id).as_bytes()).await?;
    }
    let server = flight.busy.server().id;
    let mut expected = expected(session, job, tenure, server, ahead);
    if let Err(error) = flight.push(session, job, &prefix, anew, &mut expected).await? {
        // What goes ahead may not have left yet, and its answers are due all the same.
        flight.wait().await?;
        return Ok(Err(if flight.differing().is_some() { Halt::Differs } else { Halt::NotPreparable(error) }));
    }
    let questions = Questions {
        insert_id: session.must_ask_insert_id(job, tenure),
        executed: pipelining && session.must_ask_executed(job, tenure, server),
    };
    // A server that waits for a file would take the question for its contents.
    let infile = job.traits.intersects(Traits::ASKS_FOR_FILE);
    let asked =
        Asked { questions, along: questions.any() && pipelining && !infile, at: questions.any().then(Instant::now) };
    // Where something is asked behind several statements, its answer shows that one was not answered.
    let several = !prefix.is_empty() || job.semicolons.may_separate();
    expected.may_go_silent = several && pipelining && !asked.along && !infile;
    if asked.along {
        push_questions(&mut flight.busy, questions);
    }
    flight.busy.flush().await.map_err(RelayError::from)?;
    Ok(Ok((expected, asked)))
}

/// Takes in the answers to all that went ahead, up to the client's own.
async fn arrive(
    session: &mut Session,
    flight: &mut Flight<'_>,
    (job, tenure): (&Job, &Tenure),
    asked: &Asked,
) -> Result<Option<Halt>, Broken> {
    let grounded = flight.land(true).await?;
    if let (Some(Grounded::Prelude(error)), true) = (&grounded, again(tenure).is_some()) {
        // It did not begin, or not in the session's state: what was read then says nothing.
        return Err(Failed::Refused(errno::state_not_restored(flight.name(), error)).into());
    }
    if flight.differing().is_some() {
        return Ok(Some(Halt::Differs));
    }
    let refusal = land_execution(session, flight, (job, tenure), grounded, asked.questions.along(asked.along)).await?;
    Ok(refusal.map(Halt::NotPreparable))
}

/// Passes the answer on to the client, and notes what it says of the connection.
async fn answer(
    session: &mut Session,
    mut busy: Busy,
    (job, tenure): (&Job, &Tenure),
    (course, setup): (Course, &Arc<Setup>),
    (expected, asked): (Expected, Asked),
) -> Result<Flown, Broken> {
    let others_may_know_better = job.only_prepares() && !tenure.has_own() && !session.is_primary(busy.server().id);
    if others_may_know_better && is_error_next(&mut busy).await? {
        // The replica may only be late: it is not for it to say what cannot be prepared.
        return refused_by_replica(session, busy, setup).await;
    }
    let sums = sums(session, tenure);
    let summary = relay(&mut busy, &mut session.client, expected, sums.as_ref()).await?;
    if let Some(error) = &summary.prelude_error {
        // How far the prelude came is not known: the connection is not used again.
        return Err(Failed::Refused(errno::state_not_restored(&busy.server().name, error)).into());
    }
    busy.applied_is(&session.state, setup);
    if job.traits.intersects(Traits::SQL_PREPARE | Traits::SQL_EXECUTE | Traits::CALLS_STORED_CODE) {
        busy.statements_mut().lose_count();
    }
    let may_differ = job.traits.intersects(Traits::SETS_LAST_INSERT_ID | Traits::CALLS_STORED_CODE)
        || again(tenure).is_some_and(|journal| !journal.only_reads());
    let there = course.insert_id.told().or_else(|| busy.insert_id()).filter(|_| !may_differ);
    busy.insert_id_is(there);
    note_statement(&mut busy, session, job, &summary);
    Ok(Flown { busy, summary, asked: Some(asked) })
}

/// By which key the rows of the answer are summed up, where the transaction may have to show them again.
fn sums(session: &Session, tenure: &Tenure) -> Option<RandomState> {
    let journal = match tenure {
        Tenure::OnTrial { trial, .. } => Some(&trial.journal),
        Tenure::Again { record, .. } => Some(&record.journal),
        Tenure::Moving { trial, .. } => Some(&trial.journal).filter(|_| session.settings().transaction_replay),
        _ => session.record.as_ref().map(|record| &record.journal),
    };
    journal.map(|journal| journal.key().clone())
}

/// What is special about the answer.
fn expected(session: &Session, job: &Job, tenure: &Tenure, server: ServerId, skip: usize) -> Expected {
    let is_on_trial = tenure.on_trial().is_some();
    Expected {
        skip,
        local_infile: job.traits.intersects(Traits::ASKS_FOR_FILE)
            && session.client.caps.contains(Capabilities::LOCAL_FILES),
        reports: session.reports,
        cursor: job.opens_cursor(),
        several: job.semicolons.may_separate(),
        only_with_rows: session.asks_again_if_empty(job, tenure, server),
        elsewhere: (!tenure.was_held() || is_on_trial) && job.is_repeatable(),
        no_errors: is_on_trial,
        ..Expected::default()
    }
}

/// A transaction that was to move has seen something else here: nothing of it may remain.
async fn differs(mut flight: Flight<'_>, session: &Session, setup: &Arc<Setup>) -> Result<Broken, Broken> {
    let read = flight.differing().unwrap_or_default();
    flight.undo().await?;
    let mut busy = flight.busy;
    busy.applied_is(&session.state, setup);
    busy.insert_id_is(None);
    Ok(Broken::Differs(busy.finish(), read))
}
