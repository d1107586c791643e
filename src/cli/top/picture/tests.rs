use super::*;
use crate::status::report::{Alarm, Connections, Consistency, RoundTrips};

fn example() -> Report {
    let connections = Connections { idle: 3, leased: 1, warming: 2, target: 4, max: 64, ..Connections::default() };
    let server = |name: &str, role| ServerLine {
        name: name.into(),
        region: Some(if role == Role::Primary { "us-west".into() } else { "eu-west".into() }),
        is_near: role == Role::Replica,
        role,
        health: Health::Up,
        rtt_ms: Some(100.4),
        replication: if role == Role::Primary { Replication::None } else { Replication::Running },
        lag_ms: (role == Role::Replica).then_some(12),
        max_lag_ms: 10_000,
        takes_reads: role == Role::Replica,
        connections,
        ..ServerLine::default()
    };
    let route = |target: &str, reason: &str, count| RouteLine { target: target.into(), reason: reason.into(), count };
    let statement = |digest: &str, target: &str, count, mean_ms, worst_ms, last_seconds| StatementLine {
        digest: digest.into(),
        target: target.into(),
        reason: "read".into(),
        count,
        mean_ms,
        worst_ms,
        total_ms: mean_ms * small(count),
        last_seconds,
    };
    Report {
        detail: Detail::Full,
        version: "0.1.0".into(),
        fingerprint: "2f1c".into(),
        uptime_seconds: 7_500,
        region: Some("eu-west".into()),
        state: State::Serving,
        servers: vec![server("primary", Role::Primary), server("replica-eu", Role::Replica)],
        clients: Clients {
            connected: 14,
            free: 12,
            pinned: 2,
            pins: BTreeMap::from([("named_lock".into(), 2)]),
            ..Clients::default()
        },
        routes: vec![route("replica", "read", 480), route("primary", "insert", 12)],
        round_trips: RoundTrips { saved: 1_482_903, saved_by: BTreeMap::from([("read".into(), 480)]), spent: None },
        consistency: Consistency { stale_reads_avoided: 3, waits: BTreeMap::from([("caught_up".into(), 2)]) },
        statements: vec![
            statement("SELECT a FROM t WHERE id = ?", "replica", 480, 0.38, 2.1, 0),
            statement("INSERT INTO t (a) VALUES (?)", "primary", 12, 101.3, 104.9, 9),
        ],
        ..Report::default()
    }
}

fn text_of(report: &Report, width: usize) -> Vec<String> {
    let view = View { report, rates: None, order: Order::Total, width, height: None };
    draw(&view).iter().map(|line| line.print(width, false)).collect()
}

#[test]
fn the_whole_picture() {
    let wanted = [
        "Landbridge 0.1.0  eu-west  serving  up 2h 5m  configuration 2f1c",
        "",
        "SERVER      ROLE     REGION   HEALTH     RTT      LAG  READS  USED  IDLE  OPENING  WAIT  KEPT",
        "primary     primary  us-west  up      100 ms           no        1     3        2     0     4",
        "replica-eu  replica  eu-west  up      100 ms  12.0 ms  yes       1     3        2     0     4",
        "",
        "14 clients  12 holding nothing  2 pinned (named_lock 2)",
        "1,482,903 round trips saved  read 480",
        "3 stale reads avoided  2 reads waited for a replica (caught_up 2)",
        "",
        "492 statements",
        "COUNT  TO       WHY     SHARE",
        "  480  replica  read    ████████████████████████",
        "   12  primary  insert  █",
        "",
        "slow statements by total",
        "COUNT     MEAN    WORST   TOTAL  LAST  TO       WHY   DIGEST",
        "   12   101 ms   105 ms   1.2 s    9s  primary  read  INSERT INTO t (a) VALUES (?)",
        "  480  0.38 ms  2.10 ms  182 ms    0s  replica  read  SELECT a FROM t WHERE id = ?",
    ];
    assert_eq!(text_of(&example(), 120), wanted);
}

#[test]
fn narrow_terminals_lose_columns_and_no_line_is_too_long() {
    for width in [20, 40, 60, 80, 100] {
        for line in text_of(&example(), width) {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
    let narrow = text_of(&example(), 60).join("\n");
    assert!(!narrow.contains("REGION") && narrow.contains("replica-eu") && narrow.contains("INSERT INTO"), "{narrow}");
}

#[test]
fn what_is_wrong_stands_first() {
    let mut report = example();
    report.alarms = vec![Alarm { what: "x".into(), is_serious: true, text: "primary does not answer".into() }];
    report.servers[0].health = Health::Down;
    report.servers[0].why = Some("refused".into());
    report.servers[1].replication = Replication::Stopped;
    report.clients.waiting_at_gate = 7;
    let text = text_of(&report, 120);
    assert_eq!(text[1], "! primary does not answer");
    let all = text.join("\n");
    for part in ["down", "  primary: refused", "stopped", "7 waiting for a primary or RESUME"] {
        assert!(all.contains(part), "{part} missing: {all}");
    }
    report.detail = Detail::Counts;
    assert!(!text_of(&report, 120).join("\n").contains("SELECT"));
}

#[test]
fn statements_are_sorted_as_wished() {
    let report = example();
    for (order, first) in [
        (Order::Total, "INSERT"),
        (Order::Mean, "INSERT"),
        (Order::Worst, "INSERT"),
        (Order::Count, "SELECT"),
        (Order::Last, "SELECT"),
    ] {
        let view = View { report: &report, rates: None, order, width: 120, height: None };
        let lines: Vec<String> = draw(&view).iter().map(|line| line.print(120, false)).collect();
        let at = lines.iter().position(|line| line.ends_with("DIGEST")).expect("a heading") + 1;
        assert!(lines[at].contains(first), "{order:?}: {}", lines[at]);
    }
}

#[test]
fn rates_are_of_one_process() {
    let (old, mut new) = (example(), example());
    new.round_trips.saved += 30;
    new.routes[0].count += 6;
    let second = Duration::from_secs(3);
    assert_eq!(Rates::between(&old, &new, second), Some(Rates { statements: 2.0, saved: 10.0 }));
    assert_eq!(Rates::between(&new, &old, second), None, "another one, which began anew");
    assert_eq!(Rates::between(&old, &new, Duration::ZERO), None);
}

#[test]
fn numbers_for_people() {
    assert_eq!([0, 999, 1_000, 1_482_903].map(thousands), ["0", "999", "1,000", "1,482,903"]);
    assert_eq!([0.38, 12.0, 101.3, 1_215.5, 420_000.0].map(millis), ["0.38 ms", "12.0 ms", "101 ms", "1.2 s", "420 s"]);
    assert_eq!([5, 65, 7_500, 273_600].map(span), ["5s", "1m 5s", "2h 5m", "3d 4h"]);
    assert_eq!([0.0, 0.4, 37.2].map(rate), ["0", "0.4", "37"]);
}
