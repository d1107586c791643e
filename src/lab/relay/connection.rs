//! One relayed connection: two directions, each a reader that stamps and a writer that waits.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::lab::relay::ledger::Direction;
use crate::lab::relay::{Control, Shared, Weather};

/// What is read at once, at most.
const CHUNK: usize = 32 * 1024;
/// A buffer with less room than this left is replaced.
const SMALLEST_READ: usize = 4 * 1024;
/// Chunks under way in one direction: 16 MiB of them, more than most real paths hold.
const CHUNKS_UNDER_WAY: usize = 512;

/// Makes dropping the stream reset the connection. A clean end has to ask for something else.
pub(super) fn reset_on_drop(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

/// A connection's share in the relay.
pub(super) struct Link {
    id: u64,
    control: watch::Receiver<Control>,
    /// `Control::cuts` at the start; another value means that this connection was meant.
    cuts: u64,
    shared: Arc<Shared>,
}

/// Something under way, and when it arrives.
struct Parcel {
    due: Instant,
    freight: Freight,
}

enum Freight {
    Bytes(Bytes),
    Fin,
    Reset,
}

/// What one direction must know of the other, of the same peer.
#[derive(Default)]
struct End {
    /// It takes no more.
    hung_up: AtomicBool,
    /// It says no more.
    has_spoken: AtomicBool,
}

/// The connection ended, and not by both sides saying goodbye.
struct Reset;

impl Link {
    pub(super) fn open(shared: Arc<Shared>) -> Self {
        let control = shared.control.subscribe();
        let mut id = 0;
        let cuts = {
            // Held until the connection is in the books: a cut of what exists either finds it there or does not mean it.
            let now = control.borrow();
            shared.ledger.send_modify(|ledger| id = ledger.open(now.cuts));
            now.cuts
        };
        Self { id, control, cuts, shared }
    }

    /// Relays until both sides have ended, one failed, or the relay cuts it.
    pub(super) async fn run(self, mut client: TcpStream, target: SocketAddr) {
        tokio::select! {
            // Both streams are dropped here, and thereby reset, unless they said goodbye.
            _ = self.carry(&mut client, target) => {}
            () = self.is_cut() => {}
        }
        drop(client);
        self.shared.ledger.send_modify(|ledger| ledger.close(self.id));
    }

    async fn carry(&self, client: &mut TcpStream, target: SocketAddr) -> Result<(), Reset> {
        let (mut server, established) = self.shake_hands(target).await?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let (requests, requests_due) = mpsc::channel(CHUNKS_UNDER_WAY);
        let (responses, responses_due) = mpsc::channel(CHUNKS_UNDER_WAY);
        // The client may speak once it has the SYN-ACK, the server once it has the ACK of that.
        let (client_may_speak, server_may_speak) = established;
        let (at_client, at_server) = (End::default(), End::default());
        tokio::try_join!(
            self.send(Direction::ToServer, (from_client, &at_client), requests, client_may_speak),
            self.deliver(Direction::ToServer, requests_due, (to_server, &at_server)),
            self.send(Direction::ToClient, (from_server, &at_server), responses, server_may_speak),
            self.deliver(Direction::ToClient, responses_due, (to_client, &at_client)),
        )?;
        for stream in [&*client, &server] {
            SockRef::from(stream).set_linger(None).map_err(|_| Reset)?;
        }
        Ok(())
    }

    /// Dials the server when the SYN has arrived there. Returns also when the two sides may speak.
    async fn shake_hands(&self, target: SocketAddr) -> Result<(TcpStream, (Instant, Instant)), Reset> {
        // In a black hole the SYN is repeated until one gets through.
        self.is_passable(Direction::ToServer).await;
        let start = Instant::now();
        let one_way = self.one_way();
        wait_until(start + one_way).await;
        let dialled = TcpStream::connect(target).await;
        if let Ok(server) = dialled
            && reset_on_drop(&server).is_ok()
        {
            return Ok((server, (start + 2 * one_way, start + 3 * one_way)));
        }
        wait_until(start + 2 * one_way).await;
        Err(Reset)
    }

    /// Reads, stamps and queues. A full queue stops the reading, and so the sender.
    async fn send(
        &self,
        direction: Direction,
        (mut from, end): (ReadHalf<'_>, &End),
        queue: mpsc::Sender<Parcel>,
        not_before: Instant,
    ) -> Result<(), Reset> {
        let mut buffer = BytesMut::new();
        loop {
            if buffer.capacity() < SMALLEST_READ {
                buffer.reserve(CHUNK);
            }
            let read = from.read_buf(&mut buffer).await;
            let due = Instant::now().max(not_before) + self.one_way();
            let mut last = match read {
                Ok(0) if !end.hung_up.load(Ordering::Relaxed) => Some(Freight::Fin),
                Ok(1..) => None,
                Ok(0) | Err(_) => Some(Freight::Reset),
            };
            let mut bytes = buffer.split().freeze();
            if let Some(pass) = self.note_sent(direction, bytes.len()) {
                bytes.truncate(pass);
                last = Some(Freight::Reset);
            }
            if !bytes.is_empty() {
                let parcel = Parcel { due, freight: Freight::Bytes(bytes) };
                queue.send(parcel).await.map_err(|_| Reset)?;
            }
            if let Some(freight) = last {
                end.has_spoken.store(true, Ordering::Relaxed);
                return queue.send(Parcel { due, freight }).await.map_err(|_| Reset);
            }
        }
    }

    async fn deliver(
        &self,
        direction: Direction,
        mut queue: mpsc::Receiver<Parcel>,
        (mut to, end): (WriteHalf<'_>, &End),
    ) -> Result<(), Reset> {
        while let Some(Parcel { due, freight }) = queue.recv().await {
            wait_until(due).await;
            self.is_passable(direction).await;
            match freight {
                Freight::Bytes(bytes) => {
                    // Before the write: the peer may answer before this task runs again.
                    self.note_delivered(direction, bytes.len());
                    if to.write_all(&bytes).await.is_err() {
                        // It has reset the connection. What it said before comes first, as in any network.
                        end.hung_up.store(true, Ordering::Relaxed);
                        if end.has_spoken.load(Ordering::Relaxed) {
                            return Err(Reset);
                        }
                        while queue.recv().await.is_some() {}
                        return Ok(());
                    }
                }
                Freight::Fin => return to.shutdown().await.map_err(|_| Reset),
                Freight::Reset => return Err(Reset),
            }
        }
        Ok(())
    }

    /// `Some(n)`: only the first n bytes may pass, then the connection is to be reset.
    fn note_sent(&self, direction: Direction, bytes: usize) -> Option<usize> {
        let mut pass = None;
        if bytes > 0 {
            self.shared.ledger.send_modify(|ledger| pass = ledger.sent(self.id, direction, bytes as u64));
        }
        // Never more than `bytes`, which is a usize.
        pass.map(|pass| usize::try_from(pass).unwrap_or(bytes))
    }

    fn note_delivered(&self, direction: Direction, bytes: usize) {
        self.shared.ledger.send_modify(|ledger| match direction {
            Direction::ToServer => ledger.delivered_to_server(self.id, bytes as u64),
            Direction::ToClient => ledger.delivered_to_client(self.id, bytes as u64),
        });
    }

    fn one_way(&self) -> Duration {
        self.control.borrow().one_way
    }

    async fn is_passable(&self, direction: Direction) {
        self.until(|control| match control.weather {
            Weather::Clear | Weather::Cut | Weather::Refusing => true,
            Weather::AnswersHeld => direction == Direction::ToServer,
            Weather::BlackHole => false,
        })
        .await;
    }

    async fn is_cut(&self) {
        self.until(|control| matches!(control.weather, Weather::Cut | Weather::Refusing) || control.cuts != self.cuts)
            .await;
    }

    async fn until(&self, condition: impl Fn(&Control) -> bool) {
        // An error means that the relay is gone, and then this task is about to be.
        let _gone = self.control.clone().wait_for(|control| condition(control)).await.is_err();
    }
}

/// Returns at once for a moment that has passed, where the timer would round up to a millisecond.
async fn wait_until(moment: Instant) {
    if Instant::now() < moment {
        sleep_until(moment).await;
    }
}
