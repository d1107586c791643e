//! How an operation is put into statements, and what their answers mean.

use crate::history::{Action, Content, Object, Tag, Value};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};
use std::sync::Arc;

/// In what form operations are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As a statement of its own.
    Text,
    /// As a prepared statement.
    Prepared,
    /// All in one transaction.
    Transaction,
    /// All in one command.
    Multi,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Text, Self::Prepared, Self::Transaction, Self::Multi];
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// It did not happen.
    Fail(Arc<str>),
    /// Nobody knows.
    Info(Arc<str>),
}

/// Runs these operations, each statement beginning with `prefix`, and returns their values in order. Only
/// a transaction and a command of several statements take more than one.
pub async fn perform(conn: &mut Conn, form: Form, prefix: &str, actions: &[Action]) -> Result<Vec<Value>, Failure> {
    match (form, actions) {
        (Form::Text, [action]) => Ok(vec![text(conn, prefix, *action).await.map_err(|error| failure(&error))?]),
        (Form::Prepared, [action]) => Ok(vec![prepared(conn, prefix, *action).await.map_err(|error| failure(&error))?]),
        (Form::Transaction, _) => transaction(conn, prefix, actions).await,
        (Form::Multi, _) => multi(conn, prefix, actions).await,
        (Form::Text | Form::Prepared, _) => unreachable!("one at a time"),
    }
}

async fn text(conn: &mut Conn, prefix: &str, action: Action) -> Result<Value, Error> {
    let sql = format!("{prefix}{}", sql(action, &literals(action)));
    match action {
        Action::Read(object) => Ok(read(object, &conn.query(sql).await?)),
        Action::Write(..) => {
            conn.query_drop(sql).await?;
            Ok(written(action, conn.last_insert_id()))
        }
    }
}

async fn prepared(conn: &mut Conn, prefix: &str, action: Action) -> Result<Value, Error> {
    let sql = format!("{prefix}{}", sql(action, &["?".to_owned(), "?".to_owned()]));
    let parameters = parameters(action);
    match action {
        Action::Read(object) => Ok(read(object, &conn.exec(sql, parameters).await?)),
        Action::Write(..) => {
            conn.exec_drop(sql, parameters).await?;
            Ok(written(action, conn.last_insert_id()))
        }
    }
}

/// Before COMMIT was sent nothing has happened; afterwards only its answer tells.
async fn transaction(conn: &mut Conn, prefix: &str, actions: &[Action]) -> Result<Vec<Value>, Failure> {
    let rolled_back = |error: Error| Failure::Fail(format!("before COMMIT: {error}").into());
    conn.query_drop(format!("{prefix}BEGIN")).await.map_err(rolled_back)?;
    let mut values = Vec::new();
    for action in actions {
        values.push(text(conn, prefix, *action).await.map_err(rolled_back)?);
    }
    let unknown = |error: Error| Failure::Info(format!("COMMIT: {error}").into());
    conn.query_drop(format!("{prefix}COMMIT")).await.map_err(unknown)?;
    Ok(values)
}

/// When one of several fails the others may have happened.
async fn multi(conn: &mut Conn, prefix: &str, actions: &[Action]) -> Result<Vec<Value>, Failure> {
    let parts: Vec<String> = actions.iter().map(|action| sql(*action, &literals(*action))).collect();
    let sql = format!("{prefix}{}", parts.join("; "));
    let unknown = |error: Error| match failure(&error) {
        fail @ Failure::Fail(_) if is_unsent(&error) => fail,
        Failure::Fail(why) | Failure::Info(why) => Failure::Info(why),
    };
    let mut answers = conn.query_iter(sql).await.map_err(unknown)?;
    let mut values = Vec::new();
    for action in actions {
        match action {
            Action::Read(object) => values.push(read(*object, &answers.collect().await.map_err(unknown)?)),
            Action::Write(..) => {
                values.push(written(*action, answers.last_insert_id()));
                answers.collect::<mysql_async::Row>().await.map_err(unknown)?;
            }
        }
    }
    answers.drop_result().await.map_err(unknown)?;
    Ok(values)
}

/// The statement, with these for the key and the tag.
fn sql(action: Action, [key, tag]: &[String; 2]) -> String {
    let next = format!("LAST_INSERT_ID((((v >> {bits}) + 1) << {bits}) + {tag})", bits = Content::TAG_BITS);
    match action {
        Action::Read(Object::Register(_)) => format!("SELECT v FROM registers WHERE k = {key}"),
        Action::Read(Object::List(_)) => format!("SELECT v FROM lists WHERE k = {key} ORDER BY id"),
        Action::Write(Object::List(_), _) => format!("INSERT INTO lists (k, v) VALUES ({key}, {tag})"),
        // The row is always there; what follows `INSERT` never comes into being.
        Action::Write(Object::Register(_), tag) if inserts(tag) => {
            format!("INSERT INTO registers (k, v) VALUES ({key}, 0) ON DUPLICATE KEY UPDATE v = {next}")
        }
        Action::Write(Object::Register(_), _) => format!("UPDATE registers SET v = {next} WHERE k = {key}"),
    }
}

/// Both ways to write a register are taken, by turns.
fn inserts(tag: Tag) -> bool {
    tag.is_multiple_of(2)
}

/// What stands for the question marks, in their order.
fn parameters(action: Action) -> Vec<u32> {
    match action {
        Action::Read(object) => vec![key(object)],
        Action::Write(Object::Register(k), tag) if !inserts(tag) => vec![tag, k],
        Action::Write(object, tag) => vec![key(object), tag],
    }
}

fn literals(action: Action) -> [String; 2] {
    [key(action.object()).to_string(), action.tag().unwrap_or_default().to_string()]
}

fn key(object: Object) -> u32 {
    match object {
        Object::Register(k) | Object::List(k) => k,
    }
}

fn read(object: Object, rows: &[u64]) -> Value {
    match object {
        Object::Register(_) => Value::Register(Content(rows.first().copied().unwrap_or_default())),
        Object::List(_) => Value::List(rows.iter().map(|tag| u32::try_from(*tag).expect("a tag")).collect()),
    }
}

/// What a write left behind. The server says how it left a register through `LAST_INSERT_ID(expr)`.
fn written(action: Action, insert_id: Option<u64>) -> Value {
    match action.object() {
        Object::Register(_) => Value::Register(Content(insert_id.unwrap_or_default())),
        Object::List(_) => Value::List(action.tag().into_iter().collect()),
    }
}

/// What an error says about a single statement outside of a transaction.
fn failure(error: &Error) -> Failure {
    /// The server is read-only, a lock was not granted in time, a deadlock.
    const REFUSED: [u16; 4] = [1290, 1836, 1205, 1213];
    let why = error.to_string().into();
    match error {
        Error::Server(server) if REFUSED.contains(&server.code) || is_unsent(error) => Failure::Fail(why),
        _ => Failure::Info(why),
    }
}

/// Landbridge promises of this error that nothing was sent.
fn is_unsent(error: &Error) -> bool {
    matches!(error, Error::Server(server) if server.code == 2003)
}
