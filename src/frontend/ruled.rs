//! What hints and rules ask of a statement.

use super::job::{Job, JobCommand, Wishes};
use super::session::Session;
use super::tenure::Tenure;
use crate::route::rules::Sender;
use crate::route::{Need, Reason};
use crate::sql::{Semicolons, Statement, classify_knowing};
use crate::topology::ServerId;

impl Session {
    /// What a statement does, as far as its text, the session and the file tell.
    pub(super) fn classified<'t>(&mut self, text: &'t [u8]) -> Statement<'t> {
        let mode = self.mode();
        classify_knowing(text, mode, &self.settings().read_functions, self.state.schema())
    }

    /// What a statement needs, and what it is asked besides: first its hint counts, then the rules.
    pub(super) fn need_and_wishes(&mut self, text: &[u8], statement: &Statement<'_>) -> (Need, Wishes) {
        let (need, hint) = (Need::of(statement), &statement.hint);
        let key = hint.key.map(|key| self.shared.scopes.key(&key.bytes()));
        let wishes = Wishes { key, max_lag: hint.max_lag, on_empty: false, transactions: hint.transactions };
        if need != Need::Read || self.settings().rules.is_empty() {
            return (need, wishes);
        }
        let mode = self.mode();
        let sender = Sender { user: &self.account.user, schema: self.state.schema(), mode };
        let effect = self.settings().rules.effect_on(text, statement, sender);
        let max_lag = hint.max_lag.or(effect.max_lag);
        (effect.need(need, hint), Wishes { max_lag, on_empty: effect.on_empty, ..wishes })
    }

    /// Whether a result without rows from this server is not for the client: the primary is asked then, unless
    /// it is known not to answer.
    pub(super) fn asks_again_if_empty(&self, job: &Job, tenure: &Tenure, server: ServerId) -> bool {
        let one_result = job.semicolons != Semicolons::Between && !job.opens_cursor();
        let is_data = matches!(job.command, JobCommand::Text(_) | JobCommand::Execute(_));
        job.wishes.on_empty
            && (job.need == Need::Read && is_data && one_result)
            && matches!(tenure, Tenure::Taken(_))
            && !self.binding.is_begun()
            && self.shared.snapshot().primary().is_some_and(|primary| primary.id != server && primary.is_usable())
    }
}

/// The same job at the primary, after a replica had no row for it.
pub(super) fn at_the_primary(job: &Job) -> Job {
    let wishes = Wishes { on_empty: false, ..job.wishes };
    Job { need: Need::Primary(Reason::OnEmpty), wishes, ..job.clone() }
}

/// The same job for any server, after the primary turned out not to answer.
pub(super) fn wherever_it_can(job: Job) -> Job {
    Job { need: Need::Read, ..job }
}
