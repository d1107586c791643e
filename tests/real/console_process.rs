//! What the console does to the whole process: it reads its file again, logs more, drains and ends.

use crate::cli::{config, landbridge, wait_for_line, write};
use crate::support::{APP, PASSWORD};
use landbridge::lab::{Flavor, Pair, accounts};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error, OptsBuilder};
use std::io::BufRead;
use std::path::Path;
use std::process::Stdio;

/// At a unix socket.
async fn connect(socket: &Path, user: &str, password: &str) -> Conn {
    let opts = OptsBuilder::default().socket(Some(socket.to_string_lossy())).user(Some(user)).pass(Some(password));
    Conn::new(opts).await.expect("connects")
}

async fn what_concerns_the_process(flavor: Flavor) {
    let pair = Pair::start(flavor).await.expect("servers");
    let dir = tempfile::tempdir().expect("directory");
    let (clients, console) = (dir.path().join("lb.sock"), dir.path().join("admin.sock"));
    let text = config(&pair, &pair.certs.ca, accounts::MONITOR.password)
        .replace("\"127.0.0.1:0\"", &format!("\"unix:{}\"", clients.display()))
        .replace("admin = \"\"", &format!("admin = \"unix:{}\"", console.display()));
    let text = format!("{text}\n[admin]\nuser = \"boss\"\npassword = \"of-all\"\n");
    let file = write(dir.path(), &text);
    let mut child = landbridge(&["run"], &file).stderr(Stdio::piped()).spawn().expect("starts");
    let log = wait_for_line(&mut child, "ready for clients");
    let mut client = connect(&clients, APP, PASSWORD).await;
    let mut boss = connect(&console, "boss", "of-all").await;

    write(dir.path(), &format!("{text}\n[pool]\nmax = 0\n"));
    match boss.query_drop("RELOAD").await {
        Err(Error::Server(error)) => assert!(error.message.contains("max = 0"), "{}", error.message),
        other => panic!("a bad file is not refused: {other:?}"),
    }
    write(dir.path(), &format!("{text}\n[limits]\nmax_clients = 77\n"));
    boss.query_drop("RELOAD").await.expect("read again");
    assert_eq!(boss.affected_rows(), 1, "one thing has changed");
    let shown: Vec<(String, String, String)> =
        boss.query("SHOW CONFIG WHERE `key` = 'limits.max_clients'").await.expect("shown");
    assert_eq!(shown.first().map(|row| &*row.1), Some("77"));
    let error = boss.query_drop("SET log_level = 'loud'").await.expect_err("no such level");
    assert!(error.to_string().contains("debug"), "{error}");
    boss.query_drop("SET log_level = 'debug'").await.expect("set");

    // Who is in a transaction may end it.
    client.query_drop("BEGIN").await.expect("begin");
    client.query_drop("SELECT 1 FROM information_schema.tables LIMIT 1").await.expect("a connection");
    boss.query_drop("DRAIN").await.expect("draining");
    assert_eq!(boss.affected_rows(), 1, "one client is there");
    client.query_drop("COMMIT").await.expect("what was begun may end");
    let lines: Vec<String> = tokio::task::spawn_blocking(move || {
        let lines = log.lines().map_while(Result::ok).collect();
        assert_eq!(child.wait().expect("ends").code(), Some(0));
        lines
    })
    .await
    .expect("joins");
    assert!(lines.iter().any(|line| line.contains("DEBUG")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("of-all") || line.contains("panicked")), "{lines:?}");
}

crate::on_both!(what_concerns_the_process);
