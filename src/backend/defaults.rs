//! What a session has that sets nothing, and how to make it the same on every server.
//!
//! A client cannot know which server answers it. What it did not set must read as at the primary: so
//! where another server's defaults differ, or where `init_connect` gave a fresh session something that
//! a reset takes away again, every connection is brought there once, ahead of any session's own state.

use super::query::Row;
use crate::state::literal;
use std::collections::BTreeMap;

/// Variables that change what statements mean or answer, and that every account may set. Those a server
/// does not have are not reported by it. The character set is not among them: every session brings its own.
const MEANINGFUL: [&str; 39] = [
    "autocommit",
    "block_encryption_mode",
    "check_constraint_checks",
    "collation_server",
    "cte_max_recursion_depth",
    "default_regex_flags",
    "default_storage_engine",
    "default_tmp_storage_engine",
    "default_week_format",
    "div_precision_increment",
    "foreign_key_checks",
    "group_concat_max_len",
    "innodb_lock_wait_timeout",
    "lc_messages",
    "lc_time_names",
    "lock_wait_timeout",
    "max_error_count",
    "max_execution_time",
    "max_join_size",
    "max_recursive_iterations",
    "max_sort_length",
    "max_statement_time",
    "old_passwords",
    "sql_auto_is_null",
    "sql_big_selects",
    "sql_mode",
    "sql_notes",
    "sql_quote_show_create",
    "sql_safe_updates",
    "sql_select_limit",
    "sql_warnings",
    "standard_compliant_cte",
    "time_zone",
    "transaction_isolation",
    "transaction_read_only",
    "tx_isolation",
    "tx_read_only",
    "unique_checks",
    "updatable_views_with_limit",
];

/// Variables that are known, and left to each server: they say how long it keeps silent connections.
const LEFT_ALONE: [&str; 2] = ["interactive_timeout", "wait_timeout"];

/// A variable whose default is known, and no more: each login says itself what it has.
const CHOSEN_AT_LOGIN: &str = "character_set_client";

/// A server's defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Of a session just opened, after `init_connect`.
    fresh: BTreeMap<String, String>,
    /// Of a session just reset.
    reset: BTreeMap<String, String>,
}

impl Defaults {
    /// The query for the defaults of a session just opened.
    pub fn fresh_sql() -> String {
        Self::sql("SESSION")
    }

    /// The query for what a reset brings back.
    pub fn reset_sql() -> String {
        Self::sql("GLOBAL")
    }

    fn sql(scope: &str) -> String {
        let names = [&MEANINGFUL[..], &LEFT_ALONE, &[CHOSEN_AT_LOGIN]].concat().join("','");
        format!("SHOW {scope} VARIABLES WHERE Variable_name IN ('{names}')")
    }

    /// From the answers to the two queries.
    pub fn new(fresh: Vec<Row>, reset: Vec<Row>) -> Self {
        let mut fresh = variables(fresh);
        fresh.remove(CHOSEN_AT_LOGIN);
        Self { fresh, reset: variables(reset) }
    }

    /// After a server-wide variable was set: `reset` is what a reset brings back now, and what
    /// `init_connect` adds stays.
    #[must_use]
    pub fn after_change(&self, reset: Vec<Row>) -> Self {
        let reset = variables(reset);
        let added = |name: &&String| self.fresh.get(*name) != self.reset.get(*name);
        let fresh = reset
            .iter()
            .filter(|(name, _)| *name != CHOSEN_AT_LOGIN)
            .map(|(name, value)| {
                let kept = Some(name).filter(added).and_then(|name| self.fresh.get(name));
                (name.clone(), kept.unwrap_or(value).clone())
            })
            .collect();
        Self { fresh, reset }
    }

