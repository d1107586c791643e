//! The ways to a server that are compared, and the processes in the middle.

use anyhow::{Context, Result, bail};
use landbridge::backend::server::Server;
use landbridge::lab::{Pair, accounts};
use landbridge::net::socket::Address;
use landbridge::net::tls::{Connector, ServerTls, Verify};
use landbridge::topology::ServerId;
use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// How long a process may take until it serves.
const START_LIMIT: Duration = Duration::from_secs(30);
/// What `utime` and `stime` count in: 100 ticks a second on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// Tells whoever waits how far it came.
pub(crate) fn say(text: &str) {
    // Nobody may be reading.
    drop(writeln!(std::io::stderr(), "bench: {text}"));
}

/// A way from a client to a server.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// Whether the client itself speaks TLS.
    pub(crate) tls: bool,
    /// The same for the loop of short connections.
    pub(crate) server: Arc<Server>,
    /// What stands in the middle, if anything.
    pub(crate) process: Option<Arc<Process>>,
}

/// All of them, in the order of the table; the first is what the others are compared with.
#[derive(Debug)]
pub(crate) struct Ways {
    ways: Vec<Way>,
    _directory: TempDir,
}

impl Ways {
    /// Starts everything that stands in the middle and waits until it serves.
    ///
    /// `scope_off`: with another Landbridge, which remembers nobody's writes. `other`: with Landbridge as this program
    /// has it, such as an earlier build.
    pub(crate) async fn start(pair: &Pair, scope_off: bool, other: Option<&Path>) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let primary = pair.primary.port();
        let (haproxy, haproxy_port) = haproxy(directory.path(), primary).await?;
        let (relay, relay_port) = relay(directory.path(), primary).await?;
        let (plain, tls) = (Settings::plain(pair, "user"), verify_full(pair));
        let (to_plain, plain_port) = landbridge(directory.path(), "plain", &plain).await?;
        let (to_tls, tls_port) = landbridge(directory.path(), "tls", &Settings { tls: &tls, ..plain }).await?;
        let way = |name, port, process: Option<Process>| Way {
            name,
            port,
            tls: false,
            server: dialled(port, None),
            process: process.map(Arc::new),
        };
        let by_tls = |name, port, process| -> Result<Way> {
            Ok(Way { name, port, tls: true, server: dialled(port, Some(connector(pair)?)), process })
        };
        let verified = way("Landbridge, verify-full", tls_port, Some(to_tls));
        let on_both_sides = by_tls("Landbridge, TLS on both sides", tls_port, verified.process.clone())?;
        let mut ways = vec![
            way("direct", primary, None),
            way("HAProxy", haproxy_port, Some(haproxy)),
            way("blind relay", relay_port, Some(relay)),
            way("Landbridge, tls off", plain_port, Some(to_plain)),
            by_tls("direct, TLS", primary, None)?,
            verified,
            on_both_sides,
        ];
        if scope_off {
            let (process, port) = landbridge(directory.path(), "off", &Settings::plain(pair, "off")).await?;
            ways.push(way("Landbridge, scope off", port, Some(process)));
        }
        if let Some(program) = other {
            let (process, port) = landbridge_as(program, directory.path(), "other", &plain).await?;
            ways.push(way("Landbridge, another build", port, Some(process)));
        }
        Ok(Self { ways, _directory: directory })
    }

    pub(crate) fn all(&self) -> &[Way] {
        &self.ways
    }

    /// Only those whose name begins with one of these; the first remains, which the others are compared with.
    pub(crate) fn only(mut self, names: &[String]) -> Self {
        let mut first = true;
        self.ways.retain(|way| std::mem::take(&mut first) || names.iter().any(|name| way.name.starts_with(&**name)));
        self
    }
}

pub(crate) fn dialled(port: u16, tls: Option<Connector>) -> Arc<Server> {
    let address = Address::Tcp { host: Ipv4Addr::LOCALHOST.to_string(), port };
    Arc::new(Server::new(ServerId(0), "bench".into(), address, tls))
}

