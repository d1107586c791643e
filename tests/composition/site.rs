//! What the file says, done without containers: its commands, its entry points, its order.

use crate::compose::Composition;
use crate::{read, root};
use landbridge::lab::ReservedPort;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

/// Everything, running. What it started ends with it.
pub(crate) struct Site {
    directory: TempDir,
    file: Composition,
    ports: Ports,
    _reserved: [ReservedPort; 6],
    running: BTreeMap<&'static str, Child>,
}

#[derive(Clone, Copy)]
pub(crate) struct Ports {
    primary: u16,
    ocean: u16,
    replica: u16,
    landbridge: u16,
    pub(crate) http: u16,
    pub(crate) guestbook: u16,
}

impl Drop for Site {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            // It may have ended already.
            drop(child.kill().and_then(|()| child.wait()));
        }
    }
}

/// MySQL's server and client beside it, where `scripts/mysql-server.sh` has put them; `None`, loudly, if they or PHP
/// are missing.
#[expect(clippy::print_stderr, reason = "whoever runs the tests should see what was left out")]
fn programs() -> Option<PathBuf> {
    let cache = std::env::var_os("LANDBRIDGE_CACHE").map(PathBuf::from);
    let caches = || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Some(Path::new(&std::env::var_os("HOME")?).join(".cache"));
    let bin = cache.or_else(|| Some(caches().or_else(home)?.join("landbridge"))).map(|cache| cache.join("mysql/bin"));
    let runs = |program: &Path, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let php = runs(Path::new("php"), &["-r", "exit((int) !extension_loaded('pdo_mysql'));"]);
    let there = |bin: &PathBuf| php && ["mysqld", "mysql"].iter().all(|name| runs(&bin.join(name), &["--version"]));
    let bin = bin.filter(there);
    assert!(bin.is_some() || std::env::var_os("CI").is_none(), "MySQL or PHP is missing; `make setup` installs them");
    if bin.is_none() {
        eprintln!("skipped: MySQL or PHP is missing; `make setup` installs them");
    }
    bin
}

