//! `docker-compose.yml`: the file, and what it mounts and runs, outside of Docker.
//!
//! `file` reads it with suspicion; `site` does what it says with real servers, the entry points it mounts, this
//! build's `landbridge` and PHP; `guestbook` looks at the page as a visitor does.

mod compose;
mod file;
mod guestbook;
mod images;
mod site;

use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}
