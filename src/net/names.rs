//! The addresses that a server's name stands for, as they are now: a failover may be a change of a name.
//!
//! A dial asks the resolver each time. Between dials the name is asked for every now and then (see [`Names::refresh`]);
//! once it has not stood for an address for a while, connections to that are to be replaced. The system's resolver does
//! not tell for how long an answer holds, so the time to live counts only as far as the resolver's own cache obeys it. A
//! resolver that fails, or says nothing in time, changes nothing: the last known addresses stay.

use super::simulated::Simulated;
use super::socket::{Address, tune};
use super::stream::Socket;
use socket2::SockRef;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// How long the resolver may take where an older answer would do.
const PATIENCE: Duration = Duration::from_secs(2);
/// An answer this young is not asked for again by the next dial.
const FRESH: Duration = Duration::from_millis(500);
/// The next address of a name is tried when the one before has not answered for so long.
const HEAD_START: Duration = Duration::from_millis(300);
/// A name has changed when it has stood for the same other addresses so many times in a row.
const STEADY: usize = 3;

/// Addresses by name.
pub type Table = Arc<Mutex<HashMap<String, Vec<IpAddr>>>>;

/// Who turns names into addresses.
#[derive(Debug, Clone, Default)]
pub enum Resolver {
    /// The system, as `/etc/nsswitch.conf` says.
    #[default]
    System,
    /// A table that may change; what is not in it cannot be resolved. For tests.
    Table(Table),
}

impl Resolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found: Vec<IpAddr> = match self {
            Self::System => tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect(),
            Self::Table(table) => {
                table.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned().unwrap_or_default()
            }
        };
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("no address is known for {host}")));
        }
        Ok(found)
    }
}

/// Where a server is.
#[derive(Debug)]
pub struct Names {
    place: Place,
    resolver: Resolver,
    known: Mutex<Known>,
    hurry: Notify,
}

#[derive(Debug)]
enum Place {
    Unix(std::path::PathBuf),
    Simulated(Simulated),
    Fixed(SocketAddr),
    Named { host: String, port: u16 },
}

#[derive(Debug, Default)]
struct Known {
    /// The newest answer, in the resolver's order, and when it came.
    newest: Option<(Vec<IpAddr>, Instant)>,
    /// The newest answers to [`Names::refresh`], each in order of the addresses; the newest last.
    history: VecDeque<Vec<IpAddr>>,
}

impl Names {
    /// Nothing is known yet of this address.
    pub fn new(address: &Address, resolver: Resolver) -> Self {
        let place = match address {
            Address::Unix(path) => Place::Unix(path.clone()),
            Address::Simulated(peer) => Place::Simulated(peer.clone()),
            Address::Tcp { host, port } => match host.parse() {
                Ok(ip) => Place::Fixed(SocketAddr::new(ip, *port)),
                Err(_) => Place::Named { host: host.clone(), port: *port },
            },
        };
        Self { place, resolver, known: Mutex::default(), hurry: Notify::new() }
    }

    /// Whether there is a name that may change.
    pub fn is_name(&self) -> bool {
        matches!(self.place, Place::Named { .. })
    }

    /// Opens a connection to one of its addresses; the caller sets the deadline. Returns the address, if it has one.
    ///
    /// # Errors
    /// What the system says; for a name with several addresses, what it said of the last.
    pub async fn connect(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        let stream = match &self.place {
            Place::Unix(path) => return Ok((Socket::Unix(UnixStream::connect(path).await?), None)),
            Place::Simulated(peer) => return Ok((Socket::Simulated(peer.0.dial().await?), None)),
            Place::Fixed(address) => TcpStream::connect(address).await?,
            Place::Named { host, port } => {
                let addresses = self.addresses(host).await?;
                let addresses: Vec<_> = addresses.into_iter().map(|ip| SocketAddr::new(ip, *port)).collect();
                connect_any(&addresses).await?
            }
        };
        tune(&SockRef::from(&stream))?;
        let peer = stream.peer_addr().ok();
        Ok((Socket::Tcp(stream), peer))
    }

