//! Data directories: initialised once per server version, then copied.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::lab::error::{Error, Result};
use crate::lab::servers::cache;
use crate::lab::servers::flavor::Program;
use crate::lab::servers::process;

/// Raised when the way to initialise changes, so that older templates are not used.
const GENERATION: u32 = 1;

/// What makes a server the one it is; each copy gets its own.
const IDENTITY: &str = "auto.cnf";

/// Fills `data`, which must not exist, with an empty installation. Blocks: seconds the first time,
/// then as long as copying takes.
pub(super) fn fill(program: &Program, data: &Path) -> Result<()> {
    let templates = cache::subdirectory("data")?;
    let template = templates.join(name(program));
    if !template.is_dir() {
        make(program, &templates, &template)?;
    }
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--reflink=auto"]).arg(template).arg(data);
    process::run(copy).map(drop)
}

fn name(program: &Program) -> String {
    let version = program.version.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
    format!("{}-{version}-{GENERATION}", program.flavor)
}

/// Made beside its place and then renamed: a template is complete or it does not exist.
fn make(program: &Program, templates: &Path, template: &Path) -> Result<()> {
    let _lock = cache::lock(&templates.join("lock"))?;
    if template.is_dir() {
        return Ok(()); // by the process we waited for
    }
    let failed = |error| Error::io(template.display().to_string(), error);
    let workshop = tempfile::tempdir_in(templates).map_err(failed)?;
    let data = workshop.path().join("data");
    process::run(program.flavor.dialect().initialize(program, &data)?)?;
    let identity = data.join(IDENTITY);
    if identity.exists() {
        fs::remove_file(identity).map_err(failed)?;
    }
    fs::rename(data, template).map_err(failed)
}
