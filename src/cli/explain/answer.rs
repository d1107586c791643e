//! What happens to a statement: route, reason, rule, pins, prelude, round trips.

use super::Wish;
use super::scene::Scene;
use super::words::{keeps, meaning};
use crate::consistency::token::Token;
use crate::frontend::binding::{PinReason, PinSet};
use crate::frontend::circumstances::is_about_server;
use crate::frontend::effect::{Fate, fate};
use crate::frontend::optimistic::would_stay;
use crate::frontend::shared::{ScopeKind, SessionSettings};
use crate::route::rules::{Effect, Rule, Sender};
use crate::route::{Need, Reader, Reason, decide};
use crate::sql::{
    Access, HintTarget, Kind, Mode, Parts, ReadFunctions, Semicolons, Statement, Traits, Why, classify_knowing,
};
use std::sync::Arc;

/// The answer to "where would it go?"
#[derive(Debug)]
pub(super) struct Answer {
    /// What kind of statement it is.
    pub(super) kind: String,
    /// `primary`, `replica` or `landbridge`.
    pub(super) route: &'static str,
    /// The server's name, where one is asked.
    pub(super) server: Option<String>,
    /// The word of metrics and logs, where a server is asked.
    pub(super) reason: Option<&'static str>,
    /// What that means, in a sentence.
    pub(super) meaning: String,
    /// The rule that matched: its place in the file, from 1, and what it says.
    pub(super) rule: Option<(usize, String)>,
    /// Round trips to the primary.
    pub(super) round_trips: u32,
    /// When it is more, or where else time is spent.
    pub(super) unless: Option<String>,
    /// What keeps the session on its connection afterwards: name, why, until when.
    pub(super) pins: Vec<(&'static str, &'static str, &'static str)>,
    /// What rides along.
    pub(super) prelude: &'static str,
    /// What is known of the text.
    pub(super) effects: Vec<String>,
    /// What the answer depends on.
    pub(super) notes: Vec<String>,
}

/// Finds it.
pub(super) fn answer(sql: &str, wish: &Wish, scene: &Scene) -> Answer {
    let mode = Mode { mariadb: wish.mariadb, ..Mode::default() };
    let schema = scene.schema.as_deref().map(str::as_bytes);
    let functions = scene.settings.as_ref().map_or_else(|| Arc::new(ReadFunctions::new(&[])), functions);
    let statement = classify_knowing(sql.as_bytes(), mode, &functions, schema);
    let user = scene.user.as_deref().unwrap_or_default();
    let rules = scene.settings.as_ref().map(|settings| &settings.rules);
    let rule = rules.and_then(|rules| rules.first_for(sql.as_bytes(), &statement, Sender { user, schema, mode }));
    let effect = rule.map(|(_, rule)| rule.effect).unwrap_or_default();
    let mut answer = Answer {
        kind: kind(&statement),
        route: "landbridge",
        server: None,
        reason: None,
        meaning: String::new(),
        rule: rule.map(|(at, rule)| (at + 1, described(rule))),
        round_trips: 0,
        unless: None,
        pins: pins(&statement).into_iter().map(|pin| (pin.as_str(), keeps(pin).0, keeps(pin).1)).collect(),
        prelude: prelude(&statement),
        effects: statement.traits.names().map(str::to_lowercase).collect(),
        notes: notes(wish, scene, &statement, effect),
    };
    let ends_nearby = wish.in_transaction
        && matches!(statement.kind, Kind::Commit(_) | Kind::Rollback(_))
        && scene.is_optimistic(&statement);
    let here = answered_here(&statement, wish.in_transaction);
    match here.or(ends_nearby.then_some("The transaction ends on its replica, if it has only read.")) {
        Some(why) => {
            why.clone_into(&mut answer.meaning);
            answer.prelude = "nothing: no server is asked for it";
        }
        None => answer.take_route(need(sql, &statement, effect, wish, scene), &statement, effect, wish, scene),
    }
    answer
}

impl Answer {
    fn take_route(&mut self, need: Need, statement: &Statement<'_>, effect: Effect, wish: &Wish, scene: &Scene) {
        let is_consistent = scene.scope() != ScopeKind::Off;
        // Without tables nothing that was written can be missed.
        let waits = wish.after_write && is_consistent && !statement.traits.contains(Traits::TABLE_FREE);
        let token = Token::of(Scene::written().filter(|_| waits));
        let reader = Reader { token, is_consistent, ..Reader::default() };
        let route = match decide(need, &reader, &scene.snapshot) {
            Ok(route) => route,
            Err(error) => {
                self.meaning = error.to_string();
                return;
            }
        };
        let is_primary = scene.snapshot.is_primary(route.server);
        // Who may not wait at all goes to the primary at once.
        let in_vain = route.wait_for.is_some() && never_waits(scene.settings.as_ref());
        let (at_primary, reason) = if in_vain { (true, Reason::ReplicaBehind) } else { (is_primary, route.reason) };
        let reason = if wish.in_transaction && !at_primary { Reason::Optimistic } else { reason };
        let server = if at_primary { scene.snapshot.primary() } else { scene.snapshot.server(route.server) };
        self.route = if at_primary { "primary" } else { "replica" };
        self.server = server.map(|server| server.name.to_string());
        self.reason = Some(reason.as_str());
        meaning(reason).clone_into(&mut self.meaning);
        self.round_trips = u32::from(at_primary);
        if route.wait_for.is_some() && !in_vain {
            self.unless = Some("1 if the replica has not got the write in time: then the primary answers".into());
        } else if effect.on_empty && !at_primary {
            self.unless = Some("1 if the replica has no row: then the primary is asked, too (on_empty)".into());
        }
    }
}

fn functions(settings: &SessionSettings) -> Arc<ReadFunctions> {
    settings.read_functions.clone()
}

fn never_waits(settings: Option<&SessionSettings>) -> bool {
    settings.and_then(|settings| settings.wait).is_some_and(|wait| wait.is_zero())
}

/// In the order in which sessions decide it.
fn need(sql: &str, statement: &Statement<'_>, effect: Effect, wish: &Wish, scene: &Scene) -> Need {
    if wish.in_transaction {
        return if stays(sql, statement, effect, scene) { Need::Read } else { Need::Primary(Reason::InTransaction) };
    }
    let user = scene.user.as_deref().unwrap_or_default();
    if scene.settings.as_ref().is_some_and(|settings| settings.session_mode.is_for(user)) {
        return Need::Primary(Reason::SessionMode);
    }
    let need = match &statement.kind {
        // Those that do not go here have been answered.
        Kind::Set(_) => Need::Primary(Reason::Statement(Why::Admin)),
        _ => effect.need(Need::of(statement), &statement.hint),
    };
    let about_server = scene.schema.as_deref().is_some_and(|schema| is_about_server(schema.as_bytes()));
    let is_local = about_server && !statement.traits.contains(Traits::TABLE_FREE);
    if need == Need::Read && (is_local || statement.traits.contains(Traits::USES_CONNECTION_ID)) {
        return Need::Primary(Reason::Statement(Why::ServerLocal));
    }
    need
}

/// Whether a statement runs on the replica on which its transaction has read so far.
fn stays(sql: &str, statement: &Statement<'_>, effect: Effect, scene: &Scene) -> bool {
    let is_about_data = !scene.schema.as_deref().is_some_and(|schema| is_about_server(schema.as_bytes()));
    let need = effect.need(Need::of(statement), &statement.hint);
    scene.is_optimistic(statement) && would_stay(sql.as_bytes(), statement, need, effect.on_empty, is_about_data)
}

/// What needs no server's answer, or only that of one nearby.
fn answered_here(statement: &Statement<'_>, in_transaction: bool) -> Option<&'static str> {
    const CHECKED: &str = "Checked by a server nearby, remembered, sent ahead of later statements.";
    const LEFT: Traits = Traits::USES_ROW_COUNT.or(Traits::USES_FOUND_ROWS).or(Traits::USES_DIAGNOSTICS);
    if statement.kind == Kind::Empty {
        return Some("Error 1065, as a server says it.");
    }
    if in_transaction {
        return None;
    }
    match &statement.kind {
        Kind::Begin(begin) if !begin.consistent_snapshot && begin.access != Some(Access::ReadWrite) => {
            Some("A transaction begins with its first statement.")
        }
        Kind::Commit(_) | Kind::Rollback(_) => Some("There is nothing to end."),
        Kind::Set(assignments) => match fate(assignments) {
            Fate::NextTransaction => Some("Remembered for the next transaction."),
            Fate::Carried => Some(CHECKED),
            Fate::Global | Fate::Stays => None,
        },
        Kind::Use(_) => Some(CHECKED),
        Kind::Read if statement.parts == Parts::Single && statement.traits.intersects(LEFT) => {
            Some("What the statement before left is known here, or on the connection that it ran on.")
        }
        _ => None,
    }
}

fn pins(statement: &Statement<'_>) -> Vec<PinReason> {
    let mut pins = PinSet::default();
    match &statement.kind {
        // What a `SET` gives a user variable is carried as long as it is known here.
        Kind::Set(assignments) => {
            if fate(assignments) == Fate::Stays {
                pins.insert(PinReason::SessionVariable);
            }
        }
        _ => {
            pins.apply(statement.traits);
        }
    }
    if statement.traits.contains(Traits::USES_CONNECTION_ID) {
        pins.insert(PinReason::ConnectionId);
    }
    if statement.traits.intersects(Traits::CALC_FOUND_ROWS | Traits::SKIPS_ROWS) && statement.is_read() {
        pins.insert(PinReason::FoundRows);
    }
    pins.iter().collect()
}

fn prelude(statement: &Statement<'_>) -> &'static str {
    match statement.semicolons {
        Semicolons::None | Semicolons::InTokens => {
            "what the session has set, if the connection has not: in the same flight, no round trip of its own"
        }
        Semicolons::Between => {
            "what the session has set, if the connection has not: in the same flight if the client may send several \
             statements, else ahead of it"
        }
    }
}

fn notes(wish: &Wish, scene: &Scene, statement: &Statement<'_>, effect: Effect) -> Vec<String> {
    let mut notes = Vec::new();
    let Some(settings) = &scene.settings else {
        notes.push("there is no file: as with a replica nearby, the primary far away, and no rules".into());
        return notes;
    };
    if scene.user.is_none() {
        notes.push("rules and modes of single users are left out: --user says who asks".into());
    }
    if statement.hint.target.is_some() && effect.read.is_some() {
        notes.push("the comment in the statement counts more than the rule".into());
    }
    let of_user = scene.user.as_ref().and_then(|user| settings.max_lag_by_user.get(user)).copied();
    if wish.in_transaction && scene.is_optimistic(statement) {
        notes.push(
            "transactions = \"optimistic\": as if it had only read so far; its first write takes its reads along to the \
             primary"
                .into(),
        );
    }
    if let Some(lag) = [statement.hint.max_lag.or(effect.max_lag), of_user].into_iter().flatten().min() {
        notes.push(format!("a replica more than {lag:?} behind does not answer it"));
    }
    match settings.scope {
        ScopeKind::Off if statement.is_read() => notes.push("scope = \"off\": reads wait for no writes".into()),
        ScopeKind::Connection => notes.push("scope = \"connection\": writes of the same connection are seen".into()),
        ScopeKind::Key => notes.push("scope = \"key\": writes with the same key are seen".into()),
        ScopeKind::Sidecar => notes.push("scope = \"sidecar\": everybody's writes are seen".into()),
        ScopeKind::Off | ScopeKind::User => {}
    }
    notes
}

/// A rule as the file has it.
fn described(rule: &Rule) -> String {
    let table = |table: &crate::route::rules::RuleTable| match &table.schema {
        Some(schema) => format!("{schema}.{}", table.name),
        None => table.name.clone(),
    };
    let tables: Vec<String> = rule.tables.iter().map(table).collect();
    let target = rule.effect.read.map(|read| match read {
        HintTarget::Primary => "primary".to_owned(),
        HintTarget::Replica => "replica".to_owned(),
    });
    let parts = [
        ("user", rule.user.clone()),
        ("schema", rule.schema.clone()),
        ("table", (!tables.is_empty()).then(|| tables.join(", "))),
        ("read", target),
        ("max_lag", rule.effect.max_lag.map(|lag| format!("{lag:?}"))),
        ("on_empty", rule.effect.on_empty.then(|| "primary".to_owned())),
        ("transactions", rule.transactions.map(|place| place.as_str().to_owned())),
    ];
    let parts = parts.into_iter().filter_map(|(name, value)| Some(format!("{name} = \"{}\"", value?)));
    parts.collect::<Vec<_>>().join(", ")
}

fn kind(statement: &Statement<'_>) -> String {
    let kind = match &statement.kind {
        Kind::Read => "read",
        Kind::Write(Why::Unknown) => "not understood",
        Kind::Write(_) => "needs the primary",
        Kind::Begin(_) => "begins a transaction",
        Kind::Commit(_) => "commits",
        Kind::Rollback(_) => "rolls back",
        Kind::Savepoint => "savepoint",
        Kind::Set(_) => "sets session variables",
        Kind::Use(_) => "chooses a schema",
        Kind::Empty => "empty",
    };
    match statement.parts {
        Parts::Multi => format!("{kind} (several statements)"),
        Parts::Empty | Parts::Single => kind.into(),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
