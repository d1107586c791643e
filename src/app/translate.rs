//! From settings to what each subsystem takes: pure, but for certificates, which are read here.

use crate::backend::login::Account;
use crate::backend::server::{Reference, Server};
use crate::config::{self, ServerAddress, Settings};
use crate::frontend::passthrough::Terms;
use crate::frontend::pools::PoolPlans;
use crate::frontend::shared::{ScopeKind, SessionMode, SessionSettings};
use crate::monitor::heartbeat::HeartbeatTable;
use crate::monitor::{MonitorSettings, Planned, ServerPlan};
use crate::net::names::Resolver;
use crate::net::socket::Address;
use crate::net::tls::{Acceptor, Connector, ServerTls, TlsError, Verify};
use crate::pool::PoolSettings;
use crate::route::rules::{Effect, Rule, RuleTable, Rules};
use crate::sql::{HintTarget, ReadFunctions, Transactions};
use crate::status::{Plan, Show};
use crate::topology::ServerId;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::Duration;

/// Largest command of a client: what servers accept at most.
const MAX_PACKET: usize = 1 << 30;
/// Long enough to stand for "never".
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The configured servers, with TLS ready to be spoken.
///
/// # Errors
/// Certificates that cannot be used.
pub fn servers(settings: &Settings, resolver: &Resolver) -> Result<Vec<Arc<Server>>> {
    let reference = Arc::new(Reference::default());
    let servers = settings.servers.iter().zip(0..);
    let made = servers.map(|(planned, id)| {
        let tls = connector(planned)?;
        Ok(server(planned, id, settings, (&reference, resolver), tls))
    });
    let made: Vec<_> = made.collect::<Result<_>>()?;
    for (server, planned) in made.iter().zip(&settings.servers) {
        if planned.role == config::Role::Primary {
            server.is_reference();
        }
    }
    Ok(made)
}

/// A server of the file, with an id nobody has had.
pub(super) fn server(
    planned: &config::Server,
    id: u16,
    settings: &Settings,
    (reference, resolver): (&Arc<Reference>, &Resolver),
    tls: Option<Connector>,
) -> Arc<Server> {
    let server = Server::new(ServerId(id), planned.name.clone(), address(&planned.address), tls);
    let server = server
        .with_parallel_dials(settings.pool.max_parallel_dials as usize)
        .with_resolver(resolver.clone())
        .with_reference(reference.clone());
    if settings.pool.pipelining == config::Pipelining::Off {
        server.early_tls.never();
    }
    Arc::new(server)
}

fn address(address: &ServerAddress) -> Address {
    match address {
        ServerAddress::Tcp { host, port } => Address::Tcp { host: host.clone(), port: *port },
        ServerAddress::Unix(path) => Address::Unix(path.clone()),
    }
}

/// TLS towards a server, from its files as they are now.
pub(super) fn connector(server: &config::Server) -> Result<Option<Connector>> {
    let config::ServerTls::On { trust, server_name, identity } = &server.tls else { return Ok(None) };
    let (verify, ca) = match trust {
        config::Trust::VerifyFull { ca } => (Verify::Full, ca.clone()),
        config::Trust::VerifyCa { ca } => (Verify::Ca, ca.clone()),
        config::Trust::Pin(digest) => (Verify::Pin(*digest), None),
    };
    let client_cert = identity.as_ref().map(|identity| (identity.cert.clone(), identity.key.clone()));
    let host = match &server.address {
        ServerAddress::Tcp { host, .. } => host.as_str(),
        ServerAddress::Unix(_) => "localhost",
    };
    let tls = ServerTls { verify, ca, client_cert, server_name: server_name.clone() };
    Connector::new(&tls, host).map(Some).with_context(|| format!("server '{}'", server.name))
}

/// What the file says of a server.
pub fn plan(server: &config::Server, settings: &Settings) -> ServerPlan {
    ServerPlan {
        role: match server.role {
            config::Role::Primary => Planned::Primary,
            config::Role::Replica => Planned::Replica,
            config::Role::Auto => Planned::Auto,
        },
        local: server.region.is_some() && server.region == settings.region,
        weight: server.weight,
        max_lag: server.max_lag,
    }
}

/// The table by which lag is measured, if there is one.
pub fn heartbeat(settings: &Settings) -> Option<HeartbeatTable> {
    settings.monitor.heartbeat.clone().map(|(schema, name)| HeartbeatTable { schema, name })
}

