//! Rules about reads and transactions.

use std::time::Duration;

use super::traffic::Transactions;
use crate::config::words::words;

/// What happens to reads, and to transactions, for which all conditions hold. Of several such rules with an effect
/// on the one or the other the first counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The account; `None` = any.
    pub user: Option<String>,
    /// The session's schema; `None` = any, or none.
    pub schema: Option<String>,
    /// The read names at least one of these; empty = whatever it names.
    pub tables: Vec<RuleTable>,
    /// Where it goes; `None` = as without rules.
    pub read: Option<ReadFrom>,
    /// Replicas further behind will not do; `None` = no such bound.
    pub max_lag: Option<Duration>,
    /// Who is asked again where a replica has no row.
    pub on_empty: Option<OnEmpty>,
    /// Where transactions read until they first write; `None` = no word about them. Not together with `tables`.
    pub transactions: Option<Transactions>,
}

/// A table as a rule names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTable {
    /// Its schema; `None` = any.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

words! {
    /// Where reads go.
    pub enum ReadFrom {
        /// To the primary.
        Primary = "primary",
        /// As if there were no rules: what their scope wrote they still see.
        Replica = "replica",
    }
}

words! {
    /// Who is asked again where a replica has no row.
    pub enum OnEmpty {
        /// The primary.
        Primary = "primary",
    }
}
