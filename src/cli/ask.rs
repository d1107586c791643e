//! A question to the HTTP listener of a running Landbridge.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// An answer that takes longer is none.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A longer one is none of Landbridge's.
const LONGEST: u64 = 16 << 20;
/// Where HTTP is when nobody says.
const HTTP_PORT: u16 = 80;

/// Where to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Host and port.
    pub(super) host: String,
    /// What stands before the paths, behind a proxy for example; without a slash at the end.
    prefix: String,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// Its status.
    pub(super) status: u16,
    /// Its body.
    pub(super) body: Vec<u8>,
}

impl Place {
    /// Of an address that is listened on.
    pub(super) fn of(mut listens: SocketAddr) -> Self {
        if listens.ip().is_unspecified() {
            listens = SocketAddr::from((Ipv4Addr::LOCALHOST, listens.port()));
        }
        Self { host: listens.to_string(), prefix: String::new() }
    }

    /// As people write it: `http://host:port`.
    pub(super) fn parse(url: &str) -> std::result::Result<Self, String> {
        let rest = match url.split_once("://") {
            Some(("http", rest)) => rest,
            Some(_) => return Err("only http:// is spoken here; write http://host:port".into()),
            None => url,
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = if has_port { host.to_owned() } else { format!("{host}:{HTTP_PORT}") };
        let is_sound = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
        if host.starts_with(':') || !is_sound(&host) || !is_sound(path) {
            return Err("write http://host:port".into());
        }
        let path = path.trim_end_matches('/');
        Ok(Self { host, prefix: if path.is_empty() { String::new() } else { format!("/{path}") } })
    }

    /// Asks for a path.
    pub(super) fn get(&self, path: &str) -> Result<Answer> {
        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let Self { host, prefix } = self;
        // 1.0: nobody answers that in chunks.
        write!(stream, "GET {prefix}{path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut bytes = Vec::new();
        stream.take(LONGEST).read_to_end(&mut bytes)?;
        read(&bytes).ok_or_else(|| Error::new(ErrorKind::InvalidData, "what answers does not speak HTTP"))
    }

    fn connect(&self) -> Result<TcpStream> {
        let mut last = Error::new(ErrorKind::NotFound, "the name has no address");
        for address in self.host.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, TIMEOUT) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn read(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: bytes.get(end + 4..)?.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_as_people_write_them() {
        for (url, host, prefix) in [
            ("http://127.0.0.1:9306", "127.0.0.1:9306", ""),
            ("localhost:9306/", "localhost:9306", ""),
            ("http://db.example.com", "db.example.com:80", ""),
            ("http://[::1]:9306/", "[::1]:9306", ""),
            ("http://gate/landbridge/eu/", "gate:80", "/landbridge/eu"),
        ] {
            assert_eq!(Place::parse(url), Ok(Place { host: host.into(), prefix: prefix.into() }), "{url}");
        }
        for wrong in ["https://a", "ftp://a", "http://a b", "http://:9306", "http://a/\r\nHost: b"] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Place::of(([0, 0, 0, 0], 9306).into()).host, "127.0.0.1:9306");
    }

    #[test]
    fn answers() {
        let answer = read(b"HTTP/1.0 503 Service Unavailable\r\nA: b\r\n\r\nnot yet\n").expect("an answer");
        assert_eq!((answer.status, &*answer.body), (503, &b"not yet\n"[..]));
        for wrong in [&b""[..], b"HTTP/1.0 200 OK\r\n", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 many\r\n\r\n"] {
            assert!(read(wrong).is_none());
        }
    }
}
