//! `tls` of a server: verify-full unless the file says otherwise in words.

use super::Value;
use super::listen_tls::identity;
use crate::config::address::{ServerAddress, is_host_name};
use crate::config::document::{Found, Spot};
use crate::config::fault::Problem;
use crate::config::reader::{Section, unknown_word};
use crate::config::settings::{ServerTls, TlsIdentity, Trust};

/// The word in `tls = ".."` or `tls = { mode = ".." }`.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    VerifyFull,
    VerifyCa,
    Pin,
    Off,
}

const MODES: &[(&str, Mode)] =
    &[("verify-full", Mode::VerifyFull), ("verify-ca", Mode::VerifyCa), ("pin", Mode::Pin), ("off", Mode::Off)];

const EXAMPLE: &str = "write tls = \"off\", or tls = { mode = \"verify-full\", ca = \"ca.pem\" }";
const PIN_EXAMPLE: &str = "write \"sha256:\" and 64 hexadecimal digits";
/// The keys that only mean something with TLS.
const DETAILS: [&str; 5] = ["ca", "cert", "key", "server_name", "pin"];

/// Reads the key; `address` is `None` if it could not be read.
pub(super) fn read(section: &mut Section<'_, '_>, address: Option<&ServerAddress>) -> ServerTls {
    let is_unix = matches!(address, Some(ServerAddress::Unix(_)));
    let (tls, spot) = if section.is_table("tls") {
        match section.inline("tls", "tls.") {
            Some(table) => from_table(table),
            None => return ServerTls::Off,
        }
    } else {
        let is_written = section.has("tls");
        match section.parsed("tls", EXAMPLE, shortcut) {
            Some(Found { value, spot }) => (value, spot),
            None if is_written || is_unix => return ServerTls::Off,
            None => return plain(Trust::VerifyFull { ca: None }),
        }
    };
    let document = section.document();
    match (&tls, address) {
        (ServerTls::On { .. }, Some(ServerAddress::Unix(_))) => {
            document
                .fault(&spot, Problem::new("a unix socket never leaves the machine", "remove tls from this server"));
        }
        (ServerTls::Off, Some(address)) if !address.is_local() => document.warn(
            &spot,
            Problem::new(
                "everything sent to this server can be read on the way",
                "prefer \"verify-full\", or \"pin\" where there is no authority",
            ),
        ),
        _ => {}
    }
    tls
}

/// TLS with nothing but the trust given.
fn plain(trust: Trust) -> ServerTls {
    ServerTls::On { trust, server_name: None, identity: None }
}

fn shortcut(text: &str) -> Result<ServerTls, Problem> {
    match MODES.iter().find(|(word, _)| *word == text) {
        Some((_, Mode::Off)) => Ok(ServerTls::Off),
        Some((_, Mode::VerifyFull)) => Ok(plain(Trust::VerifyFull { ca: None })),
        Some((_, Mode::VerifyCa)) => {
            Err(Problem::new("the authority is missing", "write tls = { mode = \"verify-ca\", ca = \"ca.pem\" }"))
        }
        Some((_, Mode::Pin)) => {
            Err(Problem::new("the key is missing", "write tls = { mode = \"pin\", pin = \"sha256:..\" }"))
        }
        None => Err(unknown_word(text, MODES.iter().map(|(word, _)| *word))),
    }
}

fn from_table(mut table: Section<'_, '_>) -> (ServerTls, Spot) {
    let mode_is_written = table.has("mode");
    let details: Vec<&str> = DETAILS.into_iter().filter(|key| table.has(key)).collect();
    let mode = table.word("mode", MODES);
    let spot = mode.as_ref().map_or(table.header(), |found| &found.spot).clone();
    let read = Details {
        ca: table.path("ca"),
        pin_is_written: table.has("pin"),
        pin: table.parsed("pin", PIN_EXAMPLE, pin),
        server_name: table.parsed("server_name", "write it in quotes", server_name).value(),
        identity: identity(&mut table, "cert", "key"),
    };
    let tls = if mode_is_written && mode.is_none() {
        ServerTls::Off // Reported.
    } else {
        let mode = mode.or_default_of(Mode::VerifyFull);
        if mode == Mode::Off && !details.is_empty() {
            let message = format!("without TLS there is no use for {}", details.join(", "));
            let fix = "write mode = \"verify-full\", or remove what is not used";
            table.document().fault(&spot, Problem::new(message, fix));
        }
        read.with_mode(mode, &table, &spot)
    };
    table.finish();
    (tls, spot)
}

/// The keys beside `mode`.
struct Details {
    ca: Option<Found<std::path::PathBuf>>,
    pin_is_written: bool,
    pin: Option<Found<[u8; 32]>>,
    server_name: Option<String>,
    identity: Option<TlsIdentity>,
}

impl Details {
    fn with_mode(self, mode: Mode, table: &Section<'_, '_>, spot: &Spot) -> ServerTls {
        let document = table.document();
        if let (Some(pin), false) = (&self.pin, matches!(mode, Mode::Pin | Mode::Off)) {
            let problem = Problem::new("the mode does not use it", "write mode = \"pin\"");
            document.fault(&pin.spot, problem);
        }
        if let (Some(ca), Mode::Pin) = (&self.ca, mode) {
            let fix = "remove ca, or write mode = \"verify-full\" and remove pin";
            document.fault(&ca.spot, Problem::new("with mode \"pin\" only the pin counts", fix));
        }
        let trust = match mode {
            Mode::Off => return ServerTls::Off,
            Mode::VerifyFull => Trust::VerifyFull { ca: self.ca.value() },
            Mode::VerifyCa => {
                if self.ca.is_none() {
                    let fix = "name your own authority: ca = \"ca.pem\"";
                    let message = "any certificate of any public authority would do";
                    document.warn(spot, Problem::new(message, fix));
                }
                Trust::VerifyCa { ca: self.ca.value() }
            }
            Mode::Pin => {
                if !self.pin_is_written {
                    document.fault(spot, Problem::new("pin is missing", PIN_EXAMPLE));
                }
                Trust::Pin(self.pin.or_default_of([0; 32]))
            }
        };
        ServerTls::On { trust, server_name: self.server_name, identity: self.identity }
    }
}

/// A name to ask for: a host name or an IP address.
fn server_name(text: &str) -> Result<String, Problem> {
    if text.parse::<std::net::IpAddr>().is_ok() || is_host_name(text) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Problem::new("not a host name or IP address", "write the name in the server's certificate, without a port"))
}

/// `sha256:` and 64 hexadecimal digits, colons between them allowed.
fn pin(text: &str) -> Result<[u8; 32], Problem> {
    let wrong = || Problem::new("not a SHA-256 pin", PIN_EXAMPLE);
    let digits = text.strip_prefix("sha256:").ok_or_else(wrong)?;
    let digits: Option<Vec<u8>> = digits
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() == 64).ok_or_else(wrong)?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |byte, digit| byte << 4 | digit);
    }
    Ok(bytes)
}
