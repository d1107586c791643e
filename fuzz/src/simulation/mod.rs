//! A whole Landbridge between simulated servers and clients: sessions, pools and bindings under random
//! interleavings of commands, errors and disconnects.
//!
//! Servers keep the state of each connection, and every statement carries the state its client was told
//! about, so that whatever runs in another state is found where it runs. The clock is paused: hours pass
//! in milliseconds, and the same seed does the same.

mod client;
mod crowds;
mod moves;
mod nonsense;
mod proxy;
mod random;
pub mod scenarios;
mod server;
mod statements;
mod tag;
mod wire;
mod world;

use client::Client;
use landbridge::pool::Counts;
use proxy::Proxy;
use random::Random;
use std::cell::RefCell;
use std::sync::{Arc, Once};
use std::time::Duration;
use world::{Faults, World};

/// What a run was like.
#[derive(Debug, Default, Clone, Copy)]
pub struct Seen {
    /// Statements that clients sent.
    pub statements: u64,
    /// Faults of servers.
    pub faults: u64,
    /// Transactions committed.
    pub committed: u64,
}

/// What kinds of runs there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Nothing goes wrong.
    Fair,
    /// Statements fail, connections break, servers go away.
    Stormy,
    /// Servers also answer with nonsense.
    Hostile,
}

impl Weather {
    fn faults(self, random: &mut Random) -> Faults {
        let mut up_to = |most: u64| random.below(most + 1);
        match self {
            Self::Fair => Faults::default(),
            Self::Stormy | Self::Hostile => Faults {
                cuts: up_to(40),
                errors: up_to(40),
                stalls: up_to(4),
                nonsense: if self == Self::Hostile { 1 + up_to(60) } else { 0 },
                dials: up_to(300),
                outages: up_to(6),
            },
        }
    }
}

/// Sessions end within this after their clients have gone: longer than a slow server takes.
const GRACE: Duration = Duration::from_secs(120);

/// One run.
///
/// # Errors
/// What must not have been, and the story of the run.
pub fn run(weather: Weather, seed: u64) -> Result<Seen, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let mut random = Random::new(seed);
    let faults = weather.faults(&mut random);
    let world = World::new(1 + random.below(3) as usize, faults);
    PANICS.with_borrow_mut(Vec::clear);
    listen_for_panics();
    runtime.expect("a runtime").block_on(live(&world, random));
    PANICS.with_borrow_mut(|panics| panics.drain(..).for_each(|panic| world.violated(panic)));
    let facts = world.facts();
    if let Some(first) = facts.violations.first() {
        let at = facts.story.iter().position(|told| told.starts_with("VIOLATION")).unwrap_or(facts.story.len());
        let story = facts.story[at.saturating_sub(500)..facts.story.len().min(at + 10)].join("\n");
        return Err(format!("{weather:?} {seed}: {first}\n{faults:?}\n{story}"));
    }
    let committed = facts.machines[world::PRIMARY].executed;
    Ok(Seen { statements: facts.statements, faults: facts.faults, committed })
}

thread_local! {
    /// Panics of tasks, which the runtime keeps to itself; it has but this thread.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn listen_for_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            before(panic);
        }));
    });
}

async fn live(world: &Arc<World>, mut random: Random) {
    let proxy = Arc::new(Proxy::start(world, &mut random));
    let monitor = {
        let (proxy, random) = (proxy.clone(), random.fork());
        tokio::spawn(async move { proxy.monitor(random).await })
    };
    let clients = 2 + random.below(7);
    let mut working = Vec::new();
    for id in 1..=clients {
        let (proxy, world, random) = (proxy.clone(), world.clone(), random.fork());
        working.push(tokio::spawn(async move { keep_coming(&proxy, &world, id, random).await }));
    }
    for one in working {
        if let Err(panic) = one.await {
            world.violated(format!("a client panicked: {panic}"));
        }
    }
    proxy.sessions.close();
    if tokio::time::timeout(GRACE, proxy.sessions.wait()).await.is_err() {
        world.violated(format!("{} sessions go on without their clients", proxy.sessions.len()));
    }
    must_settle(world, &proxy).await;
    monitor.abort();
    proxy.stop().await;
}

/// One application: it connects, works for a while, leaves in one way or another, and comes again.
async fn keep_coming(proxy: &Proxy, world: &Arc<World>, id: u64, mut random: Random) {
    for visit in 0..2 + random.below(4) {
        tokio::time::sleep(Duration::from_millis(random.below(400))).await;
        let name = id + 100 * visit;
        let Ok(mut client) = Client::connect(proxy, world, name, random.fork()).await else { continue };
        for _ in 0..5 + random.below(40) {
            if client.act().await.is_err() {
                break;
            }
        }
        world.tell(format!("client {name} leaves"));
    }
}

/// Once everybody has gone, nothing is leased, awaited or being cleaned, and the pools know of every
/// connection there is.
async fn must_settle(world: &World, proxy: &Proxy) {
    let unsettled = || {
        let busy = |(_, counts): &(String, Counts)| counts.leased + counts.waiting + counts.resetting > 0;
        let busy = proxy.counts().into_iter().find(busy);
        busy.map(|(pool, counts)| format!("the pool {pool} is not at rest: {counts:?}")).or_else(|| proxy.strays())
    };
    for _ in 0..600 {
        if unsettled().is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if let Some(what) = unsettled() {
        world.violated(what);
    }
}
