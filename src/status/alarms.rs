//! What somebody must act on. Pure.

use super::Plan;
use super::report::Alarm;
use crate::frontend::gauges::Shown;
use crate::topology::{Health, Lag, Role, ServerView, Snapshot};

/// A certificate that expires within so many days is worth a word: somebody may have to ask for another one.
const SOON: i64 = 14;
const DAY: i64 = 24 * 60 * 60;

/// What the snapshot does not say.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Servers besides the primary that take writes.
    pub(super) rivals: bool,
    /// Whether the server that the file calls the primary refuses writes.
    pub(super) primary_is_read_only: bool,
    /// Servers without space on a disk, and by what that shows.
    pub(super) full: Vec<(String, String)>,
    /// Each certificate in use, and in how many seconds it expires.
    pub(super) certificates: Vec<(Shown, i64)>,
}

/// All there are, the worst first.
pub(super) fn of(snapshot: &Snapshot, plan: &Plan, known: &Known) -> Vec<Alarm> {
    let mut found = Vec::new();
    let mut serious = |what: &str, text: String| found.push(Alarm { what: what.to_owned(), is_serious: true, text });
    primary(snapshot, known, &mut serious);
    for (server, why) in &known.full {
        let is_serious = snapshot.primary().is_some_and(|primary| *primary.name == **server);
        let text = format!("{server}: a disk seems to be full ({why}); free some space there, reads go on");
        found.push(Alarm { what: "disk_full".into(), is_serious, text });
    }
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
    for (shown, left) in known.certificates.iter().filter(|(_, left)| *left < SOON * DAY) {
        warn("certificate_expires", format!("{} {}", whose(shown), when(*left)));
    }
    if plan.is_reload_refused {
        let text = "the file was read again and refused; the configuration before stays in use: the log says why";
        warn("reload_refused", text.into());
    }
    found
}

fn whose(shown: &Shown) -> String {
    match shown {
        Shown::ToClients => "[listen]: the certificate that clients are shown".into(),
        Shown::To(server) => format!("server '{server}': the certificate that it is shown"),
        Shown::By(server) => format!("server '{server}': its certificate"),
    }
}

fn when(left: i64) -> String {
    match left / DAY {
        _ if left <= 0 => "has expired: renew it, no new connection may be trusted".into(),
        0 => "expires within a day: renew it".into(),
        1 => "expires in 1 day: renew it".into(),
        days => format!("expires in {days} days: renew it"),
    }
}

fn primary(snapshot: &Snapshot, known: &Known, alarm: &mut impl FnMut(&str, String)) {
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
        let server = |id, name, role| ServerView::of(ServerId(id), name, role);
        vec![server(0, "primary", Role::Primary), server(1, "replica", Role::Replica)]
    }

    /// The names of the alarms after something was done to the servers.
    fn after(known: &Known, change: impl Fn(&mut Vec<ServerView>)) -> Vec<(String, bool)> {
        let mut servers = servers();
        change(&mut servers);
        let alarms = of(&Snapshot::of(servers), &Plan::default(), known);
        alarms.into_iter().map(|alarm| (alarm.what, alarm.is_serious)).collect()
    }

    #[test]
    fn what_is_wrong_is_told() {
        let none = &Known::default();
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
        let known = Known { primary_is_read_only: true, ..none.clone() };
        assert_eq!(after(&known, |_| {}), told(&[("primary_read_only", true)]));
        let full = |server: &str| Known { full: vec![(server.into(), "it says so".into())], ..none.clone() };
        assert_eq!(after(&full("primary"), |_| {}), told(&[("disk_full", true)]));
        assert_eq!(after(&full("replica"), |_| {}), told(&[("disk_full", false)]));
        assert_eq!(after(&Known { rivals: true, ..none.clone() }, |_| {}), told(&[("rival_primaries", true)]));
    }

    #[test]
    fn servers_and_owners_are_named() {
        let mut servers = servers();
        servers[1].is_rival = true;
        let plan = Plan { bad_certificates: vec!["[listen]".into()], ..Plan::default() };
        let alarms = of(&Snapshot::of(servers), &plan, &Known { rivals: true, ..Known::default() });
        assert!(alarms[0].text.contains("make replica read-only"), "{alarms:?}");
        assert!(alarms.iter().any(|alarm| alarm.what == "certificates" && alarm.text.starts_with("[listen]")));
    }

    #[test]
    fn certificates_that_expire_and_a_file_that_was_refused() {
        let certificates = vec![
            (Shown::ToClients, 15 * DAY),
            (Shown::By("primary".into()), 14 * DAY - 1),
            (Shown::By("replica".into()), DAY),
            (Shown::To("replica".into()), 1),
            (Shown::ToClients, -1),
        ];
        let plan = Plan { is_reload_refused: true, ..Plan::default() };
        let alarms = of(&Snapshot::of(servers()), &plan, &Known { certificates, ..Known::default() });
        let told: Vec<(&str, &str)> = alarms.iter().map(|alarm| (&*alarm.what, &*alarm.text)).collect();
        let expires = "certificate_expires";
        assert_eq!(
            told[..4],
            [
                (expires, "server 'primary': its certificate expires in 13 days: renew it"),
                (expires, "server 'replica': its certificate expires in 1 day: renew it"),
                (expires, "server 'replica': the certificate that it is shown expires within a day: renew it"),
                (
                    expires,
                    "[listen]: the certificate that clients are shown has expired: renew it, no new connection may be \
                     trusted"
                ),
            ]
        );
        assert_eq!((told[4].0, told.len()), ("reload_refused", 5));
        assert!(alarms.iter().all(|alarm| !alarm.is_serious), "nobody is refused anything yet");
    }
}
