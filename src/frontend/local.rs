//! Answers Landbridge gives itself: about itself, and about what a session's last statement left.
//!
//! Only whole statements of the simplest form are answered here; whatever is a little different
//! goes to a server.

use super::session::{Gone, Session};
use crate::backend::query::Row;
use crate::consistency::gtid::Family;
use crate::consistency::printed;
use crate::metrics::Saved;
use crate::protocol::response::OkPacket;
use crate::protocol::resultset::{Column, ColumnType, Protocol};
use crate::sql::{Statement, Traits};

/// What MySQL says of `FOUND_ROWS()`.
const FOUND_ROWS_DEPRECATED: &str =
    "FOUND_ROWS() is deprecated and will be removed in a future release. Consider using COUNT(*) instead.";

/// An answer of our own: one result set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    columns: Vec<(Vec<u8>, ColumnType)>,
    rows: Vec<Vec<Option<Vec<u8>>>>,
    /// Whether it leaves what it was asked about as it is, to be asked about again.
    keeps: bool,
    /// Whether servers warn of the function that was asked.
    deprecated: bool,
}

/// One item of a select list: its expression and its column name.
#[derive(Debug, PartialEq, Eq)]
struct Item {
    expression: Vec<u8>,
    name: Vec<u8>,
}

impl Session {
    /// The answer to a statement that asks for nothing but what Landbridge knows.
    pub(super) fn local_answer(&self, text: &[u8], statement: &Statement<'_>) -> Option<Answer> {
        let about = Traits::READS_LANDBRIDGE_VARIABLE
            | Traits::USES_ROW_COUNT
            | Traits::USES_FOUND_ROWS
            | Traits::USES_LAST_OF_CONNECTION
            | Traits::USES_CONNECTION_ID
            | Traits::USES_DIAGNOSTICS;
        if !statement.traits.intersects(about) {
            return None;
        }
        if let Some(answer) = self.diagnostics(text) {
            return Some(answer);
        }
        let items = select_list(text)?;
        let values: Option<Vec<(Vec<u8>, ColumnType)>> =
            items.iter().map(|item| self.value(&item.expression)).collect();
        let values = values?;
        let columns = items.into_iter().zip(&values).map(|(item, (_, kind))| (item.name, *kind)).collect();
        let rows = vec![values.into_iter().map(|(value, _)| Some(value)).collect()];
        let keeps = statement.traits.contains(Traits::USES_DIAGNOSTICS);
        // Since MySQL 8.0.17; MariaDB does not.
        let deprecated = self.shared.family() == Family::MySql && statement.traits.contains(Traits::USES_FOUND_ROWS);
        Some(Answer { columns, rows, keeps, deprecated })
    }

    fn value(&self, expression: &[u8]) -> Option<(Vec<u8>, ColumnType)> {
        let number = |n: i128| (n.to_string().into_bytes(), ColumnType::Count);
        let variable = |n: i128| (n.to_string().into_bytes(), ColumnType::Variable);
        match &expression.to_ascii_lowercase()[..] {
            b"@@landbridge_version" => Some((env!("CARGO_PKG_VERSION").into(), ColumnType::TEXT)),
            b"@@landbridge_token" => Some((self.token_text(), ColumnType::TEXT)),
            b"row_count()" => Some(number(i128::from(self.last.row_count))),
            b"found_rows()" if self.binding.pins().is_none() => Some(number(self.last.found_rows?.into())),
            b"last_insert_id()" if !self.last.insert_id_stale && !self.holds_connection() => {
                Some((self.last.insert_id.to_string().into_bytes(), ColumnType::Id))
            }
            b"@@last_gtid" | b"@@session.last_gtid" if self.shared.family() == Family::MariaDb => {
                let gtid = self.last.gtid.as_ref().map(ToString::to_string);
                // Who has the server report nothing keeps a connection.
                let gtid = if self.holds_connection() { gtid? } else { gtid.unwrap_or_default() };
                Some((gtid.into_bytes(), ColumnType::TEXT))
            }
            b"connection_id()" => Some(number(i128::from(self.entry.id()))),
            b"@@warning_count" | b"@@session.warning_count" if self.binding.pins().is_none() => {
                Some(variable(self.count_conditions(|_| true)))
            }
            b"@@error_count" | b"@@session.error_count" if self.binding.pins().is_none() => {
                Some(variable(self.count_conditions(|level| level == b"Error")))
            }
            _ => None,
        }
    }

    /// How many conditions of these levels the last statement left.
    fn count_conditions(&self, counts: impl Fn(&[u8]) -> bool) -> i128 {
        let errors = u16::from(self.last.error.is_some());
        match self.last.diagnostics.as_deref() {
            Some(rows @ [_, ..]) => {
                let level = |row: &&Row<Vec<u8>>| row.first().and_then(Option::as_deref).is_some_and(&counts);
                i128::try_from(rows.iter().filter(level).count()).unwrap_or(i128::MAX)
            }
            _ if counts(b"Warning") => i128::from(self.last.warnings) + i128::from(errors),
            _ => i128::from(errors),
        }
    }

    fn token_text(&self) -> Vec<u8> {
        let now = std::time::Instant::now();
        printed::print(&self.sight.portable(now, &self.shared.snapshot()), now).into_bytes()
    }

