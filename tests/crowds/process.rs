//! Landbridge as a process: its ports, its metrics, and what it uses.

use crate::MOST;
use landbridge::lab::{Pair, proxy_toml};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A running process. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// Where clients connect.
    pub(crate) port: u16,
    http: u16,
    directory: TempDir,
}

/// What it uses at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Resident memory, in KiB.
    pub(crate) rss: u64,
    /// Open descriptors.
    pub(crate) files: u64,
}

/// What it counts, as `/metrics` shows it.
pub(crate) struct Metrics {
    pub(crate) text: String,
}

impl Metrics {
    /// The sum of all lines of a metric with a label of this value; of all lines where it is empty.
    pub(crate) fn sum(&self, name: &str, label: &str) -> u64 {
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let label = if label.is_empty() { String::new() } else { format!("\"{label}\"") };
        let values = self.text.lines().filter(of_name).filter(|line| line.contains(&label));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

impl Process {
    /// Starts it in front of these servers, primary first, and waits until it is ready.
    pub(crate) async fn start(pair: &Pair, servers: [SocketAddr; 2], (more_monitor, more): (&str, &str)) -> Self {
        let free_port =
            || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).expect("a port").port();
        let (port, http) = (free_port(), free_port());
        let shores = proxy_toml(&pair.certs.ca, servers);
        let text = format!(
            r#"{shores}
{more_monitor}
[listen]
mysql = "127.0.0.1:{port}"
admin = ""
http = "127.0.0.1:{http}"
[pool]
max = {MOST}
checkout_timeout = "60s"
{more}
"#
        );
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("proxy.toml");
        fs::write(&file, text).expect("a file");
        let log = fs::File::create(directory.path().join("log")).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_landbridge"))
            .arg("--config")
            .arg(&file)
            .arg("run")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Landbridge can be started");
        let process = Self { child, port, http, directory };
        process.ready().await;
        process
    }

    async fn ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.get("/readyz").await.is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            assert!(Instant::now() < deadline, "never ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.http)).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }

    /// What it counts.
    pub(crate) async fn metrics(&self) -> Metrics {
        Metrics { text: self.get("/metrics").await.expect("metrics") }
    }

    /// What it uses now.
    pub(crate) fn usage(&self) -> Usage {
        let id = self.child.id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        let rss = line.trim().trim_end_matches("kB").trim_end().parse().expect("a number");
        Usage { rss, files: count(&format!("/proc/{id}/fd")) }
    }

    /// Everything it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

fn count(directory: &str) -> u64 {
    u64::try_from(fs::read_dir(directory).expect("descriptors").count()).expect("few")
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}