impl Site {
    /// Starts all of it, in the order of the file, as Compose would; `None` where programs are missing.
    pub(crate) fn start() -> Option<Self> {
        let bin = programs()?;
        let directory = tempfile::tempdir().expect("directory");
        let file = Composition::load(&[("OCEAN_RTT", "40ms")]);
        let reserved = [(); 6].map(|()| ReservedPort::reserve().expect("a port"));
        let ports = Ports::of(&reserved);
        let mut site = Self { directory, file, ports, _reserved: reserved, running: BTreeMap::new() };
        site.certificates();
        site.server(&bin, "primary", site.ports.primary);
        site.ocean();
        site.server(&bin, "replica", site.ports.replica);
        site.landbridge();
        site.guestbook();
        Some(site)
    }

    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    /// As `docker compose kill`.
    pub(crate) fn kill(&mut self, service: &str) {
        let mut child = self.running.remove(service).expect("running");
        child.kill().and_then(|()| child.wait()).expect("killed");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What a container finds at the paths and hosts of the file, for a process of this machine.
    fn here(&self, text: &str) -> String {
        let Ports { primary, ocean, landbridge, .. } = self.ports;
        text.replace("/certs/", &format!("{}/", self.path("certs").display()))
            .replace("primary:3306", &format!("127.0.0.1:{primary}"))
            .replace("ocean:3306", &format!("127.0.0.1:{ocean}"))
            .replace("replica:3306", &format!("127.0.0.1:{}", self.ports.replica))
            .replace("host=ocean", &format!("host=127.0.0.1;port={ocean}"))
            .replace("host=landbridge", &format!("host=127.0.0.1;port={landbridge}"))
    }

    fn certificates(&self) {
        let certs = self.path("certs");
        std::fs::create_dir(&certs).expect("directory");
        let owner = Command::new("id").arg("-un").output().expect("id").stdout;
        let mut command = Command::new("bash");
        command.arg(root().join("deploy/compose/certs.sh")).arg(&certs);
        command.env("CERT_NAMES", "DNS:localhost, IP:127.0.0.1");
        command.env("CERT_OWNER", String::from_utf8(owner).expect("a name").trim());
        let made = command.output().expect("bash");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        for left in ["ca.pem", "server.pem", "server-key.pem"] {
            assert!(certs.join(left).is_file(), "{left}");
        }
        assert_eq!(std::fs::read_dir(certs).expect("directory").count(), 3, "the authority's key is gone");
    }

    /// A server by its entry point, until it answers over TCP, as the health check of the file asks.
    fn server(&mut self, bin: &Path, name: &'static str, port: u16) {
        let directory = self.path(name);
        std::fs::create_dir(&directory).expect("directory");
        let mut command = Command::new(root().join("tests/composition/entrypoint.sh"));
        command.arg(&directory).arg(root().join(format!("deploy/compose/{name}.sh"))).arg(bin.join("mysqld"));
        command.args([
            "--no-defaults",
            "--mysqlx=OFF",
            "--innodb-doublewrite=OFF",
            "--secure-file-priv=",
            "--bind-address=127.0.0.1",
        ]);
        command.arg(format!("--port={port}"));
        if rustix::process::geteuid().is_root() {
            command.arg("--user=root");
        }
        command.args(self.file.command(name).iter().map(|word| self.here(word)));
        let path = std::env::var("PATH").expect("a path");
        command.env("PATH", format!("{}:{path}", bin.display())).envs(self.file.environment(name));
        command.env("PRIMARY_HOST", "127.0.0.1").env("PRIMARY_PORT", self.ports.ocean.to_string());
        command.env("CERTS", self.path("certs"));
        self.spawn(name, command);
        self.until(name, "answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    fn ocean(&mut self) {
        let listen = format!("127.0.0.1:{}", self.ports.ocean);
        let words = self.file.command("ocean");
        let mut command = Command::new(env!("CARGO_BIN_EXE_landbridge"));
        command.args(words.iter().map(|word| self.here(&word.replace("0.0.0.0:3306", &listen))));
        self.spawn("ocean", command);
        let port = self.ports.ocean;
        self.until("ocean", "listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    /// Landbridge with the file that is mounted, until the health check of its image succeeds.
    fn landbridge(&mut self) {
        let Ports { landbridge, http, .. } = self.ports;
        let text = self.here(&read("deploy/compose/proxy.toml"));
        let text = text.replace("0.0.0.0:3306", &format!("127.0.0.1:{landbridge}"));
        let text = text.replace("0.0.0.0:9306", &format!("127.0.0.1:{http}\"\nadmin = \""));
        let toml = self.path("proxy.toml");
        std::fs::write(&toml, text).expect("written");
        let environment = self.file.environment("landbridge");
        let command = |word: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_landbridge"));
            command.args([word, "--config"]).arg(&toml).envs(&environment).env_remove("LANDBRIDGE_LOG");
            command
        };
        self.spawn("landbridge", command("run"));
        let healthy = || {
            let mut health = command("health");
            health.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("runs").success()
        };
        self.until("landbridge", "is healthy", healthy);
    }

    fn guestbook(&mut self) {
        let port = self.ports.guestbook;
        let mut command = Command::new("php");
        command.args(["-S", &format!("127.0.0.1:{port}"), "-t"]).arg(root().join("deploy/compose/guestbook"));
        let environment = self.file.environment("guestbook");
        command.envs(environment.iter().map(|(name, value)| (name, self.here(value))));
        self.spawn("guestbook", command);
        self.until("guestbook", "listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    fn spawn(&mut self, name: &'static str, mut command: Command) {
        let log = File::create(self.path(&format!("{name}.log"))).expect("a log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.running.insert(name, command.spawn().unwrap_or_else(|e| panic!("{name}: {e}")));
    }

    /// Waits until something about a service has come to pass.
    #[expect(clippy::disallowed_methods, reason = "there is no runtime here")]
    pub(crate) fn until(&mut self, name: &str, what: &str, passed: impl Fn() -> bool) {
        let begin = Instant::now();
        while !passed() {
            let log = self.directory.path().join(format!("{name}.log"));
            let log = || std::fs::read_to_string(&log).unwrap_or_default();
            let ended = self.running.get_mut(name).expect("started").try_wait().expect("a child");
            assert!(ended.is_none(), "{name} ended with {ended:?}:\n{}", log());
            assert!(begin.elapsed() < LIMIT, "{name} never {what}:\n{}", log());
            std::thread::sleep(POLL);
        }
    }
}

impl Ports {
    fn of(reserved: &[ReservedPort; 6]) -> Self {
        let [primary, ocean, replica, landbridge, http, guestbook] = reserved.each_ref().map(ReservedPort::number);
        Self { primary, ocean, replica, landbridge, http, guestbook }
    }
}

/// An answer over HTTP: status, headers and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Asks as a browser does; a form is sent if there is one.
pub(crate) fn http(port: u16, path: &str, form: Option<&str>) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("listens");
    let request = match form {
        None => format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"),
        Some(form) => format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
            form.len()
        ),
    };
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}
