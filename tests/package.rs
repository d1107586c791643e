//! The Debian package: what it is made of is there, and what is made of it is right.

use clap::CommandFactory;
use landbridge::cli::Cli;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// `[package.metadata.deb]`
fn metadata() -> toml::Table {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
    manifest["package"]["metadata"]["deb"].as_table().expect("a table").clone()
}

/// Sources and targets of what goes into it.
fn assets() -> Vec<(String, String)> {
    let text = |value: &toml::Value| value.as_str().expect("a text").to_owned();
    let pair = |asset: &toml::Value| (text(&asset[0]), text(&asset[1]));
    metadata()["assets"].as_array().expect("a list").iter().map(pair).collect()
}

#[test]
fn everything_that_goes_into_it_is_there() {
    for (source, _) in assets() {
        let path = match source.strip_suffix("*.md") {
            _ if source.starts_with("target/release/") => continue,
            Some(directory) => root().join(directory),
            None => root().join(&source),
        };
        assert!(path.exists(), "{source}");
    }
    let scripts = metadata()["maintainer-scripts"].as_str().expect("a directory").to_owned();
    for script in ["postinst", "prerm", "postrm"] {
        let path = root().join(&scripts).join(script);
        let sound = Command::new("sh").arg("-n").arg(&path).status().expect("sh");
        assert!(sound.success(), "{script}");
        let text = read(&format!("{scripts}{script}"));
        assert!(text.starts_with("#!/bin/sh\n") && text.contains("\nset -e\n"), "{script}");
    }
    let unit = read("deploy/systemd/landbridge.service");
    for path in ["/etc/landbridge/proxy.toml", "/etc/landbridge/environment"] {
        assert!(unit.contains(path), "{path}");
    }
    assert!(read("deploy/debian/postinst").contains("/etc/landbridge/environment"));
}

/// Every command and option is in the manual, and nothing else.
#[test]
fn the_manual_is_complete() {
    let manual = read("deploy/debian/landbridge.1").replace("\\-", "-").replace("\\fB", "").replace("\\fR", "");
    let (_, commands) = manual.split_once(".SH COMMANDS").expect("commands");
    let (commands, _) = commands.split_once(".SH OPTIONS").expect("options");
    let cli = Cli::command();
    for command in cli.get_subcommands() {
        let head = commands.lines().map(|line| line.trim_start_matches(".B "));
        let mut head = head.filter(|line| line.split(' ').next() == Some(command.get_name()));
        let line = head.next().unwrap_or_else(|| panic!("landbridge {} is not in the manual", command.get_name()));
        for option in command.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(line.contains(&format!("--{option}")), "--{option} of {line}");
        }
        for option in line.split("--").skip(1) {
            let name = option.split([' ', ']', '[', '=']).next().expect("a name");
            assert!(command.get_arguments().any(|arg| arg.get_long() == Some(name)), "there is no --{name}: {line}");
        }
    }
}

/// Whether a program is there to be asked.
fn is_there(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    let status = command.arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The package itself, with this build's program in it. Needs `cargo install cargo-deb`.
#[test]
#[expect(clippy::print_stderr, reason = "whoever runs the tests should see what was left out")]
fn it_can_be_made() {
    if !is_there("cargo-deb", "--version") || !is_there("dpkg-deb", "--version") {
        eprintln!("skipped: cargo-deb or dpkg-deb is missing; cargo install --locked cargo-deb");
        return;
    }
    let target = tempfile::tempdir().expect("directory");
    let release = target.path().join("release");
    std::fs::create_dir(&release).expect("directory");
    std::fs::copy(env!("CARGO_BIN_EXE_landbridge"), release.join("landbridge")).expect("copied");
    let mut make = Command::new("cargo-deb");
    make.args(["--no-build", "--fast", "--manifest-path"]).arg(root().join("Cargo.toml"));
    let package = PathBuf::from(output(make.env("CARGO_TARGET_DIR", target.path())).trim());

    let contents = output(Command::new("dpkg-deb").arg("--contents").arg(&package));
    for (source, to) in assets() {
        let name = source.rsplit('/').next().expect("a name");
        let path = format!("./{to}{}", if name.contains('*') { "" } else { name });
        assert!(contents.contains(&path), "{path}:\n{contents}");
    }
    let control = target.path().join("control");
    output(Command::new("dpkg-deb").arg("--control").arg(&package).arg(&control));
    let listed = std::fs::read_to_string(control.join("conffiles")).expect("conffiles");
    assert_eq!(listed.trim(), "/etc/landbridge/proxy.toml", "what people change is kept");
    for script in ["postinst", "prerm", "postrm"] {
        assert!(control.join(script).is_file(), "{script}");
    }
    let depends = output(Command::new("dpkg-deb").arg("--field").arg(&package).arg("Depends"));
    assert!(depends.contains("libc6") && depends.contains("adduser"), "{depends}");
}
