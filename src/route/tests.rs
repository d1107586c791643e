use super::*;
use crate::consistency::gtid::Family;
use crate::topology::FloorView;
use std::sync::Arc;
use std::time::Instant;

fn server(id: u16, role: Role) -> ServerView {
    ServerView {
        rtt: Some(Duration::from_millis(if role == Role::Primary { 100 } else { 1 })),
        family: Some(Family::MariaDb),
        executed: Some(Arc::new(gtids("0-1-5"))),
        ..ServerView::of(ServerId(id), &format!("s{id}"), role)
    }
}

fn gtids(text: &str) -> GtidSet {
    GtidSet::parse(Family::MariaDb, text).expect("well formed")
}

fn pair(change: impl FnOnce(&mut ServerView, &mut ServerView)) -> Snapshot {
    let (mut primary, mut replica) = (server(0, Role::Primary), server(1, Role::Replica));
    change(&mut primary, &mut replica);
    Snapshot::of(vec![primary, replica])
}

fn wrote(text: &str) -> Token {
    Token::of(Some(gtids(text)))
}

fn route(need: Need, token: &Token, snapshot: &Snapshot) -> Result<(u16, &'static str, bool), NoRoute> {
    decide(
        need,
        &Reader {
            token: token.clone(),
            is_consistent: true,
            patience: Some(Duration::from_millis(100)),
            ..Reader::default()
        },
        snapshot,
    )
    .map(|r| (r.server.0, r.reason.as_str(), r.wait_for.is_some()))
}

const WRITE: Need = Need::Primary(Reason::InTransaction);

#[test]
fn decisions() {
    let down = || Health::Down("refused".into());
    let none = Token::default();
    let mut recent = Token::default();
    recent.primary_until = Some(Instant::now());
    let table = [
        (pair(|_, _| ()), Need::Read, &none, (1, "read", false)),
        (pair(|_, _| ()), WRITE, &none, (0, "in_transaction", false)),
        (pair(|_, _| ()), Need::Read, &wrote("0-1-5"), (1, "read_after_write", false)),
        (pair(|_, _| ()), Need::Read, &wrote("0-1-6"), (1, "read_after_wait", true)),
        (pair(|_, _| ()), Need::Read, &recent, (0, "recent_write", false)),
        (pair(|_, r| r.lag = Lag::Stopped), Need::Read, &wrote("0-1-6"), (0, "replica_behind", false)),
        (
            pair(|_, r| r.lag = Lag::Behind(Duration::from_secs(1))),
            Need::Read,
            &wrote("0-1-6"),
            (0, "replica_behind", false),
        ),
        (pair(|_, r| r.health = down()), Need::Read, &none, (0, "no_replica", false)),
        (pair(|_, r| r.weight = 0), Need::Read, &none, (0, "no_replica", false)),
        (pair(|_, r| r.held_lag = Some(Duration::from_secs(11))), Need::Read, &none, (0, "no_replica", false)),
        (pair(|_, r| r.held_lag = None), Need::Read, &none, (1, "read", false)),
        (pair(|p, _| p.health = down()), Need::Read, &none, (1, "read", false)),
        (
            pair(|p, r| (p.health, r.held_lag) = (down(), Some(Duration::from_secs(60)))),
            Need::Read,
            &none,
            (1, "primary_is_down", false),
        ),
        (pair(|p, r| (p.local, r.local) = (true, false)), Need::Read, &none, (0, "primary_is_nearer", false)),
    ];
    for (at, (snapshot, need, token, want)) in table.into_iter().enumerate() {
        assert_eq!(route(need, token, &snapshot), Ok(want), "row {at}");
    }
}

#[test]
fn a_dead_primary_is_an_answer_not_a_wait() {
    let snapshot = pair(|p, _| p.health = Health::Down("refused".into()));
    assert_eq!(
        route(WRITE, &Token::default(), &snapshot),
        Err(NoRoute::Down { server: "s0".into(), why: "refused".into() })
    );
    assert_eq!(route(WRITE, &Token::default(), &Snapshot::default()), Err(NoRoute::NoPrimary));
}

#[test]
fn a_primary_in_doubt_is_not_used() {
    let snapshot = pair(|p, _| p.is_doubtful = true);
    assert!(matches!(route(WRITE, &Token::default(), &snapshot), Err(NoRoute::Down { .. })));
    assert!(snapshot.is_unsettled());
    assert_eq!(route(Need::Read, &Token::default(), &snapshot), Ok((1, "read", false)));
}

