//! Ports that stay ours while a server is down, so that it can come back to the same one.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::process;

use crate::lab::error::{Error, Result};
use crate::lab::servers::cache;

/// Below the ephemeral range: no outgoing connection of another test can take it meanwhile.
const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;

/// A loopback port nobody else in the laboratory uses.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    /// Locked; other processes look here first.
    _lock: File,
}

impl ReservedPort {
    /// Finds one that nobody listens on, and keeps others from it until this is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::NoFreePort`] if all are taken; or the cache directory cannot be used.
    pub fn reserve() -> Result<Self> {
        let directory = cache::subdirectory("ports")?;
        let count = LAST - FIRST + 1;
        // Processes begin at different places, so that they seldom try the same ones.
        let offset = u16::try_from(process::id().wrapping_mul(61) % u32::from(count)).unwrap_or(0);
        for step in 0..count {
            let number = FIRST + (offset + step) % count;
            if let Some(lock) = cache::try_lock(&directory.join(number.to_string()))?
                && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
            {
                return Ok(Self { number, _lock: lock });
            }
        }
        Err(Error::NoFreePort { first: FIRST, last: LAST })
    }

    /// The port.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}
