//! `SHOW POOLS`

use super::{Table, cell, maybe};
use crate::pool::{Counts, Pool};
use crate::protocol::capability::Capabilities;
use std::sync::Arc;

/// A pool at one moment.
#[derive(Debug)]
struct Seen {
    server: String,
    user: String,
    flags: Capabilities,
    counts: Counts,
    min_warm: usize,
    max: usize,
    is_warm: bool,
    failure: Option<String>,
}

impl From<&Arc<Pool>> for Seen {
    fn from(pool: &Arc<Pool>) -> Self {
        Self {
            server: pool.server().name.clone(),
            user: pool.account().user.clone(),
            flags: pool.flags(),
            counts: pool.counts(),
            min_warm: pool.settings().min_warm,
            max: pool.settings().max,
            is_warm: pool.is_warm(),
            failure: pool.failure().map(|failure| failure.to_string()),
        }
    }
}

/// The table.
pub(in crate::console) fn table(pools: &[Arc<Pool>]) -> Table {
    tabulate(pools.iter().map(Seen::from).collect())
}

fn tabulate(mut pools: Vec<Seen>) -> Table {
    pools.sort_by(|a, b| (&a.server, &a.user, a.flags.bits()).cmp(&(&b.server, &b.user, b.flags.bits())));
    let mut table = Table::new(&[
        "server",
        "user",
        "flags",
        "state",
        "#idle",
        "#leased",
        "#resetting",
        "#dialing",
        "#waiting",
        "#min_warm",
        "#max",
        "failure",
    ]);
    for Seen { server, user, flags, counts, min_warm, max, is_warm, failure } in pools {
        let state = match (&failure, is_warm) {
            (Some(_), _) => "failing",
            (None, true) => "warm",
            (None, false) => "warming",
        };
        let flags = if flags.contains(Capabilities::FOUND_ROWS) { "found_rows" } else { "" };
        table.add([
            cell(server),
            cell(user),
            cell(flags),
            cell(state),
            cell(counts.idle),
            cell(counts.leased),
            cell(counts.resetting),
            cell(counts.dialing),
            cell(counts.waiting),
            cell(min_warm),
            cell(max),
            maybe(failure),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states() {
        let seen = |server: &str, is_warm, failure: Option<&str>| Seen {
            server: server.into(),
            user: "app".into(),
            flags: Capabilities::empty(),
            counts: Counts { idle: 3, leased: 1, ..Counts::default() },
            min_warm: 4,
            max: 64,
            is_warm,
            failure: failure.map(str::to_owned),
        };
        let table = tabulate(vec![seen("b", false, None), seen("a", true, None), seen("c", true, Some("refused"))]);
        let states: Vec<_> =
            table.rows.iter().map(|row| (row[0].as_deref(), row[3].as_deref(), row[11].as_deref())).collect();
        assert_eq!(
            states,
            [
                (Some("a"), Some("warm"), None),
                (Some("b"), Some("warming"), None),
                (Some("c"), Some("failing"), Some("refused"))
            ]
        );
        assert_eq!(table.rows[0][4..7], [cell(3), cell(1), cell(0)]);
    }
}
