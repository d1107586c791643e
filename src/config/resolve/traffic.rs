//! `[pool]`, `[consistency]`, `[route]`, `[limits]`: what happens to statements.

use std::time::Duration;

use super::{Value, unless_zero};
use crate::config::document::Found;
use crate::config::duration;
use crate::config::fault::Problem;
use crate::config::reader::Section;
use crate::config::settings::{
    Consistency, Limits, Pipelining, Pool, PoolMode, PrimaryDown, ReadWait, Route, Scope, Transactions, UserPool,
};

/// Most connections a pool may hold: MySQL's own bound on `max_connections`.
pub(super) const LARGEST_POOL: u32 = 100_000;
/// Most clients: more than one process has file descriptors for.
pub(super) const MOST_CLIENTS: u32 = 1_000_000;
/// More than any machine has.
pub(super) const MOST_THREADS: u32 = 256;
/// Largest packet of the protocol, in bytes.
const LEAST_MEMORY: u32 = 1024 * 1024;
const LARGEST_PACKET: u32 = 0x00ff_ffff;

/// Reads `[pool]`.
pub(super) fn pool(mut section: Section<'_, '_>) -> Pool {
    let mode = section.word("mode", PoolMode::WORDS).or_default_of(PoolMode::Transaction);
    let max = section.count("max", 1..=LARGEST_POOL).or_default_of(64);
    let min_warm = section.count("min_warm", 0..=LARGEST_POOL);
    report_min_warm(&section, min_warm.as_ref(), max);
    let pool = Pool {
        others: UserPool { mode, min_warm: min_warm.or_default_of(4.min(max)), max },
        checkout_timeout: section.positive("checkout_timeout").or_default_of(seconds(5)),
        connect_timeout: section.positive("connect_timeout").or_default_of(seconds(10)),
        idle_timeout: unless_zero(section.duration("idle_timeout").or_default_of(minutes(5))),
        max_lifetime: unless_zero(section.duration("max_lifetime").or_default_of(minutes(30))),
        ping_after: unless_zero(section.duration("ping_after").or_default_of(seconds(30))),
        max_parallel_dials: section.count("max_parallel_dials", 1..=1_000).or_default_of(4),
        pipelining: section.word("pipelining", Pipelining::WORDS).or_default_of(Pipelining::Auto),
    };
    section.finish();
    pool
}

/// No more connections can be warm than there may be.
pub(super) fn report_min_warm(section: &Section<'_, '_>, min_warm: Option<&Found<u32>>, max: u32) {
    if let Some(min_warm) = min_warm
        && min_warm.value > max
    {
        let message = format!("min_warm is larger than max ({max})");
        let problem = Problem::new(message, "lower min_warm or raise max");
        section.document().fault(&min_warm.spot, problem);
    }
}

/// Reads `[consistency]`.
pub(super) fn consistency(mut section: Section<'_, '_>) -> Consistency {
    const EXAMPLE: &str = "write \"auto\" or a duration such as \"50ms\"";
    let consistency = Consistency {
        scope: section.word("scope", Scope::WORDS).or_default_of(Scope::User),
        wait: section
            .parsed("wait", EXAMPLE, |text| match text {
                "auto" => Ok(ReadWait::Auto),
                _ => match duration::parse(text) {
                    Ok(longest) => Ok(ReadWait::AtMost(longest)),
                    Err(problem) => Err(Problem::new(problem.message, EXAMPLE)),
                },
            })
            .or_default_of(ReadWait::Auto),
        pin_for: section.duration("pin_for").or_default_of(seconds(2)),
        per_table: section.flag("per_table").or_default_of(false),
    };
    section.finish();
    consistency
}

/// Reads `[route]`: the default of every server's `max_lag`, and the rest.
pub(super) fn route(mut section: Section<'_, '_>) -> (Duration, Route) {
    let max_lag = section.positive("max_lag").or_default_of(seconds(10));
    let functions = section.list("read_functions", function_name, None).unwrap_or_default();
    let mut read_functions: Vec<String> = functions.into_iter().map(Found::into_value).collect();
    read_functions.sort_unstable();
    read_functions.dedup();
    let primary_down = without_primary(&mut section).unwrap_or(PrimaryDown::Fail);
    let transactions = section.word("transactions", Transactions::WORDS).or_default_of(Transactions::Primary);
    let transaction_replay = section.flag("transaction_replay").or_default_of(false);
    section.finish();
    (max_lag, Route { read_functions, primary_down, transactions, transaction_replay })
}

const PRIMARY_DOWN_FIX: &str = "write \"fail\", or \"wait 30s\"";

/// Reads `primary_down`, where it is written.
pub(super) fn without_primary(section: &mut Section<'_, '_>) -> Option<PrimaryDown> {
    section.parsed("primary_down", PRIMARY_DOWN_FIX, primary_down).value()
}

fn primary_down(text: &str) -> Result<PrimaryDown, Problem> {
    if text == "fail" {
        return Ok(PrimaryDown::Fail);
    }
    let longest = text.strip_prefix("wait ").ok_or_else(|| Problem::new("unknown word", PRIMARY_DOWN_FIX))?;
    match duration::parse(longest.trim()) {
        Ok(Duration::ZERO) => Err(Problem::new("must be longer than zero", PRIMARY_DOWN_FIX)),
        Ok(longest) => Ok(PrimaryDown::Wait(longest)),
        Err(problem) => Err(Problem::new(problem.message, PRIMARY_DOWN_FIX)),
    }
}

/// `name` or `schema.name`; servers compare names of functions without regard to case, those of schemas perhaps with.
fn function_name(text: &str) -> Result<String, Problem> {
    let identifier = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
    let mut parts = text.split('.');
    let parts_fit = parts.by_ref().take(2).all(identifier) && parts.next().is_none();
    if parts_fit {
        return Ok(match text.split_once('.') {
            Some((schema, name)) => format!("{schema}.{}", name.to_lowercase()),
            None => text.to_lowercase(),
        });
    }
    Err(Problem::new("not the name of a function", "write the name alone, such as \"total\" or \"shop.total\""))
}

/// Reads `[limits]`.
pub(super) fn limits(mut section: Section<'_, '_>) -> Limits {
    let idle = section.duration("idle_client_timeout").or_default_of(Duration::ZERO);
    let limits = Limits {
        max_clients: section.count("max_clients", 1..=MOST_CLIENTS).or_default_of(10_000),
        login_timeout: section.positive("login_timeout").or_default_of(seconds(10)),
        max_packet_before_login: section
            .size("max_packet_before_login", 1024..=LARGEST_PACKET)
            .or_default_of(64 * 1024),
        memory: section.size("memory", LEAST_MEMORY..=u32::MAX).or_default_of(256 * 1024 * 1024),
        stalled_client_timeout: unless_zero(section.duration("stalled_client_timeout").or_default_of(minutes(1))),
        idle_client_timeout: unless_zero(idle),
        max_prepared_statements: section.count("max_prepared_statements", 1..=MOST_CLIENTS).or_default_of(16_382),
        kill_abandoned: section.flag("kill_abandoned").or_default_of(true),
        max_waiting: section.count("max_waiting", 1..=MOST_CLIENTS).or_default_of(1_000),
        threads: section.count("threads", 0..=MOST_THREADS).value().filter(|threads| *threads > 0),
    };
    section.finish();
    limits
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}
