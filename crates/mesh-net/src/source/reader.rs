//! Takes a peer's requests, receipts and cancellations off its payload stream.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures::AsyncRead;
use mesh_proto::bulk::GetterFrame;
use mesh_proto::limits::SPAN_REQUESTS_PER_CONNECTION_MAX;
use mesh_proto::port::NetInput;
use mesh_proto::port::net::ServeId;
use tokio::sync::{mpsc, watch};

use super::SourceCommand;
use crate::connection::Connection;
use crate::framing::{ReadEnd, read_header};

/// Requests whose receipts are still understood; beyond this the oldest is forgotten.
const RECEIPTS_MAX: usize = SPAN_REQUESTS_PER_CONNECTION_MAX * 4;

/// The reading side of a source's stream.
pub(super) struct Reader<R> {
    pub(super) connection: Arc<Connection>,
    pub(super) stream: R,
    pub(super) core: mpsc::Sender<SourceCommand>,
    pub(super) ended: watch::Sender<bool>,
}

/// The requests a receipt may be about.
#[derive(Default)]
struct Served {
    requests: BTreeMap<u64, (ServeId, u64)>,
    order: VecDeque<u64>,
}

impl Served {
    /// `false` if the number was used already.
    fn insert(&mut self, request: u64, serve: ServeId, payload_bytes: u64) -> bool {
        if self.requests.contains_key(&request) {
            return false;
        }
        self.requests.insert(request, (serve, payload_bytes));
        self.order.push_back(request);
        if self.order.len() > RECEIPTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.requests.remove(&oldest);
        }
        true
    }
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Reads until the stream or its connection ends.
    pub(super) async fn run(mut self) {
        if let ReadEnd::Malformed(why) = self.read_frames().await {
            self.connection.fault(why).await;
        }
        let _ = self.ended.send(true);
        let _ = self.core.send(SourceCommand::Ended).await;
    }

    async fn read_frames(&mut self) -> ReadEnd {
        let mut header = Vec::new();
        let mut served = Served::default();
        loop {
            if let Err(end) = self.read_frame(&mut header, &mut served).await {
                return end;
            }
        }
    }

    async fn read_frame(&mut self, header: &mut Vec<u8>, served: &mut Served) -> Result<(), ReadEnd> {
        // Only reading is given up when the connection ends; what was read is dealt with to its end.
        tokio::select! {
            () = self.connection.closed() => return Err(ReadEnd::Gone("the connection ended".to_owned())),
            read = read_header(&mut self.stream, header) => read?,
        }
        let frame = GetterFrame::decode(header).map_err(|error| ReadEnd::Malformed(error.to_string()))?;
        match frame {
            GetterFrame::Request(request) => {
                let number = request.request;
                let counted = self.connection.try_count(|of| &of.serves_open, SPAN_REQUESTS_PER_CONNECTION_MAX);
                let Some(counted) = counted else {
                    return self.tell_core(SourceCommand::TooMany { request: number }).await;
                };
                let serve = self.connection.shared.new_serve();
                if !served.insert(number, serve, request.payload_bytes) {
                    return Err(ReadEnd::Malformed(format!("request {number} was made twice")));
                }
                let (connection, node) = (self.connection.id, self.connection.node);
                self.tell_core(SourceCommand::Requested { serve, request: request.clone(), counted }).await?;
                self.connection.shared.routes.add_serve(serve, self.core.clone());
                self.connection.report(NetInput::SpanRequested { serve, connection, node, request }).await;
                Ok(())
            }
            GetterFrame::Receipt { request, drained_bytes } => {
                let Some((serve, payload_bytes)) = served.requests.get(&request).copied() else {
                    return Ok(());
                };
                if drained_bytes > payload_bytes {
                    return Err(ReadEnd::Malformed("a receipt for more than was asked for".to_owned()));
                }
                self.connection.report(NetInput::Receipt { serve, drained_bytes }).await;
                Ok(())
            }
            GetterFrame::Cancel { request } => self.tell_core(SourceCommand::Cancelled { request }).await,
        }
    }

    async fn tell_core(&self, command: SourceCommand) -> Result<(), ReadEnd> {
        self.core.send(command).await.map_err(|_| ReadEnd::Gone("the source ended".to_owned()))
    }
}
