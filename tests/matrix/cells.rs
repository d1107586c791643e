//! Every cell of the table on real servers. One fault meets a session at each moment at the same time.
//!
//! Besides what the table says it is checked in each cell that plain reads go on, also for new clients; that
//! every acknowledged write is there once, and none twice; that a transaction is there whole or not at all; and
//! that sessions write and read again without help once the server is back, and soon.

use crate::bed::{Bed, Deadlines, within};
use crate::expected::expected;
use crate::fault::{Fault, Strike};
use crate::moment::{Moment, Scene, count, read, write};
use crate::outcome::Outcome;
use landbridge::lab::Flavor;
use landbridge::topology::Role;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};
use std::fmt;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a client that was refused waits before it tries again.
const AGAIN: Duration = Duration::from_millis(20);
/// A server that is back is found to be within two seconds. Tries are counted, for a slow machine makes fewer of them.
const MOST_REFUSALS: usize = 100;

async fn faults_of_the_primary(flavor: Flavor) {
    faults_of(flavor, Role::Primary).await;
}

async fn faults_of_the_replica(flavor: Flavor) {
    faults_of(flavor, Role::Replica).await;
}

crate::on_both!(faults_of_the_primary, faults_of_the_replica);

async fn faults_of(flavor: Flavor, target: Role) {
    let mut bed = Bed::start(flavor, deadlines()).await;
    let mut wrong = Vec::new();
    for fault in Fault::ALL.into_iter().filter(|fault| *fault != Fault::Stall && is_wanted(*fault)) {
        meet(&bed, fault, target, &mut wrong).await;
    }
    if is_wanted(Fault::Stall) {
        bed = bed.restart(Deadlines::Default).await;
        meet(&bed, Fault::Stall, target, &mut wrong).await;
    }
    bed.stop().await;
    assert!(wrong.is_empty(), "{flavor}, {target:?}:\n{}", wrong.join("\n"));
}

/// `MATRIX_FAULT=Killed` runs one fault alone.
pub fn is_wanted(fault: Fault) -> bool {
    std::env::var("MATRIX_FAULT").map_or(true, |one| one == format!("{fault:?}"))
}

/// `MATRIX_DEADLINES=default` has everything take as long as with a file that does not say.
fn deadlines() -> Deadlines {
    if std::env::var_os("MATRIX_DEADLINES").is_some() { Deadlines::Default } else { Deadlines::Short }
}

/// What became of a session.
pub struct Met {
    pub moment: Moment,
    pub outcome: Outcome,
    pub conn: Option<Conn>,
}

async fn meet(bed: &Bed, fault: Fault, target: Role, wrong: &mut Vec<String>) {
    let started = Instant::now();
    let (strikes, struck) = watch::channel(false);
    let scene = Scene { bed, tag: format!("{fault:?} {target:?}"), target, struck };
    let blocker = scene.lock().await;
    let mut strike = Strike::prepare(bed, fault, target).await;
    let sessions = scene.sessions().await;
    let prepared = started.elapsed();
    strike.happen(bed, blocker).await;
    strikes.send_replace(true);
    bed.door.resume();
    let ended = async {
        let mut met = Vec::new();
        for session in sessions {
            let moment = session.moment;
            let (outcome, conn) = within(&scene.name(moment), session.result).await.expect("no panic");
            met.push(Met { moment, outcome, conn });
        }
        met
    };
    let (mut met, ()) = tokio::join!(ended, strike.pass(bed));
    let told = started.elapsed();
    let later = later(bed, &scene, fault, &mut met).await;
    met.push(Met { moment: Moment::Later, outcome: later, conn: None });
    let mending = Instant::now();
    strike.mend(bed).await;
    let mended = mending.elapsed();
    let recovered = recover(bed, &scene, &mut met).await;
    verify(&scene, &met).await;
    recovered.judge(&scene, wrong);
    for Met { moment, outcome, .. } in &met {
        let expected = expected(target, fault, *moment);
        if !expected.contains(outcome) {
            wrong.push(format!("{fault:?} x {moment:?}: {outcome}, expected {expected:?}"));
        }
    }
    let outcomes: Vec<String> = met.iter().map(|met| format!("{:?} {}", met.moment, met.outcome)).collect();
    eprintln!(
        "{} {fault:?} of the {target:?}: ready {prepared:?}, told {told:?}, mended in {mended:?}, recovered after \
         {recovered}: {}",
        bed.pair.primary.flavor(),
        outcomes.join(", ")
    );
    bed.warm().await;
    bed.pair.wait_caught_up().await.expect("the replica follows again");
}

