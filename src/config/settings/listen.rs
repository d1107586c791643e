//! Where clients, the console and HTTP come in.

use std::net::SocketAddr;

use super::server::TlsIdentity;
use crate::config::address::ListenAddress;
use crate::config::words::words;

/// The listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// For clients; at least one.
    pub mysql: Vec<ListenAddress>,
    /// The console over the MySQL protocol, with the same TLS as clients; `None` = off.
    pub admin: Option<ListenAddress>,
    /// The status page, metrics and health, always plain HTTP; `None` = off.
    pub http: Option<SocketAddr>,
    /// Who is shown how much of the status page.
    pub status: StatusPage,
    /// TLS towards clients. `Required` holds for TCP only: a unix socket never leaves the machine.
    pub tls: ClientTls,
    /// The version told to clients; `None` = that of the primary.
    pub server_version: Option<String>,
    /// Permission bits of unix sockets.
    pub unix_mode: u32,
}

words! {
    /// Who is shown how much of the status page.
    pub enum StatusPage {
        /// Everything on this machine, numbers elsewhere.
        Auto = "auto",
        /// Everything to everybody.
        Full = "full",
        /// Numbers to everybody.
        Counts = "counts",
        /// Nothing to anybody.
        Off = "off",
    }
}

/// Whether clients may, must or cannot use TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientTls {
    /// Not offered.
    Off,
    /// Offered; the client decides.
    Optional(Certificate),
    /// A client without TLS is refused before it can send a password.
    Required(Certificate),
}

/// What Landbridge shows to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Made at the start and signed by itself.
    SelfSigned,
    /// Read from two PEM files.
    Files(TlsIdentity),
}
