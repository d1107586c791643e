//! Every way to log in: what servers ask of Landbridge, what Landbridge takes from clients, and users
//! that only the servers know.

use crate::support::{APP, Bed, PASSWORD, Plan, one};
use landbridge::backend::conn::Ready;
use landbridge::backend::login::{Account, DialError, dial};
use landbridge::backend::server::Server;
use landbridge::config::Secret;
use landbridge::lab::{Flavor, PairOptions};
use landbridge::net::packets::PacketStream;
use landbridge::net::socket::Address;
use landbridge::net::stream::Socket;
use landbridge::protocol::capability::Capabilities;
use landbridge::protocol::handshake::{Greeting, Login};
use landbridge::protocol::packet::frame;
use landbridge::protocol::response::{OK, ServerError};
use landbridge::topology::{Health, ServerId};
use mysql_async::prelude::*;
use mysql_async::{ChangeUserOpts, Conn, Error, Opts, OptsBuilder, SslOpts};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// A password with what scripts and encodings stumble over.
const SECRET: &str = "s3cret 'é\"";

/// `auth = "passthrough"`, asked again after an hour, so that what is counted are first logins.
const OPEN: &str = "auth = \"passthrough\"\nauth_recheck = \"1h\"";
/// The same, but every login asks a server.
const DISTRUSTFUL: &str = "auth = \"passthrough\"\nauth_recheck = \"0s\"";

/// Where `make setup` unpacks to.
fn cache() -> Option<PathBuf> {
    let directory = |name: &str, below: &str| std::env::var_os(name).map(|dir| PathBuf::from(dir).join(below));
    directory("LANDBRIDGE_CACHE", "")
        .or_else(|| directory("XDG_CACHE_HOME", "landbridge"))
        .or_else(|| directory("HOME", ".cache/landbridge"))
}

/// Where MariaDB's `auth_ed25519` is, if it is: a directory to start servers with, or theirs.
fn ed25519_plugins() -> Option<PathBuf> {
    let unpacked = cache().map(|cache| cache.join("mariadb-plugins"));
    let known = ["/usr/lib/mysql/plugin", "/usr/lib64/mysql/plugin", "/usr/lib/mariadb/plugin"].map(PathBuf::from);
    unpacked.into_iter().chain(known).find(|dir| dir.join("auth_ed25519.so").is_file())
}

/// Servers with every plugin they can have, and accounts for each: name, and how it is identified.
fn plugins(flavor: Flavor) -> (PairOptions, Vec<(&'static str, &'static str)>) {
    match (flavor, ed25519_plugins()) {
        (Flavor::MySql, _) => (
            PairOptions::default(),
            vec![
                ("sha256", "IDENTIFIED WITH sha256_password BY"),
                ("caching", "IDENTIFIED WITH caching_sha2_password BY"),
            ],
        ),
        (Flavor::MariaDb, Some(plugins)) => {
            let extra_args =
                vec![format!("--plugin-dir={}", plugins.display()), "--plugin-load-add=auth_ed25519".into()];
            let edwards = ("edwards", "IDENTIFIED VIA ed25519 USING PASSWORD");
            (PairOptions { extra_args, ..PairOptions::default() }, vec![("plain", "IDENTIFIED BY"), edwards])
        }
        (Flavor::MariaDb, None) => {
            assert!(std::env::var_os("CI").is_none(), "auth_ed25519.so is missing: `make setup`");
            (PairOptions::default(), vec![("plain", "IDENTIFIED BY")])
        }
    }
}

