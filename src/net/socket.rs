//! Addresses, and the options of sockets.

use super::simulated::Simulated;
use socket2::{SockRef, TcpKeepalive};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpStream;

/// Where a peer is, or where to listen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// Host (name or address) and port.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Path of a unix socket.
    Unix(PathBuf),
    /// A peer inside the process.
    Simulated(Simulated),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Simulated(peer) => write!(f, "simulated:{:?}", peer.0),
        }
    }
}

/// Options every TCP connection gets: no delay for small packets, and probes that find dead peers.
pub fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10)).with_retries(3);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
