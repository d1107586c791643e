//! Landbridge as a process of its own, and those that take over from it.

use crate::support::{APP, PASSWORD};
use landbridge::lab::{Pair, ReservedPort, proxy_toml};
use mysql_async::{Conn, Opts, OptsBuilder};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A directory with a program, its file and its log.
pub(super) struct Process {
    directory: TempDir,
    port: ReservedPort,
    http: ReservedPort,
    child: Option<Child>,
}

impl Process {
    /// Prepares one; `more` is added to its file.
    pub(super) fn new(pair: &Pair, more: &str) -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let [port, http] = [(); 2].map(|()| ReservedPort::reserve().expect("a port"));
        let process = Self { directory, port, http, child: None };
        process.install_program();
        process.write_file(&settings(pair, &process, more));
        process
    }

    /// Puts the program where it is started from, in the place of what is there.
    pub(super) fn install_program(&self) {
        let fresh = self.path("fresh");
        // By a process of its own: what another thread forks meanwhile would keep a file of ours open for writing until it
        // has become another program, and who is written to cannot be started.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_landbridge")).arg(&fresh).status();
        assert!(copied.expect("cp can be started").success());
        std::fs::rename(fresh, self.program()).expect("moved");
    }

    /// Puts something else there.
    pub(super) fn install_broken_program(&self) {
        let fresh = self.path("fresh");
        std::os::unix::fs::symlink("/bin/false", &fresh).expect("linked");
        std::fs::rename(fresh, self.program()).expect("moved");
    }

    /// Puts a script there.
    pub(super) fn install_script(&self, text: &str) {
        let fresh = self.path("fresh");
        std::fs::write(&fresh, text).expect("written");
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).expect("may be run");
        std::fs::rename(fresh, self.program()).expect("moved");
    }

    pub(super) fn write_file(&self, text: &str) {
        std::fs::write(self.path("proxy.toml"), text).expect("written");
    }

    pub(super) fn file(&self) -> String {
        std::fs::read_to_string(self.path("proxy.toml")).expect("there")
    }

    /// How to start it.
    pub(super) fn command(&self) -> Command {
        self.command_by(self.program())
    }

    /// How to start it by another program, which is given the command line.
    pub(super) fn command_by(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let log = File::options().create(true).append(true).open(self.path("log")).expect("a log can be written");
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        for variable in ["LANDBRIDGE_LOG", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"] {
            command.env_remove(variable);
        }
        command
    }

    /// Starts it and waits until it is warm.
    pub(super) async fn start(&mut self) {
        let mut command = self.command();
        command.args(self.arguments());
        self.start_by(command).await;
        self.until_ready().await;
    }

    pub(super) async fn start_by(&mut self, mut command: Command) {
        self.child = Some(command.spawn().expect("Landbridge can be started"));
        self.until_logged("ready for clients", 1).await;
    }

    pub(super) fn arguments(&self) -> [String; 3] {
        ["--config".into(), self.path("proxy.toml").display().to_string(), "run".into()]
    }

    /// The process that was started first.
    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("started"))
    }

    /// Those that have taken over from it, the last one last.
    pub(super) fn successors(&self) -> Vec<Pid> {
        self.named_by("another process has taken over")
    }

    /// The processes that lines of the log name.
    pub(super) fn named_by(&self, message: &str) -> Vec<Pid> {
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains(message));
        let pid = |line: &str| line.split("pid=").nth(1)?.split([' ', '\u{1b}']).next()?.parse().ok();
        lines.filter_map(|line| Pid::from_raw(pid(&plain(line))?)).collect()
    }

    /// The newest.
    pub(super) fn newest(&self) -> Pid {
        self.successors().last().copied().unwrap_or_else(|| self.pid())
    }

    /// Has another process take over, and waits for that.
    pub(super) async fn hand_over(&self) {
        let before = self.successors().len();
        signal(self.newest(), Signal::USR2);
        self.until(|| self.successors().len() > before).await;
    }

    /// Waits until the log has this in so many lines.
    pub(super) async fn until_logged(&self, part: &str, times: usize) {
        self.until(|| self.log().lines().filter(|line| line.contains(part)).count() >= times).await;
    }

    pub(super) async fn until(&self, passed: impl Fn() -> bool) {
        let waiting = async {
            while !passed() {
                tokio::time::sleep(POLL).await;
            }
        };
        assert!(tokio::time::timeout(LIMIT, waiting).await.is_ok(), "it never came to pass:\n{}", self.log());
    }

    /// Waits until `/readyz` says so.
    pub(super) async fn until_ready(&self) {
        let waiting = async {
            while self.http("/readyz").await.is_none_or(|(status, _)| status != 200) {
                tokio::time::sleep(POLL).await;
            }
        };
        assert!(tokio::time::timeout(LIMIT, waiting).await.is_ok(), "never ready:\n{}", self.log());
    }

    /// A page, if anybody answers.
    pub(super) async fn http(&self, path: &str) -> Option<(u16, String)> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.http.number())).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer))
    }

    /// Waits until the process that was started first has ended.
    pub(super) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("started");
        let waiting = async {
            loop {
                if let Some(status) = child.try_wait().expect("a child") {
                    return status;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("it never ended:\n{}", self.log()))
    }

    pub(super) async fn gone(&self, pid: Pid) {
        self.until(|| !is_running(pid)).await;
    }

    /// How to reach it over TCP.
    pub(super) fn opts(&self) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port())
            .user(Some(APP))
            .pass(Some(PASSWORD))
            .db_name(Some("app"))
            .prefer_socket(false)
    }

    pub(super) async fn client(&self) -> Conn {
        Conn::new(Opts::from(self.opts())).await.unwrap_or_else(|error| panic!("{error}:\n{}", self.log()))
    }

    /// How to reach it over the unix socket.
    pub(super) fn local_opts(&self) -> OptsBuilder {
        self.opts().socket(Some(self.socket().to_string_lossy())).prefer_socket(true)
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.path("mysql.sock")
    }

    pub(super) fn port(&self) -> u16 {
        self.port.number()
    }

    pub(super) fn program(&self) -> PathBuf {
        self.path("landbridge")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What all of them have logged.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for pid in self.successors() {
            // Most have gone by themselves.
            let _gone = kill_process(pid, Signal::KILL);
        }
        if let Some(child) = &mut self.child {
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

pub(super) fn signal(pid: Pid, signal: Signal) {
    kill_process(pid, signal).expect("signalled");
}

/// Whether a process runs: one that nobody has waited for yet does not.
fn is_running(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    test_kill_process(pid).is_ok() && !matches!(state, None | Some('Z' | 'X'))
}

/// A line of the log without colours.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut parts = line.split('\u{1b}');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        text.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    text
}

fn settings(pair: &Pair, process: &Process, more: &str) -> String {
    let shores = proxy_toml(&pair.certs.ca, [pair.primary.addr(), pair.replica.addr()]);
    let [port, http] = [&process.port, &process.http].map(ReservedPort::number);
    let socket = process.socket();
    format!(
        r#"{shores}
interval = "200ms"
replica_interval = "50ms"
[listen]
mysql = ["127.0.0.1:{port}", "unix:{}"]
admin = ""
http = "127.0.0.1:{http}"
[pool]
min_warm = 2
max = 16
{more}
"#,
        socket.display()
    )
}
