//! What goes on, for people: one report for the page, `/status.json` and `landbridge top`.
//!
//! `report` is the format, `gather` fills it from what the process knows, `alarms` says what somebody must act on, and
//! `words` are those that the console uses, too. Nothing here counts anything itself. What the report never has:
//! literals, rows, passwords; what only [`Detail::Full`] has is not in `/metrics` either.

mod alarms;
mod gather;
pub mod report;
pub mod words;

pub use gather::Source;
pub use report::{Detail, Report};

use std::collections::HashMap;

/// What the file says about the report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Where Landbridge runs.
    pub region: Option<String>,
    /// Where servers are, by their names.
    pub regions: HashMap<String, String>,
    /// Who is shown how much.
    pub show: Show,
    /// Whose certificates have changed on disk and cannot be used.
    pub bad_certificates: Vec<String>,
    /// Whether the file was refused when it was last read again.
    pub is_reload_refused: bool,
}

/// Who is shown how much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Show {
    /// Everything on this machine, numbers elsewhere.
    #[default]
    Auto,
    /// Everything to everybody.
    Full,
    /// Numbers to everybody.
    Counts,
    /// Nothing to anybody.
    Off,
}

impl Show {
    /// What somebody is shown, who may ask from this machine; `None`: nothing.
    pub fn to(self, is_here: bool) -> Option<Detail> {
        match self {
            Self::Auto if is_here => Some(Detail::Full),
            Self::Full => Some(Detail::Full),
            Self::Auto | Self::Counts => Some(Detail::Counts),
            Self::Off => None,
        }
    }
}
