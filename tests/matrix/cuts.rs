//! Writes over a link that is cut at random bytes, in either direction: what was acknowledged is there once,
//! what was not is there at most once, and what an error says of it is true.
//!
//! `CUTS=10000 CUTS_SEED=7 cargo test --test matrix cuts -- --nocapture` cuts more often, elsewhere.

use crate::bed::{Bed, Deadlines, administrator, within};
use crate::outcome::Outcome;
use crate::random::Random;
use landbridge::lab::Flavor;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

const CUTS: u64 = 200;
const SEED: u64 = 1;
const WRITERS: u64 = 6;
/// A cut comes within so many bytes of one connection: a statement takes a few hundred, a login over TLS thousands.
const WITHIN: [usize; 2] = [600, 6000];

/// In what form values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Prepared,
    /// Two of them and `COMMIT`.
    Transaction,
    /// Two of them in one command.
    Multi,
}

const FORMS: [Form; 4] = [Form::Text, Form::Prepared, Form::Transaction, Form::Multi];

/// What the client was told of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Told {
    Done,
    /// It was not sent, or it was rolled back.
    Undone,
    Unknown,
}

/// Values that were written together.
struct Written {
    form: Form,
    values: Vec<u64>,
    told: Told,
    /// What its client was told in words.
    words: String,
}

async fn acknowledged_writes_are_there_once(flavor: Flavor) {
    let (cuts, seed) = (crate::from_env("CUTS").unwrap_or(CUTS), crate::from_env("CUTS_SEED").unwrap_or(SEED));
    eprintln!("{flavor}: {cuts} cuts with CUTS_SEED={seed}");
    let bed = Arc::new(Bed::start(flavor, Deadlines::Short).await);
    let table = "CREATE TABLE app.written (id BIGINT AUTO_INCREMENT PRIMARY KEY, v BIGINT, KEY (v))";
    bed.pair.primary.sql(table).await.expect("a table");
    let mut random = Random::new(seed);
    let (ends, end) = watch::channel(false);
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        writers.spawn(write_on(bed.clone(), number << 32, random.split(), end.clone()));
    }
    let mut cut = [0, 0];
    for number in 1..=cuts {
        let within_bytes = *random.pick(&WITHIN);
        let (bytes, to_server) = (random.below(within_bytes) as u64, random.percent(50));
        if to_server {
            bed.ocean.cut_after_bytes_to_server(bytes);
        } else {
            bed.ocean.cut_after_bytes_to_client(bytes);
        }
        within("a cut", bed.ocean.wait_until_sprung()).await;
        cut[usize::from(to_server)] += 1;
        if number % 1000 == 0 {
            eprintln!("{flavor}: {number} cuts");
        }
    }
    ends.send_replace(true);
    let mut written = Vec::new();
    while let Some(writer) = writers.join_next().await {
        written.extend(writer.expect("a writer ends well"));
    }
    bed.warm().await;
    check(&bed, &written, cut).await;
    Arc::into_inner(bed).expect("nobody else").stop().await;
}

crate::on_both!(acknowledged_writes_are_there_once);

async fn check(bed: &Bed, written: &[Written], cut: [u64; 2]) {
    let mut admin = administrator(&bed.pair.primary).await;
    let rows: Vec<(u64, u64)> = admin.query("SELECT v, COUNT(*) FROM written GROUP BY v").await.expect("counted");
    let counts: HashMap<u64, u64> = rows.into_iter().collect();
    let mut found = HashMap::new();
    for (at, Written { form, values, told, .. }) in written.iter().enumerate() {
        let there: Vec<u64> = values.iter().map(|value| counts.get(value).copied().unwrap_or_default()).collect();
        let right = match told {
            Told::Done => there.iter().all(|n| *n == 1),
            Told::Undone => there.iter().all(|n| *n == 0),
            Told::Unknown => there.iter().all(|n| *n <= 1) && (*form != Form::Transaction || there[0] == there[1]),
        };
        assert!(
            right,
            "{form:?} {values:?}: told {told:?}, and they are there {there:?} times; about that time:\n{}",
            story(written, at)
        );
        *found.entry((*told, there.contains(&1))).or_insert(0_u64) += 1;
    }
    let known: usize = written.iter().map(|written| written.values.len()).sum();
    assert!(counts.len() <= known, "values that nobody wrote");
    let of = |told, there| found.get(&(told, there)).copied().unwrap_or_default();
    eprintln!(
        "{}: {} cuts of answers, {} of requests; {} writes acknowledged, {} undone, {} unknown, of which {} are there",
        bed.pair.primary.flavor(),
        cut[0],
        cut[1],
        of(Told::Done, true),
        of(Told::Undone, false),
        of(Told::Unknown, true) + of(Told::Unknown, false),
        of(Told::Unknown, true)
    );
    assert!(of(Told::Done, true) > 0 && of(Told::Unknown, true) + of(Told::Unknown, false) > 0, "nothing was tried");
}

