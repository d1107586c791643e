//! Rules of the file about reads and transactions: pure, the first that fits counts.

use super::{Need, Reason};
use crate::sql::{Hint, HintTarget, Kind, Mode, Statement, TableName, Traits, Transactions, tables};
use std::time::Duration;

/// The rules, in their order.
#[derive(Debug, Clone, Default)]
pub struct Rules(Vec<Rule>);

/// What holds for reads and transactions that fulfil all conditions.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// The account.
    pub user: Option<String>,
    /// The session's schema.
    pub schema: Option<String>,
    /// The read names at least one of these; empty: whatever it names.
    pub tables: Vec<RuleTable>,
    /// What holds for reads then.
    pub effect: Effect,
    /// Where transactions read until they first write; such a rule names no tables.
    pub transactions: Option<Transactions>,
}

/// A table as a rule names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTable {
    /// Its schema; `None` = any.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

/// What a rule does to a read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effect {
    /// Where it goes.
    pub read: Option<HintTarget>,
    /// Replicas further behind will not do.
    pub max_lag: Option<Duration>,
    /// Where a replica has no row, the primary is asked.
    pub on_empty: bool,
}

impl Effect {
    /// Whether it says nothing about reads: a rule for transactions alone.
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What a read needs under this rule, unless its hint says otherwise.
    #[must_use]
    pub fn need(&self, need: Need, hint: &Hint<'_>) -> Need {
        match (need, self.read, hint.target) {
            (Need::Read, Some(HintTarget::Primary), None) => Need::Primary(Reason::Rule),
            _ => need,
        }
    }
}

/// Who sends a statement, and how its bytes are read.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The account.
    pub user: &'a str,
    /// The session's schema.
    pub schema: Option<&'a [u8]>,
    /// How bytes are read.
    pub mode: Mode,
}

impl Rules {
    /// These, of which the first that fits counts.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What holds for a statement: nothing, unless it is a read that may name tables.
    #[must_use]
    pub fn effect_on(&self, text: &[u8], statement: &Statement<'_>, sender: Sender<'_>) -> Effect {
        self.first_for(text, statement, sender).map(|(_, rule)| rule.effect).unwrap_or_default()
    }

    /// The rule that counts for a statement, and its place, from 0.
    #[must_use]
    pub fn first_for(&self, text: &[u8], statement: &Statement<'_>, sender: Sender<'_>) -> Option<(usize, &Rule)> {
        if self.is_empty() || statement.kind != Kind::Read || statement.traits.contains(Traits::TABLE_FREE) {
            return None;
        }
        // Looked for once, and only if some rule asks.
        let mut named = None;
        let mut fits = |rule: &Rule| {
            !rule.effect.is_none()
                && rule.is_about(sender.user, sender.schema)
                && (rule.tables.is_empty() || {
                    let named: &Vec<TableName<'_>> =
                        named.get_or_insert_with(|| tables(text, sender.mode).unwrap_or_default());
                    named.iter().any(|name| rule.names(name, sender.schema))
                })
        };
        self.0.iter().enumerate().find(|(_, rule)| fits(rule))
    }

    /// Whether one of them lets transactions read on replicas.
    pub fn try_replicas(&self) -> bool {
        self.0.iter().any(|rule| rule.transactions == Some(Transactions::Optimistic))
    }

    /// Where a transaction that begins now reads until it first writes, if a rule says so.
    #[must_use]
    pub fn transactions(&self, user: &str, schema: Option<&[u8]>) -> Option<Transactions> {
        self.0.iter().filter(|rule| rule.is_about(user, schema)).find_map(|rule| rule.transactions)
    }
}

impl Rule {
    /// Whether the conditions hold that do not depend on a statement.
    fn is_about(&self, user: &str, schema: Option<&[u8]>) -> bool {
        self.user.as_deref().is_none_or(|wanted| wanted == user)
            && self.schema.as_deref().is_none_or(|wanted| Some(wanted.as_bytes()) == schema)
    }

