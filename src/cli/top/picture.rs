//! What `landbridge top` shows: from a report to lines. Pure.

use super::line::{Column, Line, Look, flow, table};
use crate::status::report::StatementLine;
use crate::status::report::{Clients, Detail, Health, Replication, Report, Role, RouteLine, ServerLine, State};
use std::collections::BTreeMap;
use std::time::Duration;

/// Routes that are shown.
const ROUTES: usize = 8;
/// The longest bar.
const BAR: usize = 24;

/// By what statements are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// How long all took.
    #[default]
    Total,
    /// How long one took.
    Mean,
    /// How long the longest took.
    Worst,
    /// How many.
    Count,
    /// When the last one ended.
    Last,
}

impl Order {
    const ALL: [(Self, &'static str, u8); 5] = [
        (Self::Total, "total", b't'),
        (Self::Mean, "mean", b'm'),
        (Self::Worst, "worst", b'w'),
        (Self::Count, "count", b'c'),
        (Self::Last, "last", b'l'),
    ];

    /// The one of a key.
    pub(super) fn of(key: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, _, its)| *its == key).map(|(order, ..)| order)
    }

    /// The next one.
    pub(super) fn next(self) -> Self {
        let mut all = Self::ALL.into_iter().cycle().skip_while(|(order, ..)| *order != self);
        all.nth(1).map_or(self, |(order, ..)| order)
    }

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(order, ..)| *order == self).map_or("", |(_, name, _)| name)
    }

    fn sort(self, lines: &mut [&StatementLine]) {
        match self {
            Self::Total => lines.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms)),
            Self::Mean => lines.sort_by(|a, b| b.mean_ms.total_cmp(&a.mean_ms)),
            Self::Worst => lines.sort_by(|a, b| b.worst_ms.total_cmp(&a.worst_ms)),
            Self::Count => lines.sort_by_key(|line| std::cmp::Reverse(line.count)),
            Self::Last => lines.sort_by_key(|line| line.last_seconds),
        }
    }
}

/// How much there is of something each second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    /// Statements.
    pub(super) statements: f64,
    /// Round trips saved.
    pub(super) saved: f64,
}

impl Rates {
    /// Between two reports; `None` if they are of different processes, or at once.
    pub(super) fn between(old: &Report, new: &Report, passed: Duration) -> Option<Self> {
        let statements = |report: &Report| report.routes.iter().map(|route| route.count).sum::<u64>();
        let grown = |old: u64, new: u64| Some(small(new.checked_sub(old)?) / passed.as_secs_f64());
        if passed.is_zero() {
            return None;
        }
        let saved = grown(old.round_trips.saved, new.round_trips.saved)?;
        Some(Self { statements: grown(statements(old), statements(new))?, saved })
    }
}

fn small(n: u64) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    /// What there is.
    pub(super) report: &'a Report,
    /// What changes.
    pub(super) rates: Option<Rates>,
    /// How statements are sorted.
    pub(super) order: Order,
    /// Characters in a line.
    pub(super) width: usize,
    /// Lines at most, if there is a limit.
    pub(super) height: Option<usize>,
}

/// Draws it.
pub(super) fn draw(view: &View<'_>) -> Vec<Line> {
    let View { report, width, .. } = *view;
    let mut lines = flow(head(report), width);
    for alarm in &report.alarms {
        lines.push(Line::of(if alarm.is_serious { Look::Bad } else { Look::Warn }, format!("! {}", alarm.text)));
    }
    lines.extend(report.not_ready.iter().map(|text| Line::of(Look::Warn, text)));
    lines.push(Line::new());
    lines.extend(servers(&report.servers, width));
    lines.push(Line::new());
    lines.extend(flow(clients(&report.clients), width));
    lines.extend(flow(round_trips(view), width));
    lines.extend(flow(waits(report), width));
    lines.push(Line::new());
    lines.extend(routes(view));
    lines.push(Line::new());
    lines.extend(statements(view));
    lines.truncate(view.height.unwrap_or(usize::MAX));
    lines
}

fn head(report: &Report) -> Vec<Line> {
    let state = match report.state {
        State::Serving => Look::Near,
        State::Warming | State::Paused | State::Lingering | State::Draining => Look::Warn,
    };
    let mut head = vec![Line::of(Look::Strong, "Landbridge").and(Look::Plain, format!(" {}", report.version))];
    head.extend(report.region.as_ref().map(|region| Line::of(Look::Plain, region)));
    head.push(Line::of(state, report.state.as_str()));
    head.push(Line::of(Look::Plain, format!("up {}", span(report.uptime_seconds))));
    head.push(Line::of(Look::Faint, format!("configuration {}", report.fingerprint)));
    head
}