impl Bed {
    async fn sql(&self, statement: &str) {
        self.pair.primary.sql(statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }

    /// Makes an account on both servers.
    async fn create(&self, user: &str, identified: &str, password: &str) {
        let password = password.replace('\'', "''");
        let password =
            if identified.ends_with("PASSWORD") { format!("('{password}')") } else { format!(" '{password}'") };
        self.sql(&format!("CREATE USER {user}@'%' {identified}{password}")).await;
        self.sql(&format!("GRANT ALL ON app.* TO {user}@'%'")).await;
        self.pair.wait_caught_up().await.expect("the replica follows");
    }

    fn as_user(&self, user: &str, password: &str) -> OptsBuilder {
        self.opts().user(Some(user)).pass(Some(password))
    }

    /// Logs in as a user and asks the server who that is, on the replica and on the primary.
    async fn is_let_in(&self, user: &str, password: &str) -> Conn {
        let mut client = Conn::new(self.as_user(user, password)).await.unwrap_or_else(|e| panic!("{user}: {e}"));
        for hint in ["", "/* landbridge: primary */"] {
            let is: String = one(&mut client, &format!("{hint}SELECT CURRENT_USER()")).await;
            assert_eq!(is, format!("{user}@%"));
        }
        client
    }

    /// Logs in and says nothing more; drivers ask something right away.
    async fn log_in(&self, user: &str, password: &str) -> Result<(), DialError> {
        let address = Address::Tcp { host: "127.0.0.1".into(), port: self.port() };
        let server = Server::new(ServerId(0), "landbridge".into(), address, None);
        let account = Account::listed(user.into(), Secret::new(password.into()));
        dial(&server, &account, Capabilities::empty(), Duration::from_secs(10)).await.map(drop)
    }

    /// Connections to the replica so far; logins of unknown users are verified there.
    fn dials(&self) -> u64 {
        self.shore.stats().connections_total
    }
}

async fn refused(opts: impl Into<Opts>) -> (u16, String, String) {
    match Conn::new(opts).await {
        Err(Error::Server(error)) => (error.code, error.state, error.message),
        Err(other) => panic!("not a server's error: {other}"),
        Ok(_) => panic!("was let in"),
    }
}

async fn with_tls(opts: OptsBuilder) -> Conn {
    let ssl = SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true);
    Conn::new(opts.ssl_opts(Some(ssl))).await.expect("over TLS")
}

/// Landbridge logs in with whatever plugin an account has: over TLS, in the clear, and again on a
/// connection that is open.
async fn servers_may_ask_for_any_plugin(flavor: Flavor) {
    let (servers, accounts) = plugins(flavor);
    let extra = "[[user]]\nname = \"sha256\"\npassword = \"p1\"\nmin_warm = 0\n\
                 [[user]]\nname = \"caching\"\npassword = \"p1\"\nmin_warm = 0\n\
                 [[user]]\nname = \"plain\"\npassword = \"p1\"\nmin_warm = 0\n\
                 [[user]]\nname = \"edwards\"\npassword = \"p1\"\nmin_warm = 0\n";
    let bed = Bed::with(flavor, Plan { extra, servers, ..Plan::default() }).await;
    let addr = bed.pair.primary.addr();
    let plain = Address::Tcp { host: addr.ip().to_string(), port: addr.port() };
    let plain = Arc::new(Server::new(ServerId(0), "plain".into(), plain, None));
    let socket = Address::Unix(bed.pair.primary.socket());
    let socket = Arc::new(Server::new(ServerId(0), "socket".into(), socket, None));
    for (user, identified) in accounts {
        bed.create(user, identified, "p1").await;
        bed.is_let_in(user, "p1").await;

        let account = |password: &str| Arc::new(Account::listed(user.into(), Secret::new(password.into())));
        for server in [&plain, &socket] {
            // What the server has cached would need no password.
            bed.sql("FLUSH PRIVILEGES").await;
            let login = dial(server, &account("p1"), Capabilities::empty(), Duration::from_secs(10)).await;
            let login = login.unwrap_or_else(|e| panic!("{user} at {}: {e}", server.name));
            let conn = Ready::new(login, server.clone(), account("p1"));
            let (conn, _) = conn.query("USE app").await.expect("schema");
            let conn = conn.log_in_again().await.unwrap_or_else(|e| panic!("{user} at {}: {e}", server.name));
            let (_conn, reply) = conn.query("SELECT CURRENT_USER()").await.expect("query");
            assert_eq!(reply.first_value(), Some(format!("{user}@%").as_str()));
            let wrong = dial(server, &account("p2"), Capabilities::empty(), Duration::from_secs(10)).await;
            let wrong = wrong.expect_err("another password");
            assert_eq!(wrong.server_error().map(|error| error.code), Some(1045), "{user}: {wrong}");
        }
    }
    bed.stop().await;
}

