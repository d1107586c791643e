//! What goes wrong, with which server, and how it is mended.

use crate::bed::{Bed, PATIENCE, administrator, within};
use landbridge::lab::{Relay, Server};
use landbridge::topology::Role;
use mysql_async::Conn;
use mysql_async::prelude::*;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a stalled server is silent: less than the default deadlines of the monitor.
const STALL: Duration = Duration::from_secs(5);
/// A link that flaps is cut and comes back so many times, each for so long.
const FLAPS: u32 = 8;
const FLAP: Duration = Duration::from_millis(100);
/// More than the least that `max_connections` can be set to.
const FILLERS: usize = 11;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Killed,
    Stopped,
    Reset,
    BlackHole,
    Stall,
    Refused,
    ReadOnly,
    Full,
    Flapping,
}

impl Fault {
    pub const ALL: [Self; 9] = [
        Self::Killed,
        Self::Stopped,
        Self::Reset,
        Self::BlackHole,
        Self::Stall,
        Self::Refused,
        Self::ReadOnly,
        Self::Full,
        Self::Flapping,
    ];

    /// In words, as the document has it.
    pub fn words(self, target: Role) -> &'static str {
        match (self, target) {
            (Self::Killed, _) => "killed (`kill -9`)",
            (Self::Stopped, _) => "stopped (`systemctl stop`)",
            (Self::Reset, _) => "connections reset",
            (Self::BlackHole, _) => "silent (black hole)",
            (Self::Stall, _) => "silent for 5 s",
            (Self::Refused, _) => "reset, and refuses connections",
            (Self::ReadOnly, Role::Primary) => "becomes read-only",
            (Self::ReadOnly, Role::Replica) => "becomes writable",
            (Self::Full, _) => "reset, and `max_connections` reached",
            (Self::Flapping, _) => "the link flaps",
        }
    }

    /// Whether the server is found to be down while the fault lasts.
    pub fn is_noticed(self) -> bool {
        matches!(self, Self::Killed | Self::Stopped | Self::BlackHole | Self::Refused)
    }
}

/// A fault of one server, and what is needed to make and to mend it.
pub struct Strike {
    pub fault: Fault,
    pub target: Role,
    /// Got in before the fault: later there may be no room.
    admin: Conn,
    fillers: Vec<Conn>,
}

impl Strike {
    pub async fn prepare(bed: &Bed, fault: Fault, target: Role) -> Self {
        let admin = administrator(server(bed, target)).await;
        let mut fillers = Vec::new();
        if fault == Fault::Full {
            for _ in 0..FILLERS {
                fillers.push(administrator(server(bed, target)).await);
            }
        }
        Self { fault, target, admin, fillers }
    }

    /// It happens. `blocker` holds the lock that a write at the primary waits for, and lets it go.
    pub async fn happen(&mut self, bed: &Bed, mut blocker: Conn) {
        let (link, server) = (link(bed, self.target), server(bed, self.target));
        if self.target == Role::Replica {
            // Nothing is wrong with the primary.
            bed.ocean.resume();
        }
        match self.fault {
            Fault::Killed => {
                server.kill9().expect("killed");
                link.cut_existing_and_wait().await;
                link.resume();
            }
            // That takes a while: see `pass`.
            Fault::Stopped => link.resume(),
            Fault::Reset => {
                link.cut_existing_and_wait().await;
                link.resume();
            }
            Fault::BlackHole | Fault::Stall => link.black_hole(),
            Fault::Refused => {
                link.cut_existing_and_wait().await;
                link.refuse();
            }
            Fault::ReadOnly => {
                self.set_read_only(self.target == Role::Primary, &mut blocker).await;
                link.resume();
            }
            Fault::Full => {
                self.admin.query_drop("SET GLOBAL max_connections = 10").await.expect("set");
                link.cut_existing_and_wait().await;
                link.resume();
            }
            Fault::Flapping => {
                link.cut_existing_and_wait().await;
                link.cut();
            }
        }
        // Where the primary has gone the lock has, too.
        drop(timeout(PATIENCE, blocker.query_drop("ROLLBACK")).await);
    }

    /// A server that is to become read-only waits for the write under way, and the write for the lock.
    async fn set_read_only(&mut self, on: bool, blocker: &mut Conn) {
        let word = if on { "ON" } else { "OFF" };
        let sql = format!("SET GLOBAL read_only = {word}");
        let (set, released) = tokio::join!(self.admin.query_drop(&sql), async {
            // In either order: what begins after the change is refused.
            blocker.query_drop("ROLLBACK").await
        });
        set.expect("set");
        released.expect("released");
    }

    /// Goes on until a server has stopped, or a fault that ends by itself is over.
    pub async fn pass(&self, bed: &Bed) {
        let link = link(bed, self.target);
        match self.fault {
            Fault::Stopped => server(bed, self.target).stop().await.expect("stopped"),
            Fault::Stall => {
                sleep(STALL).await;
                link.resume();
            }
            Fault::Flapping => {
                for _ in 0..FLAPS {
                    sleep(FLAP).await;
                    link.resume();
                    sleep(FLAP).await;
                    link.cut();
                }
                link.resume();
            }
            _ => {}
        }
    }

    /// The end of the fault.
    pub async fn mend(mut self, bed: &Bed) {
        let (link, server) = (link(bed, self.target), server(bed, self.target));
        match self.fault {
            Fault::Killed | Fault::Stopped => server.restart().await.expect("back"),
            Fault::ReadOnly => {
                let word = if self.target == Role::Primary { "OFF" } else { "ON" };
                self.admin.query_drop(format!("SET GLOBAL read_only = {word}")).await.expect("set");
            }
            Fault::Full => {
                self.admin.query_drop("SET GLOBAL max_connections = 1000").await.expect("set");
            }
            Fault::Reset | Fault::BlackHole | Fault::Stall | Fault::Refused | Fault::Flapping => link.resume(),
        }
        for conn in self.fillers.drain(..).chain([self.admin]) {
            drop(within("an administrator's goodbye", conn.disconnect()).await);
        }
    }
}

/// The server in this role.
pub fn server(bed: &Bed, role: Role) -> &Server {
    match role {
        Role::Primary => &bed.pair.primary,
        Role::Replica => &bed.pair.replica,
    }
}

/// The way to it.
pub fn link(bed: &Bed, role: Role) -> &Relay {
    match role {
        Role::Primary => &bed.ocean,
        Role::Replica => &bed.shore,
    }
}
