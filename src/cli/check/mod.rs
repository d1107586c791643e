//! `landbridge check`: dials every server and says what was found, what is missing, and what to type.

mod compare;
mod examine;
mod finding;
mod here;
mod show;

use super::paint::Paint;
use super::{complain, print, runtime};
use crate::app;
use crate::config::Settings;
use crate::net::names::Resolver;
use finding::{Finding, Level};
use std::process::ExitCode;

/// Checks all servers; 0 when nothing is wrong.
pub(super) fn check(settings: &Settings, as_json: bool) -> ExitCode {
    let servers = match app::servers(settings, &Resolver::System) {
        Ok(servers) => servers,
        Err(error) => {
            complain(&format!("landbridge: {error:#}"));
            return ExitCode::from(2);
        }
    };
    let warnings = settings.warnings.iter().map(|warning| Finding::note(warning.to_string()));
    let mut findings: Vec<Finding> = warnings.chain(here::findings(settings)).collect();
    let heartbeat = app::heartbeat(settings);
    let examined = runtime().map(|runtime| {
        runtime.block_on(async {
            let mut examined = Vec::new();
            for (server, planned) in servers.iter().zip(&settings.servers) {
                examined.push(examine::examine(server, planned.role, settings, heartbeat.as_ref()).await);
            }
            examined
        })
    });
    let examined = match examined {
        Ok(examined) => examined,
        Err(error) => {
            complain(&format!("landbridge: {error:#}"));
            return ExitCode::FAILURE;
        }
    };
    for server in &examined {
        findings.extend(server.findings.iter().map(|finding| finding.clone().at(&server.name)));
    }
    findings.extend(compare::differences(&examined, settings));
    print(&if as_json {
        show::json(&examined, &findings)
    } else {
        show::text(&examined, &findings, Paint::of(&std::io::stdout()))
    });
    let is_fine = findings.iter().all(|finding| finding.level == Level::Note);
    if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
