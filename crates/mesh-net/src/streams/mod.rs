//! Opens and accepts streams on connections, and loses none.
//!
//! An [`Opener`] asks one connection for a stream; requests queue with a timeout and are retried. Streams a peer opens
//! queue too; at the limit they are reset, which tells the peer "busy" at once, and never dropped in silence.

mod behaviour;
mod handler;
#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use libp2p::{Stream, StreamProtocol};
use tokio::sync::{mpsc, oneshot};

pub(crate) use behaviour::{Behaviour, Inbound};

/// Streams a peer opened that wait to be taken; a connection may not even have so many.
pub(super) const INBOUND_QUEUE_MAX: usize = 256;
/// Requests for streams that wait on one connection.
pub(super) const OPEN_QUEUE_MAX: usize = 256;
/// Streams of one connection in negotiation at once; more wait their turn.
pub(super) const OPENS_AT_ONCE_MAX: usize = 32;
/// How long one negotiation may take.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a stream is asked for before its opener is told.
pub(super) const OPEN_ATTEMPTS_MAX: u32 = 3;
/// The wait before the second attempt; each further one doubles it.
pub(super) const OPEN_RETRY_DELAY: Duration = Duration::from_millis(200);

/// The protocols a connection speaks, as the stream behaviour offers them.
pub(crate) const CONTROL: StreamProtocol = StreamProtocol::new(mesh_proto::message::CONTROL_PROTOCOL);
/// The payload protocol.
pub(crate) const BULK: StreamProtocol = StreamProtocol::new(mesh_proto::bulk::BULK_PROTOCOL);
/// The probe's protocol: 32 bytes there and back.
pub(crate) const PROBE: StreamProtocol = StreamProtocol::new("/ipfs/ping/1.0.0");

/// Why a stream was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the peer does not speak this protocol")]
    Unsupported,
    #[error("the stream could not be opened: {0}")]
    Failed(String),
    #[error("the connection ended")]
    Gone,
}

/// One wish for a stream, on its way through a connection's handler.
#[derive(Debug)]
pub(crate) struct OpenRequest {
    pub(super) protocol: StreamProtocol,
    pub(super) attempts: u32,
    pub(super) answer: oneshot::Sender<Result<Stream, OpenError>>,
}

/// Opens streams on one connection.
#[derive(Debug, Clone)]
pub(crate) struct Opener {
    pub(super) requests: mpsc::Sender<OpenRequest>,
}

impl Opener {
    /// Opens a stream, waiting its turn.
    pub(crate) async fn open(&self, protocol: StreamProtocol) -> Result<Stream, OpenError> {
        let (answer, answered) = oneshot::channel();
        let request = OpenRequest { protocol, attempts: 0, answer };
        self.requests.send(request).await.map_err(|_| OpenError::Gone)?;
        answered.await.unwrap_or(Err(OpenError::Gone))
    }
}