    /// Whether it is about this table. Names compare by their bytes, as files do on the servers' disks.
    fn names(&self, named: &TableName<'_>, schema: Option<&[u8]>) -> bool {
        let in_schema = named.schema.as_deref().or(schema);
        self.tables.iter().any(|table| {
            *table.name.as_bytes() == *named.name
                && table.schema.as_deref().is_none_or(|schema| Some(schema.as_bytes()) == in_schema)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::classify;

    fn table(name: &str) -> RuleTable {
        match name.split_once('.') {
            Some((schema, name)) => RuleTable { schema: Some(schema.into()), name: name.into() },
            None => RuleTable { schema: None, name: name.into() },
        }
    }

    /// A rule that is known again by its number.
    fn rule(number: u64, user: &str, schema: &str, tables: &[&str]) -> Rule {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let effect = Effect { max_lag: Some(Duration::from_secs(number)), ..Effect::default() };
        let tables = tables.iter().map(|name| table(name)).collect();
        Rule { user: some(user), schema: some(schema), tables, effect, transactions: None }
    }

    fn which(rules: &Rules, user: &str, schema: &str, sql: &str) -> u64 {
        let statement = classify(sql.as_bytes(), Mode::default());
        let schema = (!schema.is_empty()).then_some(schema.as_bytes());
        let sender = Sender { user, schema, mode: Mode::default() };
        rules.effect_on(sql.as_bytes(), &statement, sender).max_lag.map_or(0, |lag| lag.as_secs())
    }

    #[test]
    fn the_first_that_fits_counts() {
        let rules = Rules::new(vec![
            rule(1, "app", "shop", &["orders"]),
            rule(2, "", "", &["shop.carts", "x.t", "Big"]),
            rule(3, "report", "", &[]),
            rule(4, "", "shop", &[]),
            rule(5, "", "", &["orders"]),
        ]);
        for (user, schema, sql, number) in [
            ("app", "shop", "SELECT * FROM orders", 1),
            ("app", "shop", "SELECT * FROM a JOIN b.orders", 1),
            ("app", "Shop", "SELECT * FROM orders", 5),
            ("web", "", "SELECT * FROM orders", 5),
            ("web", "", "SELECT * FROM `Orders`", 0),
            ("web", "shop", "SELECT * FROM carts", 2),
            ("web", "other", "SELECT * FROM carts", 0),
            ("web", "other", "SELECT * FROM shop.carts", 2),
            ("web", "x", "SELECT * FROM a WHERE b IN (SELECT c FROM `t`)", 2),
            ("web", "x", "SELECT * FROM big", 0),
            ("web", "x", "SELECT * FROM Big", 2),
            ("report", "x", "SELECT * FROM a", 3),
            ("web", "shop", "SELECT * FROM a", 4),
            ("web", "shop", "WITH carts AS (SELECT 1 FROM a) SELECT * FROM carts", 4),
            // Not certain which tables it names.
            ("web", "", "SHOW COLUMNS FROM orders", 0),
            ("report", "", "SHOW COLUMNS FROM orders", 3),
            // No reads, or none of data.
            ("report", "shop", "SELECT 1", 0),
            ("report", "shop", "INSERT INTO orders VALUES (1)", 0),
            ("report", "shop", "SELECT * FROM orders FOR UPDATE", 0),
            ("report", "shop", "SET a = 1", 0),
        ] {
            assert_eq!(which(&rules, user, schema, sql), number, "{user} {schema} {sql}");
        }
        assert_eq!(which(&Rules::default(), "app", "shop", "SELECT * FROM orders"), 0);
    }

    /// Those about transactions and those about reads do not see each other.
    #[test]
    fn rules_about_transactions() {
        use Transactions::{Optimistic, Primary};
        let about = |user: &str, schema: &str, transactions| {
            let effect = Effect::default();
            Rule { transactions: Some(transactions), effect, ..rule(0, user, schema, &[]) }
        };
        let rules = Rules::new(vec![
            rule(1, "app", "", &["orders"]),
            about("app", "shop", Primary),
            rule(2, "report", "", &[]),
            about("report", "", Optimistic),
            about("", "shop", Optimistic),
            Rule { transactions: Some(Primary), ..rule(3, "", "shop", &[]) },
        ]);
        for (user, schema, want) in [
            ("app", "shop", Some(Primary)),
            ("app", "Shop", None),
            ("app", "", None),
            ("report", "", Some(Optimistic)),
            ("web", "shop", Some(Optimistic)),
            ("web", "", None),
        ] {
            let schema = (!schema.is_empty()).then_some(schema.as_bytes());
            assert_eq!(rules.transactions(user, schema), want, "{user} {schema:?}");
        }
        for (user, schema, number) in [("app", "shop", 1), ("report", "shop", 2), ("web", "shop", 3), ("web", "x", 0)] {
            assert_eq!(which(&rules, user, schema, "SELECT * FROM orders"), number, "{user} {schema}");
        }
        assert_eq!(Rules::default().transactions("app", None), None);
    }

    #[test]
    fn a_hint_counts_more_and_a_write_stays_one() {
        let to = |target| Effect { read: Some(target), ..Effect::default() };
        let (primary, replica) = (to(HintTarget::Primary), to(HintTarget::Replica));
        let write = Need::Primary(Reason::InTransaction);
        let (none, asks) = (Hint::default(), Hint { target: Some(HintTarget::Replica), ..Hint::default() });
        assert_eq!(primary.need(Need::Read, &none), Need::Primary(Reason::Rule));
        assert_eq!(primary.need(Need::Read, &asks), Need::Read);
        assert_eq!(replica.need(Need::Read, &none), Need::Read);
        assert_eq!(Effect::default().need(Need::Read, &none), Need::Read);
        for effect in [primary, replica] {
            assert_eq!(effect.need(write, &none), write);
        }
    }
}
