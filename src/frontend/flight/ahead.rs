//! What goes ahead of a client's command: the session's state, the beginning of its transaction.

use super::Failed;
use crate::backend::conn::Ready;
use crate::backend::server::Setup;
use crate::frontend::binding::Binding;
use crate::frontend::job::Job;
use crate::frontend::session::Session;
use crate::frontend::tenure::Tenure;
use crate::state::{Plan, Prelude, SessionState};
use std::sync::Arc;

/// What brings the connection to a state; logs in again where nothing else does.
pub(super) async fn plan(
    conn: Ready,
    state: &Arc<SessionState>,
    setup: &Arc<Setup>,
    name: &str,
) -> Result<(Ready, Prelude), Failed> {
    let conn = match conn.plan_to(state, setup) {
        Plan::Nothing => return Ok((conn, Prelude::default())),
        Plan::Apply(prelude) => return Ok((conn, prelude)),
        Plan::LogInAgain => conn.log_in_again().await.map_err(|_| Failed::Lost { server: name.into(), sent: false })?,
    };
    match conn.plan_to(state, setup) {
        Plan::Apply(prelude) => Ok((conn, prelude)),
        Plan::Nothing | Plan::LogInAgain => Ok((conn, Prelude::default())),
    }
}

/// A connection to be used for a session anew must know of the privileges of today.
pub(super) async fn with_current_login(conn: Ready, name: &str) -> Result<Ready, Failed> {
    if !conn.is_login_outdated() {
        return Ok(conn);
    }
    conn.log_in_again().await.map_err(|_| Failed::Lost { server: name.into(), sent: false })
}

/// What must run ahead of the job on this connection.
pub(super) async fn prelude(
    session: &Session,
    conn: Ready,
    setup: &Arc<Setup>,
    job: &Job,
    tenure: &Tenure,
    name: &str,
) -> Result<(Ready, Prelude), Failed> {
    // Whoever holds a connection keeps the privileges it began with, as with a direct one.
    let conn = if tenure.was_held() { conn } else { with_current_login(conn, name).await? };
    let (conn, mut prelude) = plan(conn, &session.state, setup, name).await?;
    let ahead: Vec<Vec<u8>> = match (&session.binding, session.next_transaction) {
        _ if tenure.is_beside() => Vec::new(),
        (Binding::Begun(beginning), _) => beginning.statements().collect(),
        (Binding::Free, Some(next)) if job.pins.is_some() => next.statements().collect(),
        _ => Vec::new(),
    };
    for statement in &ahead {
        prelude.push(&[statement]);
    }
    Ok((conn, prelude))
}

pub(super) fn set_insert_id(id: u64) -> String {
    format!("SET last_insert_id={id}")
}
