//! The sockets that clients connect to, and whether anybody accepts there.

use crate::config::{Listen, ListenAddress};
use crate::net::listening::{Listening, Passed, Place};
use crate::net::shutter::Shutter;
use anyhow::{Context, Result};
use std::fmt::Display;

/// Sockets of a running Landbridge. Clients that connect while nobody accepts wait in their queues.
#[derive(Debug)]
pub struct Doors {
    sockets: Vec<Listening>,
    shutter: Shutter,
}

impl Doors {
    /// None yet.
    pub fn new(open: bool) -> Self {
        Self { sockets: Vec::new(), shutter: Shutter::new(open) }
    }

    /// The socket of an address of `[listen] key`: one that was passed in, or a new one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn add(&mut self, place: &Place, key: &str, passed: &mut Passed) -> Result<&Listening> {
        let socket = passed.take_or_bind(place).with_context(|| advice(place, key))?;
        self.sockets.push(socket);
        self.sockets.last().context("just added")
    }

    /// What whoever accepts passes.
    pub fn shutter(&self) -> &Shutter {
        &self.shutter
    }

    /// The sockets, for whoever takes over.
    pub fn sockets(&self) -> &[Listening] {
        &self.sockets
    }

    /// Lets go of the sockets. Their files go as well, unless somebody else `lives on` with them.
    pub fn close(&mut self, lives_on: bool) {
        for socket in self.sockets.drain(..).filter(|_| !lives_on) {
            socket.remove_file();
        }
    }
}

/// Where clients are to connect.
pub fn places(listen: &Listen) -> Vec<Place> {
    let place = |address: &ListenAddress| match address {
        ListenAddress::Tcp(address) => Place::Tcp(*address),
        ListenAddress::Unix(path) => Place::Unix(path.clone(), listen.unix_mode),
    };
    listen.mysql.iter().map(place).collect()
}

fn advice(place: &Place, key: &str) -> String {
    let at: &dyn Display = match place {
        Place::Tcp(address) => address,
        Place::Unix(path, _) => &path.display(),
    };
    format!("cannot listen on {at}; is another server there? Change [listen] {key}, or stop it")
}
