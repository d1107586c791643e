//! One client, from accept to goodbye.
//!
//! `listener` accepts, `handshake` makes an [`Authenticated`](handshake::Authenticated) client,
//! `session` reads its commands, and `execute` is the life of one command: `acquire` (route, lease),
//! `flight` (prelude, relay), `settle`.

mod acquire;
mod admission;
pub mod binding;
pub mod carried;
mod catch_up;
pub mod client;
mod commands;
mod confirm;
mod defaults;
pub mod definitions;
mod desk;
pub mod digests;
pub mod effect;
mod execute;
mod fail;
mod flight;
pub mod gate;
pub mod gauges;
pub mod handshake;
mod hear;
pub mod holds;
mod job;
mod journal;
mod keep_up;
mod kill;
mod lasting;
pub mod listener;
mod local;
mod logged;
mod loss;
mod mode;
pub mod naming;
pub mod optimistic;
mod outlast;
pub mod passthrough;
pub mod pools;
pub mod prepared;
mod privileges;
pub mod proof;
pub mod proven;
mod record;
pub mod registry;
pub mod relay;
mod remembered;
mod rsa;
mod ruled;
pub mod session;
mod settle;
pub mod shared;
mod sight;
pub mod signal;
mod statements;
pub mod succession;
pub mod summary;
mod tenure;
mod touch;
pub mod translate;
pub mod users;
mod variables;
pub mod waits;
mod watched;
mod whom;
mod witness;

pub use acquire::is_about_server;
