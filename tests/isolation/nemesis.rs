//! The nemesis: breaks links by a schedule that follows from the seed, and mends them; beside it the replica's applier
//! stops and starts.

use crate::bed::USERS;
use crate::clients::Work;
use crate::random::Random;
use landbridge::lab::{Relay, Server};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// What happens to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Its connections are reset, once.
    Reset,
    /// The same, and new ones are refused for a while.
    Cut,
    /// The next answer is lost, and the connection with it.
    LoseAnswer,
    /// It swallows everything for a while.
    BlackHole,
    /// The server at its end kills statements of clients, whichever it finds.
    Kill,
}

/// A link that can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// From Landbridge to the primary.
    Ocean,
    /// From Landbridge to the replica.
    Shore,
    /// From the replica to the primary.
    Replication,
}

const FAULTS: [(Link, Fault); 13] = [
    (Link::Ocean, Fault::Reset),
    (Link::Ocean, Fault::Cut),
    (Link::Ocean, Fault::LoseAnswer),
    (Link::Ocean, Fault::LoseAnswer),
    (Link::Ocean, Fault::BlackHole),
    (Link::Ocean, Fault::Kill),
    (Link::Ocean, Fault::Kill),
    (Link::Shore, Fault::Kill),
    (Link::Shore, Fault::Reset),
    (Link::Shore, Fault::Cut),
    (Link::Shore, Fault::LoseAnswer),
    (Link::Shore, Fault::BlackHole),
    (Link::Replication, Fault::BlackHole),
];

/// How often killing goes round.
const ROUNDS: usize = 5;

/// Stops and starts the applier until `until`.
pub async fn lag(work: &Work, mut random: Random, until: Instant) {
    while Instant::now() < until {
        work.bed.pair.stop_applier().await.expect("the applier stops");
        work.event("the applier stops");
        sleep(random.millis(50, 700)).await;
        work.bed.pair.start_applier().await.expect("the applier starts");
        work.event("the applier starts");
        sleep(random.millis(50, 700)).await;
    }
}

/// Strikes until `until`, with each fault before any comes again.
pub async fn strike(work: &Work, mut random: Random, until: Instant) {
    let mut faults = FAULTS;
    loop {
        random.shuffle(&mut faults);
        for (link, fault) in faults {
            // Between two of them work goes on, which is what matters.
            sleep(random.millis(400, 1500)).await;
            if Instant::now() >= until {
                return;
            }
            cause(work, link, fault, random.millis(20, 300)).await;
        }
    }
}

async fn cause(work: &Work, link: Link, fault: Fault, pause: Duration) {
    work.event(format!("{link:?}: {fault:?}"));
    let relay = match link {
        Link::Ocean => &work.bed.ocean,
        Link::Shore => &work.bed.shore,
        Link::Replication => &work.bed.replication,
    };
    match fault {
        Fault::Reset => return relay.cut_existing(),
        Fault::Kill => {
            return kill(if link == Link::Ocean { &work.bed.pair.primary } else { &work.bed.pair.replica }).await;
        }
        Fault::Cut => Relay::cut(relay),
        Fault::LoseAnswer => relay.cut_on_next_server_bytes(),
        Fault::BlackHole => relay.black_hole(),
    }
    sleep(pause).await;
    relay.resume();
    work.event(format!("{link:?} is mended"));
}

/// Kills what clients of Landbridge run, again and again for a while.
async fn kill(server: &Server) {
    let users = USERS.map(|user| format!("'{user}'")).join(", ");
    let find = format!("SELECT id FROM information_schema.processlist WHERE user IN ({users})");
    for _ in 0..ROUNDS {
        let Ok(found) = server.sql(&find).await else { return };
        for id in found.iter().filter_map(|row| row.first()?.clone()) {
            // Whoever has gone meanwhile cannot be killed.
            let _gone = server.sql(&format!("KILL QUERY {id}")).await;
        }
    }
}
