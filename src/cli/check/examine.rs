//! One server, as the monitor's account and the users find it.

use super::finding::Finding;
use crate::backend::conn::{Lost, Ready};
use crate::backend::login::{self, Account, DialError};
use crate::backend::query::Reply;
use crate::backend::server::{Server, family};
use crate::config::{Role, Secret, Settings};
use crate::consistency::gtid::Family;
use crate::monitor::heartbeat::HeartbeatTable;
use crate::monitor::{replication_privilege, replication_sql};
use crate::protocol::capability::Capabilities;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long two commands in one write may take before the server is taken not to pipeline.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Variables that matter when servers differ, or bound what Landbridge does.
const VARIABLES: [&str; 9] = [
    "sql_mode",
    "time_zone",
    "system_time_zone",
    "character_set_server",
    "collation_server",
    "lower_case_table_names",
    "max_allowed_packet",
    "wait_timeout",
    "max_connections",
];

/// What was found of a server.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) role: Role,
    /// `MySQL` or `MariaDB`; empty if it did not answer.
    pub(super) flavor: &'static str,
    pub(super) version: Option<String>,
    pub(super) tls: Option<String>,
    /// When its certificate ends.
    pub(super) certificate_ends: Option<String>,
    pub(super) rtt: Option<Duration>,
    pub(super) dial: Option<Duration>,
    pub(super) read_only: Option<bool>,
    /// `ON` where it has GTIDs.
    pub(super) gtids: Option<String>,
    pub(super) pipelining: Option<bool>,
    pub(super) replication: Option<Replication>,
    variables: Vec<(&'static str, String)>,
    /// Of each user that could log in.
    pub(super) grants: Vec<(String, Vec<String>)>,
    pub(super) users: Vec<(String, Result<(), String>)>,
    pub(super) findings: Vec<Finding>,
}

/// The state of replication.
#[derive(Debug)]
pub(super) enum Replication {
    /// It may not be asked for.
    Hidden,
    /// It follows nobody.
    None,
    /// It follows somebody.
    Follows { receiving: String, applying: String, behind: Option<String> },
}

impl Examined {
    pub(super) fn answered(&self) -> bool {
        self.version.is_some()
    }

    pub(super) fn is_primary(&self) -> bool {
        self.role == Role::Primary || (self.role == Role::Auto && self.read_only == Some(false))
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.variables.iter().map(|(name, value)| (*name, &**value))
    }
}

pub(super) async fn examine(
    server: &Arc<Server>,
    role: Role,
    settings: &Settings,
    heartbeat: Option<&HeartbeatTable>,
) -> Examined {
    let mut found = Examined {
        name: server.name.clone(),
        address: server.address.to_string(),
        role,
        flavor: "",
        version: None,
        tls: None,
        certificate_ends: None,
        rtt: None,
        dial: None,
        read_only: None,
        gtids: None,
        pipelining: None,
        replication: None,
        variables: Vec::new(),
        grants: Vec::new(),
        users: Vec::new(),
        findings: Vec::new(),
    };
    let monitor = &settings.monitor;
    if let Err(error) = found.ask(server, &account(&monitor.user, &monitor.password), settings, heartbeat).await {
        let what = format!("cannot be reached as '{}': {error}", monitor.user);
        found.findings.push(Finding::problem(what).fix(advice(&error, &monitor.user, "[monitor]")));
    }
    for user in &settings.users {
        let asked = found.log_in(server, &account(&user.name, &user.password), settings).await;
        if let Err(error) = &asked {
            let what = format!("user '{}' cannot log in: {error}", user.name);
            found.findings.push(Finding::problem(what).fix(advice(error, &user.name, "[[user]]")));
        }
        found.users.push((user.name.clone(), asked.map_err(|error| error.to_string())));
    }
    found
}

fn account(user: &str, password: &Secret) -> Arc<Account> {
    Arc::new(Account::listed(user.to_owned(), password.clone()))
}

