//! A laboratory: real database servers on this machine, with a simulated ocean in front of them.
//!
//! Used by the integration tests, the benchmarks and `landbridge demo`; nothing on the path of a
//! client's command may import it. It has three parts that do not know each other:
//!
//! * [`servers`] starts MySQL and MariaDB, alone or as a replicating [`Pair`];
//! * [`relay`] delays, counts and cuts TCP connections like a long way between two regions;
//! * [`certs`] makes certificates, good ones and deliberately bad ones.
//!
//! [`proxy_toml`] is the configuration that a Landbridge between them needs.
//!
//! What runs here is real on purpose: the claims made about round trips and read-your-writes are only
//! worth something against the servers people use.

mod admin;
pub mod certs;
mod error;
mod proxy;
pub mod relay;
pub mod servers;

pub use admin::Rows;
pub use certs::{Authority, CertFiles, Identity, IdentityFiles};
pub use error::{Error, Result};
pub use proxy::proxy_toml;
pub use relay::{ConnectionStats, Relay, RoundTrips, Stats};
pub use servers::{Flavor, Pair, PairOptions, ReservedPort, Server, ServerOptions, accounts};
