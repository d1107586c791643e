//! Whether the binary log of a primary can be written.
//!
//! A server whose disk is full keeps every commit waiting, and answers all else. What tells it is a question about the
//! log itself, which waits as well. So it is only put where a statement lasts long, on a connection of its own, and
//! never again before it is answered: each one that waits keeps a thread of the server until there is space.

use super::probe::{Control, Failure};
use crate::backend::login::Account;
use crate::backend::server::Server;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

/// Statements may last for hours for a good reason: a log is not looked at more often.
const NOT_SO_OFTEN: Duration = Duration::from_secs(10);

/// Looks at a log, again and again, as long as there is reason to.
#[derive(Debug, Default)]
pub(super) struct LogWatch {
    looking: Option<AbortOnDropHandle<()>>,
    /// When it was last begun.
    began: Option<Instant>,
    /// The account may not ask.
    is_hidden: Arc<AtomicBool>,
}

impl LogWatch {
    /// Looks, unless that is under way, where somebody suspects that writes wait.
    pub(super) fn look(&mut self, server: &Arc<Server>, account: &Arc<Account>, longest: Duration) {
        let is_looking = self.looking.as_ref().is_some_and(|looking| !looking.is_finished());
        let is_early = self.began.is_some_and(|began| began.elapsed() < NOT_SO_OFTEN);
        let is_hidden = self.is_hidden.load(Ordering::Relaxed);
        if is_looking || is_early || is_hidden || !server.space.is_suspected() || !server.is_primary() {
            return;
        }
        self.began = Some(Instant::now());
        let (server, account, is_hidden) = (server.clone(), account.clone(), self.is_hidden.clone());
        self.looking = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            match look(&server, &account, longest).await {
                Ok(is_told) => is_hidden.store(!is_told, Ordering::Relaxed),
                Err(error) => tracing::debug!(server = server.name, %error, "the binary log cannot be looked at"),
            }
        })));
    }
}

/// Asks, and waits for the answer for as long as it takes; after `longest` the log is known to wait. Whether the account
/// may ask.
async fn look(server: &Arc<Server>, account: &Arc<Account>, longest: Duration) -> Result<bool, Failure> {
    let control = Control::open(server, account, longest).await?;
    let mut asked = Box::pin(control.log_status());
    let answered = match timeout(longest, &mut asked).await {
        Ok(answered) => answered,
        Err(_) => {
            let _until_told = Waits::note(server);
            asked.await
        }
    };
    let (control, is_told) = answered?;
    control.close().await;
    Ok(is_told)
}

/// The log is known to wait until this is dropped.
struct Waits<'a>(&'a Server);

impl<'a> Waits<'a> {
    fn note(server: &'a Server) -> Self {
        server.space.log_waits(&server.name, true);
        Self(server)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.space.log_waits(&self.0.name, false);
    }
}
