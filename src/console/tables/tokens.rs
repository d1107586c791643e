//! `SHOW TOKENS`

use super::clients::in_short;
use super::{Table, ago, cell, maybe};
use crate::consistency::gtid::GtidSet;
use crate::consistency::scopes::Scopes;
use crate::status::words::short;
use crate::topology::Snapshot;
use std::time::Instant;

/// So many scopes are shown.
const SHOWN: usize = 50;

/// The table: what everybody must see and has, then the scopes with the largest tokens.
pub(in crate::console) fn table(scopes: &Scopes, snapshot: &Snapshot, now: Instant) -> Table {
    let mut table = Table::new(&["scope", "#parts", "age", "token"]);
    let floor = &snapshot.floor;
    let pending = floor.pending.then(|| "asking".to_owned());
    let floor_text = floor.gtids.as_deref().map(short).into_iter().chain(pending).collect::<Vec<_>>().join(" ");
    table.add([cell("(floor)"), cell(floor.gtids.as_deref().map_or(0, GtidSet::parts)), None, cell(floor_text)]);
    let everywhere = snapshot.everywhere.as_deref();
    table.add([
        cell("(everywhere)"),
        cell(everywhere.map_or(0, GtidSet::parts)),
        None,
        cell(everywhere.map(short).unwrap_or_default()),
    ]);
    table.add([cell("(keys)"), None, None, cell(format!("{} remembered", scopes.keys()))]);
    let named = |name: String| if name.is_empty() { "(everybody)".to_owned() } else { format!("user {name}") };
    let mut all: Vec<_> =
        scopes.users().into_iter().map(|(name, scope)| (named(name), scope.token(now, snapshot))).collect();
    all.extend(
        scopes
            .oldest_keys(SHOWN)
            .into_iter()
            .map(|(key, scope)| (format!("key {:016x}", key.pick()), scope.token(now, snapshot))),
    );
    all.retain(|(_, token)| !token.is_empty());
    all.sort_by_key(|(name, token)| {
        (std::cmp::Reverse(token.gtids.as_deref().map_or(0, GtidSet::parts)), token.grew(), name.clone())
    });
    for (name, token) in all.into_iter().take(SHOWN) {
        table.add([
            cell(name),
            cell(token.gtids.as_deref().map_or(0, GtidSet::parts)),
            maybe(token.grew().map(|at| ago(now.saturating_duration_since(at)))),
            cell(in_short(&token)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consistency::gtid::Family;
    use crate::consistency::token::{Changed, Noted};
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn scopes_with_something_to_see() {
        let (scopes, now) = (Scopes::default(), Instant::now());
        let gtids = |text: &str| GtidSet::parse(Family::MariaDb, text).expect("well formed");
        let snapshot = Snapshot { everywhere: Some(Arc::new(gtids("0-1-4"))), ..Snapshot::default() };
        let note = |name: &str, text: &str| {
            scopes.of_user(name).note(&Noted::Gtids(gtids(text)), Changed::Data, now, Duration::ZERO);
        };
        note("old", "0-1-3");
        note("app", "0-1-5");
        note("", "0-1-5,1-1-1");
        scopes.scope_for_more(scopes.key(b"k"), now, &snapshot).note(
            &Noted::Gtids(gtids("0-1-6")),
            Changed::Data,
            now,
            Duration::ZERO,
        );
        let table = table(&scopes, &snapshot, now + Duration::from_secs(2));
        let rows: Vec<Vec<&str>> =
            table.rows.iter().map(|row| row.iter().map(|cell| cell.as_deref().unwrap_or("NULL")).collect()).collect();
        assert_eq!(
            rows[..4],
            [
                vec!["(floor)", "0", "NULL", ""],
                vec!["(everywhere)", "1", "NULL", "0-1-4"],
                vec!["(keys)", "NULL", "NULL", "1 remembered"],
                vec!["(everybody)", "2", "2s", "0-1-5,1-1-1"],
            ]
        );
        assert_eq!(rows.len(), 6, "what every replica has is not shown: {rows:?}");
        assert!(rows.iter().any(|row| row[0] == "user app" && row[3] == "0-1-5"));
        assert!(rows.iter().any(|row| row[0].starts_with("key ") && row[3] == "0-1-6"));
    }
}
