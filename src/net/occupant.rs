//! Who listens on an address of this machine, as far as Linux tells this user.

use std::fmt;
use std::fs;
use std::net::SocketAddr;

/// The state of a socket that listens, in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// The process that listens on the port of this address. `None`: nobody, or it is not for this user to know.
#[must_use]
pub fn of(address: SocketAddr) -> Option<Occupant> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|table| table.lines().filter_map(|line| inode(line, address.port())).collect::<Vec<_>>())
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find_map(|pid: u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        let mut sockets =
            files.filter_map(|file| Some(fs::read_link(file.path()).ok()?.to_string_lossy().into_owned()));
        sockets.any(|socket| inodes.contains(&socket)).then(|| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            Occupant { pid, name: name.trim().to_owned() }
        })
    })
}

/// `socket:[inode]` of a line about a socket that listens on this port.
fn inode(line: &str, port: u16) -> Option<String> {
    let mut words = line.split_whitespace().skip(1);
    let (_, local) = words.next()?.rsplit_once(':')?;
    let state = words.nth(1)?;
    let inode = words.nth(5)?;
    (state == LISTENS && u16::from_str_radix(local, 16) == Ok(port)).then(|| format!("socket:[{inode}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_state_port_and_inode() {
        let line = "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 48213 1";
        assert_eq!(inode(line, 3306), Some("socket:[48213]".into()));
        assert_eq!(inode(line, 3307), None);
        assert_eq!(inode(&line.replace(" 0A ", " 01 "), 3306), None);
        assert_eq!(inode("  sl  local_address rem_address   st", 3306), None);
    }

    #[test]
    fn this_process_finds_itself() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let found = of(listener.local_addr().expect("bound"));
        assert!(found.is_none_or(|found| found.pid == std::process::id()), "somebody else");
    }
}
