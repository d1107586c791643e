//! The nemesis: breaks things by a schedule that follows from the seed, and mends them.
//!
//! One fault at a time, so that there is always a way to prove what a read has seen; beside it the
//! replicas' appliers stop and start.

use crate::clients::Work;
use crate::cluster::{PASSWORD, READER, SERVERS};
use crate::random::Random;
use landbridge::lab::Relay;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of a replica.
    KillReplica,
    /// `kill -9` of the primary, which keeps its data.
    KillPrimary,
    /// `kill -9` of a Landbridge process.
    KillLandbridge,
    /// All connections of a link are reset, and new ones refused.
    Cut,
    /// The connections of a link are reset, once.
    Reset,
    /// The next answer of the primary to one process is lost.
    LoseAnswer,
    /// A link swallows everything.
    BlackHole,
    /// A server is frozen.
    Freeze,
    /// Replicas get nothing from the primary.
    Starve,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::KillReplica,
        Self::KillPrimary,
        Self::KillLandbridge,
        Self::Cut,
        Self::Reset,
        Self::LoseAnswer,
        Self::BlackHole,
        Self::Freeze,
        Self::Starve,
    ];

    /// Those that may come while the roles change: a server that starts anew has the role it began with.
    pub const NOT_OF_SERVERS: [Self; 4] = [Self::KillLandbridge, Self::Cut, Self::Reset, Self::BlackHole];
}

/// Stops and starts the appliers of these servers until `until`.
pub async fn lag(work: &Work, replicas: &[usize], mut random: Random, until: Instant) {
    while Instant::now() < until {
        // Sometimes all of them.
        let first = random.below(replicas.len());
        let count = if random.percent(40) { replicas.len() } else { 1 };
        let chosen: Vec<usize> = (0..count).map(|n| replicas[(first + n) % replicas.len()]).collect();
        for number in &chosen {
            // One that is dead at the moment lags anyway.
            if work.cluster.servers[*number].stop_applier().await.is_ok() {
                work.recorder.event(format!("the applier of s{number} stops"));
            }
        }
        sleep(random.millis(50, 1500)).await;
        for number in &chosen {
            if work.cluster.servers[*number].start_applier().await.is_ok() {
                work.recorder.event(format!("the applier of s{number} starts"));
            }
        }
        sleep(random.millis(20, 500)).await;
    }
}

/// Strikes until `until`, with each of these faults before any comes again.
pub async fn strike(work: &Work, faults: &[Fault], mut random: Random, until: Instant) {
    let mut faults = faults.to_vec();
    loop {
        random.shuffle(&mut faults);
        for fault in &faults {
            if Instant::now() >= until {
                return;
            }
            cause(work, *fault, &mut random).await;
            sleep(random.millis(100, 700)).await;
        }
    }
}

async fn cause(work: &Work, fault: Fault, random: &mut Random) {
    let cluster = &work.cluster;
    let pause = random.millis(100, 1500);
    let region = random.pick(&cluster.regions);
    let number = random.below(SERVERS);
    let replica = 1 + random.below(SERVERS - 1);
    let (process, link) = (&region.process, &region.links[number]);
    let say = |what: String| work.recorder.event(what);
    match fault {
        Fault::KillReplica => kill_server(work, replica, pause).await,
        Fault::KillPrimary => kill_server(work, 0, pause).await,
        Fault::KillLandbridge => {
            say(format!("{} is killed", process.name));
            process.kill();
            sleep(pause / 4).await;
            process.start(READER, PASSWORD).await;
            say(format!("{} is back", process.name));
        }
        Fault::Cut => weather(work, link, Relay::cut, &format!("{} - s{number} is cut", process.name), pause).await,
        Fault::BlackHole => {
            let what = format!("{} - s{number} is a black hole", process.name);
            weather(work, link, Relay::black_hole, &what, pause * 2).await;
        }
        Fault::LoseAnswer => {
            let what = format!("an answer of s0 to {} is to be lost", process.name);
            weather(work, &region.links[0], Relay::cut_on_next_server_bytes, &what, pause / 2).await;
        }
        Fault::Reset => {
            say(format!("{} - s{number} is reset", process.name));
            link.cut_existing();
        }
        Fault::Freeze => {
            say(format!("s{number} is frozen"));
            cluster.servers[number].pause().expect("it runs");
            sleep(pause * 2).await;
            cluster.servers[number].unpause().expect("it runs");
            say(format!("s{number} thaws"));
        }
        Fault::Starve => weather(work, &cluster.replication, Relay::black_hole, "the replicas starve", pause * 2).await,
    }
}

async fn weather(work: &Work, link: &Relay, begin: impl Fn(&Relay), what: &str, pause: Duration) {
    work.recorder.event(what);
    begin(link);
    sleep(pause).await;
    link.resume();
    work.recorder.event(format!("no more: {what}"));
}

async fn kill_server(work: &Work, number: usize, pause: Duration) {
    let server = &work.cluster.servers[number];
    work.recorder.event(format!("s{number} is killed"));
    server.kill9().expect("it can be killed");
    sleep(pause).await;
    server.restart().await.expect("it comes back");
    work.recorder.event(format!("s{number} is back"));
}

/// The last act: a replica takes the place of the primary.
pub async fn promote(work: &Work, number: usize) {
    work.recorder.event(format!("s{number} is to be promoted"));
    work.cluster.promote(number).await.expect("it can be promoted");
    work.recorder.event(format!("s{number} is the primary"));
}

/// What nobody should do: a replica that lacks the latest writes takes the place of the primary.
pub async fn promote_hastily(work: &Work, number: usize, mut random: Random) {
    work.cluster.servers[number].stop_applier().await.expect("it stops");
    work.recorder.event(format!("the applier of s{number} stops for good"));
    sleep(random.millis(500, 1000)).await;
    work.cluster.promote_as_it_is(number).await.expect("it can be promoted");
    work.recorder.event(format!("s{number} is the primary as it is"));
}
