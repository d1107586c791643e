//! The end of a flight: the client's answer is whole. Who must know of it is told, what is asked behind it is taken in.
//! A server that goes away by now takes its connection with it, and nothing of the answer.

use super::behind::{Questions, ask};
use super::{Broken, Failed, Flown};
use crate::backend::conn::Busy;
use crate::frontend::interrupt::{Interrupt, interrupted};
use crate::frontend::job::Job;
use crate::frontend::relay::RelayError;
use crate::frontend::session::Session;
use crate::frontend::summary::Summary;
use crate::frontend::tenure::Tenure;
use std::time::Instant;

/// What is asked behind the client's command.
pub(super) struct Asked {
    pub(super) questions: Questions,
    /// In the same flight.
    pub(super) along: bool,
    /// When, if anything is.
    pub(super) at: Option<Instant>,
}

/// Whether the connection lives on.
pub(super) type Lives = bool;

/// Takes in what comes behind the client's answer.
pub(super) async fn conclude(
    session: &mut Session,
    Flown { busy, summary, asked }: &mut Flown,
    job: &Job,
    tenure: &Tenure,
    thread_id: u32,
) -> Result<Lives, Broken> {
    let lives = match asked {
        Some(asked) => tell(session, busy, (job, tenure), summary, (asked, thread_id)).await?,
        None => true,
    };
    Ok(lives && take_last(session, busy, summary, thread_id).await?)
}

/// Before the client can know of its write, its other connections must be told to see it.
async fn tell(
    session: &mut Session,
    busy: &mut Busy,
    (job, tenure): (&Job, &Tenure),
    summary: &Summary,
    (asked, thread_id): (&Asked, u32),
) -> Result<Lives, Broken> {
    let Asked { questions, along, at } = *asked;
    let server = busy.server().id;
    let told = !summary.untold;
    if told && !questions.executed {
        session.remember_writes(server, job, tenure, summary, None);
        session.tell_successor().await.map_err(RelayError::Client)?;
    }
    if !questions.any() {
        return Ok(true);
    }
    if told && !questions.executed {
        session.client.packets.flush().await.map_err(RelayError::Client)?;
    }
    let (shared, handle) = (session.shared.clone(), session.entry.handle().clone());
    let is_answered = tokio::select! {
        biased;
        asked = ask(session, busy, along, questions, summary.last_insert_id) => asked.is_ok(),
        interrupt = interrupted(&handle, &shared, server) => goes_on(interrupt, thread_id)?,
    };
    if !is_answered && questions.executed && summary.unsent && job.is_repeatable() {
        // Nobody will ever say what was seen there, and the client has not seen it yet: let it read elsewhere.
        (session.asked_warnings, session.asked_executed) = (None, None);
        session.client.answered = false;
        return Err(Failed::Lost { server: busy.server().name.clone(), sent: true }.into());
    }
    if !told {
        (session.asked_warnings, session.asked_executed) = (None, None);
    } else if questions.executed {
        // The end of the answer has waited for it: whoever has it must not see less anywhere else.
        let named = at.zip(session.asked_executed.take());
        session.remember_writes(server, job, tenure, summary, named.as_ref());
        session.tell_successor().await.map_err(RelayError::Client)?;
    }
    if is_answered {
        busy.set_status(summary.status);
    } else if told && summary.last_insert_id != 0 {
        // The answer has been given; only what nobody asked yet is less certain now. One that names no id leaves what
        // the session had.
        session.last.insert_id = summary.last_insert_id;
    }
    Ok(is_answered)
}

/// Takes the answer to what the relay asked when it grew impatient, if it did.
async fn take_last(session: &mut Session, busy: &mut Busy, summary: &Summary, thread_id: u32) -> Result<Lives, Broken> {
    if !busy.is_due() {
        return Ok(true);
    }
    session.client.packets.flush().await.map_err(RelayError::Client)?;
    let (shared, server) = (session.shared.clone(), busy.server().id);
    let handle = session.entry.handle().clone();
    let lives = tokio::select! {
        biased;
        reply = busy.reply() => reply.is_ok(),
        interrupt = interrupted(&handle, &shared, server) => goes_on(interrupt, thread_id)?,
    };
    busy.set_status(summary.status);
    Ok(lives)
}

/// A server that is silent behind the answer takes its connection with it; a session that is to stop, stops.
fn goes_on(interrupt: Interrupt, thread_id: u32) -> Result<Lives, Broken> {
    match interrupt {
        Interrupt::Silent => Ok(false),
        Interrupt::Stopped => Err(Failed::Stopped(thread_id).into()),
    }
}
