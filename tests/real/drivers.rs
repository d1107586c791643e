//! Real drivers: the same script straight to the primary and through Landbridge prints the same.

use crate::support::{APP, Bed, PASSWORD};
use landbridge::lab::Flavor;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers").join(name)
}

/// Runs a program; what it prints, or a panic that says what is missing.
fn run(mut command: Command, package: &str) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}; `make setup` installs {package}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    assert!(!out.contains("Warning:") && !err.contains("Warning:"), "{out}\n{err}");
    out
}

/// Asserts that a script prints the same through Landbridge as directly.
async fn twin(bed: &Bed, package: &'static str, command: impl Fn(u16) -> Command + Send + 'static) {
    let (direct, through) = (bed.pair.primary.port(), bed.port());
    let run_both = move || (run(command(direct), package), run(command(through), package));
    let (want, got) = tokio::task::spawn_blocking(run_both).await.expect("scripts succeed");
    assert!(want.lines().count() > 5, "the script says what it does: {want}");
    for (line, (want, got)) in want.lines().zip(got.lines()).enumerate() {
        assert_eq!(got, want, "line {} differs from a direct connection's", line + 1);
    }
    assert_eq!(got.lines().count(), want.lines().count());
}

fn with_endpoint(program: &str, script: PathBuf, port: u16) -> Command {
    let mut command = Command::new(program);
    command.arg(script).args(["127.0.0.1", &port.to_string(), APP, PASSWORD]);
    command
}

fn local_infile() -> crate::support::Plan {
    let servers = landbridge::lab::PairOptions { extra_args: vec!["--local-infile=1".into()], ..Default::default() };
    crate::support::Plan { servers, ..Default::default() }
}

async fn php_mysqli(flavor: Flavor) {
    let bed = Bed::with(flavor, local_infile()).await;
    twin(&bed, "php-cli and php-mysql", |port| {
        let mut command = Command::new("php");
        command.args(["-d", "mysqli.allow_local_infile=1"]).arg(script("mysqli.php"));
        command.args(["127.0.0.1", &port.to_string(), APP, PASSWORD]);
        command
    })
    .await;
    bed.stop().await;
}

async fn php_pdo(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    twin(&bed, "php-cli and php-mysql", |port| with_endpoint("php", script("pdo.php"), port)).await;
    bed.stop().await;
}

/// The first Python that has `PyMySQL`: another one may come first on PATH.
fn python() -> &'static str {
    let has = |python: &&str| {
        let mut import = Command::new(python);
        import.args(["-c", "import pymysql"]).stdout(Stdio::null()).stderr(Stdio::null());
        import.status().is_ok_and(|status| status.success())
    };
    ["python3", "/usr/bin/python3"].into_iter().find(has).expect("python3-pymysql is missing; `make setup` installs it")
}

async fn pymysql(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    twin(&bed, "python3-pymysql", |port| with_endpoint(python(), script("crud.py"), port)).await;
    bed.stop().await;
}

async fn the_command_line_client(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    twin(&bed, "mariadb-client", |port| {
        let mut command = Command::new("mariadb");
        command.args([
            "-h127.0.0.1",
            &format!("-P{port}"),
            &format!("-u{APP}"),
            &format!("-p{PASSWORD}"),
            "--skip-ssl",
        ]);
        command.args(["--batch", "app"]).stdin(std::fs::File::open(script("cli.sql")).expect("script"));
        command
    })
    .await;
    bed.stop().await;
}

/// sysbench, text and prepared: all transactions, no error but the deadlocks it expects.
async fn sysbench(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let port = bed.port();
    tokio::task::spawn_blocking(move || {
        let sysbench = |more: &[&str]| {
            let mut command = Command::new("sysbench");
            command.args(["oltp_read_write", "--db-driver=mysql", "--mysql-host=127.0.0.1", "--mysql-ssl=off"]);
            command.args([
                format!("--mysql-port={port}"),
                format!("--mysql-user={APP}"),
                format!("--mysql-password={PASSWORD}"),
            ]);
            command.args(["--mysql-db=app", "--tables=2", "--table-size=1000"]).args(more);
            run(command, "sysbench")
        };
        sysbench(&["prepare"]);
        for mode in ["auto", "disable"] {
            let report =
                sysbench(&["--threads=8", "--events=200", "--time=60", &format!("--db-ps-mode={mode}"), "run"]);
            assert!(report.contains("transactions:                        200"), "{report}");
        }
        sysbench(&["cleanup"]);
    })
    .await
    .expect("sysbench succeeds");
    bed.stop().await;
}

crate::on_both!(php_mysqli, php_pdo, pymysql, the_command_line_client, sysbench);
