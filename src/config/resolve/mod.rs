//! From the document to [`Settings`], collecting every fault on the way.
//!
//! Each file here reads one part and supplies its defaults. A faulty value is replaced by its
//! default while the rest is read; the settings are handed out only if nothing was reported.

mod admin;
mod listen;
mod listen_tls;
mod password;
mod process;
mod rule;
mod server;
mod server_tls;
mod traffic;
mod user;

pub(super) use self::listen::default_http;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use toml::de::DeTable;

use super::address::ServerAddress;
use super::document::{Document, Found, Secrets, Spot};
use super::fault::{Faults, Problem};
use super::nearest::nearest;
use super::reader::Section;
use super::settings::{Auth, Server, ServerTls, Settings};

/// Most syntax errors reported of one file.
const MOST_SYNTAX_FAULTS: usize = 5;

/// Reads the whole file.
pub(super) fn resolve(
    text: &str,
    file: &str,
    base_dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    secrets: Secrets,
) -> Result<Settings, Faults> {
    let document = Document::new(text, file, base_dir, env).with(secrets);
    let (table, errors) = DeTable::parse_recoverable(document.text());
    let settings = if errors.is_empty() {
        read(Section::root(&document, table.into_inner()))
    } else {
        report_syntax(&document, &errors);
        None
    };
    let (faults, warnings) = document.into_reports();
    match (Faults::from_found(faults), settings) {
        (None, Some(settings)) => Ok(Settings { warnings, ..settings }),
        (Some(faults), _) => Err(faults),
        // Not reached: what is missing without a fault would be an error in this module.
        (None, None) => {
            let problem = Problem::new("the file is incomplete", "compare it with proxy.toml");
            Err(Faults::file(file, None, problem))
        }
    }
}

/// What is not TOML: the first error of each line, and few of them, as later ones mostly follow.
///
/// Nothing else of such a file is reported: what its keys mean is a guess.
fn report_syntax(document: &Document<'_>, errors: &[toml::de::Error]) {
    let mut by_line = BTreeMap::new();
    for error in errors {
        let at = error.span().map(|span| document.position(span.start));
        by_line.entry(at.map(|at| at.line)).or_insert((at, error.message()));
    }
    for (at, message) in by_line.into_values().take(MOST_SYNTAX_FAULTS) {
        // The message alone: toml's own display quotes the line, which may hold a password.
        let problem = match message {
            // What toml says of an unquoted word depends on its first letter.
            _ if message.starts_with("invalid boolean") || message.contains("must be quoted") => {
                Problem::new("not TOML: not a value", "write texts in double quotes")
            }
            _ => Problem::new(format!("not TOML: {message}"), "correct the syntax first"),
        };
        let spot = Spot { at, key: String::new(), place: String::new() };
        document.fault(&spot, problem);
    }
}

/// `None` once something without a default is missing or faulty.
fn read(mut root: Section<'_, '_>) -> Option<Settings> {
    let region = root.parsed("region", "write it in quotes", region_name);
    let auth = user::auth(&mut root);

    let (listen, addresses) = listen::read(root.section("listen"));
    let (max_lag, route) = traffic::route(root.section("route"));
    let servers = server::read(&mut root, max_lag, &addresses);
    let pool = traffic::pool(root.section("pool"));
    let users = user::read(&mut root, auth, pool.others);
    let monitor = process::monitor(root.section("monitor"), users.as_deref());
    let consistency = traffic::consistency(root.section("consistency"));
    let rules = rule::read(&mut root, users.as_deref().filter(|_| auth == Auth::File));
    let limits = traffic::limits(root.section("limits"));
    let log = process::log(root.section("log"));
    let shutdown = process::shutdown(root.section("shutdown"));
    let admin = admin::read(root.section("admin"), users.as_deref());

    if let (Auth::Passthrough { .. }, Some(servers)) = (auth, &servers) {
        refuse_borrowed_identity(&root, servers);
    }
    if let (Some(region), Some(servers)) = (&region, &servers) {
        warn_of_region(&root, region, servers);
    }
    root.finish();
    Some(Settings {
        region: region.value(),
        listen,
        servers: servers?,
        auth,
        users: users?,
        monitor: monitor?,
        pool,
        consistency,
        route,
        rules,
        limits,
        log,
        shutdown,
        admin,
        warnings: Vec::new(),
        verify_transactions: true,
    })
}

/// Over a unix socket, or with a client certificate, a server may let in whoever Landbridge itself is,
/// whatever password a stranger has shown.
fn refuse_borrowed_identity(root: &Section<'_, '_>, servers: &[Server]) {
    for server in servers {
        let over_socket = matches!(server.address, ServerAddress::Unix(_));
        let shows_certificate = matches!(server.tls, ServerTls::On { identity: Some(_), .. });
        if over_socket || shows_certificate {
            let what = if over_socket { "a unix socket" } else { "a client certificate" };
            let text = format!("passthrough with {what} towards server \"{}\"", server.name);
            let fix =
                "servers may take it for the client's identity; reach the server by TCP without one, or list the users";
            root.document().fault(&root.absent("auth"), Problem::new(text, fix));
        }
    }
}

/// A region without a server is legal, and often a typing mistake.
fn warn_of_region(root: &Section<'_, '_>, region: &Found<String>, servers: &[Server]) {
    let known: Vec<&str> = servers.iter().filter_map(|server| server.region.as_deref()).collect();
    if known.contains(&region.value.as_str()) {
        return;
    }
    // A server's region may come from the environment, but names of regions are no secrets.
    let fix = match nearest(&region.value, known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "add a replica here, or expect every read to travel".to_owned(),
    };
    root.document().warn(&region.spot, Problem::new("no server is in this region", fix));
}

/// A region: a short name that may stand in a metric label.
fn region_name(text: &str) -> Result<String, Problem> {
    name(text, 64)
}

/// A name of at most `longest` bytes without control characters.
fn name(text: &str, longest: usize) -> Result<String, Problem> {
    if text.trim() != text || text.is_empty() || text.chars().any(char::is_control) {
        return Err(Problem::new(
            "not a name",
            "write at least one character, no control characters, no space at either end",
        ));
    }
    if text.len() > longest {
        return Err(Problem::new(format!("longer than {longest} bytes"), "choose a shorter name"));
    }
    Ok(text.to_owned())
}

/// Shorthands for a value that may be absent.
trait Value<T> {
    /// The value without its place.
    fn value(self) -> Option<T>;
    /// The value, or the default.
    fn or_default_of(self, default: T) -> T;
}

impl<T> Value<T> for Option<Found<T>> {
    fn value(self) -> Option<T> {
        self.map(Found::into_value)
    }

    fn or_default_of(self, default: T) -> T {
        self.map_or(default, Found::into_value)
    }
}

/// A duration where the file's zero means that the thing is off.
fn unless_zero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}
