//! Where a transaction that begins now shall read until it first writes: what hints and the file wish. Whether that
//! can be is not decided here.

use crate::frontend::shared::SessionSettings;
use crate::sql::Transactions;

/// Whether a transaction is to be tried on a replica: one that says that it will not write is, unless somebody says
/// otherwise of this very one. `hint`: what is said of it; `wish`: what is wished, all in all.
pub fn is_to_be_tried(only_reads: bool, hint: Option<Transactions>, wish: impl FnOnce() -> Transactions) -> bool {
    (only_reads && hint.is_none()) || wish() == Transactions::Optimistic
}

impl SessionSettings {
    /// The wish of the hint in front of the statement that begins it, or else of the first rule about user and schema,
    /// of the user, of everybody.
    pub fn transactions_for(&self, hint: Option<Transactions>, user: &str, schema: Option<&[u8]>) -> Transactions {
        hint.or_else(|| self.rules.transactions(user, schema))
            .or_else(|| self.transactions_by_user.get(user).copied())
            .unwrap_or(self.transactions)
    }

    /// Whether anybody may have transactions begin on replicas, hints aside.
    pub(in crate::frontend) fn tries_replicas(&self) -> bool {
        let is = |wish: &Transactions| *wish == Transactions::Optimistic;
        is(&self.transactions) || self.transactions_by_user.values().any(is) || self.rules.try_replicas()
    }
}