/// While the fault lasts: everybody reads, and what writes see does not change any more.
async fn later(bed: &Bed, scene: &Scene<'_>, fault: Fault, met: &mut [Met]) -> Outcome {
    if fault.is_noticed() {
        bed.down(scene.target).await;
    } else if fault != Fault::Full {
        // With no room for connections there is nothing to wait for: the server counts as up, and no dial succeeds.
        bed.warm().await;
    }
    let mut outcomes = Vec::new();
    let mut fresh = within("a new client", bed.client()).await.expect("a new client gets in");
    let living = met.iter_mut().filter_map(|met| met.conn.as_mut());
    for conn in living.chain([&mut fresh]) {
        // Of a transaction that a server did not let write. If it has gone since, it was rolled back.
        let rolled_back = within("a rollback", conn.query_drop("ROLLBACK")).await;
        let gone = |error: &Error| error.to_string().contains("inside a transaction: it was rolled back");
        assert!(rolled_back.as_ref().err().is_none_or(gone), "{rolled_back:?}");
        within("a read", read(conn)).await.expect("reads go on");
        let wrote = within("a write", write(conn, &scene.name(Moment::Later))).await;
        outcomes.push((Outcome::of(&wrote), wrote.err().map(|error| error.to_string())));
    }
    let (first, _) = outcomes[0].clone();
    assert!(outcomes.iter().all(|(outcome, _)| *outcome == first), "not the same for everybody: {outcomes:?}");
    fresh.disconnect().await.expect("goodbye");
    first
}

/// How sessions went on once the server was back.
pub struct Recovered {
    /// Until each of them had written.
    took: Duration,
    /// Writes that were refused until then, [`AGAIN`] between two of them.
    refusals: usize,
}

impl Recovered {
    pub fn judge(&self, scene: &Scene<'_>, wrong: &mut Vec<String>) {
        if self.refusals > MOST_REFUSALS {
            wrong.push(format!("{}: recovered after {self}", scene.tag));
        }
    }
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} and {} refusals", self.took, self.refusals)
    }
}

/// Every session writes again and sees what it wrote, without help.
pub async fn recover(bed: &Bed, scene: &Scene<'_>, met: &mut [Met]) -> Recovered {
    let since = Instant::now();
    let (mut took, mut refusals) = (Duration::ZERO, 0);
    let mut conns: Vec<Conn> = met.iter_mut().filter_map(|met| met.conn.take()).collect();
    conns.push(within("a new client", bed.client()).await.expect("a new client gets in"));
    for (number, mut conn) in conns.into_iter().enumerate() {
        let name = format!("{} again {number}", scene.tag);
        within("a write after the fault", async {
            while let Err(error) = write(&mut conn, &name).await {
                assert!(matches!(error, Error::Server(_)), "{name}: {error}");
                refusals += 1;
                tokio::time::sleep(AGAIN).await;
            }
        })
        .await;
        took = took.max(since.elapsed());
        let sql = format!("SELECT COUNT(*) FROM noted WHERE v = '{name}'");
        let seen: Option<u64> = within("a read after the fault", conn.query_first(sql)).await.expect("reads");
        assert!(seen >= Some(1), "{name}: its own write is not seen");
        assert_eq!(count(bed, &name).await, seen.unwrap_or_default(), "{name}");
        conn.disconnect().await.expect("goodbye");
    }
    Recovered { took, refusals }
}

/// Nothing acknowledged is missing, nothing is there twice, and no transaction is there in part.
pub async fn verify(scene: &Scene<'_>, met: &[Met]) {
    for Met { moment, outcome, .. } in met {
        let (name, acknowledged) = (scene.name(*moment), *outcome == Outcome::Fine);
        let found = count(scene.bed, &name).await;
        let right = match moment {
            Moment::Idle | Moment::Login => found == 1 || (!acknowledged && found == 0),
            Moment::InTransaction => found == 2 || (!acknowledged && found == 0),
            // It was done, whatever its client was told.
            Moment::Committing => found == 1,
            Moment::Preparing if scene.target == Role::Primary => found == 1 || (!acknowledged && found == 0),
            Moment::Writing => {
                let sql = format!("SELECT n FROM app.counters WHERE name = '{name}'");
                let n = scene.bed.pair.primary.sql(&sql).await.expect("reads")[0][0].clone();
                n.as_deref() == Some("1") || (!acknowledged && n.as_deref() == Some("0"))
            }
            Moment::Reading | Moment::Preparing | Moment::Streaming | Moment::Later => true,
        };
        assert!(right, "{name}: the client was told {outcome}, and there are {found}");
    }
}