/// A process in the middle. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts it such that the kernel ends it when this process is killed.
    pub(crate) fn start(program: &Path, arguments: &[&str], log: &Path) -> Result<Self> {
        let mut command = match find("setpriv") {
            Ok(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
            Err(_) => Command::new(program),
        };
        let log = File::create(log)?;
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self(command.spawn().with_context(|| program.display().to_string())?))
    }

    /// The program's process.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Result<()> {
        self.0.wait()?;
        Ok(())
    }

    /// Processor time of all its threads so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // The name of the program comes before `)` and may hold anything; utime is field 14 of proc(5).
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
        let mut ticks = 0;
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<u32>()?;
        }
        Ok(TICK * ticks)
    }

    /// Resident memory in MiB.
    pub(crate) fn rss(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim_end().parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

/// A program of this name: on the `PATH`, or where Debian puts servers.
pub(crate) fn find(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is missing: `make setup` installs it"))
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

pub(crate) async fn haproxy(directory: &Path, primary: u16) -> Result<(Process, u16)> {
    let port = free_port()?;
    let config = directory.join("haproxy.cfg");
    let text = format!(
        "defaults\n    mode tcp\n    timeout connect 10s\n    timeout client 1h\n    timeout server 1h\n\n\
         listen mysql\n    bind 127.0.0.1:{port}\n    server primary 127.0.0.1:{primary}\n"
    );
    fs::write(&config, text)?;
    let log = directory.join("haproxy.log");
    // -db: one process, in the foreground.
    let process = Process::start(&find("haproxy")?, &["-db", "-f", &config.to_string_lossy()], &log)?;
    wait_until(&log, || async { TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() }).await?;
    Ok((process, port))
}

/// This program once more.
async fn relay(directory: &Path, primary: u16) -> Result<(Process, u16)> {
    let port = free_port()?;
    let log = directory.join("relay.log");
    let arguments = ["--relay", &port.to_string(), "--relay-to", &primary.to_string()];
    let process = Process::start(&std::env::current_exe()?, &arguments, &log)?;
    wait_until(&log, || async { TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() }).await?;
    Ok((process, port))
}

/// What configurations differ in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings<'a> {
    pub(crate) pair: &'a Pair,
    /// Where the primary is reached.
    pub(crate) primary: SocketAddr,
    /// `tls` of both servers, as it is written in a file.
    pub(crate) tls: &'a str,
    pub(crate) scope: &'a str,
}

impl<'a> Settings<'a> {
    /// Plaintext to both servers.
    pub(crate) fn plain(pair: &'a Pair, scope: &'a str) -> Self {
        Self { pair, primary: pair.primary.addr(), tls: r#""off""#, scope }
    }
}

/// `tls` as the README has it.
pub(crate) fn verify_full(pair: &Pair) -> String {
    format!(r#"{{ mode = "verify-full", ca = "{}" }}"#, pair.certs.ca.display())
}

/// What dials servers and proxies by TLS, and verifies them.
pub(crate) fn connector(pair: &Pair) -> Result<Connector> {
    let tls = ServerTls { verify: Verify::Full, ca: Some(pair.certs.ca.clone()), client_cert: None, server_name: None };
    Ok(Connector::new(&tls, "127.0.0.1")?)
}

/// The release binary with a configuration as users have it, but for these settings.
pub(crate) async fn landbridge(directory: &Path, name: &str, settings: &Settings<'_>) -> Result<(Process, u16)> {
    landbridge_as(Path::new(env!("CARGO_BIN_EXE_landbridge")), directory, name, settings).await
}

/// The same as another program.
async fn landbridge_as(
    program: &Path,
    directory: &Path,
    name: &str,
    settings: &Settings<'_>,
) -> Result<(Process, u16)> {
    let (config, port, http) = configure(directory, name, settings)?;
    let log = directory.join(format!("{name}.log"));
    let process = Process::start(program, &["--config", &config.to_string_lossy(), "run"], &log)?;
    wait_until(&log, || async { is_ready(http).await.unwrap_or(false) }).await?;
    Ok((process, port))
}

/// Writes a configuration; returns its file and the ports of MySQL and HTTP.
pub(crate) fn configure(directory: &Path, name: &str, settings: &Settings<'_>) -> Result<(PathBuf, u16, u16)> {
    let Settings { pair, primary, tls, scope } = settings;
    let (port, http) = (free_port()?, free_port()?);
    let (app, monitor) = (accounts::APP, accounts::MONITOR);
    let text = format!(
        r#"region = "here"
[listen]
mysql = "127.0.0.1:{port}"
admin = ""
http = "127.0.0.1:{http}"
tls = "optional"
tls_cert = "{cert}"
tls_key = "{key}"
[[server]]
name = "primary"
address = "{primary}"
role = "primary"
region = "overseas"
tls = {tls}
[[server]]
name = "replica"
address = "{replica}"
role = "replica"
region = "here"
tls = {tls}
[[user]]
name = "{}"
password = "{}"
[monitor]
user = "{}"
password = "{}"
[consistency]
scope = "{scope}"
[limits]
max_clients = 20000
"#,
        app.user,
        app.password,
        monitor.user,
        monitor.password,
        cert = pair.certs.server.cert.display(),
        key = pair.certs.server.key.display(),
        replica = pair.replica.addr(),
    );
    let config = directory.join(format!("{name}.toml"));
    fs::write(&config, text)?;
    Ok((config, port, http))
}

/// Whether `/readyz` says so: every pool is warm.
pub(crate) async fn is_ready(http: u16) -> Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, http)).await?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

pub(crate) async fn wait_until<F: Future<Output = bool>>(log: &Path, serves: impl Fn() -> F) -> Result<()> {
    let deadline = Instant::now() + START_LIMIT;
    while !serves().await {
        if Instant::now() > deadline {
            bail!("not ready within {START_LIMIT:?}: {}", fs::read_to_string(log).unwrap_or_default());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
