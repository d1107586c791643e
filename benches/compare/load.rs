//! The loads: sysbench, and a loop of short connections.

use super::long::{self, Long};
use super::ways::{Process, Way, dialled, find};
use anyhow::{Context, Result, bail};
use landbridge::backend::conn::Ready;
use landbridge::backend::login::{self, Account};
use landbridge::backend::query::Reply;
use landbridge::backend::server::Server;
use landbridge::config::Secret;
use landbridge::lab::{Pair, accounts};
use landbridge::protocol::capability::Capabilities;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Rows of each table: all of them fit in memory many times.
const TABLE_SIZE: u32 = 10_000;
const TABLES: u32 = 4;
/// What a short connection asks.
const QUESTION: &str = "SELECT c FROM app.sbtest1 WHERE id = 1";

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// What a table counts: one or several of them make an event, of which latency is told.
    pub(crate) unit: &'static str,
    /// With more clients than this it says nothing new.
    pub(crate) most: u32,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A script of sysbench, with statements prepared on the server or as text.
    Sysbench { script: &'static str, prepared: bool },
    /// Connect, log in, one statement, goodbye.
    Connections,
    /// One client with long results, or long statements.
    Long(Long),
}

const fn sysbench(name: &'static str, script: &'static str, prepared: bool) -> Workload {
    Workload { name, unit: "queries", most: u32::MAX, kind: Kind::Sysbench { script, prepared } }
}

const fn long(name: &'static str, long: Long) -> Workload {
    Workload { name, unit: "MB", most: 1, kind: Kind::Long(long) }
}

/// All of them, in the order of the report.
pub(crate) const WORKLOADS: [Workload; 10] = [
    sysbench("point select, text", "oltp_point_select", false),
    sysbench("point select, prepared", "oltp_point_select", true),
    sysbench("read only, text", "oltp_read_only", false),
    sysbench("read only, prepared", "oltp_read_only", true),
    sysbench("read write, text", "oltp_read_write", false),
    sysbench("read write, prepared", "oltp_read_write", true),
    Workload { name: "connect, select, quit", unit: "cycles", most: u32::MAX, kind: Kind::Connections },
    long("results of 1 GB", Long::Result),
    long("values of 18 MB", Long::Value),
    long("statements of 18 MB", Long::Statement),
];

impl Workload {
    /// How often it is run to be counted: two lengths of a run, whose difference has neither start nor end in it.
    pub(crate) fn times(&self) -> [u32; 2] {
        match self.kind {
            Kind::Sysbench { .. } => [2_000, 22_000],
            Kind::Connections | Kind::Long(_) => [200, 1_200],
        }
    }

    /// Whether instructions can be counted for each of its units.
    pub(crate) fn is_countable(&self) -> bool {
        !matches!(self.kind, Kind::Long(_))
    }
}

/// One measurement.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// How many queries there were.
    pub(crate) queries: f64,
    /// Queries, or cycles of a short connection.
    pub(crate) per_second: f64,
    /// Milliseconds: the mean of an event.
    pub(crate) mean: f64,
    /// Milliseconds: the 95th percentile.
    pub(crate) p95: f64,
    /// Microseconds of processor time the process in the middle took for each query.
    pub(crate) cpu: Option<f64>,
    /// Its resident memory afterwards, in MiB.
    pub(crate) rss: Option<f64>,
}

/// What a load itself reports.
pub(crate) struct Outcome {
    pub(crate) queries: f64,
    pub(crate) per_second: f64,
    pub(crate) mean: f64,
    pub(crate) p95: f64,
}

impl Outcome {
    /// So many units, so many of them a second, of events that took so many milliseconds.
    pub(crate) fn of(queries: f64, per_second: f64, mut times: Vec<f64>) -> Result<Self> {
        times.sort_by(f64::total_cmp);
        let p95 = *times.get(times.len() * 95 / 100).context("nothing happened in all this time")?;
        let mean = times.iter().sum::<f64>() / f64::from(u32::try_from(times.len())?);
        Ok(Self { queries, per_second, mean, p95 })
    }
}

/// Runs loads against tables it has filled.
#[derive(Debug)]
pub(crate) struct Load {
    sysbench: PathBuf,
    duration: Duration,
    /// Where sysbench looks for certificates, under names of its own.
    directory: TempDir,
}

