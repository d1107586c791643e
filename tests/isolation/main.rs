//! An isolation checker in the manner of Elle: clients append to lists and read them in transactions, through
//! Landbridge and straight at the primary, while the replica lags and links break. The history is searched for what
//! the isolation level on the primary alone does not allow; `docs/decisions/0014` says what that is.
//!
//! `ISOLATION_SECONDS` says how long each run takes, `ISOLATION_SEED` what happens in it:
//!
//!     ISOLATION_SECONDS=600 cargo test --release --test isolation -- --nocapture

#![allow(clippy::print_stderr, reason = "what a run has done is worth telling")]
#![allow(unreachable_pub, reason = "shared by the modules of one test binary")]

mod bed;
mod clients;
mod graph;
mod history;
mod nemesis;
#[path = "../checker/random.rs"]
mod random;
mod statements;
mod verify;
mod verify_tests;

use crate::bed::{Bed, Mode};
use crate::clients::{Client, Work, clients, lists_for};
use crate::history::{End, History};
use crate::random::Random;
use crate::verify::{Anomaly, Level, Rule, report, verify};
use landbridge::lab::Flavor;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long runs without other wishes take.
const SECONDS: u64 = 20;
const SECONDS_OF_BASELINE: u64 = 8;
const SECONDS_UNVERIFIED: u64 = 6;
const SEED: u64 = 1;

/// What became of the transactions that began on a replica.
#[derive(Debug)]
struct Counts {
    begun: u64,
    ended_locally: u64,
    moved: u64,
    refused: u64,
}

/// The whole run.
async fn run(flavor: Flavor, mode: Mode, level: Level, seconds: u64) -> (History, Counts) {
    let seconds = from_env("ISOLATION_SECONDS").unwrap_or(seconds);
    let seed = from_env("ISOLATION_SEED").unwrap_or(SEED);
    eprintln!("{flavor}, {mode:?}, {level:?}: {seconds} s with ISOLATION_SEED={seed}");
    let mut random = Random::new(seed);
    let bed = Bed::start(flavor, mode, lists_for(seconds)).await;
    let work = Arc::new(Work::new(bed, mode, level));
    let mut working: JoinSet<()> = clients(&work, &mut random).into_iter().map(Client::run).collect();
    let until = Instant::now() + Duration::from_secs(seconds);
    let (lags, strikes) = (random.split(), random.split());
    if mode == Mode::Unverified {
        nemesis::lag(&work, lags, until).await;
    } else {
        tokio::join!(nemesis::lag(&work, lags, until), nemesis::strike(&work, strikes, until));
    }
    work.end();
    while let Some(ended) = working.join_next().await {
        ended.expect("a client ends");
    }
    let count = |outcome| work.bed.optimistic(outcome);
    let counts = Counts {
        begun: count("begun"),
        ended_locally: count("ended_locally"),
        moved: count("moved"),
        refused: count("refused"),
    };
    let work = Arc::into_inner(work).expect("all clients have ended");
    let history = work.finish().await;
    summarize(&history, &counts);
    (history, counts)
}

fn from_env(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {value}")))
}

/// Tells what was done.
fn summarize(history: &History, counts: &Counts) {
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for transaction in &history.transactions {
        let end = match &transaction.end {
            End::Committed => "committed".to_owned(),
            End::RolledBack => "rolled back".to_owned(),
            End::Aborted(why) => format!("aborted: {why}"),
            End::Unknown(why) => format!("unknown: {why}"),
        };
        *ends.entry(end).or_default() += 1;
    }
    let appended: usize = history.last.iter().map(|(_, tags)| tags.len()).sum();
    let (transactions, events) = (history.transactions.len(), history.events.len());
    eprintln!("{transactions} transactions, {appended} appends are there, {events} events; {counts:?}");
    for (end, count) in ends {
        eprintln!("{count:6} x {end}");
    }
}

fn none(history: &History, level: Level) {
    let anomalies = verify(history, level);
    assert!(anomalies.is_empty(), "anomalies:\n{}", report(history, &anomalies));
}

/// What the verifier allows is what servers do, and all that is asked of optimistic transactions.
async fn transactions_at_the_primary(flavor: Flavor) {
    for level in [Level::RepeatableRead, Level::ReadCommitted] {
        let (history, counts) = run(flavor, Mode::Primary, level, SECONDS_OF_BASELINE).await;
        none(&history, level);
        assert_eq!(counts.begun, 0);
    }
}

async fn optimistic_repeatable_read(flavor: Flavor) {
    let (history, counts) = run(flavor, Mode::Optimistic, Level::RepeatableRead, SECONDS).await;
    none(&history, Level::RepeatableRead);
    let Counts { ended_locally, moved, refused, .. } = counts;
    assert!(ended_locally > 0 && moved > 0 && refused > 0, "nothing was put to the test");
}

async fn optimistic_read_committed(flavor: Flavor) {
    let (history, counts) = run(flavor, Mode::Optimistic, Level::ReadCommitted, SECONDS).await;
    none(&history, Level::ReadCommitted);
    assert!(counts.ended_locally > 0 && counts.moved > 0, "nothing was put to the test");
}

/// Without the verification it is found out, and nothing but what the verification is for.
async fn unverified_transactions_are_found_out(flavor: Flavor) {
    let (history, counts) = run(flavor, Mode::Unverified, Level::RepeatableRead, SECONDS_UNVERIFIED).await;
    let anomalies = verify(&history, Level::RepeatableRead);
    assert!(counts.moved > 0 && counts.refused == 0, "{counts:?}");
    let is_expected = |anomaly: &Anomaly| matches!(anomaly.rule, Rule::Stale | Rule::ReadSkew);
    assert!(anomalies.iter().any(is_expected), "nobody noticed");
    assert!(anomalies.iter().all(is_expected), "{}", report(&history, &anomalies));
}

/// So many beds at a time, however many tests run.
static TURNS: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        on_both!(mysql MySql $($name)*);
        on_both!(mariadb MariaDb $($name)*);
    };
    ($module:ident $flavor:ident $($name:ident)*) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let _turn = super::TURNS.acquire().await;
                super::$name(landbridge::lab::Flavor::$flavor).await;
            })*
        }
    };
}

on_both!(
    transactions_at_the_primary,
    optimistic_repeatable_read,
    optimistic_read_committed,
    unverified_transactions_are_found_out,
);
