//! Where in its life a session is when something goes wrong. Each moment is reached by an event.

use crate::bed::{Bed, administrator, one, within};
use crate::fault::{link, server};
use crate::outcome::Outcome;
use landbridge::topology::Role;
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often a server is asked whether a statement has arrived there.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// So much is put into a statement that is to be seen on its way.
const BULK: usize = 3000;

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Idle,
    Login,
    Reading,
    Writing,
    InTransaction,
    Committing,
    Preparing,
    Streaming,
    Later,
}

impl Moment {
    pub const ALL: [Self; 9] = [
        Self::Idle,
        Self::Login,
        Self::Reading,
        Self::Writing,
        Self::InTransaction,
        Self::Committing,
        Self::Preparing,
        Self::Streaming,
        Self::Later,
    ];

    /// In words, as the document has it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Idle => "idle, then a write",
            Self::Login => "login, then a write",
            Self::Reading => "read there",
            Self::Writing => "write",
            Self::InTransaction => "transaction",
            Self::Committing => "`COMMIT`",
            Self::Preparing => "preparing there",
            Self::Streaming => "rows from there",
            Self::Later => "a write later",
        }
    }
}

/// A session at a moment: what became of it, and the session itself if it still has a connection.
pub struct Session {
    pub moment: Moment,
    pub result: JoinHandle<(Outcome, Option<Conn>)>,
}

/// One fault, and the sessions that it meets.
pub struct Scene<'a> {
    pub bed: &'a Bed,
    /// In everything that is written.
    pub tag: String,
    pub target: Role,
    pub struck: watch::Receiver<bool>,
}

