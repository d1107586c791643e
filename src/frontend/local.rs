//! Answers Landbridge gives itself: about itself, and about what a session's last statement left. Which statements ask
//! for that, `question` says.

use super::question::{Asked, Question};
use super::session::{Gone, Session};
use crate::backend::query::Row;
use crate::consistency::gtid::Family;
use crate::consistency::printed;
use crate::metrics::Saved;
use crate::protocol::response::OkPacket;
use crate::protocol::resultset::{Column, ColumnType, Protocol};
use crate::sql::Traits;

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

impl Session {
    /// The answer to a question, if it is known here. `traits`: those of the statement that asks.
    pub(super) fn local_answer(&self, question: &Question<'_>, traits: Traits) -> Option<Answer> {
        let asked = match question {
            Question::Conditions { errors_only } => return self.diagnostics(*errors_only),
            Question::Values(asked) => asked,
        };
        let values: Option<Vec<(Vec<u8>, ColumnType)>> = asked.iter().map(|(asked, _)| self.value(*asked)).collect();
        let values = values?;
        let columns =
            asked.iter().zip(&values).map(|((_, name), (_, kind))| (name.as_bytes().to_vec(), *kind)).collect();
        let rows = vec![values.into_iter().map(|(value, _)| Some(value)).collect()];
        let keeps = traits.contains(Traits::USES_DIAGNOSTICS);
        // Since MySQL 8.0.17; MariaDB does not.
        let deprecated = self.shared.family() == Family::MySql && traits.contains(Traits::USES_FOUND_ROWS);
        Some(Answer { columns, rows, keeps, deprecated })
    }

    fn value(&self, asked: Asked) -> Option<(Vec<u8>, ColumnType)> {
        let number = |n: i128| (n.to_string().into_bytes(), ColumnType::Count);
        let variable = |n: i128| (n.to_string().into_bytes(), ColumnType::Variable);
        match asked {
            Asked::Version => Some((env!("CARGO_PKG_VERSION").into(), ColumnType::TEXT)),
            Asked::Token => Some((self.token_text(), ColumnType::TEXT)),
            Asked::RowCount => Some(number(i128::from(self.last.row_count))),
            Asked::FoundRows if self.binding.pins().is_none() => Some(number(self.last.found_rows?.into())),
            Asked::LastInsertId if !self.last.insert_id_stale && !self.holds_connection() => {
                Some((self.last.insert_id.to_string().into_bytes(), ColumnType::Id))
            }
            Asked::LastGtid if self.shared.family() == Family::MariaDb => {
                // Who has the server report nothing keeps a connection, and asks that.
                let is_told = !(self.holds_connection() && self.reports.any());
                let gtid = self.last.gtid.as_ref().filter(|_| is_told).map(ToString::to_string);
                (gtid.is_some() || is_told).then(|| (gtid.unwrap_or_default().into_bytes(), ColumnType::TEXT))
            }
            Asked::ConnectionId => Some(number(i128::from(self.entry.id()))),
            Asked::WarningCount if self.binding.pins().is_none() => Some(variable(self.count_conditions(|_| true))),
            Asked::ErrorCount if self.binding.pins().is_none() => {
                Some(variable(self.count_conditions(|level| level == b"Error")))
            }
            Asked::FoundRows | Asked::LastInsertId | Asked::LastGtid | Asked::WarningCount | Asked::ErrorCount => None,
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
    fn diagnostics(&self, errors_only: bool) -> Option<Answer> {
        let known = self.last.diagnostics.as_ref();
        if known.is_none() && (self.binding.pins().is_some() || self.last.warnings > 0) {
            return None;
        }
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
