//! Sockets from systemd, what it is told, and the limit of open files.

use super::process::{Process, signal};
use crate::support::one;
use landbridge::lab::{Flavor, Pair};
use rustix::process::Signal;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Passes standard input and output on as the first two sockets, as systemd does.
const AS_SYSTEMD: &str = "export LISTEN_FDS=2 LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 4<&1 </dev/null >/dev/null";

async fn sockets_of_systemd_are_used_and_left_to_it(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers");
    let mut process = Process::new(&pair, "");
    let tcp = TcpListener::bind(("127.0.0.1", process.port())).expect("bound");
    let unix = UnixListener::bind(process.socket()).expect("bound");
    let copy = |tcp: &TcpListener| OwnedFd::from(tcp.try_clone().expect("copied"));
    let mut command = process.command_by("/bin/sh");
    command.arg("-c").arg(AS_SYSTEMD).arg(process.program()).args(process.arguments());
    command.stdin(copy(&tcp)).stdout(OwnedFd::from(unix.try_clone().expect("copied")));
    process.start_by(command).await;
    process.until_ready().await;
    let mut by_tcp = process.client().await;
    let mut by_unix = mysql_async::Conn::new(process.local_opts()).await.expect("served");
    assert_eq!((one::<u8>(&mut by_tcp, "SELECT 1").await, one::<u8>(&mut by_unix, "SELECT 2").await), (1, 2));
    // Whoever takes over has them as well, and leaves them as well.
    process.hand_over().await;
    assert_eq!(one::<u8>(&mut process.client().await, "SELECT 3").await, 3);
    let newest = process.newest();
    signal(newest, Signal::TERM);
    process.gone(newest).await;
    assert_eq!(process.ended().await.code(), Some(0), "told to drain by the other");
    assert!(process.socket().exists(), "systemd listens there");
    let waiting = std::net::TcpStream::connect(("127.0.0.1", process.port()));
    assert!(waiting.is_ok(), "whoever comes waits for the next one");
}

async fn a_socket_nobody_named_is_reported(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers");
    let mut process = Process::new(&pair, "");
    let other = TcpListener::bind("127.0.0.1:0").expect("bound");
    let mut command = process.command_by("/bin/sh");
    command.arg("-c").arg(AS_SYSTEMD).arg(process.program()).args(process.arguments());
    command.stdin(OwnedFd::from(other.try_clone().expect("copied")));
    command.stdout(OwnedFd::from(TcpListener::bind(("127.0.0.1", process.port())).expect("bound")));
    process.start_by(command).await;
    let address = other.local_addr().expect("an address").to_string();
    let log = process.log();
    let reported = log.lines().filter(|line| line.contains("was passed in")).collect::<Vec<_>>();
    assert!(reported.len() == 1 && reported[0].contains(&address), "{log}");
    assert_eq!(one::<u8>(&mut process.client().await, "SELECT 1").await, 1);
}

/// Messages of a service, one field a line.
struct Manager(UnixDatagram);

impl Manager {
    /// The next message that has this field; those before it are over.
    async fn until(&self, field: &str) -> String {
        let socket = self.0.try_clone().expect("copied");
        let field = field.to_owned();
        let waiting = tokio::task::spawn_blocking(move || {
            socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
            let mut bytes = [0; 4096];
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                assert!(Instant::now() < deadline, "no {field} for a minute");
                let n = socket.recv(&mut bytes).unwrap_or_else(|error| panic!("no {field}: {error}"));
                let message = String::from_utf8_lossy(&bytes[..n]).into_owned();
                if message.lines().any(|line| line == field) {
                    return message;
                }
            }
        });
        waiting.await.expect("told")
    }
}

async fn systemd_is_told_how_it_is(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers");
    let mut process = Process::new(&pair, "");
    let manager = Manager(UnixDatagram::bind(process.path("notify")).expect("bound"));
    let mut command = process.command();
    command.args(process.arguments()).env("NOTIFY_SOCKET", process.path("notify")).env("WATCHDOG_USEC", "200000");
    process.start_by(command).await;
    let ready = manager.until("READY=1").await;
    assert!(ready.contains("STATUS=Serving 0 clients\n"), "{ready}");
    assert_eq!(process.http("/readyz").await.expect("answers").0, 200, "it is warm");
    manager.until("WATCHDOG=1").await;
    process.hand_over().await;
    // The old one may say so, too, before or after.
    let pid = format!("MAINPID={}", process.newest().as_raw_nonzero());
    let ready = manager.until("READY=1").await;
    assert!(ready.contains(&pid), "the new one speaks for itself: {ready}");
    manager.until("WATCHDOG=1").await;
    signal(process.newest(), Signal::TERM);
    let stopping = manager.until("STOPPING=1").await;
    assert!(stopping.contains("STATUS=Draining"), "{stopping}");
}

async fn too_few_descriptors_are_told_of_and_survived(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers");
    let mut process = Process::new(&pair, "");
    let mut command = process.command_by("/bin/sh");
    command.arg("-c").arg("ulimit -n 64; exec \"$0\" \"$@\"").arg(process.program()).args(process.arguments());
    command.stdout(Stdio::null());
    process.start_by(command).await;
    process.until_ready().await;
    assert!(process.log().contains("may need more open files"), "{}", process.log());
    let connect = || std::net::TcpStream::connect(("127.0.0.1", process.port())).expect("the queue takes it");
    let clients: Vec<_> = (0..80).map(|_| connect()).collect();
    process.until_logged("cannot accept a client", 1).await;
    drop(clients);
    assert_eq!(one::<u8>(&mut process.client().await, "SELECT 1").await, 1);
    let (_, metrics) = process.http("/metrics").await.expect("answers");
    let counted = metrics.lines().find_map(|line| line.strip_prefix("landbridge_accept_failures_total "));
    assert!(counted.is_some_and(|n| n.parse::<u64>().is_ok_and(|n| n > 0)), "{counted:?}");
}

/// The soft limit is raised to the hard one.
async fn the_limit_of_descriptors_is_raised(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers");
    let mut process = Process::new(&pair, "");
    let mut command = process.command_by("/bin/sh");
    let script = "ulimit -S -n 64; exec \"$0\" \"$@\"";
    command.arg("-c").arg(script).arg(process.program()).args(process.arguments());
    process.start_by(command).await;
    let path = format!("/proc/{}/limits", process.pid().as_raw_nonzero());
    let limits = std::fs::read_to_string(path).expect("readable");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("there");
    let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
}

crate::on_both!(
    sockets_of_systemd_are_used_and_left_to_it,
    a_socket_nobody_named_is_reported,
    systemd_is_told_how_it_is,
    too_few_descriptors_are_told_of_and_survived,
    the_limit_of_descriptors_is_raised,
);
