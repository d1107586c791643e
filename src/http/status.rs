//! The status page and `/status.json`: one page of three files, compiled in, that asks for nothing from elsewhere.
//!
//! Nobody logs in here. So what is shown in full goes to this machine only, unless the file says otherwise: to peers
//! on loopback that ask for it by an address or as `localhost` (a name may be that of a page elsewhere, whose owner
//! lets it point here), and that do not say that they ask for somebody else.

use super::{Page, State, unready};
use crate::status::{Show, Source};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, VIA,
    X_CONTENT_TYPE_OPTIONS,
};
use std::net::IpAddr;

const HTML: &str = include_str!("page/status.html");
const CSS: &str = include_str!("page/status.css");
const JS: &str = include_str!("page/status.js");
const ICON: &str = include_str!("page/icon.svg");

/// What every file of the page comes with.
static HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    // Another version may answer the next time.
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// The page of a path, for somebody on this machine or elsewhere; `None`: there is none.
pub(super) fn page(state: &State, path: &str, is_here: bool) -> Option<Page> {
    let detail = state.plan.load().show.to(is_here)?;
    let (kind, body) = match path {
        "/" | "/status" => ("text/html; charset=utf-8", Bytes::from_static(HTML.as_bytes())),
        "/status.css" => ("text/css; charset=utf-8", Bytes::from_static(CSS.as_bytes())),
        "/status.js" => ("text/javascript; charset=utf-8", Bytes::from_static(JS.as_bytes())),
        "/status.svg" => ("image/svg+xml", Bytes::from_static(ICON.as_bytes())),
        "/status.json" => {
            let (readings, plan, missing) = (state.metrics.readings(), state.plan.load(), unready(&state.shared));
            let (shared, up) = (&state.shared, state.started.elapsed());
            let report = Source { shared, readings: &readings, plan: &plan, up, missing: &missing }.report(detail);
            match serde_json::to_vec(&report) {
                Ok(body) => ("application/json", body.into()),
                Err(error) => return Some(Page::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
            }
        }
        _ => return None,
    };
    Some(Page { status: StatusCode::OK, kind, body, headers: &HEADERS })
}

/// Whether the file wants no page.
pub(super) fn is_off(state: &State) -> bool {
    state.plan.load().show == Show::Off
}

/// Whether somebody on this machine asks, for himself.
pub(super) fn is_here(peer: IpAddr, headers: &HeaderMap) -> bool {
    let names = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];
    let for_others = [FORWARDED, VIA].into_iter().chain(names.map(HeaderName::from_static));
    let host = headers.get(HOST).map_or(Some("localhost"), |host| host.to_str().ok());
    peer.to_canonical().is_loopback()
        && host.is_some_and(is_no_name)
        && for_others.into_iter().all(|name| !headers.contains_key(name))
}

/// Whether a host with its port is an address, or this machine's own name for itself.
fn is_no_name(host: &str) -> bool {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let name = if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(peer: &str, headers: &[(&'static str, &str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value")));
        is_here(peer.parse().expect("an address"), &headers.collect())
    }

    #[test]
    fn only_who_is_here_is_here() {
        for host in ["127.0.0.1:9306", "localhost:9306", "LOCALHOST", "[::1]:9306", "[::1]", "10.0.0.7:9306"] {
            assert!(asked("127.0.0.1", &[("host", host)]), "{host}");
        }
        assert!(asked("::1", &[]) && asked("::ffff:127.0.0.1", &[]));
        assert!(!asked("10.0.0.7", &[("host", "127.0.0.1:9306")]), "from elsewhere");
        for host in ["rebound.example.com:9306", "rebound.example.com", "localhost.example.com", "::1.example.com", ""]
        {
            assert!(!asked("127.0.0.1", &[("host", host)]), "{host}");
        }
        for header in ["x-forwarded-for", "forwarded", "x-real-ip"] {
            assert!(!asked("127.0.0.1", &[("host", "127.0.0.1"), (header, "10.0.0.7")]), "{header}");
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_makes_no_html_of_text() {
        for file in [HTML, CSS, JS, ICON] {
            let addresses =
                file.split("http").skip(1).filter(|rest| rest.starts_with("://") || rest.starts_with("s://"));
            let foreign: Vec<&str> = addresses.filter(|rest| !rest.starts_with("://www.w3.org/2000/svg")).collect();
            assert!(foreign.is_empty(), "{foreign:?}");
        }
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!JS.contains(forbidden), "{forbidden}");
        }
        for forbidden in ["<style", " style=", " onclick=", "<script>"] {
            assert!(!HTML.contains(forbidden), "{forbidden}: the policy does not allow it");
        }
    }
}