/// Challenges are random bytes: none of a hundred makes a signature that the server does not take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_hold_for_every_challenge() {
    let (servers, accounts) = plugins(Flavor::MariaDb);
    let bed = Bed::with(Flavor::MariaDb, Plan { servers, ..Plan::default() }).await;
    for (user, identified) in accounts {
        bed.create(user, identified, SECRET).await;
        let server = Server::new(ServerId(0), "socket".into(), Address::Unix(bed.pair.primary.socket()), None);
        let account = Account::listed(user.into(), Secret::new(SECRET.into()));
        for n in 0..600 {
            let login = dial(&server, &account, Capabilities::empty(), Duration::from_secs(10)).await;
            login.unwrap_or_else(|e| panic!("{user}, login {n}: {e}"));
        }
    }
    bed.stop().await;
}

/// The first packet of the answer to a login with this plugin and proof, over a unix socket.
async fn first_answer(socket: &Path, user: &str, plugin: &str, auth: &[u8]) -> Vec<u8> {
    let stream = tokio::net::UnixStream::connect(socket).await.expect("socket");
    let mut packets = PacketStream::plain(Socket::Unix(stream));
    let greeting = packets.read_packet(0, 1 << 16).await.expect("greeting");
    Greeting::decode(&greeting.payload).expect("greeting");
    let login = Login {
        capabilities: Capabilities::PROTOCOL_41 | Capabilities::SECURE_CONNECTION | Capabilities::PLUGIN_AUTH,
        max_packet: 1 << 24,
        collation: 45,
        user: user.into(),
        auth: auth.to_vec(),
        schema: None,
        plugin: Some(plugin.into()),
        zstd_level: None,
        attributes: Vec::new(),
    };
    let mut payload = Vec::new();
    login.encode(&mut payload);
    frame(packets.output(), 1, &payload);
    packets.flush().await.expect("sent");
    packets.read_packet(2, 1 << 16).await.expect("answer").payload.to_vec()
}

/// A client that shows its password where nobody else can see it is let in on that.
async fn clients_may_show_their_password(flavor: Flavor) {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("mysql.sock");
    let extra: &'static str = Box::leak(
        format!("[listen]\nmysql = [\"127.0.0.1:0\", \"unix:{}\"]\nadmin = \"\"\nhttp = \"\"", path.display())
            .into_boxed_str(),
    );
    let bed = Bed::with(flavor, Plan { extra, top: OPEN, ..Plan::default() }).await;
    bed.create("guest", "IDENTIFIED BY", SECRET).await;
    for (user, password) in [(APP, PASSWORD), ("guest", SECRET)] {
        for plugin in ["mysql_clear_password"] {
            let shown = |password: &str| [password.as_bytes(), b"\0"].concat();
            let answer = first_answer(&path, user, plugin, &shown(password)).await;
            assert_eq!(answer[0], OK, "{user} {plugin}: {answer:x?}");
            let answer = first_answer(&path, user, plugin, &shown("wrong")).await;
            let error = ServerError::decode(&answer).expect("an error");
            assert_eq!(error.message, format!("Access denied for user '{user}'@'localhost' (using password: YES)"));
        }
        // A wrong proof is no refusal: some drivers make no other, and show their password when they are asked.
        let answer = first_answer(&path, user, "caching_sha2_password", &[7; 32]).await;
        assert_eq!(answer, [1, 4], "{user}");
    }
    bed.stop().await;
}

/// The first login asks the replica, the next one nobody, whatever way the client proves itself.
async fn a_server_is_asked_once(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { top: OPEN, min_warm: 0, quiet: true, ..Plan::default() }).await;
    bed.create("guest", "IDENTIFIED BY", SECRET).await;
    bed.create("nobody", "IDENTIFIED BY", "").await;
    bed.settled().await;
    let crossed = bed.crossed();
    for (user, password) in [("guest", SECRET), ("nobody", "")] {
        let before = bed.dials();
        drop(Conn::new(bed.as_user(user, password).db_name(None::<String>)).await.expect("the first"));
        // This driver asks something right away, for which a connection is opened.
        assert_eq!(bed.dials() - before, 2, "{user} is verified");
        for _ in 0..5 {
            drop(Conn::new(bed.as_user(user, password).db_name(None::<String>)).await.expect("another"));
        }
        drop(with_tls(bed.as_user(user, password).db_name(None::<String>)).await);
        assert_eq!(bed.dials() - before, 2, "{user} is known");
    }
    assert_eq!(bed.crossed().since(&crossed).connections_total, 0, "the primary was not asked");
    for (user, password) in [("guest", SECRET), ("nobody", "")] {
        bed.is_let_in(user, password).await;
    }
    bed.stop().await;
}

