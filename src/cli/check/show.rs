//! What was found, for a person and for a program.

use super::examine::{Examined, Replication};
use super::finding::{Finding, Level};
use crate::cli::paint::Paint;
use serde_json::{Value, json};

/// For a person.
pub(super) fn text(servers: &[Examined], findings: &[Finding], paint: Paint) -> String {
    let mut lines = Vec::new();
    for server in servers {
        lines.push(format!(
            "{}  {}",
            paint.title(&server.name),
            paint.faint(&format!("{}, {}", server.address, server.role))
        ));
        let rows = rows(server);
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, value) in rows {
            lines.push(format!("  {} {}  {value}", paint.good("✓"), paint.faint(&format!("{name:width$}"))));
        }
        lines.extend(of(findings, Some(&server.name), paint));
        lines.push(String::new());
    }
    let others = of(findings, None, paint);
    if !others.is_empty() {
        lines.push(paint.title("this file and this machine"));
        lines.extend(others);
        lines.push(String::new());
    }
    let problems = findings.iter().filter(|finding| finding.level == Level::Problem).count();
    lines.push(match problems {
        0 => paint.good("Everything is in order. Next: landbridge run"),
        1 => paint.bad("One thing is not in order: see the line with `!`, and `→` below it."),
        more => paint.bad(&format!("{more} things are not in order: see the lines with `!`, and `→` below them.")),
    });
    lines.join("\n")
}

fn of(findings: &[Finding], server: Option<&str>, paint: Paint) -> Vec<String> {
    let here = findings.iter().filter(|finding| finding.server.as_deref() == server);
    here.flat_map(|finding| {
        let what = match finding.level {
            Level::Problem => format!("  {} {}", paint.bad("!"), finding.what),
            Level::Note => format!("  {} {}", paint.note("·"), finding.what),
        };
        [what].into_iter().chain(finding.fix.as_ref().map(|fix| format!("    → {fix}")))
    })
    .collect()
}

fn rows(server: &Examined) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let mut add = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    if !server.answered() {
        return rows;
    }
    let until = server.certificate_ends.as_ref().map_or_else(String::new, |ends| format!(", certificate until {ends}"));
    add("tls", Some(server.tls.as_ref().map_or_else(|| "none (tls = \"off\")".into(), |tls| format!("{tls}{until}"))));
    add("version", server.version.as_ref().map(|version| format!("{} {version}", server.flavor)));
    add("role", server.read_only.map(|read_only| if read_only { "read-only" } else { "writable" }.into()));
    let dial = server.dial.unwrap_or_default();
    add("round trip", server.rtt.map(|rtt| format!("{rtt:.1?} (opening a connection took {dial:.0?})")));
    add("gtids", server.gtids.clone());
    let pipelines = |yes| if yes { "yes" } else { "no: everything works, only slower" };
    add("pipelining", server.pipelining.map(|yes| pipelines(yes).into()));
    add("replication", server.replication.as_ref().map(replication));
    let users: Vec<&str> = server.users.iter().filter(|(_, asked)| asked.is_ok()).map(|(user, _)| &**user).collect();
    add("users", (!users.is_empty()).then(|| users.join(", ")));
    rows
}

fn replication(replication: &Replication) -> String {
    match replication {
        Replication::Hidden => "unknown".into(),
        Replication::None => "follows nobody".into(),
        Replication::Follows { receiving, applying, behind } => {
            let behind = behind.as_deref().unwrap_or("?");
            format!("receiving {receiving}, applying {applying}, behind {behind} s")
        }
    }
}

/// For a program: docs/check.md has the fields.
pub(super) fn json(servers: &[Examined], findings: &[Finding]) -> String {
    let ok = findings.iter().all(|finding| finding.level == Level::Note);
    let servers: Vec<Value> = servers.iter().map(server_json).collect();
    let findings: Vec<Value> = findings.iter().map(Finding::to_json).collect();
    format!("{:#}", json!({ "ok": ok, "servers": servers, "findings": findings }))
}

fn server_json(server: &Examined) -> Value {
    let millis = |time: Option<std::time::Duration>| time.map(|time| (time.as_secs_f64() * 1e6).round() / 1e3);
    let user = |(name, asked): &(String, Result<(), String>)| json!({ "name": name, "error": asked.as_ref().err() });
    let replication = match &server.replication {
        Some(Replication::Follows { receiving, applying, behind }) => json!({
            "receiving": receiving == "Yes",
            "applying": applying == "Yes",
            "behind_s": behind.as_ref().and_then(|behind| behind.parse::<u64>().ok()),
        }),
        Some(Replication::Hidden | Replication::None) | None => Value::Null,
    };
    json!({
        "name": server.name,
        "address": server.address,
        "role": server.role.to_string(),
        "answers": server.answered(),
        "flavor": (!server.flavor.is_empty()).then_some(server.flavor),
        "version": server.version,
        "tls": server.tls,
        "certificate_ends": server.certificate_ends,
        "rtt_ms": millis(server.rtt),
        "dial_ms": millis(server.dial),
        "read_only": server.read_only,
        "gtids": server.gtids.as_ref().map(|gtids| gtids == "ON"),
        "pipelining": server.pipelining,
        "replication": replication,
        "variables": server.variables().map(|(name, value)| (name.to_owned(), value.into())).collect::<serde_json::Map<_, Value>>(),
        "users": server.users.iter().map(user).collect::<Vec<_>>(),
    })
}
