//! Opens and accepts streams on connections, and loses none.
//!
//! An [`Opener`] asks one connection for a stream; requests queue, are retried, and are given up when nothing comes from
//! the peer. Each byte on a stream of ours counts as a sign of life of its connection. Streams a peer opens queue too; at the limit they are reset, which tells the peer "busy" at once, and never dropped in silence.

mod behaviour;
mod handler;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::time::Duration;

use libp2p::StreamProtocol;
use tokio::sync::{mpsc, oneshot};

use crate::pulse::{Beating, Pulse};

pub(crate) use behaviour::{Behaviour, Inbound};

/// Streams a peer opened that wait to be taken; a connection may not even have so many.
pub(super) const INBOUND_QUEUE_MAX: usize = 256;
/// Requests for streams that wait on one connection.
pub(super) const OPEN_QUEUE_MAX: usize = 256;
/// Streams of one connection in negotiation at once; more wait their turn.
pub(super) const OPENS_AT_ONCE_MAX: usize = 32;
/// How long nothing may come from the peer before a stream being opened is given up.
pub(super) const OPEN_SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long one negotiation may take whatever comes meanwhile. Longer than any queue in front of it on the slowest link;
/// how many negotiations there are at once is bounded by the streams there may be.
pub(super) const NEGOTIATION_TIMEOUT: Duration = Duration::from_secs(30 * 60);
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

/// A stream of a connection. What comes on it counts as a sign of the peer's life.
pub(crate) type Stream = Beating<libp2p::Stream>;

/// Opens streams on one connection.
#[derive(Debug, Clone)]
pub(crate) struct Opener {
    pub(super) requests: mpsc::Sender<OpenRequest>,
    pub(super) pulse: Arc<Pulse>,
}

impl Opener {
    /// When the last byte came on this connection.
    pub(crate) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Opens a stream, waiting its turn as long as anything comes from the peer: the answer may be behind that.
    pub(crate) async fn open(&self, protocol: StreamProtocol) -> Result<Stream, OpenError> {
        let (answer, answered) = oneshot::channel();
        let request = OpenRequest { protocol, attempts: 0, answer };
        let opened = async {
            self.requests.send(request).await.map_err(|_| OpenError::Gone)?;
            answered.await.unwrap_or(Err(OpenError::Gone))
        };
        tokio::select! {
            opened = opened => opened,
            () = self.pulse.silent_for(OPEN_SILENCE_MAX) => Err(OpenError::Failed("no answer in time".to_owned())),
        }
    }
}
