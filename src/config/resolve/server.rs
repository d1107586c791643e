//! `[[server]]`: each server, then what they must be together.

use std::time::Duration;

use super::listen::Listening;
use super::{Value, name, region_name, server_tls};
use crate::config::address::ServerAddress;
use crate::config::document::{Document, Found, Spot};
use crate::config::fault::Problem;
use crate::config::reader::Section;
use crate::config::settings::{Role, Server, ServerTls};

const NAME_FIX: &str = "give it a name for logs and metrics, such as name = \"primary\"";
const ADDRESS_FIX: &str = "write where it is, such as address = \"db.example.com:3306\"";
const ROLE_FIX: &str = "write role = \"primary\", \"replica\" or \"auto\" (discovered)";

/// Most a weight can be: as fine as a rollout needs.
const LARGEST_WEIGHT: u32 = 10_000;

/// A server as far as it could be read, so that one fault does not hide the next.
struct Draft {
    header: Spot,
    name: Option<Found<String>>,
    address: Option<Found<ServerAddress>>,
    role: Option<Found<Role>>,
    region: Option<String>,
    weight: u32,
    max_lag: Duration,
    tls: ServerTls,
}

/// Reads every server; `None` if one of them is incomplete.
pub(super) fn read(root: &mut Section<'_, '_>, max_lag: Duration, listening: &[Listening]) -> Option<Vec<Server>> {
    let document = root.document();
    let is_written = root.has("server");
    let sections = root.sections("server");
    if sections.is_empty() && !is_written {
        let spot = Spot { place: "[[server]]".to_owned(), ..root.absent("server") };
        document.fault(&spot, Problem::new("no server is listed", "add one with name, address and role"));
    }
    let drafts: Vec<Draft> = sections.into_iter().map(|section| draft(section, max_lag)).collect();
    report_duplicates(document, &drafts);
    report_roles(document, &drafts);
    report_loops(document, &drafts, listening);
    drafts.into_iter().map(complete).collect()
}

fn draft(mut section: Section<'_, '_>, max_lag: Duration) -> Draft {
    section.require("name", NAME_FIX);
    section.require("address", ADDRESS_FIX);
    section.require("role", ROLE_FIX);
    let name = section.parsed("name", "write it in quotes", |text| name(text, 64));
    let address = section.parsed("address", ADDRESS_FIX, ServerAddress::parse);
    let role = section.word("role", Role::WORDS);
    let region = section.parsed("region", "write it in quotes", region_name);
    let weight = section.count("weight", 0..=LARGEST_WEIGHT);
    let own_max_lag = section.positive("max_lag");
    let tls = server_tls::read(&mut section, address.as_ref().map(|found| &found.value));
    let header = section.header().clone();
    section.finish();
    Draft {
        header,
        name,
        address,
        role,
        region: region.value(),
        weight: weight.or_default_of(1),
        max_lag: own_max_lag.or_default_of(max_lag),
        tls,
    }
}

fn complete(draft: Draft) -> Option<Server> {
    Some(Server {
        name: draft.name.value()?,
        address: draft.address.value()?,
        role: draft.role.value()?,
        region: draft.region,
        weight: draft.weight,
        max_lag: draft.max_lag,
        tls: draft.tls,
    })
}

fn report_duplicates(document: &Document<'_>, drafts: &[Draft]) {
    let names = drafts.iter().filter_map(|draft| draft.name.as_ref());
    report_repeated(document, names, "name", "choose another name");
    let addresses = drafts.iter().filter_map(|draft| draft.address.as_ref());
    report_repeated(document, addresses, "address", "list each server once");
}

/// Reports each value that an earlier entry has as well.
pub(super) fn report_repeated<'f, T: PartialEq + 'f>(
    document: &Document<'_>,
    found: impl Iterator<Item = &'f Found<T>>,
    what: &str,
    fix: &'static str,
) {
    let mut seen: Vec<&Found<T>> = Vec::new();
    for here in found {
        match seen.iter().find(|earlier| earlier.value == here.value) {
            Some(earlier) => {
                let message = format!("the same {what} as {}", earlier.spot.line());
                document.fault(&here.spot, Problem::new(message, fix));
            }
            None => seen.push(here),
        }
    }
}

/// Something must take writes, and only one server may be said to.
fn report_roles(document: &Document<'_>, drafts: &[Draft]) {
    let roles: Vec<_> = drafts.iter().filter_map(|draft| draft.role.as_ref()).collect();
    let mut primaries = roles.iter().filter(|role| role.value == Role::Primary);
    if let Some(first) = primaries.next() {
        for second in primaries {
            let problem = Problem::new(
                format!("there is a primary already {}", first.spot.line()),
                "write role = \"auto\" at both: then it is discovered which one takes writes",
            );
            document.fault(&second.spot, problem);
        }
    }
    let only_replicas = roles.iter().all(|role| role.value == Role::Replica);
    if let Some(first) = drafts.first()
        && roles.len() == drafts.len()
        && only_replicas
    {
        let problem = Problem::new(
            "no server takes writes: every role is \"replica\"",
            "add the primary, or write role = \"auto\" where one may become it",
        );
        document.fault(&first.header, problem);
    }
}

/// A server at an address Landbridge listens on would be Landbridge itself.
fn report_loops(document: &Document<'_>, drafts: &[Draft], listening: &[Listening]) {
    for address in drafts.iter().filter_map(|draft| draft.address.as_ref()) {
        let here = listening.iter().find(|here| here.address.is_reached_by(&address.value));
        if let Some(here) = here {
            let problem = Problem::new(
                format!("Landbridge itself listens there ([listen] {}, {})", here.key, here.spot.line()),
                "write the address of the server, or listen on another port",
            );
            document.fault(&address.spot, problem);
        }
    }
}
