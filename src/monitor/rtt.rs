//! The round-trip time of a server: the minimum of the last probes. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// Probes that count.
const WINDOW: usize = 10;
/// Differences below this are noise, and so is a tenth of the time.
const NOISE: Duration = Duration::from_micros(500);

/// Recent round trips. The fastest is the one that met no queue.
#[derive(Debug, Default)]
pub(super) struct RoundTrips {
    recent: VecDeque<Duration>,
    steady: Option<Duration>,
}

impl RoundTrips {
    /// Adds one.
    pub(super) fn record(&mut self, rtt: Duration) {
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(rtt);
        let fastest = self.recent.iter().min().copied().unwrap_or(rtt);
        if self.steady.is_none_or(|steady| steady.abs_diff(fastest) > NOISE.max(steady / 10)) {
            self.steady = Some(fastest);
        }
    }

    /// The round-trip time; noise does not change it.
    pub(super) fn steady(&self) -> Option<Duration> {
        self.steady
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_of_the_last_counts_and_noise_does_not() {
        let mut trips = RoundTrips::default();
        let millis = Duration::from_millis;
        for (sample, steady) in [(90, 90), (89, 90), (250, 90), (80, 80)] {
            trips.record(millis(sample));
            assert_eq!(trips.steady(), Some(millis(steady)));
        }
        for _ in 0..9 {
            trips.record(millis(120));
            assert_eq!(trips.steady(), Some(millis(80)));
        }
        trips.record(millis(120));
        assert_eq!(trips.steady(), Some(millis(120)));
    }
}
