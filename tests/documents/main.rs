//! What documents name exists: files and headings, `make` targets, commands and options, metrics, keys of `proxy.toml`,
//! and messages word by word.

mod commands;
mod links;
mod messages;
mod names;
mod text;

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A document: where it is, from the root, and what it says.
struct Document {
    path: PathBuf,
    text: String,
}

/// All of them, but for what is told of the past.
fn documents() -> Vec<Document> {
    let mut found = Vec::new();
    for file in ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md"] {
        found.push(root().join(file));
    }
    for directory in ["docs", "deploy", "fuzz"] {
        gather(&root().join(directory), "md", &mut found);
    }
    assert!(found.len() > 20, "{found:?}");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Document { path: path.strip_prefix(root()).expect("below the root").to_owned(), text }
    };
    found.into_iter().map(read).collect()
}

/// Files below a directory with this extension.
fn gather(directory: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display())).flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target" && name != "node_modules") {
            gather(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

/// The source, as one text.
fn source() -> String {
    let mut files = Vec::new();
    gather(&root().join("src"), "rs", &mut files);
    files.into_iter().map(|path| std::fs::read_to_string(path).expect("source")).collect()
}

/// Fails with everything that is wrong at once.
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
