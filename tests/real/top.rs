//! `landbridge top`: in a pipe, and in a terminal that changes its size and is taken away.

use crate::cli::landbridge;
use crate::support::Bed;
use landbridge::lab::Flavor;
use landbridge::status::report::Report;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::Duration;
use tokio::sync::mpsc;

const LIMIT: Duration = Duration::from_secs(60);

/// `top` as a pipe sees it: a picture, the JSON as it is, and clear words where nobody answers.
async fn in_a_pipe(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let url = format!("http://{}", bed.app().http.expect("there is one"));
    let run = |args: &[&str]| {
        let mut command: Command = landbridge(args, Path::new("/nowhere/proxy.toml"));
        tokio::task::spawn_blocking(move || {
            let Output { status, stdout, stderr } = command.output().expect("runs");
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
            (status.code(), text(stdout), text(stderr))
        })
    };
    let (code, text, error) = run(&["top", "--url", &url]).await.expect("joins");
    assert_eq!(code, Some(0), "{error}");
    for part in ["serving", "SERVER", "primary", "replica", "0 clients", "round trips saved"] {
        assert!(text.contains(part), "{part} missing:\n{text}");
    }
    assert!(!text.contains('\x1b'), "{text}");
    let (code, text, _) = run(&["top", "--json", "--url", &url]).await.expect("joins");
    let read: Report = serde_json::from_str(&text).expect("the JSON as it is");
    assert_eq!((code, read.servers.len()), (Some(0), 2));
    let (code, _, error) = run(&["top", "--once", "--url", "http://127.0.0.1:1"]).await.expect("joins");
    assert!(code == Some(1) && error.contains("nobody answers at 127.0.0.1:1"), "{error}");
    let (code, _, error) = run(&["top", "--url", "https://127.0.0.1"]).await.expect("joins");
    assert!(code == Some(2) && error.contains("http://host:port"), "{error}");
    bed.stop().await;
}

/// `top` in a terminal: it draws, keeps drawing, fits what it draws into the room there is, and gives the terminal back
/// as it was, whether it is told to leave by a key or by a signal.
async fn in_a_terminal(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let url = format!("http://{}", bed.app().http.expect("there is one"));
    for leave in [Leave::Keys(b"q"), Leave::Keys(b"p s\x03"), Leave::Signal(Signal::TERM), Leave::Signal(Signal::HUP)] {
        let mut terminal = Terminal::with(&["top", "--url", &url, "--every", "50ms"], (120, 40));
        terminal.until(|drawn| drawn.matches("q leave").count() > 1).await;
        assert!(terminal.drawn.starts_with("\x1b[?1049h") && terminal.drawn.contains("round trips saved"));
        assert!(!terminal.echoes(), "what is typed is not shown");
        assert!(widest(&terminal.drawn) > 60, "there is room: {}", terminal.drawn);

        terminal.resize((40, 12));
        terminal.until(|drawn| widest(drawn) <= 40 && last(drawn).split("\r\n").count() <= 12).await;

        match leave {
            Leave::Keys(keys) => terminal.master.write_all(keys).expect("typed"),
            Leave::Signal(signal) => terminal.signal(signal),
        }
        terminal.until(|drawn| drawn.ends_with("\x1b[?1049l")).await;
        let child = terminal.child.take().expect("it runs");
        let ended = tokio::task::spawn_blocking(move || child.wait_with_output()).await.expect("joins").expect("ends");
        assert_eq!(ended.status.code(), Some(0));
        assert!(terminal.echoes(), "as it was before");
    }
    bed.stop().await;
}

#[derive(Clone, Copy)]
enum Leave {
    Keys(&'static [u8]),
    Signal(Signal),
}

/// A program in a terminal of its own.
struct Terminal {
    master: File,
    /// Held open, so that what it was left as can be seen.
    own: OwnedFd,
    child: Option<Child>,
    parts: mpsc::Receiver<Vec<u8>>,
    drawn: String,
}

impl Terminal {
    fn with(args: &[&str], size: (u16, u16)) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let name = ptsname(&master, Vec::new()).expect("it has a name").into_string().expect("in ASCII");
        let own = File::options().read(true).write(true).open(name).expect("it is there");
        let mut command: Command = landbridge(args, Path::new("/nowhere/proxy.toml"));
        command
            .env("TERM", "xterm")
            .stdin(own.try_clone().expect("one more"))
            .stdout(own.try_clone().expect("one more"));
        let master = File::from(master);
        let (sender, parts) = mpsc::channel(1);
        let mut screen = master.try_clone().expect("one more");
        let terminal = Self { master, own: own.into(), child: None, parts, drawn: String::new() };
        terminal.has_room(size);
        let child = command.spawn().expect("it starts");
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            // It ends with an error once nobody holds the other side.
            while let Ok(read) = screen.read(&mut part) {
                if sender.blocking_send(part[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child: Some(child), ..terminal }
    }

    async fn until(&mut self, fits: impl Fn(&str) -> bool) {
        while !fits(&self.drawn) {
            let part = tokio::time::timeout(LIMIT, self.parts.recv()).await;
            let part = part.unwrap_or_else(|_| panic!("still drawn: {:?}", self.drawn)).expect("somebody reads");
            self.drawn.push_str(&String::from_utf8_lossy(&part));
        }
    }

    fn has_room(&self, (columns, lines): (u16, u16)) {
        let size = Winsize { ws_col: columns, ws_row: lines, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).expect("resized");
    }

    fn resize(&self, size: (u16, u16)) {
        self.has_room(size);
        // The kernel tells those whose controlling terminal it is: this one was merely lent.
        self.signal(Signal::WINCH);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("sent");
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.own).expect("a terminal").local_modes.contains(LocalModes::ECHO)
    }
}

/// How many characters the longest line of the last picture has.
fn widest(drawn: &str) -> usize {
    last(drawn).split("\r\n").map(|line| plain(line).chars().count()).max().unwrap_or(0)
}

/// The last picture that was drawn whole.
fn last(drawn: &str) -> &str {
    let end = drawn.rfind("\x1b[J").expect("one was drawn whole");
    let begin = drawn[..end].rfind("\x1b[H").expect("it has a beginning");
    &drawn[begin..end]
}

/// Without colours and movements.
fn plain(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    }
    text
}

crate::on_both!(in_a_pipe, in_a_terminal);
