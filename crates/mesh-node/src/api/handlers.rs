//! Builds the router from the table and answers its calls.
//!
//! Each handler reads bounded input within bounded time, asks the backend, and writes JSON.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts as _, Query, RawPathParams, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::sse::{Event as SentEvent, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, on};
use futures::StreamExt as _;
use mesh_proto::port::user::{ErrorKind, UserError};
use mesh_proto::port::{Event, UserCommand, UserReply};
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};

use super::call::{Answer, Arguments, answer_of, command_of};
use super::guard::{self, Guard};
use super::outcome::Outcome;
use super::routes::{Action, Method, ROUTES, Route};
use super::{Backend, metrics, openapi};

/// The longest body read.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const EVENT_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Names the reply in an answer's head, so that a client needs no guess.
pub(super) const REPLY_HEADER: &str = "mesh-reply";

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Shared {
    /// The node.
    pub backend: Arc<dyn Backend>,
    /// Turns `true` when somebody wants the node to stop, or the server closes.
    pub stop: watch::Sender<bool>,
    /// Calls under way, event streams included.
    pub callers: Arc<AtomicUsize>,
}

/// The router with its guard around everything.
pub(super) fn router(shared: Shared, guard: Guard) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let handler = move |state: State<Shared>, request: Request| answer(route, state, request);
        router = router.route(route.path, on(filter(route.method), handler));
    }
    router
        .method_not_allowed_fallback(|| async { missing(StatusCode::METHOD_NOT_ALLOWED) })
        .fallback(|| async { missing(StatusCode::NOT_FOUND) })
        .layer(axum::middleware::from_fn(no_caching))
        .layer(axum::middleware::from_fn_with_state(guard, guard::layer))
        .with_state(shared)
}

fn filter(method: Method) -> MethodFilter {
    match method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Delete => MethodFilter::DELETE,
    }
}

async fn no_caching(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

fn missing(status: StatusCode) -> Response {
    refusal(status, Outcome::NotFound, "there is no such route", "See /v1/openapi.json for those there are.")
}

/// An error as JSON.
pub(super) fn refusal(status: StatusCode, outcome: Outcome, message: &str, cure: &str) -> Response {
    let error = json!({ "kind": outcome.meaning().name, "message": message, "cure": cure });
    (status, axum::Json(json!({ "error": error }))).into_response()
}

fn failed(error: &UserError) -> Response {
    let outcome = Outcome::from(error.kind);
    refusal(outcome.meaning().status, outcome, &error.message, &error.cure)
}

/// Counts a call for as long as it lives.
struct Caller(Arc<AtomicUsize>);

impl Caller {
    fn new(callers: &Arc<AtomicUsize>) -> Self {
        callers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(callers))
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn answer(route: &'static Route, State(shared): State<Shared>, request: Request) -> Response {
    let caller = Caller::new(&shared.callers);
    match route.action {
        Action::Document => axum::Json(openapi::document()).into_response(),
        Action::Events => events(&shared, caller),
        Action::Stop => {
            shared.stop.send_replace(true);
            answered(Ok(Answer { reply: "done".into(), view: json!({ "done": true }) }))
        }
        Action::Metrics => match shared.backend.request(UserCommand::Status).await {
            UserReply::Status(status) => {
                ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::render(&status)).into_response()
            }
            UserReply::Failed(error) => failed(&error),
            _ => failed(&UserError::new(ErrorKind::Internal, "the node gave no status", "")),
        },
        Action::Command { .. } | Action::Catalogue => match read(request).await {
            Err(response) => response,
            Ok(arguments) => match command_of(route, arguments) {
                Ok(command) => answered(answer_of(shared.backend.request(command).await)),
                Err(error) => failed(&error),
            },
        },
    }
}

fn answered(answer: Result<Answer, UserError>) -> Response {
    match answer {
        Ok(answer) => {
            let name = HeaderValue::from_str(&answer.reply).unwrap_or(HeaderValue::from_static(""));
            ([(REPLY_HEADER, name)], axum::Json(answer.view)).into_response()
        }
        Err(error) => failed(&error),
    }
}

async fn read(request: Request) -> Result<Arguments, Response> {
    let (mut parts, body) = request.into_parts();
    let path = path_arguments(&mut parts).await?;
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(|error| error.into_response())?.0;
    let body = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_BYTES_MAX)).await;
    match body {
        Ok(Ok(body)) => Ok(Arguments { path, query, body: body.into() }),
        Ok(Err(_)) => {
            Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, Outcome::Usage, "the body is too long or broke off", ""))
        }
        Err(_) => Err(refusal(StatusCode::REQUEST_TIMEOUT, Outcome::Usage, "the body took too long", "")),
    }
}

async fn path_arguments(parts: &mut Parts) -> Result<Vec<(String, String)>, Response> {
    let arguments = RawPathParams::from_request_parts(parts, &()).await.map_err(|error| error.into_response())?;
    Ok(arguments.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

struct Listener {
    events: broadcast::Receiver<Event>,
    stop: watch::Receiver<bool>,
    _caller: Caller,
}

/// Events until the caller leaves or the server closes. A caller too slow is told how many it missed.
fn events(shared: &Shared, caller: Caller) -> Response {
    let listener = Listener { events: shared.backend.events(), stop: shared.stop.subscribe(), _caller: caller };
    let stream = futures::stream::unfold(listener, |mut listener| async move {
        let received = tokio::select! {
            _ = listener.stop.wait_for(|stop| *stop) => return None,
            received = listener.events.recv() => received,
        };
        let sent = match received {
            Ok(event) => sent_event(&event),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                SentEvent::default().event("lagged").data(json!({ "event": "lagged", "missed": missed }).to_string())
            }
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        Some((sent, listener))
    });
    let stream = stream.map(Ok::<_, Infallible>);
    // The first comment tells the caller that from here on it misses nothing.
    let hello = futures::stream::iter([Ok::<_, Infallible>(SentEvent::default().comment("listening"))]);
    Sse::new(hello.chain(stream)).keep_alive(KeepAlive::new().interval(EVENT_KEEP_ALIVE)).into_response()
}

fn sent_event(event: &Event) -> SentEvent {
    let value = serde_json::to_value(event).unwrap_or(Value::Null);
    let name = value.get("event").and_then(Value::as_str).unwrap_or("unknown").to_owned();
    SentEvent::default().event(name).data(value.to_string())
}
