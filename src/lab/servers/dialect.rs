//! What MySQL and MariaDB do differently.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::lab::error::Result;
use crate::lab::servers::flavor::Program;

/// The differences between the flavors: arguments and statements, no actions.
pub(super) trait Dialect: Sync {
    /// The command that fills `data`, which does not exist yet, with an empty installation.
    fn initialize(&self, program: &Program, data: &Path) -> Result<Command>;

    /// The arguments of a server besides those both flavors take.
    fn arguments(&self, read_only: bool) -> Vec<OsString>;

    /// The content of the init file of a server's first start.
    fn accounts(&self) -> String;

    /// Makes a replica follow the primary at `primary`, verified against `ca`.
    fn follow(&self, primary: SocketAddr, ca: &Path) -> String;

    /// Makes the replica apply what is at least this old. Replication must be stopped.
    fn delay(&self, delay: Duration) -> String;

    /// Starts fetching and applying.
    fn start(&self) -> &'static str;

    /// Stops fetching and applying.
    fn stop(&self) -> &'static str;

    /// Starts applying.
    fn start_applier(&self) -> &'static str;

    /// Stops applying; fetching goes on.
    fn stop_applier(&self) -> &'static str;

    /// Ends being a replica: forgets the primary and allows writes. Replication must be stopped.
    fn become_primary(&self) -> &'static [&'static str];

    /// Shows the state of replication, with the columns `Last_IO_Error` and `Last_SQL_Error`.
    fn status(&self) -> &'static str;

    /// Selects the GTIDs a server has executed.
    fn executed(&self) -> &'static str;

    /// Waits for these GTIDs on a replica and selects 0 once they are there.
    fn wait_for(&self, executed: &str, limit: Duration) -> String;
}

/// `name=value` as an argument, for values that are paths.
pub(super) fn option(name: &str, value: impl Into<PathBuf>) -> OsString {
    let mut argument = OsString::from(format!("{name}="));
    argument.push(value.into());
    argument
}

/// Quotes a path as an SQL string.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('\\', "\\\\").replace('\'', "''");
    format!("'{text}'")
}
