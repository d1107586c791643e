//! The primary goes and comes back while writes may wait for it: what was not sent is done then, once; what was sent and
//! not answered is told as ever.

use crate::bed::{Bed, Deadlines, within};
use crate::cells::{Met, is_wanted, recover, verify};
use crate::expected::expected_with_patience;
use crate::fault::{Fault, Strike};
use crate::moment::{Moment, Scene, count, read, write};
use crate::outcome::Outcome;
use landbridge::lab::Flavor;
use landbridge::topology::Role;
use tokio::sync::watch;

async fn writes_wait_for_the_primary(flavor: Flavor) {
    let bed = Bed::start(flavor, Deadlines::ShortAndPatient).await;
    let mut wrong = Vec::new();
    for fault in [Fault::Killed, Fault::BlackHole, Fault::Refused].into_iter().filter(|fault| is_wanted(*fault)) {
        meet(&bed, fault, &mut wrong).await;
    }
    bed.stop().await;
    assert!(wrong.is_empty(), "{flavor}:\n{}", wrong.join("\n"));
}

crate::on_both!(writes_wait_for_the_primary);

/// As without patience, but for the writes that end only when the fault has.
async fn meet(bed: &Bed, fault: Fault, wrong: &mut Vec<String>) {
    let (strikes, struck) = watch::channel(false);
    let scene = Scene { bed, tag: format!("{fault:?} patient"), target: Role::Primary, struck };
    let blocker = scene.lock().await;
    let mut strike = Strike::prepare(bed, fault, Role::Primary).await;
    let sessions = scene.sessions().await;
    strike.happen(bed, blocker).await;
    strikes.send_replace(true);
    bed.door.resume();
    bed.down(Role::Primary).await;
    let mut reader = within("a new client", bed.client()).await.expect("a new client gets in");
    within("a read", read(&mut reader)).await.expect("reads go on");
    let mut late = within("a new client", bed.client()).await.expect("a new client gets in");
    let name = scene.name(Moment::Later);
    let later = tokio::spawn(async move { (write(&mut late, &name).await, late) });
    bed.somebody_waits().await;
    assert!(!later.is_finished(), "there is no primary");
    within("a read", read(&mut reader)).await.expect("reads go on");
    strike.mend(bed).await;
    let mut met = Vec::new();
    for session in sessions {
        let moment = session.moment;
        let (outcome, conn) = within(&scene.name(moment), session.result).await.expect("no panic");
        met.push(Met { moment, outcome, conn });
    }
    let (wrote, late) = within("a write that waits", later).await.expect("no panic");
    met.push(Met { moment: Moment::Later, outcome: Outcome::of(&wrote), conn: Some(late) });
    recover(bed, &scene, &mut met).await.judge(&scene, wrong);
    verify(&scene, &met).await;
    assert_eq!(count(bed, &scene.name(Moment::Later)).await, 1, "done once");
    for Met { moment, outcome, .. } in &met {
        let expected = expected_with_patience(fault, *moment).expect("a row of the table");
        if !expected.contains(outcome) {
            wrong.push(format!("{fault:?} x {moment:?}: {outcome}, expected {expected:?}"));
        }
    }
    bed.warm().await;
    bed.pair.wait_caught_up().await.expect("the replica follows again");
}
