//! The command line: `run`, `check`, `explain`, `top`, `demo` and two small helpers for containers.
//!
//! Exit codes: 0 fine, 2 usage or configuration error, 1 anything else.

mod ask;
mod check;
mod demo;
mod explain;
mod health;
mod ocean;
mod paint;
mod run;
mod table;
mod top;

use crate::config::{self, Settings};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Where the configuration is, if nobody says so.
const USUAL_FILE: &str = "proxy.toml";

/// A MySQL connection pooler for applications an ocean away from their primary.
///
/// Landbridge runs beside the application and speaks MySQL on localhost:3306. Reads go to the
/// replica nearby, writes to the primary over connections that are already open, and nobody reads
/// data older than their own writes.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    /// The configuration file.
    #[arg(long, short, global = true, value_name = "FILE", default_value = USUAL_FILE, env = "LANDBRIDGE_CONFIG")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the pooler (what happens without a command, too)
    Run,
    /// Read the file, dial every server and say what was found and what is missing
    ///
    /// For each server: TLS and how it was verified, version, role, round-trip time, replication
    /// lag, GTID mode, pipelining, and grants that are missing, with the statement that grants them.
    /// Exit codes: 0 everything is in order, 1 something is not, 2 the file cannot be used.
    Check {
        /// For programs: one JSON object (docs/check.md has its fields)
        #[arg(long)]
        json: bool,
    },
    /// Say where a statement would go, and why
    ///
    /// Nobody is contacted: the answer is that of servers that are all well. Rules, modes and functions are those of the
    /// configuration file, if it is there; its passwords are not needed.
    /// Exit codes: 0 explained, 2 the file or the command line cannot be used.
    Explain(explain::Wish),
    /// Show what goes on in a running Landbridge, live
    ///
    /// What the status page shows, in a terminal: servers, pools, clients, round trips, routes and slow statements.
    /// Keys: q leaves, p pauses, s sorts. Asks where the configuration file has `[listen] http`.
    Top {
        /// Ask there, whatever the file says: http://host:port
        #[arg(long)]
        url: Option<String>,
        /// Print one picture and leave (what happens when the output is not a terminal, too)
        #[arg(long)]
        once: bool,
        /// Print /status.json as it is and leave
        #[arg(long)]
        json: bool,
        /// From one picture to the next
        #[arg(long, default_value = "1s", value_parser = duration)]
        every: std::time::Duration,
    },
    /// Start two real servers with an ocean between them, and show the difference
    ///
    /// Needs `mariadb-server` or MySQL on this machine (`make setup` installs both). Stays up
    /// afterwards, so that you can connect.
    Demo {
        /// Round-trip time of the ocean
        #[arg(long, default_value = "100ms", value_parser = duration)]
        rtt: std::time::Duration,
        /// Which servers to start: mysql or mariadb; whatever is there by default
        #[arg(long)]
        flavor: Option<String>,
        /// Print the table and leave
        #[arg(long)]
        once: bool,
    },
    /// Delay everything that passes, as an ocean does (for trying Landbridge out)
    Ocean {
        /// Where to listen
        #[arg(long)]
        listen: std::net::SocketAddr,
        /// Where to connect
        #[arg(long)]
        to: String,
        /// Round-trip time
        #[arg(long, default_value = "100ms", value_parser = duration)]
        rtt: std::time::Duration,
    },
    /// Ask a running Landbridge whether it is ready (for container health checks)
    Health,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    config::parse_duration(text).ok_or_else(|| "write a number and a unit, such as 100ms or 2s".to_owned())
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        let Self { config, command } = self;
        match command.unwrap_or(Command::Run) {
            Command::Run => with_settings(&config, |settings| finish(run::run(&config, settings))),
            Command::Check { json } => with_settings(&config, |settings| check::check(settings, json)),
            Command::Health => with_settings(&config, health::health),
            Command::Explain(wish) => explain::explain(&wish, &config),
            Command::Top { url, once, json, every } => top::top(&top::Wish { url, once, json, every }, &config),
            Command::Demo { rtt, flavor, once } => finish(demo::demo(rtt, flavor.as_deref(), once)),
            Command::Ocean { listen, to, rtt } => finish(ocean::ocean(listen, &to, rtt)),
        }
    }
}

/// What to write, for somebody who has no file yet.
const SMALLEST_FILE: &str = r#"
The smallest one, to be adapted (docs/configuration.md has every key):

    region = "eu-west"                        # where Landbridge runs
    [[server]]
    name = "primary"
    address = "db.us-west.example.com:3306"
    role = "primary"
    region = "us-west"
    tls = { mode = "verify-full", ca = "ca.pem" }
    [[server]]
    name = "replica-eu"
    address = "db.eu-west.example.com:3306"
    role = "replica"
    region = "eu-west"
    tls = { mode = "verify-full", ca = "ca.pem" }
    [[user]]                                  # the application's account, as it is on the servers
    name = "app"
    password = "${APP_DB_PASSWORD}"
    [monitor]                                 # an account for health, lag and GTIDs
    user = "landbridge"
    password = "${MONITOR_DB_PASSWORD}"

Servers of your own: README.md says which tls they need.
Then: landbridge check"#;

fn with_settings(path: &std::path::Path, command: impl FnOnce(&Settings) -> ExitCode) -> ExitCode {
    match config::load(path, &|name| std::env::var(name).ok()) {
        Ok(settings) => command(&settings),
        Err(faults) => {
            complain(&faults.to_string());
            if !path.exists() {
                complain(SMALLEST_FILE);
            }
            ExitCode::from(2)
        }
    }
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("landbridge: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output; a reader that went away is no error of ours.
fn print(text: &str) {
    use std::io::Write;
    let _reader_gone = writeln!(std::io::stdout(), "{}", text.trim_end());
}

fn complain(text: &str) {
    use std::io::Write;
    let _reader_gone = writeln!(std::io::stderr(), "{}", text.trim_end());
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
