//! The API's server: binds a free loopback port, says where in the data folder, serves until closed.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Backend;
use super::connection::{self, Desk};
use super::guard::Guard;
use super::handlers::{Shared, router};
use super::refusals::Refusals;
use crate::data_folder::{FolderError, clear_api_address, write_api_address};

/// Why the API can't be served. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// It would be reachable from outside.
    #[error("the control API must listen on a loopback address, {address} is none")]
    NotLoopback {
        /// What was asked.
        address: SocketAddr,
    },
    /// No port of the loopback interface can be had.
    #[error("the control API can't listen: {0}")]
    Bind(#[source] io::Error),
    /// The token is missing or can't be read.
    #[error("the control API's token in {path} can't be read: {source}")]
    Token {
        /// Where it should be.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The address can't be written down.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// A running server. Close it with [`Server::close`] before the node stops.
pub struct Server {
    address: SocketAddr,
    data_folder: PathBuf,
    stop: watch::Sender<bool>,
    closing: watch::Sender<bool>,
    callers: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves `backend` at `listen` (a loopback address; port 0 = any) and writes the address into the data folder,
    /// whose token callers must show.
    ///
    /// # Errors
    /// [`ServerError`]; nothing is served then.
    pub async fn start(backend: Arc<dyn Backend>, data_folder: &Path, listen: SocketAddr) -> Result<Self, ServerError> {
        if !listen.ip().is_loopback() {
            return Err(ServerError::NotLoopback { address: listen });
        }
        let path = data_folder.join("api.token");
        let token = std::fs::read_to_string(&path);
        let token = token.and_then(|token| match token.trim() {
            "" => Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty")),
            token => Ok(token.to_owned()),
        });
        let token = token.map_err(|source| ServerError::Token { path, source })?;
        let listener = TcpListener::bind(listen).await.map_err(ServerError::Bind)?;
        let address = listener.local_addr().map_err(ServerError::Bind)?;
        write_api_address(data_folder, address)?;
        let (stop, closing, callers) = (watch::Sender::new(false), watch::Sender::new(false), Arc::default());
        let refusals = Arc::<Refusals>::default();
        let shared = Shared::new(backend, stop.clone(), Arc::clone(&callers), Arc::clone(&refusals));
        let router = router(shared, Guard::new(&token, address));
        let desk = Desk { router, refusals, closing: closing.subscribe() };
        let task = tokio::spawn(connection::serve(listener, desk));
        tracing::debug!(%address, "the control API listens");
        Ok(Self { address, data_folder: data_folder.to_owned(), stop, closing, callers, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls under way, event streams included.
    #[must_use]
    pub fn callers(&self) -> usize {
        self.callers.load(Ordering::Relaxed)
    }

    /// Waits until a caller asks the node to stop.
    pub async fn stop_asked(&self) {
        let mut stop = self.stop.subscribe();
        // The sender lives in `self`: an error can't be.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// Takes the address back, ends event streams, lets calls under way end for a moment.
    pub async fn close(self) {
        clear_api_address(&self.data_folder);
        self.stop.send_replace(true);
        self.closing.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the control API ended badly");
        }
    }
}
