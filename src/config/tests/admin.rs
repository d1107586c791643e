//! `[admin]`, and what is listed of the settings in use.

use super::{LEAST, faults, settings};
use crate::config::{Listed, list};

const SHIPPED: &str = include_str!("../../../proxy.toml");

#[test]
fn the_account_of_the_console() {
    assert_eq!((settings(LEAST).admin.account, settings(LEAST).admin.digests), (None, 512));
    let admin =
        settings(&format!("{LEAST}[admin]\nuser = 'boss'\npassword = '${{ADMIN_PASSWORD}}'\ndigests = 0\n")).admin;
    let account = admin.account.map(|(user, password)| (user, password.expose().to_owned()));
    assert_eq!((account, admin.digests), (Some(("boss".into(), "admin-from-env".into())), 0));
    for (text, want) in [
        ("user = 'boss'", "[admin]: password is missing; add password or password_file, or remove user"),
        ("password = 'x'", "[admin]: user is missing; add the name of the account, or remove the password"),
        (
            "user = 'boss'\npassword = ''",
            "[admin]: the password is empty; whoever reaches the console could do all: choose one",
        ),
        (
            "user = 'app'\npassword = 'x'",
            "[admin] user = 'app': a [[user]] has this name; choose a name of its own: users may look at the console, \
             this account may use it",
        ),
    ] {
        let faults = faults(&format!("{LEAST}[admin]\n{text}\n"));
        assert!(faults.contains(want), "{faults}");
    }
}

#[test]
fn every_key_of_the_shipped_file_is_listed() {
    let listed = list(&settings(SHIPPED));
    let mut section = String::new();
    for line in SHIPPED.lines().take_while(|line| !line.starts_with("# Every other key")) {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if let Some(header) = bare.strip_prefix('[') {
            section = header.trim_matches(['[', ']']).split(']').next().unwrap_or_default().to_owned();
        }
        let Some((key, _)) =
            bare.split_once(" = ").filter(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        else {
            continue;
        };
        // Secrets, names that are part of other keys, files, and what there is only with something else.
        if ["password", "name", "tls_cert", "tls_key", "auth_recheck", "allow_plaintext"].contains(&key) {
            continue;
        }
        let is_it = |(known, _): &Listed| match &*section {
            // Each server has its own.
            "route" if key == "max_lag" => known.ends_with(".max_lag"),
            "" => *known == key,
            "server" | "user" => known.starts_with(&format!("{section}.")) && known.ends_with(&format!(".{key}")),
            section => *known == format!("{section}.{key}"),
        };
        assert!(listed.iter().any(is_it), "[{section}] {key}");
    }
    assert!(!format!("{listed:?}").contains("from-env"));
    let value = |key: &str| listed.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
    assert_eq!(
        (value("pool.idle_timeout"), value("log.slow"), value("monitor.replica_interval")),
        (Some("5m"), Some("off"), Some("200ms"))
    );
}
