//! A consistency checker in the manner of Jepsen: clients of several Landbridge processes write and read
//! registers and lists while a nemesis breaks servers, links and processes. Everything they do is recorded,
//! and the history is checked against what Landbridge promises.
//!
//! `CHECKER_SECONDS` says how long it runs for each kind of server, `CHECKER_SEED` what happens in it:
//!
//!     CHECKER_SECONDS=600 cargo test --release --test checker -- --nocapture

#![allow(clippy::print_stderr, reason = "what a run has done is worth telling")]
#![allow(unreachable_pub, reason = "shared by the modules of one test binary")]

mod clients;
mod cluster;
mod history;
mod nemesis;
mod process;
mod promises;
mod random;
mod recorder;
mod statements;
mod verify;
mod verify_tests;

use crate::clients::{Client, Work, clients};
use crate::cluster::{Cluster, ONE_WAY, Scope};
use crate::history::{Action, History, Outcome};
use crate::nemesis::Fault;
use crate::promises::{KEYS, MONOTONIC_READS};
use crate::random::Random;
use crate::verify::{Rule, Violation, report, verify};
use landbridge::lab::Flavor;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long a run without other wishes takes.
const SECONDS: u64 = 20;
const SEED: u64 = 1;
/// How long seeded faults get to show.
const SECONDS_WITH_FAULTS: u64 = 5;

/// What a run is made of.
struct Plan {
    scopes: Vec<Scope>,
    duration: Duration,
    /// Whether the promises are to be broken: nobody waits for a replica, and one is promoted too early.
    faulty: bool,
}

/// The whole run: the nemesis strikes, then a replica is promoted, then the dust settles.
async fn run(flavor: Flavor, plan: Plan) -> History {
    let seed = from_env("CHECKER_SEED").unwrap_or(SEED);
    eprintln!("{flavor}: {:?} with CHECKER_SEED={seed}", plan.duration);
    let mut random = Random::new(seed);
    let work = Arc::new(Work::new(Cluster::start(flavor, &plan.scopes).await));
    let mut working: JoinSet<()> = clients(&work, &plan.scopes, &mut random).into_iter().map(Client::run).collect();
    let (start, end) = (Instant::now(), plan.duration);
    if plan.faulty {
        nemesis::lag(&work, &[1, 2], random.split(), start + end).await;
        nemesis::promote_hastily(&work, 1, random).await;
    } else {
        let until = start + end * 3 / 4;
        let (lags, strikes) = (random.split(), random.split());
        tokio::join!(nemesis::lag(&work, &[1, 2], lags, until), nemesis::strike(&work, &Fault::ALL, strikes, until));
        let until = Instant::now() + end / 4;
        let (lags, strikes) = (random.split(), random.split());
        let change = async {
            nemesis::promote(&work, 1).await;
            nemesis::lag(&work, &[2], lags, until).await;
        };
        tokio::join!(change, nemesis::strike(&work, &Fault::NOT_OF_SERVERS, strikes, until));
    }
    work.end();
    while let Some(ended) = working.join_next().await {
        ended.expect("a client ends");
    }
    for region in &work.cluster.regions {
        let log = region.process.log();
        assert!(!log.contains("panicked"), "{}:\n{log}", region.process.name);
    }
    let mut history = work.recorder.take();
    history.last = work.cluster.last_reads(|| work.recorder.now()).await;
    summarize(&history);
    history
}

fn from_env(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {value}")))
}

/// Tells what was done, and sees that every kind of client did something.
fn summarize(history: &History) {
    let mut counts: BTreeMap<&str, [usize; 6]> = BTreeMap::new();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut nearby = 0;
    for operation in &history.operations {
        let kind = operation.client.split([' ', '(']).next().unwrap_or_default();
        let count = counts.entry(kind).or_default();
        let first = if matches!(operation.action, Action::Read(_)) { 0 } else { 3 };
        match &operation.outcome {
            Outcome::Ok(_) => {
                count[first] += 1;
                let took = operation.completed.0 - operation.invoked.0;
                nearby += usize::from(first == 0 && u128::from(took) < 2 * ONE_WAY.as_nanos());
            }
            Outcome::Fail(why) | Outcome::Info(why) => {
                count[first + if matches!(operation.outcome, Outcome::Fail(_)) { 1 } else { 2 }] += 1;
                *reasons.entry(why).or_default() += 1;
            }
        }
    }
    eprintln!("{} operations, {nearby} reads nearby, {} events", history.operations.len(), history.events.len());
    for (kind, [ok, fail, info, wrote, failed, unknown]) in &counts {
        eprintln!(
            "{kind:10}: reads {ok} ok, {fail} fail, {info} info; writes {wrote} ok, {failed} fail, {unknown} info"
        );
        assert!(*ok > 0 && *wrote > 0, "{kind} did nothing");
    }
    for (why, count) in reasons {
        eprintln!("{count:6} x {why}");
    }
}

async fn every_promise_is_kept(flavor: Flavor) {
    let mut scopes = vec![Scope::User, Scope::Connection, Scope::Sidecar];
    scopes.extend(KEYS.then_some(Scope::Key));
    let duration = Duration::from_secs(from_env("CHECKER_SECONDS").unwrap_or(SECONDS));
    let history = run(flavor, Plan { scopes, duration, faulty: false }).await;
    let violations = verify(&history);
    let text = report(&history, &violations);
    let counts = |violation: &Violation<'_>| MONOTONIC_READS || violation.rule != Rule::MonotonicReads;
    assert!(!violations.iter().any(counts), "promises are broken:\n{text}");
    eprint!("{text}");
}

/// Landbridge that does not wait for replicas is found out, and so is a promotion that loses writes.
async fn broken_promises_are_found(flavor: Flavor) {
    let duration = Duration::from_secs(SECONDS_WITH_FAULTS);
    let history = run(flavor, Plan { scopes: vec![Scope::Off], duration, faulty: true }).await;
    let violations = verify(&history);
    for rule in [Rule::ReadYourWrites, Rule::MonotonicReads, Rule::LostWrite] {
        assert!(violations.iter().any(|violation| violation.rule == rule), "{rule:?} is not found to be broken");
    }
    let others = [Rule::ThinAir, Rule::AppliedTwice];
    assert!(!violations.iter().any(|violation| others.contains(&violation.rule)), "{}", report(&history, &violations));
}

/// So many clusters at a time, however many tests run.
static TURNS: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);

mod mysql {
    use super::Flavor;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_promise_is_kept() {
        let _turn = super::TURNS.acquire().await;
        super::every_promise_is_kept(Flavor::MySql).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn broken_promises_are_found() {
        let _turn = super::TURNS.acquire().await;
        super::broken_promises_are_found(Flavor::MySql).await;
    }
}

mod mariadb {
    use super::Flavor;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_promise_is_kept() {
        let _turn = super::TURNS.acquire().await;
        super::every_promise_is_kept(Flavor::MariaDb).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn broken_promises_are_found() {
        let _turn = super::TURNS.acquire().await;
        super::broken_promises_are_found(Flavor::MariaDb).await;
    }
}
