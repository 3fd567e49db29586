//! Serves accepted connections: bounded in number, in the time of a head and of a reader, and cut when the server closes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::patient::Patient;
use super::places::{Place, Places};
use super::refusals::Refusals;

/// How long a request's head may take to come.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest head in all, or a little more: what came in one go is read as a whole.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// How long calls under way may go on once the server closes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// After an accept failed, as when file handles run out.
const ACCEPT_DELAY: Duration = Duration::from_millis(100);

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Desk {
    pub router: Router,
    pub refusals: Arc<Refusals>,
    pub closing: watch::Receiver<bool>,
}

/// Serves until the desk closes, then lets calls under way end for a moment.
pub(super) async fn serve(listener: TcpListener, desk: Desk) {
    let mut closing = desk.closing.clone();
    let mut connections = JoinSet::new();
    let (mut places, mut newcomer) = (Places::default(), None);
    loop {
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = accept(&listener), if newcomer.is_none() => newcomer = accepted,
            () = places.room(), if newcomer.is_some() => if let Some(stream) = newcomer.take() {
                connections.spawn(serve_one(stream, places.take(), desk.clone()));
            },
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(CLOSE_TIMEOUT, ended).await.is_err() {
        connections.shutdown().await;
    }
}

async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            tracing::debug!(%error, "the control API can't accept a connection");
            tokio::time::sleep(ACCEPT_DELAY).await;
            None
        }
    }
}

async fn serve_one(stream: TcpStream, place: Arc<Place>, desk: Desk) {
    let Desk { router, refusals, mut closing } = desk;
    let (inner, own) = (TowerToHyperService::new(router), Arc::clone(&place));
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&own));
        inner.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream)), service);
    let mut connection = std::pin::pin!(connection);
    let closed = async { drop(closing.wait_for(|closing| *closing).await) };
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = place.cut() => return refusals.note("all connections were taken, and the oldest without a call had to go"),
        () = closed => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    let Err(error) = result else { return };
    tracing::trace!(%error, "a control connection ended");
    if error.is_parse() {
        refusals.note("what came is not HTTP, or too much of it");
    } else if error.is_timeout() && !place.was_admitted() {
        // Who has called before may keep its connection in hand for a while.
        refusals.note("no call came for too long");
    }
}
