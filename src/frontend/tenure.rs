//! How a job has its connection.

use super::binding::{Open, PinReason, PinSet};
use super::journal::Journal;
use super::optimistic::{Fate, Trial};
use super::record::Record;
use crate::pool::Lease;
use crate::route::Reason;

/// How a job has its connection.
#[derive(Debug)]
pub(super) enum Tenure {
    /// From a pool: for this job by itself, or for the transaction that begins with it.
    Taken(Chosen),
    /// From a pool, beside the session's transaction, which stays as it is.
    Beside(Chosen),
    /// The session's own: its transaction is on it, or what pins it.
    Own {
        /// What pins it.
        pins: PinSet,
        /// Whether a transaction is open there.
        open: Open,
    },
    /// That of a transaction which has only read so far: it runs on a replica.
    OnTrial {
        /// The transaction.
        trial: Box<Trial>,
        /// Whether it begins with this job, on a connection from a pool.
        begins: bool,
        /// What becomes of the job there.
        fate: Fate,
    },
    /// From the pool of the primary: the job takes a transaction there that has only read so far.
    Moving {
        /// The transaction.
        trial: Box<Trial>,
        /// Its connection to the replica.
        replica: Lease,
        /// The way to the primary.
        chosen: Chosen,
    },
    /// From the pool of the primary: a transaction is run again there that lost its connection.
    Again {
        /// What it had done.
        record: Box<Record>,
        /// The way to the primary.
        chosen: Chosen,
    },
}

/// How a server was chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chosen {
    /// Why it.
    pub reason: Reason,
    /// The replicas that served reads then.
    pub epoch: u64,
    /// Whether it was the primary then.
    pub at_primary: bool,
}

impl Tenure {
    /// Whether the session held the connection before this job: what is on it is the session's.
    pub(super) fn was_held(&self) -> bool {
        matches!(self, Self::Own { .. } | Self::OnTrial { begins: false, .. })
    }

    /// Whether something of the session's is on the connection, or would have been but for the loss of another one.
    pub(super) fn has_own(&self) -> bool {
        self.was_held() || matches!(self, Self::Again { .. })
    }

    /// Whether a transaction of the session's was open on the connection before this job.
    pub(super) fn open(&self) -> Open {
        match self {
            Self::Own { open, .. } => *open,
            Self::OnTrial { begins: false, .. } => Open::Yes,
            _ => Open::No,
        }
    }

    /// Whether the job has nothing to do with the session's transaction.
    pub(super) fn is_beside(&self) -> bool {
        matches!(self, Self::Beside(_))
    }

    /// Why the session held the connection, besides a transaction.
    pub(super) fn pins(&self) -> impl Iterator<Item = PinReason> {
        let pins = if let Self::Own { pins, .. } = self { Some(pins) } else { None };
        pins.into_iter().flat_map(PinSet::iter)
    }

    /// Whether more than a transaction goes with the connection, and more than the next statement could ask of it.
    pub(super) fn holds_state(&self) -> bool {
        matches!(self, Self::Own { pins, .. } if !pins.is_empty() && !pins.is_brief())
    }

    /// The transaction, if the job runs in it on the replica.
    pub(super) fn on_trial(&self) -> Option<&Trial> {
        if let Self::OnTrial { trial, .. } = self { Some(trial) } else { None }
    }

    /// What the job's transaction has done elsewhere and does again ahead of the job, if so it is.
    pub(super) fn journal(&self) -> Option<&Journal> {
        match self {
            Self::Moving { trial, .. } => Some(&trial.journal),
            Self::Again { record, .. } => Some(&record.journal),
            _ => None,
        }
    }

    /// How the server was chosen; where the connection is the session's own, that was before.
    pub(super) fn chosen(&self) -> Option<Chosen> {
        match self {
            Self::Taken(chosen) | Self::Beside(chosen) | Self::Moving { chosen, .. } | Self::Again { chosen, .. } => {
                Some(*chosen)
            }
            Self::OnTrial { trial, .. } => Some(trial.chosen),
            Self::Own { .. } => None,
        }
    }

    /// Why the job runs where it does.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Taken(chosen) | Self::Beside(chosen) => chosen.reason,
            Self::Own { pins, .. } if pins.is_empty() => Reason::InTransaction,
            Self::Own { .. } => Reason::Pinned,
            Self::OnTrial { .. } => Reason::Optimistic,
            Self::Moving { .. } | Self::Again { .. } => Reason::InTransaction,
        }
    }
}