pub(super) fn monitor_settings(settings: &Settings) -> MonitorSettings {
    let monitor = &settings.monitor;
    MonitorSettings {
        interval: monitor.interval,
        replica_interval: monitor.replica_interval,
        timeout: monitor.timeout,
        dns_interval: monitor.dns_interval,
        down_after: monitor.down_after,
        up_after: monitor.up_after,
        heartbeat: heartbeat(settings),
    }
}

pub(super) fn pool_plans(settings: &Settings) -> PoolPlans {
    let plan = |bounds: &config::UserPool| pool_settings(bounds, &settings.pool);
    PoolPlans {
        listed: settings.users.iter().map(|user| (user.name.clone(), plan(&user.pool))).collect(),
        others: settings.is_passthrough().then(|| plan(&settings.pool.others)),
    }
}

fn pool_settings(bounds: &config::UserPool, pool: &config::Pool) -> PoolSettings {
    PoolSettings {
        min_warm: bounds.min_warm as usize,
        max: bounds.max as usize,
        checkout_timeout: pool.checkout_timeout,
        connect_timeout: pool.connect_timeout,
        idle_timeout: pool.idle_timeout.unwrap_or(NEVER),
        max_lifetime: pool.max_lifetime.unwrap_or(NEVER),
        ping_after: pool.ping_after.unwrap_or(NEVER),
        max_parallel_dials: pool.max_parallel_dials as usize,
        pipelining: match pool.pipelining {
            config::Pipelining::Auto => None,
            config::Pipelining::On => Some(true),
            config::Pipelining::Off => Some(false),
        },
    }
}

/// How users come in that the file does not list, if they may.
pub(super) fn passthrough(settings: &Settings) -> Option<Terms> {
    let config::Auth::Passthrough { recheck } = settings.auth else { return None };
    // A second server may still be asked, and the client told, before its login takes too long.
    let timeout = settings.pool.connect_timeout.min(settings.limits.login_timeout / 3);
    Some(Terms { recheck, timeout })
}

/// The accounts of listed users.
pub(super) fn account(user: &config::User) -> Arc<Account> {
    Arc::new(Account::listed(user.name.clone(), user.password.clone()))
}

/// The account of the monitor.
pub(super) fn monitor_account(settings: &Settings) -> Arc<Account> {
    Arc::new(Account::listed(settings.monitor.user.clone(), settings.monitor.password.clone()))
}

/// TLS for clients, from its files as they are now, and whether it must be used.
pub(super) fn acceptor(tls: &config::ClientTls) -> Result<(Option<Acceptor>, bool), TlsError> {
    let (certificate, is_required) = match tls {
        config::ClientTls::Off => return Ok((None, false)),
        config::ClientTls::Optional(certificate) => (certificate, false),
        config::ClientTls::Required(certificate) => (certificate, true),
    };
    let acceptor = match certificate {
        // Clients that trust a certificate of this machine whoever signed it still compare its names.
        config::Certificate::SelfSigned => {
            Acceptor::generated(["localhost", "127.0.0.1", "::1"].map(String::from).to_vec())?
        }
        config::Certificate::Files(files) => Acceptor::from_files(&files.cert, &files.key)?,
    };
    Ok((Some(acceptor), is_required))
}

fn rule(rule: &config::Rule) -> Rule {
    let table = |table: &config::RuleTable| RuleTable { schema: table.schema.clone(), name: table.name.clone() };
    Rule {
        user: rule.user.clone(),
        schema: rule.schema.clone(),
        tables: rule.tables.iter().map(table).collect(),
        effect: Effect {
            read: rule.read.map(|read| match read {
                config::ReadFrom::Primary => HintTarget::Primary,
                config::ReadFrom::Replica => HintTarget::Replica,
            }),
            max_lag: rule.max_lag,
            on_empty: rule.on_empty == Some(config::OnEmpty::Primary),
        },
        transactions: rule.transactions.map(transactions),
    }
}

fn transactions(place: config::Transactions) -> Transactions {
    match place {
        config::Transactions::Primary => Transactions::Primary,
        config::Transactions::Optimistic => Transactions::Optimistic,
    }
}

/// How long a statement waits for a primary, if at all.
fn without_primary(what: config::PrimaryDown) -> Option<Duration> {
    match what {
        config::PrimaryDown::Fail => None,
        config::PrimaryDown::Wait(longest) => Some(longest),
    }
}

