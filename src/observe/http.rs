//! The listener of `http_listen`, read-only.
//!
//! | path | says |
//! |---|---|
//! | `/livez` | the firing loop makes progress, on standbys too; nothing about servers |
//! | `/readyz` | the schedule is loaded and the store answers: it leads, or can be elected |
//! | `/metrics` | for Prometheus |
//! | `/status.json` | the same as `beat status --format json` |
//! | `/` | the same for people |
//!
//! It has a thread and a runtime of its own: whatever is asked of it does not hold up the firing
//! loop, which shares nothing with it but the processors. A connection is for one request and
//! short-lived.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::metrics;
use super::page;
use super::status;
use super::stream::stream;
use super::viewer::{Depth, Viewer};
use crate::clock::{Clock, SystemClock};

/// Connections at a time; further ones are closed at once.
const CONNECTIONS: usize = 64;
/// Longest target of a request, bytes.
const TARGET: usize = 4 << 10;
/// Most bytes of headers, and most headers.
const HEADERS: usize = 8 << 10;
const HEADER_COUNT: usize = 64;
/// Longest wait for the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Longest life of a connection, answer included.
const LIFE: Duration = Duration::from_secs(10);
/// Threads that write long answers.
const WRITERS: usize = 4;

/// Binds the address, so that one in use is found out before anything else begins.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("http_listen {address}: {error}")))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves what `viewer` sees, for as long as the process lives.
pub fn serve(listener: TcpListener, viewer: Viewer) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(WRITERS)
        .thread_name("http-writer")
        .build()?;
    let serve = move || runtime.block_on(accept(listener, router(Arc::new(viewer))));
    std::thread::Builder::new()
        .name("http".to_owned())
        .spawn(serve)
        .map(drop)
}

async fn accept(listener: TcpListener, router: Router) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(event = "http_failed", %error, "the listener cannot be used");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut failing = false;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, as a rule: it passes.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(event = "http_failed", %error, "no connection is accepted");
                }
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        failing = false;
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let connection = connection(stream, router.clone());
        // A panic ends this task and nothing else.
        tokio::spawn(async move {
            let _ = timeout(LIFE, connection).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .keep_alive(false)
        .max_buf_size(TARGET + HEADERS)
        .max_headers(HEADER_COUNT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Whoever hangs up early is not worth a word.
    let _ = served.await;
}

fn router(viewer: Arc<Viewer>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(show_metrics))
        .route("/status.json", get(show_status))
        .route("/", get(show_page))
        .with_state(viewer)
        .layer(from_fn(guard))
}

/// Refuses what no reader sends, and marks every answer as not to be kept or guessed at.
async fn guard(request: Request, next: Next) -> Response {
    let target = request.uri();
    let length = |headers: &HeaderMap| -> usize {
        let sizes = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len());
        sizes.sum()
    };
    let mut response = if target.scheme().is_some() || target.authority().is_some() {
        StatusCode::BAD_REQUEST.into_response()
    } else if !request.body().is_end_stream() {
        StatusCode::PAYLOAD_TOO_LARGE.into_response()
    } else if target
        .path_and_query()
        .is_some_and(|target| target.as_str().len() > TARGET)
    {
        StatusCode::URI_TOO_LONG.into_response()
    } else if length(request.headers()) > HEADERS {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(CACHE_CONTROL, "no-store");
    set(REFERRER_POLICY, "no-referrer");
    set(
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    );
    response
}

async fn livez(State(viewer): State<Arc<Viewer>>) -> Response {
    let boot = SystemClock.boot();
    let pulse = &viewer.facts.pulse;
    let (status, word) = if pulse.is_alive(boot) {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stalled")
    };
    let since = pulse.age(boot).as_millis();
    let body = format!("{{\"status\":\"{word}\",\"loop_seen_ms_ago\":{since}}}\n");
    json(status, body)
}

async fn readyz(State(viewer): State<Arc<Viewer>>) -> Response {
    let facts = &viewer.facts;
    let role = if facts.leads() { "leader" } else { "standby" };
    let (status, word) = match (facts.is_ready(), facts.store_up()) {
        (true, _) => (StatusCode::OK, "ready"),
        (false, None) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the store has not answered yet",
        ),
        (false, Some(false)) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer"),
        (false, Some(true)) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    let body = format!("{{\"status\":\"{word}\",\"role\":\"{role}\"}}\n");
    json(status, body)
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn show_metrics(State(viewer): State<Arc<Viewer>>) -> Response {
    let view = viewer.look(Depth::Overview).await;
    let body = stream(move |out| metrics::write(&view, &viewer.facts, SystemClock.boot(), out));
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], body).into_response()
}

async fn show_status(State(viewer): State<Arc<Viewer>>) -> Response {
    let view = viewer.look(Depth::Entries).await;
    let body = stream(move |out| status::write(&view, false, out));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn show_page(State(viewer): State<Arc<Viewer>>, RawQuery(query): RawQuery) -> Response {
    let view = viewer.look(Depth::Entries).await;
    let asked = page::Asked::of(query.as_deref().unwrap_or_default());
    let nonce = Uuid::new_v4().simple().to_string();
    // Only what this very page brings along runs, and it can talk to nobody else.
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let body = stream(move |out| {
        let timeline = viewer.timeline(&view);
        page::write(&view, &timeline, &asked, &nonce, out)
    });
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
    ];
    (headers, body).into_response()
}
