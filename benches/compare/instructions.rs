//! What the scopes cost, counted instead of timed: instructions of the process itself per query, as `valgrind`
//! counts them. They do not depend on what else the machine does. The kernel's share, the larger part of a
//! query's processor time, is not in them.

use super::load::{Load, Workload};
use super::report;
use super::resources;
use super::ways::{Process, Settings, configure, find, is_ready, say, wait_until};
use anyhow::{Context, Result};
use landbridge::backend::conn::Ready;
use landbridge::backend::login::{self, Account};
use landbridge::backend::server::Server;
use landbridge::config::Secret;
use landbridge::lab::{Flavor, Pair, PairOptions, accounts};
use landbridge::net::socket::Address;
use landbridge::protocol::capability::Capabilities;
use landbridge::topology::ServerId;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What `callgrind` writes.
const OUT: &str = "callgrind.out";
const SCOPES: [&str; 4] = ["off", "connection", "user", "sidecar"];

/// Counts, and prints a table. `others`: how many clients are silent meanwhile, and how many connections to each server
/// are kept open.
///
/// With `profile` only the usual scope is counted, and what `callgrind` wrote of the longest run is kept there, for
/// `callgrind_annotate`.
pub(crate) async fn compare(
    flavor: Flavor,
    options: PairOptions,
    workloads: &[&Workload],
    profile: Option<&Path>,
    others: (u32, u32),
) -> Result<()> {
    resources::allow_files()?;
    say(&format!("starting a {flavor} primary and a replica"));
    let pair = Pair::start_with(flavor, options).await?;
    let load = Load::prepare(&pair, Duration::ZERO).await?;
    let directory = tempfile::tempdir()?;
    let mut table =
        vec!["| workload | scope | instructions per query | of scope off |".to_owned(), "|---|---|--:|--:|".into()];
    for workload in workloads.iter().filter(|workload| workload.is_countable()) {
        let (mut off, lengths) = (None, workload.times());
        for scope in SCOPES.into_iter().filter(|scope| profile.is_none() || *scope == "user") {
            let mut counted = [0; 2];
            for (counted, times) in counted.iter_mut().zip(lengths) {
                *counted = count(directory.path(), &pair, &load, workload, (scope, times), others).await?;
            }
            let [short, long] = counted;
            let each = u32::try_from(long.saturating_sub(short) / u64::from(lengths[1] - lengths[0]))?;
            let of_off = f64::from(each) / f64::from(*off.get_or_insert(each));
            table.push(format!("| {} | {scope} | {each} | {of_off:.3} |", workload.name));
        }
    }
    if let Some(profile) = profile {
        fs::copy(directory.path().join(OUT), profile)?;
    }
    report::print(&table.join("\n"));
    Ok(())
}

/// Instructions of one run, with a write before it that every read has to respect.
async fn count(
    directory: &Path,
    pair: &Pair,
    load: &Load,
    workload: &Workload,
    (scope, times): (&str, u32),
    (idle, warm): (u32, u32),
) -> Result<u64> {
    let (config, port, http) = configure(directory, "counted", &Settings::plain(pair, scope))?;
    let more = format!("[pool]\nmin_warm = {warm}\nmax = {}\n", warm.max(64));
    fs::write(&config, fs::read_to_string(&config)? + &more)?;
    let log = directory.join("counted.log");
    let (out, tool) = (directory.join(OUT), "--tool=callgrind");
    let out_file = format!("--callgrind-out-file={}", out.display());
    let program = env!("CARGO_BIN_EXE_landbridge");
    let arguments = [tool, &out_file, program, "--config", &config.to_string_lossy(), "run"];
    let process = Process::start(&find("valgrind")?, &arguments, &log)?;
    wait_until(&log, || async { is_ready(http).await.unwrap_or(false) }).await?;
    write(port).await?;
    pair.wait_caught_up().await?;
    let _silent = resources::hold(port, idle).await?;
    load.run_times(workload, times, port).await?;
    std::process::Command::new("kill").args(["-TERM", &process.id().to_string()]).status()?;
    process.wait()?;
    let text = fs::read_to_string(&out)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    Ok(total.with_context(|| fs::read_to_string(&log).unwrap_or_default())?.trim().parse()?)
}

/// A write of the user whose reads are counted.
async fn write(port: u16) -> Result<()> {
    let address = Address::Tcp { host: "127.0.0.1".into(), port };
    let server = Arc::new(Server::new(ServerId(0), "counted".into(), address, None));
    let password = Secret::new(accounts::APP.password.into());
    let account = Arc::new(Account::listed(accounts::APP.user.into(), password));
    let login = login::dial(&server, &account, Capabilities::empty(), Duration::from_secs(60)).await?;
    let sql = "UPDATE app.sbtest1 SET k = k + 1 WHERE id = 1";
    let (conn, _) = Ready::new(login, server, account).query(sql).await?;
    conn.close().await;
    Ok(())
}