impl Load {
    /// Fills the tables, and waits until the replica has them.
    pub(crate) async fn prepare(pair: &Pair, duration: Duration) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let certs = &pair.certs;
        for (from, name) in
            [(&certs.ca, "cacert.pem"), (&certs.client.cert, "client-cert.pem"), (&certs.client.key, "client-key.pem")]
        {
            fs::copy(from, directory.path().join(name))?;
        }
        let load = Self { sysbench: find("sysbench")?, duration, directory };
        let mut command = load.command("oltp_common", pair.primary.port());
        command.arg("prepare");
        output(command).await?;
        pair.wait_caught_up().await?;
        Ok(load)
    }

    /// Runs a workload once.
    pub(crate) async fn run(&self, workload: &Workload, clients: u32, way: &Way) -> Result<Sample> {
        let before = way.process.as_deref().map(Process::cpu).transpose()?;
        let outcome = match workload.kind {
            Kind::Sysbench { script, prepared } => self.sysbench(script, prepared, clients, way).await?,
            Kind::Connections => self.connections(clients, way).await?,
            Kind::Long(long) => long::run(long, self.duration, way).await?,
        };
        let after = way.process.as_deref().map(Process::cpu).transpose()?;
        let cpu = before.zip(after).map(|(before, after)| after.saturating_sub(before).as_secs_f64() * 1e6);
        Ok(Sample {
            queries: outcome.queries,
            per_second: outcome.per_second,
            mean: outcome.mean,
            p95: outcome.p95,
            cpu: cpu.map(|cpu| cpu / outcome.queries),
            rss: way.process.as_deref().map(Process::rss).transpose()?,
        })
    }

    fn command(&self, script: &str, port: u16) -> Command {
        let account = accounts::APP;
        let mut command = Command::new(&self.sysbench);
        command.current_dir(self.directory.path()).arg(script).args(["--db-driver=mysql", "--mysql-host=127.0.0.1"]);
        command.args([
            format!("--mysql-port={port}"),
            format!("--mysql-user={}", account.user),
            format!("--mysql-password={}", account.password),
            format!("--mysql-db={}", accounts::SCHEMA),
            format!("--tables={TABLES}"),
            format!("--table-size={TABLE_SIZE}"),
        ]);
        command
    }

    /// Runs a workload of sysbench with one client, so many times.
    pub(crate) async fn run_times(&self, workload: &Workload, times: u32, port: u16) -> Result<()> {
        let (script, prepared) = match workload.kind {
            Kind::Sysbench { script, prepared } => (script, prepared),
            Kind::Connections => {
                let (server, account) = (dialled(port, None), app());
                for _ in 0..times {
                    cycle(&server, &account).await?;
                }
                return Ok(());
            }
            Kind::Long(_) => bail!("{} counts time", workload.name),
        };
        let mut command = self.command(script, port);
        command.args([format!("--events={times}"), format!("--db-ps-mode={}", mode(prepared))]);
        command.args(["--threads=1", "--time=0", "--mysql-ssl=off", "--rand-type=uniform", "run"]);
        output(command).await.map(drop)
    }

    async fn sysbench(&self, script: &str, prepared: bool, clients: u32, way: &Way) -> Result<Outcome> {
        let mut command = self.command(script, way.port);
        command.args([
            format!("--threads={clients}"),
            format!("--time={}", self.duration.as_secs()),
            format!("--db-ps-mode={}", mode(prepared)),
            format!("--mysql-ssl={}", if way.tls { "on" } else { "off" }),
        ]);
        command.args(["--rand-type=uniform", "--percentile=95", "--forced-shutdown=30", "run"]);
        let text = output(command).await?;
        let (queries, per_second) = queries(&text).with_context(|| format!("not understood: {text}"))?;
        let value = |name| number_behind(&text, name).with_context(|| format!("no {name} in: {text}"));
        Ok(Outcome { queries, per_second, mean: value("avg:")?, p95: value("95th percentile:")? })
    }

    /// As an application without a pool does it: connect, log in, one statement, goodbye.
    async fn connections(&self, clients: u32, way: &Way) -> Result<Outcome> {
        let account = app();
        let started = Instant::now();
        let deadline = started + self.duration;
        let mut running = JoinSet::new();
        for _ in 0..clients {
            let (server, account) = (way.server.clone(), account.clone());
            running.spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < deadline {
                    let began = Instant::now();
                    cycle(&server, &account).await?;
                    times.push(began.elapsed().as_secs_f64() * 1e3);
                }
                anyhow::Ok(times)
            });
        }
        let mut times = Vec::new();
        while let Some(done) = running.join_next().await {
            times.extend(done??);
        }
        let cycles = f64::from(u32::try_from(times.len())?);
        Outcome::of(cycles, cycles / started.elapsed().as_secs_f64(), times)
    }
}

/// The account of the application.
pub(crate) fn app() -> Arc<Account> {
    let password = Secret::new(accounts::APP.password.into());
    Arc::new(Account::listed(accounts::APP.user.into(), password))
}

/// Connects, asks and says goodbye.
async fn cycle(server: &Arc<Server>, account: &Arc<Account>) -> Result<()> {
    let login = login::dial(server, account, Capabilities::empty(), Duration::from_secs(30)).await?;
    let (conn, reply) = Ready::new(login, server.clone(), account.clone()).query(QUESTION).await?;
    if !matches!(reply, Reply::Rows { .. }) {
        bail!("{QUESTION}: {reply:?}");
    }
    conn.close().await;
    Ok(())
}

fn mode(prepared: bool) -> &'static str {
    if prepared { "auto" } else { "disable" }
}

/// Runs a command to its end and returns what it wrote.
async fn output(mut command: Command) -> Result<String> {
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !output.status.success() {
        let errors: Vec<&str> = text.lines().filter(|line| line.contains("FATAL")).take(3).collect();
        bail!("sysbench: {}: {}", output.status, errors.join("; "));
    }
    Ok(text)
}

/// From `queries:   123456 (30864.00 per sec.)`, both numbers.
fn queries(text: &str) -> Option<(f64, f64)> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("queries:"))?;
    let (total, rate) = line.split_once('(')?;
    Some((total.trim().parse().ok()?, rate.split_whitespace().next()?.parse().ok()?))
}

fn number_behind(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.trim().strip_prefix(name)?.trim().parse().ok())
}
