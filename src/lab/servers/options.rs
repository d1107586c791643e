//! How a server is to be, and the arguments that follow from it.

use std::ffi::OsString;

use crate::lab::certs::CertFiles;
use crate::lab::servers::dialect::option;

/// How a server is to be.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Its number in a replication topology.
    pub server_id: u32,
    /// Whether it refuses writes (on MySQL also those of privileged users).
    pub read_only: bool,
    /// Its certificates. Without them MySQL makes its own and MariaDB has no TLS.
    pub tls: Option<CertFiles>,
    /// The size of the disk that its data are on, in MiB, if that is one of its own, which
    /// [`Server::fill_disk`](super::Server::fill_disk) fills. It is in memory, and gone when the server ends.
    pub disk_mib: Option<u32>,
    /// More arguments, after those of the laboratory, so that they win.
    pub extra_args: Vec<String>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { server_id: 1, read_only: false, tls: None, disk_mib: None, extra_args: Vec::new() }
    }
}

impl ServerOptions {
    /// The arguments both flavors understand, without `extra_args`.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = SMALL_AND_FAST.map(OsString::from).into();
        arguments.push(format!("--server-id={}", self.server_id).into());
        if let Some(certs) = &self.tls {
            arguments.extend([
                option("--ssl-ca", &certs.ca),
                option("--ssl-cert", &certs.server.cert),
                option("--ssl-key", &certs.server.key),
            ]);
        }
        arguments
    }
}

/// What both flavors understand: little memory, nothing flushed that only a power failure would miss.
const SMALL_AND_FAST: [&str; 13] = [
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--log-bin=binlog",
    "--relay-log=relay",
    "--sync-binlog=0",
    "--sync-relay-log=0",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-buffer-size=2M",
    "--key-buffer-size=1M",
    "--max-connections=1000",
    "--local-infile=ON",
    // INTO OUTFILE and LOAD DATA, wherever the test likes.
    "--secure-file-priv=",
];
