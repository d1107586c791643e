use super::*;
use crate::consistency::gtid::Family;
use crate::topology::Lag;
use std::sync::Arc;
use std::time::Instant;

fn server(id: u16, role: Role) -> ServerView {
    ServerView {
        id: ServerId(id),
        name: format!("s{id}").into(),
        local: role == Role::Replica,
        role,
        health: Health::Up,
        lag: Lag::Behind(Duration::ZERO),
        max_lag: Duration::from_secs(10),
        weight: 1,
        rtt: Some(Duration::from_millis(if role == Role::Primary { 100 } else { 1 })),
        family: Some(Family::MariaDb),
        executed: Some(Arc::new(gtids("0-1-5"))),
    }
}

fn gtids(text: &str) -> GtidSet {
    GtidSet::parse(Family::MariaDb, text).expect("well formed")
}

fn pair(change: impl FnOnce(&mut ServerView, &mut ServerView)) -> Snapshot {
    let (mut primary, mut replica) = (server(0, Role::Primary), server(1, Role::Replica));
    change(&mut primary, &mut replica);
    Snapshot { servers: vec![primary, replica] }
}

fn wrote(text: &str) -> Token {
    Token::of(Some(gtids(text)))
}

fn route(need: Need, token: &Token, snapshot: &Snapshot) -> Result<(u16, &'static str, bool), NoRoute> {
    decide(need, token, snapshot, 0).map(|r| (r.server.0, r.reason.as_str(), r.wait_for.is_some()))
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
        (pair(|_, r| r.health = down()), Need::Read, &none, (0, "no_replica", false)),
        (pair(|_, r| r.weight = 0), Need::Read, &none, (0, "no_replica", false)),
        (pair(|_, r| r.lag = Lag::Behind(Duration::from_secs(11))), Need::Read, &none, (0, "no_replica", false)),
        (pair(|_, r| r.lag = Lag::Stopped), Need::Read, &none, (1, "read", false)),
        (pair(|p, _| p.health = down()), Need::Read, &none, (1, "read", false)),
        (
            pair(|p, r| (p.health, r.lag) = (down(), Lag::Behind(Duration::from_secs(60)))),
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
fn equal_replicas_share_reads_by_weight() {
    let mut snapshot = pair(|_, _| ());
    snapshot.servers.push(ServerView { weight: 3, ..server(2, Role::Replica) });
    snapshot.servers.push(ServerView { local: false, weight: 100, ..server(3, Role::Replica) });
    let picks: Vec<u16> =
        (0..8).map(|n| decide(Need::Read, &Token::default(), &snapshot, n).expect("routes").server.0).collect();
    assert_eq!(picks, [1, 2, 2, 2, 1, 2, 2, 2]);
}

#[test]
fn a_replica_that_already_has_the_write_goes_first() {
    let mut snapshot = pair(|_, _| ());
    snapshot.servers.push(ServerView { executed: Some(Arc::new(gtids("0-1-9"))), ..server(2, Role::Replica) });
    assert_eq!(route(Need::Read, &wrote("0-1-9"), &snapshot), Ok((2, "read_after_write", false)));
}
