//! The tables of the console: from what is known to rows. No sockets, no protocol; one module for each.

pub(super) mod clients;
pub(super) mod lag;
pub(super) mod pools;
pub(super) mod routes;
pub(super) mod servers;
pub(super) mod stats;
pub(super) mod tokens;

use crate::consistency::gtid::GtidSet;
use crate::protocol::resultset::ColumnType;
use std::fmt::Display;
use std::time::Duration;

/// So much of a set of GTIDs is shown.
const SHOWN: usize = 60;

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

/// A set of GTIDs, its UUIDs cut to eight digits, and itself where it is long.
pub(super) fn short(gtids: &GtidSet) -> String {
    let text = gtids.to_string();
    let part = |part: &str| match part.split_once(':') {
        Some((uuid, intervals)) if uuid.len() > 8 => format!("{}..:{intervals}", uuid.get(..8).unwrap_or(uuid)),
        _ => part.to_owned(),
    };
    let mut short = text.split(',').map(part).collect::<Vec<_>>().join(",");
    if short.len() > SHOWN {
        // Digits and signs only: every byte is a character.
        short.truncate(SHOWN);
        short.push_str("..");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consistency::gtid::Family;

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

    #[test]
    fn long_sets_are_cut() {
        let set = |family, text: &str| GtidSet::parse(family, text).expect("well formed");
        assert_eq!(short(&set(Family::MySql, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77")), "3e11fa47..:1-77");
        assert_eq!(short(&set(Family::MariaDb, "0-1-5,1-1-2")), "0-1-5,1-1-2");
        let long = (0..50).map(|n| format!("{n}-1-1000")).collect::<Vec<_>>().join(",");
        assert_eq!(short(&set(Family::MariaDb, &long)).len(), SHOWN + 2);
    }
}
