//! Builds the router from the table and answers its calls.
//!
//! Each handler reads bounded input within bounded time, asks the backend, and writes JSON. All it needs for that lies
//! behind the guard.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequestParts as _, Query, RawPathParams, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::sse::{Event as SentEvent, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, on};
use futures::StreamExt as _;
use hyper::body::{Frame, SizeHint};
use mesh_proto::port::user::{ErrorKind, UserError};
use mesh_proto::port::{Event, UserCommand, UserReply};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};

use super::call::{Answer, Arguments, answer_of, command_of};
use super::guard::{self, Admitted, Guard, Guarded};
use super::outcome::Outcome;
use super::refusals::Refusals;
use super::routes::{Action, Method, ROUTES, Route};
use super::{Backend, metrics, openapi};

/// The longest body read.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Event streams open at once; they last, so others need places besides.
const EVENT_STREAMS_MAX: usize = 64;
const EVENT_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Names the reply in an answer's head, so that a client needs no guess.
pub(super) const REPLY_HEADER: &str = "mesh-reply";

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Shared {
    backend: Arc<dyn Backend>,
    /// Turns `true` when somebody wants the node to stop, or the server closes.
    stop: watch::Sender<bool>,
    /// Calls under way, event streams included.
    callers: Arc<AtomicUsize>,
    refusals: Arc<Refusals>,
    event_streams: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn new(
        backend: Arc<dyn Backend>,
        stop: watch::Sender<bool>,
        callers: Arc<AtomicUsize>,
        refusals: Arc<Refusals>,
    ) -> Self {
        let event_streams = Arc::new(Semaphore::new(EVENT_STREAMS_MAX));
        Self { backend, stop, callers, refusals, event_streams }
    }
}

/// The router with its guard around everything.
pub(super) fn router(shared: Shared, guard: Guard) -> Router {
    let refusals = Arc::clone(&shared.refusals);
    let mut router = Router::new();
    for route in ROUTES {
        let handler = move |State(shared): State<Guarded<Shared>>, admitted: Admitted, request: Request| async move {
            let caller = Caller::new(&shared.open(&admitted).callers);
            let response = answer(route, shared.open(&admitted), request).await;
            response.map(|body| Body::new(Held { body, _caller: caller, _admitted: admitted }))
        };
        router = router.route(route.path, on(filter(route.method), handler));
    }
    router
        .method_not_allowed_fallback(|| async { missing(StatusCode::METHOD_NOT_ALLOWED) })
        .fallback(|| async { missing(StatusCode::NOT_FOUND) })
        .layer(axum::middleware::from_fn(no_caching))
        .layer(axum::middleware::from_fn_with_state((guard, refusals), guard::layer))
        .with_state(Guarded::new(shared))
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

/// A body that counts as a call until it is written.
struct Held {
    body: Body,
    _caller: Caller,
    _admitted: Admitted,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

async fn answer(route: &'static Route, shared: &Shared, request: Request) -> Response {
    match route.action {
        Action::Document => axum::Json(openapi::document()).into_response(),
        Action::Events => events(shared),
        Action::Stop => {
            shared.stop.send_replace(true);
            answered(Ok(Answer { reply: "done".into(), view: json!({ "done": true }) }))
        }
        Action::Metrics => match shared.backend.request(UserCommand::Status).await {
            UserReply::Status(status) => {
                let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
                ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::render(&status, tasks)).into_response()
            }
            UserReply::Failed(error) => failed(&error),
            _ => failed(&UserError::new(ErrorKind::Internal, "the node gave no status", "")),
        },
        Action::Command { .. } | Action::Catalogue => match read(request, &shared.refusals).await {
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

async fn read(request: Request, refusals: &Refusals) -> Result<Arguments, Response> {
    let (mut parts, body) = request.into_parts();
    let path = path_arguments(&mut parts).await?;
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(|_| unreadable())?.0;
    let body = match body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        // It says itself that it is too long, and need not come.
        true => Ok(None),
        false => tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_BYTES_MAX)).await.map(Result::ok),
    };
    let (status, why) = match body {
        Ok(Some(body)) => return Ok(Arguments { path, query, body: body.into() }),
        Ok(None) => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long or broke off"),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the body took too long"),
    };
    refusals.note(why);
    Err(refusal(status, Outcome::Usage, why, ""))
}

async fn path_arguments(parts: &mut Parts) -> Result<Vec<(String, String)>, Response> {
    let arguments = RawPathParams::from_request_parts(parts, &()).await.map_err(|_| unreadable())?;
    Ok(arguments.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn unreadable() -> Response {
    refusal(StatusCode::BAD_REQUEST, Outcome::Usage, "path or query can't be read", "They are UTF-8, percent-encoded.")
}

struct Listener {
    events: broadcast::Receiver<Event>,
    stop: watch::Receiver<bool>,
    _stream: OwnedSemaphorePermit,
}

/// Events until the caller leaves or the server closes. A caller too slow is told how many it missed.
fn events(shared: &Shared) -> Response {
    let Ok(permit) = Arc::clone(&shared.event_streams).try_acquire_owned() else {
        let why = "too many event streams are open";
        shared.refusals.note(why);
        return refusal(StatusCode::SERVICE_UNAVAILABLE, Outcome::Unavailable, why, "Close one that is not needed.");
    };
    let listener = Listener { events: shared.backend.events(), stop: shared.stop.subscribe(), _stream: permit };
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
