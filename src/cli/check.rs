//! `landbridge check`: dials every server and says what was found and what is missing.

use super::table::{row, table};
use super::{complain, print, runtime};
use crate::app;
use crate::backend::conn::Ready;
use crate::backend::login::{self, Account, DialError};
use crate::backend::query::Reply;
use crate::backend::server::{Server, family};
use crate::config::{Role, Settings};
use crate::consistency::gtid::Family;
use crate::monitor::heartbeat::HeartbeatTable;
use crate::net::names::Resolver;
use crate::protocol::capability::Capabilities;
use crate::protocol::command::Command;
use crate::protocol::exchange::Expect;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long two commands in one write may take before the server is taken not to pipeline.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Checks all servers; 0 when nothing is wrong.
pub(super) fn check(settings: &Settings) -> ExitCode {
    for warning in &settings.warnings {
        complain(&warning.to_string());
    }
    let servers = match app::servers(settings, &Resolver::System) {
        Ok(servers) => servers,
        Err(error) => {
            complain(&format!("landbridge: {error:#}"));
            return ExitCode::from(2);
        }
    };
    let checked = runtime().map(|runtime| runtime.block_on(check_all(settings, &servers)));
    match checked {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("landbridge: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn check_all(settings: &Settings, servers: &[Arc<Server>]) -> bool {
    let mut fine = true;
    let monitor = account(&settings.monitor.user, &settings.monitor.password);
    let heartbeat = app::heartbeat(settings);
    let mut sql_modes = Vec::new();
    for (server, planned) in servers.iter().zip(&settings.servers) {
        print(&format!("\n{} ({}), {}", server.name, server.address, planned.role));
        let found = examine(server, &monitor, settings.pool.connect_timeout, planned.role, heartbeat.as_ref()).await;
        let (rows, problems) = match found {
            Ok(found) => {
                sql_modes.push((server.name.clone(), found.defaults.clone()));
                (found.rows, found.problems)
            }
            Err(error) => (Vec::new(), vec![format!("cannot be reached as '{}': {error}", monitor.user)]),
        };
        print(&table(&rows));
        let mut problems = problems;
        for user in &settings.users {
            let account = account(&user.name, &user.password);
            if let Err(error) =
                login::dial(server, &account, Capabilities::empty(), settings.pool.connect_timeout).await
            {
                problems.push(format!("user '{}' cannot log in: {error}", user.name));
            }
        }
        fine &= problems.is_empty();
        for problem in problems {
            print(&format!("  ! {problem}"));
        }
    }
    warn_of_different_defaults(&sql_modes);
    print(if fine { "\nEverything is in order." } else { "\nSomething is not in order: see the lines with `!`." });
    fine
}

fn account(user: &str, password: &crate::config::Secret) -> Arc<Account> {
    Arc::new(Account::listed(user.to_owned(), password.clone()))
}

struct Found {
    rows: Vec<Vec<String>>,
    problems: Vec<String>,
    defaults: Vec<String>,
}

async fn examine(
    server: &Arc<Server>,
    account: &Arc<Account>,
    timeout: Duration,
    role: Role,
    heartbeat: Option<&HeartbeatTable>,
) -> Result<Found, DialError> {
    let dialled = Instant::now();
    let login = login::dial(server, account, Capabilities::empty(), timeout).await?;
    let dial_time = dialled.elapsed();
    let version = login.greeting.version.clone();
    let family = family(&version);
    let conn = Ready::new(login, server.clone(), account.clone());
    let tls = conn.tls_description();
    let broken = |e: crate::backend::conn::Lost| DialError::Read(e.source);
    let asked = Instant::now();
    let conn = conn.ping().await.map_err(broken)?;
    let rtt = asked.elapsed();
    let (conn, facts) = conn.query(facts_sql(family)).await.map_err(broken)?;
    let (conn, replication) = conn.query(replication_sql(family)).await.map_err(broken)?;
    let (conn, defaults) = conn.query("SELECT @@global.time_zone, @@system_time_zone").await.map_err(broken)?;
    let (conn, unread) = match heartbeat {
        Some(table) => {
            let (conn, reply) = conn.query(&table.sql()).await.map_err(broken)?;
            (conn, if let Reply::Err(error) = reply { Some((table, error)) } else { None })
        }
        None => (conn, None),
    };
    let pipelining = pipelines(conn).await;
    let facts = first_row(&facts);
    let read_only = matches!(facts.first().map(String::as_str), Some("1"));
    let gtid = facts.get(1).cloned().unwrap_or_default();
    let mut found = Found { rows: Vec::new(), problems: Vec::new(), defaults: first_row(&defaults) };
    let mut add = |name: &str, value: String| found.rows.push(row(["  ", name, &value]));
    add("tls", tls.unwrap_or_else(|| "none (tls.mode = \"off\")".into()));
    add("version", version.trim_start_matches("5.5.5-").to_owned());
    add("role", if read_only { "read-only" } else { "writable" }.into());
    add("round trip", format!("{rtt:.1?} (opening a connection took {dial_time:.0?})"));
    add("gtids", gtid.clone());
    add("pipelining", if pipelining { "yes" } else { "no: everything works, only slower" }.into());
    add("replication", replication_text(&replication));
    found.problems = problems(family, role, read_only, &gtid, &replication, &account.user);
    if let Some((table, error)) = unread {
        let grant = table.grant(&account.user);
        found.problems.push(format!("the heartbeat {table} cannot be read ({error}); run there: {grant}"));
    }
    Ok(found)
}

fn facts_sql(family: Family) -> &'static str {
    match family {
        Family::MySql => "SELECT @@global.read_only, @@global.gtid_mode",
        Family::MariaDb => "SELECT @@global.read_only, IF(@@global.log_bin, 'ON', 'OFF')",
    }
}

fn replication_sql(family: Family) -> &'static str {
    match family {
        Family::MySql => "SHOW REPLICA STATUS",
        Family::MariaDb => "SHOW ALL SLAVES STATUS",
    }
}

