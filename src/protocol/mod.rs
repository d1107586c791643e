//! The MySQL client/server protocol as pure functions: bytes in, structs out, and back.
//!
//! No sockets, no clock, no globals. Everything here is safe on any input: lengths from the wire
//! are claims, checked by [`wire::Reader`].

pub mod auth;
pub mod capability;
pub mod command;
pub mod compression;
pub mod elliptic;
pub mod errno;
pub mod exchange;
pub mod handshake;
pub mod packet;
pub mod parameters;
pub mod response;
pub mod resultset;
pub mod sum;
pub mod track;
pub mod wire;
