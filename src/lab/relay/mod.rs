//! The ocean: a TCP relay that delivers every byte one way-time later, counts round trips, and can vanish.
//!
//! A [`Relay`] listens on loopback and dials its target for each connection it accepts. Bytes keep
//! their order and are stamped when they arrive, so throughput does not suffer from the delay; a full
//! path pushes back on its sender. The TCP handshake is modelled although `connect()` to loopback
//! returns at once: the client's first byte reaches the server one and a half round trips after the
//! accept, and a greeting reaches the client after two, as on a real path.
//!
//! The runtime's timer works in milliseconds, so a delivery may be up to a millisecond late, never early.
//! A relay lives in the runtime it was started in, and stops when dropped.

mod connection;
mod ledger;
mod round_trips;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

pub use ledger::{ConnectionStats, Stats};
pub use round_trips::RoundTrips;

use connection::Link;
use ledger::{Direction, Ledger};

/// How long to leave the listener alone after it failed, which means: no file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(10);

/// A long way between two regions.
#[derive(Debug)]
pub struct Relay {
    addr: SocketAddr,
    shared: Arc<Shared>,
    /// Holds the listener and, through it, every connection; dropping it ends them all.
    _accepting: JoinSet<()>,
}

impl Relay {
    /// Listens on a free loopback port and relays each connection to `target`, every byte delayed by
    /// `one_way` (half a round trip) in both directions.
    ///
    /// # Errors
    ///
    /// When no port can be listened on.
    pub async fn start(target: SocketAddr, one_way: Duration) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), target, one_way).await
    }

    /// Like [`Relay::start`], listening on `listen`.
    ///
    /// # Errors
    ///
    /// When it cannot be listened on.
    pub async fn start_at(listen: SocketAddr, target: SocketAddr, one_way: Duration) -> io::Result<Self> {
        let port = Port::reserve(listen)?;
        let listener = port.listen().await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            control: watch::Sender::new(Control { target, one_way, weather: Weather::Clear, cuts: 0 }),
            ledger: watch::Sender::new(Ledger::default()),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(port, listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, _accepting: accepting })
    }

    /// Where to connect to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What is on the other side.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        self.shared.control.borrow().target
    }

    /// Dials this from now on; the connections that exist stay where they are.
    pub fn set_target(&self, target: SocketAddr) {
        self.shared.control.send_modify(|control| control.target = target);
    }

    /// What went through so far, over all connections.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.ledger.borrow().total()
    }

    /// What went through each connection, in the order they were opened. The open ones are all there,
    /// of the closed ones the latest few thousand.
    #[must_use]
    pub fn per_connection(&self) -> Vec<ConnectionStats> {
        self.shared.ledger.borrow().per_connection()
    }

    /// Waits until the counters satisfy `predicate` and returns them.
    ///
    /// # Cancel safety
    ///
    /// Cancel-safe; wrap it in a timeout.
    pub async fn wait_until(&self, predicate: impl Fn(Stats) -> bool) -> Stats {
        let mut ledger = self.shared.ledger.subscribe();
        match ledger.wait_for(|ledger| predicate(ledger.total())).await {
            Ok(ledger) => ledger.total(),
            // `self` owns the sender, so it cannot have gone.
            Err(_) => self.stats(),
        }
    }

    /// Changes the delay. What is already under way arrives as planned, and nothing overtakes it.
    pub fn set_one_way(&self, one_way: Duration) {
        self.shared.control.send_modify(|control| control.one_way = one_way);
    }

    /// Resets all connections, and each new one at once, until [`Relay::resume`].
    pub fn cut(&self) {
        self.shared.control.send_modify(|control| control.weather = Weather::Cut);
    }

    /// Resets all connections, and has nobody listen, so that dials are refused, until [`Relay::resume`].
    pub fn refuse(&self) {
        self.shared.control.send_modify(|control| control.weather = Weather::Refusing);
    }

    /// Resets the connections that exist now; new ones are welcome.
    pub fn cut_existing(&self) {
        self.shared.control.send_modify(|control| control.cuts += 1);
    }

    /// As [`Relay::cut_existing`], and waits until they are gone.
    ///
    /// # Cancel safety
    ///
    /// Cancel-safe; wrap it in a timeout.
    pub async fn cut_existing_and_wait(&self) {
        self.cut_existing();
        let cuts = self.shared.control.borrow().cuts;
        // `self` owns the sender, so it cannot have gone.
        let _gone = self.shared.ledger.subscribe().wait_for(|ledger| !ledger.is_open_before(cuts)).await.is_err();
    }

    /// Delivers nothing any more in either direction, without closing anything, until
    /// [`Relay::resume`]: then what was held back arrives, as retransmission would have it.
    pub fn black_hole(&self) {
        self.shared.control.send_modify(|control| control.weather = Weather::BlackHole);
    }

    /// Delivers what clients send, and nothing that servers answer, until [`Relay::resume`].
    pub fn hold_answers(&self) {
        self.shared.control.send_modify(|control| control.weather = Weather::AnswersHeld);
    }

    /// Ends all of these, and takes back a cut that is still waiting for its bytes.
    pub fn resume(&self) {
        self.shared.ledger.send_modify(Ledger::disarm);
        self.shared.control.send_modify(|control| control.weather = Weather::Clear);
    }

    /// Resets, once, the first connection that is sent more than `bytes` by its server from now on;
    /// the client gets at most these `bytes`. Connections count separately, so probes with short
    /// answers do not spring it.
    pub fn cut_after_bytes_to_client(&self, bytes: u64) {
        self.shared.ledger.send_modify(|ledger| ledger.arm(Direction::ToClient, bytes));
    }

    /// As [`Relay::cut_after_bytes_to_client`], in the other direction.
    pub fn cut_after_bytes_to_server(&self, bytes: u64) {
        self.shared.ledger.send_modify(|ledger| ledger.arm(Direction::ToServer, bytes));
    }

    /// Waits until the cut that waited for its bytes has happened, or was taken back.
    ///
    /// # Cancel safety
    ///
    /// Cancel-safe; wrap it in a timeout.
    pub async fn wait_until_sprung(&self) {
        // `self` owns the sender, so it cannot have gone.
        let _gone = self.shared.ledger.subscribe().wait_for(|ledger| !ledger.is_armed()).await.is_err();
    }

    /// Resets, once, the connection whose server answers next, in place of its answer: the statement
    /// was executed, and the client cannot know.
    pub fn cut_on_next_server_bytes(&self) {
        self.cut_after_bytes_to_client(0);
    }
}

