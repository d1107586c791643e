//! An answer that is kept from the client until it is known to have a row.

/// Whether it is kept back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It is the client's.
    Released,
    /// What has been translated so far must not be sent yet.
    Held,
    /// It is over, was held to its end, and has no row: it must not be sent at all.
    Empty,
}

impl Hold {
    /// That of a new answer, which may have to have rows to be told.
    pub(super) fn new(only_with_rows: bool) -> Self {
        if only_with_rows { Self::Held } else { Self::Released }
    }

    /// There is something in it that the client must learn: a row, an error, an OK.
    pub(super) fn release(&mut self) {
        *self = Self::Released;
    }

    /// A result set is over; `more`: others follow.
    pub(super) fn rows_end(&mut self, more: bool) {
        if *self == Self::Held {
            *self = if more { Self::Released } else { Self::Empty };
        }
    }
}
