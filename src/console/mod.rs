//! The admin console: what is going on, over the MySQL protocol, in the words of PgBouncer's console.
//!
//! `listener` accepts, `session` speaks with a client: `parse` says what a line asks for, `answer` collects what is
//! known, `tables` lays it out. What no session and no pool can do by itself is asked of [`Control`]. Users of the
//! file may look, from this machine; the account of `[admin]` may do all.

mod act;
mod answer;
pub mod control;
mod listener;
mod parse;
mod session;
mod tables;
mod text;
mod variables;

pub use control::{Action, Control, Done, Entrance, Refusal, Setting};
pub use listener::listen;

use crate::frontend::shared::Shared;
use crate::metrics::Metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use tokio::sync::Semaphore;

/// Logins at the console under way at a time.
const LOGINS: usize = 64;
/// Clients at a time that may look.
const LOOKING: usize = 64;
/// Clients at a time of the account that may do all: nobody else takes its places.
const ACTING: usize = 16;

/// The console.
#[derive(Debug)]
pub struct Console {
    /// Servers, pools, clients.
    pub shared: Arc<Shared>,
    /// What is counted.
    pub metrics: Metrics,
    /// Who does what concerns the process.
    pub control: Arc<dyn Control>,
    started: Instant,
    logins: Semaphore,
    looking: Semaphore,
    acting: Semaphore,
    ids: AtomicU32,
}

impl Console {
    /// A console of what is shared.
    pub fn new(shared: Arc<Shared>, metrics: Metrics, control: Arc<dyn Control>) -> Self {
        let [logins, looking, acting] = [LOGINS, LOOKING, ACTING].map(Semaphore::new);
        Self { shared, metrics, control, started: Instant::now(), logins, looking, acting, ids: AtomicU32::new(1) }
    }

    /// Where clients are counted that may do this.
    fn places(&self, right: Right) -> &Semaphore {
        match right {
            Right::Look => &self.looking,
            Right::All => &self.acting,
        }
    }

    fn next_id(&self) -> u32 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }
}

/// What somebody may do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// Look.
    Look,
    /// Look, and change things.
    All,
}
