//! How the steps of a transaction are put into statements, and what their answers mean.

use crate::history::{Deed, Key, Tag};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error, Row};

/// How a transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// `BEGIN`.
    Plain,
    /// `START TRANSACTION`.
    Start,
    /// `START TRANSACTION WITH CONSISTENT SNAPSHOT`.
    Snapshot,
    /// Not at all: the session is without autocommit.
    Implied,
    /// Not at all: each statement is a transaction of its own.
    None,
}

impl Begin {
    /// The statement, if there is one.
    pub fn sql(self) -> Option<&'static str> {
        match self {
            Self::Plain => Some("BEGIN"),
            Self::Start => Some("START TRANSACTION"),
            Self::Snapshot => Some("START TRANSACTION WITH CONSISTENT SNAPSHOT"),
            Self::Implied | Self::None => None,
        }
    }

    /// Whether COMMIT ends it.
    pub fn needs_commit(self) -> bool {
        self != Self::None
    }
}

/// What is to be done in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Reads a list, as text.
    Read(Key),
    /// The same in a text of its own: what often differs is soon kept away from replicas.
    Odd(Key, usize),
    /// Reads a list by a prepared statement.
    Prepared(Key),
    /// Reads several lists in one statement.
    Several(Vec<Key>, usize),
    /// Reads a list together with what is never the same twice.
    Restless(Key),
    /// Reads a list behind a savepoint, which is released.
    Nested(Key),
    /// Reads a list and locks it.
    Lock(Key),
    /// Appends.
    Append(Key, Tag),
    /// Appends by a prepared statement.
    AppendPrepared(Key, Tag),
    /// Appends, and rolls back to a savepoint before that.
    Undone(Key, Tag),
}

impl Plan {
    /// What it may have appended when its answer is lost.
    pub fn append(&self) -> Option<(Key, Tag)> {
        match self {
            Self::Append(key, tag) | Self::AppendPrepared(key, tag) | Self::Undone(key, tag) => Some((*key, *tag)),
            _ => None,
        }
    }

    /// Does it.
    pub async fn perform(&self, conn: &mut Conn) -> Result<Deed, Error> {
        Ok(match self {
            Self::Read(key) => {
                let rows: Vec<String> = conn.query(format!("SELECT v FROM {} WHERE k = {key}", table(*key))).await?;
                Deed::Read(vec![(*key, list(&rows.concat()))])
            }
            Self::Odd(key, alias) => {
                let rows: Vec<String> =
                    conn.query(format!("SELECT v AS v{alias} FROM {} WHERE k = {key}", table(*key))).await?;
                Deed::Read(vec![(*key, list(&rows.concat()))])
            }
            Self::Prepared(key) => {
                let rows: Vec<String> = conn.exec(format!("SELECT v FROM {} WHERE k = ?", table(*key)), (key,)).await?;
                Deed::Read(vec![(*key, list(&rows.concat()))])
            }
            Self::Several(keys, alias) => {
                let wanted: Vec<String> = keys.iter().map(ToString::to_string).collect();
                let from = |table| format!("SELECT k, v AS v{alias} FROM {table} WHERE k IN ({})", wanted.join(", "));
                let sql = format!("{} UNION ALL {} ORDER BY k", from(PLAIN), from(WATCHED));
                let rows: Vec<(Key, String)> = conn.query(sql).await?;
                Deed::Read(rows.into_iter().map(|(key, text)| (key, list(&text))).collect())
            }
            Self::Restless(key) => {
                let sql = format!("SELECT v, NOW(6), UUID() FROM {} WHERE k = {key}", table(*key));
                let rows: Vec<Row> = conn.query(sql).await?;
                let texts = rows.iter().filter_map(|row| row.get::<String, _>(0));
                Deed::Read(vec![(*key, list(&texts.collect::<String>()))])
            }
            Self::Nested(key) => {
                conn.query_drop("SAVEPOINT inner_one").await?;
                let rows: Vec<String> = conn.query(format!("SELECT v FROM {} WHERE k = {key}", table(*key))).await?;
                conn.query_drop("RELEASE SAVEPOINT inner_one").await?;
                Deed::Read(vec![(*key, list(&rows.concat()))])
            }
            Self::Lock(key) => {
                let rows: Vec<String> =
                    conn.query(format!("SELECT v FROM {} WHERE k = {key} FOR UPDATE", table(*key))).await?;
                Deed::Lock(*key, list(&rows.concat()))
            }
            Self::Append(key, tag) => {
                conn.query_drop(format!("UPDATE {} SET v = CONCAT(v, ',{tag}') WHERE k = {key}", table(*key))).await?;
                assert_eq!(conn.affected_rows(), 1, "the row is there");
                Deed::Append(*key, *tag)
            }
            Self::AppendPrepared(key, tag) => {
                conn.exec_drop(format!("UPDATE {} SET v = CONCAT(v, ',', ?) WHERE k = ?", table(*key)), (tag, key))
                    .await?;
                assert_eq!(conn.affected_rows(), 1, "the row is there");
                Deed::Append(*key, *tag)
            }
            Self::Undone(key, tag) => {
                conn.query_drop("SAVEPOINT before_it").await?;
                conn.query_drop(format!("UPDATE {} SET v = CONCAT(v, ',{tag}') WHERE k = {key}", table(*key))).await?;
                conn.query_drop("ROLLBACK TO SAVEPOINT before_it").await?;
                Deed::Undone(*key, *tag)
            }
        })
    }
}

/// A table of which Landbridge may find out that `ROLLBACK` undoes all that a change of it does.
pub const PLAIN: &str = "lists";
/// A table with a trigger, which may do anything.
pub const WATCHED: &str = "watched";

/// Where a list is.
pub fn table(key: Key) -> &'static str {
    if key.is_multiple_of(2) { PLAIN } else { WATCHED }
}

/// What a row holds: `,7,12`.
pub fn list(text: &str) -> Vec<Tag> {
    text.split(',').filter(|part| !part.is_empty()).map(|part| part.parse().expect("a number")).collect()
}
