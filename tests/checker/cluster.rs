//! What is tested: a primary and two replicas, and Landbridge processes with links of their own to each.

use crate::history::{Action, Content, Moment, Object, Operation, Outcome, Value};
use crate::process::Process;
use landbridge::lab::{CertFiles, Flavor, Relay, Server, ServerOptions, accounts};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Half a round trip over the ocean before the primary.
pub const ONE_WAY: Duration = Duration::from_millis(10);

/// The users who write.
pub const WRITERS: [&str; 2] = ["alice", "bob"];
/// The user who only reads, and so never has to see anything but what was seen before.
pub const READER: &str = "carol";
/// Everybody's password.
pub const PASSWORD: &str = "checker-secret";

/// Registers there are.
pub const REGISTERS: u32 = 6;

/// The servers by number: the primary of the beginning, then the replicas.
pub const SERVERS: usize = 3;

/// The scopes that the processes are configured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// None: what the checker must find fault with.
    Off,
    /// `scope = "connection"`.
    Connection,
    /// `scope = "user"`.
    User,
    /// `scope = "key"`.
    Key,
    /// `scope = "sidecar"`.
    Sidecar,
}

impl Scope {
    fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Connection => "connection",
            Self::User => "user",
            Self::Key => "key",
            Self::Sidecar => "sidecar",
        }
    }
}

/// A Landbridge process and its way to each server.
#[derive(Debug)]
pub struct Region {
    /// The process.
    pub process: Process,
    /// To the servers, by number.
    pub links: Vec<Relay>,
}

/// Servers and processes. All end with it.
#[derive(Debug)]
pub struct Cluster {
    /// By number.
    pub servers: Vec<Server>,
    /// With the scopes asked for, in that order.
    pub regions: Vec<Region>,
    /// What the replicas get comes this way from the first primary.
    pub replication: Relay,
    primary: AtomicUsize,
    certs: CertFiles,
    _directory: TempDir,
}

