//! What is asked behind a client's command, in the same flight.

use crate::backend::conn::{Busy, Lost};
use crate::backend::executed::{executed, executed_sql};
use crate::backend::query::Reply;
use crate::frontend::session::Session;
use crate::protocol::command::Command;
use crate::protocol::exchange::Expect;

/// The value of `LAST_INSERT_ID()` belongs to a connection; asked right behind the statement that
/// may have changed it, in the same flight, it can be restored on any other.
pub(in crate::frontend) const INSERT_ID_QUERY: &str = "SELECT LAST_INSERT_ID()";

/// Any question but this one wipes out the warnings of the statement before it.
pub(in crate::frontend) const WARNINGS_QUERY: &str = "SHOW WARNINGS";

pub(in crate::frontend) const FOUND_ROWS_QUERY: &str = "SELECT FOUND_ROWS()";

/// What is asked. Warnings always are: the other questions wipe them out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Questions {
    /// The value of `LAST_INSERT_ID()`.
    pub(super) insert_id: bool,
    /// What the server has executed, and so what the client can have seen.
    pub(super) executed: bool,
}

impl Questions {
    pub(super) fn any(self) -> bool {
        self.insert_id || self.executed
    }

    /// Those that go along with the command.
    pub(super) fn along(self, asks_along: bool) -> Option<Self> {
        Some(self).filter(|_| asks_along)
    }
}

pub(super) fn push_questions(busy: &mut Busy, questions: Questions) {
    let insert_id = questions.insert_id.then_some(INSERT_ID_QUERY);
    let executed = questions.executed.then(|| executed_sql(busy.family()));
    for question in [Some(WARNINGS_QUERY), insert_id, executed].into_iter().flatten() {
        busy.command(Expect::Results, &[&[Command::Query.byte()], question.as_bytes()]);
    }
}

pub(super) async fn ask(
    session: &mut Session,
    busy: &mut Busy,
    asked: bool,
    questions: Questions,
    last_insert_id: u64,
) -> Result<(), Lost> {
    if !asked {
        push_questions(busy, questions);
        busy.flush().await?;
    }
    session.asked_warnings = match busy.reply_in_bytes().await? {
        Reply::Rows { rows, .. } => Some(rows),
        _ => None,
    };
    if questions.insert_id {
        let told = busy.reply().await?.first_value().and_then(|id| id.parse().ok());
        // Nobody told (`sql_select_limit = 0`, or the question was killed): the answer's own word counts.
        if let Some(id) = told.or(Some(last_insert_id).filter(|id| *id != 0)) {
            session.last.insert_id = id;
        }
        if told.is_some() {
            session.last.insert_id_stale = false;
            busy.insert_id_is(told);
        }
    }
    session.asked_executed = None;
    if questions.executed {
        let family = busy.family();
        session.asked_executed = executed(family, &busy.reply().await?);
    }
    Ok(())
}
