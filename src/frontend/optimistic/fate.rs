//! What becomes of a statement inside a transaction that lives on a replica: pure.

use crate::frontend::binding::PINNING;
use crate::frontend::handling::ASKING;
use crate::frontend::job::{Job, JobCommand};
use crate::frontend::journal::{describes, is_savepoint, mentions_time};
use crate::route::{Need, Reason};
use crate::sql::{Semicolons, Traits, Why};

/// Where a statement runs, and what is kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::frontend) enum Fate {
    /// On the replica: what it saw must be seen again at the primary, should the transaction go there.
    Reads,
    /// On the replica, without a trace: it shows no data, or nothing that could be compared.
    Passes,
    /// On the replica: a savepoint, to be set again.
    Savepoint,
    /// At the primary, and the transaction with it.
    Moves,
}

/// What may leave something behind on its connection, or says something of that.
const BOUND: Traits = PINNING
    .or(Traits::USES_CONNECTION_ID)
    .or(Traits::SETS_LAST_INSERT_ID)
    .or(Traits::ASKS_FOR_FILE)
    .or(Traits::CONTROLS_TRANSACTION)
    .or(Traits::IMPLICIT_COMMIT)
    .or(Traits::CHANGES_SESSION)
    .or(Traits::SQL_EXECUTE)
    .or(Traits::RELEASES_NAMED_LOCK)
    .or(Traits::RELEASES_ALL_NAMED_LOCKS)
    .or(Traits::SERVER_LOCAL)
    .or(Traits::EXECUTABLE_COMMENT);

impl Fate {
    /// That of a job. `is_about_data`: unqualified names are those of data, not of the server.
    pub(in crate::frontend) fn of(job: &Job, is_about_data: bool) -> Self {
        if job.pins.is_some() || job.traits.intersects(BOUND) || job.semicolons != Semicolons::None {
            return Self::Moves;
        }
        match (&job.command, job.need) {
            (JobCommand::Text(text), Need::Primary(Reason::InTransaction))
                if job.ends.is_none() && is_savepoint(text) =>
            {
                Self::Savepoint
            }
            (JobCommand::Raw(..), Need::Read) => Self::Passes,
            _ if job.need != Need::Read || job.wishes.on_empty || job.opens_cursor() => Self::Moves,
            _ if job.traits.contains(Traits::TABLE_FREE) || job.statement().is_some_and(describes) => Self::Passes,
            // It would show something else each time.
            _ if job.traits.contains(Traits::NON_DETERMINISTIC) || job.statement().is_some_and(mentions_time) => {
                Self::Moves
            }
            _ if !is_about_data => Self::Moves,
            (JobCommand::Text(_) | JobCommand::Execute(_), _) => Self::Reads,
            (JobCommand::Prepare(..) | JobCommand::Raw(..), _) => Self::Moves,
        }
    }

    /// Whether it runs on the replica.
    pub(super) fn stays(self) -> bool {
        self != Self::Moves
    }
}

