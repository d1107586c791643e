//! `[listen]`: addresses, and TLS where plaintext would leave the machine.

use std::net::{Ipv4Addr, SocketAddr};

use super::{Value, listen_tls};
use crate::config::address::{ListenAddress, parse_tcp_listen};
use crate::config::document::{Found, Spot};
use crate::config::fault::Problem;
use crate::config::reader::Section;
use crate::config::settings::{Listen, StatusPage};

const MYSQL_PORT: u16 = 3306;
const ADMIN_PORT: u16 = 6032;
const HTTP_PORT: u16 = 9306;
const UNIX_MODE: u32 = 0o660;

/// An address that is listened on.
pub(super) struct Listening {
    /// The key that says so: `mysql`, `admin` or `http`.
    pub(super) key: &'static str,
    /// The address.
    pub(super) address: ListenAddress,
    /// Where it is written; `at` is `None` for a default.
    pub(super) spot: Spot,
}

/// Reads the section; the addresses are for checks against those of the servers.
pub(super) fn read(mut section: Section<'_, '_>) -> (Listen, Vec<Listening>) {
    let no_address = Problem::new("no address to listen on", "write \"127.0.0.1:3306\" or leave it out");
    let mysql = section.list("mysql", ListenAddress::parse, Some(no_address)).unwrap_or_else(|| {
        let value = ListenAddress::Tcp(local(MYSQL_PORT));
        vec![Found { value, spot: section.absent("mysql") }]
    });
    let admin = address_or_off(&mut section, "admin", ListenAddress::Tcp(local(ADMIN_PORT)), ListenAddress::parse);
    let http = address_or_off(&mut section, "http", default_http(), parse_tcp_listen);

    let addresses = in_order(&mysql, admin.as_ref(), http.as_ref());
    report_collisions(&section, &addresses);
    let tls = listen_tls::read(&mut section, &addresses);
    let server_version = section.parsed("server_version", "write it in quotes", version);
    let status = section.word("status", StatusPage::WORDS);
    warn_of_open_http(&section, http.as_ref(), status.as_ref());
    let unix_mode = section.parsed("unix_mode", MODE_EXAMPLE, mode);
    section.finish();

    let listen = Listen {
        mysql: mysql.into_iter().map(Found::into_value).collect(),
        admin: admin.value(),
        http: http.value(),
        status: status.or_default_of(StatusPage::Auto),
        tls,
        server_version: server_version.value(),
        unix_mode: unix_mode.or_default_of(UNIX_MODE),
    };
    (listen, addresses)
}

/// Where HTTP is unless the file says otherwise.
pub(in crate::config) fn default_http() -> SocketAddr {
    local(HTTP_PORT)
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// An address, the default when absent, or `None` for `""` (and for what was reported).
fn address_or_off<T>(
    section: &mut Section<'_, '_>,
    key: &'static str,
    default: T,
    parse: impl FnOnce(&str) -> Result<T, Problem>,
) -> Option<Found<T>> {
    let is_written = section.has(key);
    let found = section.parsed(key, "write it in quotes; \"\" = off", |text| {
        if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
    });
    match found {
        Some(Found { value, spot }) => value.map(|value| Found { value, spot }),
        None if is_written => None,
        None => Some(Found { value: default, spot: section.absent(key) }),
    }
}

/// Every address with its key, as in [`Listen`].
fn in_order(
    mysql: &[Found<ListenAddress>],
    admin: Option<&Found<ListenAddress>>,
    http: Option<&Found<SocketAddr>>,
) -> Vec<Listening> {
    let listening = |key, address: ListenAddress, spot: &Spot| Listening { key, address, spot: spot.clone() };
    let mysql = mysql.iter().map(|found| listening("mysql", found.value.clone(), &found.spot));
    let admin = admin.map(|found| listening("admin", found.value.clone(), &found.spot));
    let http = http.map(|found| listening("http", ListenAddress::Tcp(found.value), &found.spot));
    mysql.chain(admin).chain(http).collect()
}

/// Two listeners at one address; reported at the one the file names, else at the later.
fn report_collisions(section: &Section<'_, '_>, addresses: &[Listening]) {
    for (index, later) in addresses.iter().enumerate() {
        let earlier = addresses.iter().take(index);
        for earlier in earlier.filter(|earlier| earlier.address.collides(&later.address)) {
            let (here, there) = if later.spot.at.is_none() { (earlier, later) } else { (later, earlier) };
            section.document().fault(
                &here.spot,
                Problem::new(
                    format!("{} listens there as well ({})", there.key, there.spot.line()),
                    "choose another port or path",
                ),
            );
        }
    }
}

fn warn_of_open_http(section: &Section<'_, '_>, http: Option<&Found<SocketAddr>>, status: Option<&Found<StatusPage>>) {
    if let Some(http) = http
        && !ListenAddress::Tcp(http.value).is_local()
    {
        let problem =
            Problem::new("other machines can read metrics and health", "keep it inside a network of your own");
        section.document().warn(&http.spot, problem);
        if let Some(status) = status.filter(|status| status.value == StatusPage::Full) {
            let problem = Problem::new(
                "they can read digests of statements and users' names, too",
                "if they should not: \"auto\"",
            );
            section.document().warn(&status.spot, problem);
        }
    }
}

/// The version sent in the greeting: drivers parse its leading number.
fn version(text: &str) -> Result<String, Problem> {
    let printable = text.chars().all(|c| c.is_ascii_graphic());
    if text.starts_with(|c: char| c.is_ascii_digit()) && printable && text.len() <= 64 {
        return Ok(text.to_owned());
    }
    Err(Problem::new("not a version drivers can parse", "write it like \"8.4.0\""))
}

const MODE_EXAMPLE: &str = "write octal permission bits in quotes, such as \"0660\"";

/// Permission bits in octal.
fn mode(text: &str) -> Result<u32, Problem> {
    let octal = (3..=4).contains(&text.len()) && text.chars().all(|c| c.is_digit(8));
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| octal && *mode <= 0o777)
        .ok_or_else(|| Problem::new("not permission bits", MODE_EXAMPLE))
}
