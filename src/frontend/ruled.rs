//! What hints and rules ask of a statement.

use super::job::Wishes;
use super::session::Session;
use crate::route::Need;
use crate::route::rules::Sender;
use crate::sql::Statement;

impl Session {
    /// What a statement needs, and what it is asked besides: first its hint counts, then the rules.
    pub(super) fn need_and_wishes(&mut self, text: &[u8], statement: &Statement<'_>) -> (Need, Wishes) {
        let (need, hint) = (Need::of(statement), &statement.hint);
        let key = hint.key.map(|key| self.shared.scopes.key(key));
        let wishes = Wishes { key, max_lag: hint.max_lag, on_empty: false };
        if need != Need::Read || self.shared.settings.rules.is_empty() {
            return (need, wishes);
        }
        let mode = self.mode();
        let sender = Sender { user: &self.account.user, schema: self.state.schema(), mode };
        let effect = self.shared.settings.rules.effect_on(text, statement, sender);
        let max_lag = hint.max_lag.or(effect.max_lag);
        (effect.need(need, hint), Wishes { max_lag, on_empty: effect.on_empty, ..wishes })
    }
}
