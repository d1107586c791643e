//! What becomes of clients when a server or the way to it fails: each fault at each moment of a session.
//!
//! `expected.rs` holds the one table of what clients see, `docs/failures.md` shows it. To write the document
//! anew after a change of the table:
//!
//!     FAILURES_WRITE=1 cargo test --test matrix document
//!
//! By hand, longer: `HOLE_SECONDS=60` (reads while the primary is silent) and `CUTS=10000`, `CUTS_SEED=7`
//! (exactly-once writes over a link that breaks all the time).

#![allow(clippy::print_stderr, reason = "what a run has done is worth telling")]
#![allow(unreachable_pub, reason = "shared by the modules of one test binary")]

mod bed;
mod cells;
mod cuts;
mod document;
mod expected;
mod fault;
mod hole;
mod moment;
mod outcome;
mod patience;
#[path = "../checker/random.rs"]
#[allow(dead_code, reason = "shared with another test binary")]
mod random;

/// So many at a time, however many tests run: deadlines are short here, and the machine may be small.
static TURNS: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);

/// Runs an async test body for each kind of server.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let _turn = $crate::TURNS.acquire().await;
                super::$name(landbridge::lab::Flavor::MySql).await;
            })*
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let _turn = $crate::TURNS.acquire().await;
                super::$name(landbridge::lab::Flavor::MariaDb).await;
            })*
        }
    };
}

/// A number from the environment, for runs by hand.
fn from_env(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {value}")))
}
