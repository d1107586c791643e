//! Who may connect, and with which password.

use crate::backend::login::Account;
use std::collections::HashMap;
use std::sync::Arc;

/// Users of the configuration file.
#[derive(Debug, Default)]
pub struct Users(HashMap<String, Arc<Account>>);

impl Users {
    /// The users of these accounts.
    pub fn new(accounts: impl IntoIterator<Item = Arc<Account>>) -> Self {
        Self(accounts.into_iter().map(|account| (account.user.clone(), account)).collect())
    }

    /// The account of a user name as a client sent it.
    pub fn find(&self, name: &[u8]) -> Option<&Arc<Account>> {
        self.0.get(std::str::from_utf8(name).ok()?)
    }
}
