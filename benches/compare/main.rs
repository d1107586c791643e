//! `make bench`: what it costs to have something between an application and its server.
//!
//! sysbench and a loop of short connections run against a local pair of servers: straight to the
//! primary, through `haproxy`, and through Landbridge as a process of its own. The ways take turns, so
//! that whatever else the machine does hits all of them. `docs/benchmarks.md` tells the method.

mod instructions;
mod load;
mod long;
mod ocean;
mod relay;
mod report;
mod resources;
mod ways;

use anyhow::{Result, bail};
use clap::Parser;
use landbridge::lab::{Flavor, Pair, PairOptions};
use load::{Load, Sample, WORKLOADS, Workload};
use report::Report;
use std::path::PathBuf;
use std::time::Duration;
use ways::{Ways, say};

/// Compares a direct connection, a TCP proxy and Landbridge.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "options of a command line: each is by itself")]
struct Args {
    /// How often every figure is measured; the table shows medians
    #[arg(long, env = "ROUNDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long one measurement takes
    #[arg(long, env = "SECONDS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Clients at a time
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    clients: Vec<u32>,
    /// Which servers to start: mysql or mariadb
    #[arg(long, default_value = "mysql")]
    flavor: String,
    /// Only workloads whose name contains this, such as "point"
    #[arg(long, default_value = "")]
    only: String,
    /// Also a Landbridge with `scope = "off"`: what it costs to remember who wrote what
    #[arg(long)]
    scope_off: bool,
    /// Also a Landbridge as this program has it: an earlier build, say
    #[arg(long)]
    other: Option<PathBuf>,
    /// Only what stands in the middle under names that begin like these, such as `HAProxy,Landbridge`
    #[arg(long, value_delimiter = ',')]
    ways: Vec<String>,
    /// Instead of all this: count instructions per query under valgrind, for each scope
    #[arg(long)]
    instructions: bool,
    /// With `--instructions`: keep what callgrind wrote here, and count nothing but the usual scope
    #[arg(long, requires = "instructions")]
    profile: Option<PathBuf>,
    /// A Markdown file whose marked place gets the tables
    #[arg(long)]
    write: Option<PathBuf>,
    /// Instead of all this: count system calls per query, and memory per idle client
    #[arg(long)]
    resources: bool,
    /// Instead of all this: put an ocean of 50 ms in front of the primary, and write over it
    #[arg(long)]
    ocean: bool,
    /// So many clients are there and say nothing, with `--resources` or `--instructions`
    #[arg(long, default_value_t = 0)]
    idle: u32,
    /// So many connections to each server are kept open, with `--instructions`
    #[arg(long, default_value_t = 4)]
    warm: u32,
    /// Be the blind relay: listen on this port..
    #[arg(long, hide = true, requires = "relay_to")]
    relay: Option<u16>,
    /// .. and connect to this one
    #[arg(long, hide = true)]
    relay_to: Option<u16>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// What both servers get besides the laboratory's small settings: room for the whole data set, and
/// for the writes of a run.
fn options(flavor: Flavor) -> PairOptions {
    let redo_log = match flavor {
        Flavor::MySql => "--innodb-redo-log-capacity=256M",
        Flavor::MariaDb => "--innodb-log-file-size=256M",
    };
    let extra_args = ["--innodb-buffer-pool-size=256M", redo_log, "--max-connections=2000", "--max-allowed-packet=64M"]
        .map(str::to_owned)
        .into();
    PairOptions { extra_args, ..PairOptions::default() }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    if let (Some(port), Some(to)) = (args.relay, args.relay_to) {
        return relay::run(port, to).await;
    }
    let Some(flavor) = Flavor::ALL.into_iter().find(|f| f.to_string().eq_ignore_ascii_case(&args.flavor)) else {
        bail!("--flavor is mysql or mariadb, not {}", args.flavor);
    };
    let workloads: Vec<&Workload> = WORKLOADS.iter().filter(|w| w.name.contains(&args.only)).collect();
    if workloads.is_empty() {
        bail!("no workload is called {:?}: {}", args.only, WORKLOADS.map(|w| w.name).join(", "));
    }
    if args.instructions {
        let profile = args.profile.as_deref();
        return instructions::compare(flavor, options(flavor), &workloads, profile, (args.idle, args.warm)).await;
    }
    if args.ocean {
        return ocean::compare(flavor, options(flavor), args.rounds, Duration::from_secs(args.seconds.into())).await;
    }
    if args.resources {
        let idle = if args.idle == 0 { 10_000 } else { args.idle };
        return resources::measure(flavor, options(flavor), Duration::from_secs(args.seconds.into()), idle).await;
    }
    say(&format!("starting a {flavor} primary, a replica, HAProxy, a blind relay and Landbridge twice"));
    let pair = Pair::start_with(flavor, options(flavor)).await?;
    let mut ways = Ways::start(&pair, args.scope_off, args.other.as_deref()).await?;
    if !args.ways.is_empty() {
        ways = ways.only(&args.ways);
    }
    let load = Load::prepare(&pair, Duration::from_secs(args.seconds.into())).await?;
    let mut report = Report::new(&pair, args.rounds, args.seconds).await?;
    for workload in workloads {
        for clients in args.clients.iter().filter(|clients| **clients <= workload.most) {
            let figures = measure(&pair, &ways, &load, workload, *clients, args.rounds).await?;
            report.add(workload, *clients, &ways, figures);
        }
    }
    let text = report.finish();
    report::print(&text);
    match &args.write {
        Some(path) => report::write(path, flavor, &text),
        None => Ok(()),
    }
}

/// All rounds of one line of the table: the samples of each way.
async fn measure(
    pair: &Pair,
    ways: &Ways,
    load: &Load,
    workload: &Workload,
    clients: u32,
    rounds: u32,
) -> Result<Vec<Vec<Sample>>> {
    let ways = ways.all();
    let mut samples = vec![Vec::new(); ways.len()];
    for round in 0..rounds as usize {
        for turn in 0..ways.len() {
            // Each round begins with another one: none always follows the same neighbour's leftovers.
            let at = (turn + round) % ways.len();
            let (Some(way), Some(samples)) = (ways.get(at), samples.get_mut(at)) else { continue };
            pair.wait_caught_up().await?;
            match load.run(workload, clients, way).await {
                Ok(sample) => {
                    let rate = sample.per_second;
                    say(&format!(
                        "{}, {clients} clients, round {}: {} {rate:.0}/s",
                        workload.name,
                        round + 1,
                        way.name
                    ));
                    samples.push(sample);
                }
                // An hour of other figures must not be lost for it; the table will say so.
                Err(error) => say(&format!("{}, {clients} clients: {}: {error:#}", workload.name, way.name)),
            }
        }
    }
    Ok(samples)
}
