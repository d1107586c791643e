//! Colours: for terminals, unless somebody asks for none.

use std::io::IsTerminal;

/// Whether text may be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    /// Somebody looks at it.
    On,
    /// A pipe, a file, or somebody who wants none (`NO_COLOR`, `TERM=dumb`).
    Off,
}

impl Paint {
    /// Whether what is written there may be coloured.
    pub(super) fn of(stream: &impl IsTerminal) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if stream.is_terminal() && !unwanted { Self::On } else { Self::Off }
    }

    /// Whether it may.
    pub(super) fn is_on(self) -> bool {
        self == Self::On
    }

    /// Something that is as it should be.
    pub(super) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// Something worth a look.
    pub(super) fn note(self, text: &str) -> String {
        self.with("33", text)
    }

    /// Something that must be mended.
    pub(super) fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// A title.
    pub(super) fn title(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What is seen only if one looks for it.
    pub(super) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Self::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Off => text.to_owned(),
        }
    }
}
