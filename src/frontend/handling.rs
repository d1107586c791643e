//! What a session does with one statement. Pure: sessions go by it, and `landbridge explain`.

use super::carried::token_set;
use super::kill::{self, Kill, KillUser};
use super::question::Question;
use crate::sql::{Access, Assignment, Begin, Completion, Kind, Statement, Traits};
use crate::state::SessionState;

/// What a session does with one statement. `A`: an answer of its own.
#[derive(Debug, PartialEq, Eq)]
pub enum Handling<'s, A> {
    /// Ends another client's session, or its statement: the id is one of ours.
    Kill(Kill),
    /// Sees from now on what this token names, as it stands in the text.
    Token(&'s [u8]),
    /// Answers it.
    Own(A),
    /// Refuses it: there is no statement.
    EmptyQuery,
    /// Remembers that a transaction begins; its first statement takes that along.
    Begin(Begin),
    /// Ends a transaction of which no server knows, or none.
    EndNothing(Completion),
    /// Refuses it: what it asks for was left on a connection that has been given back since.
    Elsewhere,
    /// Sets variables.
    Set(&'s [Assignment<'s>]),
    /// Chooses a schema.
    Use(&'s [u8]),
    /// Has a server end the sessions of a user, then ends those it has itself.
    KillUser(KillUser),
    /// Has a server run it.
    Run,
}

/// The connection that a session holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// None: the next statement may run on any.
    None,
    /// One that runs its statements.
    One {
        /// Whether all that was drawn from sequences on it, as far as the session asks, is its own.
        drew: bool,
    },
}

impl<'s, A> Handling<'s, A> {
    /// That of a text, which has been classified, in a session that is in this state. `answer`: the session's own, if it
    /// knows one. Ahead of a statement that [`is_bracket`] a session gives up what it need not hold.
    pub fn of(
        text: &'s [u8],
        statement: &'s Statement<'_>,
        state: &SessionState,
        held: Held,
        answer: impl FnOnce(Question<'s>) -> Option<A>,
    ) -> Self {
        // `KILL` is no read.
        let may_kill = !statement.is_read();
        if may_kill && let Some(kill) = kill::parse(text, state).filter(|kill| kill.is_of_client()) {
            return Self::Kill(kill);
        }
        if statement.traits.contains(Traits::READS_LANDBRIDGE_VARIABLE)
            && let Some(value) = token_set(statement)
        {
            return Self::Token(value);
        }
        if let Some(answer) = Question::of(text, statement.traits).and_then(answer) {
            return Self::Own(answer);
        }
        let holds_none = held == Held::None;
        match &statement.kind {
            // Comments alone are no error to a server; nothing at all is.
            Kind::Empty if is_blank(text) => Self::EmptyQuery,
            Kind::Begin(begin) if holds_none && may_wait(*begin) => Self::Begin(*begin),
            Kind::Commit(end) | Kind::Rollback(end) if holds_none => Self::EndNothing(*end),
            _ if asks_elsewhere(text, statement, held) => Self::Elsewhere,
            Kind::Set(assignments) => Self::Set(assignments),
            Kind::Use(schema) => Self::Use(schema),
            _ => kill::parse_user(text).filter(|_| may_kill).map_or(Self::Run, Self::KillUser),
        }
    }
}

/// Whether a statement begins or ends transactions: one that has only read so far, on a replica, is over then.
pub fn is_bracket(statement: &Statement<'_>) -> bool {
    matches!(statement.kind, Kind::Begin(_) | Kind::Commit(_) | Kind::Rollback(_))
}

/// A transaction begins with its first statement, unless its beginning fixes a snapshot, or says that it will write,
/// which a server may refuse.
fn may_wait(begin: Begin) -> bool {
    !begin.consistent_snapshot && begin.access != Some(Access::ReadWrite)
}

/// What asks for something that the statement before it left on its connection.
pub(super) const ASKING: Traits = Traits::USES_ROW_COUNT
    .or(Traits::USES_FOUND_ROWS)
    .or(Traits::USES_DIAGNOSTICS)
    .or(Traits::USES_LAST_DRAW)
    .or(Traits::USES_LAST_OF_CONNECTION);

/// Whether a statement asks for what an earlier one of its session did not leave on the connection on which it will run.
pub(super) fn asks_elsewhere(text: &[u8], statement: &Statement<'_>, held: Held) -> bool {
    // Of several statements the later ones ask about those before them, but what was drawn none of these may leave.
    let (first, all) = (statement.first, statement.traits);
    // The body of a stored program asks when it is called.
    if first.contains(Traits::STORED_PROGRAM) {
        return false;
    }
    let draws_last = |traits: Traits| {
        let draws = traits.intersects(Traits::DRAWS_FROM_SEQUENCE);
        traits.intersects(Traits::USES_LAST_DRAW) && !draws
    };
    let of_a_draw = draws_last(first) || draws_last(all);
    let asks = match held {
        Held::None => of_a_draw || first.intersects(ASKING.without(Traits::USES_LAST_DRAW)),
        Held::One { drew } => of_a_draw && !drew,
    };
    if !asks {
        return false;
    }
    // SIGNAL makes diagnostics and asks for none.
    let verb = kill::without_comments(text).get(..6);
    !verb.is_some_and(|verb| verb.eq_ignore_ascii_case(b"signal"))
}

/// Whether a text holds nothing but white space and `;`.
fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_whitespace() || *byte == b';')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Mode, classify};

    #[test]
    fn what_was_left_elsewhere_is_not_asked_here() {
        const DREW: Held = Held::One { drew: true };
        const HELD: Held = Held::One { drew: false };
        for (sql, alone, held, drew) in [
            ("SELECT 1", false, false, false),
            ("SELECT ROW_COUNT() + 1", true, false, false),
            ("SELECT ROW_COUNT(); SELECT 1", true, false, false),
            ("INSERT INTO log (n) VALUES (FOUND_ROWS()); SELECT 1", true, false, false),
            ("UPDATE t SET a = 1; SELECT ROW_COUNT()", false, false, false),
            ("SHOW WARNINGS; SELECT 1", true, false, false),
            ("SELECT 1; SHOW WARNINGS", false, false, false),
            ("SIGNAL SQLSTATE '45000'", false, false, false),
            ("SELECT LASTVAL(s)", true, true, false),
            ("SELECT 1; SELECT LASTVAL(s)", true, true, false),
            ("SELECT LASTVAL(s); SELECT NEXTVAL(s)", true, true, false),
            ("SELECT NEXTVAL(s); SELECT LASTVAL(s)", false, false, false),
            ("CREATE PROCEDURE p() BEGIN UPDATE t SET a = 1; SELECT ROW_COUNT(); END", false, false, false),
            ("CREATE FUNCTION f() RETURNS INT RETURN ROW_COUNT()", false, false, false),
        ] {
            let statement = classify(sql.as_bytes(), Mode { mariadb: true, ..Mode::default() });
            let asks = |held| asks_elsewhere(sql.as_bytes(), &statement, held);
            assert_eq!((asks(Held::None), asks(HELD), asks(DREW)), (alone, held, drew), "{sql}");
        }
    }
}
