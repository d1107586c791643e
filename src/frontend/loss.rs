//! What it means for a client that a connection was lost under its statement: pure.

use super::binding::Open;
use super::job::Job;
use super::journal::is_savepoint;
use super::settle::is_opaque;
use crate::route::{Need, Reason};
use crate::sql::Traits;

/// What is known of a loss.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loss {
    /// Whether a transaction was open, or would have begun ahead of the statement.
    pub(super) open: Open,
    /// What the statement may have done to it.
    pub(super) ending: Ending,
    /// The statement may have reached the server.
    pub(super) sent: bool,
}

/// What a statement may do to the transaction around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It leaves it open.
    No,
    /// Nobody knows whether it commits it.
    MayCommit,
    /// It commits it, if there is one.
    Commits,
    /// It undoes it, if there is one.
    Undoes,
}

/// What that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The transaction has gone, and with it all that it did.
    RolledBack,
    /// Nothing has happened.
    Unsent,
    /// The statement has run, or it has not.
    Unknown {
        /// And its transaction is committed, or it is not.
        commits: bool,
    },
}

impl Loss {
    pub(super) fn meaning(self) -> Meaning {
        match self {
            Self { open: Open::No, sent: false, .. } => Meaning::Unsent,
            // The statement has not run; and whoever believes to be in a transaction must learn that it has gone.
            Self { sent: false, .. } | Self { open: Open::Yes, ending: Ending::No | Ending::Undoes, .. } => {
                Meaning::RolledBack
            }
            // Whether by the statement or by the loss.
            Self { open: Open::Maybe, ending: Ending::Undoes, .. } => Meaning::RolledBack,
            Self { open, ending, .. } => Meaning::Unknown {
                commits: match ending {
                    Ending::Commits => true,
                    Ending::MayCommit => open != Open::No,
                    Ending::No | Ending::Undoes => false,
                },
            },
        }
    }
}

impl Ending {
    pub(super) fn of(job: &Job) -> Self {
        const MAY: Traits = Traits::IMPLICIT_COMMIT.or(Traits::SQL_EXECUTE).or(Traits::XA);
        // `BEGIN`, too, commits what was open.
        let begins = job.need == Need::Primary(Reason::InTransaction) && !job.statement().is_some_and(is_savepoint);
        match job.ends {
            _ if is_opaque(job) => Self::MayCommit,
            Some(_) if job.rolls_back => Self::Undoes,
            Some(_) => Self::Commits,
            None if begins || job.traits.intersects(MAY) => Self::MayCommit,
            None => Self::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Mode, classify};
    use bytes::Bytes;

    #[test]
    fn nothing_is_promised_that_nobody_knows() {
        use Ending::{Commits, MayCommit, Undoes};
        use Meaning::{RolledBack, Unknown, Unsent};
        let (yes, no) = (true, false);
        for (open, ending, sent, meaning) in [
            (Open::Yes, Ending::No, yes, RolledBack),
            (Open::Yes, Ending::No, no, RolledBack),
            (Open::Yes, Commits, no, RolledBack),
            (Open::Yes, Commits, yes, Unknown { commits: true }),
            (Open::Yes, MayCommit, yes, Unknown { commits: true }),
            (Open::Yes, Undoes, yes, RolledBack),
            (Open::Yes, Undoes, no, RolledBack),
            (Open::Maybe, Ending::No, yes, Unknown { commits: false }),
            (Open::Maybe, MayCommit, yes, Unknown { commits: true }),
            (Open::Maybe, Commits, yes, Unknown { commits: true }),
            (Open::Maybe, Undoes, yes, RolledBack),
            (Open::Maybe, Ending::No, no, RolledBack),
            (Open::No, Ending::No, yes, Unknown { commits: false }),
            (Open::No, MayCommit, yes, Unknown { commits: false }),
            (Open::No, Commits, yes, Unknown { commits: true }),
            (Open::No, Undoes, yes, Unknown { commits: false }),
            (Open::No, Ending::No, no, Unsent),
            (Open::No, Commits, no, Unsent),
        ] {
            let loss = Loss { open, ending, sent };
            assert_eq!(loss.meaning(), meaning, "{loss:?}");
        }
    }

    #[test]
    fn how_statements_end_transactions() {
        for (sql, ending) in [
            ("INSERT INTO t VALUES (1)", Ending::No),
            ("SELECT a FROM t FOR UPDATE", Ending::No),
            ("SAVEPOINT s", Ending::No),
            ("ROLLBACK TO s", Ending::No),
            ("CREATE TABLE u (a INT)", Ending::MayCommit),
            ("BEGIN", Ending::MayCommit),
            ("CALL p()", Ending::MayCommit),
            ("EXECUTE s", Ending::MayCommit),
            ("XA COMMIT 'x'", Ending::MayCommit),
            ("INSERT INTO t VALUES (1); COMMIT", Ending::MayCommit),
            ("ROLLBACK; COMMIT", Ending::MayCommit),
            ("COMMIT", Ending::Commits),
            ("COMMIT AND CHAIN", Ending::Commits),
            ("ROLLBACK", Ending::Undoes),
            ("ROLLBACK AND CHAIN", Ending::Undoes),
        ] {
            let statement = classify(sql.as_bytes(), Mode::default());
            let job = Job::of_statement(Bytes::from_static(sql.as_bytes()), &statement, Need::of(&statement));
            assert_eq!(Ending::of(&job), ending, "{sql}");
        }
    }
}
