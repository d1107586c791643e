//! What processes in the middle take besides time: system calls for each query, and memory for each client that is
//! silent.

use super::load::{Load, WORKLOADS, app};
use super::report;
use super::ways::{Ways, dialled, find, say};
use anyhow::{Context, Result};
use landbridge::backend::conn::Ready;
use landbridge::backend::login;
use landbridge::lab::{Flavor, Pair, PairOptions};
use landbridge::protocol::capability::Capabilities;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::task::JoinSet;

/// How many come at a time.
const AT_ONCE: u32 = 200;
/// Clients at a time whose system calls are counted.
const CLIENTS: [u32; 2] = [1, 16];

/// Measures, and prints tables. `idle`: how many clients are silent.
pub(crate) async fn measure(flavor: Flavor, options: PairOptions, seconds: Duration, idle: u32) -> Result<()> {
    allow_files()?;
    let pair = Pair::start_with(flavor, options).await?;
    let ways = Ways::start(&pair, false, None).await?;
    let load = Load::prepare(&pair, seconds).await?;
    let mut table =
        vec!["| workload | clients | way | system calls per query |".to_owned(), "|---|--:|---|--:|".into()];
    for workload in WORKLOADS.iter().filter(|workload| workload.name.starts_with("point select")) {
        for clients in CLIENTS {
            for way in ways.all() {
                let Some(process) = &way.process else { continue };
                let counter = count_calls(process.id()).await?;
                let queries = load.run(workload, clients, way).await?.queries;
                let calls = counter.stop()?;
                table.push(format!("| {} | {clients} | {} | {:.2} |", workload.name, way.name, calls / queries));
            }
        }
    }
    table.extend(["", "| way | silent clients | KiB each |", "|---|--:|--:|"].map(str::to_owned));
    for way in ways.all().iter().filter(|way| way.name.starts_with("Landbridge")) {
        let Some(process) = &way.process else { continue };
        // What is made once for all is not theirs.
        drop(hold(way.port, AT_ONCE).await?);
        let before = process.rss()?;
        let held = hold(way.port, idle).await?;
        let each = (process.rss()? - before) * 1024.0 / f64::from(idle);
        table.push(format!("| {} | {} | {each:.2} |", way.name, held.len()));
    }
    report::print(&(table.join("\n") + "\n"));
    Ok(())
}

/// So many clients that have logged in and asked something, and are silent.
pub(crate) async fn hold(port: u16, clients: u32) -> Result<Vec<Ready>> {
    let (server, account) = (dialled(port, None), app());
    let mut held = Vec::new();
    let mut left = clients;
    while left > 0 {
        let mut coming = JoinSet::new();
        for _ in 0..left.min(AT_ONCE) {
            let (server, account) = (server.clone(), account.clone());
            coming.spawn(async move {
                let login = login::dial(&server, &account, Capabilities::empty(), Duration::from_secs(300)).await?;
                anyhow::Ok(Ready::new(login, server, account).query("SELECT 1").await?.0)
            });
        }
        left -= left.min(AT_ONCE);
        while let Some(client) = coming.join_next().await {
            held.push(client??);
        }
    }
    Ok(held)
}

/// Lets this process, and those that it starts, have as many files open as the system allows.
pub(crate) fn allow_files() -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// `perf` at work: unlike `strace` it does not slow down whom it counts.
struct Counter(std::process::Child);

async fn count_calls(id: u32) -> Result<Counter> {
    let mut command = Command::new(find("perf")?);
    command.args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", &id.to_string()]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    // It says nothing when it has begun.
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(Counter(child))
}

impl Counter {
    fn stop(self) -> Result<f64> {
        let id = rustix::process::Pid::from_child(&self.0);
        kill_process(id, Signal::INT)?;
        let output = self.0.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let count = text.lines().find_map(|line| line.split(',').next()?.parse().ok());
        if count.is_none() {
            say("perf cannot count system calls: it needs the right to trace (root, or kernel.perf_event_paranoid)");
        }
        count.with_context(|| format!("perf: {text}"))
    }
}