impl Cluster {
    /// Starts everything.
    pub async fn start(flavor: Flavor, scopes: &[Scope]) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let certs = CertFiles::generate(directory.path(), &[]).expect("certificates");
        let server = |number: u32| Server::start(flavor, options(number, &certs));
        let (a, b, c) = tokio::try_join!(server(0), server(1), server(2)).expect("servers start");
        let servers = vec![a, b, c];
        let replication = Relay::start(servers[0].addr(), ONE_WAY).await.expect("a relay starts");
        for replica in &servers[1..] {
            replica.follow(replication.addr(), &certs.ca).await.expect("a replica follows");
        }
        for statement in schema() {
            servers[0].sql(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        for replica in &servers[1..] {
            replica.catch_up_with(&servers[0]).await.expect("a replica catches up");
        }
        let mut regions = Vec::new();
        for (scope, name) in scopes.iter().zip(["p0", "p1", "p2", "p3"]) {
            let mut links = Vec::new();
            for (server, one_way) in servers.iter().zip([ONE_WAY, Duration::ZERO, Duration::ZERO]) {
                links.push(Relay::start(server.addr(), one_way).await.expect("a relay starts"));
            }
            let process = Process::new(name, directory.path(), &settings(*scope, &links, &certs));
            process.start(READER, PASSWORD).await;
            regions.push(Region { process, links });
        }
        Self { servers, regions, replication, primary: AtomicUsize::new(0), certs, _directory: directory }
    }

    /// The server that takes writes.
    pub fn primary(&self) -> &Server {
        &self.servers[self.primary.load(Ordering::SeqCst)]
    }

    /// A planned promotion of a replica: nothing acknowledged may be lost in it. The third server follows
    /// the new primary; the old one takes no writes any more, and can be read.
    pub async fn promote(&self, number: usize) -> landbridge::lab::Result<()> {
        let (old, new) = (self.primary(), &self.servers[number]);
        old.sql(match old.flavor() {
            Flavor::MySql => "SET GLOBAL super_read_only = ON",
            Flavor::MariaDb => "SET GLOBAL read_only = ON",
        })
        .await?;
        new.start_applier().await?;
        new.catch_up_with(old).await?;
        self.promote_as_it_is(number).await?;
        for follower in self.servers[1..].iter().filter(|server| server.port() != new.port()) {
            follower.follow(new.addr(), &self.certs.ca).await?;
        }
        Ok(())
    }

    /// Makes a replica the primary with what it has, which may not be all.
    pub async fn promote_as_it_is(&self, number: usize) -> landbridge::lab::Result<()> {
        self.servers[number].promote().await?;
        self.primary.store(number, Ordering::SeqCst);
        Ok(())
    }

    /// What the primary holds.
    pub async fn last_reads(&self, now: impl Fn() -> Moment) -> Vec<Operation> {
        let invoked = now();
        let number = |value: &Option<String>| value.as_deref().and_then(|v| v.parse::<u64>().ok()).expect("a number");
        let small = |value: &Option<String>| u32::try_from(number(value)).expect("small");
        let mut found: BTreeMap<Object, Value> = BTreeMap::new();
        for row in self.primary().sql("SELECT k, v FROM app.registers").await.expect("registers") {
            found.insert(Object::Register(small(&row[0])), Value::Register(Content(number(&row[1]))));
        }
        for row in self.primary().sql("SELECT k, v FROM app.lists ORDER BY k, id").await.expect("lists") {
            let list = found.entry(Object::List(small(&row[0]))).or_insert_with(|| Value::List(Vec::new()));
            if let Value::List(tags) = list {
                tags.push(small(&row[1]));
            }
        }
        let completed = now();
        let read = |(object, value)| Operation {
            client: "administrator".into(),
            scope: None,
            action: Action::Read(object),
            invoked,
            completed,
            outcome: Outcome::Ok(value),
        };
        found.into_iter().map(read).collect()
    }
}

/// Durable: a killed server keeps what it acknowledged.
fn options(number: u32, certs: &CertFiles) -> ServerOptions {
    let durable = [
        "--sync-binlog=1",
        "--innodb-flush-log-at-trx-commit=1",
        "--relay-log-recovery=ON",
        // What a black hole leaves locked is given up before the clients lose patience.
        "--innodb-lock-wait-timeout=3",
    ];
    ServerOptions {
        server_id: number + 1,
        read_only: number > 0,
        tls: Some(certs.clone()),
        disk_mib: None,
        extra_args: durable.map(String::from).into(),
    }
}

fn users() -> impl Iterator<Item = &'static str> {
    WRITERS.into_iter().chain([READER])
}

fn schema() -> Vec<String> {
    let mut statements = vec![
        "CREATE TABLE app.registers (k INT PRIMARY KEY, v BIGINT UNSIGNED NOT NULL)".to_owned(),
        "CREATE TABLE app.lists (id INT AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL, v INT NOT NULL, KEY (k))"
            .to_owned(),
    ];
    statements.extend((0..REGISTERS).map(|k| format!("INSERT INTO app.registers VALUES ({k}, 0)")));
    for user in users() {
        statements.push(format!("CREATE USER {user}@'%' IDENTIFIED BY '{PASSWORD}'"));
        statements.push(format!("GRANT ALL ON app.* TO {user}@'%'"));
    }
    statements
}

fn settings(scope: Scope, links: &[Relay], certs: &CertFiles) -> String {
    let monitor = accounts::MONITOR;
    let mut text = format!(
        "region = \"here\"\n[consistency]\nscope = \"{}\"\n[pool]\nmin_warm = 2\nmax = 16\n[monitor]\nuser = \"{}\"\n\
         password = \"{}\"\ninterval = \"200ms\"\nreplica_interval = \"50ms\"\ntimeout = \"1s\"\n",
        scope.word(),
        monitor.user,
        monitor.password
    );
    for (number, link) in links.iter().enumerate() {
        let region = if number == 0 { "overseas" } else { "here" };
        write!(
            text,
            "[[server]]\nname = \"s{number}\"\naddress = \"{}\"\nrole = \"auto\"\nregion = \"{region}\"\n\
             tls = {{ mode = \"verify-full\", ca = \"{}\" }}\n",
            link.addr(),
            certs.ca.display()
        )
        .expect("a string");
    }
    for user in users() {
        write!(text, "[[user]]\nname = \"{user}\"\npassword = \"{PASSWORD}\"\n").expect("a string");
    }
    text
}