const fn column(name: &'static str, from_width: usize) -> Column {
    Column { name, is_number: false, from_width }
}

const fn number(name: &'static str, from_width: usize) -> Column {
    Column { name, is_number: true, from_width }
}

const SERVERS: [Column; 12] = [
    column("SERVER", 0),
    column("ROLE", 50),
    column("REGION", 90),
    column("HEALTH", 0),
    number("RTT", 0),
    number("LAG", 0),
    column("READS", 70),
    number("USED", 0),
    number("IDLE", 0),
    number("OPENING", 80),
    number("WAIT", 0),
    number("KEPT", 70),
];

fn servers(servers: &[ServerLine], width: usize) -> Vec<Line> {
    let plain = |text: String| Line::of(Look::Plain, text);
    let row = |server: &ServerLine| {
        let (health, lag) = match (server.health, server.replication) {
            (Health::Down | Health::Doubtful, _) => (Look::Bad, Look::Plain),
            (Health::Up, Replication::Stopped) => (Look::Near, Look::Bad),
            (Health::Up, _) if server.lag_ms.is_some_and(|lag| lag > server.max_lag_ms) => (Look::Near, Look::Warn),
            (Health::Up, _) => (Look::Near, Look::Plain),
            (Health::Unknown, _) => (Look::Faint, Look::Plain),
        };
        let lag_text = match (server.replication, server.lag_ms) {
            (Replication::Stopped, _) => "stopped".to_owned(),
            (Replication::None, _) => String::new(),
            (_, lag) => lag.map_or("?".to_owned(), |lag| millis(small(lag))),
        };
        let counts = server.connections;
        let waiting = if counts.waiting > 0 { Look::Warn } else { Look::Plain };
        vec![
            Line::of(if server.is_near { Look::Near } else { Look::Far }, &server.name),
            plain(if server.role == Role::Primary { "primary".into() } else { "replica".into() }),
            plain(server.region.clone().unwrap_or_default()),
            Line::of(health, server.health.as_str()),
            plain(server.rtt_ms.map(millis).unwrap_or_default()),
            Line::of(lag, lag_text),
            plain(if server.takes_reads { "yes".into() } else { "no".into() }),
            plain((counts.leased + counts.resetting).to_string()),
            plain(counts.idle.to_string()),
            plain(counts.warming.to_string()),
            Line::of(waiting, counts.waiting.to_string()),
            plain(counts.target.to_string()),
        ]
    };
    let mut lines = table(&SERVERS, &servers.iter().map(row).collect::<Vec<_>>(), width);
    let whys = servers.iter().filter_map(|server| Some((server, server.why.as_ref()?)));
    lines.extend(whys.map(|(server, why)| Line::of(Look::Warn, format!("  {}: {why}", server.name))));
    lines
}

fn clients(clients: &Clients) -> Vec<Line> {
    let mut phrases = vec![Line::of(Look::Strong, format!("{} clients", thousands(small_count(clients.connected))))];
    let mut add = |n: usize, what: &str, look: Look| {
        if n > 0 {
            phrases.push(Line::of(look, format!("{n} {what}")));
        }
    };
    add(clients.running, "running a statement", Look::Plain);
    add(clients.logging_in, "logging in", Look::Plain);
    add(clients.free, "holding nothing", Look::Plain);
    add(clients.begun, "begun", Look::Plain);
    add(clients.in_transaction, "in a transaction", Look::Plain);
    add(clients.pinned, &format!("pinned{}", bracketed(&clients.pins)), Look::Plain);
    add(clients.waiting_for_connection, "waiting for a connection", Look::Warn);
    add(clients.waiting_at_gate, "waiting for a primary or RESUME", Look::Warn);
    phrases
}

fn round_trips(view: &View<'_>) -> Vec<Line> {
    let trips = &view.report.round_trips;
    let mut phrases = vec![Line::of(Look::Strong, format!("{} round trips saved", thousands(trips.saved)))];
    phrases.extend(view.rates.map(|rates| Line::of(Look::Near, format!("{} a second now", rate(rates.saved)))));
    phrases.extend(trips.spent.map(|spent| Line::of(Look::Plain, format!("{} waited for", thousands(spent)))));
    let mut by: Vec<_> = trips.saved_by.iter().collect();
    by.sort_by(|a, b| b.1.cmp(a.1));
    phrases.extend(by.into_iter().map(|(kind, n)| Line::of(Look::Faint, format!("{kind} {}", thousands(*n)))));
    phrases
}