/// Whoever is refused hears what a server says, and those who know the password go on.
async fn refusals_are_the_servers(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { top: OPEN, ..Plan::default() }).await;
    bed.create("guest", "IDENTIFIED BY", SECRET).await;
    bed.create("locked", "IDENTIFIED BY", SECRET).await;
    bed.sql("ALTER USER locked@'%' ACCOUNT LOCK").await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    let direct = |opts: OptsBuilder| opts.tcp_port(bed.pair.primary.port());
    for known in [false, true] {
        for opts in [bed.as_user("guest", "wrong"), bed.as_user("guest", ""), bed.as_user("locked", SECRET)] {
            assert_eq!(refused(opts.clone()).await, refused(direct(opts)).await, "{known}");
        }
        // MySQL makes believe that strangers have any plugin, such as one this driver has not.
        let text = "Access denied for user 'stranger'@'127.0.0.1' (using password: YES)";
        assert_eq!(refused(bed.as_user("stranger", "wrong")).await, (1045, "28000".into(), text.into()));
        bed.is_let_in("guest", SECRET).await;
    }
    // A user of the file has the password of the file.
    assert_eq!(refused(bed.as_user(APP, "wrong")).await, refused(direct(bed.as_user(APP, "wrong"))).await);
    bed.is_let_in(APP, PASSWORD).await;
    bed.stop().await;
}

/// `COM_CHANGE_USER` from and to users that only the servers know.
async fn users_may_change(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { top: OPEN, ..Plan::default() }).await;
    bed.create("guest", "IDENTIFIED BY", SECRET).await;
    let mut client = bed.client().await;
    for (user, password) in [("guest", SECRET), (APP, PASSWORD), ("guest", SECRET)] {
        let change = ChangeUserOpts::default().with_user(Some(user.into())).with_pass(Some(password.into()));
        client.change_user(change).await.unwrap_or_else(|e| panic!("{user}: {e}"));
        assert_eq!(one::<String>(&mut client, "SELECT CURRENT_USER()").await, format!("{user}@%"));
    }
    let change = ChangeUserOpts::default().with_user(Some("guest".into())).with_pass(Some("wrong".into()));
    let Err(Error::Server(error)) = client.change_user(change).await else { panic!("was let in") };
    assert_eq!(error.code, 1045);
    bed.stop().await;
}

/// The new password is good at once, the old one no longer; sessions that are open go on.
async fn a_password_is_changed(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { top: OPEN, ..Plan::default() }).await;
    bed.create("guest", "IDENTIFIED BY", SECRET).await;
    let mut before = bed.is_let_in("guest", SECRET).await;
    bed.sql("ALTER USER guest@'%' IDENTIFIED BY 'changed'").await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    let mut after = bed.is_let_in("guest", "changed").await;
    assert_eq!(one::<u64>(&mut before, "SELECT COUNT(*) FROM t").await, 0, "nobody disturbs an open session");
    assert_eq!(refused(bed.as_user("guest", SECRET)).await.0, 1045);
    let dials = bed.dials();
    bed.is_let_in("guest", "changed").await;
    assert_eq!(one::<u64>(&mut after, "SELECT COUNT(*) FROM t").await, 0);
    assert!(bed.dials() - dials <= 4, "a wrong password does not close the pools of the right one");
    bed.stop().await;
}

/// MySQL accepts two passwords while they are being exchanged: clients with either share the day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_passwords_at_once() {
    let bed = Bed::with(Flavor::MySql, Plan { top: OPEN, min_warm: 0, quiet: true, ..Plan::default() }).await;
    bed.create("guest", "IDENTIFIED BY", SECRET).await;
    bed.sql("ALTER USER guest@'%' IDENTIFIED BY 'second' RETAIN CURRENT PASSWORD").await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    let login = async |password: &str| {
        drop(Conn::new(bed.as_user("guest", password).db_name(None::<String>)).await.expect(password));
    };
    login(SECRET).await;
    login("second").await;
    login(SECRET).await;
    let before = bed.dials();
    for password in [SECRET, "second", "second", SECRET] {
        login(password).await;
    }
    assert_eq!(bed.dials(), before, "both are known");
    bed.stop().await;
}

