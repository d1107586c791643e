//! The life of the process: how it starts, how another one takes over from it, how it ends.
//!
//! SIGTERM and SIGINT drain, a second one ends at once; SIGHUP has the file read again; SIGUSR2 hands over to another process. Which of several
//! processes may serve whom, and who tells whom what, is in `docs/decisions/0012`.

mod arrival;
pub mod descriptors;
pub mod doors;
mod elders;
mod handover;
mod line;
mod lingering;
pub mod notify;
mod passed;
mod reload;

use self::arrival::Arrival;
use self::doors::Doors;
use self::elders::Elders;
use self::handover::{Program, Ready, Successor, serve_again};
use self::lingering::{Lingering, Parted};
use self::reload::{reload, reload_whenever};
use crate::app::{App, Request};
use crate::config::Settings;
use crate::frontend::shared::Shared;
use crate::frontend::succession::Wish;
use crate::net::listening::{Listening, Passed};
use crate::net::names::Resolver;
use anyhow::{Result, bail};
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// While this process lingers, its pools are made smaller so often.
const SHRINK_EVERY: Duration = Duration::from_millis(500);
/// Processes that linger have so long to say that they have heard something.
const TELL_WITHIN: Duration = Duration::from_secs(5);

/// The process, serving.
#[derive(Debug)]
pub struct Life {
    app: App,
    program: Program,
    signals: Signals,
    elders: Elders,
    telling: JoinHandle<()>,
    /// Its configuration.
    file: PathBuf,
    /// A process that is being started to take over.
    started: Option<AbortOnDropHandle<Result<Ready>>>,
}

/// What ends the wait of a process that lingers.
enum Lingered {
    /// Nobody is left, or there was time enough, or it was told to end.
    Over,
    /// The line to the newest process has ended.
    Parted(Box<Lingering>, Parted),
}

impl Life {
    /// Starts: on sockets that systemd or the process before this one has passed in, or on its own. From a process
    /// before this one it takes over as soon as everything is warm.
    ///
    /// # Errors
    /// As [`App::start`]; or the process before this one is gone.
    pub async fn begin(file: &Path, settings: &Settings) -> Result<Self> {
        let program = Program::this()?;
        // First of all: a signal that nobody listens to ends the process.
        let mut signals = Signals::new()?;
        descriptors::raise_limit(settings);
        let (arrival, mut passed) = match Arrival::meet().await? {
            Some((arrival, passed)) => (Some(arrival), passed),
            None => (None, passed::from_environment()?),
        };
        let app = App::start_on(settings, &Resolver::System, &mut passed, Doors::new(arrival.is_none()))?;
        let mut elders = Elders::new(app.shared.clone());
        if let Some(arrival) = arrival {
            tokio::select! {
                taken = arrival.take_over(&app, &mut elders) => taken?,
                () = signals.end.told() => bail!("told to end before it had taken over"),
            }
            tokio::spawn(have_elders_reload(app.shared.clone()));
        }
        close_unused(&passed);
        let telling = tokio::spawn(notify::keep_telling(app.shared.clone()));
        Ok(Self { app, program, signals, elders, telling, file: file.to_owned(), started: None })
    }

    /// What runs.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Lives until it is told to end, or until it has handed over and its last client has left.
    pub async fn live(mut self) {
        let mut requests = self.app.requests();
        loop {
            let ready = tokio::select! {
                () = self.signals.end.told() => break,
                Some(()) = self.signals.reload.recv() => match self.reload().await {
                    Some(_told) => continue,
                    None => break,
                },
                Some(request) = requests.recv() => match request {
                    Request::Drain => break,
                    Request::Reload(answer) => match self.reload().await {
                        Some(reloaded) => {
                            // Whoever asked may have gone.
                            let _gone = answer.send(reloaded);
                            continue;
                        }
                        None => break,
                    },
                },
                Some(()) = self.signals.hand_over.recv() => {
                    match &self.started {
                        Some(_) => tracing::warn!("another process is being started already"),
                        None if self.app.shared.gate.is_paused() => {
                            tracing::error!("paused: another process would not be; RESUME first, then hand over");
                        }
                        None => self.started = Some(self.start_another()),
                    }
                    continue;
                }
                ready = wait_for(&mut self.started) => ready,
            };
            self.started = None;
            let handed = match ready {
                Ok(ready) => ready.hand_over(&self.app, &mut self.elders).await,
                Err(error) => Err(error),
            };
            match handed {
                Err(error) => tracing::error!(error = format!("{error:#}"), "nobody has taken over: going on"),
                Ok(successor) => {
                    if !self.linger(successor, &mut requests).await {
                        break;
                    }
                }
            }
        }
        // Who asks for something from now on is told that it cannot be had.
        drop(requests);
        self.shut_down().await;
    }

    /// Reads the file again, unless the process is told to end meanwhile.
    async fn reload(&mut self) -> Option<Result<u64, String>> {
        let reloaded = tokio::select! {
            reloaded = reload(&self.app, &self.file) => reloaded,
            () = self.signals.end.told() => return None,
        };
        if reloaded.is_ok() {
            self.pass_on_the_file();
        }
        Some(reloaded)
    }

    /// Others have read the file as it was: who is being started is started anew, and those that linger read it again.
    fn pass_on_the_file(&mut self) {
        if self.started.take().is_some() {
            tracing::info!("the file has changed meanwhile: starting another process once more");
            self.started = Some(self.start_another());
        }
        tokio::spawn(have_elders_reload(self.app.shared.clone()));
    }

