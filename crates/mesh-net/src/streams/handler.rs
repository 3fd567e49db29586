//! One connection's side: queues what is to be opened and what was accepted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use libp2p::StreamProtocol;
use libp2p::core::upgrade::{InboundUpgrade, ReadyUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol};
use tokio::sync::mpsc;

use super::behaviour::ToHandler;
use super::{
    BULK, CONTROL, INBOUND_QUEUE_MAX, NEGOTIATION_TIMEOUT, OPEN_ATTEMPTS_MAX, OPEN_QUEUE_MAX, OPEN_RETRY_DELAY,
    OPENS_AT_ONCE_MAX, OpenError, OpenRequest, PROBE, Stream,
};
use crate::pulse::{Beating, Pulse};

/// What we accept: any of our protocols, and which one it was.
#[derive(Debug, Clone)]
pub(crate) struct Accept;

impl UpgradeInfo for Accept {
    type Info = StreamProtocol;
    type InfoIter = std::array::IntoIter<StreamProtocol, 3>;

    fn protocol_info(&self) -> Self::InfoIter {
        [CONTROL, BULK, PROBE].into_iter()
    }
}

impl InboundUpgrade<libp2p::Stream> for Accept {
    type Output = (StreamProtocol, libp2p::Stream);
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, stream: libp2p::Stream, protocol: StreamProtocol) -> Self::Future {
        std::future::ready(Ok((protocol, stream)))
    }
}

/// The handler of one connection.
pub(crate) struct Handler {
    requests: mpsc::Receiver<OpenRequest>,
    pulse: Arc<Pulse>,
    waiting: VecDeque<OpenRequest>,
    retries: FuturesUnordered<BoxFuture<'static, OpenRequest>>,
    in_negotiation: usize,
    inbound: VecDeque<(StreamProtocol, Stream)>,
}

type Event = ConnectionHandlerEvent<ReadyUpgrade<StreamProtocol>, OpenRequest, (StreamProtocol, Stream)>;

impl Handler {
    pub(super) fn new(requests: mpsc::Receiver<OpenRequest>, pulse: Arc<Pulse>) -> Self {
        Self {
            requests,
            pulse,
            waiting: VecDeque::new(),
            retries: FuturesUnordered::new(),
            in_negotiation: 0,
            inbound: VecDeque::new(),
        }
    }

    fn handle_failure(&mut self, mut request: OpenRequest, why: OpenError) {
        request.attempts += 1;
        if why == OpenError::Unsupported || request.attempts >= OPEN_ATTEMPTS_MAX {
            let _ = request.answer.send(Err(why));
            return;
        }
        let delay = OPEN_RETRY_DELAY * 2u32.pow(request.attempts - 1);
        let retry = async move {
            tokio::time::sleep(delay).await;
            request
        };
        self.retries.push(retry.boxed());
    }

    fn accept(&mut self, protocol: StreamProtocol, stream: Stream) {
        if self.inbound.len() >= INBOUND_QUEUE_MAX {
            tracing::warn!(%protocol, "a stream was reset because too many wait");
            drop(stream);
            return;
        }
        self.inbound.push_back((protocol, stream));
    }

    /// A stream whose negotiation ended: the peer lives, and so it does with each byte that comes.
    fn beating(&self, stream: libp2p::Stream) -> Stream {
        self.pulse.beat();
        Beating::new(stream, Arc::clone(&self.pulse))
    }

    fn fill_queue(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(request)) = self.retries.poll_next_unpin(cx) {
            self.waiting.push_back(request);
        }
        while self.waiting.len() < OPEN_QUEUE_MAX
            && let Poll::Ready(Some(request)) = self.requests.poll_recv(cx)
        {
            self.waiting.push_back(request);
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = ToHandler;
    type ToBehaviour = (StreamProtocol, Stream);
    type InboundProtocol = Accept;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = OpenRequest;

    fn listen_protocol(&self) -> SubstreamProtocol<Accept> {
        SubstreamProtocol::new(Accept, ()).with_timeout(NEGOTIATION_TIMEOUT)
    }

    fn on_behaviour_event(&mut self, event: ToHandler) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(accepted) = self.inbound.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(accepted));
        }
        self.fill_queue(cx);
        while self.in_negotiation < OPENS_AT_ONCE_MAX
            && let Some(request) = self.waiting.pop_front()
        {
            if request.answer.is_closed() {
                continue;
            }
            self.in_negotiation += 1;
            let upgrade = ReadyUpgrade::new(request.protocol.clone());
            let protocol = SubstreamProtocol::new(upgrade, request).with_timeout(NEGOTIATION_TIMEOUT);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Accept, ReadyUpgrade<StreamProtocol>, (), OpenRequest>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: (name, stream), .. }) => {
                let stream = self.beating(stream);
                self.accept(name, stream);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: stream, info: request }) => {
                self.in_negotiation -= 1;
                // Whoever asked may have given up meanwhile; then the stream is reset.
                let _ = request.answer.send(Ok(self.beating(stream)));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: request, error }) => {
                self.in_negotiation -= 1;
                let why = match error {
                    StreamUpgradeError::NegotiationFailed => {
                        self.pulse.beat();
                        OpenError::Unsupported
                    }
                    StreamUpgradeError::Timeout => OpenError::Failed("no answer in time".to_owned()),
                    StreamUpgradeError::Io(error) => OpenError::Failed(error.to_string()),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                self.handle_failure(request, why);
            }
            _ => {}
        }
    }
}
