//! Why the laboratory could not do what it was asked to.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::lab::servers::Flavor;

/// The result of starting, stopping or asking a laboratory server.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the laboratory could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No server program of this flavor is on this machine.
    #[error("no {flavor} server found: {hint}")]
    NoServerProgram {
        /// What was looked for.
        flavor: Flavor,
        /// How to get one.
        hint: &'static str,
    },
    /// A helper program (`cp`, `mariadb-install-db`, an initialising server) failed.
    #[error("{program} failed with {status}: {output}")]
    HelperFailed {
        /// The program's path or name.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it printed.
        output: String,
    },
    /// A server ended by itself.
    #[error("the server ended with {status}; its log ends with:\n{log}")]
    ServerExited {
        /// How it ended.
        status: ExitStatus,
        /// The end of its error log.
        log: String,
    },
    /// Something did not happen in time.
    #[error("{what} took longer than {limit:?}; the server's log ends with:\n{log}")]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// How long it was given.
        limit: Duration,
        /// The end of the server's error log.
        log: String,
    },
    /// The server answered a statement with an error.
    #[error("{message} (error {code}) in: {statement}")]
    Sql {
        /// The server's error number.
        code: u16,
        /// The server's message.
        message: String,
        /// The statement that failed.
        statement: String,
    },
    /// The replica has stopped applying, or does not get what it should.
    #[error("replication: {0}")]
    Replication(String),
    /// The server broke the protocol, or used a part of it the administrative client does not speak.
    #[error("unexpected packet from the server: {0}")]
    Protocol(&'static str),
    /// No port below the ephemeral range could be reserved.
    #[error("no free port between {first} and {last}")]
    NoFreePort {
        /// The first port tried.
        first: u16,
        /// The last port tried.
        last: u16,
    },
    /// A certificate could not be made.
    #[error("making a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A file, a socket or a process could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Error {
    /// Says what was being done when `source` happened.
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }
}

/// For tests and tools whose functions return `io::Result`.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { what, source } => Self::new(source.kind(), format!("{what}: {source}")),
            other => Self::other(other),
        }
    }
}
