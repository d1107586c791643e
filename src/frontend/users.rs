//! Who may connect, and with which password.

use super::passthrough::Passthrough;
use super::rsa::RsaKey;
use crate::backend::login::Account;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Everybody who may connect.
#[derive(Debug, Default)]
pub struct Users {
    /// Users of the configuration file.
    listed: HashMap<String, Arc<Account>>,
    /// How others come in, if they may.
    pub passthrough: Option<Arc<Passthrough>>,
    /// Made when the first client asks for it.
    key: Arc<OnceCell<RsaKey>>,
}

impl Users {
    /// The users of these accounts, and those a server knows, if they may come in.
    pub fn new(accounts: impl IntoIterator<Item = Arc<Account>>, passthrough: Option<Arc<Passthrough>>) -> Self {
        let listed = accounts.into_iter().map(|account| (account.user.clone(), account)).collect();
        Self { listed, passthrough, key: Arc::default() }
    }

    /// The same, with the key of others: clients remember its public half.
    #[must_use]
    pub fn with_key_of(self, others: &Self) -> Self {
        Self { key: others.key.clone(), ..self }
    }

    /// The accounts of listed users.
    pub fn listed(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.listed.values()
    }

    /// The account of a listed user.
    pub fn find(&self, name: &str) -> Option<&Arc<Account>> {
        self.listed.get(name)
    }

    /// The key with which passwords come that nothing else protects.
    ///
    /// # Errors
    /// It could not be made.
    pub(super) async fn key(&self) -> io::Result<&RsaKey> {
        let generate = async || tokio::task::spawn_blocking(RsaKey::generate).await?;
        self.key.get_or_try_init(generate).await
    }
}
