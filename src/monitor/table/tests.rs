//! Whole histories of a few servers, second by second.

use super::super::heartbeat::{Beat, Heartbeat};
use super::super::report::{Channels, Gtids, Replication, Threads, Variables};
use super::*;
use crate::topology::Role;

const ID: [ServerId; 3] = [ServerId(0), ServerId(1), ServerId(2)];

/// Two GTID domains with one sequence each are enough to tell who has what.
fn gtids(text: &str) -> Arc<GtidSet> {
    Arc::new(GtidSet::parse(Family::MariaDb, text).expect("well formed"))
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

struct Lab {
    table: Table,
    start: Instant,
}

impl Lab {
    fn new(roles: &[Planned]) -> Self {
        let plan = |role| ServerPlan { role, local: true, weight: 1, max_lag: seconds(10) };
        let servers = ID.iter().zip(roles).map(|(id, role)| (*id, format!("s{}", id.0).into(), plan(*role)));
        let start = Instant::now();
        let thresholds = Thresholds { down_after: 2, up_after: 1 };
        Self { table: Table::new(servers.collect(), thresholds, [seconds(5), seconds(3)], start), start }
    }

    fn pair() -> Self {
        Self::new(&[Planned::Primary, Planned::Replica])
    }

    fn probe(&mut self, second: u64, id: ServerId, set: &str, read_only: bool, replication: Replication) -> Vec<Event> {
        self.beat(second, id, set, (read_only, replication), "")
    }

    /// A probe of a server that shows this heartbeat.
    fn beat(
        &mut self,
        second: u64,
        id: ServerId,
        set: &str,
        (read_only, replication): (bool, Replication),
        time: &str,
    ) -> Vec<Event> {
        let (version, set) = ("10.11".to_owned(), Some(gtids(set)));
        let gtids = Gtids { applied: set.clone(), committed: set.clone(), logged: set };
        let variables = Variables { version, read_only, gtids };
        let rows = [vec![(!time.is_empty()).then(|| format!("2026-01-01 {time}"))]];
        let heartbeat = Beat::read(&rows).expect("a time").map_or(Heartbeat::None, Heartbeat::Newest);
        let report = Report { family: Family::MariaDb, variables, replication, heartbeat };
        let at = self.start + seconds(second);
        self.table.probed(id, Probed { asked: at, answered: at, report })
    }

    fn primary(&mut self, second: u64, id: ServerId, set: &str) -> Vec<Event> {
        self.probe(second, id, set, false, Replication::Absent)
    }

    fn replica(&mut self, second: u64, id: ServerId, set: &str) -> Vec<Event> {
        self.probe(second, id, set, true, running())
    }

    fn glance(&mut self, second: u64, id: ServerId, set: &str) -> bool {
        let at = self.start + seconds(second);
        self.table.applied(id, at, at, (*gtids(set)).clone())
    }

    fn fail(&mut self, second: u64, id: ServerId, why: &Arc<str>) -> Vec<Event> {
        self.table.failed(id, why, self.start + seconds(second))
    }

    fn publish(&mut self, second: u64) -> Option<Arc<Snapshot>> {
        self.table.publish(self.start + seconds(second))
    }

    fn view(&self, id: ServerId) -> ServerView {
        let entry = self.table.servers.iter().find(|s| s.id == id).expect("there");
        entry.view(self.table.choice.role(id))
    }
}

fn running() -> Replication {
    Replication::Configured(Channels { is_alive: true, ..Channels::default() })
}

fn stopped() -> Replication {
    let error = Some("duplicate key".to_owned());
    Replication::Configured(Channels {
        threads: Threads::Stopped,
        is_alive: true,
        source: "s0:3306".into(),
        error,
        lacks_space: false,
    })
}

#[test]
fn before_the_first_probe_only_configuration_is_known() {
    let lab = Lab::new(&[Planned::Primary, Planned::Replica, Planned::Auto]);
    let known: Vec<_> = lab.table.snapshot().servers.iter().map(|s| (s.role, s.health.clone(), s.lag)).collect();
    let unknown = |role| (role, Health::Unknown, Lag::Unknown);
    assert_eq!(known, [unknown(Role::Primary), unknown(Role::Replica), unknown(Role::Replica)]);
}

#[test]
fn snapshots_come_only_with_news() {
    let mut lab = Lab::pair();
    assert!(lab.publish(0).is_none());
    assert_eq!(lab.primary(0, ID[0], "0-1-5"), [Event::Up(ID[0])]);
    assert_eq!(lab.replica(0, ID[1], "0-1-5"), [Event::Up(ID[1])]);
    let snapshot = lab.publish(0).expect("news");
    assert_eq!(snapshot.servers[1].executed, Some(gtids("0-1-5")));
    for second in 1..4 {
        assert!(lab.replica(second, ID[1], "0-1-5").is_empty());
        assert!(!lab.glance(second, ID[1], "0-1-5"));
        assert!(lab.publish(second).is_none());
    }
    // When the primary was last asked is news: what was in doubt before is not any more.
    assert!(lab.primary(4, ID[0], "0-1-5").is_empty());
    assert!(lab.publish(4).is_some());
    assert!(lab.glance(4, ID[1], "0-1-6"));
    assert!(lab.publish(4).is_some());
}

#[test]
fn lag_grows_until_the_replica_has_caught_up() {
    let mut lab = Lab::pair();
    lab.primary(0, ID[0], "0-1-5");
    lab.replica(0, ID[1], "0-1-5");
    assert_eq!(lab.view(ID[1]).lag, Lag::Behind(Duration::ZERO));
    lab.primary(1, ID[0], "0-1-6");
    for second in 2..5 {
        lab.primary(second, ID[0], "0-1-7");
        lab.glance(second, ID[1], "0-1-5");
        assert_eq!(lab.view(ID[1]).lag, Lag::Behind(seconds(second - 1)));
    }
    lab.glance(5, ID[1], "0-1-7");
    assert_eq!(lab.view(ID[1]).lag, Lag::Behind(Duration::ZERO));
    assert_eq!(lab.view(ID[0]).lag, Lag::Behind(Duration::ZERO));
}

#[test]
fn stopped_replication_is_told_once() {
    let mut lab = Lab::pair();
    lab.primary(0, ID[0], "0-1-5");
    lab.replica(0, ID[1], "0-1-5");
    let event = Event::ReplicationStopped { id: ID[1], source: "s0:3306".into(), error: Some("duplicate key".into()) };
    assert_eq!(lab.probe(1, ID[1], "0-1-5", true, stopped()), [event]);
    assert_eq!(lab.view(ID[1]).lag, Lag::Stopped);
    lab.primary(2, ID[0], "0-1-6");
    assert_eq!(lab.probe(12, ID[1], "0-1-5", true, stopped()), []);
    assert_eq!(lab.view(ID[1]).lag, Lag::Stopped);
    // Older than it may be: reads must leave.
    lab.primary(13, ID[0], "0-1-6");
    lab.glance(13, ID[1], "0-1-5");
    assert_eq!(lab.view(ID[1]).lag, Lag::Behind(seconds(11)));
    assert!(!lab.view(ID[1]).serves_reads());
    assert_eq!(lab.replica(14, ID[1], "0-1-6"), [Event::ReplicationRuns(ID[1])]);
}

#[test]
fn a_server_that_broke_its_connection_is_not_known_to_contain_anything() {
    let mut lab = Lab::pair();
    lab.primary(0, ID[0], "0-1-5");
    lab.replica(0, ID[1], "0-1-5");
    lab.table.lost(ID[1], lab.start + seconds(1));
    assert_eq!(lab.view(ID[1]).executed, Some(gtids("")));
    assert_eq!(lab.table.everywhere(), Some(gtids("")));
    lab.table.lost(ID[0], lab.start + seconds(1));
    assert_eq!(lab.view(ID[0]).executed, Some(gtids("0-1-5")));
}

#[test]
fn down_and_up_are_told_once_with_hysteresis() {
    let mut lab = Lab::pair();
    lab.replica(0, ID[1], "0-1-5");
    let why: Arc<str> = "connection refused".into();
    assert_eq!(lab.fail(2, ID[1], &why), []);
    assert_eq!(lab.view(ID[1]).health, Health::Up);
    assert_eq!(lab.fail(2, ID[1], &why), [Event::Down(ID[1], why.clone())]);
    assert_eq!(lab.fail(2, ID[1], &why), []);
    assert_eq!((lab.view(ID[1]).health, lab.view(ID[1]).lag), (Health::Down(why.clone()), Lag::Unknown));
    assert_eq!(lab.replica(3, ID[1], "0-1-5"), [Event::Up(ID[1])]);
    assert_eq!(lab.fail(2, ID[0], &why), [Event::Down(ID[0], why)]);
}

#[test]
fn what_is_everywhere_is_in_every_replica_that_may_serve_reads() {
    let mut lab = Lab::new(&[Planned::Primary, Planned::Replica, Planned::Replica]);
    lab.primary(0, ID[0], "0-1-5");
    lab.replica(0, ID[1], "0-1-5");
    assert_eq!(lab.table.everywhere(), None);
    lab.replica(0, ID[2], "0-1-4");
    assert_eq!(lab.table.everywhere(), Some(gtids("0-1-4")));
    // With transactions of their own none contains the other; the primary's history helps.
    lab.primary(1, ID[0], "0-1-6");
    lab.replica(1, ID[1], "0-1-5,1-2-1");
    lab.replica(1, ID[2], "0-1-6,2-3-1");
    assert_eq!(lab.table.everywhere(), Some(gtids("0-1-5")));
    // One that is down comes back with what it has.
    let why: Arc<str> = "gone".into();
    lab.fail(2, ID[2], &why);
    lab.fail(2, ID[2], &why);
    assert_eq!(lab.table.everywhere(), Some(gtids("")));
    let alone = Lab::new(&[Planned::Primary]);
    assert_eq!(alone.table.everywhere(), None);
}

#[test]
fn a_promoted_replica_becomes_the_primary_and_the_old_one_does_not_come_back() {
    let mut lab = Lab::new(&[Planned::Auto, Planned::Auto]);
    assert_eq!(lab.primary(0, ID[0], "0-1-5"), [Event::Up(ID[0])]);
    assert_eq!(lab.replica(0, ID[1], "0-1-5"), [Event::Up(ID[1]), Event::PrimaryIs(ID[0])]);
    assert_eq!((lab.view(ID[0]).role, lab.view(ID[1]).role), (Role::Primary, Role::Replica));
    let told = |lab: &Lab| lab.table.report.as_ref().map(|report| report.executed.clone());
    assert_eq!(told(&lab), None, "it was asked before it was known to be the primary");
    lab.primary(1, ID[0], "0-1-5");
    assert_eq!(told(&lab), Some(gtids("0-1-5")));
    let why: Arc<str> = "gone".into();
    lab.fail(2, ID[0], &why);
    assert_eq!(lab.fail(2, ID[0], &why), [Event::Down(ID[0], why)]);
    // A replica whose source is gone is no primary yet.
    assert_eq!(lab.replica(2, ID[1], "0-1-5"), []);
    assert_eq!(lab.view(ID[0]).role, Role::Primary);
    assert_eq!(lab.primary(3, ID[1], "0-2-6"), [Event::PrimaryIs(ID[1])]);
    assert_eq!(told(&lab), Some(gtids("0-2-6")));
    assert_eq!(lab.primary(4, ID[0], "0-1-5"), [Event::Up(ID[0]), Event::Rivals(vec![ID[0]])]);
    assert_eq!(lab.primary(5, ID[0], "0-1-5"), []);
    assert_eq!(lab.view(ID[1]).role, Role::Primary);
    assert_eq!(lab.replica(6, ID[0], "0-2-6"), []);
    assert_eq!(lab.probe(7, ID[1], "0-2-6", true, Replication::Absent), [Event::NoPrimary]);
}

#[test]
fn hidden_replication_is_told_once_where_it_matters() {
    let mut lab = Lab::pair();
    assert_eq!(lab.probe(0, ID[0], "0-1-5", false, Replication::Hidden), [Event::Up(ID[0])]);
    let hidden = Event::ReplicationHidden(ID[1], Family::MariaDb);
    assert_eq!(lab.probe(0, ID[1], "0-1-5", true, Replication::Hidden), [Event::Up(ID[1]), hidden]);
    assert_eq!(lab.probe(1, ID[1], "0-1-5", true, Replication::Hidden), []);
    assert_eq!(lab.view(ID[1]).lag, Lag::Behind(Duration::ZERO));
}

fn floor(lab: &mut Lab, second: u64) -> (bool, Option<Arc<GtidSet>>) {
    lab.publish(second);
    let floor = lab.table.snapshot().floor.clone();
    (floor.pending, floor.gtids)
}

#[test]
fn before_the_primary_has_told_nothing_is_proven() {
    let mut lab = Lab::pair();
    lab.replica(0, ID[1], "0-1-4");
    assert_eq!(floor(&mut lab, 0), (true, None));
    lab.primary(1, ID[0], "0-1-5");
    assert_eq!(floor(&mut lab, 1), (false, Some(gtids("0-1-5"))));
    lab.glance(2, ID[1], "0-1-5");
    assert_eq!(floor(&mut lab, 2), (false, None));
}

#[test]
fn between_two_primaries_there_is_a_moment_to_wait() {
    let mut lab = Lab::new(&[Planned::Auto, Planned::Auto]);
    let is_between = |lab: &mut Lab, second| {
        lab.publish(second);
        lab.table.snapshot().between_primaries
    };
    lab.probe(0, ID[0], "0-1-5", true, Replication::Absent);
    assert!(!is_between(&mut lab, 0), "the other one may be the primary");
    lab.replica(1, ID[1], "0-1-4");
    assert!(is_between(&mut lab, 1) && is_between(&mut lab, 10));
    assert!(!is_between(&mut lab, 11), "nobody comes");
    lab.primary(12, ID[1], "0-1-5");
    assert!(!is_between(&mut lab, 12));
    lab.probe(13, ID[1], "0-1-5", true, Replication::Absent);
    assert!(is_between(&mut lab, 13));
    let why: Arc<str> = "gone".into();
    lab.fail(14, ID[0], &why);
    lab.fail(14, ID[0], &why);
    assert!(!is_between(&mut lab, 14), "it may have been the one");
    for second in 22..25 {
        lab.probe(second, ID[0], "0-1-5", true, Replication::Absent);
    }
    assert!(is_between(&mut lab, 22) && !is_between(&mut lab, 23), "once for each primary that is lost");
}

#[test]
fn whoever_reads_elsewhere_sees_no_less() {
    let mut lab = Lab::new(&[Planned::Primary, Planned::Replica, Planned::Replica]);
    lab.primary(0, ID[0], "0-1-5");
    lab.replica(0, ID[1], "0-1-5");
    lab.replica(0, ID[2], "0-1-4");
    lab.glance(1, ID[2], "0-1-5");
    floor(&mut lab, 1);
    let epoch = lab.table.snapshot().epoch;
    assert_eq!(&*lab.table.snapshot().readers, [ID[1], ID[2]]);
    // The first falls too far behind: what was read there must be on the second.
    lab.primary(2, ID[0], "0-1-9");
    lab.primary(14, ID[0], "0-1-9");
    lab.replica(14, ID[1], "0-1-7");
    lab.glance(14, ID[2], "0-1-9");
    assert_eq!(floor(&mut lab, 14), (true, None));
    assert_eq!((&*lab.table.snapshot().readers, lab.table.snapshot().epoch), (&[ID[2]][..], epoch + 1));
    lab.glance(15, ID[2], "0-1-9");
    assert!(floor(&mut lab, 15).0, "the one that was left must tell");
    lab.glance(16, ID[1], "0-1-8");
    assert_eq!(floor(&mut lab, 16), (false, None), "all contain it by now");
}

#[test]
fn a_replica_that_may_have_lost_what_it_had_is_not_trusted_before_the_primary_has_told() {
    let mut lab = Lab::pair();
    lab.primary(0, ID[0], "0-1-5");
    lab.replica(0, ID[1], "0-1-5");
    assert_eq!(floor(&mut lab, 0), (false, None));
    lab.table.lost(ID[1], lab.start + seconds(1));
    assert_eq!(floor(&mut lab, 1), (true, None));
    lab.replica(2, ID[1], "0-1-3");
    lab.primary(2, ID[0], "0-1-6");
    assert_eq!(floor(&mut lab, 2), (false, Some(gtids("0-1-6"))));
}

#[test]
fn who_was_too_late_comes_back_well_below_the_limit() {
    let mut lab = Lab::pair();
    lab.primary(0, ID[0], "0-1-5");
    lab.replica(0, ID[1], "0-1-4");
    for (second, serves) in [(9, true), (11, false)] {
        lab.primary(second, ID[0], "0-1-5");
        lab.glance(second, ID[1], "0-1-4");
        assert_eq!(lab.view(ID[1]).serves_reads(), serves, "{second}");
    }
    // It catches up to what the primary had at second 2 or so: 9 s behind, 10 s are allowed.
    let mut entry = lab.table.servers.remove(1);
    for (lag, serves) in [(9, false), (8, true), (10, true), (11, false), (1, true)] {
        entry.lags(Lag::Behind(seconds(lag)), Some(seconds(lag)));
        assert_eq!(entry.view(Role::Replica).serves_reads(), serves, "{lag}");
    }
}

#[test]
fn a_heartbeat_is_believed_before_gtids() {
    let mut lab = Lab::pair();
    let lag = |lab: &Lab| lab.view(ID[1]).lag;
    let behind = |ms| Lag::Behind(Duration::from_millis(ms));
    lab.beat(0, ID[0], "0-1-9", (false, Replication::Absent), "10:00:00.5");
    lab.beat(0, ID[1], "0-1-9", (true, running()), "10:00:00.2");
    assert_eq!(lag(&lab), behind(300));
    lab.beat(1, ID[1], "0-1-8", (true, running()), "10:00:00.500000");
    assert_eq!(lag(&lab), behind(0), "all that the primary had shown");
    // In between it stays what it was.
    lab.beat(2, ID[1], "0-1-8", (true, running()), "09:59:59.5");
    assert_eq!(lag(&lab), behind(3_000));
    lab.glance(3, ID[1], "0-1-9");
    assert_eq!(lag(&lab), behind(3_000));
    // Without one, GTIDs tell.
    lab.beat(4, ID[1], "0-1-8", (true, running()), "");
    assert_eq!(lag(&lab), behind(4_000));
    lab.beat(4, ID[0], "0-1-9", (false, Replication::Absent), "");
    lab.beat(4, ID[1], "0-1-9", (true, running()), "10:00:00");
    assert_eq!(lag(&lab), behind(0));
}

/// The plan that a [`Lab`] begins with.
fn plans(ids: &[(u16, Planned, u32)]) -> Vec<(ServerId, Arc<str>, ServerPlan)> {
    let plan = |role, weight| ServerPlan { role, local: true, weight, max_lag: seconds(10) };
    ids.iter().map(|(id, role, weight)| (ServerId(*id), format!("s{id}").into(), plan(*role, *weight))).collect()
}

impl Lab {
    fn configure(&mut self, second: u64, ids: &[(u16, Planned, u32)]) -> Vec<Event> {
        let thresholds = Thresholds { down_after: 2, up_after: 1 };
        self.table.configure(&plans(ids), thresholds, [seconds(5), seconds(3)], self.start + seconds(second))
    }
}

#[test]
fn who_leaves_the_configuration_keeps_its_place_and_takes_nothing() {
    use Planned::{Primary, Replica};
    let mut lab = Lab::pair();
    lab.primary(1, ID[0], "0-1-5");
    lab.replica(1, ID[1], "0-1-5");
    let before = lab.publish(1).expect("news");
    assert_eq!((*before.readers).to_vec(), [ID[1]]);
    assert!(!before.floor.pending);

    // The replica is replaced by one that nobody has asked yet.
    lab.configure(2, &[(0, Primary, 1), (2, Replica, 1)]);
    let after = lab.publish(2).expect("news");
    assert_eq!(
        after.servers.iter().map(|s| s.health.clone()).collect::<Vec<_>>(),
        [Health::Up, Health::Retired, Health::Unknown]
    );
    assert!(after.readers.is_empty(), "{:?}", after.readers);
    assert!(after.floor.pending, "what was read there nobody can tell but the primary");
    assert_eq!(lab.table.awaited(), [ID[0]]);
    assert_eq!(after.everywhere, None);

    // What is still on its way from the one that left is not believed.
    lab.replica(3, ID[1], "0-1-9");
    assert!(lab.publish(3).is_none());
    lab.replica(3, ID[2], "0-1-3");
    lab.primary(3, ID[0], "0-1-6");
    let last = lab.publish(3).expect("news");
    assert_eq!((*last.readers).to_vec(), [ID[2]]);
    assert_eq!((last.floor.pending, last.floor.gtids.clone()), (false, Some(gtids("0-1-6"))));
}

#[test]
fn a_primary_at_another_address_is_another_primary() {
    use Planned::{Primary, Replica};
    let mut lab = Lab::pair();
    lab.primary(1, ID[0], "0-1-5");
    lab.replica(1, ID[1], "0-1-5");
    lab.publish(1);
    let events = lab.configure(2, &[(2, Primary, 1), (1, Replica, 1)]);
    assert_eq!(events, [Event::PrimaryIs(ID[2])]);
    let after = lab.publish(2).expect("news");
    assert_eq!(after.primary().map(|s| s.id), Some(ID[2]));
    assert_eq!(after.servers[0].health, Health::Retired);
    assert!(after.floor.pending && after.report.is_none() && after.is_unsettled());
}

#[test]
fn who_may_serve_reads_now_must_have_what_all_others_had() {
    use Planned::{Primary, Replica};
    let mut lab = Lab::new(&[Primary, Replica, Replica]);
    lab.configure(0, &[(0, Primary, 1), (1, Replica, 1), (2, Replica, 0)]);
    lab.primary(1, ID[0], "0-1-5");
    lab.replica(1, ID[1], "0-1-5");
    lab.replica(1, ID[2], "0-1-2");
    lab.publish(1);
    lab.primary(2, ID[0], "0-1-5");
    let before = lab.publish(2).expect("news");
    assert_eq!(before.everywhere, Some(gtids("0-1-5")), "the one without weight does not count");
    assert!(!before.floor.pending);
    lab.configure(3, &[(0, Primary, 1), (1, Replica, 1), (2, Replica, 1)]);
    let after = lab.publish(3).expect("news");
    assert_eq!((*after.readers).to_vec(), [ID[1], ID[2]]);
    assert!(after.floor.pending);
    assert_eq!(after.everywhere, Some(gtids("0-1-2")));
    // With other weights some who read from the one will read from the other.
    lab.primary(4, ID[0], "0-1-5");
    let before = lab.publish(4).expect("news");
    assert!(!before.floor.pending);
    lab.configure(5, &[(0, Primary, 1), (1, Replica, 3), (2, Replica, 1)]);
    let last = lab.publish(5).expect("news");
    assert_eq!((last.floor.pending, last.epoch, last.servers[1].weight), (true, before.epoch + 1, 3));
    lab.primary(6, ID[0], "0-1-5");
    assert!(!lab.publish(6).expect("news").floor.pending);
    lab.configure(7, &[(0, Primary, 1), (1, Replica, 3), (2, Replica, 1)]);
    assert!(lab.publish(7).is_none(), "nothing is otherwise");
}

#[test]
fn among_three_readers_one_that_leaves_moves_the_others() {
    let mut lab = Lab::new(&[Planned::Primary, Planned::Replica, Planned::Replica]);
    lab.configure(
        0,
        &[(0, Planned::Primary, 1), (1, Planned::Replica, 1), (2, Planned::Replica, 1), (4, Planned::Replica, 1)],
    );
    lab.primary(1, ID[0], "0-1-5");
    for id in [1, 2, 4] {
        lab.replica(1, ServerId(id), "0-1-5");
    }
    let before = lab.publish(1).expect("news");
    assert_eq!(before.servers[3].health, Health::Retired, "an id that was never used has its place");
    assert_eq!((*before.readers).to_vec(), [1, 2, 4].map(ServerId));
    lab.fail(2, ServerId(4), &"gone".into());
    lab.fail(3, ServerId(4), &"gone".into());
    lab.publish(3);
    let mut awaited = lab.table.awaited();
    awaited.sort();
    awaited.dedup();
    assert_eq!(awaited, ID, "what was seen on any of the three must be seen on both that stay");
}
