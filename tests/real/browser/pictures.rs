//! Pictures of the page for the documentation, with traffic of a small application: `scripts/screenshots.sh`.

use super::chromium::Browser;
use crate::support::{APP, PASSWORD};
use landbridge::app::App;
use landbridge::config;
use landbridge::lab::{Flavor, Pair, Relay, accounts};
use mysql_async::prelude::*;
use mysql_async::{Conn, OptsBuilder};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Where the pictures go; without it nobody wants any.
const WISH: &str = "SCREENSHOTS";
const CLIENTS: u32 = 12;
/// People read for a while.
const BETWEEN_PAGES: Duration = Duration::from_millis(150);
/// So much traffic is on the pictures.
const STATEMENTS: &str = "Number(document.getElementById('statements-total').textContent.replaceAll(',', '')) > 1000";
/// Rates are over ten seconds.
const FOR_A_WHILE: &str = "performance.now() > 12000";

fn settings(pair: &Pair, (ocean, shore, far): (&Relay, &Relay, &Relay)) -> config::Settings {
    let (ca, monitor) = (pair.certs.ca.display(), accounts::MONITOR);
    let server = |name: &str, relay: &Relay, role: &str, region: &str| {
        format!(
            "[[server]]\nname = \"{name}\"\naddress = \"{}\"\nrole = \"{role}\"\nregion = \"{region}\"\n\
             tls = {{ mode = \"verify-full\", ca = \"{ca}\" }}\n",
            relay.addr()
        )
    };
    let text = format!(
        "region = \"eu-west\"\n[listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"\"\nhttp = \"127.0.0.1:0\"\n{}{}{}\
         [[user]]\nname = \"{APP}\"\npassword = \"{PASSWORD}\"\n\
         [monitor]\nuser = \"{}\"\npassword = \"{}\"\n[pool]\nmin_warm = 6\nmax = 32\n",
        server("primary", ocean, "primary", "us-west"),
        server("replica-eu", shore, "replica", "eu-west"),
        server("replica-us", far, "replica", "us-west"),
        monitor.user,
        monitor.password,
    );
    config::parse(&text, "pictures.toml", Path::new("/"), &|_| None).unwrap_or_else(|faults| panic!("{faults}"))
}

async fn client(address: SocketAddr) -> mysql_async::Result<Conn> {
    let opts = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(address.port()).prefer_socket(false);
    Conn::new(opts.user(Some(APP)).pass(Some(PASSWORD)).db_name(Some("app"))).await
}

/// What an application does, page after page: most of them only read.
async fn browse(address: SocketAddr, n: u32, stop: CancellationToken) {
    let mut page = n;
    while !stop.is_cancelled() {
        page += 1;
        let Ok(mut conn) = client(address).await else { continue };
        let mut statements = vec!["SET NAMES utf8mb4".to_owned()];
        for item in 0..6 {
            statements.push(format!("SELECT name, price FROM items WHERE id = {}", 1 + (page * 7 + item) % 40));
        }
        statements.push("SELECT COUNT(*) FROM orders".into());
        if page.is_multiple_of(9) {
            statements.push(format!("INSERT INTO orders (item, n) VALUES ({}, 1)", page % 40));
            statements.push("SELECT item, n FROM orders ORDER BY id DESC LIMIT 5".into());
        }
        if page.is_multiple_of(17) {
            let item = page % 40;
            statements.extend(["BEGIN".into(), format!("SELECT stock FROM items WHERE id = {item} FOR UPDATE")]);
            statements.push(format!("UPDATE items SET stock = stock - 1 WHERE id = {item}"));
            statements.push("COMMIT".into());
        }
        if page.is_multiple_of(29) {
            statements.push("SELECT GET_LOCK('report', 0)".into());
            statements.push("SELECT item, SUM(n) FROM orders GROUP BY item ORDER BY 2 DESC".into());
            statements.push("SELECT RELEASE_ALL_LOCKS()".into());
        }
        for sql in statements {
            // What is refused is of no matter here.
            let _picture_only = conn.query_drop(sql).await;
        }
        tokio::time::sleep(BETWEEN_PAGES).await;
        let _gone = conn.disconnect().await;
    }
}

async fn prepare(pair: &Pair) {
    let columns = "id INT AUTO_INCREMENT PRIMARY KEY";
    pair.primary
        .sql(&format!("CREATE TABLE app.items ({columns}, name VARCHAR(50), price INT, stock INT)"))
        .await
        .expect("table");
    pair.primary.sql(&format!("CREATE TABLE app.orders ({columns}, item INT, n INT)")).await.expect("table");
    let rows = (1..=40).map(|n| format!("('item {n}', {n}, 1000)")).collect::<Vec<_>>().join(",");
    pair.primary.sql(&format!("INSERT INTO app.items (name, price, stock) VALUES {rows}")).await.expect("rows");
    pair.wait_caught_up().await.expect("caught up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures() {
    let Some(directory) = std::env::var_os(WISH).map(PathBuf::from) else { return };
    let flavor = Flavor::ALL.into_iter().find(|flavor| flavor.is_available()).expect("a server");
    let pair = Pair::start(flavor).await.expect("servers");
    prepare(&pair).await;
    let half = Duration::from_millis(50);
    let ocean = Relay::start(pair.primary.addr(), half).await.expect("ocean");
    let shore = Relay::start(pair.replica.addr(), Duration::ZERO).await.expect("shore");
    let far = Relay::start(pair.replica.addr(), half).await.expect("ocean");
    let app = App::start(&settings(&pair, (&ocean, &shore, &far))).await.expect("starts");
    let mut topology = app.shared.topology.clone();
    while !app.is_ready() {
        let _tick = tokio::time::timeout(Duration::from_millis(20), topology.changed()).await;
    }
    let (stop, address) = (CancellationToken::new(), app.mysql[0]);
    let browsing: Vec<_> = (0..CLIENTS).map(|n| tokio::spawn(browse(address, n * 5, stop.clone()))).collect();
    let url = format!("http://{}/", app.http.expect("there is one"));
    let drawn = tokio::task::spawn_blocking(move || {
        let mut browser = Browser::start().expect("a browser");
        let pictures = [
            ("light", (1280, 900), "light", 1600.0),
            ("dark", (1280, 900), "dark", 1600.0),
            ("phone", (390, 844), "light", 1500.0),
        ];
        for (name, size, colours, longest) in pictures {
            browser.open(&url, size, colours);
            browser.until(STATEMENTS);
            browser.until(FOR_A_WHILE);
            browser.picture(&directory.join(format!("status-{name}.png")), longest);
        }
    });
    drawn.await.expect("drawn");
    stop.cancel();
    for one in browsing {
        one.await.expect("no panic");
    }
    app.shut_down().await;
}
