//! An answer, for a person and for a program.

use super::answer::Answer;
use crate::cli::paint::Paint;
use serde_json::json;

/// For a person.
pub(super) fn text(sql: &str, answer: &Answer, paint: Paint) -> String {
    let mut rows = vec![("statement", one_line(sql)), ("kind", answer.kind.clone())];
    let route = match (&answer.server, answer.route) {
        (Some(server), route) if server != route => format!("{} ({server})", painted(route, paint)),
        (_, route) => painted(route, paint),
    };
    rows.push(("route", route));
    let reason = answer.reason.map(|reason| format!("{}: ", paint.title(reason)));
    rows.push(("reason", format!("{}{}", reason.unwrap_or_default(), answer.meaning)));
    rows.extend(answer.rule.as_ref().map(|(at, rule)| ("rule", format!("[[rule]] {at} of the file: {rule}"))));
    let trips = format!("{} to the primary", answer.round_trips);
    rows.push(("round trips", answer.unless.as_ref().map_or_else(|| trips.clone(), |more| format!("{trips}; {more}"))));
    for (name, why, until) in &answer.pins {
        rows.push(("pins", format!("{}: {why}; until {until}", paint.note(name))));
    }
    rows.push(("prelude", answer.prelude.to_owned()));
    if !answer.effects.is_empty() {
        rows.push(("effects", answer.effects.join(", ")));
    }
    rows.extend(answer.notes.iter().map(|note| ("note", note.clone())));
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| format!("{}  {value}", paint.faint(&format!("{name:width$}")));
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn painted(route: &str, paint: Paint) -> String {
    if route == "primary" { paint.note(route) } else { paint.good(route) }
}

/// Nothing in it that a terminal would obey.
fn one_line(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.replace(char::is_control, "?");
    if line.chars().count() > 90 { line.chars().take(89).chain(['…']).collect() } else { line }
}

/// For a program: docs/routing.md has the fields.
pub(super) fn json(sql: &str, answer: &Answer) -> String {
    let pin = |(name, why, until): &(&str, &str, &str)| json!({ "name": name, "why": why, "until": until });
    let told = json!({
        "statement": sql,
        "kind": answer.kind,
        "route": answer.route,
        "server": answer.server,
        "reason": answer.reason,
        "meaning": answer.meaning,
        "rule": answer.rule.as_ref().map(|(at, text)| json!({ "number": at, "text": text })),
        "round_trips": answer.round_trips,
        "unless": answer.unless,
        "pins": answer.pins.iter().map(pin).collect::<Vec<_>>(),
        "prelude": answer.prelude,
        "effects": answer.effects,
        "notes": answer.notes,
    });
    format!("{told:#}")
}