impl Scene<'_> {
    /// A name for what this moment's session writes.
    pub fn name(&self, moment: Moment) -> String {
        format!("{} {moment:?}", self.tag)
    }

    /// Brings one session to each moment. Those that hold the link come last.
    pub async fn sessions(&self) -> Vec<Session> {
        vec![
            Session { moment: Moment::Idle, result: self.idle().await },
            Session { moment: Moment::Login, result: self.login().await },
            Session { moment: Moment::InTransaction, result: self.in_transaction().await },
            Session { moment: Moment::Writing, result: self.writing().await },
            Session { moment: Moment::Reading, result: self.reading().await },
            Session { moment: Moment::Streaming, result: self.streaming().await },
            Session { moment: Moment::Committing, result: self.committing().await },
            Session { moment: Moment::Preparing, result: self.preparing().await },
        ]
    }

    async fn client(&self) -> Conn {
        self.bed.client().await.expect("a client can connect")
    }

    /// Keeps plain reads at the server that fails, where that is the primary.
    fn hint(&self) -> &'static str {
        match self.target {
            Role::Primary => "/* landbridge: primary */ ",
            Role::Replica => "",
        }
    }

    /// The lock that the write under way waits for.
    pub async fn lock(&self) -> Conn {
        let mut blocker = administrator(&self.bed.pair.primary).await;
        let name = self.name(Moment::Writing);
        blocker.exec_drop("INSERT INTO counters VALUES (?, 0)", (&name,)).await.expect("a row to lock");
        blocker.query_drop("BEGIN").await.expect("begins");
        blocker.exec_drop("SELECT n FROM counters WHERE name = ? FOR UPDATE", (&name,)).await.expect("locked");
        blocker
    }

    /// The same, once its reads go to the server that fails.
    async fn reader_there(&self) -> Conn {
        if self.target == Role::Replica {
            self.bed.topology("a replica to read from", |snapshot| !snapshot.readers.is_empty()).await;
        }
        self.client().await
    }

    /// Waits until a statement that holds `text` runs on a server; false if `task` is over before.
    async fn runs_before_it_ends<T>(&self, role: Role, text: &str, task: &JoinHandle<T>) -> bool {
        let mut admin = administrator(server(self.bed, role)).await;
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND info LIKE '%{text}%'"
        );
        let runs = within(text, async {
            while one(&mut admin, &sql).await == 0 {
                if task.is_finished() {
                    return false;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            true
        })
        .await;
        admin.disconnect().await.expect("goodbye");
        runs
    }

    async fn idle(&self) -> JoinHandle<(Outcome, Option<Conn>)> {
        let mut conn = self.client().await;
        conn.query_drop("DO 1").await.expect("used before");
        let (mut struck, name) = (self.struck.clone(), self.name(Moment::Idle));
        tokio::spawn(async move {
            drop(struck.wait_for(|struck| *struck).await.expect("struck"));
            read_then_write(conn, &name).await
        })
    }

    async fn login(&self) -> JoinHandle<(Outcome, Option<Conn>)> {
        let door = &self.bed.door;
        let before = door.stats();
        door.hold_answers();
        let connecting = tokio::spawn(Bed::client_at(door.addr().port()));
        within("a greeting on its way", door.wait_until(|s| s.since(&before).bytes_from_server > 0)).await;
        let name = self.name(Moment::Login);
        tokio::spawn(async move {
            match connecting.await.expect("connects") {
                Ok(conn) => read_then_write(conn, &name).await,
                Err(error) => (Outcome::of(&Err::<(), _>(error)), None),
            }
        })
    }

    async fn in_transaction(&self) -> JoinHandle<(Outcome, Option<Conn>)> {
        let mut conn = self.client().await;
        let name = self.name(Moment::InTransaction);
        conn.query_drop("BEGIN").await.expect("begins");
        write(&mut conn, &name).await.expect("the first of two writes");
        let mut struck = self.struck.clone();
        tokio::spawn(async move {
            drop(struck.wait_for(|struck| *struck).await.expect("struck"));
            let result = async {
                write(&mut conn, &name).await?;
                conn.query_drop("COMMIT").await
            }
            .await;
            ended(conn, &result)
        })
    }

    async fn writing(&self) -> JoinHandle<(Outcome, Option<Conn>)> {
        let mut conn = self.client().await;
        let name = self.name(Moment::Writing);
        let sql = format!("UPDATE counters SET n = n + 1 WHERE name = '{name}'");
        let task = tokio::spawn(async move {
            let result = conn.query_drop(sql).await;
            ended(conn, &result)
        });
        let text = format!("UPDATE counters%{}", self.name(Moment::Writing));
        assert!(self.runs_before_it_ends(Role::Primary, &text, &task).await, "it waits for the lock");
        task
    }

    async fn reading(&self) -> JoinHandle<(Outcome, Option<Conn>)> {
        let name = self.name(Moment::Reading);
        let sql = format!("{}SELECT /* {name} */ square, SLEEP(2) FROM squares WHERE n = 7", self.hint());
        loop {
            let reading = tokio::spawn(sleepy_square(self.reader_there().await, sql.clone()));
            if self.runs_before_it_ends(self.target, &format!("SELECT /* {name}"), &reading).await {
                return reading;
            }
            // On a machine that stood still for a while it was over before anybody looked, or had to be done elsewhere.
            eprintln!("    {name}: not seen there, read again");
        }
    }

    async fn streaming(&self) -> JoinHandle<(Outcome, Option<Conn>)> {
        let mut conn = self.reader_there().await;
        let sql = format!("{}SELECT n, square, REPEAT('x', 20000), SLEEP(0.03) FROM squares ORDER BY n", self.hint());
        let (first, began) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let result = stream(&mut conn, sql, first).await;
            if result.is_ok() { ended(conn, &result) } else { (Outcome::of(&result), None) }
        });
        within("a first row", began).await.expect("a row comes");
        task
    }

    async fn committing(&self) -> JoinHandle<(Outcome, Option<Conn>)> {
        let mut conn = self.client().await;
        let name = self.name(Moment::Committing);
        conn.query_drop("BEGIN").await.expect("begins");
        write(&mut conn, &name).await.expect("a write");
        self.bed.ocean.hold_answers();
        let task = tokio::spawn(async move {
            let result = conn.query_drop("COMMIT").await;
            ended(conn, &result)
        });
        within("COMMIT done, its answer on the way", async {
            while count(self.bed, &name).await == 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
        .await;
        task
    }

    async fn preparing(&self) -> JoinHandle<(Outcome, Option<Conn>)> {
        let (link, filler) = (link(self.bed, self.target), "x".repeat(BULK));
        let (mut conn, name) = (self.reader_there().await, self.name(Moment::Preparing));
        let insert = match self.target {
            // Prepared nearby; there it is prepared ahead of its first execution.
            Role::Primary => {
                Some(conn.prep("INSERT INTO noted (v, filler) VALUES (?, ?)").await.expect("prepared nearby"))
            }
            Role::Replica => None,
        };
        let before = link.stats();
        link.black_hole();
        let task = tokio::spawn(async move {
            let result = match insert {
                Some(insert) => conn.exec_drop(insert, (name, filler)).await,
                None => seventh_square(&mut conn, &filler).await,
            };
            ended(conn, &result)
        });
        let bulk = u64::try_from(BULK).expect("64 bits");
        within("a preparation on its way", link.wait_until(|s| s.since(&before).bytes_from_client > bulk)).await;
        task
    }
}

/// Adds a row of this name, in text.
pub async fn write(conn: &mut Conn, name: &str) -> Result<(), Error> {
    conn.query_drop(format!("INSERT INTO noted (v) VALUES ('{name}')")).await
}

/// A read that must succeed, wherever.
pub async fn read(conn: &mut Conn) -> Result<(), Error> {
    let square: Option<i64> = conn.query_first("SELECT square FROM squares WHERE n = 9").await?;
    assert_eq!(square, Some(81), "a wrong row");
    Ok(())
}

/// A read that takes two seconds.
async fn sleepy_square(mut conn: Conn, sql: String) -> (Outcome, Option<Conn>) {
    let result: Result<Vec<(i64, i64)>, Error> = conn.query(sql).await;
    if let Ok(rows) = &result {
        // A sleep that a server cuts short because it stops gives 1.
        assert!(matches!(rows[..], [(49, 0 | 1)]), "a wrong row: {rows:?}");
    }
    ended(conn, &result)
}

/// Prepares a read and executes it.
async fn seventh_square(conn: &mut Conn, filler: &str) -> Result<(), Error> {
    let sql = format!("SELECT square FROM squares WHERE n = ? AND '{filler}' <> ''");
    let square: Option<i64> = conn.exec_first(sql, (7,)).await?;
    assert_eq!(square, Some(49), "a wrong row");
    Ok(())
}

/// How many rows of this name there are at the primary.
pub async fn count(bed: &Bed, name: &str) -> u64 {
    let sql = format!("SELECT COUNT(*) FROM app.noted WHERE v = '{name}'");
    let rows = bed.pair.primary.sql(&sql).await.expect("the administrator may count");
    rows[0][0].as_deref().and_then(|count| count.parse().ok()).expect("a count")
}

async fn read_then_write(mut conn: Conn, name: &str) -> (Outcome, Option<Conn>) {
    let started = std::time::Instant::now();
    read(&mut conn)
        .await
        .unwrap_or_else(|error| panic!("{name}: a read failed after {:?}: {error}", started.elapsed()));
    let result = write(&mut conn, name).await;
    ended(conn, &result)
}

fn ended<T>(conn: Conn, result: &Result<T, Error>) -> (Outcome, Option<Conn>) {
    let outcome = Outcome::of(result);
    if let Err(error @ Error::Server(_)) = result {
        eprintln!("    {error}");
    }
    (outcome, Some(conn).filter(|_| outcome != Outcome::Closed))
}

async fn stream(conn: &mut Conn, sql: String, first: tokio::sync::oneshot::Sender<()>) -> Result<(), Error> {
    let mut first = Some(first);
    let mut rows = conn.query_iter(sql).await?;
    let mut expected = 1;
    while let Some(row) = rows.next().await? {
        let (n, square, filler, _): (i64, i64, String, i64) = mysql_async::from_row(row);
        assert_eq!((n, square, filler.len()), (expected, n * n, 20_000), "a wrong row");
        expected += 1;
        if let Some(first) = first.take() {
            first.send(()).expect("awaited");
        }
    }
    assert_eq!(expected, 101, "rows are missing");
    Ok(())
}
