//! Whether a server has space left on its disks, as far as that shows.
//!
//! No question that a client may put tells how full a disk is. What shows is that statements are refused for it, that
//! the binary log cannot be written, and that replication waits or has stopped for it. Whoever meets one of these says
//! so here; status, metrics and the log tell it.

use crate::protocol::response::ServerError;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An error that a client got for want of space counts for so long: nobody can ask whether there is some again.
const COUNTS_FOR: Duration = Duration::from_secs(60);

/// By what it shows that there is no space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// What is written waits, because the binary log does.
    Log,
    /// Replication waits, or has stopped, for it.
    Replication,
    /// It does not answer how its replication is, and answers all else.
    Status,
    /// A statement got this error.
    Refused(u16),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("its binary log cannot be written, and writes wait for that"),
            Self::Replication => f.write_str("its replication waits, or has stopped, for space"),
            Self::Status => {
                f.write_str("it does not answer how its replication is; a STOP REPLICA that waits has that, too")
            }
            Self::Refused(code) => write!(f, "statements get error {code}"),
        }
    }
}

/// What is known of one server.
#[derive(Debug, Default)]
pub struct Space {
    signs: Mutex<Signs>,
    /// Whether a statement lasts so long that the log should be looked at.
    is_suspected: AtomicBool,
}

#[derive(Debug, Default)]
struct Signs {
    refused: Option<(u16, Instant)>,
    log: bool,
    replication: Option<Lack>,
    /// Whether the log has it that there is none.
    is_told: bool,
}

impl Signs {
    /// The worst.
    fn lack(&self, now: Instant) -> Option<Lack> {
        let refused = self.refused.filter(|(_, at)| now.saturating_duration_since(*at) < COUNTS_FOR);
        let log = self.log.then_some(Lack::Log);
        log.or(self.replication).or(refused.map(|(code, _)| Lack::Refused(code)))
    }
}

impl Space {
    /// By what it shows that there is none; `None` if there is, as far as known.
    pub fn lack(&self) -> Option<Lack> {
        self.lock().lack(Instant::now())
    }

    /// A statement was refused for want of space.
    pub fn refused(&self, server: &str, error: &ServerError) {
        self.change(server, |signs| signs.refused = Some((error.code, Instant::now())));
    }

    /// Whether its binary log waits for space.
    pub fn log_waits(&self, server: &str, waits: bool) {
        self.change(server, |signs| signs.log = waits);
    }

    /// By what its replication shows that there is none, if it does.
    pub fn replication_lacks(&self, server: &str, lack: Option<Lack>) {
        self.change(server, |signs| signs.replication = lack);
    }

    /// Whether a statement lasts so long that its log should be looked at.
    pub fn suspect(&self, is_suspected: bool) {
        self.is_suspected.store(is_suspected, Ordering::Relaxed);
    }

    /// Whether that is so.
    pub fn is_suspected(&self) -> bool {
        self.is_suspected.load(Ordering::Relaxed)
    }

    fn change(&self, server: &str, change: impl FnOnce(&mut Signs)) {
        let mut signs = self.lock();
        change(&mut signs);
        let lack = signs.lack(Instant::now());
        let was_told = std::mem::replace(&mut signs.is_told, lack.is_some());
        drop(signs);
        // Probes change nothing most of the time, but notice that an error does not count any more.
        match (was_told, lack) {
            (false, Some(lack)) => {
                tracing::error!(server, %lack, "a disk of the server seems to be full: free some space there");
            }
            (true, None) => tracing::info!(server, "the disks of the server do not seem to be full any more"),
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Signs> {
        // Every statement leaves it whole.
        self.signs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_sign_counts_until_it_is_taken_back() {
        let space = Space::default();
        assert_eq!(space.lack(), None);
        space.refused("a", &ServerError::new(1114, b"HY000", "The table 't' is full".to_owned()));
        assert_eq!(space.lack(), Some(Lack::Refused(1114)));
        space.replication_lacks("a", Some(Lack::Status));
        space.log_waits("a", true);
        assert_eq!(space.lack(), Some(Lack::Log));
        space.log_waits("a", false);
        assert_eq!(space.lack(), Some(Lack::Status));
        space.replication_lacks("a", None);
        assert_eq!(space.lack(), Some(Lack::Refused(1114)));
    }

    #[test]
    fn errors_count_for_a_while() {
        let now = Instant::now();
        let signs = Signs { refused: Some((1021, now)), ..Signs::default() };
        assert_eq!(signs.lack(now + COUNTS_FOR / 2), Some(Lack::Refused(1021)));
        assert_eq!(signs.lack(now + COUNTS_FOR), None);
    }
}
