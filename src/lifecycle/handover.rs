//! Handing over: another process is started, gets the sockets, and serves once it is warm.

use super::arrival::{GREETING, VARIABLE};
use super::elders::Elders;
use super::line::{Line, MOST_DESCRIPTORS};
use super::notify;
use crate::app::App;
use crate::consistency::printed;
use crate::consistency::token::Token;
use crate::frontend::succession::Ask;
use crate::net::listening::{Listening, Owner};
use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// How long another process may take until everything is warm there.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long it may take to begin to serve once it may.
const SERVING_WITHIN: Duration = Duration::from_secs(10);
/// Longest token that is sent as it is.
const LONGEST_TOKEN: usize = 8 * 1024;
/// What concerns this process alone, and not the one that it starts.
const OWN_VARIABLES: [&str; 5] = ["LISTEN_FDS", "LISTEN_FDS_FIRST_FD", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// How this process was started: what stands there by now is started again.
#[derive(Debug, Clone)]
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// To be asked at the start, before the file is replaced.
    ///
    /// # Errors
    /// The system does not tell.
    pub(super) fn this() -> Result<Self> {
        let mut arguments = std::env::args_os();
        let name = PathBuf::from(arguments.next().unwrap_or_default());
        // A path as it was given may be a link, which leads to another version by then.
        let path = match name.components().nth(1) {
            Some(_) => std::path::absolute(name)?,
            None => std::env::current_exe()?,
        };
        Ok(Self { path, arguments: arguments.collect() })
    }
}

/// A process that is warm, and serves as soon as it is told to.
#[derive(Debug)]
pub(super) struct Ready {
    child: Child,
    line: Line,
}

/// A process that serves in place of this one.
#[derive(Debug)]
pub(super) struct Successor {
    /// It.
    pub(super) child: Child,
    /// The line to it.
    pub(super) line: Line,
    /// Who waits until it knows of something.
    pub(super) asks: mpsc::Receiver<Ask>,
}

/// Starts another process and waits until it is ready.
///
/// # Errors
/// It cannot be started, ends, or does not become ready in time. Everything is as it was.
pub(super) async fn start(program: &Program, sockets: Vec<Listening>) -> Result<Ready> {
    ensure!(std::process::id() != 1, "this process is the first of its container, which would end with it");
    ensure!(sockets.len() <= MOST_DESCRIPTORS, "too many listening sockets to be passed on");
    let (mut line, theirs) = Line::pair()?;
    let mut command = Command::new(&program.path);
    command.args(&program.arguments).stdin(Stdio::from(theirs)).env(VARIABLE, std::process::id().to_string());
    for variable in OWN_VARIABLES {
        command.env_remove(variable);
    }
    let mut child = command.spawn().with_context(|| format!("cannot start {}", program.path.display()))?;
    // It holds the other end of the line.
    drop(command);
    tracing::info!(pid = child.id(), path = %program.path.display(), "starting another process to take over");
    let mut missing = String::new();
    let ready = tokio::time::timeout(READY_WITHIN, greet(&mut line, &sockets, &mut missing)).await;
    match ready {
        Ok(Ok(())) => Ok(Ready { child, line }),
        Ok(Err(error)) => {
            let status = end(&mut child).await;
            Err(error.context(format!("the other process ended before it was ready ({status})")))
        }
        Err(_) => {
            end(&mut child).await;
            bail!("the other process was not ready within {READY_WITHIN:?}: {missing}")
        }
    }
}

async fn greet(line: &mut Line, sockets: &[Listening], missing: &mut String) -> Result<()> {
    let owners: String =
        sockets.iter().map(|socket| if socket.owner() == Owner::Landbridge { 'L' } else { 'M' }).collect();
    let descriptors: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
    line.send_with(&format!("{GREETING} {owners}"), &descriptors).await?;
    loop {
        let message = line.next().await?.context("it hung up")?;
        match message.words() {
            ("waiting", what) => what.clone_into(missing),
            ("ready", _) => return Ok(()),
            _ => bail!("it said {:?}", message.text),
        }
    }
}

/// Kills a process that must not serve, and tells how it ended.
async fn end(child: &mut Child) -> String {
    // It may just be ending by itself: that says more than how it was killed.
    if let Ok(Ok(status)) = tokio::time::timeout(Duration::from_secs(1), child.wait()).await {
        return status.to_string();
    }
    match child.kill().await {
        Ok(()) => "killed".to_owned(),
        Err(error) => error.to_string(),
    }
}

impl Ready {
    /// Hands over: from now on the other process accepts clients.
    ///
    /// # Errors
    /// It is gone, or does not begin. Then this one goes on as if nothing had been.
    pub(super) async fn hand_over(mut self, app: &App, elders: &mut Elders) -> Result<Successor> {
        let mut lines = elders.cut().await;
        app.doors.shutter().close().await;
        let (asks, mut token) = app.shared.succession.hand_over();
        // Without a primary nobody else could tell it.
        token.merge(&app.shared.scopes.everything());
        let handed = tokio::time::timeout(SERVING_WITHIN, self.let_serve(app, &token, &mut lines)).await;
        if let Err(error) = handed.unwrap_or_else(|_| bail!("it did not begin within {SERVING_WITHIN:?}")) {
            // It must not serve: whoever it has accepted is gone with it.
            let _dead_already = self.child.kill().await;
            serve_again(app);
            drop(asks);
            for line in lines {
                elders.heed(line);
            }
            return Err(error.context("the other process did not begin to serve"));
        }
        if let Some(pid) = self.child.id() {
            notify::main_is(pid).await;
        }
        let Self { child, line } = self;
        Ok(Successor { child, line, asks })
    }

    async fn let_serve(&mut self, app: &App, token: &Token, lines: &mut [Line]) -> Result<()> {
        // Whoever pauses looks whether another process has taken over, after that.
        ensure!(!app.shared.gate.is_paused(), "paused meanwhile, and it would not be: RESUME first, then hand over");
        ensure!(lines.len() <= MOST_DESCRIPTORS, "too many processes linger: wait until some have gone");
        for line in &mut *lines {
            // If the newest one dies, these must not go on: only the last before it may.
            let _gone = line.send("older").await;
        }
        let id = app.shared.registry.ids_for_another();
        let descriptors: Vec<_> = lines.iter().map(AsFd::as_fd).collect();
        self.line.send_with(&format!("serve {id} {}", text(token)), &descriptors).await?;
        let message = self.line.next().await?.context("it hung up")?;
        ensure!(message.text == "serving", "it said {:?}", message.text);
        Ok(())
    }
}

/// Accepts clients again, because the other process is gone.
pub(super) fn serve_again(app: &App) {
    let shared = &app.shared;
    let names_gtids = shared.snapshot().primary().is_none_or(|primary| primary.executed.is_some());
    shared.succession.serves_again(names_gtids, shared.settings().pin_for);
    shared.definitions_may_differ();
    shared.doubts.send_replace(Some(Instant::now()));
    app.doors.sockets().iter().for_each(Listening::listen_again);
    app.doors.shutter().open();
}

/// A token as it is sent to another process.
pub(super) fn text(token: &Token) -> String {
    let now = Instant::now();
    let text = printed::print(token, now);
    if text.len() <= LONGEST_TOKEN {
        return text;
    }
    // Too much to be told: that there was something is enough, and the primary will tell what.
    let mut unnamed = token.clone();
    (unnamed.gtids, unnamed.unnamed_since) = (None, Some(now));
    printed::print(&unnamed, now)
}