/// What the handle and the connections know of each other.
#[derive(Debug)]
struct Shared {
    control: watch::Sender<Control>,
    ledger: watch::Sender<Ledger>,
}

/// What the handle wants of the connections.
#[derive(Clone, Copy, Debug)]
struct Control {
    target: SocketAddr,
    one_way: Duration,
    weather: Weather,
    /// Counts the calls of `cut_existing`; a connection older than the latest ends.
    cuts: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Clear,
    Cut,
    Refusing,
    AnswersHeld,
    BlackHole,
}

/// A port that stays ours while nobody listens on it.
#[derive(Debug)]
struct Port {
    addr: SocketAddr,
    /// Bound, and never listening: so others may listen on the same port, and no dial reaches it.
    _bound: Socket,
}

impl Port {
    fn reserve(listen: SocketAddr) -> io::Result<Self> {
        let bound = Socket::new(Domain::for_address(listen), Type::STREAM, None)?;
        bound.set_reuse_address(true)?;
        bound.bind(&listen.into())?;
        let addr = bound.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { addr, _bound: bound })
    }

    async fn listen(&self) -> io::Result<TcpListener> {
        TcpListener::bind(self.addr).await
    }
}

async fn accept(port: Port, listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut listener = Some(listener);
    let mut control = shared.control.subscribe();
    loop {
        let refusing = control.borrow_and_update().weather == Weather::Refusing;
        if refusing {
            listener = None;
        } else if listener.is_none() {
            listener = port.listen().await.ok();
        }
        let accepted = tokio::select! {
            accepted = next(listener.as_ref()) => accepted,
            // Takes finished tasks out of the set.
            Some(_) = connections.join_next() => continue,
            Ok(()) = control.changed() => continue,
        };
        match accepted {
            Ok((client, _)) => open(client, &shared, &mut connections),
            Err(_) => sleep(ACCEPT_BACKOFF).await,
        }
    }
}

async fn next(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

fn open(client: TcpStream, shared: &Arc<Shared>, connections: &mut JoinSet<()>) {
    let control = *shared.control.borrow();
    if connection::reset_on_drop(&client).is_err() || matches!(control.weather, Weather::Cut | Weather::Refusing) {
        return; // dropping it resets it
    }
    let link = Link::open(Arc::clone(shared));
    connections.spawn(link.run(client, control.target));
}
