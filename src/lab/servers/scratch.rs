//! Temporary directories that do not pile up.

use std::env;
use std::fs;
use std::path::Path;
use std::process;
use std::sync::Once;

use tempfile::TempDir;

use crate::lab::error::{Error, Result};

/// Followed by the process id. Short, because a unix socket's path must be.
const PREFIX: &str = "landbridge-lab-";

/// A directory only we may enter, removed when dropped.
pub(super) fn directory() -> Result<TempDir> {
    static SWEEP: Once = Once::new();
    SWEEP.call_once(sweep);
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-", process::id()))
        .tempdir()
        .map_err(|error| Error::io("temporary directory", error))
}

/// Removes what processes left behind that were killed, or kept a server in a static until the end.
fn sweep() {
    if !Path::new("/proc/self").exists() {
        return; // no way to tell who is alive
    }
    let Ok(entries) = fs::read_dir(env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        let Some(owner) = owner.and_then(|owner| owner.parse::<u32>().ok()) else {
            continue;
        };
        if !Path::new(&format!("/proc/{owner}")).exists() {
            // Another process may be sweeping as well.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}
