//! `[[rule]]`: what happens to which reads and transactions.

use super::{Value, name};
use crate::config::document::Found;
use crate::config::fault::Problem;
use crate::config::nearest::nearest;
use crate::config::reader::Section;
use crate::config::settings::{OnEmpty, ReadFrom, Rule, RuleTable, Transactions, User};

/// Longest name of a schema or table, in bytes: 64 characters.
const LONGEST_NAME: usize = 256;

const TABLE_FIX: &str = "write \"orders\" or \"shop.orders\"";

/// Reads every rule. `users`: those of the file, if nobody else may log in.
pub(super) fn read(root: &mut Section<'_, '_>, users: Option<&[User]>) -> Vec<Rule> {
    root.sections("rule").into_iter().map(|section| rule(section, users)).collect()
}

fn rule(mut section: Section<'_, '_>, users: Option<&[User]>) -> Rule {
    if !["user", "schema", "table"].iter().any(|key| section.has(key)) {
        section.fault(Problem::new("no condition", "write user, schema or table"));
    }
    if !["read", "max_lag", "on_empty", "transactions"].iter().any(|key| section.has(key)) {
        section.fault(Problem::new("no effect", "write read, max_lag, on_empty or transactions"));
    }
    let user = section.parsed("user", "write it in quotes", |text| name(text, super::user::LONGEST_NAME));
    if let (Some(user), Some(known)) = (&user, users) {
        warn_of_user(&section, user, known);
    }
    let schema = section.parsed("schema", "write it in quotes", |text| name(text, LONGEST_NAME)).value();
    let no_table = Problem::new("no table", TABLE_FIX);
    let tables = section.list("table", table, Some(no_table)).unwrap_or_default();
    let read = section.word("read", ReadFrom::WORDS);
    let max_lag = section.positive("max_lag");
    let on_empty = section.word("on_empty", OnEmpty::WORDS);
    let transactions = section.word("transactions", Transactions::WORDS);
    if let Some(found) = &transactions
        && !tables.is_empty()
    {
        // When a transaction begins nobody knows which tables it will name.
        let problem = Problem::new("not together with table", "write user or schema, or a rule of its own");
        section.document().fault(&found.spot, problem);
    }
    if read.as_ref().is_some_and(|read| read.value == ReadFrom::Primary) {
        // Either would be about replicas.
        let idle = [max_lag.as_ref().map(|found| &found.spot), on_empty.as_ref().map(|found| &found.spot)];
        for spot in idle.into_iter().flatten() {
            let problem = Problem::new("has no effect on reads that go to the primary", "leave it or read out");
            section.document().warn(spot, problem);
        }
    }
    section.finish();
    Rule {
        user: user.value(),
        schema,
        tables: tables.into_iter().map(Found::into_value).collect(),
        read: read.value(),
        max_lag: max_lag.value(),
        on_empty: on_empty.value(),
        transactions: transactions.value(),
    }
}

/// A rule for somebody who cannot log in is legal, and often a typing mistake.
fn warn_of_user(section: &Section<'_, '_>, user: &Found<String>, known: &[User]) {
    let known = || known.iter().map(|user| user.name.as_str());
    if known().any(|name| name == user.value) {
        return;
    }
    let fix = match nearest(&user.value, known()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "add a [[user]], or remove the rule".to_owned(),
    };
    section.document().warn(&user.spot, Problem::new("no user has this name", fix));
}

/// `table` or `schema.table`, in their own case and without quotes.
pub(super) fn table(text: &str) -> Result<RuleTable, Problem> {
    let part = |text: &str| match name(text, LONGEST_NAME) {
        Ok(name) if !name.contains(['.', '`', '"']) => Ok(name),
        _ => Err(Problem::new("not the name of a table", TABLE_FIX)),
    };
    match text.split_once('.') {
        None => Ok(RuleTable { schema: None, name: part(text)? }),
        Some((schema, name)) => Ok(RuleTable { schema: Some(part(schema)?), name: part(name)? }),
    }
}
