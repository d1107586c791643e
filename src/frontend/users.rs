//! Who may connect, and with which password.

use super::passthrough::Passthrough;
use crate::backend::login::Account;
use std::collections::HashMap;
use std::sync::Arc;

/// Everybody who may connect.
#[derive(Debug, Default)]
pub struct Users {
    /// Users of the configuration file.
    listed: HashMap<String, Arc<Account>>,
    /// How others come in, if they may.
    pub passthrough: Option<Passthrough>,
}

impl Users {
    /// The users of these accounts, and those a server knows, if they may come in.
    pub fn new(accounts: impl IntoIterator<Item = Arc<Account>>, passthrough: Option<Passthrough>) -> Self {
        let listed = accounts.into_iter().map(|account| (account.user.clone(), account)).collect();
        Self { listed, passthrough }
    }

    /// The account of a listed user.
    pub fn find(&self, name: &str) -> Option<&Arc<Account>> {
        self.listed.get(name)
    }
}
