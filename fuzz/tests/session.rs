//! The simulation of `src/simulation`, for a bounded number of seeds, the same ones each time.
//!
//! `FUZZ_ROUNDS=n` runs n times as many; `FUZZ_SEED=n` only one, and shows its story if it fails.

use landbridge_fuzz::simulation::{Seen, Weather, run, scenarios};

/// After so many failures the rest would tell nothing new.
const ENOUGH: usize = 10;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|n| n.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Seeds that once failed, by weather: `corpus/session/<weather>`, one a line, with why behind it.
fn known(weather: Weather) -> Vec<u64> {
    let file = format!("{}/corpus/session/{weather:?}", env!("CARGO_MANIFEST_DIR")).to_lowercase();
    let file = file.replace(&env!("CARGO_MANIFEST_DIR").to_lowercase(), env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split(' ').next().and_then(|seed| seed.parse().ok()).expect("a seed")).collect()
}

fn simulate(weather: Weather, seeds: u64) {
    let many = seeds * number("FUZZ_ROUNDS").unwrap_or(1);
    let seeds: Vec<u64> = match number("FUZZ_SEED") {
        Some(seed) => vec![seed],
        None => known(weather).into_iter().chain(0..many).collect(),
    };
    let count = seeds.len();
    let mut sum = Seen::default();
    let mut failed: Vec<(u64, String)> = Vec::new();
    for seed in seeds {
        match run(weather, seed) {
            Ok(seen) => {
                sum.statements += seen.statements;
                sum.faults += seen.faults;
                sum.committed += seen.committed;
            }
            Err(story) => failed.push((seed, story)),
        }
        if failed.len() >= ENOUGH {
            break;
        }
    }
    println!("{weather:?}: {count} seeds, {sum:?}");
    for (seed, story) in &failed {
        println!("FUZZ_SEED={seed} {}", story.lines().next().unwrap_or_default());
    }
    if let Some((_, story)) = failed.first() {
        panic!("{story}");
    }
}

#[test]
fn fair() {
    simulate(Weather::Fair, 10);
}

#[test]
fn stormy() {
    simulate(Weather::Stormy, 30);
}

#[test]
fn hostile() {
    simulate(Weather::Hostile, 20);
}

macro_rules! scenarios {
    ($($name:ident,)*) => {
        $(#[test]
        fn $name() {
            scenarios::$name();
        })*
    };
}

scenarios! {
    a_lost_transaction_is_not_committed,
    a_read_leaves_the_insert_id,
    a_commit_leaves_the_insert_id,
    locks_stay_where_releasing_them_failed,
    a_transaction_given_up_is_no_mere_error,
    a_dial_ends_where_the_server_falls_silent,
    a_statement_ends_where_its_server_is_found_silent,
}
