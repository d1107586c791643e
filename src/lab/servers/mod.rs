//! Real database servers on this machine, each with a temporary data directory of its own.
//!
//! [`Server`] is one of them, [`Pair`] a primary with a replica that follows it by GTID over TLS. The two
//! flavors differ behind one trait, `dialect::Dialect`; nothing else asks which one it has.
//!
//! Starting takes seconds because an initialised data directory is kept per server version in the
//! cache directory and copied. No database client is needed: accounts come from an init file, and
//! the administrator talks to the unix socket.

pub mod accounts;
mod cache;
mod dialect;
mod disk;
mod flavor;
mod mariadb;
mod mysql;
mod options;
mod pair;
mod port;
mod process;
mod replication;
mod scratch;
mod server;
mod template;

pub use disk::may_have_disks;
pub use flavor::Flavor;
pub use options::ServerOptions;
pub use pair::{Pair, PairOptions};
pub use port::ReservedPort;
pub use server::Server;
