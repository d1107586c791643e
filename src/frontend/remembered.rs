//! What a session keeps for its client beyond the statement under way, counted: a little everybody may have, more comes
//! out of what all clients share.

use crate::net::budget::{Budget, SMALL, Share};

/// Bytes kept for one client.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    bytes: usize,
    share: Share,
}

impl Remembered {
    /// Counts `bytes` more; false, and nothing is counted, if there is no memory for them.
    pub(super) fn add(&mut self, bytes: usize, memory: &Budget) -> bool {
        let all = self.bytes.saturating_add(bytes);
        let missing = all.saturating_sub(SMALL + self.share.bytes());
        if missing > 0 {
            // In pieces, so that not every small statement asks for its own.
            let Some(share) = memory.reserve_now(missing.max(SMALL)) else { return false };
            self.share.add(share);
        }
        self.bytes = all;
        true
    }

    /// Counts `bytes` less.
    pub(super) fn remove(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        let needed = self.bytes.saturating_sub(SMALL);
        if needed == 0 {
            self.share = Share::default();
        } else {
            // With a piece to spare, so that not every small statement gives back its own.
            self.share.keep(needed.saturating_add(SMALL));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_little_is_free_and_more_is_shared() {
        let memory = Budget::new(4 * SMALL, Duration::ZERO);
        let (mut one, mut other) = (Remembered::default(), Remembered::default());
        assert!(one.add(SMALL, &memory));
        assert_eq!(memory.free(), 4 * SMALL);
        assert!(one.add(1, &memory) && one.add(1, &memory));
        assert_eq!(memory.free(), 3 * SMALL, "in pieces");
        assert!(other.add(4 * SMALL, &memory) && !other.add(SMALL, &memory));
        assert!(!one.add(SMALL, &memory), "all is taken");
        other.remove(4 * SMALL);
        assert!(one.add(SMALL, &memory), "given back");
        drop(one);
        assert_eq!(memory.free(), 4 * SMALL);
        assert!(other.add(2 * SMALL, &memory) && other.add(2 * SMALL, &memory));
        other.remove(2 * SMALL + 1);
        assert!(memory.free() >= 2 * SMALL, "what is not needed any more is given back at once");
    }
}
