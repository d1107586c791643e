//! Tokens that the application carries: `SELECT @@landbridge_token` here, `SET @@landbridge_token = '..'` there.

use super::job::{Job, JobCommand};
use super::session::{Gone, Last, Session};
use super::witness::ask_executed;
use crate::consistency::gtid::GtidSet;
use crate::consistency::printed;
use crate::consistency::token::Token;
use crate::pool::Disposition;
use crate::protocol::errno;
use crate::protocol::response::ServerError;
use crate::route::Need;
use crate::sql::{Assignment, Kind, Statement, Target, Traits, ValueClass};
use crate::state::quote_identifier;
use crate::topology::{PrimaryReport, ServerId};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a server may take to tell what it has.
const QUESTION: Duration = Duration::from_secs(1);

/// The value that a statement gives to `@@landbridge_token`, if that is all it does: as it stands in the text.
pub(super) fn token_set<'a>(statement: &Statement<'a>) -> Option<&'a [u8]> {
    let Kind::Set(assignments) = &statement.kind else { return None };
    let [Assignment { target: Target::Variable { name, .. }, value }] = &assignments[..] else { return None };
    name.eq_ignore_ascii_case(b"landbridge_token").then_some(match value.class {
        ValueClass::Default => b"''",
        _ => value.text,
    })
}

/// What a server can prepare in place of a statement about Landbridge alone: with the same parameters and
/// columns of the same names.
pub(super) fn stand_in(statement: &Statement<'_>, columns: Option<Vec<Vec<u8>>>) -> Option<Vec<u8>> {
    if !statement.traits.contains(Traits::READS_LANDBRIDGE_VARIABLE) {
        return None;
    }
    match (token_set(statement), columns) {
        (Some(b"?"), _) => Some(b"DO ?".to_vec()),
        (Some(_), _) => Some(b"DO 0".to_vec()),
        (None, Some(names)) => {
            let columns: Vec<Vec<u8>> =
                names.iter().map(|name| [b"'' AS ", &quote_identifier(name)[..]].concat()).collect();
            Some([b"SELECT ", &columns.join(&b","[..])[..]].concat())
        }
        (None, None) => None,
    }
}

impl Session {
    /// `SET @@landbridge_token = ..`, with the value as it stands in the text.
    pub(super) async fn set_token(&mut self, value: &[u8]) -> Result<(), Gone> {
        let ([b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"']) = value else {
            return self.refuse(&not_a_token()).await;
        };
        self.carry_token(inner).await
    }

    /// Sees from now on what somebody else has written or seen.
    pub(super) async fn carry_token(&mut self, text: &[u8]) -> Result<(), Gone> {
        let token = std::str::from_utf8(text).ok().and_then(|text| printed::read(text, Instant::now()).ok());
        let Some(token) = token else { return self.refuse(&not_a_token()).await };
        let token = self.verified(token).await;
        self.sight.carry(&token);
        self.last = Last { insert_id: self.last.insert_id, gtid: self.last.gtid.take(), ..Last::default() };
        self.send_ok().await
    }

    /// A token as far as it can come true: the primary has, or had, all that any token names, unless another
    /// server is the primary by now, or the token is from another history.
    async fn verified(&self, token: Token) -> Token {
        let Some(gtids) = token.gtids.clone() else { return token };
        let is_known = |report: &PrimaryReport| report.executed.contains(&gtids);
        if self.shared.snapshot().report.as_ref().is_some_and(is_known) {
            return token;
        }
        for attempt in 0..2 {
            let Some(primary) = self.shared.snapshot().primary().map(|primary| primary.id) else { return token };
            let asked = Instant::now();
            let told = tokio::time::timeout(QUESTION, self.ask_executed(primary)).await;
            // Nobody can tell.
            let Ok(Some(executed)) = told else { return token };
            if executed.contains(&gtids) {
                return token;
            }
            if attempt == 0 {
                self.look_again(asked).await;
            } else {
                let mut verified = Token::of(Some(executed)).raised(asked);
                verified.primary_until = token.primary_until;
                return verified;
            }
        }
        token
    }

    /// Has the servers asked anew, and waits until the primary has told.
    async fn look_again(&self, since: Instant) {
        // Whoever makes up tokens must not keep the servers busy.
        if self.shared.look_again() {
            tracing::warn!(
                "a client brought a token of transactions that the primary does not have: asking all servers"
            );
        }
        let mut topology = self.shared.topology.clone();
        let told = topology.wait_for(|snapshot| snapshot.report.as_ref().is_some_and(|report| report.asked >= since));
        // Then it is as it was known before.
        let _too_long = tokio::time::timeout(QUESTION, told).await;
    }

    /// Before a token is shown: what was read from a replica must be in it, and what was seen at the primary must
    /// have its name, because nobody knows when it will be asked about next.
    pub(super) async fn name_what_was_read(&mut self) {
        if !self.sight.is_consistent() {
            return;
        }
        if let Some(replica) = self.sight.take_replica() {
            let asked = Instant::now();
            match tokio::time::timeout(QUESTION, self.ask_executed(replica)).await.ok().flatten() {
                Some(gtids) => self.sight.carry_away(asked, &gtids),
                // Then only the primary is known to have it.
                None => self.sight.carry_doubt(),
            }
        }
        let now = Instant::now();
        let snapshot = self.shared.snapshot();
        if self.sight.portable(now, &snapshot).unnamed_since.is_some()
            && let Some(primary) = snapshot.primary().filter(|primary| primary.is_usable())
            && let Ok(Some(gtids)) = tokio::time::timeout(QUESTION, self.ask_executed(primary.id)).await
        {
            self.sight.named(&self.shared, now, &gtids);
        }
    }

    async fn ask_executed(&self, server: ServerId) -> Option<GtidSet> {
        let pool = self.pools.get(usize::from(server.0))?.clone();
        let mut lease = pool.checkout(&self.state).await.ok()?;
        let executed = ask_executed(&mut lease).await;
        lease.give_back(Disposition::Clean);
        executed
    }
}

/// Prepares a statement about Landbridge alone by what stands in for it.
pub(super) fn stand_in_job(stand_in: Vec<u8>, id: u32) -> Job {
    Job::new(JobCommand::Prepare(Arc::from(stand_in), id), Need::Read)
}

fn not_a_token() -> ServerError {
    errno::wrong_value("landbridge_token", "give it what SELECT @@landbridge_token returned, in quotes")
}
