//! What a client must see: GTID sets, and the tokens that remember who wrote what.

pub mod gtid;
pub mod token;
