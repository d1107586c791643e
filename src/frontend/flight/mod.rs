//! One flight: what brings a connection to the session's state, and the client's command behind it.
//!
//! The invariant: no statement of a client runs on a server in a state other than the one the
//! client was told about. Text is guarded by putting the prelude in front of it as one
//! multi-statement, which stops at the first error; an execution by a handle that does not exist if
//! the prelude failed ([`Guard`]). What cannot be guarded waits for the prelude's answer. A reset and
//! `COM_SET_OPTION` cannot fail on a connection that lives on, so they may share the flight.

mod ahead;
mod answers;
mod behind;
mod conclude;
mod course;
mod fly;
mod landing;
mod replay;
mod steps;

use self::ahead::{plan, with_current_login};
pub(super) use self::behind::{FOUND_ROWS_QUERY, INSERT_ID_QUERY, WARNINGS_QUERY};
use self::conclude::{Asked, conclude};
use self::fly::fly;
pub(super) use self::steps::means_the_same;
use self::steps::{Flight, Guard};
use super::interrupt::interrupted;
use super::job::Job;
use super::killed::Killed;
use super::relay::RelayError;
use super::session::Session;
use super::summary::Summary;
use super::tenure::Tenure;
use crate::backend::conn::{Busy, Lost, Ready};
use crate::pool::Lease;
use crate::protocol::response::ServerError;
use crate::state::SessionState;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// A flight whose answer to the client is whole.
struct Flown {
    busy: Busy,
    summary: Summary,
    /// What is asked behind it, if the command ran.
    asked: Option<Asked>,
}

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
    /// A transaction that was to move here saw something else here: in the so many-eth of its reads. Nothing of it is left.
    Differs(usize),
    /// A read of such a transaction did not come to its end here, for this reason, which says nothing of what there is to
    /// read. This connection of the server may still be at work.
    Unread(ServerError, u32),
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
    tenure: &Tenure,
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
    let shared = session.shared.clone();
    let mut flown = tokio::select! {
        biased;
        flown = fly(session, conn, job, tenure, name) => flown,
        interrupt = interrupted(&handle, &shared, id) => Err(interrupt.failed(name, thread_id).into()),
    };
    let mut lives = true;
    if let Ok(whole) = &mut flown {
        match conclude(session, whole, job, tenure, thread_id).await {
            Ok(goes_on) => lives = goes_on,
            Err(broken) => flown = Err(broken),
        }
    }
    match handle.end().await {
        Killed::No => {}
        Killed::Yes => lease.taint(),
        Killed::Perhaps => lease.awaits_kill(),
    }
    if let Err(Broken::Failed(Failed::Lost { .. }) | Broken::Relay(RelayError::Server(_))) = &flown {
        pool.server().reach.suspect();
    }
    if flown.is_err() && !session.client.answered {
        // What was translated of a broken answer is not the client's to see.
        session.client.packets.output().truncate(answered);
        session.client.seq = seq;
    }
    match flown {
        Ok(Flown { busy, summary, .. }) => {
            if lives && let Some(conn) = busy.finish() {
                lease.put(conn);
            }
            Ok(summary)
        }
        Err(Broken::Failed(failed)) => Err(failed),
        Err(Broken::Differs(conn, read)) => {
            if let Some(conn) = conn {
                lease.put(conn);
            }
            Err(Failed::Differs(read))
        }
        Err(Broken::Relay(RelayError::Server(lost))) => Err(Failed::lost(name)(lost)),
        Err(Broken::Relay(RelayError::Client(error))) => Err(Failed::ClientLeft(error, thread_id)),
    }
}

/// What ended a flight before the client's answer was whole, or before it may be sent.
enum Broken {
    Failed(Failed),
    Differs(Option<Ready>, usize),
    Relay(RelayError),
}

impl From<Failed> for Broken {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl From<RelayError> for Broken {
    fn from(error: RelayError) -> Self {
        Self::Relay(error)
    }
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
    flight.busy.applied_is(state, &setup);
    flight.busy.finish().ok_or_else(|| Failed::Lost { server: name.to_owned(), sent: false })
}
