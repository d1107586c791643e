//! One flight: what brings a connection to the session's state, and the client's command behind it.
//!
//! The invariant: no statement of a client runs on a server in a state other than the one the
//! client was told about. Text is guarded by putting the prelude in front of it as one
//! multi-statement, which stops at the first error; an execution by a handle that does not exist if
//! the prelude failed ([`Guard`]). What cannot be guarded waits for the prelude's answer. A reset and
//! `COM_SET_OPTION` cannot fail on a connection that lives on, so they may share the flight.

mod ahead;
mod behind;
mod steps;

use self::ahead::{insert_id_ahead, plan, prelude, set_insert_id, with_current_login};
pub(super) use self::behind::{FOUND_ROWS_QUERY, INSERT_ID_QUERY, WARNINGS_QUERY};
use self::behind::{Questions, ask, push_questions};
use self::steps::{Flight, Grounded, Guard, close, guard, remember};
use super::acquire::Held;
use super::job::{Execution, Job, JobCommand};
use super::relay::{Expected, RelayError, relay};
use super::session::Session;
use super::summary::Summary;
use crate::backend::conn::{Busy, Lost, Ready};
use crate::backend::query::Reply;
use crate::backend::server::Setup;
use crate::pool::Lease;
use crate::protocol::capability::Capabilities;
use crate::protocol::errno;
use crate::protocol::packet::HEADER_LEN;
use crate::protocol::response::{ERR, ServerError};
use crate::sql::Traits;
use crate::state::SessionState;
use crate::topology::{Health, ServerId, Snapshot};
use std::io;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// What may look at the connection's `LAST_INSERT_ID()`.
const LOOKS_AT_INSERT_ID: Traits =
    Traits::USES_LAST_INSERT_ID.or(Traits::CALLS_READ_FUNCTION).or(Traits::CALLS_STORED_CODE);

/// How an exchange failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The connection broke; `sent` tells whether the client's command may have reached the server.
    Lost {
        /// The server's name.
        server: String,
        /// Whether the command may have reached it.
        sent: bool,
    },
    /// The client left while this connection of the server was at work for it.
    ClientLeft(io::Error, u32),
    /// The session was told to go while this connection of the server was at work for it.
    Stopped(u32),
    /// The command was not run, for this reason.
    Refused(ServerError),
}

impl Failed {
    fn unsent(server: &str) -> impl Fn(Lost) -> Self {
        move |_| Self::Lost { server: server.to_owned(), sent: false }
    }

    fn lost(server: &str) -> impl Fn(Lost) -> Self {
        move |lost| Self::Lost { server: server.to_owned(), sent: lost.sent }
    }
}

/// Runs a job on a leased connection and relays its answer. On success the connection is back in
/// the lease, in the session's state, unless it broke behind the answer.
pub(super) async fn exchange(
    session: &mut Session,
    lease: &mut Lease,
    job: &Job,
    held: &Held,
) -> Result<Summary, Failed> {
    let (pool, id) = (lease.pool().clone(), lease.pool().server().id);
    let name = &*pool.server().name;
    let conn = lease.take().ok_or_else(|| Failed::Lost { server: name.to_owned(), sent: false })?;
    let thread_id = conn.thread_id();
    let handle = session.entry.handle().clone();
    let now = session.went.map_or_else(Instant::now, |went| went.at);
    handle.begin(pool.clone(), thread_id, now);
    let answered = session.client.packets.output().len();
    let seq = session.client.seq;
    let topology = session.shared.topology.clone();
    let flown = tokio::select! {
        biased;
        flown = fly(session, conn, job, held, name) => flown,
        // The monitor says that this server is silent: waiting longer would be a hang.
        () = down(topology, id) => Err(Failed::Lost { server: name.to_owned(), sent: true }.into()),
        () = handle.stop.cancelled() => Err(Failed::Stopped(thread_id).into()),
    };
    if handle.end().await {
        lease.taint();
    }
    if let Err(Flown::Failed(Failed::Lost { .. }) | Flown::Relay(RelayError::Server(_))) = &flown {
        pool.server().reach.suspect();
    }
    if flown.is_err() && !session.client.answered {
        // What was translated of a broken answer is not the client's to see.
        session.client.packets.output().truncate(answered);
        session.client.seq = seq;
    }
    match flown {
        Ok((conn, summary)) => {
            if let Some(conn) = conn {
                lease.put(conn);
            }
            Ok(summary)
        }
        Err(Flown::Failed(failed)) => Err(failed),
        Err(Flown::Relay(RelayError::Server(lost))) => Err(Failed::lost(name)(lost)),
        Err(Flown::Relay(RelayError::Client(error))) => Err(Failed::ClientLeft(error, thread_id)),
    }
}

