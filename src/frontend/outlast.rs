//! A statement that cannot run now, because an operator has paused or because there is no primary: it waits at the
//! gate until it can, or for too long. Nothing of it has been sent. Whoever waits hears that its client leaves, and that
//! it is told to go.

use super::acquire::Taken;
use super::gate::Place;
use super::job::Job;
use super::relay::READ_AHEAD;
use super::session::{Gone, Session};
use super::whom::Whom;
use crate::protocol::command::Command;
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use crate::route::{Need, Reason};
use crate::topology::Snapshot;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;

/// Why there is no connection for a statement.
#[derive(Debug)]
pub(super) enum Denied {
    /// No server can take it, and that may pass.
    ForNow(ServerError),
    /// An operator has paused.
    Paused,
    /// It must be told.
    Refused(ServerError),
    /// Its client has left or its session is told to end: nobody needs one any more.
    Over(ServerError),
}

/// Why a wait ended before its time.
pub(super) enum Ended {
    TooLong,
    Told(ServerError),
    Left(io::Error),
}

impl Session {
    /// Waits until a connection for a job can be had that was denied.
    pub(super) async fn outlast(
        &mut self,
        job: &Job,
        need: Need,
        whom: Whom,
        mut denied: Denied,
    ) -> Result<Taken, ServerError> {
        let started = Instant::now();
        let shared = self.shared.clone();
        let mut place = None;
        loop {
            let longest = match &denied {
                Denied::Paused => Some(shared.gate.patience()),
                // Others can answer it.
                Denied::ForNow(_) if job.need == Need::Primary(Reason::OnEmpty) => None,
                Denied::ForNow(_) => shared.settings().primary_down_for(&self.account.user),
                Denied::Refused(_) | Denied::Over(_) => None,
            };
            let Some(longest) = longest else { return Err(in_vain(denied, None)) };
            match &place {
                // Now nothing can be missed: it is tried once more before the first wait.
                None => {
                    let max = shared.settings().max_waiting;
                    place = Some(shared.gate.enter(max).ok_or_else(|| errno::too_many_waiting(max))?);
                }
                Some(place) => match self.wait_at(place, started + longest).await {
                    Ok(()) => {}
                    Err(Ended::TooLong) => return Err(in_vain(denied, Some(longest))),
                    Err(Ended::Told(error)) => return Err(error),
                    Err(Ended::Left(_)) => return Err(errno::left_while_waiting()),
                },
            }
            denied = match self.acquire_now(job, need, whom).await {
                Ok(taken) => return Ok(taken),
                Err(denied) => denied,
            };
        }
    }

    /// Whether a command must wait because an operator has paused: who holds a connection may finish.
    pub(super) fn must_wait(&self, command: Command) -> bool {
        use Command::{FieldList, InitDb, Query, StmtBulkExecute, StmtExecute, StmtPrepare};
        self.shared.gate.is_paused()
            && self.binding.lease().is_none()
            && matches!(command, Query | InitDb | StmtPrepare | StmtExecute | StmtBulkExecute | FieldList)
    }

    /// Waits until an operator lets it go on, or with the error that the client is to be told.
    pub(super) async fn wait_for_resume(&mut self) -> Result<Result<(), ServerError>, Gone> {
        let started = Instant::now();
        let shared = self.shared.clone();
        let max = shared.settings().max_waiting;
        let Some(place) = shared.gate.enter(max) else { return Ok(Err(errno::too_many_waiting(max))) };
        while shared.gate.is_paused() {
            let longest = shared.gate.patience();
            match self.wait_at(&place, started + longest).await {
                Ok(()) => {}
                Err(Ended::TooLong) => return Ok(Err(errno::paused(longest))),
                Err(Ended::Told(error)) => return Ok(Err(error)),
                Err(Ended::Left(error)) => return Err(error.into()),
            }
        }
        Ok(Ok(()))
    }

    /// Waits until the servers are seen as wanted, or until it has taken too long; or with the error that the client
    /// is to be told.
    pub(super) async fn wait_until_seen(
        &mut self,
        longest: Duration,
        is_wanted: impl Fn(&Snapshot) -> bool,
    ) -> Result<(), ServerError> {
        let mut topology = self.shared.topology.clone();
        // What it returns keeps the topology from being published: it must be gone before that is read again.
        let seen = async { drop(topology.wait_for(|snapshot| is_wanted(snapshot)).await) };
        match self.listen_until(seen, Instant::now() + longest).await {
            Ok(()) | Err(Ended::TooLong) => Ok(()),
            Err(Ended::Told(error)) => Err(error),
            Err(Ended::Left(_)) => Err(errno::left_while_waiting()),
        }
    }

    async fn wait_at(&mut self, place: &Place<'_>, deadline: Instant) -> Result<(), Ended> {
        self.listen_until(place.called(), deadline).await
    }

    /// Waits for something that comes in any case, however long that takes. Whoever is told to leave may finish.
    pub(super) async fn hear_until<T>(&mut self, awaited: impl Future<Output = T>) -> Result<T, Ended> {
        let told = self.entry.handle().clone();
        let mut awaited = pin!(awaited);
        loop {
            let listens = self.client.packets.received() < READ_AHEAD;
            tokio::select! {
                biased;
                () = told.stop.cancelled() => return Err(Ended::Told(errno::shutting_down())),
                said = self.client.packets.watch(), if listens => { said.map_err(Ended::Left)?; }
                came = &mut awaited => return Ok(came),
            }
        }
    }

    async fn listen_until(&mut self, awaited: impl Future<Output = ()>, deadline: Instant) -> Result<(), Ended> {
        let told = self.entry.handle().clone();
        let soon = async {
            tokio::select! {
                biased;
                () = told.leave.cancelled() => Some(Late::ToldToLeave),
                () = tokio::time::sleep_until(deadline) => Some(Late::TooLong),
                // Last: where each try takes long, somebody has always called meanwhile.
                () = awaited => None,
            }
        };
        match self.hear_until(soon).await? {
            None => Ok(()),
            Some(Late::ToldToLeave) => Err(Ended::Told(self.why_to_leave())),
            Some(Late::TooLong) => Err(Ended::TooLong),
        }
    }
}

/// What came before that which was waited for.
enum Late {
    ToldToLeave,
    TooLong,
}

/// What the client is told in the end.
fn in_vain(denied: Denied, waited: Option<Duration>) -> ServerError {
    match (denied, waited) {
        (Denied::Paused, waited) => errno::paused(waited.unwrap_or_default()),
        (Denied::ForNow(error), Some(waited)) => errno::waited_in_vain(&error, waited),
        (Denied::ForNow(error) | Denied::Refused(error) | Denied::Over(error), _) => error,
    }
}
