//! The console.

use crate::config::secret::Secret;

/// Who may change things at the console, and what is remembered for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The account that may use every command, with its password; `None` = nobody may.
    pub account: Option<(String, Secret)>,
    /// How many statements are told apart in `SHOW ROUTES`; 0 = none are.
    pub digests: u32,
}