/// Waits until a server is known not to answer.
async fn down(mut topology: watch::Receiver<Arc<Snapshot>>, id: ServerId) {
    let is_down =
        |snapshot: &Arc<Snapshot>| snapshot.server(id).is_some_and(|server| matches!(server.health, Health::Down(_)));
    if topology.wait_for(is_down).await.is_err() {
        // Nobody watches any more: the program ends.
        std::future::pending::<()>().await;
    }
}

enum Flown {
    Failed(Failed),
    Relay(RelayError),
}

impl From<Failed> for Flown {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl From<RelayError> for Flown {
    fn from(error: RelayError) -> Self {
        Self::Relay(error)
    }
}

/// The flight itself. Without a connection at the end, the answer was whole but the connection
/// broke behind it.
async fn fly(
    session: &mut Session,
    conn: Ready,
    job: &Job,
    held: &Held,
    name: &str,
) -> Result<(Option<Ready>, Summary), Flown> {
    let server = conn.server().id;
    let pipelining = conn.server().facts().is_none_or(|facts| facts.pipelining);
    // Whoever holds a connection has it as it was set up then: a reset would take all it holds.
    let setup = conn.own_setup().filter(|_| held.connection).unwrap_or_else(|| conn.setup());
    let (conn, mut prelude) = prelude(session, conn, &setup, job, held, name).await?;
    let guard = guard(session, job, pipelining && conn.statements().is_counted());
    let insert_id = insert_id_ahead(session, &conn, job, held, &prelude);
    // Where the statement itself may look at it, it is guarded like any other state.
    let looks = job.traits.intersects(LOOKS_AT_INSERT_ID);
    let guarded = guard == Guard::SameText || prelude.statements > 0 || looks;
    if let Some(id) = insert_id.filter(|_| guarded) {
        prelude.push(&[set_insert_id(id).as_bytes()]);
    }
    let anew = guard == Guard::Handle && prelude.statements > 0;
    let mut flight = Flight::new(conn.begin(), pipelining, name);
    let prefix = flight.go_ahead(&prelude, guard).await?;
    if let Some(id) = insert_id.filter(|_| !guarded) {
        flight.set_insert_id(set_insert_id(id).as_bytes()).await?;
    }
    let mut expected = Expected {
        skip: if prefix.is_empty() { 0 } else { prelude.statements },
        local_infile: job.traits.contains(Traits::LOCAL_INFILE)
            && session.client.caps.contains(Capabilities::LOCAL_FILES),
        reports: session.reports,
        cursor: job.opens_cursor(),
        only_with_rows: session.asks_again_if_empty(job, held, server),
        elsewhere: !held.connection && job.is_repeatable(),
        ..Expected::default()
    };
    if let Err(error) = flight.push(session, job, prefix, anew, &mut expected).await? {
        return not_preparable(session, flight.busy, &setup, insert_id, error).await;
    }
    // A server that waits for a file would take the question for its contents.
    let questions = Questions {
        insert_id: session.must_ask_insert_id(job, held),
        executed: pipelining && session.must_ask_executed(job, held, server),
    };
    let asked_at = Instant::now();
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
    if let Some(refusal) = land_execution(session, &mut flight, job, grounded, questions.along(asks_along)).await? {
        return not_preparable(session, flight.busy, &setup, insert_id, refusal).await;
    }
    let mut busy = flight.busy;
    if job.only_prepares() && !session.is_primary(server) && is_error_next(&mut busy).await? {
        // The replica may only be late: it is not for it to say what cannot be prepared.
        return refused_by_replica(session, busy, &setup).await;
    }
    let summary = relay(&mut busy, &mut session.client, expected).await?;
    if let Some(error) = &summary.prelude_error {
        // How far the prelude came is not known: the connection is not used again.
        return Err(Failed::Refused(errno::state_not_restored(name, error)).into());
    }
    busy.applied_is(session.state.clone(), &setup);
    if job.traits.intersects(Traits::SQL_PREPARE | Traits::SQL_EXECUTE | Traits::CALLS_STORED_CODE) {
        busy.statements_mut().lose_count();
    }
    let may_differ = job.traits.intersects(Traits::SETS_LAST_INSERT_ID | Traits::CALLS_STORED_CODE);
    let there = insert_id.or_else(|| busy.insert_id()).filter(|_| !may_differ);
    busy.insert_id_is(there);
    // Before the client can know of its write, its other connections must be told to see it.
    let told = !summary.untold;
    if told && !questions.executed {
        session.remember_writes(server, job, held, &summary, None);
        session.tell_successor().await.map_err(RelayError::Client)?;
    }
    note_statement(&mut busy, session, job, &summary);
    if questions.any() {
        if told && !questions.executed {
            session.client.packets.flush().await.map_err(RelayError::Client)?;
        }
        let topology = session.shared.topology.clone();
        let asked = tokio::select! {
            asked = ask(session, &mut busy, asks_along, questions, summary.last_insert_id) => asked.is_ok(),
            // The client's own answer is whole: a silence behind it is none of its business.
            () = down(topology, server) => false,
        };
        if !asked && questions.executed && summary.unsent && job.is_repeatable() {
            // Nobody will ever say what was seen there, and the client has not seen it yet: let it read elsewhere.
            (session.asked_warnings, session.asked_executed) = (None, None);
            session.client.answered = false;
            return Err(Failed::Lost { server: name.to_owned(), sent: true }.into());
        }
        if !told {
            (session.asked_warnings, session.asked_executed) = (None, None);
        } else if questions.executed {
            // The end of the answer has waited for it: whoever has it must not see less anywhere else.
            let named = session.asked_executed.take().map(|gtids| (asked_at, gtids));
            session.remember_writes(server, job, held, &summary, named.as_ref());
            session.tell_successor().await.map_err(RelayError::Client)?;
        }
        if !asked {
            // The answer has been given; only what nobody asked yet is less certain now. One that names no id
            // leaves what the session had.
            if told && summary.last_insert_id != 0 {
                session.last.insert_id = summary.last_insert_id;
            }
            return Ok((None, summary));
        }
        busy.set_status(summary.status);
    }
    Ok((last_reply(session, busy, &summary).await?, summary))
}

/// Takes the answer to what the relay asked when it grew impatient, if it did. `None`: the connection broke.
async fn last_reply(session: &mut Session, mut busy: Busy, summary: &Summary) -> Result<Option<Ready>, Flown> {
    if busy.is_due() {
        session.client.packets.flush().await.map_err(RelayError::Client)?;
        if busy.reply().await.is_err() {
            return Ok(None);
        }
        busy.set_status(summary.status);
    }
    Ok(busy.finish())
}

/// Sees to it that the answer that comes next is that of the execution of the job, if it is one: a
/// foretold handle may be wrong. Returns the error of a statement that cannot be prepared.
async fn land_execution(
    session: &mut Session,
    flight: &mut Flight<'_>,
    job: &Job,
    grounded: Option<Grounded>,
    asked: Option<Questions>,
) -> Result<Option<ServerError>, Flown> {
    let JobCommand::Execute(execution) = &job.command else { return Ok(None) };
    match grounded {
        None => flight.keep_prepared(session, execution, None),
        Some(Grounded::Prelude(error)) => {
            // If its last part failed, the number was there all the same: then nobody knows.
            flight.expect_unknown_handle().await?;
            return Err(Failed::Refused(errno::state_not_restored(flight.name(), &error)).into());
        }
        Some(Grounded::Prepare(error)) => {
            flight.expect_unknown_handle().await?;
            return Ok(Some(error));
        }
        Some(Grounded::Handle(handle)) => {
            flight.expect_unknown_handle().await?;
            flight.keep_prepared(session, execution, Some(handle));
            flight.execute(execution, handle);
            if let Some(questions) = asked {
                push_questions(&mut flight.busy, questions);
            }
            flight.busy.flush().await.map_err(RelayError::from)?;
        }
    }
    Ok(None)
}

/// Whether the answer that comes is an error.
async fn is_error_next(busy: &mut Busy) -> Result<bool, Flown> {
    let packets = busy.packets();
    let lost = |error: io::Error| RelayError::Server(Lost { sent: true, source: error.into() });
    packets.buffer_at_least(HEADER_LEN + 1).await.map_err(lost)?;
    Ok(packets.input().get(HEADER_LEN) == Some(&ERR))
}

async fn refused_by_replica(
    session: &Session,
    mut busy: Busy,
    setup: &Arc<Setup>,
) -> Result<(Option<Ready>, Summary), Flown> {
    let reply = busy.reply().await.map_err(RelayError::from)?;
    busy.applied_is(session.state.clone(), setup);
    let error = if let Reply::Err(error) = reply { Some(error) } else { None };
    Ok((busy.finish(), Summary { untold: true, error, ..Summary::default() }))
}

/// Remembers what the client prepared, and forgets what the server will not execute any more.
fn note_statement(busy: &mut Busy, session: &Session, job: &Job, summary: &Summary) {
    match (&job.command, summary.prepared, &summary.error) {
        (JobCommand::Prepare(text, _), Some((handle, ..)), None) => remember(busy, text, &session.state, handle),
        (JobCommand::Execute(execution), _, Some(error)) if errno::wants_preparing_anew(error) => {
            let Execution { text, prepared_in, .. } = execution;
            if let Some(handle) = busy.statements_mut().find(text, prepared_in) {
                busy.statements_mut().forget(handle);
                close(busy, handle);
            }
        }
        _ => {}
    }
}

/// A statement prepared elsewhere cannot be prepared here: that is an answer like any other, and
/// the connection (and the transaction on it) lives on.
async fn not_preparable(
    session: &mut Session,
    mut busy: Busy,
    setup: &Arc<Setup>,
    insert_id: Option<u64>,
    error: ServerError,
) -> Result<(Option<Ready>, Summary), Flown> {
    // What stood ahead of the preparation has been answered, and well.
    busy.applied_is(session.state.clone(), setup);
    busy.insert_id_is(insert_id.or_else(|| busy.insert_id()));
    session.client.send_error(&error).await.map_err(RelayError::Client)?;
    let summary = Summary { status: busy.status(), error: Some(error), ..Summary::default() };
    Ok((busy.finish(), summary))
}

/// Brings a connection to a session's state, waiting for each step: for work of our own.
///
/// # Errors
/// The connection broke, or the server refuses the state; it must not be used again then.
pub(super) async fn bring_to(conn: Ready, state: &Arc<SessionState>, name: &str) -> Result<Ready, Failed> {
    let setup = conn.setup();
    let conn = with_current_login(conn, name).await?;
    let (conn, prelude) = plan(conn, state, &setup, name).await?;
    let mut flight = Flight::new(conn.begin(), false, name);
    flight.go_ahead(&prelude, Guard::Wait).await?;
    // Nothing of the session's may hide behind a `;` in what follows.
    flight.set_multi_statements(false).await?;
    flight.busy.applied_is(state.clone(), &setup);
    flight.busy.finish().ok_or_else(|| Failed::Lost { server: name.to_owned(), sent: false })
}
