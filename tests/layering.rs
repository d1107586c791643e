//! The layers of ARCHITECTURE.md, checked: a module imports only from layers below its own, pure
//! layers touch no I/O and no clock, and no file grows beyond one idea.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every module and what it may import from this crate.
const LAYERS: &[(&str, &[&str])] = &[
    // L0: pure.
    ("protocol", &["protocol"]),
    ("sql", &["sql"]),
    ("state", &["state"]),
    ("topology", &["topology", "consistency"]),
    ("consistency", &["consistency", "topology"]),
    ("route", &["route", "consistency", "sql", "topology"]),
    // L1: settings, counters, sockets, backend connections.
    ("config", &["config"]),
    ("metrics", &["metrics", "route"]),
    ("net", &["net", "metrics", "protocol"]),
    ("backend", &["backend", "config", "consistency", "metrics", "net", "protocol", "state", "topology"]),
    // L2: warm pools, probes.
    ("pool", &["pool", "backend", "metrics", "net", "protocol", "state"]),
    ("monitor", &["monitor", "backend", "consistency", "metrics", "net", "protocol", "topology"]),
    // L3: clients, HTTP.
    (
        "frontend",
        &[
            "frontend",
            "backend",
            "consistency",
            "metrics",
            "net",
            "pool",
            "protocol",
            "route",
            "sql",
            "state",
            "topology",
        ],
    ),
    ("status", &["status", "consistency", "frontend", "metrics", "pool", "protocol", "topology"]),
    (
        "console",
        &[
            "console",
            "backend",
            "consistency",
            "frontend",
            "metrics",
            "net",
            "pool",
            "protocol",
            "route",
            "status",
            "topology",
        ],
    ),
    ("http", &["http", "frontend", "metrics", "net", "pool", "status", "topology"]),
    // L4: the life of the process.
    ("lifecycle", &["lifecycle", "app", "config", "consistency", "frontend", "http", "net"]),
    // Beside the layers: real servers and the ocean, for tests, benchmarks and the demo.
    ("lab", &["lab"]),
];

/// Where everything comes together: these see all others.
const ABOVE: [&str; 4] = ["app", "cli", "lib", "main"];

/// Directories whose every file has a place on the map, and not only their module.
const MAPPED: [&str; 5] = ["src/frontend", "src/frontend/flight", "src/frontend/optimistic", "src/pool", "src/route"];

/// Modules that must stay free of I/O, tasks and logging.
const PURE: [&str; 6] = ["protocol", "sql", "state", "topology", "consistency", "route"];

/// Tests aside, no file may be longer.
const LONGEST: usize = 400;

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Each source file with the name of its top-level module.
fn sources() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&src, &mut paths);
    paths
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&src).expect("under src");
            let first = inside.components().next().expect("a name").as_os_str().to_string_lossy();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).expect("readable");
            (module, path, text)
        })
        .collect()
}

fn map() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).expect("the map")
}

/// Text before the tests at the end of a file.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

#[test]
fn modules_import_only_from_below() {
    for (module, path, text) in sources() {
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module) else {
            assert!(ABOVE.contains(&&*module), "{}: {module} has no place in the layers", path.display());
            continue;
        };
        for piece in product(&text).split("crate::").skip(1) {
            let name: String = piece.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            assert!(allowed.contains(&name.as_str()), "{}: {module} may not import {name}", path.display());
        }
    }
}

/// The table of ARCHITECTURE.md has every module, and no other.
#[test]
fn the_map_has_the_layers() {
    let map = map();
    let (_, section) = map.split_once("\n## Layers\n").expect("the layers");
    let section = section.split("\n## ").next().expect("a section");
    let cells = section.lines().filter(|line| line.starts_with('|')).filter_map(|row| row.split('|').nth(2));
    let modules = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let mut drawn: Vec<&str> = modules.collect();
    let above = ABOVE.into_iter().filter(|name| *name != "lib");
    let mut known: Vec<&str> = LAYERS.iter().map(|(name, _)| *name).chain(above).collect();
    drawn.sort_unstable();
    known.sort_unstable();
    assert_eq!(drawn, known);
}

/// Each file of these directories is named, so that whoever reads the map knows where it belongs.
#[test]
fn the_map_has_the_files() {
    let map = map();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // What stands as code: between backticks, and in indented lines.
    let spans = map.split('`').skip(1).step_by(2);
    let lines = map.lines().filter(|line| line.starts_with("    "));
    let words: BTreeSet<&str> = spans.chain(lines).flat_map(|code| code.split(|c| !is_part(c))).collect();
    for directory in MAPPED {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).expect("readable").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(stem) = name.strip_suffix(".rs").filter(|stem| !matches!(*stem, "mod" | "tests")) else {
                continue;
            };
            assert!(words.contains(stem), "{directory}/{name} is not on the map: ARCHITECTURE.md");
        }
    }
}

#[test]
fn pure_modules_are_pure() {
    let product_file = |path: &Path| !path.to_string_lossy().contains("tests");
    let pure = |module: &str| PURE.contains(&module);
    for (module, path, text) in sources().into_iter().filter(|(m, p, _)| pure(m) && product_file(p)) {
        for forbidden in ["tokio", "std::net", "std::fs", "Instant::now", "SystemTime", "tracing::"] {
            assert!(!product(&text).contains(forbidden), "{}: {module} uses {forbidden}", path.display());
        }
    }
}

#[test]
fn files_hold_one_idea() {
    for (_, path, text) in sources().into_iter().filter(|(_, path, _)| !path.to_string_lossy().contains("tests")) {
        let lines = product(&text).lines().count();
        assert!(lines <= LONGEST, "{}: {lines} lines", path.display());
        assert!(text.starts_with("//!"), "{}: says what it is for", path.display());
    }
}
