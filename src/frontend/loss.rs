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
    /// The statement may have committed it.
    pub(super) may_commit: bool,
    /// The statement ends a transaction, if there was one.
    pub(super) may_end: bool,
    /// The statement may have reached the server.
    pub(super) sent: bool,
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
            Self { sent: false, .. } | Self { open: Open::Yes, may_commit: false, .. } => Meaning::RolledBack,
            Self { open, may_commit, may_end, .. } => {
                Meaning::Unknown { commits: may_end || (may_commit && open != Open::No) }
            }
        }
    }
}

/// Whether a statement may commit the transaction around it.
pub(super) fn may_commit(job: &Job) -> bool {
    const MAY: Traits = Traits::IMPLICIT_COMMIT.or(Traits::SQL_EXECUTE).or(Traits::XA);
    // `BEGIN`, too, commits what was open.
    let begins = job.need == Need::Primary(Reason::InTransaction) && !job.statement().is_some_and(is_savepoint);
    let commits = job.ends.is_some() || begins || job.traits.intersects(MAY);
    (commits && !job.rolls_back) || is_opaque(job)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Mode, classify};
    use bytes::Bytes;

    #[test]
    fn nothing_is_promised_that_nobody_knows() {
        use Meaning::{RolledBack, Unknown, Unsent};
        let (yes, no) = (true, false);
        for (open, may_commit, may_end, sent, meaning) in [
            (Open::Yes, no, no, yes, RolledBack),
            (Open::Yes, no, no, no, RolledBack),
            (Open::Yes, yes, yes, no, RolledBack),
            (Open::Yes, yes, yes, yes, Unknown { commits: true }),
            (Open::Yes, yes, no, yes, Unknown { commits: true }),
            (Open::Maybe, no, no, yes, Unknown { commits: false }),
            (Open::Maybe, yes, no, yes, Unknown { commits: true }),
            (Open::Maybe, no, no, no, RolledBack),
            (Open::No, no, no, yes, Unknown { commits: false }),
            (Open::No, yes, no, yes, Unknown { commits: false }),
            (Open::No, yes, yes, yes, Unknown { commits: true }),
            (Open::No, no, no, no, Unsent),
            (Open::No, yes, yes, no, Unsent),
        ] {
            let loss = Loss { open, may_commit, may_end, sent };
            assert_eq!(loss.meaning(), meaning, "{loss:?}");
        }
    }

    #[test]
    fn what_may_commit() {
        for (sql, may) in [
            ("INSERT INTO t VALUES (1)", false),
            ("SELECT a FROM t FOR UPDATE", false),
            ("CREATE TABLE u (a INT)", true),
            ("CALL p()", true),
            ("EXECUTE s", true),
            ("XA COMMIT 'x'", true),
            ("INSERT INTO t VALUES (1); COMMIT", true),
        ] {
            let statement = classify(sql.as_bytes(), Mode::default());
            let job = Job::of_statement(Bytes::from_static(sql.as_bytes()), &statement, Need::of(&statement));
            assert_eq!(may_commit(&job), may, "{sql}");
        }
    }
}
