//! `/readyz`: whether everything is warm.

use super::Page;
use crate::frontend::shared::Shared;
use crate::topology::Health;
use hyper::StatusCode;
use std::fmt::Write;

pub(super) fn page(shared: &Shared) -> Page {
    if shared.drain.is_cancelled() {
        return Page::text(StatusCode::SERVICE_UNAVAILABLE, "draining\n");
    }
    let missing = unready(shared);
    if missing.is_empty() {
        return Page::text(StatusCode::OK, "ready\n");
    }
    Page::text(StatusCode::SERVICE_UNAVAILABLE, missing)
}

/// What is missing until every pool that is kept warm for listed users, at every server that answers, is
/// warm; empty when nothing is.
pub fn unready(shared: &Shared) -> String {
    let snapshot = shared.snapshot();
    // Writing to a String cannot fail.
    let mut missing = String::new();
    if !snapshot.servers.iter().any(|server| server.health == Health::Up) {
        missing.push_str("no server answers yet\n");
    }
    for server in snapshot.servers.iter().filter(|server| server.health == Health::Unknown) {
        let _infallible = writeln!(missing, "{} has not been asked yet", server.name);
    }
    for pool in shared.pools.listed() {
        let usable = snapshot.server(pool.server().id).is_some_and(|server| server.health == Health::Up);
        if usable && !pool.is_warm() {
            // Without its user: anybody may ask.
            let line = format!("connections to {} are still being opened\n", pool.server().name);
            if !missing.contains(&line) {
                missing.push_str(&line);
            }
        }
    }
    missing
}
