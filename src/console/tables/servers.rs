//! `SHOW SERVERS`

use super::{Table, cell, maybe, millis};
use crate::pool::Counts;
use crate::status::words::{short, why};
use crate::topology::{Health, Lag, Role, ServerView, Snapshot};

/// What the snapshot does not know of a server.
#[derive(Debug, Clone, Default)]
pub(in crate::console) struct Beside {
    /// Where it is.
    pub address: String,
    /// The region that the file names.
    pub region: Option<String>,
    /// Connections to it, of all pools.
    pub counts: Counts,
}

/// The table; `beside` has an entry for each server.
pub(in crate::console) fn table(snapshot: &Snapshot, beside: &[Beside]) -> Table {
    let mut table = Table::new(&[
        "server",
        "address",
        "region",
        "near",
        "role",
        "reads",
        "health",
        "why",
        "lag_ms",
        "rtt_ms",
        "#weight",
        "#connections",
        "#in_use",
        "executed",
    ]);
    let in_use = |(server, _): &(&ServerView, &Beside)| server.health != Health::Retired;
    for (server, beside) in snapshot.servers.iter().zip(beside).filter(in_use) {
        let counts = beside.counts;
        table.add([
            cell(&server.name),
            cell(&beside.address),
            maybe(beside.region.as_ref()),
            cell(if server.local { "yes" } else { "no" }),
            cell(role(server)),
            cell(if snapshot.readers.contains(&server.id) { "yes" } else { "no" }),
            cell(health(server)),
            maybe(why(server)),
            (server.role == Role::Replica).then(|| lag(server.lag)),
            maybe(server.rtt.map(millis)),
            cell(server.weight),
            cell(counts.idle + counts.leased + counts.resetting),
            cell(counts.leased),
            maybe(server.executed.as_deref().map(short)),
        ]);
    }
    table
}

fn role(server: &ServerView) -> &'static str {
    match server.role {
        Role::Primary => "primary",
        Role::Replica => "replica",
    }
}

fn health(server: &ServerView) -> &'static str {
    match &server.health {
        Health::Unknown => "not asked yet",
        Health::Up if server.is_doubtful => "doubtful",
        Health::Up => "up",
        Health::Down(_) => "down",
        Health::Retired => "retired",
    }
}

/// In milliseconds, or why there are none.
pub(super) fn lag(lag: Lag) -> String {
    match lag {
        Lag::Unknown => "unknown".to_owned(),
        Lag::Stopped => "stopped".to_owned(),
        Lag::Behind(lag) => lag.as_millis().to_string(),
    }
}

/// Servers for the tests of tables.
#[cfg(test)]
pub(super) fn example() -> Vec<ServerView> {
    use crate::consistency::gtid::{Family, GtidSet};
    use crate::topology::ServerId;
    use std::sync::Arc;
    use std::time::Duration;
    let server = |id, name: &str, role, executed: &str| ServerView {
        id: ServerId(id),
        name: name.into(),
        local: role == Role::Replica,
        role,
        health: Health::Up,
        lag: Lag::Behind(Duration::from_millis(40)),
        held_lag: Some(Duration::from_millis(50)),
        max_lag: Duration::from_secs(10),
        weight: 1,
        is_rival: false,
        is_doubtful: false,
        rtt: Some(Duration::from_micros(100_300)),
        family: Some(Family::MariaDb),
        executed: Some(Arc::new(GtidSet::parse(Family::MariaDb, executed).expect("well formed"))),
    };
    vec![server(0, "primary", Role::Primary, "0-1-9"), server(1, "replica-eu", Role::Replica, "0-1-7")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_for_each() {
        let mut servers = example();
        servers[0].health = Health::Down("connection refused".into());
        let beside = vec![
            Beside { address: "db:3306".into(), ..Beside::default() },
            Beside {
                region: Some("eu".into()),
                counts: Counts { idle: 3, leased: 2, ..Counts::default() },
                ..Beside::default()
            },
        ];
        let table = table(&Snapshot::of(servers), &beside);
        let text = |row: usize, columns: &[usize]| {
            columns.iter().map(|at| table.rows[row][*at].clone().unwrap_or("NULL".into())).collect::<Vec<_>>().join("|")
        };
        assert_eq!(
            text(0, &[0, 1, 4, 5, 6, 7, 8, 9]),
            "primary|db:3306|primary|no|down|connection refused|NULL|100.300"
        );
        assert_eq!(text(1, &[0, 2, 3, 5, 6, 8, 11, 12, 13]), "replica-eu|eu|yes|yes|up|40|5|2|0-1-7");
    }

    #[test]
    fn why_there_are_no_reads() {
        let mut servers = example();
        servers[1].held_lag = Some(std::time::Duration::from_secs(11));
        servers[1].lag = Lag::Stopped;
        let table = table(&Snapshot::of(servers), &[Beside::default(), Beside::default()]);
        assert_eq!(
            table.rows[1][5..9],
            [cell("no"), cell("up"), cell("further behind than max_lag (10000 ms): no reads"), cell("stopped")]
        );
    }
}
