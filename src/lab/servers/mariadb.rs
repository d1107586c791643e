//! MariaDB's arguments and statements.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::lab::error::{Error, Result};
use crate::lab::servers::accounts::{self, REPLICATION};
use crate::lab::servers::dialect::{Dialect, option, quoted};
use crate::lab::servers::flavor::{Flavor, Program, installed};
use crate::lab::servers::process;

pub(super) struct MariaDb;

impl Dialect for MariaDb {
    fn initialize(&self, program: &Program, data: &Path) -> Result<Command> {
        let mut command = Command::new(install_script(program)?);
        command
            .args(["--no-defaults", "--skip-test-db", "--skip-name-resolve"])
            .args(["--auth-root-authentication-method=normal", "--innodb-log-file-size=8M"])
            .args(process::user_argument())
            .arg(option("--datadir", data));
        Ok(command)
    }

    fn arguments(&self, read_only: bool) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = [
            "--gtid-strict-mode=ON",
            "--log-slave-updates=ON",
            "--binlog-format=ROW",
            "--innodb-log-file-size=8M",
            "--innodb-doublewrite=OFF",
            // As every distribution sets it; the program's own default is latin1.
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_general_ci",
        ]
        .map(OsString::from)
        .into();
        if read_only {
            arguments.push("--read-only=ON".into());
        }
        arguments
    }

    fn accounts(&self) -> String {
        accounts::init_file(true, "BINLOG MONITOR, REPLICA MONITOR ON *.*")
    }

    fn follow(&self, primary: SocketAddr, ca: &Path) -> String {
        format!(
            "CHANGE MASTER TO MASTER_HOST = '{}', MASTER_PORT = {}, \
             MASTER_USER = '{}', MASTER_PASSWORD = '{}', MASTER_USE_GTID = slave_pos, \
             MASTER_SSL = 1, MASTER_SSL_CA = {}, MASTER_SSL_VERIFY_SERVER_CERT = 1, \
             MASTER_CONNECT_RETRY = 1",
            primary.ip(),
            primary.port(),
            REPLICATION.user,
            REPLICATION.password,
            quoted(ca),
        )
    }

    fn delay(&self, delay: Duration) -> String {
        format!("CHANGE MASTER TO MASTER_DELAY = {}", delay.as_secs())
    }

    fn start(&self) -> &'static str {
        "START REPLICA"
    }

    fn stop(&self) -> &'static str {
        "STOP REPLICA"
    }

    fn start_applier(&self) -> &'static str {
        "START REPLICA SQL_THREAD"
    }

    fn stop_applier(&self) -> &'static str {
        "STOP REPLICA SQL_THREAD"
    }

    fn become_primary(&self) -> &'static [&'static str] {
        &["RESET REPLICA ALL", "SET GLOBAL read_only = OFF"]
    }

    fn status(&self) -> &'static str {
        "SHOW REPLICA STATUS"
    }

    fn executed(&self) -> &'static str {
        // Of a primary. A former replica has its past in here as well.
        "SELECT @@GLOBAL.gtid_current_pos"
    }

    fn wait_for(&self, executed: &str, limit: Duration) -> String {
        format!("SELECT MASTER_GTID_WAIT('{executed}', {})", limit.as_secs_f64())
    }
}

/// The script that comes with a server: beside it (`bin`), in a source tree's `scripts`, or installed.
fn install_script(program: &Program) -> Result<PathBuf> {
    const NAME: &str = "mariadb-install-db";
    let root = program.path.ancestors().nth(2).unwrap_or(Path::new("/"));
    ["bin", "scripts"]
        .map(|directory| root.join(directory).join(NAME))
        .into_iter()
        .find(|path| path.is_file())
        .or_else(|| installed(NAME).next())
        .ok_or(Error::NoServerProgram { flavor: Flavor::MariaDb, hint: "mariadb-install-db is missing" })
}
