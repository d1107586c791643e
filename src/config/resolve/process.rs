//! `[monitor]`, `[log]`, `[shutdown]`: what the sidecar does on its own account.

use std::time::Duration;

use super::password::{self, Password};
use super::{Value, name, unless_zero};
use crate::config::fault::Problem;
use crate::config::reader::Section;
use crate::config::settings::{Log, LogFormat, LogLevel, Monitor, RuleTable, Shutdown, User};

/// Most probes in a row that may be asked for.
const MOST_PROBES: u32 = 1_000;

const HEARTBEAT_FIX: &str = "write it like \"percona.heartbeat\"";

/// Reads `[monitor]`; without an account of its own it uses that of the first user, if there is one.
pub(super) fn monitor(mut section: Section<'_, '_>, users: Option<&[User]>) -> Option<Monitor> {
    let has_user = section.has("user");
    let user = section.parsed("user", "write it in quotes", |text| name(text, 320));
    let password = password::read(&mut section);
    let is_missing = matches!(password, Password::Missing);
    if has_user == is_missing {
        let (message, fix) = if has_user {
            ("password is missing", "add password or password_file, or remove user")
        } else {
            ("user is missing", "add the name of the account, or remove the password")
        };
        section.fault(Problem::new(message, fix));
    }
    if !has_user && is_missing && users.is_some_and(<[User]>::is_empty) {
        let fix = "add user and password of an account for the probes: no [[user]] is listed whose it could use";
        section.fault(Problem::new("user is missing", fix));
    }
    let interval = section.positive("interval").or_default_of(Duration::from_secs(1));
    let timeout = section.positive("timeout").or_default_of(Duration::from_secs(3));
    let dns_interval = section.positive("dns_interval").or_default_of(Duration::from_secs(5));
    let replica_interval = section.positive("replica_interval").or_default_of(Duration::from_millis(200));
    let down_after = section.count("down_after", 1..=MOST_PROBES).or_default_of(2);
    let up_after = section.count("up_after", 1..=MOST_PROBES).or_default_of(1);
    let heartbeat = section.parsed("heartbeat", HEARTBEAT_FIX, heartbeat).value();
    section.finish();

    let (user, password) = match user.value().zip(password.given()) {
        Some(account) => account,
        None => users?.first().map(|first| (first.name.clone(), first.password.clone()))?,
    };
    Some(Monitor { user, password, interval, timeout, dns_interval, replica_interval, down_after, up_after, heartbeat })
}

/// `schema.table`
fn heartbeat(text: &str) -> Result<(String, String), Problem> {
    match super::rule::table(text) {
        Ok(RuleTable { schema: Some(schema), name }) => Ok((schema, name)),
        _ => Err(Problem::new("not a table with its schema", HEARTBEAT_FIX)),
    }
}

/// Reads `[log]`.
pub(super) fn log(mut section: Section<'_, '_>) -> Log {
    let log = Log {
        level: section.word("level", LogLevel::WORDS).or_default_of(LogLevel::Info),
        format: section.word("format", LogFormat::WORDS).or_default_of(LogFormat::Text),
        slow: unless_zero(section.duration("slow").or_default_of(Duration::ZERO)),
    };
    section.finish();
    log
}

/// Reads `[shutdown]`.
pub(super) fn shutdown(mut section: Section<'_, '_>) -> Shutdown {
    let drain_timeout = section.duration("drain_timeout").or_default_of(Duration::from_secs(30));
    let takeover_timeout = section.duration("takeover_timeout").or_default_of(Duration::from_secs(3600));
    section.finish();
    Shutdown { drain_timeout, takeover_timeout }
}
