//! Statements that ask for nothing but what Landbridge knows, read from their text. Pure.
//!
//! Only whole statements of the simplest form are read here; whatever is a little different goes to a server. What the
//! answer is, and whether it is known, `local` says.

use crate::sql::Traits;

/// A statement about what Landbridge knows, or about what the session's last one left.
#[derive(Debug, PartialEq, Eq)]
pub enum Question<'t> {
    /// `SHOW WARNINGS`, or only `SHOW ERRORS`.
    Conditions {
        /// Of errors alone.
        errors_only: bool,
    },
    /// `SELECT a [AS] b, c`: each value with the name of its column.
    Values(Vec<(Asked, &'t str)>),
}

/// One value that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// `@@landbridge_version`
    Version,
    /// `@@landbridge_token`
    Token,
    /// `ROW_COUNT()`
    RowCount,
    /// `FOUND_ROWS()`
    FoundRows,
    /// `LAST_INSERT_ID()`
    LastInsertId,
    /// `@@last_gtid`, of MariaDB
    LastGtid,
    /// `CONNECTION_ID()`
    ConnectionId,
    /// `@@warning_count`
    WarningCount,
    /// `@@error_count`
    ErrorCount,
}

/// What statements ask for that may be answered here.
const ABOUT: Traits = Traits::READS_LANDBRIDGE_VARIABLE
    .or(Traits::USES_ROW_COUNT)
    .or(Traits::USES_FOUND_ROWS)
    .or(Traits::USES_LAST_OF_CONNECTION)
    .or(Traits::USES_CONNECTION_ID)
    .or(Traits::USES_DIAGNOSTICS);

impl<'t> Question<'t> {
    /// The one that a text with these traits asks, if that is all it does.
    pub fn of(text: &'t [u8], traits: Traits) -> Option<Self> {
        if !traits.intersects(ABOUT) {
            return None;
        }
        if let Some(conditions) = conditions(text) {
            return Some(conditions);
        }
        let value = |item: Item<'t>| Some((Asked::named(item.expression)?, item.name));
        Some(Self::Values(select_list(text)?.into_iter().map(value).collect::<Option<_>>()?))
    }

    /// Whether it asks for the token, among others.
    pub fn asks_for_token(&self) -> bool {
        matches!(self, Self::Values(values) if values.iter().any(|(asked, _)| *asked == Asked::Token))
    }

    /// Whether the answer is known whatever the session did before.
    pub fn is_always_known(&self) -> bool {
        matches!(self, Self::Values(values) if values.iter().all(|(asked, _)| asked.is_always_known()))
    }
}

impl Asked {
    fn named(expression: &str) -> Option<Self> {
        Some(match &expression.to_ascii_lowercase()[..] {
            "@@landbridge_version" => Self::Version,
            "@@landbridge_token" => Self::Token,
            "row_count()" => Self::RowCount,
            "found_rows()" => Self::FoundRows,
            "last_insert_id()" => Self::LastInsertId,
            "@@last_gtid" | "@@session.last_gtid" => Self::LastGtid,
            "connection_id()" => Self::ConnectionId,
            "@@warning_count" | "@@session.warning_count" => Self::WarningCount,
            "@@error_count" | "@@session.error_count" => Self::ErrorCount,
            _ => return None,
        })
    }

    fn is_always_known(self) -> bool {
        matches!(self, Self::Version | Self::Token | Self::RowCount | Self::ConnectionId)
    }
}

fn conditions(text: &[u8]) -> Option<Question<'static>> {
    let text = String::from_utf8_lossy(text);
    let mut words = trimmed(&text).split_whitespace();
    let (show, what) = (words.next()?, words.next()?);
    let is = |word: &str| what.eq_ignore_ascii_case(word);
    let fits = show.eq_ignore_ascii_case("show") && (is("warnings") || is("errors")) && words.next().is_none();
    fits.then(|| Question::Conditions { errors_only: is("errors") })
}

/// The names of the columns of `SELECT a [AS] b, c`, if that is all there is.
pub(super) fn column_names(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    Some(select_list(text)?.into_iter().map(|item| item.name.into()).collect())
}

/// One item of a select list: its expression and its column name.
#[derive(Debug, PartialEq, Eq)]
struct Item<'t> {
    expression: &'t str,
    name: &'t str,
}

/// The items of `SELECT a [AS] b, c`, if that is all there is.
fn select_list(text: &[u8]) -> Option<Vec<Item<'_>>> {
    let text = trimmed(std::str::from_utf8(text).ok()?.trim());
    let list = text.get(..6).filter(|s| s.eq_ignore_ascii_case("select")).and(text.get(6..))?;
    if !list.starts_with(|c: char| c.is_whitespace()) {
        return None;
    }
    list.split(',').map(item).collect()
}

fn item(text: &str) -> Option<Item<'_>> {
    let mut parts = text.split_whitespace();
    let expression = parts.next()?;
    let name = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => expression,
        (Some(alias), None, _) if !alias.eq_ignore_ascii_case("limit") && !alias.eq_ignore_ascii_case("as") => alias,
        (Some(as_), Some(alias), None) if as_.eq_ignore_ascii_case("as") => alias,
        _ => return None,
    };
    Some(Item { expression, name: name.trim_matches(['`', '\'', '"']) })
}

/// The text without what may stand behind a statement.
fn trimmed(text: &str) -> &str {
    text.trim_end_matches([';', ' ', '\n', '\r', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Option<Vec<(&str, &str)>> {
        Some(select_list(text.as_bytes())?.iter().map(|item| (item.expression, item.name)).collect())
    }

    #[test]
    fn select_lists() {
        assert_eq!(names("SELECT ROW_COUNT();"), Some(vec![("ROW_COUNT()", "ROW_COUNT()")]));
        assert_eq!(names("select found_rows() AS `n`"), Some(vec![("found_rows()", "n")]));
        assert_eq!(names("select row_count() n, found_rows()").map(|l| l.len()), Some(2));
        for other in ["SELECT ROW_COUNT() + 1", "SELECTROW_COUNT()", "SHOW WARNINGS", "SELECT @@x LIMIT 1"] {
            assert_eq!(names(other), None, "{other}");
        }
    }

    #[test]
    fn questions() {
        let of = |text: &'static str| Question::of(text.as_bytes(), ABOUT);
        assert_eq!(of("show  Warnings ;"), Some(Question::Conditions { errors_only: false }));
        assert_eq!(of("SHOW ERRORS"), Some(Question::Conditions { errors_only: true }));
        let values = vec![(Asked::ConnectionId, "id"), (Asked::WarningCount, "@@warning_count")];
        assert_eq!(of("SELECT CONNECTION_ID() id, @@warning_count"), Some(Question::Values(values)));
        for other in ["SHOW WARNINGS LIMIT 1", "SHOW", "SELECT CONNECTION_ID(), a", "SELECT CONNECTION_ID() FROM t"] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(Question::of(b"SELECT CONNECTION_ID()", Traits::NONE), None, "nobody asks");
        let known = |text: &'static str| of(text).is_some_and(|question| question.is_always_known());
        assert!(known("SELECT CONNECTION_ID(), @@landbridge_token"));
        assert!(!known("SELECT CONNECTION_ID(), FOUND_ROWS()") && !known("SHOW WARNINGS"));
    }
}
