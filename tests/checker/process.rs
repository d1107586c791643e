//! A Landbridge process: started, killed and started again at the same address.

use mysql_async::prelude::*;
use mysql_async::{Conn, OptsBuilder};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

const START_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A process with a configuration file and a unix socket. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    /// What it is called in the history.
    pub name: &'static str,
    directory: PathBuf,
    child: Mutex<Option<Child>>,
    /// Counts its starts; `None` while it is not to be relied on.
    life: watch::Sender<Option<u32>>,
    lives: Mutex<u32>,
}

impl Process {
    /// Prepares it; `settings` is the file without `[listen]`.
    pub fn new(name: &'static str, directory: &Path, settings: &str) -> Self {
        let directory = directory.join(name);
        std::fs::create_dir(&directory).expect("a directory can be made");
        let process =
            Self { name, directory, child: Mutex::default(), life: watch::Sender::new(None), lives: Mutex::default() };
        let socket = process.socket();
        let listen = format!("[listen]\nmysql = \"unix:{}\"\nadmin = \"\"\nhttp = \"\"\n", socket.display());
        std::fs::write(process.file(), format!("{settings}\n{listen}")).expect("a file can be written");
        process
    }

    /// How to reach it.
    pub fn opts(&self, user: &str, password: &str) -> OptsBuilder {
        OptsBuilder::default()
            .socket(Some(self.socket().to_string_lossy()))
            .user(Some(user))
            .pass(Some(password))
            .db_name(Some("app"))
            .max_allowed_packet(Some(1 << 24))
    }

    /// Which life it is in; `None` while it is dead or dying.
    pub fn life(&self) -> Option<u32> {
        *self.life.borrow()
    }

    /// Waits until it lives.
    pub async fn lives(&self) -> u32 {
        let mut life = self.life.subscribe();
        // The sender is in `self`.
        let alive = life.wait_for(Option::is_some).await.expect("the process is there");
        alive.expect("waited for")
    }

    /// Starts it and waits until it serves this account.
    pub async fn start(&self, user: &str, password: &str) {
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log can be written");
        let child = Command::new(env!("CARGO_BIN_EXE_landbridge"))
            .arg("--config")
            .arg(self.file())
            .arg("run")
            .env_remove("LANDBRIDGE_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Landbridge can be started");
        *self.child() = Some(child);
        let serves = async {
            while !self.serves(user, password).await {
                let ended = self.child().as_mut().and_then(|child| child.try_wait().expect("a child"));
                assert!(ended.is_none(), "{} ended with {ended:?}:\n{}", self.name, self.log());
                tokio::time::sleep(POLL).await;
            }
        };
        assert!(tokio::time::timeout(START_LIMIT, serves).await.is_ok(), "{} never served:\n{}", self.name, self.log());
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        *lives += 1;
        self.life.send_replace(Some(*lives));
    }

    async fn serves(&self, user: &str, password: &str) -> bool {
        match Conn::new(self.opts(user, password)).await {
            Ok(mut conn) => conn.query_drop("SELECT 1").await.is_ok(),
            Err(_) => false,
        }
    }

    /// Kills it. What it knew is gone.
    pub fn kill(&self) {
        self.life.send_replace(None);
        if let Some(mut child) = self.child().take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
        }
    }

    /// Everything it logged, in all its lives.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn file(&self) -> PathBuf {
        self.directory.join("proxy.toml")
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("mysql.sock")
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
