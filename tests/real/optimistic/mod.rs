//! Transactions that read on a replica until they first write.

mod configured;
mod ends;
mod frameworks;
mod interrupted;
mod large;
mod moves;
mod seen;
mod shapes;
mod stays;
mod upheaval;
mod verified;

use crate::support::{APP, Bed, Plan, run};
use landbridge::app::App;
use landbridge::lab::Flavor;
use landbridge::metrics::Reading;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};

/// However busy the machine is, reads wait for the replica.
const EVERYBODY: &str = "[route]\ntransactions = \"optimistic\"\n[consistency]\nwait = \"10s\"\n";

/// A bed for counting, where transactions are tried on replicas and all tables are known. The table `t` has ten rows.
async fn bed(flavor: Flavor) -> Bed {
    bed_with(flavor, EVERYBODY).await
}

/// The same with more of the file, which begins in `[pool]`.
async fn bed_with(flavor: Flavor, extra: &'static str) -> Bed {
    let bed = Bed::with(flavor, Plan { quiet: true, extra, ..Plan::default() }).await;
    let mut client = bed.client().await;
    client
        .query_drop("INSERT INTO t (id, n) VALUES (1,1),(2,2),(3,3),(4,4),(5,5),(6,6),(7,7),(8,8),(9,9),(10,10)")
        .await
        .expect("rows");
    bed.pair.wait_caught_up().await.expect("the replica follows");
    tables_are_known(&bed, &mut client).await;
    client.disconnect().await.expect("goodbye");
    bed.settled().await;
    bed
}

/// Waits until what tables there are is known again.
async fn tables_are_known(bed: &Bed, client: &mut Conn) {
    loop {
        client.query_drop("SELECT n FROM t WHERE id = 0").await.expect("a read has them looked up");
        if bed.app().shared.definitions.are_known_to(APP) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Waits until a read of a transaction that moves waits for its table at the primary.
async fn until_a_read_waits(bed: &Bed) {
    let waits = "SELECT COUNT(*) FROM information_schema.processlist \
                 WHERE state LIKE 'Waiting for table%' AND info LIKE '%FROM t WHERE id = 1'";
    bed.until_sql(waits, "1").await;
}

/// How many transactions ended so.
fn outcomes(bed: &Bed, outcome: &str) -> u64 {
    outcomes_of(bed.app(), outcome)
}

fn outcomes_of(app: &App, outcome: &str) -> u64 {
    counted(app, "landbridge_optimistic_transactions_total", outcome)
}

/// A counter, summed over those with this label.
fn counted(app: &App, name: &str, label: &str) -> u64 {
    let readings = app.metrics.readings();
    let is_meant = |reading: &&Reading| reading.name == name && reading.labels.iter().any(|(_, value)| value == label);
    let all: f64 = readings.iter().filter(is_meant).map(|reading| reading.value).sum();
    format!("{all}").parse().expect("a whole number")
}

/// The error of a transaction that must be tried again.
fn is_refused<T: std::fmt::Debug>(result: mysql_async::Result<T>) {
    match result {
        Err(Error::Server(error)) => assert_eq!((error.code, &*error.state), (1213, "40001"), "{error}"),
        other => panic!("{other:?}"),
    }
}

/// Round trips of clients to the primary, as the pools count them (`counted.rs` compares that with the relay): the
/// relay also sees how tables are looked up, behind everybody's back.
fn trips(bed: &Bed) -> u64 {
    counted(bed.app(), "landbridge_round_trips_total", "primary")
}
