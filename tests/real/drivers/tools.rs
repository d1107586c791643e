//! Programs on the command line: the clients, dumps and what reads them again, sysbench.

use super::{bed, is_there, run, script, twin};
use crate::support::{APP, Bed, PASSWORD};
use landbridge::lab::Flavor;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

fn client(program: impl AsRef<std::ffi::OsStr>, port: u16, tls: &str) -> Command {
    let mut command = Command::new(program);
    command
        .args(["-h127.0.0.1", &format!("-P{port}"), &format!("-u{APP}"), tls, "--default-character-set=utf8mb4"])
        .env("MYSQL_PWD", PASSWORD);
    command
}

fn cli(program: PathBuf, tls: &'static str) -> impl Fn(u16) -> Command + Send {
    move |port| {
        let mut command = client(&program, port, tls);
        command.args(["--batch", "app"]).stdin(File::open(script("cli.sql")).expect("script"));
        command
    }
}

async fn the_command_line_client(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    twin(&bed, cli("mariadb".into(), "--skip-ssl")).await;
    bed.stop().await;
}

async fn the_client_of_mysql(flavor: Flavor) {
    // It has no `mysql_native_password` any more, and that is what MariaDB asks for.
    if flavor == Flavor::MariaDb {
        return;
    }
    // Beside the server that `scripts/mysql-server.sh` has unpacked.
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache"))).expect("a home");
    let program = cache.join("landbridge/mysql/bin/mysql");
    if !is_there(&[program.to_str().expect("UTF-8"), "--version"], "the client of MySQL") {
        return;
    }
    let bed = bed(flavor).await;
    twin(&bed, cli(program.clone(), "--ssl-mode=DISABLED")).await;
    twin(&bed, cli(program, "--ssl-mode=REQUIRED")).await;
    bed.stop().await;
}

/// A dump of everything, read again through Landbridge into a schema of its own, dumped again.
async fn dump_and_restore(flavor: Flavor) {
    let bed = bed(flavor).await;
    let (direct, through) = (bed.pair.primary.port(), bed.port());
    tokio::task::spawn_blocking(move || {
        let types = std::fs::read_to_string(script("types.sql")).expect("script");
        let mariadb = |port, schema: &str, sql: &str| {
            let mut command = client("mariadb", port, "--skip-ssl");
            run({
                command.args([schema, "-e", sql]);
                command
            })
        };
        for statement in types.lines() {
            mariadb(direct, "app", &format!("DELIMITER $$\n{statement}$$"));
        }
        mariadb(direct, "app", "CREATE VIEW types_v AS SELECT id, s FROM types_t");
        mariadb(direct, "app", "CREATE TRIGGER types_g BEFORE INSERT ON types_t FOR EACH ROW SET NEW.y = 2000");
        for options in [&["--single-transaction"][..], &["--lock-tables", "--skip-extended-insert"]] {
            let dump = |port, schema: &str| {
                let mut command = client("mariadb-dump", port, "--skip-ssl");
                command.args(["--routines", "--triggers", "--hex-blob", "--skip-dump-date", "--skip-comments"]);
                command.args(options).arg(schema);
                run(command)
            };
            let want = dump(direct, "app");
            assert!(want.contains("CREATE TABLE `types_t`") && want.contains("PROCEDURE `types_p`"), "{want}");
            assert_eq!(dump(through, "app"), want);
            mariadb(through, "app", "CREATE DATABASE app_restored");
            let mut file = tempfile::tempfile().expect("a file");
            std::io::Write::write_all(&mut file, want.as_bytes()).expect("written");
            std::io::Seek::rewind(&mut file).expect("from its start");
            let mut restore = client("mariadb", through, "--skip-ssl");
            restore.arg("app_restored").stdin(file);
            run(restore);
            assert_eq!(dump(through, "app_restored"), want);
            assert_eq!(dump(direct, "app_restored"), want);
            mariadb(through, "app", "DROP DATABASE app_restored");
        }
    })
    .await
    .expect("dumps succeed");
    bed.stop().await;
}

/// What comes with sysbench, but `oltp_read_write`, and how many events of it.
const WORKLOADS: [(&str, u32); 10] = [
    ("oltp_point_select", 200),
    ("oltp_read_only", 50),
    ("oltp_write_only", 50),
    ("oltp_insert", 100),
    ("oltp_delete", 100),
    ("oltp_update_index", 100),
    ("oltp_update_non_index", 100),
    ("select_random_points", 100),
    ("select_random_ranges", 100),
    ("oltp_read_write", 200),
];

/// sysbench, text and prepared: all transactions, no error but the deadlocks it expects.
async fn sysbench(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let port = bed.port();
    tokio::task::spawn_blocking(move || {
        let sysbench = |workload: &str, more: &[&str]| {
            let mut command = Command::new("sysbench");
            command.args([workload, "--db-driver=mysql", "--mysql-host=127.0.0.1", "--mysql-ssl=off"]);
            command.args([
                format!("--mysql-port={port}"),
                format!("--mysql-user={APP}"),
                format!("--mysql-password={PASSWORD}"),
            ]);
            command.args(["--mysql-db=app", "--tables=2", "--table-size=1000"]).args(more);
            run(command)
        };
        sysbench("oltp_read_write", &["prepare"]);
        for (workload, events) in WORKLOADS {
            for mode in ["auto", "disable"] {
                let (events, mode) = (format!("--events={events}"), format!("--db-ps-mode={mode}"));
                let report = sysbench(workload, &["--threads=8", &events, "--time=60", &mode, "run"]);
                let line = report.lines().find(|line| line.contains("transactions:")).expect("a report");
                assert_eq!(line.split_whitespace().nth(1), events.split('=').nth(1), "{workload}: {report}");
            }
        }
        sysbench("oltp_read_write", &["cleanup"]);
        sysbench("bulk_insert", &["--threads=2", "prepare"]);
        sysbench("bulk_insert", &["--threads=2", "--events=2000", "--time=60", "run"]);
        sysbench("bulk_insert", &["--threads=2", "cleanup"]);
    })
    .await
    .expect("sysbench succeeds");
    bed.stop().await;
}

crate::on_both!(the_command_line_client, the_client_of_mysql, dump_and_restore, sysbench);