/// What to do about a connection that cannot be had.
fn advice(error: &DialError, user: &str, table: &str) -> String {
    match error.server_error().map(|refusal| refusal.code) {
        Some(1045 | 1698 | 1130) => format!(
            "make the account there, allowed from this host and with the password of {table}: \
             CREATE USER '{user}'@'%' IDENTIFIED BY '..' REQUIRE SSL;"
        ),
        Some(1049 | 1044) => "grant it the schema that it uses".to_owned(),
        Some(1040 | 1203 | 1226) => "it has no connection left: raise max_connections there".to_owned(),
        Some(_) => "see what the error says".to_owned(),
        None if error.to_string().contains("lookup") => {
            "the name is not known here: correct address, or the resolver of this machine (`getent hosts ..`)"
                .to_owned()
        }
        None if matches!(error, DialError::Connect(_) | DialError::TimedOut(..)) => {
            "see that the address is right, that the server runs, and that firewalls let this host through".to_owned()
        }
        None => "correct the tls of this [[server]]".to_owned(),
    }
}

impl Examined {
    async fn ask(
        &mut self,
        server: &Arc<Server>,
        account: &Arc<Account>,
        settings: &Settings,
        heartbeat: Option<&HeartbeatTable>,
    ) -> Result<(), DialError> {
        let broken = |lost: Lost| DialError::Read(lost.source);
        let dialled = Instant::now();
        let login = login::dial(server, account, Capabilities::empty(), settings.pool.connect_timeout).await?;
        self.dial = Some(dialled.elapsed());
        let version = login.greeting.version.trim_start_matches("5.5.5-").to_owned();
        let family = family(&version);
        self.flavor = match family {
            Family::MySql => "MySQL",
            Family::MariaDb => "MariaDB",
        };
        self.version = Some(version);
        let conn = Ready::new(login, server.clone(), account.clone());
        self.tls = conn.tls_description();
        self.certificate(conn.certificate());
        let asked = Instant::now();
        let conn = conn.ping().await.map_err(broken)?;
        self.rtt = Some(asked.elapsed());
        let (conn, facts) = conn.query(facts_sql(family)).await.map_err(broken)?;
        let (conn, replication) = conn.query_in_known_words(replication_sql(family)).await.map_err(broken)?;
        let sql = VARIABLES.map(|name| match name {
            "system_time_zone" | "lower_case_table_names" => format!("@@{name}"),
            _ => format!("@@global.{name}"),
        });
        let (mut conn, variables) = conn.query(&format!("SELECT {}", sql.join(", "))).await.map_err(broken)?;
        self.variables = VARIABLES.into_iter().zip(first_row(&variables)).collect();
        if let Some(table) = heartbeat {
            let (same, reply) = conn.query(&table.sql()).await.map_err(broken)?;
            conn = same;
            if let Reply::Err(error) = reply {
                let what = format!("the heartbeat {table} cannot be read ({error})");
                let grant = format!("run there: {}", table.grant(&account.user));
                self.findings.push(Finding::problem(what).fix(grant));
            }
        }
        self.pipelining = Some(pipelines(conn).await);
        let facts = first_row(&facts);
        self.read_only = facts.first().map(|value| value == "1");
        self.gtids = facts.get(1).cloned();
        self.judge(family, &replication, &account.user);
        Ok(())
    }

    fn certificate(&mut self, der: Option<Vec<u8>>) {
        let Some(der) = der else { return };
        let Ok((_, certificate)) = x509_parser::parse_x509_certificate(&der) else { return };
        let validity = certificate.validity();
        let ends = validity.not_after.to_datetime().date().to_string();
        // Less than a month is little for somebody who has to ask for another one.
        let ends_soon = validity.time_to_expiration().is_none_or(|left| left.whole_days() < 30);
        if ends_soon {
            let what = format!("its certificate ends on {ends}");
            self.findings.push(Finding::note(what).fix("renew it there; connections fail from that day on"));
        }
        self.certificate_ends = Some(ends);
    }

