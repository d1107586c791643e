//! A shutter before sockets: while it is closed nobody accepts, and clients wait in the queues of the sockets.

use std::future::Future;
use std::sync::Arc;
use tokio::sync::{RwLock, watch};

/// A shutter. Clones are the same shutter.
#[derive(Debug, Clone)]
pub struct Shutter {
    /// How often it was opened or closed: it is open while the number is odd.
    turns: watch::Sender<u64>,
    /// Held by whoever is passing.
    passing: Arc<RwLock<()>>,
}

impl Shutter {
    /// A shutter.
    pub fn new(open: bool) -> Self {
        Self { turns: watch::Sender::new(open.into()), passing: Arc::default() }
    }

    /// Opens it.
    pub fn open(&self) {
        self.turn(true);
    }

    /// Closes it; when this returns, nobody is passing any more.
    pub async fn close(&self) {
        self.turn(false);
        drop(self.passing.write().await);
    }

    fn turn(&self, open: bool) {
        self.turns.send_if_modified(|turns| {
            let is_other = is_open(*turns) != open;
            *turns += u64::from(is_other);
            is_other
        });
    }

    /// Does something while the shutter is open: whatever it has not finished when the shutter closes is dropped, and begun
    /// again when it opens. It is told a number, another one each time the shutter opens.
    ///
    /// # Cancel safety
    /// As safe as what is done.
    pub async fn pass<F: Future>(&self, act: impl Fn(u64) -> F) -> F::Output {
        let mut turns = self.turns.subscribe();
        loop {
            // The sender is in `self`.
            let opening = turns.wait_for(|turns| is_open(*turns)).await.map_or(0, |turns| *turns);
            let _passing = self.passing.read().await;
            tokio::select! {
                biased;
                _ = turns.wait_for(|turns| !is_open(*turns)) => {}
                output = act(opening) => return output,
            }
        }
    }
}

fn is_open(turns: u64) -> bool {
    turns % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn who_comes_while_it_is_closed_waits() {
        let shutter = Shutter::new(true);
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.expect("bound"));
        let address = listener.local_addr().expect("an address");
        let (theirs, behind) = (shutter.clone(), listener.clone());
        let accepting = tokio::spawn(async move { theirs.pass(|_| behind.accept()).await.expect("accepted") });
        tokio::task::yield_now().await;
        shutter.close().await;
        let client = TcpStream::connect(address).await.expect("the queue takes it");
        assert!(tokio::time::timeout(Duration::from_millis(50), listener.accept()).await.is_ok(), "nobody took it");
        drop(client);
        let client = TcpStream::connect(address).await.expect("the queue takes it");
        shutter.open();
        let (_, peer) = accepting.await.expect("no panic");
        assert_eq!(peer, client.local_addr().expect("an address"));
    }
}
