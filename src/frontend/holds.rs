//! What a session holds between two commands, as others see it: one number.

use super::binding::{Binding, PinReason};
use crate::topology::ServerId;

/// What a session holds between two commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// Nothing.
    Nothing,
    /// A transaction that no server knows of yet.
    Begun,
    /// A connection to a replica, for a transaction that has only read so far.
    Optimistic(ServerId),
    /// A connection, for a transaction.
    Transaction(ServerId),
    /// A connection, for these reasons.
    Pinned(ServerId, Vec<PinReason>),
}

/// Tells the transactions that have only read so far from others.
const READ_SO_FAR: u64 = 1;

impl Holds {
    /// Two bits for what it is, 16 for the server, and the bits of the pins.
    pub(super) fn encode(binding: &Binding) -> u64 {
        let server = binding.lease().map_or(0, |lease| u64::from(lease.pool().server().id.0)) << 32;
        match binding {
            Binding::Free => 0,
            Binding::Begun(_) => 1 << 62,
            Binding::Optimistic(..) => 2 << 62 | server | READ_SO_FAR,
            Binding::InTransaction(_) => 2 << 62 | server,
            Binding::Pinned(_, pins) => 3 << 62 | server | u64::from(pins.bits()),
        }
    }

    pub(super) fn decode(bits: u64) -> Self {
        let server = ServerId(u16::try_from(bits >> 32 & 0xFFFF).unwrap_or_default());
        match bits >> 62 {
            0 => Self::Nothing,
            1 => Self::Begun,
            2 if bits & READ_SO_FAR != 0 => Self::Optimistic(server),
            2 => Self::Transaction(server),
            _ => {
                let is_set = |reason: &PinReason| bits & u64::from(reason.bit()) != 0;
                Self::Pinned(server, PinReason::ALL.into_iter().filter(is_set).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::binding::Beginning;

    #[test]
    fn what_is_held_is_told_as_it_was_noted() {
        let (server, pins) = (ServerId(7), [PinReason::TableLock, PinReason::NamedLock, PinReason::SessionMode]);
        for (place, reason) in PinReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.bit(), 1 << place, "{}", reason.as_str());
        }
        let bits = pins.iter().fold(3 << 62 | 7 << 32, |bits, pin| bits | u64::from(pin.bit()));
        assert_eq!(Holds::decode(bits), Holds::Pinned(server, pins.to_vec()));
        assert_eq!(Holds::decode(2 << 62 | 7 << 32), Holds::Transaction(server));
        assert_eq!(Holds::decode(2 << 62 | 7 << 32 | READ_SO_FAR), Holds::Optimistic(server));
        assert_eq!(Holds::decode(Holds::encode(&Binding::Free)), Holds::Nothing);
        assert_eq!(Holds::decode(Holds::encode(&Binding::Begun(Beginning::default()))), Holds::Begun);
    }
}
