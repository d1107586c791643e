//! What metrics say is what was: compared with what the relays saw and what clients did.

#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use crate::support::{Bed, Plan, one};
use landbridge::lab::Flavor;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};
use std::time::{SystemTime, UNIX_EPOCH};

/// A counter or gauge of these labels as it is now; 0 if it is not there.
fn value(bed: &Bed, name: &str, labels: &[&str]) -> f64 {
    bed.app().shared.publish(&bed.app().metrics);
    let readings = bed.app().metrics.readings();
    let is_meant = |values: &[(String, String)]| labels.iter().all(|label| values.iter().any(|(_, v)| v == label));
    let meant = readings.iter().filter(|reading| reading.name == name && is_meant(&reading.labels));
    meant.map(|reading| reading.value).sum()
}

fn code(result: mysql_async::Result<()>) -> u16 {
    match result {
        Err(Error::Server(error)) => error.code,
        other => panic!("{other:?}"),
    }
}

/// Round trips that are counted are those that cross the ocean, whatever crosses it.
async fn round_trips_spent_are_those_of_the_relay(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let mut client = bed.client().await;
    let before = bed.crossed();
    let counted = value(&bed, "landbridge_round_trips_total", &["primary"]);
    let saved = value(&bed, "landbridge_round_trips_saved_total", &[]);
    for statement in [
        "INSERT INTO t (id, n) VALUES (1, 1)",
        "SELECT n FROM t",
        "SET SESSION sort_buffer_size = 300000",
        "BEGIN",
        "UPDATE t SET n = 2",
        "SELECT n FROM t",
        "COMMIT",
        "BEGIN",
        "COMMIT",
        "SELECT n FROM t FOR UPDATE",
        "DELETE FROM t WHERE n = 7; DELETE FROM t WHERE n = 8",
    ] {
        client.query_drop(statement).await.expect(statement);
    }
    for id in 2..5 {
        client.exec_drop("INSERT INTO t (id, n) VALUES (?, 0)", (id,)).await.expect("a prepared write");
    }
    client.disconnect().await.expect("goodbye");
    bed.settled().await;
    let crossed = bed.trips_since(&before);
    assert!(crossed >= 8, "{crossed}");
    assert_eq!(
        value(&bed, "landbridge_round_trips_total", &["primary"]) - counted,
        f64::from(u32::try_from(crossed).expect("few"))
    );
    assert!(value(&bed, "landbridge_round_trips_saved_total", &[]) - saved >= 3.0);
    bed.stop().await;
}

/// Bytes of a large answer are counted once on each side, and so are those of a large statement.
async fn bytes_are_counted_on_both_sides(flavor: Flavor) {
    const LARGE: usize = 100_000;
    let bed = Bed::quiet(flavor).await;
    let mut client = bed.client().await;
    let at = |labels: &[&str]| {
        let name = if labels.len() == 2 { "landbridge_server_bytes_total" } else { "landbridge_client_bytes_total" };
        value(&bed, name, labels)
    };
    let all = || [at(&["sent"]), at(&["received"]), at(&["replica", "received"]), at(&["primary", "sent"])];
    let before = all();
    let text: String = one(&mut client, &format!("SELECT REPEAT('x', {LARGE})")).await;
    assert_eq!(text.len(), LARGE);
    let statement = format!("INSERT INTO t (n) VALUES (1) /* {text} */");
    client.query_drop(statement).await.expect("a large statement");
    for (after, before) in all().into_iter().zip(before) {
        let counted = after - before;
        assert!((100_000.0..102_000.0).contains(&counted), "{counted}");
    }
    bed.stop().await;
}

/// Errors by whose they are.
async fn errors_are_told_apart(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let mut client = bed.client().await;
    assert_eq!(code(client.query_drop("SELECT * FROM missing").await), 1146);
    assert_eq!(code(client.query_drop("INSERT INTO missing VALUES (1)").await), 1146);
    assert_eq!(code(client.exec_drop("INSERT INTO missing VALUES (?)", (1,)).await), 1146);
    assert_eq!(value(&bed, "landbridge_errors_total", &["server", "1146"]), 3.0);
    client.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("a write");
    assert_eq!(code(client.query_drop("SET @n = ROW_COUNT()").await), 1235);
    assert_eq!(value(&bed, "landbridge_errors_total", &["landbridge", "1235"]), 1.0);
    let refused = Conn::new(bed.opts().pass(Some("wrong"))).await.map(drop);
    assert_eq!(code(refused), 1045);
    assert_eq!(value(&bed, "landbridge_errors_total", &["landbridge", "1045"]), 1.0);
    assert_eq!(value(&bed, "landbridge_login_failures_total", &[]), 1.0);
    assert_eq!(value(&bed, "landbridge_errors_total", &[]), 5.0);
    bed.stop().await;
}

