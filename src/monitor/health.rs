//! Whether a server answers, with hysteresis: one lost packet is not an outage. Pure.

use crate::topology::Health;
use std::sync::Arc;

/// How many probes in a row it takes to change an opinion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thresholds {
    /// Failures that take a server out.
    pub(super) down_after: u32,
    /// Successes that take it back.
    pub(super) up_after: u32,
}

/// The opinion on one server.
///
/// The very first probe decides at once, and so does the first success of a server that was never
/// up: before them there is no opinion worth keeping.
#[derive(Debug)]
pub(super) struct Opinion {
    health: Health,
    was_up: bool,
    /// Probes in a row that contradict `health`.
    against: u32,
    /// Whether the last probe succeeded.
    answered: bool,
}

impl Opinion {
    /// No opinion yet.
    pub(super) fn new() -> Self {
        Self { health: Health::Unknown, was_up: false, against: 0, answered: false }
    }

    /// What is to be published.
    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// Whether it is up and its last probe succeeded as well.
    pub(super) fn answers_now(&self) -> bool {
        self.answered && self.health == Health::Up
    }

    /// A probe succeeded.
    pub(super) fn succeeded(&mut self, thresholds: Thresholds) {
        self.answered = true;
        match self.health {
            Health::Up => self.against = 0,
            Health::Down(_) if self.was_up && self.against.saturating_add(1) < thresholds.up_after => {
                self.against += 1;
            }
            Health::Unknown | Health::Down(_) | Health::Retired => self.change(Health::Up),
        }
        self.was_up |= self.health == Health::Up;
    }

    /// A probe failed.
    pub(super) fn failed(&mut self, thresholds: Thresholds, why: &Arc<str>) {
        self.answered = false;
        match self.health {
            Health::Up if self.against.saturating_add(1) < thresholds.down_after => self.against += 1,
            // A new reason for an old opinion is worth telling too.
            Health::Up | Health::Unknown | Health::Down(_) | Health::Retired => self.change(Health::Down(why.clone())),
        }
    }

    fn change(&mut self, health: Health) {
        self.health = health;
        self.against = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds { down_after: 3, up_after: 2 };

    /// Feeds `+` and `-`; prints `?`, `u` and `d` for the health after each.
    fn run(probes: &str, thresholds: Thresholds) -> String {
        let mut opinion = Opinion::new();
        let step = |probe| {
            match probe {
                '+' => opinion.succeeded(thresholds),
                _ => opinion.failed(thresholds, &"refused".into()),
            }
            match opinion.health() {
                Health::Unknown => '?',
                Health::Up => 'u',
                Health::Down(_) | Health::Retired => 'd',
            }
        };
        probes.chars().map(step).collect()
    }

    #[test]
    fn opinions_change_slowly_except_the_first() {
        for (probes, health) in [
            ("+", "u"),
            ("-", "d"),
            // Never up before: the first success counts.
            ("--+", "ddu"),
            ("+--+--+", "uuuuuuu"),
            ("+---", "uuud"),
            ("+---+-++", "uuuddddu"),
            ("+---+++--+---", "uuudduuuuuuud"),
        ] {
            assert_eq!(run(probes, THRESHOLDS), health, "{probes}");
        }
        let at_once = Thresholds { down_after: 1, up_after: 1 };
        assert_eq!(run("+-+-", at_once), "udud");
    }

    #[test]
    fn the_latest_reason_is_told() {
        let mut opinion = Opinion::new();
        opinion.failed(THRESHOLDS, &"refused".into());
        opinion.failed(THRESHOLDS, &"no answer within 3s".into());
        assert_eq!(*opinion.health(), Health::Down("no answer within 3s".into()));
    }

    #[test]
    fn a_server_that_is_up_may_not_answer_now() {
        let mut opinion = Opinion::new();
        opinion.succeeded(THRESHOLDS);
        assert!(opinion.answers_now());
        opinion.failed(THRESHOLDS, &"refused".into());
        assert!(*opinion.health() == Health::Up && !opinion.answers_now());
    }
}
