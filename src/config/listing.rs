//! The settings in use, key by key, for whoever asks what they are.

use std::fmt::Display;
use std::time::Duration;

use super::settings::{Auth, ClientTls, PrimaryDown, ReadWait, Server, ServerTls, Settings, Trust, User};

/// A key with its value, in the order of `proxy.toml`. Secrets are left out.
pub type Listed = (String, String);

/// What every key is set to, by the file or by default.
#[must_use]
pub fn list(settings: &Settings) -> Vec<Listed> {
    // No `..`: a new field has to decide how it is shown.
    let Settings {
        region,
        listen,
        servers,
        auth,
        users,
        monitor,
        pool,
        consistency,
        route,
        rules,
        limits,
        log,
        shutdown,
        admin,
        warnings: _,
        verify_transactions: _,
    } = settings;
    let mut rows = Rows(Vec::new());
    rows.add("region", or_none(region.as_ref()));
    rows.auth(*auth);
    for server in servers {
        rows.server(server);
    }
    for user in users {
        rows.user(user);
    }
    rows.add("monitor.user", &monitor.user);
    rows.add("monitor.interval", span(monitor.interval));
    rows.add("monitor.timeout", span(monitor.timeout));
    rows.add("monitor.replica_interval", span(monitor.replica_interval));
    rows.add("monitor.dns_interval", span(monitor.dns_interval));
    rows.add("monitor.down_after", monitor.down_after);
    rows.add("monitor.up_after", monitor.up_after);
    rows.add("monitor.heartbeat", or_none(monitor.heartbeat.as_ref().map(|(schema, name)| format!("{schema}.{name}"))));
    rows.add("listen.mysql", listen.mysql.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    rows.add("listen.admin", or_off(listen.admin.as_ref()));
    rows.add("listen.http", or_off(listen.http));
    rows.add("listen.status", listen.status);
    rows.add(
        "listen.tls",
        match listen.tls {
            ClientTls::Off => "off",
            ClientTls::Optional(_) => "optional",
            ClientTls::Required(_) => "required",
        },
    );
    rows.add("listen.server_version", or_none(listen.server_version.as_ref()));
    rows.add("listen.unix_mode", format!("{:04o}", listen.unix_mode));
    rows.add("pool.mode", pool.others.mode);
    rows.add("pool.min_warm", pool.others.min_warm);
    rows.add("pool.max", pool.others.max);
    rows.add("pool.checkout_timeout", span(pool.checkout_timeout));
    rows.add("pool.connect_timeout", span(pool.connect_timeout));
    rows.add("pool.idle_timeout", or_never(pool.idle_timeout));
    rows.add("pool.max_lifetime", or_never(pool.max_lifetime));
    rows.add("pool.ping_after", or_never(pool.ping_after));
    rows.add("pool.max_parallel_dials", pool.max_parallel_dials);
    rows.add("pool.pipelining", pool.pipelining);
    rows.add("consistency.scope", consistency.scope);
    rows.add(
        "consistency.wait",
        match consistency.wait {
            ReadWait::Auto => "auto".to_owned(),
            ReadWait::AtMost(wait) => span(wait),
        },
    );
    rows.add("consistency.pin_for", span(consistency.pin_for));
    rows.add("consistency.per_table", consistency.per_table);
    rows.add("route.read_functions", route.read_functions.join(", "));
    rows.add("route.primary_down", without_primary(route.primary_down));
    rows.add("route.transactions", route.transactions);
    rows.add("route.transaction_replay", route.transaction_replay);
    rows.add("rules", rules.len());
    rows.add("limits.max_clients", limits.max_clients);
    rows.add("limits.login_timeout", span(limits.login_timeout));
    rows.add("limits.max_packet_before_login", limits.max_packet_before_login);
    rows.add("limits.memory", limits.memory);
    rows.add("limits.stalled_client_timeout", or_never(limits.stalled_client_timeout));
    rows.add("limits.idle_client_timeout", or_never(limits.idle_client_timeout));
    rows.add("limits.max_prepared_statements", limits.max_prepared_statements);
    rows.add("limits.max_waiting", limits.max_waiting);
    rows.add("limits.kill_abandoned", limits.kill_abandoned);
    rows.add("limits.threads", limits.threads.map_or_else(|| "half of the processors".to_owned(), |n| n.to_string()));
    rows.add("log.level", log.level);
    rows.add("log.format", log.format);
    rows.add("log.slow", or_never(log.slow));
    rows.add("admin.user", or_none(admin.account.as_ref().map(|(user, _)| user)));
    rows.add("admin.digests", admin.digests);
    rows.add("shutdown.drain_timeout", span(shutdown.drain_timeout));
    rows.add("shutdown.takeover_timeout", span(shutdown.takeover_timeout));
    rows.0
}

struct Rows(Vec<Listed>);

impl Rows {
    fn add(&mut self, key: impl Into<String>, value: impl Display) {
        self.0.push((key.into(), value.to_string()));
    }

    fn auth(&mut self, auth: Auth) {
        match auth {
            Auth::File => self.add("auth", "file"),
            Auth::Passthrough { recheck } => {
                self.add("auth", "passthrough");
                self.add("auth_recheck", span(recheck));
            }
        }
    }

    fn server(&mut self, server: &Server) {
        let Server { name, address, role, region, weight, max_lag, tls } = server;
        let key = |key: &str| format!("server.{name}.{key}");
        self.add(key("address"), address);
        self.add(key("role"), role);
        self.add(key("region"), or_none(region.as_ref()));
        self.add(key("weight"), weight);
        self.add(key("max_lag"), span(*max_lag));
        self.add(
            key("tls"),
            match tls {
                ServerTls::Off => "off",
                ServerTls::On { trust: Trust::VerifyFull { .. }, .. } => "verify-full",
                ServerTls::On { trust: Trust::VerifyCa { .. }, .. } => "verify-ca",
                ServerTls::On { trust: Trust::Pin(_), .. } => "pin",
            },
        );
    }

    fn user(&mut self, user: &User) {
        let User { name, password: _, max_clients, max_lag, transactions, primary_down, pool } = user;
        let key = |key: &str| format!("user.{name}.{key}");
        self.add(key("max_clients"), or_none(max_clients.as_ref()));
        self.add(key("max_lag"), or_none(max_lag.map(span)));
        self.add(key("transactions"), or_none(transactions.as_ref()));
        self.add(key("primary_down"), or_none(primary_down.map(without_primary)));
        self.add(key("pool_mode"), pool.mode);
        self.add(key("min_warm"), pool.min_warm);
        self.add(key("max"), pool.max);
    }
}

fn without_primary(what: PrimaryDown) -> String {
    match what {
        PrimaryDown::Fail => "fail".to_owned(),
        PrimaryDown::Wait(longest) => format!("wait {}", span(longest)),
    }
}

fn or_none(value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn or_off(value: Option<impl Display>) -> String {
    value.map_or_else(|| "off".to_owned(), |value| value.to_string())
}

fn or_never(value: Option<Duration>) -> String {
    value.map_or_else(|| "off".to_owned(), span)
}

/// A duration as the file has it, in the largest unit that fits.
fn span(duration: Duration) -> String {
    const UNITS: [(u128, &str); 6] =
        [(86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms"), (1, "us")];
    let micros = duration.as_micros();
    let unit = UNITS.iter().find(|(size, _)| micros > 0 && micros.is_multiple_of(*size));
    unit.map_or_else(|| "0s".to_owned(), |(size, name)| format!("{}{name}", micros / size))
}
