//! How a session goes by a configuration that changes while it is there.

use super::binding::Binding;
use super::session::Session;
use super::shared::{SessionSettings, Shared};
use crate::backend::login::Account;
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use std::sync::Arc;

/// By which configuration a session goes.
#[derive(Debug)]
pub(super) struct Standing {
    /// How often it had changed when it was last looked at.
    changes: u64,
    /// What it said then.
    settings: Arc<SessionSettings>,
    /// How often what servers told had changed when the session last looked whether its defaults are those of the
    /// servers.
    pub(super) facts: Option<(u64, u64)>,
    /// Whether it has the session's user no more.
    is_removed: bool,
}

impl Standing {
    /// That of a session which begins.
    pub(super) fn now(shared: &Shared) -> Self {
        Self { changes: shared.changes(), settings: shared.settings.load_full(), facts: None, is_removed: false }
    }
}

impl Session {
    /// The settings that the session goes by.
    pub(super) fn settings(&self) -> &SessionSettings {
        &self.standing.settings
    }

    /// The session is this account's from now on.
    pub(super) fn is_of(&mut self, account: Arc<Account>) {
        // Whoever changes the configuration looks for users after it has changed.
        self.standing.changes = self.shared.changes();
        self.standing.settings = self.shared.settings.load_full();
        self.entry.handle().set_user(&account.user, self.sight.shared_with());
        let now = self.shared.account_now(&account);
        self.standing.is_removed = now.is_none();
        if self.standing.is_removed {
            self.entry.handle().leave.cancel();
        }
        self.account = now.unwrap_or(account);
        self.client.says = self.account.introductions.join(std::mem::take(&mut self.client.says));
        self.pools = self.shared.pools.of(&self.account, self.client.caps);
    }

    /// Goes by the configuration as it is now. Whether it has changed since this was last done. What the session
    /// holds it keeps.
    pub(super) fn keep_up(&mut self) -> bool {
        if self.standing.changes == self.shared.changes() {
            return false;
        }
        self.is_of(self.account.clone());
        let max_lag = self.settings().max_lag_by_user.get(&self.account.user).copied();
        self.sight.set_max_lag(max_lag);
        true
    }

    /// What changes with what servers have told of themselves and with which servers there are, as numbers that grow.
    pub(super) fn facts_now(&self) -> Option<(u64, u64)> {
        Some((self.pools.first()?.server().told(), self.standing.changes))
    }

    /// Whether it may not stay, and has no transaction to finish. At rest it is told so while it waits.
    pub(super) fn has_to_go(&self) -> bool {
        let is_open = || match &self.binding {
            Binding::Free => false,
            Binding::Begun(_) | Binding::Optimistic(..) | Binding::InTransaction(_) => true,
            Binding::Pinned(lease, _) => lease.conn().is_none_or(|conn| conn.is_in_transaction()),
        };
        self.standing.is_removed && !is_open()
    }

    /// Why it may not stay.
    pub(super) fn why_to_leave(&self) -> ServerError {
        if self.shared.drain.is_cancelled() { errno::shutting_down() } else { errno::user_removed(&self.account.user) }
    }
}
