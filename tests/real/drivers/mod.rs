//! Real drivers: the same script straight to the primary and through Landbridge prints the same.

mod tools;

use crate::support::{APP, Bed, PASSWORD, Plan};
use landbridge::lab::{Flavor, PairOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const JAR: &str = "/usr/share/java/mariadb-java-client.jar";

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn script(name: &str) -> String {
    root().join("tests/drivers").join(name).display().to_string()
}

/// Where `scripts/drivers.sh` puts what is newer than the system's packages.
pub(crate) fn latest(name: &str) -> PathBuf {
    root().join("target/drivers").join(name)
}

/// A program with its first arguments.
pub(crate) fn program(words: &[&str]) -> Command {
    let (name, arguments) = words.split_first().expect("a program");
    let mut command = Command::new(name);
    command.args(arguments);
    command
}

/// Runs a program; what it prints, or a panic that says what is wrong.
pub(crate) fn run(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    assert!(!out.contains("Warning:") && !err.contains("Warning:"), "{out}\n{err}");
    out
}

/// Whether a program is there, by a command that succeeds then. What is missing is an error in continuous
/// integration, and its tests are skipped elsewhere.
#[expect(clippy::print_stderr, reason = "whoever runs the tests should see what was left out")]
pub(crate) fn is_there(probe: &[&str], package: &str) -> bool {
    let mut command = program(probe);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = status.is_ok_and(|status| status.success());
    assert!(there || std::env::var_os("CI").is_none(), "{package} is missing; `make setup` installs it");
    if !there {
        eprintln!("skipped: {package} is missing; `make setup` installs it");
    }
    there
}

/// Servers and a Landbridge for every topic: files of the client, rows of 20 MB, TLS for clients who want it.
async fn bed(flavor: Flavor) -> Bed {
    let extra = "[listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"\"\nhttp = \"127.0.0.1:0\"";
    let extra_args = ["--local-infile=1", "--max-allowed-packet=64M", "--log-bin-trust-function-creators=1"]
        .map(String::from)
        .to_vec();
    let servers = PairOptions { extra_args, ..Default::default() };
    let bed = Bed::with(flavor, Plan { extra, servers, ..Plan::default() }).await;
    // The scripts drop these, and the first time must not differ from the second.
    for sql in ["CREATE TABLE app.types_t (id INT)", "CREATE DEFINER = app@'%' PROCEDURE app.types_p() DO 1"] {
        bed.pair.primary.sql(sql).await.expect(sql);
    }
    bed
}

/// Asserts that a program prints the same through Landbridge as directly.
async fn twin(bed: &Bed, command: impl Fn(u16) -> Command + Send + 'static) {
    let (direct, through) = (bed.pair.primary.port(), bed.port());
    let run_both = move || (run(command(direct)), run(command(through)));
    let (want, got) = tokio::task::spawn_blocking(run_both).await.expect("scripts succeed");
    assert!(want.lines().count() > 5, "the script says what it does: {want}");
    for (line, (want, got)) in want.lines().zip(got.lines()).enumerate() {
        assert_eq!(got, want, "line {} differs from a direct connection's", line + 1);
    }
    assert_eq!(got.lines().count(), want.lines().count());
}

/// Runs the script of a driver as a twin, without TLS and with it.
async fn drive(flavor: Flavor, package: &str, probe: &[&str], words: &[&str]) {
    if !is_there(probe, package) {
        return;
    }
    let bed = bed(flavor).await;
    for tls in ["off", "on"] {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        twin(&bed, move |port| {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut command = program(&words);
            command.args(["127.0.0.1", &port.to_string(), APP, PASSWORD, tls]);
            command
        })
        .await;
    }
    bed.stop().await;
}

async fn php_mysqli(flavor: Flavor) {
    let words = ["php", "-d", "mysqli.allow_local_infile=1", "-d", "memory_limit=-1", &script("mysqli.php")];
    drive(flavor, "php-mysql", &["php", "-r", "exit((int) !extension_loaded('mysqli'));"], &words).await;
}

async fn php_pdo(flavor: Flavor) {
    let probe = ["php", "-r", "exit((int) !extension_loaded('pdo_mysql'));"];
    drive(flavor, "php-mysql", &probe, &["php", "-d", "memory_limit=-1", &script("pdo.php")]).await;
}

/// Python's DB-API in one script for all drivers: the system's and the latest.
async fn dbapi(flavor: Flavor, python: &str, module: &str, package: &str) {
    let probe = [python, "-c", &format!("import {module}")];
    drive(flavor, package, &probe, &[python, &script("dbapi.py"), module]).await;
}

async fn pymysql(flavor: Flavor) {
    dbapi(flavor, "/usr/bin/python3", "pymysql", "python3-pymysql").await;
}

async fn mysqlclient(flavor: Flavor) {
    dbapi(flavor, "/usr/bin/python3", "MySQLdb", "python3-mysqldb").await;
}

fn latest_python() -> String {
    latest("python/bin/python3").display().to_string()
}

async fn the_latest_pymysql(flavor: Flavor) {
    dbapi(flavor, &latest_python(), "pymysql", "PyMySQL of PyPI").await;
}

async fn mysql_connector_python(flavor: Flavor) {
    dbapi(flavor, &latest_python(), "mysql.connector", "mysql-connector-python of PyPI").await;
}

/// The first of MariaDB's C library that does not talk to a server without TLS, where it is not told to.
/// What comes from there has no `caching_sha2_password` with it.
#[tokio::test(flavor = "multi_thread")]
async fn mariadb_connector_c() {
    let python = latest_python();
    let probe = [python.as_str(), "-c", "import mariadb"];
    drive(Flavor::MariaDb, "mariadb[binary] of PyPI", &probe, &[&python, &script("mariadb_c.py")]).await;
}

async fn asyncio(flavor: Flavor, module: &str) {
    let python = latest_python();
    let probe = [python.as_str(), "-c", &format!("import {module}")];
    drive(flavor, &format!("{module} of PyPI"), &probe, &[&python, "-Wignore", &script("aio.py"), module]).await;
}

async fn aiomysql(flavor: Flavor) {
    asyncio(flavor, "aiomysql").await;
}

async fn asyncmy(flavor: Flavor) {
    asyncio(flavor, "asyncmy").await;
}

async fn node(flavor: Flavor, package: &str) {
    let installed = script(&format!("node/node_modules/{package}/package.json"));
    let probe = ["node", "-e", &format!("require('{installed}')")];
    drive(flavor, &format!("{package} of npm"), &probe, &["node", &script(&format!("node/{package}.js"))]).await;
}

async fn node_mysql2(flavor: Flavor) {
    node(flavor, "mysql2").await;
}

async fn node_mariadb(flavor: Flavor) {
    node(flavor, "mariadb").await;
}

async fn ruby_mysql2(flavor: Flavor) {
    drive(flavor, "ruby-mysql2", &["ruby", "-e", "require 'mysql2'"], &["ruby", &script("mysql2.rb")]).await;
}

async fn perl_dbd_mysql(flavor: Flavor) {
    drive(flavor, "libdbd-mysql-perl", &["perl", "-MDBD::mysql", "-e1"], &["perl", &script("dbi.pl"), "mysql"]).await;
}

async fn perl_dbd_mariadb(flavor: Flavor) {
    let probe = ["perl", "-MDBD::MariaDB", "-e1"];
    drive(flavor, "libdbd-mariadb-perl", &probe, &["perl", &script("dbi.pl"), "MariaDB"]).await;
}

/// Go without modules, as Debian packages it.
async fn go_sql_driver(flavor: Flavor) {
    let env = ["env", "GO111MODULE=off", "GOPATH=/usr/share/gocode"];
    let probe = [&env[..], &["go", "list", "github.com/go-sql-driver/mysql"]].concat();
    let main = script("go/main.go");
    drive(flavor, "golang-github-go-sql-driver-mysql-dev", &probe, &[&env[..], &["go", "run", &main]].concat()).await;
}

/// `tests/drivers/rust`, built by `scripts/drivers.sh`.
async fn rust(flavor: Flavor, driver: &str) {
    let program = latest("rust/debug/landbridge-drivers").display().to_string();
    drive(flavor, &format!("{driver} of crates.io"), &["test", "-x", &program], &[&program, driver]).await;
}

async fn rust_sqlx(flavor: Flavor) {
    rust(flavor, "sqlx").await;
}

async fn rust_mysql_async(flavor: Flavor) {
    rust(flavor, "mysql_async").await;
}

async fn java_mariadb(flavor: Flavor) {
    let types = format!("-Dtypes={}", script("types.sql"));
    let words = ["java", &types, "-cp", JAR, &script("java/Crud.java")];
    let probe = ["sh", "-c", &format!("test -r {JAR} && javac -version")];
    drive(flavor, "libmariadb-java or default-jdk-headless", &probe, &words).await;
}

crate::on_both!(
    php_mysqli,
    php_pdo,
    pymysql,
    mysqlclient,
    the_latest_pymysql,
    mysql_connector_python,
    aiomysql,
    asyncmy,
    node_mysql2,
    node_mariadb,
    ruby_mysql2,
    perl_dbd_mysql,
    perl_dbd_mariadb,
    go_sql_driver,
    java_mariadb,
    rust_sqlx,
    rust_mysql_async,
);
