//! What a session does with a statement itself, in words: there is one for each way in which it can handle one.

use super::moment::Moment;
use crate::frontend::effect::{Fate, fate};
use crate::frontend::handling::Handling;
use crate::frontend::optimistic::Onward;
use crate::frontend::question::Question;

/// How a session has a statement handled.
pub(super) type Handled<'s> = Handling<'s, Question<'s>>;

/// What becomes of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// It needs no server's answer, or only that of one nearby.
    Here {
        /// Why.
        why: &'static str,
        /// When the primary is asked all the same.
        unless: Option<&'static str>,
    },
    /// A server runs it.
    Sent,
}

const fn here(why: &'static str) -> Course {
    Course::Here { why, unless: None }
}

const CHECKED: Course = here("Checked by a server nearby, remembered, sent ahead of later statements.");

impl Course {
    /// That of a statement which is handled so. `onward`: where that goes, in a transaction that has only read so far.
    pub(super) fn of(handled: &Handled<'_>, moment: Moment, onward: Option<Onward>) -> Self {
        match handled {
            Handling::Kill(_) => Self::Here {
                why: "Landbridge ends it itself: the number is that of one of its own clients.",
                unless: Some("1 if that is another user's: the primary says who may end it"),
            },
            Handling::Token(_) => Self::Here {
                why: "Remembered: later reads see what the token names.",
                unless: Some("1 if the primary has not said lately that it has that"),
            },
            Handling::Own(question) if question.asks_for_token() => Self::Here {
                why: "Landbridge answers itself.",
                unless: Some("1 if something was seen at the primary that has no name yet"),
            },
            Handling::Own(question) if question.is_always_known() => here("Landbridge answers itself."),
            Handling::Own(_) => {
                here("What the statement before left is known here, or on the connection that it ran on.")
            }
            Handling::EmptyQuery => here("Error 1065, as a server says it."),
            Handling::Begin(_) => here("A transaction begins with its first statement."),
            Handling::EndNothing(_) => match moment {
                Moment::Nearby => here("The transaction ends on its replica, if it has only read."),
                Moment::Alone | Moment::AtPrimary => here("There is nothing to end."),
            },
            Handling::Elsewhere => here(
                "Error 1235, unless the session holds a connection: what it asks for was left on one that may serve \
                 somebody else now.",
            ),
            _ if onward == Some(Onward::Refused) => {
                here("Error 1235: what it asks for was left on the replica, and it cannot run there.")
            }
            Handling::Set(_) | Handling::Use(_) if moment.is_in_transaction() => Self::Sent,
            Handling::Use(_) => CHECKED,
            Handling::Set(assignments) => match fate(assignments) {
                Fate::NextTransaction => here("Remembered for the next transaction."),
                Fate::Carried | Fate::Told => CHECKED,
                Fate::Global | Fate::Stays => Self::Sent,
            },
            Handling::KillUser(_) | Handling::Run => Self::Sent,
        }
    }
}
