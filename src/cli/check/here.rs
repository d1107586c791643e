//! This machine: addresses that are taken, and how many files may be open.

use super::finding::Finding;
use crate::config::{ListenAddress, Settings};
use crate::lifecycle::descriptors;
use crate::net::occupant;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;

/// What stands in the way of starting here.
pub(super) fn findings(settings: &Settings) -> Vec<Finding> {
    let listen = &settings.listen;
    let http = listen.http.map(ListenAddress::Tcp);
    let keyed = listen.mysql.iter().map(|address| ("mysql", address));
    let keyed = keyed.chain(listen.admin.iter().map(|address| ("admin", address)));
    let keyed = keyed.chain(http.iter().map(|address| ("http", address)));
    let mut found: Vec<Finding> = keyed.filter_map(|(key, address)| taken(key, address)).collect();
    let (limit, needed) = descriptors::limit_and_need(settings);
    if let Some(limit) = limit.filter(|limit| *limit < needed) {
        let what =
            format!("max_clients and the pools may need {needed} open files, and a process may have {limit} here");
        found.push(
            Finding::note(what).fix("raise LimitNOFILE= of the unit (or ulimit -n), or lower [limits] max_clients"),
        );
    }
    found
}

/// Whether somebody listens there already. It may be the Landbridge that is to be replaced: no fault, then.
fn taken(key: &str, address: &ListenAddress) -> Option<Finding> {
    let who = match address {
        ListenAddress::Tcp(address) if address.port() == 0 => return None,
        ListenAddress::Tcp(tcp) => match std::net::TcpListener::bind(tcp) {
            Ok(_) => return None,
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => occupant::of(*tcp),
            Err(error) => {
                return Some(
                    Finding::problem(format!("[listen] {key}: {address} cannot be listened on: {error}"))
                        .fix("write an address of this machine, with a port that this user may use"),
                );
            }
        },
        ListenAddress::Unix(path) => {
            if path.metadata().is_ok_and(|file| !file.file_type().is_socket()) {
                return Some(
                    Finding::problem(format!("[listen] {key}: {} is a file that is no socket", path.display()))
                        .fix("write a path where nothing is, or remove that file"),
                );
            }
            UnixStream::connect(path).ok()?;
            None
        }
    };
    let who = who.map_or_else(|| "somebody".to_owned(), |who| who.to_string());
    let what = format!("[listen] {key}: {who} listens on {address} now");
    Some(Finding::note(what).fix("nothing, if that is the Landbridge you are about to reload or replace"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn files_that_are_no_sockets_are_in_the_way() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("s");
        let address = ListenAddress::Unix(path.clone());
        assert!(taken("mysql", &address).is_none(), "nothing is there");
        std::fs::write(&path, "data").expect("written");
        assert!(taken("mysql", &address).is_some_and(|found| found.level == Level::Problem));
        std::fs::remove_file(&path).expect("removed");
        let _listening = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        assert!(taken("mysql", &address).is_some_and(|found| found.level == Level::Note), "it may be ours");
    }
}
