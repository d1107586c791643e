//! MySQL's arguments and statements.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::lab::error::Result;
use crate::lab::servers::accounts::{self, REPLICATION};
use crate::lab::servers::dialect::{Dialect, option, quoted};
use crate::lab::servers::flavor::Program;
use crate::lab::servers::process;

pub(super) struct MySql;

impl Dialect for MySql {
    fn initialize(&self, program: &Program, data: &Path) -> Result<Command> {
        let mut command = Command::new(&program.path);
        command
            .args(["--no-defaults", "--initialize-insecure", "--skip-log-bin"])
            // As in every later start.
            .args(["--innodb-redo-log-capacity=8M", "--innodb-doublewrite=OFF"])
            .args(process::user_argument())
            .arg(option("--datadir", data));
        Ok(command)
    }

    fn arguments(&self, read_only: bool) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = [
            "--gtid-mode=ON",
            "--enforce-gtid-consistency=ON",
            "--mysqlx=OFF",
            "--innodb-redo-log-capacity=8M",
            "--innodb-doublewrite=OFF",
        ]
        .map(OsString::from)
        .into();
        if read_only {
            arguments.extend(["--read-only=ON", "--super-read-only=ON"].map(OsString::from));
        }
        arguments
    }

    fn accounts(&self) -> String {
        accounts::init_file(false, "REPLICATION CLIENT ON *.*")
    }

    fn follow(&self, primary: SocketAddr, ca: &Path) -> String {
        format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{}', SOURCE_PORT = {}, \
             SOURCE_USER = '{}', SOURCE_PASSWORD = '{}', SOURCE_AUTO_POSITION = 1, \
             SOURCE_SSL = 1, SOURCE_SSL_CA = {}, SOURCE_SSL_VERIFY_SERVER_CERT = 1, \
             SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 86400",
            primary.ip(),
            primary.port(),
            REPLICATION.user,
            REPLICATION.password,
            quoted(ca),
        )
    }

    fn delay(&self, delay: Duration) -> String {
        format!("CHANGE REPLICATION SOURCE TO SOURCE_DELAY = {}", delay.as_secs())
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
        // Turning off `read_only` turns off `super_read_only` too.
        &["RESET REPLICA ALL", "SET GLOBAL read_only = OFF"]
    }

    fn status(&self) -> &'static str {
        "SHOW REPLICA STATUS"
    }

    fn executed(&self) -> &'static str {
        "SELECT @@GLOBAL.gtid_executed"
    }

    fn wait_for(&self, executed: &str, limit: Duration) -> String {
        format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{executed}', {})", limit.as_secs_f64())
    }
}
