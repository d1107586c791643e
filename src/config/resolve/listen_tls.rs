//! TLS towards clients: there for who wants it, required wherever plaintext would leave the machine, unless waived.

use super::Value;
use super::listen::Listening;
use crate::config::document::Found;
use crate::config::fault::Problem;
use crate::config::reader::Section;
use crate::config::settings::{Certificate, ClientTls, TlsIdentity};

/// The word in `tls = ".."`.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Off,
    Optional,
    Required,
}

const MODES: &[(&str, Mode)] = &[("off", Mode::Off), ("optional", Mode::Optional), ("required", Mode::Required)];

const SECURE_FIX: &str = "write tls = \"required\" (without tls_cert a certificate is made), or allow_plaintext = true";

/// Reads the keys of `[listen]` about TLS.
pub(super) fn read(section: &mut Section<'_, '_>, addresses: &[Listening]) -> ClientTls {
    let mode_is_written = section.has("tls");
    let written = section.word("tls", MODES);
    let files = identity(section, "tls_cert", "tls_key");
    let allowed = section.flag("allow_plaintext").filter(|found| found.value);
    if mode_is_written && written.is_none() {
        return ClientTls::Off; // Reported; nothing said on top of it would help.
    }

    // HTTP has no TLS and no passwords: it has a warning of its own.
    let open = addresses.iter().find(|here| here.key != "http" && !here.address.is_local());
    let mode = match (&written, open, &allowed) {
        (Some(found), _, _) => found.value,
        (None, Some(_), None) if files.is_some() => Mode::Required,
        // Clients with MariaDB's library of 3.4 and later insist on it, and many show a password only behind it.
        (None, _, _) => Mode::Optional,
    };
    if let Some(open) = open
        && allowed.is_none()
        && mode != Mode::Required
    {
        let spot = written.as_ref().map_or(&open.spot, |found| &found.spot);
        let message = match &written {
            Some(_) => format!("{} {} is open to other machines", open.key, open.spot.line()),
            None => "open to other machines, without TLS".to_owned(),
        };
        section.document().fault(spot, Problem::new(message, SECURE_FIX));
    }
    if let Some(allowed) = &allowed {
        warn_of_waiver(section, allowed, open.is_some() && mode != Mode::Required);
    }
    if let Some(written) = &written
        && written.value == Mode::Off
        && files.is_some()
    {
        let problem = Problem::new(
            "the certificate would not be used",
            "write \"optional\" or \"required\", or remove tls_cert and tls_key",
        );
        section.document().fault(&written.spot, problem);
    }
    let certificate = files.map_or(Certificate::SelfSigned, Certificate::Files);
    match mode {
        Mode::Off => ClientTls::Off,
        Mode::Optional => ClientTls::Optional(certificate),
        Mode::Required => ClientTls::Required(certificate),
    }
}

/// `allow_plaintext = true` either means something worth a look, or nothing.
fn warn_of_waiver(section: &Section<'_, '_>, allowed: &Found<bool>, is_effective: bool) {
    let problem = if is_effective {
        Problem::new("what clients on other machines send can be read on the way", "prefer tls = \"required\"")
    } else {
        Problem::new("it has no effect here", "remove it")
    };
    section.document().warn(&allowed.spot, problem);
}

/// A certificate and its key: both or none.
pub(super) fn identity(
    section: &mut Section<'_, '_>,
    cert_key: &'static str,
    key_key: &'static str,
) -> Option<TlsIdentity> {
    let (has_cert, has_key) = (section.has(cert_key), section.has(key_key));
    let (cert, key) = (section.path(cert_key), section.path(key_key));
    if has_cert != has_key {
        let (alone, missing) = if has_cert { (cert_key, key_key) } else { (key_key, cert_key) };
        let spot = cert.as_ref().or(key.as_ref()).map_or(section.header(), |found| &found.spot);
        section.document().fault(
            spot,
            Problem::new(
                format!("{missing} is missing"),
                format!("add it, or remove {alone}: one is useless without the other"),
            ),
        );
    }
    Some(TlsIdentity { cert: cert.value()?, key: key.value()? })
}
