//! Over an ocean: what applications wait for, and how often they cross it.
//!
//! A relay of the laboratory delays everything between the primary and whoever connects to it. Clients connect to the
//! relay itself, to `HAProxy`, or to Landbridge, which both connect to the relay; Landbridge has a replica on this side.

use super::load::{Outcome, app};
use super::report;
use super::ways::{Settings, connector, dialled, haproxy, landbridge, say, verify_full};
use anyhow::{Result, bail};
use landbridge::backend::conn::Ready;
use landbridge::backend::login::{self, Account};
use landbridge::backend::query::Reply;
use landbridge::backend::server::Server;
use landbridge::lab::{Flavor, Pair, PairOptions, Relay};
use landbridge::protocol::capability::Capabilities;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Half of a round trip.
const ONE_WAY: Duration = Duration::from_millis(25);
const CLIENTS: [u32; 2] = [1, 16];
const INSERT: &str = "INSERT INTO app.notes (text) VALUES ('over the ocean')";
const SELECT: &str = "SELECT text FROM app.notes WHERE id = 1";

/// What a client does again and again.
#[derive(Debug, Clone, Copy)]
struct Page {
    name: &'static str,
    /// Whether it opens a connection for that, as PHP does.
    connects: bool,
    statements: &'static [&'static str],
}

const PAGES: [Page; 4] = [
    Page { name: "INSERT", connects: false, statements: &[INSERT] },
    Page { name: "BEGIN, INSERT, INSERT, COMMIT", connects: false, statements: &["BEGIN", INSERT, INSERT, "COMMIT"] },
    Page { name: "connect, INSERT, quit", connects: true, statements: &[INSERT] },
    Page {
        name: "connect, 5 SELECT, INSERT, quit",
        connects: true,
        statements: &[SELECT, SELECT, SELECT, SELECT, SELECT, INSERT],
    },
];

/// A way over the ocean.
struct Way {
    name: &'static str,
    server: Arc<Server>,
}

/// What one measurement gave.
struct Sample {
    per_second: f64,
    mean: f64,
    round_trips: f64,
}

/// Measures, and prints a table.
pub(crate) async fn compare(flavor: Flavor, options: PairOptions, rounds: u32, duration: Duration) -> Result<()> {
    say(&format!("starting a {flavor} primary behind an ocean, and a replica"));
    let pair = Pair::start_with(flavor, options).await?;
    pair.primary.sql("CREATE TABLE app.notes (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(100))").await?;
    pair.primary.sql(INSERT).await?;
    pair.wait_caught_up().await?;
    let relay = Relay::start(pair.primary.addr(), ONE_WAY).await?;
    let directory = tempfile::tempdir()?;
    let (_haproxy, haproxy_port) = haproxy(directory.path(), relay.addr().port()).await?;
    let tls = verify_full(&pair);
    let settings = Settings { pair: &pair, primary: relay.addr(), tls: &tls, scope: "user" };
    let (_landbridge, port) = landbridge(directory.path(), "ocean", &settings).await?;
    let ways = [
        Way { name: "direct, TLS", server: dialled(relay.addr().port(), Some(connector(&pair)?)) },
        Way { name: "HAProxy, TLS", server: dialled(haproxy_port, Some(connector(&pair)?)) },
        Way { name: "Landbridge, verify-full", server: dialled(port, None) },
    ];
    let mut table = vec![
        "| what | clients | way | a second | of direct | mean ms | round trips each |".to_owned(),
        "|---|--:|---|--:|--:|--:|--:|".into(),
    ];
    for page in &PAGES {
        for clients in CLIENTS {
            let mut samples = [const { Vec::new() }; 3];
            for _ in 0..rounds {
                for (way, samples) in ways.iter().zip(&mut samples) {
                    samples.push(run(page, clients, way, &relay, duration).await?);
                }
            }
            add(&mut table, page, clients, &ways, samples);
        }
    }
    report::print(&(table.join("\n") + "\n"));
    Ok(())
}

/// Adds the medians of one workload, a line for each way.
fn add(table: &mut Vec<String>, page: &Page, clients: u32, ways: &[Way], samples: [Vec<Sample>; 3]) {
    let mut direct = None;
    for (way, mut samples) in ways.iter().zip(samples) {
        samples.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        let Some(Sample { per_second, mean, round_trips }) = samples.get(samples.len() / 2) else { continue };
        let of_direct = per_second / *direct.get_or_insert(*per_second);
        table.push(format!(
            "| {} | {clients} | {} | {per_second:.1} | {of_direct:.2} | {mean:.1} | {round_trips:.2} |",
            page.name, way.name
        ));
    }
}

async fn run(page: &Page, clients: u32, way: &Way, relay: &Relay, duration: Duration) -> Result<Sample> {
    let account = app();
    let mut conns = Vec::new();
    for _ in 0..if page.connects { 0 } else { clients } {
        conns.push(connect(&way.server, &account).await?);
    }
    conns.resize_with(clients as usize, || None);
    let before = relay.stats();
    let started = Instant::now();
    let mut running = JoinSet::new();
    for conn in conns {
        let (server, account, page) = (way.server.clone(), account.clone(), *page);
        running.spawn(async move { visit(&page, conn, &server, &account, started + duration).await });
    }
    let mut times = Vec::new();
    while let Some(done) = running.join_next().await {
        times.extend(done??);
    }
    let elapsed = started.elapsed().as_secs_f64();
    let pages = f64::from(u32::try_from(times.len())?);
    let round_trips = f64::from(u32::try_from(relay.stats().since(&before).round_trips)?) / pages;
    let Outcome { per_second, mean, .. } = Outcome::of(pages, pages / elapsed, times)?;
    Ok(Sample { per_second, mean, round_trips })
}

async fn connect(server: &Arc<Server>, account: &Arc<Account>) -> Result<Option<Ready>> {
    let login = login::dial(server, account, Capabilities::empty(), Duration::from_secs(30)).await?;
    Ok(Some(Ready::new(login, server.clone(), account.clone())))
}

/// One client, until the deadline: how many milliseconds each page took.
async fn visit(
    page: &Page,
    mut conn: Option<Ready>,
    server: &Arc<Server>,
    account: &Arc<Account>,
    deadline: Instant,
) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    while Instant::now() < deadline {
        let began = Instant::now();
        if page.connects {
            conn = connect(server, account).await?;
        }
        for sql in page.statements {
            let Some(ready) = conn.take() else { bail!("no connection") };
            let (ready, reply) = ready.query(sql).await?;
            if let Reply::Err(error) = reply {
                bail!("{sql}: {error:?}");
            }
            conn = Some(ready);
        }
        times.push(began.elapsed().as_secs_f64() * 1e3);
        if page.connects
            && let Some(conn) = conn.take()
        {
            conn.close().await;
        }
    }
    Ok(times)
}