    async fn log_in(
        &mut self,
        server: &Arc<Server>,
        account: &Arc<Account>,
        settings: &Settings,
    ) -> Result<(), DialError> {
        let login = login::dial(server, account, Capabilities::empty(), settings.pool.connect_timeout).await?;
        let conn = Ready::new(login, server.clone(), account.clone());
        if let Ok((conn, Reply::Rows { rows, .. })) = conn.query("SHOW GRANTS").await {
            let grant = |row: &Vec<Option<String>>| row.first().cloned().flatten();
            // MariaDB shows the hash of the password.
            let plain = |grant: String| grant.split(" IDENTIFIED ").next().unwrap_or_default().to_owned();
            let mut grants: Vec<String> = rows.iter().filter_map(grant).map(plain).collect();
            grants.sort_unstable();
            self.grants.push((account.user.clone(), grants));
            conn.close().await;
        }
        Ok(())
    }

    fn judge(&mut self, family: Family, replication: &Reply, monitor: &str) {
        let mut add = |finding| self.findings.push(finding);
        match (self.role, self.read_only) {
            (Role::Primary, Some(true)) => add(Finding::problem("is configured as the primary but is read-only")
                .fix("see which server takes writes, or write role = \"auto\" at all that may")),
            (Role::Replica, Some(false)) => add(Finding::problem("is configured as a replica but is writable")
                .fix("SET GLOBAL read_only = ON; and in its configuration, or someone will write to it")),
            _ => {}
        }
        if self.gtids.as_deref() != Some("ON") {
            let fix = match family {
                Family::MySql => "set gtid_mode = ON and enforce_gtid_consistency = ON there",
                Family::MariaDb => "switch on the binary log (log_bin) there",
            };
            let what = "has no GTIDs, so reads after a write go to the primary for consistency.pin_for";
            add(Finding::problem(what).fix(fix));
        }
        self.replication = Some(match replication {
            Reply::Rows { rows, .. } if !rows.is_empty() => {
                let text = |names| column(replication, names).unwrap_or_default();
                let receiving = text(["Replica_IO_Running", "Slave_IO_Running"]);
                let applying = text(["Replica_SQL_Running", "Slave_SQL_Running"]);
                if receiving != "Yes" || applying != "Yes" {
                    let error = [["Last_IO_Error", "Last_IO_Error"], ["Last_SQL_Error", "Last_SQL_Error"]].map(text);
                    let what = format!("replication does not run: {}", error.join(" ").trim());
                    add(Finding::problem(what).fix("mend what it says, then START REPLICA; there"));
                }
                let behind = column(replication, ["Seconds_Behind_Source", "Seconds_Behind_Master"]);
                Replication::Follows { receiving, applying, behind }
            }
            Reply::Err(error) => {
                let privilege = replication_privilege(family);
                let what = format!("the state of replication cannot be read ({error})");
                add(Finding::problem(what).fix(format!("GRANT {privilege} ON *.* TO '{monitor}'@'%';")));
                Replication::Hidden
            }
            _ => Replication::None,
        });
        if self.role == Role::Replica && matches!(self.replication, Some(Replication::None)) {
            add(Finding::problem("is configured as a replica and follows nobody")
                .fix("set up replication there, or remove it from the file"));
        }
    }
}

fn facts_sql(family: Family) -> &'static str {
    match family {
        // As the monitor asks.
        Family::MySql => "SELECT @@global.read_only OR @@global.innodb_read_only, @@global.gtid_mode",
        Family::MariaDb => "SELECT @@global.read_only, IF(@@global.log_bin, 'ON', 'OFF')",
    }
}

fn first_row(reply: &Reply) -> Vec<String> {
    let Reply::Rows { rows, .. } = reply else { return Vec::new() };
    rows.first().map(|row| row.iter().map(|value| value.clone().unwrap_or_default()).collect()).unwrap_or_default()
}

fn column(reply: &Reply, names: [&str; 2]) -> Option<String> {
    let Reply::Rows { columns, rows } = reply else { return None };
    let at = columns.iter().position(|column| names.contains(&column.as_str()))?;
    rows.first()?.get(at)?.clone()
}

async fn pipelines(conn: Ready) -> bool {
    matches!(tokio::time::timeout(PROBE_TIMEOUT, conn.ping_twice()).await, Ok(Some(_)))
}
