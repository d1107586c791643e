//! Processes that linger while this one is the newest: they tell what their clients write and see.

use super::line::Line;
use crate::consistency::printed;
use crate::frontend::shared::Shared;
use crate::frontend::succession::{Order, Wish};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
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
        let orders = self.shared.succession.elder_came();
        self.lines.spawn(listen(line, orders, self.shared.clone(), self.cut.clone(), self.ending.clone()));
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

/// Ends with the line, where it is cut.
async fn listen(
    mut line: Line,
    mut orders: mpsc::Receiver<Order>,
    shared: Arc<Shared>,
    cut: CancellationToken,
    ending: CancellationToken,
) -> Option<Line> {
    let mut told_to_drain = false;
    // Who waits until it has done what an operator wants.
    let mut wanted: Option<oneshot::Sender<usize>> = None;
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
            Some(order) = orders.recv(), if wanted.is_none() => {
                wanted = Some(order.answer);
                match line.send(&in_words(order.what)).await {
                    Ok(()) => continue,
                    Err(_) => break None,
                }
            }
            message = line.next() => message,
        };
        let Ok(Some(message)) = message else { break None };
        let understood = match message.words() {
            ("told", token) => heed(&shared, &mut line, token).await,
            ("done", count) => match count.parse() {
                Ok(count) => {
                    // Whoever asked may have gone, or was somebody who listened before.
                    let _gone = wanted.take().map(|answer| answer.send(count));
                    true
                }
                Err(_) => false,
            },
            _ => false,
        };
        if !understood {
            tracing::error!(said = message.text, "a process that lingers says what nobody understands");
            break None;
        }
    };
    shared.elder_left();
    kept
}

/// Takes note of what clients of an elder process wrote and saw, and says so; false if that makes no sense.
async fn heed(shared: &Shared, line: &mut Line, token: &str) -> bool {
    let Ok(token) = printed::read(token, Instant::now()) else { return false };
    shared.succession.heed(&token);
    // Replicas will have it in a moment.
    shared.news.send_replace(());
    // Where it is gone the next line does not come.
    let _gone = line.send("ok").await;
    true
}

fn in_words(what: Wish) -> String {
    match what {
        Wish::Pause(patience) => format!("pause {}", patience.as_millis()),
        Wish::Resume => "resume".to_owned(),
        Wish::Reload => "reload".to_owned(),
    }
}
