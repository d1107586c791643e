//! The answer to what asks: from what is known at this moment to a table.

use super::Console;
use super::parse::{Command, Filter, Show};
use super::tables::{Table, ago, cell, clients, lag, pools, routes, servers, stats, tokens};
use super::variables::{self, Asker, SCHEMA};
use crate::frontend::digests::Digests;
use crate::frontend::holds::Holds;
use crate::pool::Counts;
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use crate::protocol::resultset::ColumnType;
use std::time::Instant;

/// An answer: columns and rows.
#[derive(Debug)]
pub(super) struct Answer {
    /// The columns.
    pub columns: Vec<(Vec<u8>, ColumnType)>,
    /// The rows.
    pub rows: Vec<Vec<Option<Vec<u8>>>>,
}

impl From<Table> for Answer {
    fn from(table: Table) -> Self {
        let columns = table.columns.into_iter().map(|(name, kind)| (name.into(), kind)).collect();
        let bytes = |row: Vec<Option<String>>| row.into_iter().map(|cell| cell.map(String::into_bytes)).collect();
        Self { columns, rows: table.rows.into_iter().map(bytes).collect() }
    }
}

/// What a command that only asks is answered; `None`: it does not only ask.
pub(super) fn answer(console: &Console, asker: &Asker<'_>, command: &Command) -> Option<Result<Answer, ServerError>> {
    match command {
        Command::Show(show, filter) => Some(filtered(table(console, *show), filter).map(Answer::from)),
        Command::Variables(filter) => Some(Ok(variables::table(filter).into())),
        Command::Empty(columns) => {
            let columns = columns.iter().map(|name| (name.clone().into_bytes(), ColumnType::TEXT)).collect();
            Some(Ok(Answer { columns, rows: Vec::new() }))
        }
        Command::Select(items) => Some(select(items, asker)),
        Command::Accepted | Command::Reconnect(_) | Command::Kill { .. } | Command::Act(_) => None,
    }
}

fn filtered(mut table: Table, filter: &Filter) -> Result<Table, ServerError> {
    let columns: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    if let Some(stranger) = filter.stranger(&columns) {
        return Err(errno::unknown_column(stranger, &columns.join(", ")));
    }
    table.rows.retain(|row| filter.fits(&columns, row));
    Ok(table)
}

fn select(items: &[(String, String)], asker: &Asker<'_>) -> Result<Answer, ServerError> {
    let mut answer = Answer { columns: Vec::new(), rows: vec![Vec::new()] };
    for (expression, name) in items {
        let Ok(value) = variables::value(expression, asker) else {
            return Err(match expression.strip_prefix("@@") {
                Some(name) => errno::unknown_variable(name),
                None => errno::not_of_the_console(expression),
            });
        };
        let is_number = value.as_ref().is_some_and(|value| value.parse::<i64>().is_ok());
        let kind = if is_number { ColumnType::Count } else { ColumnType::TEXT };
        answer.columns.push((name.clone().into_bytes(), kind));
        answer.rows.iter_mut().for_each(|row| row.push(value.clone().map(String::into_bytes)));
    }
    Ok(answer)
}

fn table(console: &Console, show: Show) -> Table {
    let (shared, now) = (&console.shared, Instant::now());
    let snapshot = shared.snapshot();
    match show {
        Show::Pools => pools::table(&shared.pools.all()),
        Show::Clients => clients::table(&shared.registry.views(), &snapshot, now),
        Show::Servers => servers::table(&snapshot, &beside(console)),
        Show::Stats => stats::table(&console.metrics.readings()),
        Show::Routes => routes::table(&shared.digests.as_ref().map(Digests::list).unwrap_or_default()),
        Show::Lag => lag::table(&snapshot, &console.metrics.readings()),
        Show::Tokens => tokens::table(&shared.scopes, &snapshot, now),
        Show::Config => config(console),
        Show::Lists => lists(console),
        Show::Databases => {
            let mut table = Table::new(&["Database"]);
            table.add([cell(SCHEMA)]);
            table
        }
        Show::Version => {
            let mut table = Table::new(&["version", "up", "clients_see"]);
            let version = env!("CARGO_PKG_VERSION");
            table.add([cell(version), cell(ago(console.started.elapsed())), cell(shared.welcome().version)]);
            table
        }
        Show::Help => help(),
    }
}

