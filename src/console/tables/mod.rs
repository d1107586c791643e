//! The tables of the console: from what is known to rows. No sockets, no protocol; one module for each.

pub(super) mod clients;
pub(super) mod lag;
pub(super) mod pools;
pub(super) mod routes;
pub(super) mod servers;
pub(super) mod stats;
pub(super) mod tokens;

use crate::protocol::resultset::ColumnType;
use std::fmt::Display;
use std::time::Duration;

/// A table: its columns, and its rows as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// The columns.
    pub columns: Vec<(&'static str, ColumnType)>,
    /// The rows, with as many cells.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// An empty one. Columns of whole numbers are marked with `#` in front.
    pub(super) fn new(columns: &[&'static str]) -> Self {
        let column = |name: &&'static str| match name.strip_prefix('#') {
            Some(name) => (name, ColumnType::Variable),
            None => (*name, ColumnType::TEXT),
        };
        Self { columns: columns.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn add<const N: usize>(&mut self, cells: [Option<String>; N]) {
        debug_assert_eq!(N, self.columns.len(), "a cell for each column");
        self.rows.push(cells.into());
    }
}

/// A cell.
#[expect(clippy::unnecessary_wraps, reason = "cells may have no value")]
pub(super) fn cell(value: impl Display) -> Option<String> {
    Some(value.to_string())
}

/// A cell that may have no value.
pub(super) fn maybe(value: Option<impl Display>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// Milliseconds with three decimals.
pub(super) fn millis(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64() * 1e3)
}

/// How long something has lasted, for people: `850ms`, `12s`, `3m 4s`, `2h 5m`, `3d 4h`.
pub(super) fn ago(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (micros, want) in [
            (850_000, "850ms"),
            (12_000_000, "12s"),
            (184_000_000, "3m 4s"),
            (7_500_000_000, "2h 5m"),
            (273_600_000_000, "3d 4h"),
        ] {
            assert_eq!(ago(Duration::from_micros(micros)), want);
        }
        assert_eq!(millis(Duration::from_micros(1_234)), "1.234");
    }
}
