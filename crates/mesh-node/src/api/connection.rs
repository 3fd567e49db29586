//! Serves accepted connections: bounded in number, in header time, and cut when the server closes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections served at once; more wait.
const CONNECTIONS_MAX: usize = 64;
/// How long a request's head may take to come.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest head in all.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// How long calls under way may go on once the server closes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// After an accept failed, as when file handles run out.
const ACCEPT_DELAY: Duration = Duration::from_millis(100);

/// Serves until `closing` turns true, then lets calls under way end for a moment.
pub(super) async fn serve(listener: TcpListener, router: Router, mut closing: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = closing.wait_for(|closing| *closing) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept(&listener, &permits) => accepted,
        };
        let Some((stream, permit)) = accepted else { continue };
        let (router, closing) = (router.clone(), closing.clone());
        connections.spawn(async move {
            serve_one(stream, router, closing).await;
            drop(permit);
        });
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(CLOSE_TIMEOUT, ended).await.is_err() {
        connections.shutdown().await;
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            tracing::debug!(%error, "the control API can't accept a connection");
            tokio::time::sleep(ACCEPT_DELAY).await;
            None
        }
    }
}

async fn serve_one(stream: TcpStream, router: Router, mut closing: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let closed = async { drop(closing.wait_for(|closing| *closing).await) };
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = closed => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::trace!(%error, "a control connection ended");
    }
}
