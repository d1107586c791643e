//! The start of a process that takes over from another one.

use super::elders::Elders;
use super::line::{Line, Message};
use crate::app::App;
use crate::consistency::printed;
use crate::http::unready;
use crate::net::listening::{Listening, Owner, Passed};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Set for a process that is started to take over: its standard input is the line to the one before it.
pub(super) const VARIABLE: &str = "LANDBRIDGE_TAKEOVER";
/// The first line, but for the sockets' owners.
pub(super) const GREETING: &str = "landbridge 1";
/// How often to look whether everything is warm, if nobody says anything.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A process that has not taken over yet.
#[derive(Debug)]
pub(super) struct Arrival {
    line: Line,
}

impl Arrival {
    /// If this process was started to take over: the line to the one before it, and the sockets that it passed.
    ///
    /// # Errors
    /// The other process is gone, or is something else than Landbridge.
    pub(super) async fn meet() -> Result<Option<(Self, Passed)>> {
        if std::env::var_os(VARIABLE).is_none() {
            return Ok(None);
        }
        let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
        // The line ends with whoever holds this end of it, and nothing else.
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        let mut line = Line::on(stdin).with_context(|| format!("{VARIABLE} is set, and standard input is no line"))?;
        let message = next(&mut line).await?;
        let owners = message.text.strip_prefix(GREETING).context("another version of Landbridge started this one")?;
        let owners: Vec<char> = owners.trim().chars().collect();
        ensure!(owners.len() == message.descriptors.len(), "not all sockets arrived");
        let mut passed = Passed::default();
        for (fd, owner) in message.descriptors.into_iter().zip(owners) {
            let owner = if owner == 'L' { Owner::Landbridge } else { Owner::Manager };
            passed.push(Listening::new(fd, owner)?);
        }
        Ok(Some((Self { line }, passed)))
    }

    /// Waits until everything is warm, says so, and serves once the other process has ceased to accept.
    ///
    /// # Errors
    /// The other process is gone, or has thought better of it.
    pub(super) async fn take_over(mut self, app: &App, elders: &mut Elders) -> Result<()> {
        self.warm(app).await?;
        self.line.send("ready").await?;
        let message = next(&mut self.line).await?;
        let ("serve", rest) = message.words() else { bail!("told {:?} instead of to serve", message.text) };
        let (id, token) = rest.split_once(' ').unwrap_or((rest, ""));
        let shared = &app.shared;
        shared.registry.continue_at(id.parse().context("the number of the first client")?);
        shared.succession.heed(&printed::read(token, Instant::now())?);
        // What clients of the other process have written and seen until now, only the primary is known to have. It
        // is asked at once.
        let names_gtids = shared.snapshot().primary().is_none_or(|primary| primary.executed.is_some());
        shared.succession.is_beside_others(names_gtids, shared.settings().pin_for);
        shared.doubts.send_replace(Some(Instant::now()));
        for fd in message.descriptors {
            elders.heed(Line::on(fd)?);
        }
        self.line.send("serving").await?;
        elders.heed(self.line);
        app.doors.shutter().open();
        Ok(())
    }

    async fn warm(&mut self, app: &App) -> Result<()> {
        let mut topology = app.shared.topology.clone();
        let mut told = String::new();
        loop {
            let missing = unready(&app.shared);
            if missing.is_empty() {
                return Ok(());
            }
            if missing != told {
                self.line.send(&format!("waiting {}", missing.trim_end().replace('\n', "; "))).await?;
                told = missing;
            }
            tokio::select! {
                _ = tokio::time::timeout(LOOK_EVERY, topology.changed()) => {}
                // It says nothing before it is told that this one is ready.
                said = self.line.next() => match said? {
                    None => bail!("the process that started this one is gone"),
                    Some(message) => bail!("told {:?} before being ready", message.text),
                },
            }
        }
    }
}

async fn next(line: &mut Line) -> Result<Message> {
    line.next().await?.context("the process that started this one is gone")
}
