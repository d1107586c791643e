//! Sockets, TLS and the one place where the codec meets tokio.

pub mod budget;
pub mod expiry;
pub mod listening;
pub mod names;
pub mod occupant;
pub mod packets;
pub mod permits;
pub mod shutter;
pub mod simulated;
pub mod socket;
mod spare;
pub mod stream;
pub mod tls;
mod transfer;
