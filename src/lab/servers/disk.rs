//! A disk of a server's own, in memory, that a test can fill.
//!
//! The server runs in a mount namespace of its own, where a small file system takes the place of its data directory.
//! That needs no privileges where the kernel lets anybody have namespaces; it leaves nothing behind, whatever ends.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::lab::error::{Error, Result};

/// Mounts a file system of `$1` MiB in the directory `$0`, puts the data there, and becomes what the rest says.
const SCRIPT: &str = "mkdir -p disk && mount -t tmpfs -o size=$1m tmpfs disk && cp -a data disk/data && \
                      mount --bind disk/data data && shift && exec \"$@\"";

const BLOCK: [u8; 4096] = [0; 4096];

/// Runs `program` with a disk of so many MiB under the data in `directory`.
pub(super) fn command(program: &Path, directory: &Path, mib: u32) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("cd '{}' && {SCRIPT}", directory.display());
    command.args(["--mount", "--map-root-user", "sh", "-c", &script, "sh"]).arg(mib.to_string()).arg(program);
    command
}

/// Whether this machine lets servers have a disk of their own: tests say so, loudly, where it does not.
#[must_use]
pub fn may_have_disks() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /tmp"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The disk of a server that runs.
pub(super) struct Disk(PathBuf);

impl Disk {
    /// That of this process, as it sees it.
    pub(super) fn of(process: u32, directory: &Path) -> Self {
        let directory = directory.strip_prefix("/").unwrap_or(directory);
        Self(Path::new("/proc").join(process.to_string()).join("root").join(directory).join("disk"))
    }

    /// Fills it to the last byte.
    pub(super) fn fill(&self) -> Result<()> {
        let path = self.filler();
        let failed = |error| Error::io(path.display().to_string(), error);
        let mut file = File::create(&path).map_err(failed)?;
        loop {
            match file.write_all(&BLOCK) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Ends [`Self::fill`].
    pub(super) fn free(&self) -> Result<()> {
        let path = self.filler();
        fs::remove_file(&path).map_err(|error| Error::io(path.display().to_string(), error))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}
