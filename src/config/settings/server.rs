//! The servers and how they are trusted.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::address::ServerAddress;
use crate::config::words::words;

/// A MySQL or MariaDB instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name in logs, metrics and the console; unique.
    pub name: String,
    /// Where it is; unique.
    pub address: ServerAddress,
    /// What it is, or that this is to be discovered.
    pub role: Role,
    /// The region it runs in.
    pub region: Option<String>,
    /// Its share of reads among equals; 0 = no reads.
    pub weight: u32,
    /// A replica further behind takes no reads.
    pub max_lag: Duration,
    /// TLS towards it.
    pub tls: ServerTls,
}

words! {
    /// What a server is said to be.
    pub enum Role {
        /// Takes writes; at most one server.
        Primary = "primary",
        /// Takes reads.
        Replica = "replica",
        /// Discovered from the server: whichever is writable is the primary.
        Auto = "auto",
    }
}

/// TLS towards a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerTls {
    /// Plaintext.
    Off,
    /// TLS, or no connection.
    On {
        /// What makes the server trusted.
        trust: Trust,
        /// The name to ask for and (with verify-full) to find in the certificate; `None` = the host.
        server_name: Option<String>,
        /// The certificate Landbridge shows.
        identity: Option<TlsIdentity>,
    },
}

/// What makes a server trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A certificate for its name from a known authority.
    VerifyFull {
        /// PEM file of the authorities; `None` = those of the system.
        ca: Option<PathBuf>,
    },
    /// A certificate from a known authority, for whatever name.
    VerifyCa {
        /// PEM file of the authorities; `None` = those of the system.
        ca: Option<PathBuf>,
    },
    /// The public key with this SHA-256 (of the `SubjectPublicKeyInfo` in DER), nothing else.
    Pin([u8; 32]),
}

/// A certificate with its key; the files are read by the TLS layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsIdentity {
    /// PEM file of the certificate chain, the leaf first.
    pub cert: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}