/// Whether a statement may be sent to the primary together with what is to be verified: if it is undone, nothing of
/// it remains. `is_transactional`: so it is with all that it changes.
pub(in crate::frontend) fn can_be_undone(job: &Job, is_transactional: bool) -> bool {
    if job.pins.is_some() || job.traits.intersects(BOUND.without(Traits::SETS_LAST_INSERT_ID) | ASKING) {
        return false;
    }
    match job.need {
        Need::Read | Need::Primary(Reason::Hint | Reason::Rule | Reason::OnEmpty) => true,
        Need::Primary(Reason::Statement(Why::LockingRead)) => true,
        Need::Primary(Reason::Statement(Why::Insert | Why::Update | Why::Delete)) => is_transactional,
        Need::Primary(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Mode, classify};
    use bytes::Bytes;

    fn job(sql: &'static str) -> Job {
        let statement = classify(sql.as_bytes(), Mode::default());
        Job::of_statement(Bytes::from_static(sql.as_bytes()), &statement, Need::of(&statement))
    }

    #[test]
    fn fates() {
        for (sql, fate, can_be_undone_) in [
            ("SELECT a FROM t WHERE id = 1", Fate::Reads, true),
            ("SELECT a FROM t LIMIT 3", Fate::Reads, true),
            ("WITH x AS (SELECT 1) SELECT * FROM t", Fate::Reads, true),
            ("SELECT 1", Fate::Passes, true),
            ("SELECT NOW(), UUID()", Fate::Passes, true),
            ("SELECT @@version", Fate::Passes, true),
            ("SHOW TABLES", Fate::Passes, true),
            ("DESCRIBE t", Fate::Passes, true),
            ("EXPLAIN SELECT * FROM t", Fate::Passes, true),
            ("SAVEPOINT a", Fate::Savepoint, false),
            ("ROLLBACK TO SAVEPOINT a", Fate::Savepoint, false),
            ("RELEASE SAVEPOINT a", Fate::Savepoint, false),
            ("SAVEPOINT `a;b`", Fate::Moves, false),
            ("START TRANSACTION WITH CONSISTENT SNAPSHOT", Fate::Moves, false),
            ("START TRANSACTION READ WRITE", Fate::Moves, false),
            ("BEGIN", Fate::Moves, false),
            ("SELECT current_price, a FROM orders", Fate::Reads, true),
            ("SELECT a, RAND() FROM t", Fate::Moves, true),
            ("SELECT a FROM t WHERE x < NOW()", Fate::Moves, true),
            ("SELECT a FROM t WHERE x = CURRENT_DATE", Fate::Moves, true),
            ("SELECT a FROM t FOR UPDATE", Fate::Moves, true),
            ("SELECT a FROM t LOCK IN SHARE MODE", Fate::Moves, true),
            ("SELECT a FROM t; SELECT b FROM t", Fate::Moves, true),
            ("SELECT @a := 1 FROM t", Fate::Moves, false),
            ("SELECT a INTO @x FROM t", Fate::Moves, false),
            ("SELECT GET_LOCK('a', 1)", Fate::Moves, false),
            ("SELECT f(a) FROM t", Fate::Moves, false),
            ("SELECT CONNECTION_ID()", Fate::Moves, false),
            ("SELECT SQL_CALC_FOUND_ROWS a FROM t", Fate::Reads, true),
            ("SHOW STATUS", Fate::Moves, false),
            ("INSERT INTO t VALUES (1)", Fate::Moves, true),
            ("UPDATE t SET a = 1", Fate::Moves, true),
            ("DELETE FROM t", Fate::Moves, true),
            ("INSERT INTO t VALUES (FOUND_ROWS())", Fate::Moves, false),
            ("UPDATE t SET a = (@x := 1)", Fate::Moves, false),
            ("CALL p()", Fate::Moves, false),
            ("CREATE TABLE u (id INT)", Fate::Moves, false),
            ("CREATE TEMPORARY TABLE u (id INT)", Fate::Moves, false),
            ("LOCK TABLES t READ", Fate::Moves, false),
            ("COMMIT", Fate::Moves, false),
            ("nonsense", Fate::Moves, false),
        ] {
            let job = job(sql);
            assert_eq!(Fate::of(&job, true), fate, "{sql}");
            assert_eq!(can_be_undone(&job, true), can_be_undone_, "{sql}");
            let is_dml = matches!(job.need, Need::Primary(Reason::Statement(Why::Insert | Why::Update | Why::Delete)));
            assert_eq!(can_be_undone(&job, false), can_be_undone_ && !is_dml, "{sql}");
        }
        assert_eq!(Fate::of(&job("SELECT a FROM t"), false), Fate::Moves, "of the server's own tables");
        assert_eq!(Fate::of(&job("SELECT 1"), false), Fate::Passes);
    }
}
