//! The configuration of a Landbridge between two shores.

use super::accounts;
use std::net::SocketAddr;
use std::path::Path;

/// The beginning of a `proxy.toml`, for a primary overseas and a replica here whose certificates `ca` has signed.
///
/// It ends within `[monitor]`: keys of that come first in what follows. Top-level keys go in front.
#[must_use]
pub fn proxy_toml(ca: &Path, [primary, replica]: [SocketAddr; 2]) -> String {
    let server = |name: &str, role: &str, region: &str, address: SocketAddr| {
        format!(
            "[[server]]\nname = \"{name}\"\nrole = \"{role}\"\nregion = \"{region}\"\naddress = \"{address}\"\n\
             tls = {{ mode = \"verify-full\", ca = \"{}\" }}\n",
            ca.display()
        )
    };
    let (app, monitor) = (accounts::APP, accounts::MONITOR);
    format!(
        "region = \"here\"\n{}{}[[user]]\nname = \"{}\"\npassword = \"{}\"\n[monitor]\nuser = \"{}\"\npassword = \"{}\"\n",
        server("primary", "primary", "overseas", primary),
        server("replica", "replica", "here", replica),
        app.user,
        app.password,
        monitor.user,
        monitor.password
    )
}
