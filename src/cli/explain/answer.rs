//! What happens to a statement: route, reason, rule, pins, prelude, round trips.

use super::here::{Course, Handled};
use super::moment::Moment;
use super::scene::Scene;
use super::words::{keeps, meaning};
use super::{Begun, Wish};
use crate::consistency::token::Token;
use crate::frontend::binding::{PinReason, PinSet, hides_found_rows};
use crate::frontend::circumstances::need_if_identified;
use crate::frontend::effect::fate;
use crate::frontend::handling::Handling;
use crate::frontend::optimistic::{Onward, onward};
use crate::frontend::shared::{ScopeKind, SessionSettings};
use crate::route::rules::{Effect, Rule, Sender};
use crate::route::{Need, Reader, Reason, decide};
use crate::sql::{HintTarget, Kind, Mode, Parts, ReadFunctions, Semicolons, Statement, Traits, Why, classify_knowing};
use crate::state::SessionState;
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
    let rules = scene.settings.as_ref().map(|settings| &settings.rules);
    let rule = rules
        .and_then(|rules| rules.first_for(sql.as_bytes(), &statement, Sender { user: scene.user(), schema, mode }));
    let effect = rule.map(|(_, rule)| rule.effect).unwrap_or_default();
    let moment = Moment::of(&statement, wish, scene);
    let held = moment.held(&statement);
    let handled = Handling::of(sql.as_bytes(), &statement, &SessionState::default(), held, Some);
    let mut answer = Answer {
        kind: kind(&statement),
        route: "landbridge",
        server: None,
        reason: None,
        meaning: String::new(),
        rule: rule.map(|(at, rule)| (at + 1, described(rule))),
        round_trips: 0,
        unless: None,
        pins: Vec::new(),
        prelude: prelude(&statement),
        effects: statement.traits.names().map(str::to_lowercase).collect(),
        notes: notes(wish, moment, scene, &statement, effect),
    };
    let own = own_need(&statement, &handled, effect);
    let onward = (moment == Moment::Nearby)
        .then(|| onward(sql.as_bytes(), &statement, own, effect.on_empty, !scene.is_about_server()));
    match Course::of(&handled, moment, onward) {
        Course::Here { why, unless } => {
            why.clone_into(&mut answer.meaning);
            answer.unless = unless.map(Into::into);
            answer.prelude = "nothing: no server is asked for it";
        }
        Course::Sent => {
            let pins = pins(&statement, &handled, moment);
            answer.pins = pins.map(|pin| (pin.as_str(), keeps(pin).0, keeps(pin).1)).collect();
            let need = if onward == Some(Onward::Stays) {
                Need::Read
            } else {
                scene.circumstances(moment.is_in_transaction()).need(own, statement.traits)
            };
            answer.take_route(need, &statement, effect, wish, moment, scene);
        }
    }
    if matches!(handled, Handling::KillUser(_)) {
        answer.notes.push("then Landbridge ends the sessions of that user that it has itself".into());
    }
    answer
}

impl Answer {
    fn take_route(
        &mut self,
        need: Need,
        statement: &Statement<'_>,
        effect: Effect,
        wish: &Wish,
        moment: Moment,
        scene: &Scene,
    ) {
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
        let reason = match (moment, at_primary) {
            (Moment::Alone, _) => reason,
            (Moment::AtPrimary | Moment::Nearby, true) => Reason::InTransaction,
            (Moment::AtPrimary | Moment::Nearby, false) => Reason::Optimistic,
        };
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

/// What a statement needs by itself.
fn own_need(statement: &Statement<'_>, handled: &Handled<'_>, effect: Effect) -> Need {
    let need = match handled {
        // Those that do not go to the primary have been answered.
        Handling::Set(_) | Handling::Use(_) => Need::Primary(Reason::Statement(Why::Admin)),
        _ => effect.need(Need::of(statement), &statement.hint),
    };
    need_if_identified(need, statement.traits).unwrap_or(need)
}

/// What a statement leaves that a server runs.
fn pins(statement: &Statement<'_>, handled: &Handled<'_>, moment: Moment) -> impl Iterator<Item = PinReason> {
    let mut pins = PinSet::default();
    pins.apply(statement.traits);
    match handled {
        Handling::Set(assignments) if fate(assignments).stays(moment.is_in_transaction()) => {
            pins.insert(PinReason::SessionVariable);
        }
        Handling::Run if statement.traits.contains(Traits::USES_CONNECTION_ID) => {
            pins.insert(PinReason::ConnectionId);
        }
        _ => {}
    }
    let has_rows = matches!(statement.kind, Kind::Read | Kind::Write(Why::LockingRead));
    if hides_found_rows(statement.traits, has_rows) {
        pins.insert(PinReason::FoundRows);
    }
    pins.into_iter()
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

fn notes(wish: &Wish, moment: Moment, scene: &Scene, statement: &Statement<'_>, effect: Effect) -> Vec<String> {
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
    if moment == Moment::Nearby {
        notes.push(match wish.in_transaction {
            Some(Begun::ReadOnly) => "READ ONLY: as if it had only read so far, on a replica".into(),
            _ => "transactions = \"optimistic\": as if it had only read so far; its first write takes its reads along to \
                  the primary"
                .into(),
        });
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
