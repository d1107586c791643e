//! The limit of open files: each client is one, each connection to a server another.

use crate::config::Settings;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Log, sockets, probes, kills, the runtime itself.
const BESIDES: u64 = 64;

/// Raises the limit as far as the system allows, and says where that is not enough.
pub(super) fn raise_limit(settings: &Settings) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    let limit = getrlimit(Resource::Nofile).current;
    let needed = needed(settings);
    if limit.is_some_and(|limit| limit < needed) {
        tracing::warn!(
            limit,
            needed,
            "clients and connections to servers may need more open files than this process may have: raise the limit \
             (LimitNOFILE= of the systemd unit, ulimit -n), or lower [limits] max_clients or [pool] max"
        );
    }
}

/// How many files this process may open at most, if that is bounded, and how many it may need.
#[must_use]
pub fn limit_and_need(settings: &Settings) -> (Option<u64>, u64) {
    (getrlimit(Resource::Nofile).maximum, needed(settings))
}

/// How many files may be open at a time if clients and pools are as many as they may be.
fn needed(settings: &Settings) -> u64 {
    let pools: u64 = settings.users.iter().map(|user| u64::from(user.pool.max)).sum();
    let others = if settings.is_passthrough() { u64::from(settings.pool.others.max) } else { 0 };
    let servers = u64::try_from(settings.servers.len()).unwrap_or(u64::MAX);
    let clients = u64::from(settings.limits.max_clients);
    clients.saturating_add(servers.saturating_mul(pools + others + 2)).saturating_add(BESIDES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_is_needed_follows_from_the_file() {
        let text = "[[server]]\nname = \"p\"\naddress = \"127.0.0.1:1\"\nrole = \"primary\"\n[[user]]\nname = \"u\"\n\
                    password = \"p\"\n[pool]\nmax = 10\n[limits]\nmax_clients = 100\n";
        let settings = crate::config::parse(text, "t", Path::new("/"), &|_| None).expect("well formed");
        assert_eq!(needed(&settings), 100 + 12 + BESIDES);
    }
}
