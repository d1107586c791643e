//! The sockets that clients connect to, and whether anybody accepts there.

use crate::config::{Listen, ListenAddress};
use crate::net::listening::{Listening, Passed, Place};
use crate::net::occupant;
use crate::net::shutter::Shutter;
use anyhow::{Context, Result};
use std::fmt::Display;
use std::io;

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
        let socket = passed.take_or_bind(place).map_err(|error| refusal(place, key, &error))?;
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

/// Why an address cannot be listened on, and what to do.
fn refusal(place: &Place, key: &str, error: &io::Error) -> anyhow::Error {
    let at: &dyn Display = match place {
        Place::Tcp(address) => address,
        Place::Unix(path, _) => &path.display(),
    };
    let fix = match (error.kind(), place) {
        (io::ErrorKind::AddrInUse, Place::Tcp(address)) => match occupant::of(*address) {
            Some(who) => format!("{who} listens there. Stop it, or change [listen] {key}"),
            None => format!(
                "somebody listens there (`sudo ss -ltnp 'sport = :{}'` says who). Stop it, or change [listen] {key}",
                address.port()
            ),
        },
        (io::ErrorKind::AddrInUse, Place::Unix(path, _)) => format!(
            "somebody listens there (`sudo ss -lxp src {}` says who). Stop it, or change [listen] {key}",
            path.display()
        ),
        (io::ErrorKind::PermissionDenied, Place::Tcp(_)) => format!(
            "this user may not use that port. Choose one from 1024 on in [listen] {key}, or give the unit \
             AmbientCapabilities=CAP_NET_BIND_SERVICE"
        ),
        (io::ErrorKind::PermissionDenied, Place::Unix(..)) => {
            format!("this user may not write there. Change the owner of the directory, or [listen] {key}")
        }
        (io::ErrorKind::AddrNotAvailable, _) => {
            format!(
                "this machine has no such address. Write one of its own in [listen] {key} (`ip address` lists them)"
            )
        }
        (io::ErrorKind::NotFound, Place::Unix(..)) => format!("make the directory first, or change [listen] {key}"),
        _ => format!("change [listen] {key}"),
    };
    anyhow::anyhow!("cannot listen on {at}: {error}. {fix}")
}
