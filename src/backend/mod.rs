//! Connections of ours to servers: dialling, logging in, one exchange at a time.
//!
//! A connection is [`Ready`](conn::Ready) or [`Busy`](conn::Busy); only the end of every response
//! turns busy into ready, and a busy connection that is dropped is closed.

pub mod account;
pub mod acquaintance;
pub mod attributes;
pub mod conn;
mod conversation;
pub mod defaults;
pub mod executed;
pub mod kill;
pub mod login;
pub mod query;
pub mod reach;
pub mod server;
pub mod servers;
pub mod space;
pub mod statements;
