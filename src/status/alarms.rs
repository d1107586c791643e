//! What somebody must act on. Pure.

use super::Plan;
use super::report::Alarm;
use crate::topology::{Health, Lag, Role, ServerView, Snapshot};

/// What the snapshot does not say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    /// Servers besides the primary that take writes.
    pub(super) rivals: bool,
    /// Whether the server that the file calls the primary refuses writes.
    pub(super) primary_is_read_only: bool,
}

/// All there are, the worst first.
pub(super) fn of(snapshot: &Snapshot, plan: &Plan, known: Known) -> Vec<Alarm> {
    let mut found = Vec::new();
    let mut serious = |what: &str, text: String| found.push(Alarm { what: what.to_owned(), is_serious: true, text });
    primary(snapshot, known, &mut serious);
    if snapshot.has_replicas() && snapshot.primary().is_some_and(ServerView::is_usable) && snapshot.readers.is_empty() {
        let text = "no replica may answer reads: all of them cross to the primary";
        found.push(Alarm { what: "no_replica".into(), is_serious: false, text: text.into() });
    }
    let mut warn = |what: &str, text: String| found.push(Alarm { what: what.to_owned(), is_serious: false, text });
    for server in snapshot.servers.iter().filter(|server| server.role == Role::Replica) {
        replica(server, &mut warn);
    }
    for owner in &plan.bad_certificates {
        let text = format!("{owner}: certificates have changed on disk and cannot be used; the old ones stay in use");
        warn("certificates", text);
    }
    found
}

fn primary(snapshot: &Snapshot, known: Known, alarm: &mut impl FnMut(&str, String)) {
    if known.rivals {
        let names = snapshot.servers.iter().filter(|server| server.is_rival).map(|server| &*server.name);
        let names = names.collect::<Vec<_>>().join(", ");
        alarm("rival_primaries", format!("more than one server takes writes: make {names} read-only"));
    }
    match snapshot.primary() {
        None if snapshot.is_unsettled() => {}
        None => alarm("no_primary", "no server is known to be the primary: writes are refused".into()),
        Some(primary) if matches!(primary.health, Health::Down(_)) => {
            alarm("primary_down", format!("{} does not answer: reads go on, writes are refused", primary.name));
        }
        Some(primary) if primary.is_doubtful => {
            alarm("primary_down", format!("{} did not answer, and another server takes writes", primary.name));
        }
        Some(primary) if known.primary_is_read_only => {
            let text =
                format!("{} is the primary in the file and refuses writes: is it still the primary?", primary.name);
            alarm("primary_read_only", text);
        }
        Some(_) => {}
    }
}

fn replica(server: &ServerView, warn: &mut impl FnMut(&str, String)) {
    let name = &server.name;
    match (&server.health, server.lag) {
        (Health::Down(_), _) => warn("replica_down", format!("{name} does not answer")),
        (Health::Up, Lag::Stopped) => {
            warn("replication_stopped", format!("{name} does not replicate: see its replication status, and start it"));
        }
        (Health::Up, _) if server.held_lag.is_some_and(|lag| lag > server.max_lag) => {
            let limit = server.max_lag.as_millis();
            warn("replica_behind", format!("{name} is further behind than max_lag ({limit} ms), and takes no reads"));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::ServerId;
    use std::time::Duration;

    fn servers() -> Vec<ServerView> {
        let server = |id, name: &str, role| ServerView {
            id: ServerId(id),
            name: name.into(),
            local: role == Role::Replica,
            role,
            health: Health::Up,
            lag: Lag::Behind(Duration::ZERO),
            held_lag: Some(Duration::ZERO),
            max_lag: Duration::from_secs(10),
            weight: 1,
            is_rival: false,
            is_doubtful: false,
            rtt: None,
            family: None,
            executed: None,
        };
        vec![server(0, "primary", Role::Primary), server(1, "replica", Role::Replica)]
    }

    /// The names of the alarms after something was done to the servers.
    fn after(known: Known, change: impl Fn(&mut Vec<ServerView>)) -> Vec<(String, bool)> {
        let mut servers = servers();
        change(&mut servers);
        let alarms = of(&Snapshot::of(servers), &Plan::default(), known);
        alarms.into_iter().map(|alarm| (alarm.what, alarm.is_serious)).collect()
    }

    #[test]
    fn what_is_wrong_is_told() {
        let none = Known::default();
        let down = || Health::Down("refused".into());
        let told =
            |names: &[(&str, bool)]| names.iter().map(|(name, is)| ((*name).to_owned(), *is)).collect::<Vec<_>>();
        assert_eq!(after(none, |_| {}), []);
        assert_eq!(after(none, |s| s[0].health = down()), told(&[("primary_down", true)]));
        assert_eq!(after(none, |s| s[0].role = Role::Replica)[0], told(&[("no_primary", true)])[0]);
        assert_eq!(after(none, |s| s[0].health = Health::Unknown), [], "it was not asked yet");
        assert_eq!(after(none, |s| s[1].lag = Lag::Stopped), told(&[("replication_stopped", false)]));
        assert_eq!(
            after(none, |s| s[1].held_lag = Some(Duration::from_secs(11))),
            told(&[("no_replica", false), ("replica_behind", false)])
        );
        assert_eq!(after(none, |s| s[1].health = down()), told(&[("no_replica", false), ("replica_down", false)]));
        let known = Known { primary_is_read_only: true, ..none };
        assert_eq!(after(known, |_| {}), told(&[("primary_read_only", true)]));
        assert_eq!(after(Known { rivals: true, ..none }, |_| {}), told(&[("rival_primaries", true)]));
    }

    #[test]
    fn servers_and_owners_are_named() {
        let mut servers = servers();
        servers[1].is_rival = true;
        let plan = Plan { bad_certificates: vec!["[listen]".into()], ..Plan::default() };
        let alarms = of(&Snapshot::of(servers), &plan, Known { rivals: true, ..Known::default() });
        assert!(alarms[0].text.contains("make replica read-only"), "{alarms:?}");
        assert!(alarms.iter().any(|alarm| alarm.what == "certificates" && alarm.text.starts_with("[listen]")));
    }
}
