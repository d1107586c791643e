//! Whom to ask for a job, after what has been tried already.

/// How often a job whose connection was lost is sent again to whoever its route names.
const ROUTED_TRIES: u32 = 2;

/// Whom to ask for a job next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    /// Whoever its route names.
    Routed {
        /// How many connections were lost so far.
        lost: u32,
    },
    /// The primary, or where there is none whoever its route names: connections were lost one after another.
    PrimaryFirst,
    /// Nobody but the primary.
    OnlyPrimary,
    /// A read: anybody else, as each connection to the primary was lost.
    WithoutPrimary,
}

impl Default for Whom {
    fn default() -> Self {
        Self::FIRST
    }
}

impl Whom {
    /// For a job that nobody has been asked for.
    pub(super) const FIRST: Self = Self::Routed { lost: 0 };

    /// Whether nobody has been asked before.
    pub(super) fn is_first(self) -> bool {
        self == Self::FIRST
    }

    /// Whether more connections may be lost before it is time to give up.
    pub(super) fn has_patience(self) -> bool {
        matches!(self, Self::Routed { .. })
    }

    /// After one more connection was lost before the answer. `read_at_primary`: by a read, to the primary.
    #[must_use]
    pub(super) fn after_loss(self, read_at_primary: bool) -> Self {
        let next = match self {
            Self::Routed { lost } if lost + 1 < ROUTED_TRIES => return Self::Routed { lost: lost + 1 },
            Self::Routed { .. } => Self::PrimaryFirst,
            Self::PrimaryFirst | Self::OnlyPrimary | Self::WithoutPrimary => Self::OnlyPrimary,
        };
        if read_at_primary { Self::WithoutPrimary } else { next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_ends_up_where_it_can_be_answered() {
        let lose = |times: u32, at_primary| (0..times).fold(Whom::FIRST, |whom, _| whom.after_loss(at_primary));
        let cases = [
            (0, false, Whom::Routed { lost: 0 }),
            (1, false, Whom::Routed { lost: 1 }),
            (1, true, Whom::Routed { lost: 1 }),
            (2, false, Whom::PrimaryFirst),
            (2, true, Whom::WithoutPrimary),
            (3, false, Whom::OnlyPrimary),
            (3, true, Whom::WithoutPrimary),
        ];
        for (times, at_primary, expected) in cases {
            assert_eq!(lose(times, at_primary), expected, "{times} lost, at the primary: {at_primary}");
        }
        assert_eq!(Whom::WithoutPrimary.after_loss(false), Whom::OnlyPrimary);
    }
}
