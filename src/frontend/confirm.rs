//! Asks a server nearby to do what only concerns a session: a real server's word that it is right.

use super::flight::{self, Failed, WARNINGS_QUERY};
use super::proven::Accepted;
use super::session::Session;
use super::settle::LAST_QUESTION;
use crate::backend::conn::{Lost, Ready};
use crate::backend::query::Reply;
use crate::pool::{CheckoutError, Disposition, Lease, Pool};
use crate::protocol::command::Command;
use crate::protocol::errno;
use crate::protocol::exchange::Expect;
use crate::protocol::response::ServerError;
use crate::route::{self, Need, Reader};
use crate::state::{SessionState, literal};
use crate::topology::{ServerId, Snapshot};
use std::sync::Arc;
use std::time::Duration;

/// How long a server nearby may take to confirm something.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// A server's word that something of ours is in order.
pub(super) struct Confirmed {
    /// The connection, in the state that was confirmed.
    pub lease: Lease,
    /// What the server said.
    pub accepted: Accepted,
}

/// In which schema something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the session's own: what is asked depends on it, such as `SET CHARACTER SET`.
    Here,
    /// In whatever schema the connection was left in: what is asked does not depend on it, and the session's own may be
    /// gone, or be the one in question.
    Anywhere,
    /// In none.
    Nowhere,
}