/// What sessions hold now.
async fn sessions_by_what_they_hold(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let holds = |state: &'static str, pinned: f64| {
        move |bed: &Bed| {
            ["nothing", "begun", "transaction", "pinned"]
                .into_iter()
                .all(|of| value(bed, "landbridge_sessions", &[of]) == f64::from(u8::from(of == state)))
                && value(bed, "landbridge_pinned_sessions", &["named_lock"]) == pinned
        }
    };
    let mut client = bed.client().await;
    bed.until(|| holds("nothing", 0.0)(&bed)).await;
    for (statement, state, pinned) in [
        ("BEGIN", "begun", 0.0),
        ("INSERT INTO t (n) VALUES (1)", "transaction", 0.0),
        ("COMMIT", "nothing", 0.0),
        ("DO GET_LOCK('counted', 5)", "pinned", 1.0),
        ("DO RELEASE_ALL_LOCKS()", "nothing", 0.0),
    ] {
        client.query_drop(statement).await.expect(statement);
        bed.until(|| holds(state, pinned)(&bed)).await;
    }
    assert_eq!(value(&bed, "landbridge_pins_total", &["named_lock"]), 1.0);
    bed.stop().await;
}

/// Every statement that went somewhere has its times, and every dial its phases.
async fn times_are_complete(flavor: Flavor) {
    let bed = Bed::quiet(flavor).await;
    let mut client = bed.client().await;
    // Behind a write they might have to go to the primary, where the replica is slow.
    for _ in 0..5 {
        client.query_drop("SELECT n FROM t").await.expect("a read");
    }
    for n in 0..5 {
        client.query_drop(format!("INSERT INTO t (n) VALUES ({n})")).await.expect("a write");
    }
    client.disconnect().await.expect("goodbye");
    bed.settled().await;
    for target in ["primary", "replica"] {
        let statements = value(&bed, "landbridge_statements_total", &[target]);
        assert!(statements >= 5.0);
        for name in ["landbridge_statement_wait_seconds_count", "landbridge_statement_run_seconds_count"] {
            assert_eq!(bed.metric_of(name, target), statements, "{name} {target}");
        }
    }
    let dials = bed.metric_of("landbridge_dial_seconds_count", "primary");
    assert!(dials >= 4.0 && dials == value(&bed, "landbridge_dials_total", &["primary"]));
    for phase in ["tcp", "tls", "login", "setup"] {
        assert_eq!(
            bed.metric_of("landbridge_dial_phase_seconds_count", phase),
            dials * 2.0,
            "{phase}, on both servers"
        );
    }
    let (parts, whole) = ("landbridge_dial_phase_seconds_sum", "landbridge_dial_seconds_sum");
    assert!((bed.metric_of(parts, "primary") - bed.metric_of(whole, "primary")).abs() < 1e-6);
    bed.stop().await;
}

/// Pools, readiness to be seen from them, and certificates.
async fn what_is_there(flavor: Flavor) {
    let extra = "[listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"\"\nhttp = \"\"\ntls = \"optional\"";
    let bed = Bed::with(flavor, Plan { extra, quiet: true, ..Plan::default() }).await;
    bed.settled().await;
    for server in ["primary", "replica"] {
        assert_eq!(value(&bed, "landbridge_pool_warm_target", &[server]), 4.0);
        assert_eq!(value(&bed, "landbridge_pool_connections", &[server, "idle"]), 4.0);
        assert_eq!(value(&bed, "landbridge_pool_limit", &[server]), 16.0);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
    let expiry = "landbridge_certificate_expiry_timestamp_seconds";
    for labels in [&["listen"][..], &["server", "primary"], &["server", "replica"]] {
        assert!(value(&bed, expiry, labels) > now, "{labels:?}");
    }
    assert_eq!(value(&bed, expiry, &["client"]), 0.0, "none is shown");
    assert_eq!(value(&bed, "landbridge_build_info", &[]), 1.0);
    // Several look at once, and none of them sees what another one has only begun to say.
    let looks = (0..4).map(|_| {
        let (metrics, shared) = (bed.app().metrics.clone(), bed.app().shared.clone());
        tokio::task::spawn_blocking(move || {
            for _ in 0..100 {
                let text = metrics.look(|metrics| shared.publish(metrics)).expect("renders");
                let text = String::from_utf8(text).expect("text");
                assert!(text.contains("landbridge_pool_limit{server=\"primary\"} 16\n"), "{text}");
            }
        })
    });
    for look in looks.collect::<Vec<_>>() {
        look.await.expect("it saw all");
    }
    bed.stop().await;
}

/// Lag is there while it is known, and only then.
async fn lag_is_absent_while_it_is_not_known(flavor: Flavor) {
    let bed = Bed::new(flavor).await;
    let has_lag = || bed.app().metrics.readings().iter().any(|r| r.name == "landbridge_replica_lag_seconds");
    let runs = || value(&bed, "landbridge_replication_running", &["replica"]) == 1.0;
    bed.until(|| has_lag() && runs()).await;
    bed.pair.replica.sql("STOP REPLICA").await.expect("stopped");
    bed.until(|| !has_lag() && !runs()).await;
    bed.pair.replica.sql("START REPLICA").await.expect("started");
    bed.until(|| has_lag() && runs()).await;
    bed.stop().await;
}

crate::on_both!(
    round_trips_spent_are_those_of_the_relay,
    bytes_are_counted_on_both_sides,
    errors_are_told_apart,
    sessions_by_what_they_hold,
    times_are_complete,
    what_is_there,
    lag_is_absent_while_it_is_not_known,
);