/// A user that is dropped is refused at the next question, or when a connection is opened for it.
async fn a_user_is_dropped(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { top: DISTRUSTFUL, ..Plan::default() }).await;
    bed.create("guest", "IDENTIFIED BY", SECRET).await;
    bed.is_let_in("guest", SECRET).await;
    bed.sql("DROP USER guest@'%'").await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    assert_eq!(refused(bed.as_user("guest", SECRET)).await.0, 1045);
    bed.until(|| connections_of(&bed, "guest") == 0).await;
    bed.stop().await;
}

/// What a replica has said counts, too, where the primary is silent until there is no time left.
async fn silence_undoes_no_refusal(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { top: DISTRUSTFUL, quiet: true, ..Plan::default() }).await;
    bed.create("guest", "IDENTIFIED BY", SECRET).await;
    bed.is_let_in("guest", SECRET).await;
    bed.sql("DROP USER guest@'%'").await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    bed.ocean.black_hole();
    assert_eq!(refused(bed.as_user("guest", SECRET)).await.0, 1045);
    bed.stop().await;
}

/// As above, but nobody asks: a connection of the pool is lost, and the next one is refused.
async fn a_refused_dial_makes_a_user_unknown(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { top: OPEN, ..Plan::default() }).await;
    bed.create("guest", "IDENTIFIED BY", SECRET).await;
    let mut session = bed.is_let_in("guest", SECRET).await;
    bed.sql("DROP USER guest@'%'").await;
    bed.pair.wait_caught_up().await.expect("the replica follows");
    bed.shore.cut_existing();
    bed.until(|| connections_of(&bed, "guest") == 0).await;
    assert_eq!(refused(bed.as_user("guest", SECRET)).await.0, 1045);
    let Err(Error::Server(error)) = session.query_drop("SELECT 1 FROM t").await else { panic!("was answered") };
    assert_eq!(error.code, 1045, "a session hears why it has no connection: {}", error.message);
    // Others are as they were.
    bed.settled_but(1).await;
    bed.is_let_in(APP, PASSWORD).await;
    bed.stop().await;
}

fn connections_of(bed: &Bed, user: &str) -> usize {
    let pools = bed.app().shared.pools.all();
    pools.iter().filter(|pool| pool.account().user == user).map(|pool| pool.counts().idle + pool.counts().dialing).sum()
}

/// Without any server those who are known are let in, and nobody else.
async fn no_server_can_be_asked(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { top: DISTRUSTFUL, ..Plan::default() }).await;
    bed.create("guest", "IDENTIFIED BY", SECRET).await;
    bed.is_let_in("guest", SECRET).await;
    // Without the replica the primary is asked.
    bed.shore.cut();
    bed.topology(|snapshot| matches!(snapshot.servers[1].health, Health::Down(_))).await;
    bed.is_let_in("guest", SECRET).await;
    bed.ocean.cut();
    bed.topology(|snapshot| snapshot.servers.iter().all(|server| matches!(server.health, Health::Down(_)))).await;
    bed.log_in("guest", SECRET).await.expect("known");
    for (user, password) in [("guest", "wrong"), ("stranger", SECRET)] {
        let refused = bed.log_in(user, password).await.expect_err("unknown");
        assert_eq!(refused.server_error().map(|error| error.code), Some(2003), "{refused}");
    }
    bed.ocean.resume();
    bed.shore.resume();
    bed.until(|| bed.app().shared.pools.all().iter().all(|pool| pool.is_warm())).await;
    bed.is_let_in("guest", SECRET).await;
    // Nor does silence keep them waiting until their login takes too long.
    bed.ocean.black_hole();
    bed.shore.black_hole();
    bed.log_in("guest", SECRET).await.expect("known");
    bed.stop().await;
}

