//! Addresses: where Landbridge listens, and where servers are.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::fault::Problem;

/// The port of a server address that names none.
const MYSQL_PORT: u16 = 3306;
/// Longest path of a unix socket in bytes: `sun_path` of 104 bytes on macOS and the BSDs (108 on
/// Linux), less the closing zero.
const LONGEST_SOCKET_PATH: usize = 103;

const LISTEN_EXAMPLE: &str = "write an IP address and a port, such as \"127.0.0.1:3306\" or \"[::1]:3306\"";
const SERVER_EXAMPLE: &str = "write host:port, such as \"db.example.com:3306\"";

/// Where Landbridge listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// An IP address and port; port 0 lets the system choose one.
    Tcp(SocketAddr),
    /// A unix socket at this absolute path.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Parses `ip:port`, `localhost:port` (127.0.0.1) or `unix:/path`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket_path(path).map(Self::Unix);
        }
        parse_tcp_listen(text).map(Self::Tcp)
    }

    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Whether both cannot be listened on at the same time.
    pub(super) fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(two)) => {
                let wildcard =
                    one.is_ipv4() == two.is_ipv4() && (one.ip().is_unspecified() || two.ip().is_unspecified());
                one.port() != 0 && one.port() == two.port() && (one.ip() == two.ip() || wildcard)
            }
            (Self::Unix(one), Self::Unix(two)) => one == two,
            _ => false,
        }
    }

    /// Whether a connection to `server` from this machine would arrive here.
    pub(super) fn is_reached_by(&self, server: &ServerAddress) -> bool {
        match (self, server) {
            (Self::Tcp(here), ServerAddress::Tcp { port, .. }) if here.port() == *port => {
                let ip = server.ip();
                ip == Some(here.ip()) || (server.is_local() && here.ip().is_unspecified())
            }
            (Self::Unix(here), ServerAddress::Unix(there)) => here == there,
            _ => false,
        }
    }
}

impl Display for ListenAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Parses `ip:port` or `localhost:port`.
pub(super) fn parse_tcp_listen(text: &str) -> Result<SocketAddr, Problem> {
    if text.starts_with("unix:") {
        return Err(Problem::new("a unix socket is not possible here", LISTEN_EXAMPLE));
    }
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    match text.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
        Some(("localhost", Ok(port))) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        Some(("" | "*", Ok(port))) => Err(Problem::new(
            "the IP address is missing",
            format!("write \"127.0.0.1:{port}\", or \"0.0.0.0:{port}\" for every interface"),
        )),
        _ => Err(Problem::new("not an address to listen on", LISTEN_EXAMPLE)),
    }
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    /// A host and port, resolved anew at each dial.
    Tcp {
        /// A name in lower case or an IP address, without brackets.
        host: String,
        /// The port, never 0.
        port: u16,
    },
    /// A unix socket at this absolute path.
    Unix(PathBuf),
}

impl ServerAddress {
    /// Parses `host`, `host:port`, `[ipv6]:port` or `unix:/path`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket_path(path).map(Self::Unix);
        }
        if text.contains("://") || text.contains('@') {
            return Err(Problem::new("a URL is not an address", SERVER_EXAMPLE));
        }
        let (host, port) = split_host(text)?;
        let port = match port {
            None => MYSQL_PORT,
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| Problem::new("the port is not a number from 1 to 65535", SERVER_EXAMPLE))?,
        };
        if host.parse::<IpAddr>().is_err() && !is_host_name(host) {
            return Err(Problem::new("not the name or IP address of a host", SERVER_EXAMPLE));
        }
        Ok(Self::Tcp { host: host.to_ascii_lowercase(), port })
    }

    /// The IP address, if no name has to be looked up.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp { host, .. } if host == "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            Self::Tcp { host, .. } => host.parse().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Whether the way to it never leaves this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp { .. } => self.ip().is_some_and(|ip| ip.to_canonical().is_loopback()),
            Self::Unix(_) => true,
        }
    }
}

impl Display for ServerAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Host and port as text; the port is `None` when there is none.
fn split_host(text: &str) -> Result<(&str, Option<&str>), Problem> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    if let Some((host, after)) = bracketed {
        let port = after.strip_prefix(':');
        if host.parse::<Ipv6Addr>().is_err() || (port.is_none() && !after.is_empty()) {
            return Err(Problem::new("not an IPv6 address in brackets", "write it like \"[2001:db8::7]:3306\""));
        }
        return Ok((host, port));
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err(Problem::new("an IPv6 address needs brackets", "write it like \"[2001:db8::7]:3306\""))
        }
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

/// Whether `name` may be looked up: dot-separated labels of letters, digits, `-` and `_`.
pub(super) fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(label)
}

/// The path of a unix socket: absolute, and short enough for every system.
fn socket_path(path: &str) -> Result<PathBuf, Problem> {
    if !Path::new(path).is_absolute() || path.contains('\0') {
        return Err(Problem::new(
            "the path of a unix socket must be absolute",
            "write it like \"unix:/run/landbridge/mysql.sock\"",
        ));
    }
    if path.len() > LONGEST_SOCKET_PATH {
        return Err(Problem::new(
            format!("the path of a unix socket is at most {LONGEST_SOCKET_PATH} bytes long"),
            "choose a shorter path",
        ));
    }
    Ok(PathBuf::from(path))
}
