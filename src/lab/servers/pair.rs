//! A primary and a replica that follows it, as in two regions.

use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;

use crate::lab::certs::CertFiles;
use crate::lab::error::Result;
use crate::lab::servers::scratch;
use crate::lab::servers::{Flavor, Server, ServerOptions};

const PRIMARY_ID: u32 = 1;
const REPLICA_ID: u32 = 2;

/// How a pair is to be.
#[derive(Clone, Debug, Default)]
pub struct PairOptions {
    /// Names of the servers besides `localhost` and `127.0.0.1`, for their certificate.
    pub server_names: Vec<String>,
    /// More arguments for both servers.
    pub extra_args: Vec<String>,
    /// More arguments for the primary only.
    pub primary_args: Vec<String>,
    /// More arguments for the replica only.
    pub replica_args: Vec<String>,
    /// The size of the primary's own disk, in MiB, if it has one, as in [`ServerOptions`].
    pub primary_disk: Option<u32>,
    /// The same of the replica.
    pub replica_disk: Option<u32>,
}

/// A primary and a read-only replica that follows it by GTID over verified TLS.
#[derive(Debug)]
pub struct Pair {
    /// Where writes go.
    pub primary: Server,
    /// Where reads are local.
    pub replica: Server,
    /// The certificates of both.
    pub certs: CertFiles,
    _certs_directory: TempDir,
}

impl Pair {
    /// Starts both servers and waits until the schema `app` has reached the replica.
    ///
    /// # Errors
    ///
    /// As [`Server::start`] and [`Pair::wait_caught_up`].
    pub async fn start(flavor: Flavor) -> Result<Self> {
        Self::start_with(flavor, PairOptions::default()).await
    }

    /// As [`Pair::start`], with options.
    ///
    /// # Errors
    ///
    /// As [`Pair::start`], and [`Error::Certificate`](crate::lab::Error::Certificate) for a name that cannot
    /// stand in a certificate.
    pub async fn start_with(flavor: Flavor, options: PairOptions) -> Result<Self> {
        let directory = scratch::directory()?;
        let names: Vec<&str> = options.server_names.iter().map(String::as_str).collect();
        let certs = CertFiles::generate(directory.path(), &names)?;
        let server = |server_id, read_only, disk_mib, own_args: &[String]| ServerOptions {
            server_id,
            read_only,
            disk_mib,
            tls: Some(certs.clone()),
            extra_args: [&options.extra_args, own_args].concat(),
        };
        let (primary, replica) = tokio::try_join!(
            Server::start(flavor, server(PRIMARY_ID, false, options.primary_disk, &options.primary_args)),
            Server::start(flavor, server(REPLICA_ID, true, options.replica_disk, &options.replica_args)),
        )?;
        let pair = Self { primary, replica, certs, _certs_directory: directory };
        pair.replicate_through(pair.primary.addr()).await?;
        pair.wait_caught_up().await?;
        Ok(pair)
    }

    /// Lets the replica fetch from this address, such as that of a [`Relay`](crate::lab::Relay) in
    /// front of the primary.
    ///
    /// # Errors
    ///
    /// [`Error::Sql`](crate::lab::Error::Sql) with what the replica said.
    pub async fn replicate_through(&self, address: SocketAddr) -> Result<()> {
        self.replica.follow(address, &self.certs.ca).await
    }

    /// Stops applying: the replica goes on fetching, and its data stay as they are.
    ///
    /// # Errors
    ///
    /// [`Error::Sql`](crate::lab::Error::Sql) with what the replica said.
    pub async fn stop_applier(&self) -> Result<()> {
        self.replica.stop_applier().await
    }

    /// Ends [`Pair::stop_applier`].
    ///
    /// # Errors
    ///
    /// [`Error::Sql`](crate::lab::Error::Sql) with what the replica said.
    pub async fn start_applier(&self) -> Result<()> {
        self.replica.start_applier().await
    }

    /// Makes the replica apply each transaction so long after the primary did, in whole seconds.
    ///
    /// # Errors
    ///
    /// [`Error::Sql`](crate::lab::Error::Sql) with what the replica said.
    pub async fn set_replica_delay(&self, delay: Duration) -> Result<()> {
        self.replica.set_delay(delay).await
    }

    /// Waits until the replica has applied everything the primary has executed so far.
    ///
    /// # Errors
    ///
    /// [`Error::Replication`](crate::lab::Error::Replication) if it has stopped with an error or
    /// does not catch up in half a minute.
    pub async fn wait_caught_up(&self) -> Result<()> {
        self.replica.catch_up_with(&self.primary).await
    }

    /// Makes the replica a primary: it stops following and accepts writes. The old primary is left
    /// as it is; stop it or make it read-only first.
    ///
    /// # Errors
    ///
    /// [`Error::Sql`](crate::lab::Error::Sql) with what the replica said.
    pub async fn promote_replica(&self) -> Result<()> {
        self.replica.promote().await
    }
}