    /// The addresses to dial now.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let known = self.lock().newest.clone();
        let resolving = self.resolver.resolve(host);
        let resolved = match known {
            Some((addresses, at)) if at.elapsed() < FRESH => return Ok(addresses),
            Some((addresses, _)) => match timeout(PATIENCE, resolving).await {
                Ok(Ok(resolved)) => resolved,
                Ok(Err(_)) | Err(_) => return Ok(addresses),
            },
            None => resolving.await?,
        };
        self.lock().newest = Some((resolved.clone(), Instant::now()));
        Ok(resolved)
    }

    /// Asks what the name stands for now; a resolver that fails is not believed.
    pub async fn refresh(&self) {
        let Place::Named { host, .. } = &self.place else { return };
        let Ok(Ok(mut resolved)) = timeout(PATIENCE, self.resolver.resolve(host)).await else { return };
        let mut known = self.lock();
        known.newest = Some((resolved.clone(), Instant::now()));
        resolved.sort_unstable();
        resolved.dedup();
        known.history.push_back(resolved);
        if known.history.len() > STEADY {
            known.history.pop_front();
        }
    }

    /// Refreshes every now and then, and sooner when told to hurry, for as long as it is polled.
    pub async fn keep_fresh(&self, interval: Duration) {
        while self.is_name() {
            self.refresh().await;
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = self.hurry.notified() => {}
            }
        }
    }

    /// The server is not what it should be: perhaps the name stands for another one by now.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Whether the name has stood for other addresses than this for a while, always the same ones.
    pub fn has_left(&self, peer: Option<SocketAddr>) -> bool {
        let Some(peer) = peer.filter(|_| self.is_name()) else { return false };
        let known = self.lock();
        let steady = known.history.len() == STEADY && known.history.iter().all(|set| *set == known.history[0]);
        steady && !known.history[0].contains(&peer.ip())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Whole between any two statements; a panic elsewhere does not change that.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to the first of these that answers, each with a little head start before the next.
async fn connect_any(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    let mut rest = addresses.iter();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = rest.next() {
            attempts.spawn(TcpStream::connect(*address));
        }
        tokio::select! {
            attempt = attempts.join_next() => match attempt {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => failure = error,
                Some(Err(error)) => failure = error.into(),
                None => return Err(failure),
            },
            () = tokio::time::sleep(HEAD_START), if rest.len() > 0 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;

    const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

    fn names(port: u16) -> (Names, Table) {
        let table = Table::default();
        let address = Address::Tcp { host: "db.test".into(), port };
        (Names::new(&address, Resolver::Table(table.clone())), table)
    }

    fn becomes(table: &Table, addresses: &[Ipv4Addr]) {
        let addresses = addresses.iter().copied().map(IpAddr::V4).collect();
        table.lock().expect("whole").insert("db.test".into(), addresses);
    }

    #[tokio::test]
    async fn all_addresses_are_tried() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("port");
        let (names, table) = names(listener.local_addr().expect("bound").port());
        let unknown = names.connect().await.expect_err("not in the table");
        assert!(unknown.to_string().contains("db.test"), "{unknown}");
        // Nobody listens at the first one.
        becomes(&table, &[OTHER, Ipv4Addr::LOCALHOST]);
        let (_, peer) = names.connect().await.expect("the second one");
        assert_eq!(peer.map(|peer| peer.ip()), Some(Ipv4Addr::LOCALHOST.into()));
        // A resolver that fails does no harm.
        table.lock().expect("whole").clear();
        names.known.lock().expect("whole").newest.as_mut().expect("known").1 -= FRESH;
        names.connect().await.expect("as it was known");
    }

    #[tokio::test]
    async fn a_name_has_changed_when_it_stays_so() {
        let (names, table) = names(3306);
        let peer = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 3306)));
        let has_left = async |addresses: &[Ipv4Addr]| {
            becomes(&table, addresses);
            names.refresh().await;
            names.has_left(peer)
        };
        for (addresses, left) in [
            (&[Ipv4Addr::LOCALHOST][..], false),
            (&[OTHER], false),
            (&[OTHER], false),
            (&[OTHER], true),
            (&[OTHER, Ipv4Addr::LOCALHOST], false),
            // One that stands for others all the time has not changed.
            (&[OTHER], false),
            (&[Ipv4Addr::new(127, 0, 0, 3)], false),
            (&[OTHER], false),
            (&[OTHER], false),
            (&[], false),
            (&[OTHER], true),
        ] {
            assert_eq!(has_left(addresses).await, left, "{addresses:?}");
        }
        let fixed = Names::new(&Address::Tcp { host: "127.0.0.9".into(), port: 1 }, Resolver::System);
        assert!(!fixed.is_name() && !fixed.has_left(peer));
    }
}
