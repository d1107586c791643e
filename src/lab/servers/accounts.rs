//! The accounts every laboratory server has, and the schemas they may use.

/// The schema that exists on a primary from the start.
pub const SCHEMA: &str = "app";

/// A user and its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user's name; it may come from any host.
    pub user: &'static str,
    /// Its password.
    pub password: &'static str,
}

/// Everything is allowed to it.
pub const ROOT: Account = Account { user: "root", password: "root-secret" };

/// The application: everything in schemas whose names begin with `app` or `test`, and PROCESS.
pub const APP: Account = Account { user: "app", password: "app-secret" };

/// Like [`APP`] with `mysql_native_password`, where the server still has it (MariaDB).
pub const NATIVE: Account = Account { user: "native", password: "native-secret" };

/// What the monitor needs and nothing else: the state of replication and the binary log's position.
pub const MONITOR: Account = Account { user: "landbridge", password: "monitor-secret" };

/// The replica's account at the primary. It must use TLS.
pub const REPLICATION: Account = Account { user: "repl", password: "repl-secret" };

/// The administrator behind [`Server::sql`](crate::lab::Server::sql): no password, unix socket only.
pub(super) const ADMINISTRATOR: &str = "lab";

/// The statements that make the accounts, one per line as an init file wants them. Kept out of the
/// binary log, so that primary and replica can each run them.
pub(super) fn init_file(native: bool, monitor_privileges: &str) -> String {
    let mut statements = vec![
        "SET sql_log_bin = 0".to_owned(),
        // Host `localhost` means the socket: with name resolution off no TCP client has that name.
        format!("CREATE USER {ADMINISTRATOR}@localhost IDENTIFIED BY ''"),
        format!("GRANT ALL ON *.* TO {ADMINISTRATOR}@localhost WITH GRANT OPTION"),
        // MariaDB's installation has more of them, which would come before `root@'%'`.
        "DROP USER IF EXISTS root@'127.0.0.1', root@'::1'".to_owned(),
        format!("ALTER USER root@localhost IDENTIFIED BY '{}'", ROOT.password),
    ];
    let mut account = |Account { user, password }, privileges: &[&str], require: &str| {
        statements.push(format!("CREATE USER {user}@'%' IDENTIFIED BY '{password}' {require}"));
        for privilege in privileges {
            statements.push(format!("GRANT {privilege} TO {user}@'%'"));
        }
    };
    let application = ["ALL ON `app%`.*", "ALL ON `test%`.*", "PROCESS ON *.*"];
    account(ROOT, &["ALL ON *.*"], "");
    account(APP, &application, "");
    if native {
        account(NATIVE, &application, "");
    }
    account(MONITOR, &[monitor_privileges], "");
    account(REPLICATION, &["REPLICATION SLAVE ON *.*"], "REQUIRE SSL");
    // `ALL` leaves out the right to grant.
    statements.push(format!("GRANT GRANT OPTION ON *.* TO {}@'%'", ROOT.user));
    statements.into_iter().map(|statement| statement + ";\n").collect()
}