/// What was written before and after, in the order of one client.
fn story(written: &[Written], at: usize) -> String {
    let near = written.iter().skip(at.saturating_sub(8)).take(17);
    let line = |Written { form, values, words, .. }: &Written| format!("{form:?} {values:?}: {words}\n");
    near.map(line).collect()
}

/// Writes values from `first` on until told to end.
async fn write_on(bed: Arc<Bed>, first: u64, mut random: Random, end: watch::Receiver<bool>) -> Vec<Written> {
    let mut conn = connect(&bed).await;
    let (mut next, mut written) = (first, Vec::new());
    while !*end.borrow() {
        let form = *random.pick(&FORMS);
        let count = if matches!(form, Form::Transaction | Form::Multi) { 2 } else { 1 };
        let values: Vec<u64> = (next..next + count).collect();
        next += count;
        let (result, committing) = within("a write", write(&mut conn, form, &values)).await;
        let told = told(&result, form, committing);
        let outcome = Outcome::of(&result);
        if told == Told::Done && random.percent(20) {
            see(&mut conn, values[0]).await;
        }
        let words = result.as_ref().err().map_or_else(|| "OK".to_owned(), ToString::to_string);
        written.push(Written { form, values, told, words });
        if outcome == Outcome::Closed || (outcome != Outcome::Fine && random.percent(10)) {
            conn = connect(&bed).await;
        }
        if outcome == Outcome::Error(2003) {
            // As an application would: it was told to try again when the server is back.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    written
}

/// A driver begins with a read of its own, which may have to see what only the primary has.
async fn connect(bed: &Bed) -> Conn {
    within("a login", async {
        loop {
            match bed.client().await {
                Ok(conn) => return conn,
                Err(error) => assert!(matches!(Outcome::of::<()>(&Err(error)), Outcome::Error(2003 | 2013))),
            }
        }
    })
    .await
}

/// Writes; tells also whether `COMMIT` was begun.
async fn write(conn: &mut Conn, form: Form, values: &[u64]) -> (Result<(), Error>, bool) {
    let insert = |value: u64| format!("INSERT INTO written (v) VALUES ({value})");
    match form {
        Form::Text => (conn.query_drop(insert(values[0])).await, false),
        Form::Prepared => (conn.exec_drop("INSERT INTO written (v) VALUES (?)", (values[0],)).await, false),
        Form::Multi => (conn.query_drop(values.iter().map(|v| insert(*v)).collect::<Vec<_>>().join("; ")).await, false),
        Form::Transaction => {
            let begun = async {
                conn.query_drop("BEGIN").await?;
                for value in values {
                    conn.query_drop(insert(*value)).await?;
                }
                Ok(())
            };
            match begun.await {
                Ok(()) => (conn.query_drop("COMMIT").await, true),
                // What could not be sent leaves a transaction as it was: as an application would, the client ends it.
                failed => {
                    let _may_be_lost_as_well = conn.query_drop("ROLLBACK").await;
                    (failed, false)
                }
            }
        }
    }
}

/// What a client may conclude from an answer.
fn told(result: &Result<(), Error>, form: Form, committing: bool) -> Told {
    match result {
        Ok(()) => Told::Done,
        Err(Error::Server(error)) if error.message.contains("was not sent") && !committing => Told::Undone,
        Err(Error::Server(error)) if error.message.contains("was rolled back") => Told::Undone,
        Err(Error::Server(error)) => {
            assert_eq!(error.code, 2013, "{error}");
            if form == Form::Transaction && !committing { Told::Undone } else { Told::Unknown }
        }
        Err(_) => Told::Unknown,
    }
}

/// What was acknowledged is seen, if anything is.
async fn see(conn: &mut Conn, value: u64) {
    let sql = format!("SELECT COUNT(*) FROM written WHERE v = {value}");
    let seen: Result<Option<u64>, Error> = within("a read", conn.query_first(sql)).await;
    match seen {
        Ok(seen) => assert_eq!(seen, Some(1), "{value} was acknowledged"),
        // Where only the primary has it, and each connection that was tried was cut.
        Err(Error::Server(error)) => assert!([2003, 2013].contains(&error.code), "{error}"),
        Err(error) => panic!("a read ended a connection: {error}"),
    }
}
