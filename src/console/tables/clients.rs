//! `SHOW CLIENTS`

use super::{Table, ago, cell, maybe};
use crate::consistency::token::Token;
use crate::frontend::binding::PinReason;
use crate::frontend::holds::Holds;
use crate::frontend::registry::ClientView;
use crate::status::words::short;
use crate::topology::{ServerId, Snapshot};
use std::time::Instant;

/// The table.
pub(in crate::console) fn table(clients: &[ClientView], snapshot: &Snapshot, now: Instant) -> Table {
    let mut table = Table::new(&[
        "#id",
        "user",
        "host",
        "schema",
        "state",
        "pins",
        "server",
        "#connection",
        "age",
        "since",
        "token",
    ]);
    let name = |id: ServerId| snapshot.server(id).map(|server| server.name.to_string());
    for client in clients {
        let (state, held_by) = match (&client.running, &client.holds) {
            _ if client.user.is_empty() => ("logging in", None),
            (Some((server, _)), _) => ("running", Some(*server)),
            (None, Holds::Nothing) => ("idle", None),
            (None, Holds::Begun) => ("transaction begun", None),
            (None, Holds::Optimistic(server)) => ("read so far", Some(*server)),
            (None, Holds::Transaction(server)) => ("in transaction", Some(*server)),
            (None, Holds::Pinned(server, _)) => ("pinned", Some(*server)),
        };
        let pins = match &client.holds {
            Holds::Pinned(_, pins) => pins.iter().map(|pin| PinReason::as_str(*pin)).collect::<Vec<_>>().join(", "),
            _ => String::new(),
        };
        let token = client.scope.as_ref().map(|scope| scope.token(now, snapshot));
        table.add([
            cell(client.id),
            cell(&client.user),
            cell(&client.host),
            maybe(client.schema.as_ref()),
            cell(state),
            cell(pins),
            held_by.and_then(name),
            maybe(client.running.map(|(_, connection)| connection)),
            cell(ago(now.saturating_duration_since(client.connected))),
            maybe(client.since.map(|since| ago(now.saturating_duration_since(since)))),
            cell(token.as_ref().map(in_short).unwrap_or_default()),
        ]);
    }
    table
}

/// What must be seen, in a few words; nothing where every server has it.
pub(super) fn in_short(token: &Token) -> String {
    let gtids = token.gtids.as_deref().map(short);
    let stays = [
        token.primary_until.map(|_| "recent write"),
        token.uncertain_since.map(|_| "lost answer"),
        token.unnamed_since.map(|_| "not named yet"),
    ];
    let stays = stays.into_iter().flatten().map(|why| format!("primary ({why})"));
    gtids.into_iter().chain(stays).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consistency::gtid::{Family, GtidSet};
    use crate::consistency::scope::Scope;
    use crate::consistency::token::{Changed, Noted};
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn what_each_does_and_holds() {
        let now = Instant::now();
        let client = |user: &str, running, holds| ClientView {
            id: 7,
            user: user.into(),
            host: "127.0.0.1".into(),
            schema: Some("shop".into()),
            connected: now,
            running,
            since: Some(now),
            holds,
            scope: None,
        };
        let pins = vec![PinReason::TemporaryTable, PinReason::NamedLock];
        let clients = [
            client("", None, Holds::Nothing),
            client("app", None, Holds::Nothing),
            client("app", Some((ServerId(0), 99)), Holds::Nothing),
            client("app", None, Holds::Begun),
            client("app", None, Holds::Optimistic(ServerId(0))),
            client("app", None, Holds::Transaction(ServerId(0))),
            client("app", None, Holds::Pinned(ServerId(0), pins)),
        ];
        let table = table(&clients, &Snapshot::default(), now + Duration::from_secs(61));
        let told: Vec<_> =
            table.rows.iter().map(|row| [row[4].as_deref(), row[5].as_deref(), row[7].as_deref()]).collect();
        let (none, nothing) = (None, Some(""));
        assert_eq!(
            told,
            [
                [Some("logging in"), nothing, none],
                [Some("idle"), nothing, none],
                [Some("running"), nothing, Some("99")],
                [Some("transaction begun"), nothing, none],
                [Some("read so far"), nothing, none],
                [Some("in transaction"), nothing, none],
                [Some("pinned"), Some("temporary_table, named_lock"), none],
            ]
        );
        assert_eq!(table.rows[0][8..10], [cell("1m 1s"), cell("1m 1s")]);
    }

    #[test]
    fn tokens_in_short() {
        let (scope, now) = (Scope::default(), Instant::now());
        let gtids = GtidSet::parse(Family::MariaDb, "0-1-5").expect("well formed");
        scope.note(&Noted::Gtids(gtids), Changed::Data, now, Duration::ZERO);
        scope.note(&Noted::Uncertain, Changed::Data, now, Duration::ZERO);
        let client = ClientView {
            id: 1,
            user: "app".into(),
            host: String::new(),
            schema: None,
            connected: now,
            running: None,
            since: None,
            holds: Holds::Nothing,
            scope: Some(Arc::new(scope)),
        };
        let table = table(&[client], &Snapshot::default(), now);
        assert_eq!(table.rows[0][10].as_deref(), Some("0-1-5 primary (lost answer)"));
    }
}