/// What sessions are told of the file.
pub fn session_settings(settings: &Settings) -> SessionSettings {
    let is_session = |pool: &config::UserPool| pool.mode == config::PoolMode::Session;
    let session_mode = SessionMode {
        listed: settings.users.iter().map(|user| (user.name.clone(), is_session(&user.pool))).collect(),
        others: is_session(&settings.pool.others),
    }
    .without_the_usual();
    SessionSettings {
        scope: match settings.consistency.scope {
            config::Scope::Off => ScopeKind::Off,
            config::Scope::Connection => ScopeKind::Connection,
            config::Scope::User => ScopeKind::User,
            config::Scope::Key => ScopeKind::Key,
            config::Scope::Sidecar => ScopeKind::Sidecar,
        },
        wait: match settings.consistency.wait {
            config::ReadWait::Auto => None,
            config::ReadWait::AtMost(wait) => Some(wait),
        },
        pin_for: settings.consistency.pin_for,
        max_lag_by_user: settings.users.iter().filter_map(|u| Some((u.name.clone(), u.max_lag?))).collect(),
        transactions: transactions(settings.route.transactions),
        transactions_by_user: settings
            .users
            .iter()
            .filter_map(|user| Some((user.name.clone(), transactions(user.transactions?))))
            .collect(),
        transaction_replay: settings.route.transaction_replay,
        verify_transactions: settings.verify_transactions,
        read_functions: Arc::new(ReadFunctions::new(&settings.route.read_functions)),
        rules: Rules::new(settings.rules.iter().map(rule).collect()),
        session_mode,
        max_packet: MAX_PACKET,
        idle_timeout: settings.limits.idle_client_timeout,
        stall: settings.limits.stalled_client_timeout,
        login_timeout: settings.limits.login_timeout,
        max_clients: settings.limits.max_clients as usize,
        max_prepared: settings.limits.max_prepared_statements as usize,
        kill_abandoned: settings.limits.kill_abandoned,
        version: settings.listen.server_version.clone(),
        slow: settings.log.slow,
        primary_down: without_primary(settings.route.primary_down),
        primary_down_by_user: settings
            .users
            .iter()
            .filter_map(|user| Some((user.name.clone(), without_primary(user.primary_down?))))
            .collect(),
        max_waiting: settings.limits.max_waiting as usize,
        limits_by_user: settings.users.iter().filter_map(|u| Some((u.name.clone(), u.max_clients?))).collect(),
    }
}

/// What the status page shows of the file. Certificates are good: they were just read.
pub(super) fn status_plan(settings: &Settings) -> Plan {
    let region = |server: &config::Server| Some((server.name.clone(), server.region.clone()?));
    Plan {
        region: settings.region.clone(),
        regions: settings.servers.iter().filter_map(region).collect(),
        show: match settings.listen.status {
            config::StatusPage::Auto => Show::Auto,
            config::StatusPage::Full => Show::Full,
            config::StatusPage::Counts => Show::Counts,
            config::StatusPage::Off => Show::Off,
        },
        bad_certificates: Vec::new(),
        is_reload_refused: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A hint counts more than a rule, a rule more than the user, the user more than the rest.
    #[test]
    fn whose_word_counts_about_transactions() {
        const TEXT: &str = "[route]\ntransactions = 'optimistic'\n[[server]]\nname = 'p'\naddress = 'db'\n\
                            role = 'primary'\n[[user]]\nname = 'a'\npassword = ''\ntransactions = 'primary'\n\
                            [[user]]\nname = 'b'\npassword = ''\n[[rule]]\nuser = 'a'\nschema = 'shop'\n\
                            transactions = 'optimistic'\n[[rule]]\nschema = 'bank'\ntransactions = 'primary'\n";
        let settings = config::parse(TEXT, "test.toml", Path::new("/"), &|_| None).expect("valid");
        let settings = session_settings(&settings);
        let (primary, optimistic) = (Transactions::Primary, Transactions::Optimistic);
        for (hint, user, schema, want) in [
            (None, "a", "", primary),
            (None, "a", "shop", optimistic),
            (None, "b", "", optimistic),
            (None, "b", "bank", primary),
            (Some(optimistic), "b", "bank", optimistic),
            (Some(primary), "a", "shop", primary),
        ] {
            let schema = (!schema.is_empty()).then_some(schema.as_bytes());
            assert_eq!(settings.transactions_for(hint, user, schema), want, "{hint:?} {user} {schema:?}");
        }
    }
}
