//! The file changes while one process takes over from another one: it counts for the clients of both.

use super::process::{Process, signal};
use landbridge::lab::{Flavor, Pair, ReservedPort};
use mysql_async::prelude::*;
use mysql_async::{Conn, Opts, OptsBuilder};
use rustix::process::Signal;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

const READ_AGAIN: &str = "configuration read again";

/// Servers with two more users, and Landbridge with the same.
async fn bed(flavor: Flavor) -> (Pair, Process) {
    let pair = Pair::start(flavor).await.expect("servers");
    for user in ["second", "third"] {
        pair.primary.sql(&format!("CREATE USER {user} IDENTIFIED BY 'secret'")).await.expect("a user");
    }
    pair.wait_caught_up().await.expect("the replica follows");
    let mut process = Process::new(&pair, &format!("{}{}", entry("second"), entry("third")));
    process.start().await;
    (pair, process)
}

fn entry(user: &str) -> String {
    format!("[[user]]\nname = \"{user}\"\npassword = \"secret\"\n")
}

fn of(process: &Process, user: &str) -> OptsBuilder {
    process.opts().user(Some(user)).pass(Some("secret")).db_name(None::<String>)
}

/// A user who is removed goes wherever he is connected.
async fn who_is_removed_goes_from_every_process(flavor: Flavor) {
    let (_pair, process) = bed(flavor).await;
    let mut first = process.client().await;
    let mut second = Conn::new(Opts::from(of(&process, "second"))).await.expect("listed");
    let mut third = Conn::new(Opts::from(of(&process, "third"))).await.expect("listed");
    process.write_file(&process.file().replace(&entry("second"), ""));
    process.hand_over().await;
    process.until_logged(READ_AGAIN, 1).await;
    second.ping().await.expect_err("removed with the take-over");
    third.ping().await.expect("listed");
    process.write_file(&process.file().replace(&entry("third"), ""));
    signal(process.newest(), Signal::HUP);
    process.until_logged(READ_AGAIN, 3).await;
    third.ping().await.expect_err("removed by a reload");
    first.query_drop("SELECT 1").await.expect("listed");
}

/// A process that has read the file as it was is not the one that takes over.
async fn a_reload_before_a_take_over_is_not_lost(flavor: Flavor) {
    let (_pair, process) = bed(flavor).await;
    let (read, go) = (process.path("read"), process.path("go"));
    // It stands still with the file as it is when it begins.
    let slow = format!(
        "#!/bin/sh\ncp {file} {copy}\ntouch {read}\nwhile [ ! -e {go} ]; do sleep 0.02; done\n\
         exec {program} --config {copy} run\n",
        file = process.path("proxy.toml").display(),
        copy = process.path("copy.toml").display(),
        read = read.display(),
        go = go.display(),
        program = env!("CARGO_BIN_EXE_landbridge"),
    );
    process.install_script(&slow);
    signal(process.pid(), Signal::USR2);
    process.until(|| read.exists()).await;
    process.install_program();
    process.write_file(&process.file().replace(&entry("second"), ""));
    signal(process.pid(), Signal::HUP);
    process.until_logged("starting another process once more", 1).await;
    std::fs::write(go, "").expect("written");
    process.until(|| process.successors().len() == 1).await;
    assert_eq!(process.named_by("starting another process to take over").last(), process.successors().last());
    Conn::new(Opts::from(of(&process, "second"))).await.map(drop).expect_err("removed");
    Conn::new(Opts::from(of(&process, "third"))).await.expect("listed");
}

/// Whoever connects where nobody listens any more is refused, and a socket may be used by whom the file says.
async fn addresses_are_as_the_new_file_has_them(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers");
    let mut process = Process::new(&pair, "");
    let more = ReservedPort::reserve().expect("a port");
    let socket = process.socket();
    let bits = || std::fs::metadata(&socket).expect("there").permissions().mode() & 0o777;
    let file = process.file();
    process.write_file(
        &file.replace("[listen]\nmysql = [", &format!("[listen]\nmysql = [\"127.0.0.1:{}\", ", more.number())),
    );
    process.start().await;
    let at = ("127.0.0.1", more.number());
    TcpStream::connect(at).expect("somebody listens");
    assert_ne!(bits(), 0o600);
    let mut stays = process.client().await;
    process.write_file(&file.replace("[listen]\n", "[listen]\nunix_mode = \"0600\"\n"));
    process.hand_over().await;
    process.until_logged("a socket was passed in that [listen] does not name", 1).await;
    process.until(|| TcpStream::connect(at).is_err()).await;
    assert_eq!(bits(), 0o600);
    process.client().await;
    // Who serves again does so by the file that it has read.
    signal(process.newest(), Signal::KILL);
    process.until_logged("the process that took over is gone: serving again", 1).await;
    process.until(|| TcpStream::connect(at).is_ok()).await;
    stays.ping().await.expect("it has stayed");
}

crate::on_both!(
    who_is_removed_goes_from_every_process,
    a_reload_before_a_take_over_is_not_lost,
    addresses_are_as_the_new_file_has_them,
);
