//! Memory for what is large: it is taken before that is received, so that no number of peers can take more than there
//! is for them.

use super::PacketStream;
use crate::net::budget::{Budget, Exhausted, SMALL};

impl PacketStream {
    /// From now on the memory for what is large of what it sends is taken from there, before that is read.
    pub fn takes_from(&mut self, memory: Budget) {
        self.memory = Some(memory);
    }

    /// Sees to it that so many bytes that are being received have their memory.
    ///
    /// # Cancel safety
    /// Cancel safe: what it has it keeps.
    pub(super) async fn hold(&mut self, bytes: usize) -> Result<(), Exhausted> {
        match &self.memory {
            Some(memory) if bytes > SMALL && bytes > self.held.bytes() => {
                let more = bytes - self.held.bytes();
                memory.reserve_more(&mut self.held, more).await
            }
            _ => Ok(()),
        }
    }

    /// Gives back what was taken for more than is there now.
    pub(super) fn give_back_held(&mut self) {
        self.held.keep(Some(self.received()).filter(|left| *left > SMALL).unwrap_or_default());
    }
}
