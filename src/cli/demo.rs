//! `landbridge demo`: two real servers, an ocean, and the difference Landbridge makes.

use super::table::{row, table};
use super::{print, runtime};
use crate::app::App;
use crate::backend::conn::Ready;
use crate::backend::login::{self, Account};
use crate::backend::query::Reply;
use crate::backend::server::Server;
use crate::config::{self, Secret};
use crate::lab::{CertFiles, Flavor, Pair, Relay, Stats, accounts, proxy_toml};
use crate::net::socket::Address;
use crate::net::tls::{Connector, ServerTls, Verify};
use crate::protocol::capability::Capabilities;
use crate::topology::ServerId;
use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Requests of each kind; the median is shown.
const REQUESTS: usize = 5;

/// Runs the demo.
pub(super) fn demo(rtt: Duration, flavor: Option<&str>, once: bool) -> Result<()> {
    runtime()?.block_on(async {
        let flavor = choose(flavor)?;
        print(&format!("Starting a {flavor} primary and a replica, with {rtt:?} of ocean in front of the primary ..."));
        let pair = Pair::start(flavor).await?;
        let ocean = Relay::start(pair.primary.addr(), rtt / 2).await?;
        prepare(&pair).await?;
        let settings = settings(ocean.addr(), pair.replica.addr(), &pair.certs)?;
        let app = App::start(&settings).await?;
        wait_until_warm(&app).await;
        let here = *app.mysql.first().context("no listener")?;
        print("Landbridge is warm. The same web request, straight to the primary and through Landbridge:\n");
        let direct = measure(&ocean, || direct_server(&ocean, &pair.certs)).await?;
        let through = measure(&ocean, || Ok(local_server(here))).await?;
        show(&direct, &through);
        if !once {
            print(&format!(
                "Both are yours now (Ctrl-C ends the demo):\n\n  mysql -h 127.0.0.1 -P {} -u {} -p{} {}      through Landbridge\n  \
                 curl http://{}/metrics\n",
                here.port(),
                accounts::APP.user,
                accounts::APP.password,
                accounts::SCHEMA,
                app.http.map(|a| a.to_string()).unwrap_or_default()
            ));
            tokio::signal::ctrl_c().await?;
        }
        app.shut_down().await;
        Ok(())
    })
}

fn choose(name: Option<&str>) -> Result<Flavor> {
    let wanted = |flavor: &Flavor| name.is_none_or(|name| flavor.to_string().eq_ignore_ascii_case(name));
    let Some(flavor) = Flavor::ALL.into_iter().find(|f| wanted(f) && f.is_available()) else {
        bail!(
            "no {} server on this machine; `make setup` installs MariaDB and MySQL",
            name.unwrap_or("MySQL or MariaDB")
        );
    };
    Ok(flavor)
}

async fn prepare(pair: &Pair) -> Result<()> {
    pair.primary.sql("CREATE TABLE app.visits (id INT AUTO_INCREMENT PRIMARY KEY, page VARCHAR(50))").await?;
    pair.primary.sql("INSERT INTO app.visits (page) VALUES ('home'), ('about'), ('calendar')").await?;
    pair.wait_caught_up().await?;
    Ok(())
}

fn settings(primary: SocketAddr, replica: SocketAddr, certs: &CertFiles) -> Result<config::Settings> {
    let listen = "[listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"\"\nhttp = \"127.0.0.1:0\"\n";
    let text = proxy_toml(&certs.ca, [primary, replica]) + listen;
    Ok(config::parse(&text, "demo", Path::new("."), &|_| None)?)
}

async fn wait_until_warm(app: &App) {
    let mut topology = app.shared.topology.clone();
    while !app.is_ready() {
        // Warmth has no event of its own; the topology changes often enough while servers come up.
        let _closed = tokio::time::timeout(Duration::from_millis(50), topology.changed()).await;
    }
}

fn direct_server(ocean: &Relay, certs: &CertFiles) -> Result<Arc<Server>> {
    let tls = ServerTls { verify: Verify::Full, ca: Some(certs.ca.clone()), client_cert: None, server_name: None };
    let connector = Connector::new(&tls, "127.0.0.1")?;
    let address = Address::Tcp { host: "127.0.0.1".into(), port: ocean.addr().port() };
    Ok(Arc::new(Server::new(ServerId(0), "primary".into(), address, Some(connector))))
}

