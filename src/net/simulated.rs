//! A network inside the process: peers that are programs of ours, for simulations.
//!
//! With a paused clock a whole proxy between such peers runs without waiting for anything, and does
//! the same each time. It must know nothing of what is simulated.

use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// One end of a connection.
pub trait Duplex: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin> Duplex for T {}

/// A connection that is being opened.
pub type Dialling = Pin<Box<dyn Future<Output = io::Result<Box<dyn Duplex>>> + Send>>;

/// Somebody who can be connected to.
pub trait Peer: fmt::Debug + Send + Sync {
    /// Opens a connection.
    fn dial(&self) -> Dialling;
}

/// Where a simulated peer is. Two are equal if they lead to the same one.
#[derive(Debug, Clone)]
pub struct Simulated(pub Arc<dyn Peer>);

impl Simulated {
    fn place(&self) -> *const () {
        Arc::as_ptr(&self.0).cast()
    }
}

impl PartialEq for Simulated {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Simulated {}

impl Hash for Simulated {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
    }
}