fn first_row(reply: &Reply) -> Vec<String> {
    match reply {
        Reply::Rows { rows, .. } => {
            rows.first().map(|row| row.iter().map(|v| v.clone().unwrap_or_default()).collect()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn column(reply: &Reply, names: [&str; 2]) -> Option<String> {
    let Reply::Rows { columns, rows } = reply else { return None };
    let at = columns.iter().position(|c| names.contains(&c.as_str()))?;
    rows.first()?.get(at)?.clone()
}

fn replication_text(reply: &Reply) -> String {
    match reply {
        Reply::Err(error) => format!("unknown: {error}"),
        Reply::Rows { rows, .. } if rows.is_empty() => "follows nobody".into(),
        _ => {
            let lag = column(reply, ["Seconds_Behind_Source", "Seconds_Behind_Master"]);
            let io = column(reply, ["Replica_IO_Running", "Slave_IO_Running"]).unwrap_or_default();
            let sql = column(reply, ["Replica_SQL_Running", "Slave_SQL_Running"]).unwrap_or_default();
            format!("receiving {io}, applying {sql}, behind {} s", lag.unwrap_or_else(|| "?".into()))
        }
    }
}

fn problems(
    family: Family,
    role: Role,
    read_only: bool,
    gtid: &str,
    replication: &Reply,
    monitor: &str,
) -> Vec<String> {
    let mut problems = Vec::new();
    if role == Role::Primary && read_only {
        problems.push("is configured as the primary but is read-only: check which server takes writes".into());
    }
    if role == Role::Replica && !read_only {
        problems.push(
            "is configured as a replica but is writable: set read_only = ON there, or someone will write to it".into(),
        );
    }
    if gtid != "ON" {
        let fix = match family {
            Family::MySql => "set gtid_mode = ON and enforce_gtid_consistency = ON",
            Family::MariaDb => "switch on the binary log (log_bin)",
        };
        problems.push(format!("has no GTIDs, so reads after a write go to the primary for consistency.pin_for; {fix}"));
    }
    if let Reply::Err(error) = replication {
        let grant = match family {
            Family::MySql => "GRANT REPLICATION CLIENT ON *.*",
            Family::MariaDb => "GRANT REPLICA MONITOR ON *.*",
        };
        problems.push(format!("lag cannot be read ({error}); run there: {grant} TO '{monitor}'@'%';"));
    }
    problems
}

async fn pipelines(conn: Ready) -> bool {
    let probe = async {
        let mut busy = conn.begin();
        busy.command(Expect::Ok, &[&[Command::Ping.byte()]]);
        busy.command(Expect::Ok, &[&[Command::Ping.byte()]]);
        busy.flush().await.ok()?;
        busy.reply().await.ok()?;
        busy.reply().await.ok()
    };
    matches!(tokio::time::timeout(PROBE_TIMEOUT, probe).await, Ok(Some(_)))
}

/// Defaults of sessions are levelled out, but for what only the server's machine knows.
fn warn_of_different_defaults(defaults: &[(String, Vec<String>)]) {
    const SYSTEM: &str = "SYSTEM";
    let Some(((first, want), rest)) = defaults.split_first() else { return };
    for (name, have) in rest {
        if have != want && [have, want].iter().all(|zone| zone.first().is_some_and(|zone| zone == SYSTEM)) {
            print(&format!(
                "\n  note: the clocks of {name} ({}) and {first} ({}) are in different time zones; sessions that set no \
                 time_zone see that of the server that answers. Set default_time_zone on the servers.",
                have.join(", "),
                want.join(", ")
            ));
        }
    }
}
