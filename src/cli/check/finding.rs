//! What is wrong, or worth a look, and what to do about it.

use serde_json::{Value, json};

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Something does not work, or not as it should: the exit code is 1.
    Problem,
    /// Worth knowing.
    Note,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// A server's name; `None`: this machine, or the servers together.
    pub(super) server: Option<String>,
    pub(super) what: String,
    /// What to type or to change, if that can be said.
    pub(super) fix: Option<String>,
}

impl Finding {
    pub(super) fn problem(what: impl Into<String>) -> Self {
        Self { level: Level::Problem, server: None, what: what.into(), fix: None }
    }

    pub(super) fn note(what: impl Into<String>) -> Self {
        Self { level: Level::Note, ..Self::problem(what) }
    }

    pub(super) fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    pub(super) fn at(self, server: &str) -> Self {
        Self { server: Some(server.to_owned()), ..self }
    }

    pub(super) fn to_json(&self) -> Value {
        let level = match self.level {
            Level::Problem => "problem",
            Level::Note => "note",
        };
        json!({ "level": level, "server": self.server, "what": self.what, "fix": self.fix })
    }
}
