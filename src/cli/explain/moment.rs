//! When a statement comes: by itself, or in a transaction, which is where it has read so far.

use super::Wish;
use super::scene::Scene;
use crate::frontend::handling::{Held, is_bracket};
use crate::sql::Statement;

/// When a statement comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// In no transaction.
    Alone,
    /// In one at the primary.
    AtPrimary,
    /// In one that has only read so far, on a replica.
    Nearby,
}

impl Moment {
    /// That of a statement, as wished.
    pub(super) fn of(statement: &Statement<'_>, wish: &Wish, scene: &Scene) -> Self {
        match wish.in_transaction {
            None => Self::Alone,
            Some(begun) if scene.is_optimistic(statement, begun) => Self::Nearby,
            Some(_) => Self::AtPrimary,
        }
    }

    /// Whether a transaction has begun.
    pub(super) fn is_in_transaction(self) -> bool {
        self != Self::Alone
    }

    /// The connection that the session holds when it decides what to do with a statement. Nothing was drawn on it.
    pub(super) fn held(self, statement: &Statement<'_>) -> Held {
        match self {
            Self::Nearby if is_bracket(statement) => Held::None,
            Self::Alone => Held::None,
            Self::AtPrimary | Self::Nearby => Held::One { drew: false },
        }
    }
}
