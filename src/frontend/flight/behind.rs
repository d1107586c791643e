//! What is asked behind a client's command, in the same flight.

use crate::backend::conn::{Busy, Lost};
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

pub(super) fn push_questions(busy: &mut Busy) {
    for question in [WARNINGS_QUERY, INSERT_ID_QUERY] {
        busy.command(Expect::Results, &[&[Command::Query.byte()], question.as_bytes()]);
    }
}

pub(super) async fn ask(session: &mut Session, busy: &mut Busy, asked: bool, last_insert_id: u64) -> Result<(), Lost> {
    if !asked {
        push_questions(busy);
        busy.flush().await?;
    }
    session.asked_warnings = match busy.reply_in_bytes().await? {
        Reply::Rows { rows, .. } => Some(rows),
        _ => None,
    };
    if let Some(id) = busy.reply().await?.first_value().and_then(|id| id.parse().ok()) {
        session.last.insert_id = id;
        session.last.insert_id_stale = false;
        busy.insert_id_is(Some(id));
        return Ok(());
    }
    // Nobody told (`sql_select_limit = 0`, or the question was killed): the answer's own word counts.
    if last_insert_id != 0 {
        session.last.insert_id = last_insert_id;
    }
    Ok(())
}
