//! Landbridge: a MySQL connection pooler for applications an ocean away from their primary.
//!
//! # Map
//!
//! Pure layers, bytes and decisions, no I/O: [`protocol`], [`sql`], [`state`], [`consistency`],
//! [`topology`], [`route`]. Towards servers: [`net`], [`backend`], [`pool`], [`monitor`]. Towards
//! clients: [`frontend`]; read [`frontend::session`] and then `frontend/execute.rs`, the life of
//! one command; [`console`], [`status`] and [`http`] are for operators. [`app`] puts it all together. [`lab`] starts real servers and an artificial ocean
//! for tests and the demo.

pub mod app;
pub mod backend;
pub mod cli;
pub mod config;
pub mod consistency;
pub mod console;
pub mod frontend;
pub mod http;
pub mod lab;
pub mod lifecycle;
pub mod metrics;
pub mod monitor;
pub mod net;
pub mod pool;
pub mod protocol;
pub mod route;
pub mod sql;
pub mod state;
pub mod status;
pub mod topology;
