//! `SHOW ROUTES`

use super::{Table, cell, millis};
use crate::frontend::digests::Digest;

/// The table.
pub(in crate::console) fn table(digests: &[Digest]) -> Table {
    let mut table = Table::new(&["#count", "route", "reason", "total_ms", "mean_ms", "worst_ms", "digest"]);
    for digest in digests {
        let mean = digest.total.div_f64(f64::from(u32::try_from(digest.count).unwrap_or(u32::MAX)).max(1.0));
        table.add([
            cell(digest.count),
            cell(if digest.at_primary { "primary" } else { "replica" }),
            cell(digest.reason.as_str()),
            cell(millis(digest.total)),
            cell(millis(mean)),
            cell(millis(digest.worst)),
            cell(&digest.text),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Reason;
    use std::time::Duration;

    #[test]
    fn times_are_in_milliseconds() {
        let digest = Digest {
            text: "SELECT ?".into(),
            at_primary: false,
            reason: Reason::Read,
            count: 4,
            total: Duration::from_millis(10),
            worst: Duration::from_millis(7),
            last: std::time::Instant::now(),
        };
        let row: Vec<String> = table(&[digest]).rows.remove(0).into_iter().flatten().collect();
        assert_eq!(row, ["4", "replica", "read", "10.000", "2.500", "7.000", "SELECT ?"]);
    }
}
