//! The one table: what a client sees of each fault at each moment. The tests check it, the document shows it.

use crate::fault::Fault;
use crate::moment::Moment;
use crate::outcome::Outcome::{self, Closed, Error, Fine};
use landbridge::topology::Role;

/// Any of these may be seen.
pub type Expected = &'static [Outcome];

const OK: Expected = &[Fine];
/// The connection was lost while the statement ran, or before COMMIT.
const LOST: Expected = &[Error(2013)];
/// Nothing was sent.
const UNREACHABLE: Expected = &[Error(2003)];
/// Depending on whether the fault has been noticed when the statement comes.
const LOST_OR_UNREACHABLE: Expected = &[Error(2013), Error(2003)];
/// Depending on whether it was sent before the fault was noticed.
const OK_OR_LOST: Expected = &[Fine, Error(2013)];
/// Depending on where the link is in its ups and downs.
const ANY: Expected = &[Fine, Error(2013), Error(2003)];
/// A server that stops may still say so.
const ANY_OR_TOLD: Expected = &[Fine, Error(2013), Error(2003), Error(1053)];
const STOPPING: Expected = &[Closed, Error(1053)];
const CLOSED: Expected = &[Closed];
const READ_ONLY: Expected = &[Error(1290)];

/// What a session sees that was at `moment` when `fault` happened to the server in the role of `target`.
pub fn expected(target: Role, fault: Fault, moment: Moment) -> Expected {
    let table = match target {
        Role::Primary => &OF_PRIMARY,
        Role::Replica => &OF_REPLICA,
    };
    let row = table.iter().find(|(of, _)| *of == fault).map(|(_, row)| row).expect("every fault has a row");
    let column = Moment::ALL.iter().position(|one| *one == moment).expect("every moment has a column");
    row[column]
}

/// The same of the primary, where the file says `primary_down = "wait 60s"`; `None`: not tried.
pub fn expected_with_patience(fault: Fault, moment: Moment) -> Option<Expected> {
    let (_, row) = OF_PRIMARY_WITH_PATIENCE.iter().find(|(of, _)| *of == fault)?;
    let column = Moment::ALL.iter().position(|one| *one == moment)?;
    Some(row[column])
}

type Table = [(Fault, [Expected; 9]); 9];

/// Columns: idle, login, reading, writing, in transaction, committing, preparing, streaming, later.
#[rustfmt::skip]
const OF_PRIMARY: Table = [
    (Fault::Killed, [LOST_OR_UNREACHABLE, LOST_OR_UNREACHABLE, UNREACHABLE, LOST, LOST, LOST, LOST, CLOSED, UNREACHABLE]),
    (Fault::Stopped, [ANY_OR_TOLD, ANY_OR_TOLD, ANY, ANY_OR_TOLD, ANY_OR_TOLD, ANY_OR_TOLD, ANY_OR_TOLD, STOPPING, UNREACHABLE]),
    (Fault::Reset, [ANY, ANY, OK, LOST, LOST, LOST, LOST, CLOSED, OK]),
    (Fault::BlackHole, [LOST_OR_UNREACHABLE, LOST_OR_UNREACHABLE, UNREACHABLE, LOST, LOST, LOST, LOST, CLOSED, UNREACHABLE]),
    (Fault::Stall, [OK, OK, OK, OK, OK, OK, OK, OK, OK]),
    (Fault::Refused, [LOST_OR_UNREACHABLE, LOST_OR_UNREACHABLE, UNREACHABLE, LOST, LOST, LOST, LOST, CLOSED, UNREACHABLE]),
    (Fault::ReadOnly, [READ_ONLY, READ_ONLY, OK, OK, READ_ONLY, OK, READ_ONLY, OK, READ_ONLY]),
    (Fault::Full, [LOST_OR_UNREACHABLE, LOST_OR_UNREACHABLE, UNREACHABLE, LOST, LOST, LOST, LOST, CLOSED, UNREACHABLE]),
    (Fault::Flapping, [ANY, ANY, ANY, LOST, LOST, LOST, LOST, CLOSED, OK]),
];

/// What was not sent is done once the primary is back; what was sent, and not answered, is still not known.
#[rustfmt::skip]
const OF_PRIMARY_WITH_PATIENCE: [(Fault, [Expected; 9]); 3] = [
    (Fault::Killed, [OK_OR_LOST, OK_OR_LOST, OK, LOST, LOST, LOST, LOST, CLOSED, OK]),
    (Fault::BlackHole, [OK_OR_LOST, OK_OR_LOST, OK, LOST, LOST, LOST, LOST, CLOSED, OK]),
    (Fault::Refused, [OK_OR_LOST, OK_OR_LOST, OK, LOST, LOST, LOST, LOST, CLOSED, OK]),
];

#[rustfmt::skip]
const OF_REPLICA: Table = [
    (Fault::Killed, [OK, OK, OK, OK, OK, OK, OK, CLOSED, OK]),
    (Fault::Stopped, [OK, OK, OK, OK, OK, OK, OK, STOPPING, OK]),
    (Fault::Reset, [OK, OK, OK, OK, OK, OK, OK, CLOSED, OK]),
    (Fault::BlackHole, [OK, OK, OK, OK, OK, OK, OK, CLOSED, OK]),
    (Fault::Stall, [OK, OK, OK, OK, OK, OK, OK, OK, OK]),
    (Fault::Refused, [OK, OK, OK, OK, OK, OK, OK, CLOSED, OK]),
    (Fault::ReadOnly, [OK, OK, OK, OK, OK, OK, OK, OK, OK]),
    (Fault::Full, [OK, OK, OK, OK, OK, OK, OK, CLOSED, OK]),
    (Fault::Flapping, [OK, OK, OK, OK, OK, OK, OK, CLOSED, OK]),
];
