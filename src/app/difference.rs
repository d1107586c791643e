//! What differs between two configurations, in words for a person, and what of it waits for a restart. Pure.

use crate::config::{self, Settings};
use std::fmt::Debug;

/// What a reload changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// In words, one line each.
    pub(super) applied: Vec<String>,
}

/// Leaves in `new` as it is what cannot change while Landbridge runs; says which keys these are.
pub(super) fn keep_what_needs_a_restart(running: &Settings, new: &mut Settings) -> Vec<&'static str> {
    let mut keys = Vec::new();
    keep("[listen] mysql", &running.listen.mysql, &mut new.listen.mysql, &mut keys);
    keep("[listen] admin", &running.listen.admin, &mut new.listen.admin, &mut keys);
    keep("[listen] http", &running.listen.http, &mut new.listen.http, &mut keys);
    keep("[listen] unix_mode", &running.listen.unix_mode, &mut new.listen.unix_mode, &mut keys);
    keep("[pool] pipelining", &running.pool.pipelining, &mut new.pool.pipelining, &mut keys);
    keep("[admin] digests", &running.admin.digests, &mut new.admin.digests, &mut keys);
    keep("[consistency] scope", &running.consistency.scope, &mut new.consistency.scope, &mut keys);
    keep("[consistency] per_table", &running.consistency.per_table, &mut new.consistency.per_table, &mut keys);
    keep("[limits] threads", &running.limits.threads, &mut new.limits.threads, &mut keys);
    keep("[log] format", &running.log.format, &mut new.log.format, &mut keys);
    keys
}

fn keep<T: Clone + PartialEq>(key: &'static str, running: &T, new: &mut T, keys: &mut Vec<&'static str>) {
    if running != new {
        new.clone_from(running);
        keys.push(key);
    }
}

/// Whether a server of the new configuration is the one of the old: what is known of it, and connections to it,
/// stay good.
pub(super) fn is_same_server(old: &config::Server, new: &config::Server) -> bool {
    (&old.name, &old.address, &old.tls) == (&new.name, &new.address, &new.tls)
}

/// What changes from one to the other.
pub(super) fn between(old: &Settings, new: &Settings) -> Difference {
    let mut found = Difference::default();
    found.servers(old, new);
    found.users(old, new);
    let Settings {
        region, listen, admin, auth, monitor, pool, consistency, route, rules, limits, log, shutdown, ..
    } = new;
    found.part("region", &old.region, region);
    found.part("[listen]", &old.listen, listen);
    found.part("[admin]", &old.admin, admin);
    found.part("auth", &old.auth, auth);
    found.part("[monitor]", &old.monitor, monitor);
    found.part("[pool]", &old.pool, pool);
    found.part("[consistency]", &old.consistency, consistency);
    found.part("[route]", &old.route, route);
    found.part("[[rule]]", &old.rules, rules);
    found.part("[limits]", &old.limits, limits);
    found.part("[log]", &old.log, log);
    found.part("[shutdown]", &old.shutdown, shutdown);
    found
}

impl Difference {
    fn say(&mut self, words: String) {
        self.applied.push(words);
    }

    fn part<T: PartialEq + Debug>(&mut self, name: &str, old: &T, new: &T) {
        if old != new {
            self.say(format!("{name} changed"));
        }
    }

    fn servers(&mut self, old: &Settings, new: &Settings) {
        for server in &old.servers {
            match new.servers.iter().find(|s| s.name == server.name) {
                None => self.say(format!("server '{}' removed", server.name)),
                Some(other) if !is_same_server(server, other) => {
                    self.say(format!("server '{}' replaced: its address or TLS is another", server.name));
                }
                Some(other) if other != server => self.say(format!("server '{}' changed", server.name)),
                Some(_) => {}
            }
        }
        for server in new.servers.iter().filter(|server| old.servers.iter().all(|s| s.name != server.name)) {
            self.say(format!("server '{}' added", server.name));
        }
    }

    fn users(&mut self, old: &Settings, new: &Settings) {
        for user in &old.users {
            match new.users.iter().find(|u| u.name == user.name) {
                None => self.say(format!("user '{}' removed", user.name)),
                Some(other) if other.password != user.password => {
                    self.say(format!("password of user '{}' changed", user.name));
                }
                Some(other) if other != user => self.say(format!("user '{}' changed", user.name)),
                Some(_) => {}
            }
        }
        for user in new.users.iter().filter(|user| old.users.iter().all(|u| u.name != user.name)) {
            self.say(format!("user '{}' added", user.name));
        }
    }
}
