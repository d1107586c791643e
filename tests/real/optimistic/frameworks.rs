//! Requests of real frameworks that put each of them into one transaction, and what of it crosses the ocean.

use super::{bed_with, outcomes, tables_are_known};
use crate::drivers::{is_there, latest, program, root};
use crate::support::{APP, Bed, PASSWORD};
use landbridge::lab::{Flavor, Stats};
use mysql_async::Conn;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Until a request has been answered; the first one compiles and loads much.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nothing but requests is to cross the ocean, and none because the replica was a moment late.
const CALM: &str = "ping_after = \"0s\"\n[route]\ntransactions = \"optimistic\"\n[consistency]\nwait = \"10s\"\n";
const JARS: [&str; 6] =
    ["spring3-core", "spring3-beans", "spring3-jdbc", "spring3-transaction", "commons-logging", "mariadb-java-client"];

fn script(name: &str) -> String {
    root().join("tests/frameworks").join(name).display().to_string()
}

/// A process that answers requests.
struct Application {
    _process: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Application {
    fn start(bed: &Bed, words: &[&str]) -> Self {
        let mut command = Command::from(program(words));
        command.args([&bed.port().to_string(), APP, PASSWORD]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{words:?}: {error}"));
        let requests = process.stdin.take().expect("piped");
        let answers = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self { _process: process, requests, answers }
    }

    /// One request: the value of the first row, as it left it.
    async fn request(&mut self, what: &str) -> u64 {
        self.requests.write_all(format!("{what}\n").as_bytes()).await.expect("it listens");
        let answer = tokio::time::timeout(PATIENCE, self.answers.next_line()).await.expect("an answer in time");
        let answer = answer.expect("text").expect("it goes on");
        answer.parse().unwrap_or_else(|_| panic!("not a number: {answer}"))
    }
}

/// Waits until the replica has all and tables have just been looked up, so that nobody does that soon; what has
/// crossed the ocean then.
async fn at_rest(bed: &Bed, other: &mut Conn) -> Stats {
    bed.pair.wait_caught_up().await.expect("the replica follows");
    bed.app().shared.definitions_may_differ();
    tables_are_known(bed, other).await;
    bed.crossed()
}

/// Reading costs nothing; five reads, a write and COMMIT cost two round trips.
async fn costs(flavor: Flavor, package: &str, probe: &[&str], words: &[&str]) {
    if !is_there(probe, package) {
        return;
    }
    let bed = bed_with(flavor, CALM).await;
    let mut application = Application::start(&bed, words);
    let mut other = bed.client().await;
    // What it asks when it begins is asked, and servers know their statements.
    for written in [2, 3] {
        assert_eq!(application.request("write").await, written);
        assert_eq!(application.request("read").await, written);
    }
    let (moved, ended) = (outcomes(&bed, "moved"), outcomes(&bed, "ended_locally"));

    let before = at_rest(&bed, &mut other).await;
    assert_eq!(application.request("write").await, 4);
    assert_eq!(bed.trips_since(&before), 2, "the write with all that was read, and COMMIT");
    bed.until_sql("SELECT n FROM app.t WHERE id = 1", "4").await;

    let before = at_rest(&bed, &mut other).await;
    assert_eq!(application.request("read").await, 4);
    assert_eq!(bed.crossed().since(&before).bytes_to_server, 0, "reads");
    assert_eq!((outcomes(&bed, "moved") - moved, outcomes(&bed, "ended_locally") - ended), (1, 1));
    assert!(outcomes(&bed, "refused") == 0);
    bed.stop().await;
}

async fn python(flavor: Flavor, module: &str, package: &str, name: &str) {
    let python = latest("python/bin/python3").display().to_string();
    costs(flavor, package, &[&python, "-c", &format!("import pymysql, {module}")], &[&python, &script(name)]).await;
}

async fn php(flavor: Flavor, package: &str, class: &str, name: &str) {
    let probe = format!("require '{class}/autoload.php'; exit((int) !extension_loaded('pdo_mysql'));");
    costs(flavor, package, &["php", "-r", &probe], &["php", &script(name)]).await;
}

/// `ATOMIC_REQUESTS`, with Django's isolation level, READ COMMITTED, and a new connection for each request.
async fn django(flavor: Flavor) {
    python(flavor, "django", "Django of PyPI", "django_requests.py").await;
}

/// A session for each request, without autocommit.
async fn sqlalchemy(flavor: Flavor) {
    python(flavor, "sqlalchemy", "SQLAlchemy of PyPI", "sqlalchemy_requests.py").await;
}

/// The unit of work in one transaction.
async fn doctrine(flavor: Flavor) {
    php(flavor, "php-doctrine-orm", "Doctrine/ORM", "doctrine_requests.php").await;
}

async fn laravel(flavor: Flavor) {
    php(flavor, "php-illuminate-database", "Illuminate/Database", "laravel_requests.php").await;
}

/// What `@Transactional` does: `SET autocommit=0` ahead, and `SET autocommit=1` behind.
async fn spring(flavor: Flavor) {
    let paths: Vec<String> = JARS.iter().map(|jar| format!("/usr/share/java/{jar}.jar")).collect();
    let there: Vec<String> = paths.iter().map(|path| format!("test -r {path}")).collect();
    let there = format!("{} && javac -version", there.join(" && "));
    let (class_path, source) = (paths.join(":"), script("java/Requests.java"));
    let package = "libspring-jdbc-java, libmariadb-java or default-jdk-headless";
    costs(flavor, package, &["sh", "-c", &there], &["java", "-cp", &class_path, &source]).await;
}

crate::on_both!(django, sqlalchemy, doctrine, laravel, spring);
