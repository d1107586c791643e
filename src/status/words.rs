//! How servers are described in a few words. Pure.

use crate::consistency::gtid::GtidSet;
use crate::topology::{Health, ServerView, Snapshot};

/// So much of a set of GTIDs is shown.
pub(crate) const SHOWN: usize = 60;

/// Why a server is down, or why one that answers takes no reads.
pub fn why(server: &ServerView) -> Option<String> {
    match &server.health {
        Health::Up if server.is_doubtful => Some("it did not answer, and another server takes writes".to_owned()),
        Health::Up if server.is_rival => Some("takes writes although it is no primary: no reads".to_owned()),
        Health::Up if server.held_lag.is_some_and(|lag| lag > server.max_lag) => {
            Some(format!("further behind than max_lag ({} ms): no reads", server.max_lag.as_millis()))
        }
        Health::Down(why) => Some(why.to_string()),
        Health::Unknown | Health::Up | Health::Retired => None,
    }
}

/// Whether it has all that the primary last told of; `None` if that is not known.
pub fn has_everything(snapshot: &Snapshot, server: &ServerView) -> Option<bool> {
    let (report, executed) = (snapshot.report.as_ref()?, server.executed.as_ref()?);
    Some(executed.contains(&report.executed))
}

/// A set of GTIDs, its UUIDs cut to eight digits, and itself where it is long.
pub fn short(gtids: &GtidSet) -> String {
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
    fn long_sets_are_cut() {
        let set = |family, text: &str| GtidSet::parse(family, text).expect("well formed");
        assert_eq!(short(&set(Family::MySql, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77")), "3e11fa47..:1-77");
        assert_eq!(short(&set(Family::MariaDb, "0-1-5,1-1-2")), "0-1-5,1-1-2");
        let long = (0..50).map(|n| format!("{n}-1-1000")).collect::<Vec<_>>().join(",");
        assert_eq!(short(&set(Family::MariaDb, &long)).len(), SHOWN + 2);
    }
}
