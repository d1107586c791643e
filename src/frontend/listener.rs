//! Accepts clients and starts a task for each; nothing else.

use super::client::Client;
use super::handshake::{Rejected, handshake};
use super::session::{Gone, Session};
use super::shared::Shared;
use crate::net::listening::Listening;
use crate::net::packets::PacketStream;
use crate::net::shutter::Shutter;
use crate::net::socket::tune;
use crate::net::stream::Socket;
use crate::protocol::errno;
use socket2::SockRef;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pause after the system refused a connection, for example for want of file descriptors.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: Listening,
    /// For which opening of the shutter.
    queue: Mutex<(u64, Arc<Queue>)>,
}

/// Where clients wait to be accepted, as the runtime has it.
#[derive(Debug)]
enum Queue {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Accepts from a listening socket. Must be called within a runtime.
    ///
    /// # Errors
    /// No descriptor is left, or the system refuses an option.
    pub fn on(socket: &Listening) -> io::Result<Self> {
        let socket = Listening::new(socket.acceptor()?, socket.owner())?;
        let queue = Mutex::new((0, Arc::new(Queue::of(&socket)?)));
        Ok(Self { socket, queue })
    }

    /// The next client, and where it comes from. `opening`: which one of the [shutter](Shutter::pass) it is.
    ///
    /// # Errors
    /// What the system says.
    pub async fn accept(&self, opening: u64) -> io::Result<(Socket, String)> {
        match &*self.queue(opening)? {
            Queue::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Socket::Tcp(stream), peer.ip().to_string()))
            }
            Queue::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::Unix(stream), "localhost".into()))
            }
        }
    }

    /// While the shutter was closed another process may have ended the socket. It listens once more, but the runtime
    /// never forgets that it was at its end, and would try to accept again and again, without a pause.
    fn queue(&self, opening: u64) -> io::Result<Arc<Queue>> {
        // Both of the pair change at once.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.0 != opening {
            *queue = (opening, Arc::new(Queue::of(&self.socket)?));
        }
        Ok(queue.1.clone())
    }
}

impl Queue {
    fn of(socket: &Listening) -> io::Result<Self> {
        let fd = socket.acceptor()?;
        Ok(match socket.tcp() {
            Some(_) => {
                tune(&SockRef::from(&fd))?;
                Self::Tcp(TcpListener::from_std(fd.into())?)
            }
            None => Self::Unix(UnixListener::from_std(fd.into())?),
        })
    }
}

/// Accepts until `stop`, as long as the shutter is open. Whoever comes while it is closed waits in the socket's queue.
pub async fn listen(
    listener: Listener,
    shared: Arc<Shared>,
    sessions: TaskTracker,
    (shutter, stop): (Shutter, CancellationToken),
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // Who was accepted is counted before the shutter can be closed.
            accepted = shutter.pass(|opening| accept(listener.accept(opening), &shared, &sessions)) => accepted,
        };
        if let Err(error) = accepted {
            shared.metrics.accept_failures.inc();
            tracing::warn!(%error, "cannot accept a client");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

async fn accept(
    next: impl Future<Output = io::Result<(Socket, String)>>,
    shared: &Arc<Shared>,
    sessions: &TaskTracker,
) -> io::Result<()> {
    let (socket, host) = next.await?;
    sessions.spawn(serve(socket, host, shared.clone()));
    Ok(())
}

/// Serves one client until it has gone.
pub async fn serve(socket: Socket, host: String, shared: Arc<Shared>) {
    // In a box, so that the task of a client that has logged in does not keep the room for it.
    let Some((session, _connected)) = Box::pin(come_in(socket, host, shared)).await else { return };
    let id = session.id();
    if let Gone::Left(why) = session.run().await {
        tracing::debug!(client = id, why, "client left");
    }
}

/// The session of a client that may come in.
async fn come_in(socket: Socket, host: String, shared: Arc<Shared>) -> Option<(Box<Session>, Connected)> {
    shared.metrics.accepted.inc();
    let packets = PacketStream::plain(socket);
    let Some(entry) = shared.registry.enter(shared.settings().max_clients, &host) else {
        let error = errno::too_many_connections();
        shared.metrics.errors.own(error.code);
        let _gone = Client::new(packets).send_error(&error).await;
        return None;
    };
    shared.metrics.connected.inc();
    let connected = Connected(shared.metrics.connected.clone());
    let (welcome, door) = (shared.welcome(), shared.door.load_full());
    let login_timeout = shared.settings().login_timeout;
    let id = entry.id();
    let login = handshake(&door, &welcome, packets, id, &host);
    match tokio::time::timeout(login_timeout, login).await {
        Ok(Ok(client)) => return Some((Box::new(Session::new(client, shared, entry, host)), connected)),
        Ok(Err(rejected)) => {
            if let Rejected::Told(error) = &rejected {
                shared.metrics.login_failures.inc();
                shared.metrics.errors.own(error.code);
                // The text holds what the client calls itself: shown with its control characters escaped.
                tracing::info!(client = id, host, error = error.message.as_str(), "login refused");
            }
        }
        Err(_) => tracing::debug!(client = id, host, "login took too long"),
    }
    None
}

/// Counts a client for as long as it is connected.
struct Connected(prometheus::IntGauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}
