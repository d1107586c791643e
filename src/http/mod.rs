//! The HTTP listener: the status page, `/status.json`, `/metrics` for Prometheus, `/healthz` and `/readyz`.
//!
//! Healthy means that the process lives. Ready means that every pool of every server that answers
//! is warm, so that no request pays a handshake. `status` has the page and says who may see what of it.

mod ready;
mod status;

pub use ready::unready;

use crate::frontend::listener::{ACCEPT_PAUSE, Listener};
use crate::frontend::shared::Shared;
use crate::metrics::Metrics;
use crate::net::shutter::Shutter;
use crate::net::stream::Socket;
use crate::status::Plan;
use arc_swap::ArcSwap;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What the pages show.
#[derive(Debug, Clone)]
pub struct State {
    /// Servers, pools, clients.
    pub shared: Arc<Shared>,
    /// Counters.
    pub metrics: Metrics,
    /// What the file says of the status page.
    pub plan: Arc<ArcSwap<Plan>>,
    /// Since when the process runs.
    pub started: Instant,
}

/// So many are served at a time: what is shown here must not take descriptors from clients of MySQL.
const MOST_CONNECTIONS: usize = 64;
/// So long a connection may wait for a request, or stop in the middle of one.
const PATIENCE: Duration = Duration::from_secs(20);
/// So long one lives; whoever goes on asking comes again.
const LONGEST_CONNECTION: Duration = Duration::from_secs(600);

/// Serves until `stop`, as long as the shutter is open.
pub async fn serve(listener: Listener, state: State, (shutter, stop): (Shutter, CancellationToken)) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let place = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // Nobody closes it.
            Ok(place) = places.clone().acquire_owned() => place,
        };
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = shutter.pass(|opening| listener.accept(opening)) => accepted,
        };
        let Ok((Socket::Tcp(stream), _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // It may have gone already.
        let Ok(peer) = stream.peer_addr() else { continue };
        let (state, stop) = (state.clone(), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let state = state.clone();
                async move { Ok::<_, Infallible>(answer(&state, &request, peer.ip())) }
            });
            let _place = place;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                // A browser that goes away is not worth a word.
                _ = tokio::time::timeout(LONGEST_CONNECTION, connection) => {}
            }
        });
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

/// An answer, before it is one of HTTP.
#[derive(Debug)]
struct Page {
    status: StatusCode,
    kind: &'static str,
    body: Bytes,
    headers: &'static [(HeaderName, HeaderValue)],
}

impl Page {
    fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, kind: TEXT, body: body.into(), headers: &[] }
    }
}

fn answer(state: &State, request: &Request<Incoming>, peer: IpAddr) -> Response<Full<Bytes>> {
    let page = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => metrics(state),
        (&Method::GET | &Method::HEAD, "/healthz") => Page::text(StatusCode::OK, "ok\n"),
        (&Method::GET | &Method::HEAD, "/readyz") => ready::page(&state.shared),
        (&Method::GET | &Method::HEAD, path) => {
            status::page(state, path, status::is_here(peer, request.headers())).unwrap_or_else(|| nothing(state, path))
        }
        _ => Page::text(StatusCode::METHOD_NOT_ALLOWED, "pages here can only be read: GET or HEAD\n"),
    };
    let mut response = Response::new(Full::new(page.body));
    *response.status_mut() = page.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(page.kind));
    headers.extend(page.headers.iter().cloned());
    response
}

fn nothing(state: &State, path: &str) -> Page {
    match (status::is_off(state), path) {
        (true, "/") => Page::text(StatusCode::OK, "Landbridge: /metrics /healthz /readyz\n"),
        (true, _) => Page::text(StatusCode::NOT_FOUND, "not here: try /metrics /healthz /readyz\n"),
        (false, _) => Page::text(StatusCode::NOT_FOUND, "not here: try / /status.json /metrics /healthz /readyz\n"),
    }
}

fn metrics(state: &State) -> Page {
    let publish = |metrics: &Metrics| {
        state.shared.publish(metrics);
        metrics.server.ready.set(unready(&state.shared).is_empty().into());
    };
    match state.metrics.look(publish) {
        Ok(text) => Page { kind: "text/plain; version=0.0.4; charset=utf-8", ..Page::text(StatusCode::OK, text) },
        Err(error) => Page::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