impl Session {
    /// Whether this user may choose `schema`, by the word of a server nearby, or of the primary.
    pub(super) async fn check_schema(&mut self, schema: &[u8]) -> Result<(), ServerError> {
        if self.shared.proven.has_schema(&self.account.user, schema) {
            return Ok(());
        }
        let confirmed = self.confirm(&[&[Command::InitDb.byte()], schema], Expect::Ok, Place::Anywhere).await;
        let mut state = (*self.state).clone();
        state.set_schema(Some(schema));
        match confirmed {
            Ok(Confirmed { mut lease, .. }) => {
                if let Some(conn) = lease.conn_mut() {
                    let mut applied = (**conn.applied()).clone();
                    applied.set_schema(Some(schema));
                    conn.applied_is(Arc::new(applied));
                }
                lease.give_back(Disposition::Clean);
                self.shared.proven.schema(&self.account.user, schema);
                self.state = Arc::new(state);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The server to ask what is the same on all.
    pub(super) fn nearest(&self, snapshot: &Snapshot) -> Option<ServerId> {
        let reader = Reader { pick: self.entry.id().into(), ..Reader::default() };
        route::decide(Need::Read, &reader, snapshot).ok().map(|route| route.server)
    }

    /// Asks a server nearby to do something that only concerns the session. What a replica
    /// refuses, the primary is asked: the replica may only be late. `place`: where it is to be understood.
    pub(super) async fn confirm(
        &mut self,
        payload: &[&[u8]],
        expect: Expect,
        place: Place,
    ) -> Result<Confirmed, ServerError> {
        loop {
            match self.confirm_somewhere(payload, expect, place).await {
                // The configuration has changed, and who was asked may have gone with the one before.
                Err(error) if error.code == errno::UNREACHABLE && self.keep_up() => {}
                confirmed => return confirmed,
            }
        }
    }

    async fn confirm_somewhere(
        &mut self,
        payload: &[&[u8]],
        expect: Expect,
        place: Place,
    ) -> Result<Confirmed, ServerError> {
        let snapshot = self.shared.snapshot();
        let near = self.nearest(&snapshot);
        let primary = snapshot.primary().map(|p| p.id);
        let mut refused = None;
        for id in near.into_iter().chain(primary.filter(|p| Some(*p) != near)) {
            let Some(pool) = self.pools.get(usize::from(id.0)).cloned() else { continue };
            let confirmed =
                tokio::time::timeout(CONFIRM_TIMEOUT, self.confirm_at(&pool, payload, (expect, place))).await;
            let silent = |_| Err(errno::unreachable(&pool.server().name, "it does not answer"));
            match confirmed.unwrap_or_else(silent) {
                Ok(confirmed) => return Ok(confirmed),
                // The first server's word is kept if the second cannot be asked.
                Err(error) => refused = Some(refused.filter(|_| error.code == errno::UNREACHABLE).unwrap_or(error)),
            }
        }
        Err(refused.unwrap_or_else(|| errno::unreachable("any server", "none is configured")))
    }

    /// A connection in the session's state, most often in another schema.
    pub(super) async fn to_confirm(
        &self,
        pool: &Arc<Pool>,
        name: &str,
        place: Place,
    ) -> Result<(Lease, Ready), ServerError> {
        let unreachable = |why: String| errno::unreachable(name, &why);
        let mut lease = pool.checkout(&self.state).await.map_err(|error| match &error {
            CheckoutError::Unreachable(dial) if dial.server_error().is_some() => {
                dial.server_error().cloned().unwrap_or_else(|| unreachable(error.to_string()))
            }
            _ => unreachable(error.to_string()),
        })?;
        let conn = lease.take().ok_or_else(|| unreachable("no connection".into()))?;
        let state = match place {
            Place::Here => self.state.clone(),
            Place::Anywhere => in_schema(&self.state, conn.applied().schema()),
            Place::Nowhere => in_schema(&self.state, None),
        };
        let conn = flight::bring_to(conn, &state, name).await.map_err(|failed| match failed {
            Failed::Refused(error) => error,
            Failed::Lost { .. }
            | Failed::ClientLeft(..)
            | Failed::Stopped(_)
            | Failed::Differs(_)
            | Failed::Unread(..) => unreachable("the connection was lost".into()),
        })?;
        Ok((lease, conn))
    }

    async fn confirm_at(
        &mut self,
        pool: &Arc<Pool>,
        payload: &[&[u8]],
        (expect, place): (Expect, Place),
    ) -> Result<Confirmed, ServerError> {
        let name = pool.server().name.clone();
        let ready = match self.to_confirm(pool, &name, place).await {
            // The connection's schema has gone since, or is for others now. That is nobody's concern here.
            Err(error) if [errno::UNKNOWN_SCHEMA, errno::SCHEMA_DENIED].contains(&error.code) => {
                self.to_confirm(pool, &name, Place::Nowhere).await
            }
            ready => ready,
        };
        let (mut lease, conn) = ready?;
        let lost = |lost: Lost| errno::unreachable(&name, &lost.to_string());
        let mut busy = conn.begin();
        busy.command(expect, payload);
        busy.flush().await.map_err(lost)?;
        let reply = busy.reply().await.map_err(lost)?;
        let mut warnings = Vec::new();
        if matches!(reply, Reply::Ok { warnings, .. } if warnings > 0) {
            busy.command(Expect::Results, &[&[Command::Query.byte()], WARNINGS_QUERY.as_bytes()]);
            busy.flush().await.map_err(lost)?;
            if let Reply::Rows { rows, .. } = busy.reply_in_bytes().await.map_err(lost)? {
                warnings = rows;
            }
        }
        if let Some(conn) = busy.finish() {
            lease.put(conn);
        }
        match reply {
            Reply::Ok { changes, .. } => Ok(Confirmed { lease, accepted: Accepted { changes, warnings } }),
            Reply::Err(error) => {
                lease.give_back(Disposition::Clean);
                Err(error)
            }
            Reply::Rows { .. } | Reply::Prepared { .. } => {
                lease.give_back(Disposition::NeedsReset);
                Err(errno::malformed_packet())
            }
        }
    }
}

/// A state, but in this schema.
pub(super) fn in_schema(state: &Arc<SessionState>, schema: Option<&[u8]>) -> Arc<SessionState> {
    if state.schema() == schema {
        return state.clone();
    }
    let mut state = (**state).clone();
    state.set_schema(schema);
    Arc::new(state)
}

/// Asks for the values of session variables and adds them to `state`; false if one cannot be told.
pub(super) async fn ask_variables(lease: &mut Lease, state: &mut SessionState, names: &[Vec<u8>]) -> bool {
    if names.is_empty() {
        return true;
    }
    let list: Vec<String> = names.iter().map(|name| format!("@@{}", String::from_utf8_lossy(name))).collect();
    let Some(conn) = lease.take() else { return false };
    let asked = tokio::time::timeout(LAST_QUESTION, conn.query(&format!("SELECT {}", list.join(",")))).await;
    let Ok(Ok((conn, Reply::Rows { rows, .. }))) = asked else { return false };
    lease.put(conn);
    let Some(row) = rows.first().filter(|row| row.len() == names.len()) else { return false };
    names.iter().zip(row).all(|(name, value)| {
        let value = value.as_deref().map_or(Some(b"NULL".to_vec()), |value| literal(value.as_bytes()));
        value.map(|value| state.set_variable(name, &value)).is_some()
    })
}
