//! After another process has taken over: it is told what happens here, until the last client has left.

use super::handover::{Successor, text};
use crate::frontend::shared::Shared;
use crate::frontend::succession::Ask;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A successor that is silent for longer is taken for dead, and this process must not go on.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How the line to the successor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parted {
    /// It is dead, and nobody but this process can serve.
    Dead,
    /// Somebody may serve who cannot be told anything any more: sessions here must not go on.
    Bereft,
}

/// The line to the newest process.
#[derive(Debug)]
pub(super) struct Lingering {
    successor: Successor,
    shared: Arc<Shared>,
    /// Cancelled when the newest process says that it ends.
    drain: CancellationToken,
    /// Notified when it has read the file again.
    again: Arc<Notify>,
    /// Whether somebody listens who is newer than the one that this process has started.
    is_older: bool,
    /// Who waited when the line ended.
    unanswered: Vec<Ask>,
}

impl Lingering {
    /// A line on which nothing was said yet.
    pub(super) fn new(
        successor: Successor,
        shared: Arc<Shared>,
        (drain, again): (CancellationToken, Arc<Notify>),
    ) -> Self {
        Self { successor, shared, drain, again, is_older: false, unanswered: Vec::new() }
    }

    /// Tells the newest process what is written and seen here, until the line ends. Those who wait then are let go
    /// when what is returned is dropped.
    pub(super) async fn tell(mut self) -> (Self, Parted) {
        loop {
            let Successor { line, asks, .. } = &mut self.successor;
            let goes_on = tokio::select! {
                Some(ask) = asks.recv() => self.pass_on(ask).await,
                said = line.next() => match said {
                    Ok(Some(message)) => self.understand(&message.text).await,
                    Ok(None) | Err(_) => false,
                },
            };
            if !goes_on {
                break;
            }
        }
        // Nobody is left who could say so.
        self.shared.gate.resume();
        // While somebody newer may live, two would serve without knowing of each other.
        let may_go_on = !self.is_older && !self.drain.is_cancelled();
        // It has ended, or is stuck: either way it must not serve any more.
        if may_go_on && self.successor.child.kill().await.is_ok() {
            return (self, Parted::Dead);
        }
        self.shared.succession.is_bereft();
        (self, Parted::Bereft)
    }

    /// Tells all there is to tell, and lets those go who have waited for that. False if the line has ended.
    async fn pass_on(&mut self, first: Ask) -> bool {
        self.unanswered.push(first);
        while let Ok(ask) = self.successor.asks.try_recv() {
            self.unanswered.push(ask);
        }
        let token = self.shared.succession.take_untold();
        if self.successor.line.send(&format!("told {}", text(&token))).await.is_err() {
            return false;
        }
        loop {
            match tokio::time::timeout(ANSWER_WITHIN, self.successor.line.next()).await {
                Ok(Ok(Some(message))) if message.text == "ok" => break,
                Ok(Ok(Some(message))) if self.understand(&message.text).await => {}
                Ok(_) => return false,
                Err(_) => {
                    tracing::error!("the process that took over does not answer");
                    return false;
                }
            }
        }
        for ask in self.unanswered.drain(..) {
            // Its client may have gone.
            let _gone = ask.send(());
        }
        true
    }

    /// Does what the newest process says of its own accord. False if that is nothing known, or the line has ended.
    async fn understand(&mut self, said: &str) -> bool {
        let concerned = match said.split_once(' ').unwrap_or((said, "")) {
            ("older", "") => {
                self.is_older = true;
                return true;
            }
            ("drain", "") => {
                self.drain.cancel();
                return true;
            }
            ("pause", patience) if let Ok(patience) = patience.parse() => {
                self.shared.gate.pause(Duration::from_millis(patience));
                self.shared.under_way()
            }
            ("resume", "") => self.shared.resume().await,
            ("reload", "") => {
                // What is written here meanwhile has to be told: nobody waits until it is done.
                self.again.notify_one();
                0
            }
            _ => {
                tracing::error!(said, "the process that took over says what nobody understands");
                return false;
            }
        };
        self.successor.line.send(&format!("done {concerned}")).await.is_ok()
    }
}
