//! One server: its directory, its port and its process.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::lab::admin::{Admin, Rows};
use crate::lab::certs::CertFiles;
use crate::lab::error::{Error, Result};
use crate::lab::servers::accounts::{ADMINISTRATOR, SCHEMA};
use crate::lab::servers::dialect::option;
use crate::lab::servers::disk::{self, Disk};
use crate::lab::servers::flavor::{Flavor, Program};
use crate::lab::servers::options::ServerOptions;
use crate::lab::servers::port::ReservedPort;
use crate::lab::servers::process::{self, Process};
use crate::lab::servers::{scratch, template};

/// Generous: a loaded machine that starts many servers at once must not fail tests.
const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(45);
/// How long to listen for the greeting before looking whether the process still lives.
const GREETING_LIMIT: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(10);

/// A running database server on loopback. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Server {
    /// Before the directory, so that the process has ended when its files go.
    process: Mutex<Option<Process>>,
    program: Program,
    options: ServerOptions,
    port: ReservedPort,
    directory: TempDir,
}

impl Server {
    /// Starts a server with [the usual accounts](crate::lab::accounts), and without the schema
    /// `app` if it is read-only. Returns when it accepts connections.
    ///
    /// # Errors
    ///
    /// [`Error::NoServerProgram`] if there is none of this flavor; otherwise what its log says.
    pub async fn start(flavor: Flavor, options: ServerOptions) -> Result<Self> {
        // Copying a data directory is work for a thread that may block.
        let prepared = tokio::task::spawn_blocking(move || Self::prepare(flavor, options)).await;
        let server = prepared.map_err(|error| Error::io("preparing a server", error.into()))??;
        let init_file = server.path("init.sql");
        let accounts = flavor.dialect().accounts();
        fs::write(&init_file, accounts).map_err(|error| Error::io("init file", error))?;
        server.launch(Some(&init_file)).await?;
        if !server.options.read_only {
            server.sql(&format!("CREATE DATABASE {SCHEMA}")).await?;
        }
        Ok(server)
    }

    fn prepare(flavor: Flavor, options: ServerOptions) -> Result<Self> {
        let program = Program::find(flavor)?;
        let directory = scratch::directory()?;
        template::fill(&program, &directory.path().join("data"))?;
        let port = ReservedPort::reserve()?;
        Ok(Self { process: Mutex::new(None), program, options, port, directory })
    }

    /// The kind of server.
    #[must_use]
    pub fn flavor(&self) -> Flavor {
        self.program.flavor
    }

