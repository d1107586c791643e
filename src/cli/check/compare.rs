//! What differs between the servers, and between them and the file. Pure.

use super::examine::Examined;
use super::finding::Finding;
use crate::config::Settings;
use std::time::Duration;

/// Connections that a server may be asked for besides pools: the monitor's, and those that end statements.
const BESIDES: u64 = 2;

/// Compares each server with the first one that answered, which is the primary if it did.
pub(super) fn differences(servers: &[Examined], settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    let answered: Vec<&Examined> = servers.iter().filter(|server| server.answered()).collect();
    for server in &answered {
        found.extend(bounds(server, settings).into_iter().map(|finding| finding.at(&server.name)));
    }
    let first = answered.iter().find(|server| server.is_primary()).or(answered.first());
    let Some(first) = first else { return found };
    for other in answered.iter().filter(|other| other.name != first.name) {
        found.extend(between(first, other).into_iter().map(|finding| finding.at(&other.name)));
    }
    found
}

fn between(first: &Examined, other: &Examined) -> Vec<Finding> {
    let mut found = Vec::new();
    let differs = |name: &str| {
        let (one, two) = (first.variable(name)?, other.variable(name)?);
        (one != two).then(|| format!("{name} is {two:?} here and {one:?} at {}", first.name))
    };
    if first.flavor != other.flavor {
        let what =
            format!("it is {} and {} is {}: reads may be answered differently", other.flavor, first.name, first.flavor);
        found.push(Finding::problem(what).fix("use one kind of server"));
    }
    if let Some(what) = differs("lower_case_table_names") {
        found.push(Finding::problem(what).fix("it can only be set when a server is made: make it anew"));
    }
    for name in ["sql_mode", "character_set_server", "collation_server"] {
        if let Some(what) = differs(name) {
            let fix =
                format!("sessions here get the primary's, at no cost; to make it so everywhere, set {name} alike");
            found.push(Finding::note(what).fix(fix));
        }
    }
    if let Some(what) = differs("max_allowed_packet") {
        let what = format!("{what}: a statement or row that one takes the other may refuse");
        found.push(Finding::note(what).fix(format!(
            "SET GLOBAL max_allowed_packet = {};",
            first.variable("max_allowed_packet").unwrap_or_default()
        )));
    }
    let (one, two) = (zone(first), zone(other));
    let is_system = |zone: &(Option<&str>, Option<&str>)| zone.0 == Some("SYSTEM");
    if one != two && is_system(&one) && is_system(&two) {
        let what = format!(
            "the clocks are in different time zones: {} here, {} at {}; sessions that set no time_zone see that of the \
             server that answers",
            two.1.unwrap_or_default(),
            one.1.unwrap_or_default(),
            first.name
        );
        found.push(Finding::note(what).fix("set default_time_zone on the servers"));
    }
    for (user, grants) in &other.grants {
        let Some((_, wanted)) = first.grants.iter().find(|(name, _)| name == user) else { continue };
        let missing: Vec<&str> = wanted.iter().filter(|grant| !grants.contains(grant)).map(String::as_str).collect();
        if !missing.is_empty() || grants.len() > wanted.len() {
            let what = format!("user '{user}' has other grants than at {}", first.name);
            let fix =
                if missing.is_empty() { "compare SHOW GRANTS".to_owned() } else { format!("{};", missing.join("; ")) };
            found.push(Finding::note(what).fix(fix));
        }
    }
    found
}

fn zone(server: &Examined) -> (Option<&str>, Option<&str>) {
    (server.variable("time_zone"), server.variable("system_time_zone"))
}

/// What a server allows and the file asks for.
fn bounds(server: &Examined, settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    let number = |name: &str| server.variable(name)?.parse::<u64>().ok();
    let silent = settings.pool.ping_after.or(settings.pool.max_lifetime);
    if let Some(wait_timeout) = number("wait_timeout")
        && silent.is_none_or(|silent| Duration::from_secs(wait_timeout) <= silent)
    {
        let what = format!(
            "it closes connections that are silent for {wait_timeout} s (wait_timeout), which idle ones here may be"
        );
        found.push(Finding::problem(what).fix("write a shorter [pool] ping_after, or raise wait_timeout"));
    }
    let pools: u64 = settings.users.iter().map(|user| u64::from(user.pool.max)).sum();
    if let Some(most) = number("max_connections")
        && pools + BESIDES > most
    {
        let what = format!(
            "the pools of this process alone may open {pools} connections, and the server has {most} (max_connections)"
        );
        found.push(Finding::note(what).fix("lower [pool] max, or raise max_connections"));
    }
    found
}