fn waits(report: &Report) -> Vec<Line> {
    let waits = &report.consistency.waits;
    let total: u64 = waits.values().sum();
    vec![
        Line::of(Look::Plain, format!("{} stale reads avoided", thousands(report.consistency.stale_reads_avoided))),
        Line::of(Look::Plain, format!("{} reads waited for a replica{}", thousands(total), bracketed(waits))),
    ]
}

fn bracketed(counts: &BTreeMap<String, u64>) -> String {
    let parts: Vec<String> = counts.iter().map(|(name, n)| format!("{name} {n}")).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

const ROUTE_COLUMNS: [Column; 4] = [number("COUNT", 0), column("TO", 0), column("WHY", 0), column("SHARE", 60)];

fn routes(view: &View<'_>) -> Vec<Line> {
    let routes = &view.report.routes;
    let (total, most): (u64, u64) =
        (routes.iter().map(|route| route.count).sum(), routes.first().map_or(1, |route| route.count.max(1)));
    let row = |route: &RouteLine| {
        let look = if route.target == "primary" { Look::Far } else { Look::Near };
        let length = usize::try_from(route.count.saturating_mul(BAR as u64).div_ceil(most)).unwrap_or(BAR);
        vec![
            Line::of(Look::Plain, thousands(route.count)),
            Line::of(look, &route.target),
            Line::of(Look::Plain, &route.reason),
            Line::of(look, "█".repeat(length)),
        ]
    };
    let now = view.rates.map(|rates| format!("{} a second now", rate(rates.statements)));
    let mut phrases = vec![Line::of(Look::Strong, format!("{} statements", thousands(total)))];
    phrases.extend(now.map(|now| Line::of(Look::Near, now)));
    let mut lines = flow(phrases, view.width);
    if !routes.is_empty() {
        lines.extend(table(&ROUTE_COLUMNS, &routes.iter().take(ROUTES).map(row).collect::<Vec<_>>(), view.width));
    }
    lines
}

const STATEMENT_COLUMNS: [Column; 8] = [
    number("COUNT", 0),
    number("MEAN", 0),
    number("WORST", 70),
    number("TOTAL", 90),
    number("LAST", 110),
    column("TO", 0),
    column("WHY", 60),
    column("DIGEST", 0),
];

fn statements(view: &View<'_>) -> Vec<Line> {
    let View { report, order, width, .. } = *view;
    if report.detail == Detail::Counts {
        return vec![Line::of(Look::Faint, "statements are shown on Landbridge's own machine; see [listen] status")];
    }
    let mut statements: Vec<&StatementLine> = report.statements.iter().collect();
    order.sort(&mut statements);
    let row = |line: &&StatementLine| {
        let plain = |text: String| Line::of(Look::Plain, text);
        vec![
            plain(thousands(line.count)),
            plain(millis(line.mean_ms)),
            plain(millis(line.worst_ms)),
            plain(millis(line.total_ms)),
            plain(span(line.last_seconds)),
            Line::of(if line.target == "primary" { Look::Far } else { Look::Near }, &line.target),
            Line::of(Look::Faint, &line.reason),
            plain(line.digest.clone()),
        ]
    };
    let mut lines = vec![Line::of(Look::Strong, "slow statements").and(Look::Faint, format!(" by {}", order.name()))];
    lines.extend(table(&STATEMENT_COLUMNS, &statements.iter().map(row).collect::<Vec<_>>(), width));
    lines
}

fn small_count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// With a comma between each three digits.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn rate(each_second: f64) -> String {
    if each_second > 0.0 && each_second < 10.0 { format!("{each_second:.1}") } else { format!("{each_second:.0}") }
}

fn millis(ms: f64) -> String {
    match ms {
        100_000.0.. => format!("{:.0} s", ms / 1e3),
        1_000.0.. => format!("{:.1} s", ms / 1e3),
        100.0.. => format!("{ms:.0} ms"),
        10.0.. => format!("{ms:.1} ms"),
        _ => format!("{ms:.2} ms"),
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests;
