//! What the console asks of the rest of the process: changes that no session and no pool can make by itself.

use crate::frontend::handshake::Door;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Something that an operator wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Hold statements back that need this server, or any: they wait.
    Pause(Option<String>),
    /// Let them go on.
    Resume(Option<String>),
    /// Read the file again.
    Reload,
    /// Accept no new clients, let the present ones finish, and end.
    Drain,
    /// The same.
    Shutdown,
    /// How severe a line of the log must be.
    LogLevel(String),
}

impl Action {
    /// Its name, as it is typed.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pause(_) => "PAUSE",
            Self::Resume(_) => "RESUME",
            Self::Reload => "RELOAD",
            Self::Drain => "DRAIN",
            Self::Shutdown => "SHUTDOWN",
            Self::LogLevel(_) => "SET log_level",
        }
    }
}

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// This process cannot do that.
    NotAvailable,
    /// It did not work, or makes no sense; why, in words for a person.
    Failed(String),
}

/// The answer to an action: how many clients, connections or settings it concerned.
pub type Done<'a> = Pin<Box<dyn Future<Output = Result<u64, Refusal>> + Send + 'a>>;

/// A key of the configuration in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As in the file, with its section: `pool.max`.
    pub key: String,
    /// What it is set to.
    pub value: String,
    /// Whether that is what it would be without being written.
    pub is_default: bool,
}

/// The way in.
#[derive(Debug)]
pub struct Entrance {
    /// Who may come in.
    pub door: Door,
    /// The account that may do all, if there is one.
    pub admin: Option<String>,
    /// How long a login may take.
    pub login_timeout: Duration,
}

/// What stands behind the console; `app` does.
pub trait Control: std::fmt::Debug + Send + Sync {
    /// Does it.
    fn perform(&self, action: Action) -> Done<'_>;

    /// Who may come in now, and who may do all.
    fn entrance(&self) -> Arc<Entrance>;

    /// The configuration in use, without secrets.
    fn settings(&self) -> Vec<Setting>;

    /// The region of a server, if the file names one.
    fn region(&self, server: &str) -> Option<String>;
}
