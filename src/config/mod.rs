//! `proxy.toml`: from the file to the settings the program runs with.
//!
//! There are two forms. As written: a TOML document, walked once by `reader` so that every
//! fault is found in one pass, each with its line and what to write instead. As used:
//! [`Settings`], one small struct per subsystem, every default filled in, every word an enum,
//! every path joined, every secret in a [`Secret`]. Nothing after this module asks whether a
//! setting makes sense.
//!
//! A fault quotes the file, never what the environment put into it, and never a password.
//! Certificates and keys are only named here; the TLS layer reads them. Password files are read.

mod address;
mod document;
mod duration;
mod expand;
mod fault;
mod glance;
mod listing;
mod nearest;
mod reader;
mod resolve;
mod secret;
mod settings;
mod size;
#[cfg(test)]
mod tests;
mod words;

use std::fs;
use std::path::Path;

use zeroize::Zeroizing;

use self::document::Secrets;
use self::fault::Problem;

pub use self::address::{ListenAddress, ServerAddress};
pub use self::fault::{Fault, Faults, Position};
pub use self::glance::http_address;
pub use self::listing::{Listed, list};
pub use self::secret::Secret;
pub use self::settings::{
    Admin, Auth, Certificate, ClientTls, Consistency, Limits, Listen, Log, LogFormat, LogLevel, Monitor, OnEmpty,
    Pipelining, Pool, PoolMode, PrimaryDown, ReadFrom, ReadWait, Role, Route, Rule, RuleTable, Scope, Server,
    ServerTls, Settings, Shutdown, StatusPage, TlsIdentity, Transactions, Trust, User, UserPool,
};

/// Reads the file at `path`; relative paths in it are relative to its directory.
///
/// `env` looks up an environment variable; pass `&|name| std::env::var(name).ok()`.
///
/// # Errors
///
/// Every fault of the file at once.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Settings, Faults> {
    load_with(path, env, Secrets::Read)
}

/// The same for whoever logs in nowhere: passwords are not looked at, so that neither the variables nor the files
/// with them need be there. What stands in their place fits no account.
///
/// # Errors
///
/// Every other fault of the file at once.
pub fn load_without_secrets(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Settings, Faults> {
    load_with(path, env, Secrets::Ignored)
}

fn load_with(path: &Path, env: &dyn Fn(&str) -> Option<String>, secrets: Secrets) -> Result<Settings, Faults> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map(Zeroizing::new).map_err(|error| {
        let problem = Problem::new(
            format!("the file cannot be read ({error})"),
            "check the path given with --config, and who may read it",
        );
        Faults::file(&name, None, problem)
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = valid.split(|byte| *byte == b'\n').count();
        let problem = Problem::new("this line is not valid UTF-8", "save the file as UTF-8");
        Faults::file(&name, Some(Position { line, column: 1 }), problem)
    })?;
    let base_dir = path.parent().unwrap_or(Path::new(""));
    resolve::resolve(text, &name, base_dir, env, secrets)
}

/// A duration as people write it, such as `100ms`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    duration::parse(text).ok()
}

/// Reads `text` as if it were the file `file_name` in the directory `base_dir`.
///
/// # Errors
///
/// Every fault of the text at once.
pub fn parse(
    text: &str,
    file_name: &str,
    base_dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Settings, Faults> {
    resolve::resolve(text, file_name, base_dir, env, Secrets::Read)
}
