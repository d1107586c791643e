//! What a client must see: GTID sets, tokens made of them, and the scopes that remember tokens.

mod by_table;
pub mod catalogue;
pub mod floor;
pub mod gtid;
pub mod printed;
pub mod scope;
pub mod scopes;
pub mod token;
pub mod touched;
