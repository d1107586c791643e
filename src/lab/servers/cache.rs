//! The directory that outlives a test run: the unpacked MySQL, initialised data directories, ports.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::lab::error::{Error, Result};

/// The same directory as `scripts/mysql-server.sh` uses.
pub(super) fn directory() -> PathBuf {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("LANDBRIDGE_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("landbridge")))
        .or_else(|| Some(set("HOME")?.join(".cache/landbridge")))
        .unwrap_or_else(|| env::temp_dir().join("landbridge"))
}

/// Makes a directory below the cache.
pub(super) fn subdirectory(name: &str) -> Result<PathBuf> {
    let path = directory().join(name);
    fs::create_dir_all(&path).map_err(|error| Error::io(path.display().to_string(), error))?;
    Ok(path)
}

/// Waits for an exclusive lock, held until the file is dropped.
pub(super) fn lock(path: &Path) -> Result<File> {
    let file = lock_file(path)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| Error::io(path.display().to_string(), error.into()))?;
    Ok(file)
}

/// Takes an exclusive lock, held until the file is dropped; `None` if another has it.
pub(super) fn try_lock(path: &Path) -> Result<Option<File>> {
    let file = lock_file(path)?;
    Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(file))
}

fn lock_file(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| Error::io(path.display().to_string(), error))
}
