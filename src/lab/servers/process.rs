//! Child processes that end with this one.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tokio::time::{sleep, timeout};

use crate::lab::error::{Error, Result};
use crate::lab::servers::flavor::installed;

/// How often to look whether a process has ended.
const POLL: Duration = Duration::from_millis(10);

type Spawn = (Command, SyncSender<io::Result<Child>>);

/// The thread that starts all children and lives as long as the process.
///
/// The kernel's signal on the death of a parent means the parent *thread*: a server started from a
/// test's own thread, or one of the runtime's, would be killed when that thread ends.
static PARENT: LazyLock<io::Result<SyncSender<Spawn>>> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::sync_channel::<Spawn>(16);
    thread::Builder::new().name("lab-processes".to_owned()).spawn(move || {
        for (mut command, reply) in receiver {
            // Who asked may have given up; then nobody is left to own the child.
            if let Err(mpsc::SendError(Ok(mut child))) = reply.send(command.spawn()) {
                drop(child.kill().and_then(|()| child.wait()));
            }
        }
    })?;
    Ok(sender)
});

/// A running server. Killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

impl Process {
    /// Starts it such that it dies with this process, also when that is killed. What it prints is
    /// appended to `log`. May block briefly.
    pub(super) fn spawn(command: Command, log: &Path) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = tied(command);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let parent = PARENT.as_ref().map_err(|error| io::Error::from(error.kind()))?;
        let (reply, child) = mpsc::sync_channel(1);
        let gone = || io::Error::other("the thread that starts processes is gone");
        parent.send((command, reply)).map_err(|_| gone())?;
        Ok(Self { child: child.recv().map_err(|_| gone())?? })
    }

    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(super) fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Kills it and waits for its end, which is near.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Waits until it has ended; `None` if that takes longer than `limit`.
    pub(super) async fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let ended = async {
            loop {
                if let Some(status) = self.exited()? {
                    return Ok(status);
                }
                sleep(POLL).await;
            }
        };
        timeout(limit, ended).await.ok().transpose()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; nobody is left to hear about anything else.
        drop(self.kill());
    }
}

/// Runs a helper program to its end.
pub(super) fn run(mut command: Command) -> Result<Output> {
    let program = command.get_program().to_owned();
    let output = command.output().map_err(|error| Error::io(program.to_string_lossy().into_owned(), error))?;
    if output.status.success() {
        return Ok(output);
    }
    let text = [output.stdout, output.stderr].concat();
    Err(Error::HelperFailed {
        program: program.into(),
        status: output.status,
        output: tail(&String::from_utf8_lossy(&text)),
    })
}

/// Servers refuse to run as root unless told that it is meant.
pub(super) fn user_argument() -> Option<&'static str> {
    geteuid().is_root().then_some("--user=root")
}

/// The last lines of a log: what people look at first.
pub(super) fn tail(text: &str) -> String {
    const LINES: usize = 20;
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}

/// The same command behind `setpriv`, where there is one; it replaces itself, so the child is the server.
fn tied(command: Command) -> Command {
    let Some(setpriv) = installed("setpriv").next() else {
        return command;
    };
    let mut tied = Command::new(setpriv);
    tied.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    tied
}
