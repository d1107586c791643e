//! How what went ahead of the client's command landed, and the client's command with it.

use super::Failed;
use super::steps::{Flight, close, remember};
use crate::backend::query::Reply;
use crate::backend::statements::Foretold;
use crate::frontend::journal::{Journal, Shown};
use crate::frontend::relay::sum_up;
use crate::protocol::command::Command;
use crate::protocol::errno;
use crate::protocol::exchange::Expect;
use crate::protocol::response::ServerError;
use crate::state::SessionState;
use std::hash::RandomState;
use std::sync::Arc;

/// An answer due ahead of the client's.
#[derive(Debug)]
pub(super) enum Ahead {
    /// To a command that cannot fail on a connection that lives on.
    Sure,
    /// To the prelude.
    Prelude,
    /// To the preparation of the statement that is executed by this foretold handle.
    Prepare(Foretold),
    /// To the preparation of a statement that runs again, by this foretold handle.
    PrepareAgain(Foretold, Arc<[u8]>, Arc<SessionState>),
    /// To a statement that runs again, the how many-eth it is, with sums by this key: it must show the same.
    Again(usize, Shown, RandomState),
}

/// Why a command that was sent did not run.
#[derive(Debug)]
pub(super) enum Grounded {
    /// The session's state could not be restored.
    Prelude(ServerError),
    /// The statement cannot be prepared here.
    Prepare(ServerError),
    /// The statement has another handle than foretold.
    Handle(u32),
}

impl Flight<'_> {
    /// Reads the answers due ahead of the client's; `sent` tells whether its command is in the same
    /// flight. The first thing that went wrong is what kept that command from running.
    pub(super) async fn land(&mut self, sent: bool) -> Result<Option<Grounded>, Failed> {
        let lost = || Failed::Lost { server: self.name.to_owned(), sent };
        let mut grounded = None;
        while let Some(ahead) = self.ahead.pop_front() {
            if let Ahead::Again(at, shown, key) = &ahead {
                let again = sum_up(&mut self.busy, key).await.map_err(|_| lost())?;
                if let Some(error) = again.error.as_ref().filter(|error| errno::says_nothing_of_data(error)) {
                    return Err(self.unread(error));
                }
                self.differing = self.differing.or((!shown.agrees(&again)).then_some(*at));
                continue;
            }
            let reply = self.busy.reply().await.map_err(|_| lost())?;
            let cause = match (ahead, reply) {
                // A read failed, and the transaction with it: all of it is undone.
                (Ahead::Prelude, Reply::Err(_)) if self.differing.is_some() => None,
                (Ahead::Prelude, Reply::Err(error)) => Some(Grounded::Prelude(error)),
                (Ahead::Prepare(_), Reply::Err(error)) => Some(Grounded::Prepare(error)),
                (Ahead::Prepare(foretold), Reply::Prepared { id }) => {
                    self.busy.statements_mut().numbered(id, foretold);
                    (id != foretold.number).then_some(Grounded::Handle(id))
                }
                (Ahead::PrepareAgain(foretold, text, prepared_in), Reply::Prepared { id }) => {
                    self.busy.statements_mut().numbered(id, foretold);
                    if id == foretold.number {
                        remember(&mut self.busy, &text, &prepared_in, id);
                    } else {
                        // Then it cannot show anything.
                        self.busy.statements_mut().is_empty_again(foretold.number);
                        close(&mut self.busy, id);
                    }
                    None
                }
                // Not to be told by its execution, which says that there is no such statement.
                (Ahead::PrepareAgain(..), Reply::Err(error)) if errno::says_nothing_of_data(&error) => {
                    return Err(self.unread(&error));
                }
                (Ahead::PrepareAgain(foretold, ..), _) => {
                    self.busy.statements_mut().is_empty_again(foretold.number);
                    None
                }
                (Ahead::Sure, Reply::Err(error)) if !sent => Some(Grounded::Prelude(error)),
                // Unheard of; whatever ran behind it must not be trusted.
                (Ahead::Sure, Reply::Err(_)) | (Ahead::Prepare(_), _) => return Err(lost()),
                (Ahead::Sure | Ahead::Prelude | Ahead::Again(..), _) => None,
            };
            grounded = grounded.or(cause);
        }
        Ok(grounded)
    }

    /// After a command was grounded: its own answer must say that its handle is not known. What was
    /// asked behind it is of no interest.
    pub(super) async fn expect_unknown_handle(&mut self) -> Result<(), Failed> {
        let lost = |_| Failed::Lost { server: self.name.to_owned(), sent: true };
        let reply = self.busy.reply().await.map_err(lost)?;
        if !matches!(&reply, Reply::Err(error) if error.code == errno::UNKNOWN_STATEMENT) {
            return Err(Failed::Lost { server: self.name.to_owned(), sent: true });
        }
        while self.busy.is_due() {
            self.busy.reply().await.map_err(lost)?;
        }
        Ok(())
    }

    /// One of the transaction's reads did not come to its end. What was sent behind it is not waited for: it may take
    /// as long.
    pub(super) fn unread(&self, error: &ServerError) -> Failed {
        Failed::Unread(error.clone(), self.busy.thread_id())
    }

    /// The command just added is one of a transaction's steps, and must show the same as before.
    pub(super) fn must_show(&mut self, journal: &Journal, at: usize) {
        let Some(step) = journal.steps().get(at) else { return };
        self.ahead.push_back(Ahead::Again(at, step.shown, journal.key().clone()));
    }

    /// One of the transaction's steps is known to show something else.
    pub(super) fn differs_at(&mut self, at: usize) {
        self.differing = self.differing.or(Some(at));
    }

    /// The first of the transaction's steps that showed something else than before.
    pub(super) fn differing(&self) -> Option<usize> {
        self.differing
    }

    /// Takes in whatever is still to come, for nobody, and undoes what it did.
    pub(super) async fn undo(&mut self) -> Result<(), Failed> {
        let lost = |_| Failed::Lost { server: self.name.to_owned(), sent: false };
        let nobody = RandomState::new();
        // Some of what is due may not have left yet.
        self.busy.flush().await.map_err(lost)?;
        while self.busy.is_due() {
            sum_up(&mut self.busy, &nobody).await.map_err(lost)?;
        }
        if let Some(handle) = self.take_fresh() {
            // Nobody knows of the statement that was executed.
            self.busy.statements_mut().forget(handle);
            close(&mut self.busy, handle);
        }
        self.busy.command(Expect::Results, &[&[Command::Query.byte()], b"ROLLBACK"]);
        self.busy.flush().await.map_err(lost)?;
        match self.busy.reply().await.map_err(lost)? {
            Reply::Ok { .. } => Ok(()),
            // Killed, most likely. With the connection everything goes.
            _ => Err(Failed::Lost { server: self.name.to_owned(), sent: false }),
        }
    }
}