/// What the snapshot does not know of the servers.
fn beside(console: &Console) -> Vec<servers::Beside> {
    let pools = console.shared.pools.all();
    let of = |server: &std::sync::Arc<crate::backend::server::Server>| {
        let mut sum = Counts::default();
        for counts in pools.iter().filter(|pool| pool.server().id == server.id).map(|pool| pool.counts()) {
            sum.idle += counts.idle;
            sum.leased += counts.leased;
            sum.resetting += counts.resetting;
        }
        let region = console.control.region(&server.name);
        servers::Beside { address: server.address.to_string(), region, counts: sum }
    };
    console.shared.pools.servers().all().iter().map(of).collect()
}

fn config(console: &Console) -> Table {
    let mut table = Table::new(&["key", "value", "default"]);
    for setting in console.control.settings() {
        table.add([cell(setting.key), cell(setting.value), cell(if setting.is_default { "yes" } else { "no" })]);
    }
    table
}

fn lists(console: &Console) -> Table {
    let shared = &console.shared;
    let clients = shared.registry.views();
    let count = |is_meant: &dyn Fn(&Holds) -> bool| clients.iter().filter(|client| is_meant(&client.holds)).count();
    let pools = shared.pools.all();
    let sum = |of: fn(Counts) -> usize| pools.iter().map(|pool| of(pool.counts())).sum::<usize>();
    let mut users: Vec<&str> = pools.iter().map(|pool| &*pool.account().user).collect();
    users.sort_unstable();
    users.dedup();
    let mut table = Table::new(&["list", "#items"]);
    for (name, items) in [
        ("servers", shared.pools.servers().in_use().len()),
        ("users", users.len()),
        ("pools", pools.len()),
        ("connections", sum(|counts| counts.idle + counts.leased + counts.resetting)),
        ("connections_leased", sum(|counts| counts.leased)),
        ("waiting", sum(|counts| counts.waiting)),
        ("clients", clients.len()),
        ("clients_at_the_gate", shared.gate.waiting()),
        ("clients_running", clients.iter().filter(|client| client.running.is_some()).count()),
        ("clients_in_transaction", count(&|holds| matches!(holds, Holds::Begun | Holds::Transaction(_)))),
        ("clients_pinned", count(&|holds| matches!(holds, Holds::Pinned(..)))),
        ("keys", shared.scopes.keys()),
        ("digests", shared.digests.as_ref().map_or(0, |digests| digests.list().len())),
    ] {
        table.add([cell(name), cell(items)]);
    }
    table
}

/// What else can be typed.
const COMMANDS: &[(&str, &str)] = &[
    ("SHOW .. LIKE 'app%'", "rows of which any cell is like it; or WHERE column = 'value' [AND ..], column LIKE '..'"),
    ("RECONNECT [server]", "replace every connection: idle ones by and by, others when they are given back"),
    ("KILL [QUERY] id", "end a client, or only what it runs"),
    ("PAUSE", "let statements wait that hold no connection; affected rows: connections still in use"),
    ("RESUME", "let them go on; affected rows: statements that waited"),
    ("RELOAD", "read the file again"),
    ("DRAIN", "accept no new clients, let the present ones finish, and end"),
    ("SHUTDOWN", "the same"),
    ("SET log_level = 'debug'", "how much is logged: error, warn, info, debug, trace"),
];

fn help() -> Table {
    let mut table = Table::new(&["command", "what_it_does"]);
    for (_, name, help) in Show::ALL {
        table.add([cell(format!("SHOW {name}")), cell(help)]);
    }
    for (command, help) in COMMANDS {
        table.add([cell(command), cell(help)]);
    }
    table
}
