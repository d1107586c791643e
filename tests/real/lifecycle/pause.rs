//! `PAUSE` while a process lingers since a take-over: clients of both wait, and both go on with `RESUME`.

use super::process::{Process, signal};
use landbridge::lab::{Flavor, Pair};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error, OptsBuilder};
use rustix::process::Signal;

async fn bed(flavor: Flavor) -> (Pair, Process) {
    let pair = Pair::start(flavor).await.expect("servers");
    pair.primary.sql("CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, n INT)").await.expect("table");
    pair.wait_caught_up().await.expect("the replica follows");
    let mut process = Process::new(&pair, "[admin]\nuser = \"boss\"\npassword = \"of-all\"");
    let socket = format!("admin = \"unix:{}\"", process.path("admin.sock").display());
    process.write_file(&process.file().replace("admin = \"\"", &socket));
    process.start().await;
    (pair, process)
}

async fn boss(process: &Process) -> Conn {
    let socket = process.path("admin.sock");
    let opts = OptsBuilder::default().socket(Some(socket.to_string_lossy())).user(Some("boss")).pass(Some("of-all"));
    Conn::new(opts).await.unwrap_or_else(|error| panic!("{error}:\n{}", process.log()))
}

/// How many connections or statements the command concerned.
async fn say(boss: &mut Conn, command: &str) -> u64 {
    boss.query_drop(command).await.unwrap_or_else(|error| panic!("{command}: {error}"));
    boss.affected_rows()
}

async fn sum(pair: &Pair) -> Option<String> {
    pair.primary.sql("SELECT SUM(n) FROM app.t").await.expect("sum")[0][0].clone()
}

async fn both_processes_hold_their_clients_back(flavor: Flavor) {
    let (pair, process) = bed(flavor).await;
    let (mut inside, mut idle) = (process.client().await, process.client().await);
    let mut before = boss(&process).await;
    inside.query_drop("BEGIN").await.expect("begun");
    inside.query_drop("INSERT INTO t (n) VALUES (1)").await.expect("write");
    process.hand_over().await;
    let mut new = process.client().await;
    process.until_ready().await;
    let refused = before.query_drop("PAUSE").await.expect_err("the other one is asked");
    assert!(matches!(&refused, Error::Server(error) if error.message.contains("has taken over")), "{refused}");

    let mut boss = boss(&process).await;
    assert_eq!(say(&mut boss, "PAUSE").await, 1, "a transaction at the elder process");
    inside.query_drop("INSERT INTO t (n) VALUES (2)").await.expect("it goes on");
    let waiting = [
        tokio::spawn(async move { idle.query_drop("INSERT INTO t (n) VALUES (10)").await.map(|()| idle) }),
        tokio::spawn(async move { new.query_drop("INSERT INTO t (n) VALUES (100)").await.map(|()| new) }),
    ];
    inside.query_drop("COMMIT").await.expect("it ends");
    while say(&mut boss, "PAUSE").await > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(sum(&pair).await.as_deref(), Some("3"), "nothing else has run");
    // Each is there before it is let go: nobody may slip past.
    let late = tokio::spawn(async move { inside.query_drop("INSERT INTO t (n) VALUES (1000)").await.map(|()| inside) });
    assert!(waiting.iter().all(|statement| !statement.is_finished()) && !late.is_finished());
    say(&mut boss, "RESUME").await;
    for statement in waiting.into_iter().chain([late]) {
        statement.await.expect("no panic").unwrap_or_else(|error| panic!("{error}\n{}", process.log()));
    }
    assert_eq!(sum(&pair).await.as_deref(), Some("1113"), "each once");
    assert!(!process.log().contains("nobody understands"), "{}", process.log());
}

/// A process that is being started when somebody pauses would not be paused: it does not take over.
async fn nobody_takes_over_from_who_is_paused(flavor: Flavor) {
    let (pair, process) = bed(flavor).await;
    let mut boss = boss(&process).await;
    let mut client = process.client().await;
    signal(process.pid(), Signal::USR2);
    let starting = "starting another process to take over";
    process.until_logged(starting, 1).await;
    let next = process.named_by(starting)[0];
    signal(next, Signal::STOP);
    assert_eq!(say(&mut boss, "PAUSE").await, 0);
    let write = tokio::spawn(async move { client.query_drop("INSERT INTO t (n) VALUES (1)").await });
    signal(next, Signal::CONT);
    process.until_logged("nobody has taken over: going on", 1).await;
    assert!(process.log().contains("RESUME first") && !write.is_finished(), "{}", process.log());
    say(&mut boss, "RESUME").await;
    write.await.expect("no panic").expect("it goes on");
    assert_eq!(sum(&pair).await.as_deref(), Some("1"));
    process.hand_over().await;
}

/// Whoever waits at the elder process is not forgotten there if the newest dies.
async fn a_pause_ends_with_whoever_could_end_it(flavor: Flavor) {
    let (pair, process) = bed(flavor).await;
    let mut old = process.client().await;
    process.hand_over().await;
    process.until_ready().await;
    let mut boss = boss(&process).await;
    assert_eq!(say(&mut boss, "PAUSE").await, 0);
    let write = tokio::spawn(async move { old.query_drop("INSERT INTO t (n) VALUES (1)").await });
    signal(process.newest(), Signal::KILL);
    process.until_logged("serving again", 1).await;
    write.await.expect("no panic").expect("it goes on");
    assert_eq!(sum(&pair).await.as_deref(), Some("1"));
}

crate::on_both!(
    both_processes_hold_their_clients_back,
    nobody_takes_over_from_who_is_paused,
    a_pause_ends_with_whoever_could_end_it,
);
