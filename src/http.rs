//! The HTTP port: `/metrics`, `/healthz`, `/readyz`.

use crate::frontend::shared::Shared;
use crate::metrics::Metrics;
use crate::net::shutter::Shutter;
use crate::topology::Health;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the pages show.
#[derive(Debug, Clone)]
pub struct State {
    /// Servers, pools, clients.
    pub shared: Arc<Shared>,
    /// Counters.
    pub metrics: Metrics,
}

/// Pause after the system refused a connection, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, as long as the shutter is open.
pub async fn serve(listener: TcpListener, state: State, (shutter, stop): (Shutter, CancellationToken)) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = shutter.pass(|| listener.accept()) => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (state, stop) = (state.clone(), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let state = state.clone();
                async move { Ok::<_, Infallible>(answer(&state, &request)) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                // A browser that goes away is not worth a word.
                _ = connection => {}
            }
        });
    }
}

fn answer(state: &State, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => metrics(state),
        (&Method::GET | &Method::HEAD, "/healthz") => (StatusCode::OK, TEXT, b"ok\n".to_vec()),
        (&Method::GET | &Method::HEAD, "/readyz") => readiness(&state.shared),
        (&Method::GET | &Method::HEAD, "/") => {
            (StatusCode::OK, TEXT, b"Landbridge: /metrics /healthz /readyz\n".to_vec())
        }
        _ => (StatusCode::NOT_FOUND, TEXT, b"not here: try /metrics /healthz /readyz\n".to_vec()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

const TEXT: &str = "text/plain; charset=utf-8";

type Page = (StatusCode, &'static str, Vec<u8>);

fn metrics(state: &State) -> Page {
    state.shared.publish(&state.metrics);
    state.metrics.server.ready.set(unready(&state.shared).is_empty().into());
    match state.metrics.render() {
        Ok(text) => (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, TEXT, error.to_string().into_bytes()),
    }
}

fn readiness(shared: &Shared) -> Page {
    if shared.drain.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, TEXT, b"draining\n".to_vec());
    }
    let missing = unready(shared);
    if missing.is_empty() {
        return (StatusCode::OK, TEXT, b"ready\n".to_vec());
    }
    (StatusCode::SERVICE_UNAVAILABLE, TEXT, missing.into_bytes())
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
            let (name, user) = (&pool.server().name, &pool.account().user);
            let _infallible = writeln!(missing, "connections to {name} as {user} are still being opened");
        }
    }
    missing
}