    fn start_another(&self) -> AbortOnDropHandle<Result<Ready>> {
        let copy = |socket: &Listening| Listening::new(socket.acceptor()?, socket.owner());
        let sockets: io::Result<Vec<_>> = self.app.doors.sockets().iter().map(copy).collect();
        let program = self.program.clone();
        AbortOnDropHandle::new(tokio::spawn(async move { handover::start(&program, sockets?).await }))
    }

    /// Another process serves new clients; those of this one may stay until they leave. Whether this process
    /// serves again, because the other one is dead.
    async fn linger(&mut self, successor: Successor, requests: &mut mpsc::Receiver<Request>) -> bool {
        self.telling.abort();
        let shared = self.app.shared.clone();
        tracing::info!(pid = successor.child.id(), clients = shared.registry.len(), "another process has taken over");
        let drain = CancellationToken::new();
        let again = Arc::new(Notify::new());
        let lingering = Lingering::new(successor, shared.clone(), (drain.clone(), again.clone()));
        let line = tokio::spawn(lingering.tell());
        let longest = self.app.shutdown().takeover_timeout;
        let left = tokio::select! {
            () = self.signals.end.told() => Lingered::Over,
            () = drain.cancelled() => Lingered::Over,
            () = self.app.all_left() => Lingered::Over,
            () = tokio::time::sleep(longest) => Lingered::Over,
            never = shrink(&shared) => match never {},
            never = reload_whenever(&again, &self.app, &self.file) => match never {},
            () = told_to_drain(requests) => Lingered::Over,
            Ok((lingering, parted)) = line => Lingered::Parted(Box::new(lingering), parted),
        };
        match left {
            Lingered::Over => {
                // From here on it cannot serve again, and must not end whoever does.
                drain.cancel();
                false
            }
            Lingered::Parted(_, Parted::Bereft) => {
                tracing::error!(
                    clients = shared.registry.len(),
                    "nobody can be told what is written here: ending sessions"
                );
                shared.registry.stop_all();
                false
            }
            Lingered::Parted(lingering, Parted::Dead) => {
                tracing::error!("the process that took over is gone: serving again");
                serve_again(&self.app);
                drop(lingering);
                keep_warm(&shared, usize::MAX);
                self.telling = tokio::spawn(notify::keep_telling(shared));
                true
            }
        }
    }

    /// Drains and ends. Told to end once more, it ends at once.
    async fn shut_down(mut self) {
        let clients = self.app.shared.registry.len();
        tracing::info!(clients, "draining");
        self.telling.abort();
        let is_lingering = self.app.shared.succession.is_lingering();
        let longest = self.app.shutdown().drain_timeout;
        let (app, elders) = (self.app, &mut self.elders);
        let told = async {
            if !is_lingering {
                notify::stopping(clients).await;
            }
        };
        let drained = async {
            // They have as long for it as this one. Nobody waits for who is told.
            tokio::join!(app.shut_down(), tokio::time::timeout(longest, elders.end()), told)
        };
        tokio::select! {
            _ = drained => {}
            () = self.signals.end.told() => tracing::warn!("told to end once more: ending at once"),
        }
    }
}

/// The signals that are listened to.
#[derive(Debug)]
struct Signals {
    end: End,
    hand_over: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let (hand_over, reload) = (signal(SignalKind::user_defined2())?, signal(SignalKind::hangup())?);
        Ok(Self { end: End::new()?, hand_over, reload })
    }
}

/// Those that end the process.
#[derive(Debug)]
struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl End {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The file as the newest process has read it counts for everybody's clients.
async fn have_elders_reload(shared: Arc<Shared>) {
    if let Err(deaf) = shared.succession.order(Wish::Reload, TELL_WITHIN).await {
        tracing::error!(%deaf, "its clients go by the file as it was; end it with SIGTERM");
    }
}

/// What becomes of the process that is being started, if one is.
async fn wait_for(started: &mut Option<AbortOnDropHandle<Result<Ready>>>) -> Result<Ready> {
    match started {
        Some(started) => started.await?,
        None => std::future::pending().await,
    }
}

/// Waits until an operator has a process that lingers drain. The file is for the other one to read.
async fn told_to_drain(requests: &mut mpsc::Receiver<Request>) {
    loop {
        match requests.recv().await {
            Some(Request::Reload(answer)) => {
                // Whoever asked may have gone.
                let _gone = answer.send(Err("another process has taken over; connect again and ask that".into()));
            }
            Some(Request::Drain) => return,
            None => std::future::pending().await,
        }
    }
}

/// Keeps no connection open for clients that will not come.
async fn shrink(shared: &Shared) -> Infallible {
    loop {
        keep_warm(shared, shared.registry.len());
        tokio::time::sleep(SHRINK_EVERY).await;
    }
}

/// Has each pool keep at most so many connections open that nobody uses.
fn keep_warm(shared: &Shared, most: usize) {
    for pool in shared.pools.all() {
        pool.keep_at_most(most);
    }
}

fn close_unused(passed: &Passed) {
    for socket in passed.rest() {
        tracing::warn!(%socket, "a socket was passed in that [listen] does not name: it is closed");
        socket.remove_file();
        socket.end();
    }
}