/// Many clients with wrong passwords do not keep the others out, nor open a connection each.
async fn a_flood_of_wrong_passwords(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { top: DISTRUSTFUL, ..Plan::default() }).await;
    bed.create("guest", "IDENTIFIED BY", SECRET).await;
    bed.is_let_in("guest", SECRET).await;
    bed.settled().await;
    bed.shore.set_one_way(Duration::from_millis(20));
    let open = bed.shore.stats().connections_open;
    let flood: Vec<_> = (0..64).map(|n| tokio::spawn(refused(bed.as_user("guest", &format!("wrong {n}"))))).collect();
    let mut most = 0;
    while !flood.iter().all(tokio::task::JoinHandle::is_finished) {
        most = most.max(bed.shore.stats().connections_open.saturating_sub(open));
        drop(Conn::new(bed.as_user("guest", SECRET).db_name(None::<String>)).await.expect("known"));
    }
    for refusal in flood {
        assert_eq!(refusal.await.expect("an answer").0, 1045);
    }
    // Eight questions, one about the known user, and those that are being closed.
    assert!(most <= 24, "{most} connections at once");
    bed.stop().await;
}

/// What a program prints, twice: the first login is verified, the second one known.
async fn prints_who_it_is(bed: &Bed, user: &'static str, program: impl Into<PathBuf>, arguments: Vec<String>) {
    let program: PathBuf = program.into();
    bed.create(user, "IDENTIFIED BY", "p w").await;
    let run = move || {
        for _ in 0..2 {
            let output = Command::new(&program).args(&arguments).output();
            let output = output.unwrap_or_else(|e| panic!("{}: {e}; `make setup`", program.display()));
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert_eq!(out.trim(), format!("{user}@%"), "{}: {err}", program.display());
        }
    };
    tokio::task::spawn_blocking(run).await.expect("runs");
}

/// Drivers as they are: over TCP with RSA, or over TLS where they want it.
async fn drivers_show_their_password(flavor: Flavor) {
    let bed = Bed::with(flavor, Plan { top: OPEN, ..Plan::default() }).await;
    let port = bed.port();
    let php = format!(
        "$c = new mysqli('127.0.0.1', 'php', 'p w', 'app', {port});
         echo $c->query('SELECT CURRENT_USER()')->fetch_row()[0], PHP_EOL;"
    );
    prints_who_it_is(&bed, "php", "php", vec!["-r".into(), php]).await;
    let python = format!(
        "import pymysql
c = pymysql.connect(host='127.0.0.1', port={port}, user='py', password='p w', database='app').cursor()
c.execute('SELECT CURRENT_USER()')
print(c.fetchone()[0])"
    );
    prints_who_it_is(&bed, "py", "/usr/bin/python3", vec!["-c".into(), python]).await;
    let client = |user: &str, more: &[&str]| {
        let port = format!("-P{port}");
        let fixed =
            ["--no-defaults", "-h127.0.0.1", &port, &format!("-u{user}"), "-pp w", "-NBe", "SELECT CURRENT_USER()"];
        fixed.iter().chain(more).map(|argument| (*argument).to_owned()).collect::<Vec<_>>()
    };
    prints_who_it_is(&bed, "cli", "mariadb", client("cli", &[])).await;
    // MySQL's own client has TLS unless told otherwise, and plugins that show the password right away.
    let Some(mysql) = cache().map(|cache| cache.join("mysql/bin/mysql")).filter(|path| path.is_file()) else { return };
    prints_who_it_is(&bed, "sha2", &mysql, client("sha2", &[])).await;
    let clear = ["--enable-cleartext-plugin", "--default-auth=mysql_clear_password"];
    prints_who_it_is(&bed, "clear", &mysql, client("clear", &clear)).await;
    prints_who_it_is(&bed, "sha256", &mysql, client("sha256", &["--default-auth=sha256_password"])).await;
    bed.stop().await;
}

crate::on_both!(
    servers_may_ask_for_any_plugin,
    clients_may_show_their_password,
    a_server_is_asked_once,
    refusals_are_the_servers,
    users_may_change,
    a_password_is_changed,
    a_user_is_dropped,
    silence_undoes_no_refusal,
    a_refused_dial_makes_a_user_unknown,
    no_server_can_be_asked,
    a_flood_of_wrong_passwords,
    drivers_show_their_password,
);