fn local_server(address: SocketAddr) -> Arc<Server> {
    let address = Address::Tcp { host: address.ip().to_string(), port: address.port() };
    Arc::new(Server::new(ServerId(0), "landbridge".into(), address, None))
}

/// One step of a request: its time and its round trips over the ocean.
#[derive(Debug, Clone, Copy)]
struct Step {
    time: Duration,
    round_trips: u64,
}

/// The steps of a request as a web page makes it: what is done, and the statements of it.
const STEPS: [(&str, &[&str]); 5] = [
    ("connect", &[]),
    ("SET NAMES, SET sql_mode", &["SET NAMES utf8mb4", "SET sql_mode = 'STRICT_TRANS_TABLES'"]),
    (
        "5 reads",
        &[
            "SELECT COUNT(*) FROM visits",
            "SELECT page FROM visits WHERE id = 1",
            "SELECT page FROM visits WHERE id = 2",
            "SELECT page FROM visits WHERE id = 3",
            "SELECT MAX(id) FROM visits",
        ],
    ),
    ("1 write", &["INSERT INTO visits (page) VALUES ('contact')"]),
    ("read it back", &["SELECT COUNT(*) FROM visits"]),
];

async fn measure(ocean: &Relay, server: impl Fn() -> Result<Arc<Server>>) -> Result<Vec<Step>> {
    let mut requests = Vec::new();
    for _ in 0..REQUESTS {
        requests.push(request(ocean, server()?).await?);
    }
    let median = |at: usize| {
        let mut steps: Vec<Step> = requests.iter().filter_map(|r| r.get(at).copied()).collect();
        steps.sort_by_key(|step| step.time);
        steps.get(steps.len() / 2).copied()
    };
    Ok((0..STEPS.len()).filter_map(median).collect())
}

async fn request(ocean: &Relay, server: Arc<Server>) -> Result<Vec<Step>> {
    let account = Arc::new(Account::listed(accounts::APP.user.into(), Secret::new(accounts::APP.password.into())));
    let mut steps = Vec::new();
    let (before, started) = (ocean.stats(), Instant::now());
    let login = login::dial(&server, &account, Capabilities::empty(), Duration::from_secs(30)).await?;
    let mut conn = ask(Ready::new(login, server, account), "USE app").await?;
    steps.push(step(before, ocean, started));
    for (_, statements) in STEPS.iter().skip(1) {
        let (before, started) = (ocean.stats(), Instant::now());
        for sql in *statements {
            conn = ask(conn, sql).await?;
        }
        steps.push(step(before, ocean, started));
    }
    conn.close().await;
    Ok(steps)
}

async fn ask(conn: Ready, sql: &str) -> Result<Ready> {
    match conn.query(sql).await? {
        (_, Reply::Err(error)) => bail!("{sql}: {error}"),
        (conn, _) => Ok(conn),
    }
}

fn step(before: Stats, ocean: &Relay, started: Instant) -> Step {
    Step { time: started.elapsed(), round_trips: ocean.stats().since(&before).round_trips }
}

fn show(direct: &[Step], through: &[Step]) {
    let time = |step: &Step| format!("{:.1} ms", step.time.as_secs_f64() * 1000.0);
    let mut rows = vec![row(["", "direct", "", "Landbridge", ""]), row(["", "time", "RTTs", "time", "RTTs"])];
    for ((name, _), (a, b)) in STEPS.iter().zip(direct.iter().zip(through)) {
        rows.push(vec![(*name).into(), time(a), a.round_trips.to_string(), time(b), b.round_trips.to_string()]);
    }
    let total = |steps: &[Step]| Step {
        time: steps.iter().map(|s| s.time).sum(),
        round_trips: steps.iter().map(|s| s.round_trips).sum(),
    };
    let (a, b) = (total(direct), total(through));
    rows.push(vec![
        "the whole request".into(),
        time(&a),
        a.round_trips.to_string(),
        time(&b),
        b.round_trips.to_string(),
    ]);
    print(&table(&rows));
    print("RTTs: round trips counted at the ocean, while the step ran (Landbridge's own probes included).");
}
