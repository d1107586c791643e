//! Socket activation: sockets that systemd listens on before Landbridge starts.

use crate::net::listening::{Listening, Owner, Passed};
use listenfd::ListenFd;
use std::io;

/// The sockets that were passed to this process, if any were.
///
/// # Errors
/// One of them is no stream socket.
pub(super) fn from_environment() -> io::Result<Passed> {
    let mut given = ListenFd::from_env();
    let mut passed = Passed::default();
    for at in 0..given.len() {
        // What is of another kind is left in its place.
        let fd = match given.take_unix_listener(at) {
            Ok(Some(unix)) => unix.into(),
            _ => match given.take_tcp_listener(at)? {
                Some(tcp) => tcp.into(),
                None => continue,
            },
        };
        passed.push(Listening::new(fd, Owner::Manager)?);
    }
    Ok(passed)
}