#[test]
fn between_two_primaries_only_what_is_proven_is_read() {
    let mut snapshot = pair(|p, _| p.role = Role::Replica);
    let read = |snapshot: &Snapshot| route(Need::Read, &Token::default(), snapshot);
    snapshot.between_primaries = true;
    assert!(read(&snapshot).is_ok(), "nothing is missing");
    snapshot.floor.pending = true;
    assert_eq!(read(&snapshot), Err(NoRoute::NoPrimary));
    assert!(snapshot.may_soon_be_proven() && !snapshot.is_unsettled());
    snapshot.between_primaries = false;
    assert!(read(&snapshot).is_ok(), "nobody will ever say it");
}

#[test]
fn equal_replicas_share_reads_by_weight() {
    let mut snapshot = pair(|_, _| ());
    snapshot.servers.push(ServerView { weight: 3, ..server(2, Role::Replica) });
    snapshot.servers.push(ServerView { local: false, weight: 100, ..server(3, Role::Replica) });
    let snapshot = Snapshot::of(snapshot.servers);
    let picked = |pick| decide(Need::Read, &Reader { pick, ..Reader::default() }, &snapshot).expect("routes").server.0;
    assert_eq!((0..8).map(picked).collect::<Vec<_>>(), [1, 2, 2, 2, 1, 2, 2, 2]);
}

/// Two equal replicas, of which the second has more.
fn three() -> Snapshot {
    let mut servers = pair(|_, _| ()).servers;
    servers.push(ServerView { executed: Some(Arc::new(gtids("0-1-9"))), ..server(2, Role::Replica) });
    Snapshot::of(servers)
}

#[test]
fn another_replica_must_have_what_was_seen_on_the_first() {
    let snapshot = three();
    let reader = Reader { token: wrote("0-1-7"), is_consistent: true, ..Reader::default() };
    let first = decide(Need::Read, &reader, &snapshot).expect("routes");
    assert_eq!(
        (first.server.0, first.reason, first.wait_for),
        (1, Reason::ReadAfterWait, Some(Arc::new(gtids("0-1-7"))))
    );
    let other = |seen: &str| another_replica(&reader, &snapshot, ServerId(1), &gtids(seen)).map(|r| r.server.0);
    assert_eq!(other("0-1-6"), Some(2));
    assert_eq!(other("0-1-6,4-1-1"), None);
    let pending = Snapshot { floor: FloorView { pending: true, ..FloorView::default() }, ..snapshot.clone() };
    assert_eq!(another_replica(&reader, &pending, ServerId(1), &gtids("0-1-6")), None);
}

#[test]
fn the_floor_holds_for_everybody_who_asks_for_consistency() {
    let floor = |gtids: Option<GtidSet>, pending| {
        let floor = FloorView { gtids: gtids.map(Arc::new), pending };
        Snapshot { floor, ..pair(|_, _| ()) }
    };
    let none = Token::default();
    assert_eq!(route(Need::Read, &none, &floor(Some(gtids("0-1-5")), false)), Ok((1, "read", false)));
    assert_eq!(route(Need::Read, &none, &floor(Some(gtids("0-1-6")), false)), Ok((1, "read_after_wait", true)));
    assert_eq!(route(Need::Read, &none, &floor(None, true)), Ok((0, "unproven", false)));
    let anyhow = Reader::default();
    let decided = decide(Need::Read, &anyhow, &floor(Some(gtids("0-1-6")), true)).expect("routes");
    assert_eq!((decided.server.0, decided.reason), (1, Reason::Read));
    // Without the primary nobody could ever prove it.
    let mut alone = floor(None, true);
    alone.servers[0].health = Health::Down("refused".into());
    assert_eq!(route(Need::Read, &none, &alone), Ok((1, "read", false)));
    // Before all have been asked nobody knows whether there is one.
    let mut beginning = floor(None, true);
    (beginning.servers[0].role, beginning.servers[0].health) = (Role::Replica, Health::Unknown);
    assert_eq!(route(Need::Read, &none, &beginning), Err(NoRoute::NoPrimary));
}

#[test]
fn readers_may_be_stricter_than_servers() {
    let late = pair(|_, r| r.held_lag = Some(Duration::from_secs(3)));
    let within = |max_lag| {
        let reader = Reader { max_lag, ..Reader::default() };
        decide(Need::Read, &reader, &late).expect("routes").reason
    };
    assert_eq!(within(None), Reason::Read);
    assert_eq!(within(Some(Duration::from_secs(3))), Reason::Read);
    assert_eq!(within(Some(Duration::from_secs(2))), Reason::NoReplica);
}
