//! Processes that linger while this one is the newest: they tell what their clients write and see.

use super::line::Line;
use crate::consistency::printed;
use crate::frontend::shared::Shared;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The lines to all of them.
#[derive(Debug)]
pub(super) struct Elders {
    shared: Arc<Shared>,
    lines: JoinSet<Option<Line>>,
    /// Somebody newer listens from now on.
    cut: CancellationToken,
    /// This process ends, and they shall, too.
    ending: CancellationToken,
}

impl Elders {
    /// None yet.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, lines: JoinSet::new(), cut: CancellationToken::new(), ending: CancellationToken::new() }
    }

    /// Listens to one more.
    pub(super) fn heed(&mut self, line: Line) {
        while self.lines.try_join_next().is_some() {}
        self.shared.succession.elder_came();
        self.lines.spawn(listen(line, self.shared.clone(), self.cut.clone(), self.ending.clone()));
    }

    /// Ceases to listen. Returns the lines; nothing that was said on them is left unanswered.
    pub(super) async fn cut(&mut self) -> Vec<Line> {
        self.cut.cancel();
        let mut lines = Vec::new();
        while let Some(line) = self.lines.join_next().await {
            lines.extend(line.ok().flatten());
        }
        self.cut = CancellationToken::new();
        lines
    }

    /// Tells all of them to drain, and waits until they are gone.
    pub(super) async fn end(&mut self) {
        self.ending.cancel();
        while self.lines.join_next().await.is_some() {}
    }
}

async fn listen(
    mut line: Line,
    shared: Arc<Shared>,
    cut: CancellationToken,
    ending: CancellationToken,
) -> Option<Line> {
    let mut told_to_drain = false;
    let kept = loop {
        let message = tokio::select! {
            biased;
            () = cut.cancelled(), if line.is_between() => break Some(line),
            () = ending.cancelled(), if !told_to_drain => {
                told_to_drain = true;
                match line.send("drain").await {
                    Ok(()) => continue,
                    Err(_) => break None,
                }
            }
            message = line.next() => message,
        };
        let Ok(Some(message)) = message else { break None };
        let ("told", token) = message.words() else {
            tracing::error!(said = message.text, "a process that lingers says what nobody understands");
            break None;
        };
        match printed::read(token, Instant::now()) {
            Ok(token) => shared.succession.heed(&token),
            Err(error) => {
                tracing::error!(said = token, %error, "a process that lingers says what nobody understands");
                break None;
            }
        }
        // Replicas will have it in a moment.
        shared.news.send_replace(());
        if line.send("ok").await.is_err() {
            break None;
        }
    };
    shared.elder_left();
    kept
}
