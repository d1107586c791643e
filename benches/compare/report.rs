//! The report: where and with what it was measured, and a table for each workload.

use super::load::{Sample, Workload};
use super::ways::{Ways, find};
use anyhow::{Context, Result};
use landbridge::lab::{Flavor, Pair};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What ends the place of a table in a document.
const END: &str = "<!-- end of table -->";

/// A report being written.
#[derive(Debug)]
pub(crate) struct Report {
    text: String,
    workload: &'static str,
}

impl Report {
    /// Begins with the facts that make figures comparable.
    pub(crate) async fn new(pair: &Pair, rounds: u32, seconds: u32) -> Result<Self> {
        let version = pair.primary.query("SELECT VERSION()").await?;
        let facts = [
            ("date", told("date", &["-u", "+%F %R UTC"])),
            ("command", command(rounds, seconds)),
            ("measured", format!("{rounds} rounds of {seconds} s each, medians")),
            ("Landbridge", commit()),
            ("server", format!("{} {}", pair.primary.flavor(), version.scalar().unwrap_or("?"))),
            ("sysbench", told("sysbench", &["--version"])),
            ("HAProxy", told("haproxy", &["-v"])),
            ("machine", machine()),
            ("load average before", load_average()),
        ];
        let mut text = String::new();
        for (name, fact) in facts {
            writeln!(text, "* {name}: {fact}")?;
        }
        Ok(Self { text, workload: "" })
    }

    /// Adds the lines of one workload with so many clients.
    pub(crate) fn add(&mut self, workload: &Workload, clients: u32, ways: &Ways, figures: Vec<Vec<Sample>>) {
        if self.workload != workload.name {
            self.workload = workload.name;
            let head = format!(
                "\n### {}\n\n\
                 | clients | way | {unit}/s | of direct | spread | mean ms | p95 ms | CPU µs | RSS MiB |\n\
                 |--:|---|--:|--:|--:|--:|--:|--:|--:|\n",
                workload.name,
                unit = workload.unit,
            );
            self.text.push_str(&head);
        }
        let direct = figures.first().and_then(|samples| median(samples, |s| Some(s.per_second)));
        for (way, samples) in ways.all().iter().zip(figures) {
            let rate = median(&samples, |s| Some(s.per_second));
            let ratio = rate.zip(direct).map(|(rate, direct)| rate / direct);
            let cells = [
                clients.to_string(),
                way.name.to_owned(),
                shown(rate, 0),
                shown(ratio, 2),
                spread(&samples, rate),
                shown(median(&samples, |s| Some(s.mean)), 2),
                shown(median(&samples, |s| Some(s.p95)), 2),
                shown(median(&samples, |s| s.cpu), 1),
                shown(median(&samples, |s| s.rss), 1),
            ];
            let line = format!("| {} |\n", cells.join(" | "));
            self.text.push_str(&line);
        }
    }

    /// The whole text.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(samples: &[Sample], of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
    let mut values: Vec<f64> = samples.iter().filter_map(of).collect();
    values.sort_by(f64::total_cmp);
    let above = *values.get(values.len() / 2)?;
    let below = *values.get(values.len().checked_sub(1)? / 2)?;
    Some(f64::midpoint(below, above))
}

/// How far the rounds lie apart: half the way from the slowest to the fastest.
fn spread(samples: &[Sample], median: Option<f64>) -> String {
    let rates = || samples.iter().map(|s| s.per_second);
    let half = (rates().fold(f64::MIN, f64::max) - rates().fold(f64::MAX, f64::min)) / 2.0;
    median.map_or_else(|| "failed".to_owned(), |median| format!("±{:.0} %", half / median * 100.0))
}

fn shown(value: Option<f64>, digits: usize) -> String {
    value.map(|value| format!("{value:.digits$}")).unwrap_or_default()
}

/// How to get these figures again.
fn command(rounds: u32, seconds: u32) -> String {
    let mut arguments = std::env::args().skip(1);
    let mut kept = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {}
            "--write" | "--rounds" | "--seconds" => drop(arguments.next()),
            _ if argument.contains(' ') => kept.push(format!("'{argument}'")),
            _ => kept.push(argument),
        }
    }
    let more = if kept.is_empty() { String::new() } else { format!(" ARGS=\"{}\"", kept.join(" ")) };
    format!("`make bench ROUNDS={rounds} SECONDS={seconds}{more}`")
}

fn commit() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let commit = told("git", &["rev-parse", "--short", "HEAD"]);
    let changed = if told("git", &["status", "--porcelain"]).is_empty() { "" } else { " with changes" };
    format!("{version}, commit {commit}{changed}, built with {}", told("rustc", &["--version"]))
}

fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let release = told("uname", &["-sr"]);
    let kernel: Vec<&str> = release.split('.').take(2).collect();
    format!("{cores} cores of {}, {}", model.map_or("an unnamed processor", |(_, name)| name), kernel.join("."))
}

fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// The first line a program writes; nothing if it cannot be asked.
fn told(program: &str, arguments: &[&str]) -> String {
    let asked = find(program).ok().and_then(|program| Command::new(program).args(arguments).output().ok());
    let text = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// Writes to standard output.
pub(crate) fn print(text: &str) {
    use std::io::Write as _;
    // A reader that went away is no error of ours.
    drop(std::io::stdout().write_all(text.as_bytes()));
}

/// Puts the text between the marks of a document, in place of what is there.
pub(crate) fn write(path: &Path, flavor: Flavor, text: &str) -> Result<()> {
    let document = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mark = match flavor {
        Flavor::MySql => "<!-- table -->",
        Flavor::MariaDb => "<!-- table: MariaDB -->",
    };
    let (before, rest) = document.split_once(mark).with_context(|| format!("{}: no {mark}", path.display()))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{}: no {END}", path.display()))?;
    fs::write(path, format!("{before}{mark}\n{text}{END}{after}"))?;
    Ok(())
}
