//! A password that cannot be printed by accident.

use std::fmt::{self, Debug, Display, Formatter};

use zeroize::Zeroizing;

/// A secret text: `Debug` and `Display` print `[redacted]`, memory is wiped on drop.
///
/// `==` is for comparing settings at a reload; it is not constant in time, so never use it to
/// check what a client sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over without copying it.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// What stands in the place of one that nobody wanted to read: not empty, and no password.
    pub(super) fn unread() -> Self {
        Self::new("unread".to_owned())
    }

    /// The text itself. Every call is a place to look at in a review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Debug for Secret {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Display for Secret {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
