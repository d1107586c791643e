//! Listening sockets: bound here, or passed in by a service manager or by the process before this one.

use socket2::{Domain, SockRef, Socket, Type};
use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Connections that may wait to be accepted: a whole application may start at once.
const BACKLOG: i32 = 4096;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// TCP; port 0 is any port.
    Tcp(SocketAddr),
    /// A unix socket's file, and the permission bits it gets when it is made.
    Unix(PathBuf, u32),
}

/// Who removes the file of a unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Landbridge: this process, or the one that takes over from it.
    Landbridge,
    /// Whoever passed the socket in.
    Manager,
}

/// A socket that clients can connect to.
#[derive(Debug)]
pub struct Listening {
    fd: OwnedFd,
    owner: Owner,
}

/// Sockets that were passed in and are not in use yet.
#[derive(Debug, Default)]
pub struct Passed(Vec<Listening>);

impl Listening {
    /// Binds a place and listens there.
    ///
    /// # Errors
    /// What the system says; for example that somebody else listens there.
    pub fn bind(place: &Place) -> io::Result<Self> {
        let socket = match place {
            Place::Tcp(address) => {
                let socket = Socket::new(Domain::for_address(*address), Type::STREAM, None)?;
                socket.set_reuse_address(true)?;
                socket.bind(&(*address).into())?;
                socket
            }
            Place::Unix(path, mode) => {
                remove_if_left_behind(path)?;
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                socket.bind(&socket2::SockAddr::unix(path)?)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode))?;
                socket
            }
        };
        socket.listen(BACKLOG)?;
        Self::new(socket.into(), Owner::Landbridge)
    }

    /// A socket that somebody else bound.
    ///
    /// # Errors
    /// It cannot be made non-blocking.
    pub fn new(fd: OwnedFd, owner: Owner) -> io::Result<Self> {
        SockRef::from(&fd).set_nonblocking(true)?;
        Ok(Self { fd, owner })
    }

    /// Who removes its file, if it has one.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Its TCP address, if it has one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        SockRef::from(&self.fd).local_addr().ok()?.as_socket()
    }

    fn path(&self) -> Option<PathBuf> {
        Some(SockRef::from(&self.fd).local_addr().ok()?.as_pathname()?.to_owned())
    }

    /// The same socket once more, to accept from.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn acceptor(&self) -> io::Result<OwnedFd> {
        self.fd.try_clone()
    }

    /// Removes the socket's file, if it is ours to remove. Before the socket is closed: as long as somebody
    /// listens, nobody else can have bound the same path.
    pub fn remove_file(&self) {
        if let (Owner::Landbridge, Some(path)) = (self.owner, self.path()) {
            // Somebody may have been quicker.
            let _gone = std::fs::remove_file(path);
        }
    }

    /// Ends it wherever it is open, if it is ours: whoever else still holds it accepts nobody there, and whoever
    /// connects is refused and does not wait.
    pub fn end(&self) {
        if self.owner == Owner::Landbridge {
            // Then it listens no more.
            let _ended_before = SockRef::from(&self.fd).shutdown(Shutdown::Both);
        }
    }

    /// Listens once more where somebody else has [ended](Self::end) it: on TCP, whose port stays bound.
    pub fn listen_again(&self) {
        if self.owner == Owner::Landbridge && self.tcp().is_some() {
            // Whoever connects is refused then.
            let _in_vain = rustix::net::listen(&self.fd, BACKLOG);
        }
    }

    fn is_at(&self, place: &Place) -> bool {
        match place {
            Place::Tcp(wanted) => self
                .tcp()
                .is_some_and(|own| own.ip() == wanted.ip() && (own.port() == wanted.port() || wanted.port() == 0)),
            Place::Unix(path, _) => self.path().is_some_and(|own| is_same_path(&own, path)),
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.tcp(), self.path()) {
            (Some(address), _) => write!(f, "{address}"),
            (None, Some(path)) => write!(f, "unix:{}", path.display()),
            (None, None) => f.write_str("a socket without an address"),
        }
    }
}

impl Passed {
    /// Adds a socket.
    pub fn push(&mut self, socket: Listening) {
        self.0.push(socket);
    }

    /// The socket that listens there, if one was passed in; else a new one.
    ///
    /// # Errors
    /// The place cannot be bound.
    pub fn take_or_bind(&mut self, place: &Place) -> io::Result<Listening> {
        match self.0.iter().position(|socket| socket.is_at(place)) {
            Some(at) => {
                let socket = self.0.swap_remove(at);
                if let (Owner::Landbridge, Place::Unix(path, mode)) = (socket.owner, place) {
                    // Where its file has gone, nobody can come in by it anyway.
                    let _gone = std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode));
                }
                Ok(socket)
            }
            None => Listening::bind(place),
        }
    }

    /// What nobody took.
    pub fn rest(&self) -> &[Listening] {
        &self.0
    }
}

/// A socket file left behind by a process that is gone would be in the way. Any other file is somebody's.
fn remove_if_left_behind(path: &Path) -> io::Result<()> {
    if !path.metadata().is_ok_and(|file| file.file_type().is_socket()) {
        return Ok(());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// `/run` and `/var/run` are often the same.
fn is_same_path(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_found_by_where_they_listen() {
        let dir = tempfile::tempdir().expect("directory");
        let (path, any) = (dir.path().join("s"), "127.0.0.1:0".parse().expect("address"));
        let unix = Place::Unix(path.clone(), 0o600);
        let mut passed = Passed::default();
        let tcp = Listening::bind(&Place::Tcp(any)).expect("bound");
        let address = tcp.tcp().expect("TCP");
        passed.push(tcp);
        passed.push(Listening::bind(&unix).expect("bound"));
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(Listening::bind(&unix).is_err(), "somebody listens there");
        let again = passed.take_or_bind(&Place::Tcp(address)).expect("passed in");
        assert_eq!((again.tcp(), passed.rest().len()), (Some(address), 1));
        assert_eq!(passed.rest()[0].to_string(), format!("unix:{}", path.display()));
        let found = passed.take_or_bind(&Place::Unix(path.clone(), 0o660)).expect("passed in");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o660, "as it is wanted now");
        let copy = Listening::new(found.acceptor().expect("descriptor"), Owner::Manager).expect("a socket");
        copy.end();
        assert!(UnixStream::connect(&path).is_ok(), "it is somebody else's");
        found.end();
        assert!(UnixStream::connect(&path).is_err(), "nor by the copy");
        found.remove_file();
        assert!(!path.exists() && passed.rest().is_empty());
    }

    #[test]
    fn files_of_others_stay_and_files_left_behind_go() {
        let dir = tempfile::tempdir().expect("directory");
        let place = Place::Unix(dir.path().join("s"), 0o600);
        let first = Listening::bind(&place).expect("bound");
        let theirs = Listening::new(first.acceptor().expect("descriptor"), Owner::Manager).expect("a socket");
        theirs.remove_file();
        assert!(dir.path().join("s").exists());
        drop((first, theirs));
        assert!(Listening::bind(&place).is_ok(), "nobody listens there any more");

        let data = dir.path().join("data");
        std::fs::write(&data, "precious").expect("written");
        assert!(Listening::bind(&Place::Unix(data.clone(), 0o600)).is_err(), "a file is in the way");
        assert_eq!(std::fs::read_to_string(data).expect("still there"), "precious");
    }
}
