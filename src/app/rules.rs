//! Rules about reads: from the file's words to those of routing.

use crate::config;
use crate::route::rules::{Effect, Rule, RuleTable};
use crate::sql::HintTarget;

/// A rule of the file.
pub(super) fn rule(rule: &config::Rule) -> Rule {
    let table = |table: &config::RuleTable| RuleTable { schema: table.schema.clone(), name: table.name.clone() };
    Rule {
        user: rule.user.clone(),
        schema: rule.schema.clone(),
        tables: rule.tables.iter().map(table).collect(),
        effect: Effect {
            read: rule.read.map(|read| match read {
                config::ReadFrom::Primary => HintTarget::Primary,
                config::ReadFrom::Replica => HintTarget::Replica,
            }),
            max_lag: rule.max_lag,
            on_empty: rule.on_empty == Some(config::OnEmpty::Primary),
        },
    }
}