    /// The values sessions had that set nothing, where they have others with `now`.
    pub fn differences<'a>(&'a self, now: &'a Self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let differs = |(name, value): &(&String, &String)| now.fresh.get(*name).is_some_and(|now| now != *value);
        self.fresh.iter().filter(differs).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value that `SET name = DEFAULT` gives.
    pub fn default_value(&self, name: &str) -> Option<&str> {
        self.reset.get(name).map(String::as_str)
    }

    /// The value that a session has which sets none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fresh.get(name).map(String::as_str)
    }

    /// The assignments that a session on this server needs in order to begin like one at `primary`;
    /// without `primary`, like a fresh one here.
    pub fn level_with(&self, primary: Option<&Self>) -> Vec<(String, Vec<u8>)> {
        let wanted = primary.unwrap_or(self);
        // A connection is set up after its login and after each reset.
        let differs = |name: &&String| {
            !LEFT_ALONE.contains(&name.as_str())
                && [&self.fresh, &self.reset].into_iter().any(|own| own.get(*name) != wanted.fresh.get(*name))
        };
        self.reset
            .keys()
            .filter(differs)
            .filter_map(|name| Some((name.clone(), literal(wanted.fresh.get(name)?.as_bytes())?)))
            .collect()
    }
}

fn variables(rows: Vec<Row>) -> BTreeMap<String, String> {
    rows.into_iter()
        .filter_map(|row| match <[Option<String>; 2]>::try_from(row) {
            Ok([Some(name), Some(value)]) => Some((name.to_ascii_lowercase(), value)),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults(fresh: &[(&str, &str)], reset: &[(&str, &str)]) -> Defaults {
        let rows = |list: &[(&str, &str)]| {
            list.iter().map(|(n, v)| vec![Some((*n).to_owned()), Some((*v).to_owned())]).collect()
        };
        Defaults::new(rows(fresh), rows(reset))
    }

    #[test]
    fn servers_are_levelled_with_the_primary() {
        let primary = defaults(&[("sql_mode", "ANSI"), ("time_zone", "+01:00"), ("new_one", "1")], &[]);
        let replica = defaults(
            &[("sql_mode", "ANSI"), ("time_zone", "SYSTEM"), ("old_one", "1")],
            &[("sql_mode", "ANSI"), ("time_zone", "SYSTEM"), ("old_one", "1")],
        );
        assert_eq!(replica.level_with(Some(&primary)), [("time_zone".to_owned(), b"'+01:00'".to_vec())]);
        assert_eq!(replica.level_with(None), []);
        assert_eq!(replica.get("time_zone"), Some("SYSTEM"));
    }

    #[test]
    fn a_change_for_all_leaves_what_init_connect_set() {
        let before = defaults(&[("autocommit", "OFF"), ("sql_mode", "A")], &[("autocommit", "ON"), ("sql_mode", "A")]);
        let rows = vec![
            vec![Some("autocommit".to_owned()), Some("ON".to_owned())],
            vec![Some("sql_mode".to_owned()), Some("B".to_owned())],
        ];
        let after = before.after_change(rows);
        assert_eq!((after.get("autocommit"), after.get("sql_mode")), (Some("OFF"), Some("B")));
    }

    #[test]
    fn the_character_set_is_only_known() {
        let mine = defaults(&[("character_set_client", "utf8mb4")], &[("character_set_client", "latin1")]);
        let other = defaults(&[], &[("character_set_client", "koi8r")]);
        assert_eq!(mine.default_value("character_set_client"), Some("latin1"));
        assert_eq!((mine.get("character_set_client"), mine.level_with(Some(&other))), (None, vec![]));
        let after = mine.after_change(vec![vec![Some("character_set_client".to_owned()), Some("greek".to_owned())]]);
        assert_eq!((mine.differences(&after).count(), after.get("character_set_client")), (0, None));
    }

    #[test]
    fn what_init_connect_set_is_brought_back() {
        let server = defaults(&[("autocommit", "OFF")], &[("autocommit", "ON")]);
        assert_eq!(server.level_with(None), [("autocommit".to_owned(), b"'OFF'".to_vec())]);
    }
}
