//! Answers that are not simply passed on: of statements that cannot be prepared, of handles foretold wrongly.

use super::behind::{Questions, push_questions};
use super::landing::Grounded;
use super::steps::{Flight, close, make_room, remember};
use super::{Broken, Failed, Flown};
use crate::backend::conn::{Busy, Lost};
use crate::backend::query::Reply;
use crate::backend::server::Setup;
use crate::frontend::job::{Execution, Job, JobCommand};
use crate::frontend::relay::RelayError;
use crate::frontend::session::Session;
use crate::frontend::summary::Summary;
use crate::frontend::tenure::Tenure;
use crate::protocol::errno;
use crate::protocol::packet::HEADER_LEN;
use crate::protocol::response::{ERR, ServerError};
use std::io;
use std::sync::Arc;

/// Sees to it that the answer that comes next is that of the execution of the job, if it is one: a
/// foretold handle may be wrong. Returns the error of a statement that cannot be prepared.
pub(super) async fn land_execution(
    session: &mut Session,
    flight: &mut Flight<'_>,
    (job, tenure): (&Job, &Tenure),
    grounded: Option<Grounded>,
    asked: Option<Questions>,
) -> Result<Option<ServerError>, Broken> {
    let JobCommand::Execute(execution) = &job.command else { return Ok(None) };
    if grounded.is_some() {
        flight.misses();
    }
    match grounded {
        None => flight.keep_prepared(session, execution, None),
        Some(Grounded::Prelude(error)) => {
            // If its last part failed, the number was there all the same: then nobody knows.
            flight.expect_unknown_handle().await?;
            if error.code == errno::TOO_MANY_STATEMENTS && !tenure.was_held() {
                // What the connection keeps prepared goes with it, and makes room for another attempt.
                return Err(Failed::Lost { server: flight.name().to_owned(), sent: false }.into());
            }
            return Err(Failed::Refused(errno::state_not_restored(flight.name(), &error)).into());
        }
        Some(Grounded::Prepare(error)) => {
            flight.expect_unknown_handle().await?;
            if !make_room(&mut flight.busy, &error) {
                return Ok(Some(error));
            }
            match flight.prepare_as_meant(session, execution).await? {
                Ok(handle) => execute_as(session, flight, execution, handle, asked).await?,
                Err(error) => return Ok(Some(error)),
            }
        }
        Some(Grounded::Handle(handle)) => {
            flight.expect_unknown_handle().await?;
            execute_as(session, flight, execution, handle, asked).await?;
        }
    }
    Ok(None)
}

/// Executes a statement by the handle that it turned out to have.
async fn execute_as(
    session: &mut Session,
    flight: &mut Flight<'_>,
    execution: &Execution,
    handle: u32,
    asked: Option<Questions>,
) -> Result<(), Broken> {
    flight.keep_prepared(session, execution, Some(handle));
    flight.execute(execution, handle);
    if let Some(questions) = asked {
        push_questions(&mut flight.busy, questions);
    }
    flight.busy.flush().await.map_err(RelayError::from)?;
    Ok(())
}

/// Whether the answer that comes is an error.
pub(super) async fn is_error_next(busy: &mut Busy) -> Result<bool, Broken> {
    let packets = busy.packets();
    let lost = |error: io::Error| RelayError::Server(Lost { sent: true, source: error.into() });
    packets.buffer_at_least(HEADER_LEN + 1).await.map_err(lost)?;
    Ok(packets.input().get(HEADER_LEN) == Some(&ERR))
}

pub(super) async fn refused_by_replica(session: &Session, mut busy: Busy, setup: &Arc<Setup>) -> Result<Flown, Broken> {
    let reply = busy.reply().await.map_err(RelayError::from)?;
    busy.applied_is(&session.state, setup);
    let error = if let Reply::Err(error) = reply { Some(error) } else { None };
    if let Some(error) = &error {
        make_room(&mut busy, error);
    }
    let summary = Summary { untold: true, error: error.map(Box::new), ..Summary::default() };
    Ok(Flown { busy, summary, asked: None })
}

/// Remembers what the client prepared, and forgets what the server will not execute any more.
pub(super) fn note_statement(busy: &mut Busy, session: &Session, job: &Job, summary: &Summary) {
    match (&job.command, summary.prepared, summary.error.as_deref()) {
        (JobCommand::Prepare(text, _), Some((handle, ..)), None) => {
            let foretold = busy.statements().latest();
            busy.statements_mut().numbered(handle, foretold);
            remember(busy, text, &session.state, handle);
        }
        (JobCommand::Prepare(..), _, Some(error)) => {
            make_room(busy, error);
        }
        (JobCommand::Execute(execution), _, error) => {
            let Execution { statement, long_data, cursor, .. } = execution;
            // A cursor's statement is nobody else's.
            let has_data = !long_data.is_empty() && cursor.is_none();
            if !has_data && !error.is_some_and(errno::wants_preparing_anew) {
                return;
            }
            let Some(handle) = busy.statements_mut().known(&statement.text, &statement.prepared_in) else { return };
            if error.is_none() {
                busy.statements_mut().is_empty_again(handle);
            } else {
                // Behind some errors servers keep long data; what was sent too much they never execute again.
                busy.statements_mut().forget(handle);
                close(busy, handle);
            }
        }
        _ => {}
    }
}

/// A statement prepared elsewhere cannot be prepared here: that is an answer like any other, and
/// the connection (and the transaction on it) lives on.
pub(super) async fn not_preparable(
    session: &mut Session,
    mut busy: Busy,
    (setup, insert_id): (&Arc<Setup>, Option<u64>),
    tenure: &Tenure,
    error: ServerError,
) -> Result<Flown, Broken> {
    // What stood ahead of the preparation has been answered, and well.
    busy.applied_is(&session.state, setup);
    busy.insert_id_is(insert_id.or_else(|| busy.insert_id()));
    // A replica may only be late: it is not for it to say what cannot be prepared.
    let untold = tenure.on_trial().is_some();
    if !untold {
        session.client.send_error(&error).await.map_err(RelayError::Client)?;
    }
    let summary = Summary { status: busy.status(), error: Some(Box::new(error)), untold, ..Summary::default() };
    Ok(Flown { busy, summary, asked: None })
}
