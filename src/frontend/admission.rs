//! Whether a client whose password is right may have a session: its limits, its account, its schema.

use super::session::Session;
use crate::backend::login::DialError;
use crate::pool::{CheckoutError, Disposition, Pool};
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use std::sync::Arc;
use std::time::Duration;

/// A login waits so long for a server's word on the account, and then goes on without. MariaDB takes a second to
/// refuse one by `COM_CHANGE_USER`.
const ENOUGH: Duration = Duration::from_secs(2);

impl Session {
    /// Whether the user that this session was given to may have it, and be in its schema.
    pub(super) async fn admit(&mut self) -> Result<(), ServerError> {
        let admitted = self.may_have_it().await;
        if admitted.is_err() {
            // Before the client hears of it: it may come again at once, and must not be counted twice.
            self.entry.handle().set_user("", None);
        }
        admitted
    }

    async fn may_have_it(&mut self) -> Result<(), ServerError> {
        let user = &self.account.user;
        let limit = self.shared.settings().limits_by_user.get(user).copied();
        if limit.is_some_and(|limit| self.shared.registry.of_user(user) > limit as usize) {
            return Err(errno::too_many_user_connections(user));
        }
        self.check_account().await?;
        match self.state.schema().map(<[u8]>::to_vec) {
            Some(schema) => self.check_schema(&schema).await,
            None => Ok(()),
        }
    }

    /// Whether servers still let the account in: it may be locked, or gone. One that a client lent has been
    /// asked about already.
    async fn check_account(&mut self) -> Result<(), ServerError> {
        let snapshot = self.shared.snapshot();
        let near = self.nearest(&snapshot);
        let primary = snapshot.primary().map(|primary| primary.id);
        let pools = self.pools.clone();
        let pool_of = |id| pools.get(usize::from(id));
        let fails = near.and_then(|id| pool_of(id.0)).is_some_and(|pool| pool.is_failing());
        if self.account.is_lent() || (self.shared.proven.has_login(&self.account.user) && !fails) {
            return Ok(());
        }
        let mut refusal = Ok(());
        for id in near.into_iter().chain(primary.filter(|id| Some(*id) != near)) {
            let Some(pool) = pool_of(id.0) else { continue };
            let asked = tokio::time::timeout(ENOUGH, self.log_in_at(pool)).await;
            match asked.unwrap_or(Ok(Word::None)) {
                Ok(Word::Welcome) => {
                    self.shared.proven.login(&self.account.user);
                    return Ok(());
                }
                // Who is silent takes back nothing of what another one has said.
                Ok(Word::None) => {}
                // A replica may only be late.
                Err(error) => refusal = Err(errno::as_told_to(error, &self.account.user, &self.host)),
            }
        }
        refusal
    }

    /// What a server says of the account, if it refuses it. A connection of today costs no round trip.
    async fn log_in_at(&self, pool: &Arc<Pool>) -> Result<Word, ServerError> {
        let refusal = |error: &DialError| match error.server_error().filter(|error| errno::refuses_account(error)) {
            Some(error) => Err(error.clone()),
            None => Ok(Word::None),
        };
        let mut lease = match pool.checkout(&self.state).await {
            Ok(lease) => lease,
            Err(CheckoutError::Unreachable(error)) => return refusal(&error),
            Err(_) => return Ok(Word::None),
        };
        match lease.take() {
            Some(conn) if conn.is_login_outdated() => match conn.log_in_again().await {
                Ok(conn) => lease.put(conn),
                Err(error) => return refusal(&error),
            },
            Some(conn) => lease.put(conn),
            None => {}
        }
        lease.give_back(Disposition::Clean);
        Ok(Word::Welcome)
    }
}

/// What a server says of an account, unless it refuses it.
enum Word {
    Welcome,
    /// It cannot be asked.
    None,
}