    /// `SHOW WARNINGS` and `SHOW ERRORS` after a statement without warnings: empty, or its error.
    /// With warnings the session has kept the connection that knows them.
    fn diagnostics(&self, text: &[u8]) -> Option<Answer> {
        let known = self.last.diagnostics.as_ref();
        if known.is_none() && (self.binding.pins().is_some() || self.last.warnings > 0) {
            return None;
        }
        let words = words(text);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["show", "warnings" | "errors"] => {
                let errors_only = words.contains(&"errors");
                let is_shown =
                    |row: &&Row<Vec<u8>>| !errors_only || row.first().is_some_and(|l| l.as_deref() == Some(b"Error"));
                let remembered = known.into_iter().flatten().filter(is_shown).cloned();
                let error = self.last.error.as_ref().filter(|_| known.is_none_or(Vec::is_empty));
                let row = error.map(|error| {
                    vec![
                        Some(b"Error".to_vec()),
                        Some(error.code.to_string().into_bytes()),
                        Some(error.message.clone().into_bytes()),
                    ]
                });
                let rows = remembered.chain(row).collect();
                Some(Answer { columns: self.diagnostics_columns(), rows, keeps: true, deprecated: false })
            }
            _ => None,
        }
    }

    /// The columns of `SHOW WARNINGS`, as the servers describe them.
    fn diagnostics_columns(&self) -> Vec<(Vec<u8>, ColumnType)> {
        let (decimals, width) = match self.shared.family() {
            Family::MySql => (31, 5),
            Family::MariaDb => (39, 4),
        };
        let (collation, bytes) = self.results_collation();
        let text = |characters: u32| ColumnType::text_not_null(collation, characters * bytes, decimals);
        vec![
            (b"Level".to_vec(), text(7)),
            (b"Code".to_vec(), ColumnType::ErrorCode { width }),
            (b"Message".to_vec(), text(512)),
        ]
    }

    /// The collation of texts that servers send to this session, and its longest character in bytes.
    fn results_collation(&self) -> (u16, u32) {
        let said = String::from_utf8_lossy(&self.state.client_charset()).into_owned();
        let words: Vec<&str> = said.split_whitespace().map(|word| word.trim_matches(['\'', '"', ','])).collect();
        let after = |keyword: &str| words.iter().skip_while(|word| **word != keyword).nth(1).copied();
        self.shared.collation_named(after("names").unwrap_or("utf8mb4"), after("collate")).unwrap_or((45, 4))
    }

    /// Sends an answer of our own.
    pub(super) async fn send_answer(&mut self, answer: Answer, protocol: Protocol) -> Result<(), Gone> {
        let columns: Vec<Column<'_>> = answer.columns.iter().map(|(name, kind)| Column { name, kind: *kind }).collect();
        self.shared.metrics.saved(Saved::Chatter);
        if !answer.keeps {
            self.is_left_by(&answer).await;
        }
        let warnings = u16::from(answer.deprecated);
        let end = OkPacket { status: self.status(), warnings, ..OkPacket::default() };
        Ok(self.client.send_rows(&end, &columns, &answer.rows, protocol).await?)
    }

    /// What an answer of our own leaves for the next question. MariaDB keeps warnings over statements that use
    /// no table.
    async fn is_left_by(&mut self, answer: &Answer) {
        if self.shared.family() == Family::MySql {
            self.release_brief().await;
            self.last.error = None;
            self.last.warnings = u16::from(answer.deprecated);
            self.last.diagnostics = answer.deprecated.then(|| {
                let row = ["Warning", "1287", FOUND_ROWS_DEPRECATED];
                vec![row.map(|value| Some(value.into())).to_vec()]
            });
        }
        self.last.row_count = -1;
        self.last.found_rows = u64::try_from(answer.rows.len()).ok();
    }
}

/// The text's words in lower case, if it holds only words.
fn words(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    text.trim_end_matches([';', ' ', '\n', '\r', '\t']).split_whitespace().map(str::to_ascii_lowercase).collect()
}

/// The names of the columns of `SELECT a [AS] b, c`, if that is all there is.
pub(super) fn column_names(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    Some(select_list(text)?.into_iter().map(|item| item.name).collect())
}

/// The items of `SELECT a [AS] b, c`, if that is all there is.
fn select_list(text: &[u8]) -> Option<Vec<Item>> {
    let text = std::str::from_utf8(text).ok()?.trim().trim_end_matches([';', ' ', '\n', '\r', '\t']);
    let list = text.get(..6).filter(|s| s.eq_ignore_ascii_case("select")).and(text.get(6..))?;
    if !list.starts_with(|c: char| c.is_whitespace()) {
        return None;
    }
    list.split(',').map(item).collect()
}

fn item(text: &str) -> Option<Item> {
    let mut parts = text.split_whitespace();
    let expression = parts.next()?;
    let name = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => expression,
        (Some(alias), None, _) if !alias.eq_ignore_ascii_case("limit") && !alias.eq_ignore_ascii_case("as") => alias,
        (Some(as_), Some(alias), None) if as_.eq_ignore_ascii_case("as") => alias,
        _ => return None,
    };
    let name = name.trim_matches(['`', '\'', '"']);
    Some(Item { expression: expression.into(), name: name.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Option<Vec<(String, String)>> {
        let text_of = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        Some(select_list(text.as_bytes())?.iter().map(|i| (text_of(&i.expression), text_of(&i.name))).collect())
    }

    #[test]
    fn select_lists() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(names("SELECT ROW_COUNT();"), Some(vec![pair("ROW_COUNT()", "ROW_COUNT()")]));
        assert_eq!(names("select found_rows() AS `n`"), Some(vec![pair("found_rows()", "n")]));
        assert_eq!(names("select row_count() n, found_rows()").map(|l| l.len()), Some(2));
        for other in ["SELECT ROW_COUNT() + 1", "SELECTROW_COUNT()", "SHOW WARNINGS", "SELECT @@x LIMIT 1"] {
            assert_eq!(names(other), None, "{other}");
        }
    }
}
