//! Whom connections to servers log in as.

use super::attributes::Introductions;
use super::login::DialError;
use crate::config::Secret;
use crate::protocol::auth::is_same;
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use std::sync::OnceLock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A user and its password, as they are on the servers.
///
/// One that is [`lent`](Self::lent) to Landbridge by a client is good for as long as the servers
/// accept it: whoever is told otherwise says so here, and everybody who holds the account knows.
#[derive(Debug)]
pub struct Account {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// What its clients say of themselves.
    pub introductions: Introductions,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    /// The file lists it: it is tried for as long as Landbridge runs.
    Listed,
    /// A client logged in with it.
    Lent(Lent),
}

/// Whether servers still accept an account that was lent.
#[derive(Debug, Default)]
struct Lent {
    /// What a server said when it refused it.
    refusal: OnceLock<ServerError>,
    /// Cancelled once that is known.
    refused: CancellationToken,
    /// A replica refused it, and the primary has not been asked yet.
    doubted: Notify,
}

impl Account {
    /// An account that the file lists.
    pub fn listed(user: String, password: Secret) -> Self {
        Self { user, password, introductions: Introductions::default(), origin: Origin::Listed }
    }

    /// An account that a client logged in with.
    pub fn lent(user: &str, password: &str) -> Self {
        let (user, password) = (user.to_owned(), Secret::new(password.to_owned()));
        Self { user, password, introductions: Introductions::default(), origin: Origin::Lent(Lent::default()) }
    }

    /// Whether a client lent it.
    pub fn is_lent(&self) -> bool {
        matches!(self.origin, Origin::Lent(_))
    }

    /// Whether this is its password, without telling by its timing where it differs.
    pub fn has_password(&self, password: &[u8]) -> bool {
        is_same(self.password.expose().as_bytes(), password)
    }

    /// A server did not let it in.
    pub fn turned_away(&self, error: &DialError) {
        if let DialError::Refused(error) = error
            && errno::refuses_account(error)
        {
            self.refused_for(error);
        }
    }

    /// A replica did not let it in, and may only be late: whoever [waits](Self::doubted) asks the primary.
    pub fn doubt(&self, error: &DialError) {
        if let (DialError::Refused(error), Origin::Lent(lent)) = (error, &self.origin)
            && errno::refuses_account(error)
        {
            lent.doubted.notify_one();
        }
    }

    /// Waits until a replica refuses it; for one that is listed, for ever.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn doubted(&self) {
        match &self.origin {
            Origin::Lent(lent) => lent.doubted.notified().await,
            Origin::Listed => std::future::pending().await,
        }
    }

    /// It may not come in any more, for this reason.
    pub fn refused_for(&self, error: &ServerError) {
        if let Origin::Lent(lent) = &self.origin {
            lent.refusal.get_or_init(|| error.clone());
            lent.refused.cancel();
        }
    }

    /// What a server said that refused it since it was lent.
    pub fn refusal(&self) -> Option<&ServerError> {
        if let Origin::Lent(lent) = &self.origin { lent.refusal.get() } else { None }
    }

    /// Waits until a server refuses it; for one that is listed, for ever.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn refused(&self) {
        match &self.origin {
            Origin::Lent(lent) => lent.refused.cancelled().await,
            Origin::Listed => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lent_accounts_are_given_up() {
        let denied = DialError::Refused(ServerError::new(1045, b"28000", "Access denied"));
        let full = DialError::Refused(ServerError::new(1040, b"08004", "Too many connections"));
        let listed = Account::listed("app".into(), Secret::new("secret".into()));
        let lent = Account::lent("app", "secret");
        for account in [&listed, &lent] {
            account.turned_away(&full);
            account.turned_away(&DialError::NoTls);
            assert_eq!(account.refusal(), None);
        }
        listed.turned_away(&denied);
        lent.turned_away(&denied);
        assert_eq!(listed.refusal(), None);
        assert_eq!(lent.refusal().map(|error| error.code), Some(1045));
    }
}