    /// The version as the program itself tells it.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.program.version
    }

    /// The port on loopback; the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Loopback and [`Server::port`].
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port()).into()
    }

    /// The unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    /// The error log.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.path("error.log")
    }

    /// The certificates it was started with.
    #[must_use]
    pub fn tls(&self) -> Option<&CertFiles> {
        self.options.tls.as_ref()
    }

    /// Runs a statement as administrator, on a connection of its own, and returns the rows.
    ///
    /// # Errors
    ///
    /// [`Error::Sql`] with what the server said; [`Error::Io`] if it cannot be reached.
    pub async fn sql(&self, statement: &str) -> Result<Vec<Vec<Option<String>>>> {
        Ok(self.query(statement).await?.rows)
    }

    /// As [`Server::sql`], with the names of the columns.
    ///
    /// # Errors
    ///
    /// As [`Server::sql`].
    pub async fn query(&self, statement: &str) -> Result<Rows> {
        let mut admin = Admin::connect(&self.socket(), ADMINISTRATOR).await?;
        let rows = admin.query(statement).await;
        admin.quit().await;
        rows
    }

    /// Kills it as a power failure would. What clients see is a reset or a closed connection.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the process cannot be killed.
    pub fn kill9(&self) -> Result<()> {
        match self.process().take() {
            Some(mut process) => process.kill().map_err(|error| Error::io("SIGKILL", error)),
            None => Ok(()),
        }
    }

    /// Asks it to shut down and waits until it has. A MySQL primary that a replica is connected to
    /// takes its time: it gives the thread that sends the binary log eight seconds to notice.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if it does not (it is killed then).
    pub async fn stop(&self) -> Result<()> {
        let Some(mut process) = self.process().take() else {
            return Ok(());
        };
        // A paused one hears of the first signal only through the second.
        let ended = match process.signal(Signal::TERM).and_then(|()| process.signal(Signal::CONT)) {
            Ok(()) => process.wait(STOP_LIMIT).await,
            Err(error) => Err(error),
        };
        match ended.map_err(|error| Error::io("stopping a server", error))? {
            Some(_) => Ok(()),
            None => Err(self.timed_out("stopping", STOP_LIMIT)),
        }
    }

    /// Stops it, if it runs, and starts it again with the same data and port.
    ///
    /// # Errors
    ///
    /// As [`Server::start`] and [`Server::stop`].
    pub async fn restart(&self) -> Result<()> {
        self.stop().await?;
        self.launch(None).await
    }

    /// Freezes it: connections stay open, and nothing is answered.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it does not run.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Ends [`Server::pause`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it does not run.
    pub fn unpause(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let sent = match &*self.process() {
            Some(process) => process.signal(signal),
            None => Err(ErrorKind::NotFound.into()),
        };
        sent.map_err(|error| Error::io("signalling a server", error))
    }

    /// Starts the process and waits until it lets the administrator in.
    async fn launch(&self, init_file: Option<&Path>) -> Result<()> {
        let mut process = Process::spawn(self.command(init_file), &self.log_path())
            .map_err(|error| Error::io(self.program.path.display().to_string(), error))?;
        let deadline = Instant::now() + START_LIMIT;
        // The socket of a killed server is still there, so the first attempts may be refused.
        while !self.lets_in().await? {
            if let Some(status) = process.exited().map_err(|error| Error::io("waiting", error))? {
                return Err(Error::ServerExited { status, log: self.log_tail() });
            }
            if Instant::now() > deadline {
                return Err(self.timed_out("starting", START_LIMIT));
            }
            sleep(POLL).await;
        }
        *self.process() = Some(process);
        Ok(())
    }

    /// False while nobody answers; an answer that is a refusal will not get better.
    async fn lets_in(&self) -> Result<bool> {
        let socket = self.socket();
        let login = Admin::connect(&socket, ADMINISTRATOR);
        match timeout(GREETING_LIMIT, login).await {
            Ok(Ok(admin)) => {
                admin.quit().await;
                Ok(true)
            }
            Ok(Err(error @ Error::Sql { .. })) => Err(error),
            Ok(Err(_)) | Err(_) => Ok(false),
        }
    }

    /// Fills its own disk to the last byte.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it has none, or does not run.
    pub fn fill_disk(&self) -> Result<()> {
        self.disk()?.fill()
    }

    /// Ends [`Server::fill_disk`].
    ///
    /// # Errors
    ///
    /// As [`Server::fill_disk`].
    pub fn free_disk(&self) -> Result<()> {
        self.disk()?.free()
    }

    fn disk(&self) -> Result<Disk> {
        let id = self.process().as_ref().map(Process::id);
        let id = id.filter(|_| self.options.disk_mib.is_some());
        id.map(|id| Disk::of(id, self.directory.path())).ok_or_else(|| Error::io("a disk", ErrorKind::NotFound.into()))
    }

    fn command(&self, init_file: Option<&Path>) -> Command {
        let mut command = match self.options.disk_mib {
            Some(mib) => disk::command(&self.program.path, self.directory.path(), mib),
            None => Command::new(&self.program.path),
        };
        // On a disk of its own it is root of what it sees.
        let user = process::user_argument().or(self.options.disk_mib.map(|_| "--user=root"));
        command
            .arg("--no-defaults")
            .args(user)
            .args(self.options.arguments())
            .args([
                option("--datadir", self.path("data")),
                // Servers that share a directory take each other's temporary tables for their own.
                option("--tmpdir", self.directory.path()),
                option("--socket", self.socket()),
                option("--pid-file", self.path("pid")),
                option("--log-error", self.log_path()),
            ])
            .arg(format!("--port={}", self.port()))
            .args(self.flavor().dialect().arguments(self.options.read_only))
            .args(init_file.map(|path| option("--init-file", path)))
            .args(&self.options.extra_args);
        command
    }

    fn timed_out(&self, what: &'static str, limit: Duration) -> Error {
        Error::TimedOut { what, limit, log: self.log_tail() }
    }

    fn log_tail(&self) -> String {
        fs::read(self.log_path()).map(|log| process::tail(&String::from_utf8_lossy(&log))).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        // A panic while it was held cannot have left it half-changed.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
