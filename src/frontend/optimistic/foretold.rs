//! What becomes of a statement in a transaction that has only read so far: foretold, for `landbridge explain`. Pure.

use super::Fate;
use crate::frontend::handling::ASKING;
use crate::frontend::job::{Job, Wishes};
use crate::route::Need;
use crate::sql::{Statement, Traits};
use bytes::Bytes;

/// What becomes of a statement inside a transaction that has only read so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onward {
    /// It runs on the replica.
    Stays,
    /// It takes the transaction to the primary.
    Moves,
    /// It is refused: what it asks for was left on the replica, and it cannot stay there.
    Refused,
}

/// Foretells it. `need`: what it needs elsewhere; `is_about_data`: unqualified names are those of data, not of the server.
pub fn onward(text: &[u8], statement: &Statement<'_>, need: Need, on_empty: bool, is_about_data: bool) -> Onward {
    let wishes = Wishes { on_empty, ..Wishes::default() };
    let job = Job::of_statement(Bytes::copy_from_slice(text), statement, need);
    if Fate::of(&Job { wishes, ..job }, is_about_data).stays() {
        Onward::Stays
    } else if asks_where_it_was(statement.traits) {
        Onward::Refused
    } else {
        Onward::Moves
    }
}

/// Whether a statement asks for what only the replica knows that its transaction is about to leave.
pub(super) fn asks_where_it_was(traits: Traits) -> bool {
    traits.intersects(ASKING)
}
