//! What a statement needs of servers, given the session that sends it. Pure: sessions go by it, and `landbridge explain`.

use crate::route::{Need, Reason};
use crate::sql::{Traits, Why};

/// What of a session decides where its statements go.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// A transaction has begun that belongs at the primary.
    pub in_transaction: bool,
    /// It keeps one connection for its whole life.
    pub session_mode: bool,
    /// Its schema holds tables about the server: so does every unqualified name.
    pub about_server: bool,
}

impl Circumstances {
    /// What a statement with these traits needs, of which `need` says what it would need by itself.
    pub fn need(self, need: Need, traits: Traits) -> Need {
        if self.in_transaction {
            return Need::Primary(Reason::InTransaction);
        }
        if self.session_mode {
            return Need::Primary(Reason::SessionMode);
        }
        if need == Need::Read && self.about_server && !traits.contains(Traits::TABLE_FREE) {
            return SERVER_LOCAL;
        }
        need
    }
}

const SERVER_LOCAL: Need = Need::Primary(Reason::Statement(Why::ServerLocal));

/// What a statement needs that asks a server for the number of its connection, and keeps that connection; `None`: it
/// does not ask. Whoever knows the number will use it there: to look itself up, to have it killed, as a name for what it
/// left behind.
pub fn need_if_identified(need: Need, traits: Traits) -> Option<Need> {
    traits.contains(Traits::USES_CONNECTION_ID).then_some(if need == Need::Read { SERVER_LOCAL } else { need })
}

/// Whether a schema holds tables about the server rather than data.
pub fn is_about_server(schema: &[u8]) -> bool {
    const SCHEMAS: [&[u8]; 4] = [b"information_schema", b"mysql", b"performance_schema", b"sys"];
    SCHEMAS.iter().any(|known| schema.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_most_comes_first() {
        let all = Circumstances { in_transaction: true, session_mode: true, about_server: true };
        let [kept, local] =
            [false, true].map(|local| Circumstances { in_transaction: false, session_mode: !local, ..all });
        let reason = |circumstances: Circumstances, traits| match circumstances.need(Need::Read, traits) {
            Need::Primary(reason) => Some(reason.as_str()),
            Need::Read => None,
        };
        assert_eq!(reason(all, Traits::NONE), Some("in_transaction"));
        assert_eq!(reason(kept, Traits::NONE), Some("session_mode"));
        assert_eq!(reason(local, Traits::NONE), Some("server_local"));
        assert_eq!(reason(local, Traits::TABLE_FREE), None);
        let insert = Need::Primary(Reason::Statement(Why::Insert));
        assert_eq!(local.need(insert, Traits::NONE), insert);
        assert_eq!(need_if_identified(Need::Read, Traits::USES_CONNECTION_ID), Some(SERVER_LOCAL));
        assert_eq!(need_if_identified(insert, Traits::USES_CONNECTION_ID), Some(insert));
        assert_eq!(need_if_identified(insert, Traits::NONE), None);
    }
}
