//! The heart of a getter: knows each fetch under way, and answers each once.
//!
//! Invariants: whoever takes a fetch out of `active` reports its `Fetched`; each slice that arrives is receipted, whatever
//! becomes of it, because the source's window stays occupied until then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_proto::CommandId;
use mesh_proto::bulk::{GetterFrame, SpanRequest};
use mesh_proto::limits::SPAN_BYTES_MAX;
use mesh_proto::payload::{PayloadSink, SinkError, SpanAddress};
use mesh_proto::port::NetInput;
use mesh_proto::port::net::FetchOutcome;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::admission::Admission;
use super::outbox::Outbox;
use super::reader::{Arrival, Progress, Slice};
use super::sink::{self, Done, Job, SliceError};
use super::{Fetch, GetterCommand};
use crate::buffer::BufferReturn;
use crate::connection::Connection;

/// What the core shares with the reader and the writer.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) admission: Arc<Admission>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) progress: Arc<Progress>,
}

struct Active {
    command: CommandId,
    span: SpanAddress,
    payload_bytes: u64,
    stall: Duration,
    began: Instant,
    received_bytes: u64,
    chunks_verified: u32,
    sink: Option<Box<dyn PayloadSink>>,
}

/// Who is to be told that a fetch ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EndedBy {
    /// The source knows.
    Source,
    /// We end it: what is under way is thrown away, and the source is told.
    Us,
}

/// The core. Runs until the stream is gone.
pub(super) struct Core {
    connection: Arc<Connection>,
    commands: mpsc::Receiver<GetterCommand>,
    arrivals: mpsc::Receiver<Arrival>,
    parts: Parts,
    give_back: BufferReturn,
    active: HashMap<u64, Active>,
    next_request: u64,
}

impl Core {
    pub(super) fn new(
        connection: Arc<Connection>,
        commands: mpsc::Receiver<GetterCommand>,
        arrivals: mpsc::Receiver<Arrival>,
        parts: Parts,
        give_back: BufferReturn,
    ) -> Self {
        Self { connection, commands, arrivals, parts, give_back, active: HashMap::new(), next_request: 1 }
    }

    /// Works until the stream is gone, then answers what is left.
    pub(super) async fn run(mut self) {
        loop {
            let stall = self.next_stall();
            let stalled = async {
                match stall {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(command) = self.commands.recv() => self.handle_command(command).await,
                arrival = self.arrivals.recv() => match arrival {
                    Some(Arrival::Gone(why)) => {
                        tracing::debug!(connection = self.connection.id.0, why, "a getter's stream ended");
                        break;
                    }
                    None => break,
                    Some(arrival) => self.handle_arrival(arrival).await,
                },
                () = stalled => self.end_stalled().await,
            }
        }
        self.end_all().await;
    }

    async fn handle_command(&mut self, command: GetterCommand) {
        match command {
            GetterCommand::Fetch(fetch) => self.begin(fetch).await,
            GetterCommand::Cancel(command) => {
                let of = self.active.iter().find(|(_, active)| active.command == command);
                if let Some(request) = of.map(|(request, _)| *request) {
                    self.end(request, FetchOutcome::Cancelled, EndedBy::Us).await;
                }
            }
        }
    }

    async fn begin(&mut self, fetch: Fetch) {
        let asked = &fetch.request;
        if asked.payload_bytes == 0 || asked.payload_bytes > SPAN_BYTES_MAX || asked.chunks.count == 0 {
            self.connection.shared.routes.remove_fetch(fetch.command);
            let outcome = FetchOutcome::Protocol("the span is empty or too long".to_owned());
            return self.connection.report(fetch.never_began(outcome)).await;
        }
        let request = self.next_request;
        self.next_request += 1;
        let frame = SpanRequest { request, ..fetch.request };
        let active = Active {
            command: fetch.command,
            span: SpanAddress { content: frame.content, chunks: frame.chunks, skip_bytes: frame.skip_bytes },
            payload_bytes: frame.payload_bytes,
            stall: fetch.stall,
            began: Instant::now(),
            received_bytes: 0,
            chunks_verified: 0,
            sink: None,
        };
        self.active.insert(request, active);
        self.parts.admission.open(request, frame.payload_bytes);
        self.parts.outbox.push(GetterFrame::Request(frame));
    }

    async fn handle_arrival(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Slice(slice) => self.handle_slice(slice).await,
            Arrival::End { request } => {
                self.handle_end(request).await;
                self.parts.admission.close(request);
            }
            Arrival::Refused { request, reason } => {
                self.end(request, FetchOutcome::Refused(reason), EndedBy::Source).await;
                self.parts.admission.close(request);
            }
            Arrival::Gone(_) => {}
        }
    }

    async fn handle_slice(&mut self, slice: Slice) {
        let (request, content_bytes) = (slice.request, slice.content_bytes as u64);
        let Some(active) = self.active.get_mut(&request) else {
            // It was being read when the fetch ended; its bytes count as drained all the same.
            if let Some(drained_bytes) = self.parts.admission.drain(request, content_bytes) {
                self.parts.outbox.receipt(request, drained_bytes);
            }
            return self.give_back.give(slice.buffer);
        };
        let store = Arc::clone(&self.connection.shared.store);
        let Done { sink, buffer, result } =
            sink::write(Job { store, span: active.span, sink: active.sink.take(), slice }).await;
        self.give_back.give(buffer);
        active.sink = sink;
        active.received_bytes += content_bytes;
        // Also for what the sink refused: the source waits for a receipt of each byte it sent.
        self.parts.outbox.receipt(request, active.received_bytes);
        match result {
            Ok(progress) => {
                active.chunks_verified = progress.chunks_verified;
                let input = NetInput::FetchProgress {
                    command: active.command,
                    received_bytes: active.received_bytes,
                    chunks_verified: active.chunks_verified,
                };
                self.connection.report(input).await;
            }
            Err(SliceError::Sink(error)) => self.end(request, FetchOutcome::Sink(error), EndedBy::Us).await,
            Err(SliceError::Unpack(why)) => {
                self.end(request, FetchOutcome::Protocol(why.clone()), EndedBy::Us).await;
                self.connection.fault(why).await;
            }
        }
    }

    async fn handle_end(&mut self, request: u64) {
        let Some(active) = self.active.get(&request) else {
            return;
        };
        let whole = active.received_bytes == active.payload_bytes && active.chunks_verified == active.span.chunks.count;
        let outcome = match whole {
            true => FetchOutcome::Complete,
            false => FetchOutcome::Protocol(format!(
                "the source ended after {} of {} bytes and {} of {} chunks",
                active.received_bytes, active.payload_bytes, active.chunks_verified, active.span.chunks.count
            )),
        };
        self.end(request, outcome, EndedBy::Source).await;
    }

    /// Ends a fetch: the one place where `Fetched` is reported for one that began.
    async fn end(&mut self, request: u64, outcome: FetchOutcome, by: EndedBy) {
        let Some(active) = self.active.remove(&request) else {
            return;
        };
        self.connection.shared.routes.remove_fetch(active.command);
        if by == EndedBy::Us {
            self.parts.admission.discard(request, active.received_bytes);
            self.parts.outbox.push(GetterFrame::Cancel { request });
        }
        let keeps_nothing = matches!(
            outcome,
            FetchOutcome::Complete | FetchOutcome::Sink(SinkError::Mismatch { .. } | SinkError::TooMany)
        );
        let aside_bytes = match active.sink {
            Some(sink) if !keeps_nothing => sink::set_aside(sink).await,
            _ => 0,
        };
        let input = NetInput::Fetched {
            command: active.command,
            outcome,
            received_bytes: active.received_bytes,
            chunks_verified: active.chunks_verified,
            aside_bytes,
        };
        self.connection.report(input).await;
    }

    /// When the next fetch would count as stalled.
    fn next_stall(&self) -> Option<Instant> {
        let last = self.parts.progress.last();
        self.active.values().map(|active| last.max(active.began) + active.stall).min()
    }

    async fn end_stalled(&mut self) {
        let (now, last) = (Instant::now(), self.parts.progress.last());
        let stalled = |active: &Active| last.max(active.began) + active.stall <= now;
        let requests: Vec<u64> =
            self.active.iter().filter(|(_, active)| stalled(active)).map(|(request, _)| *request).collect();
        for request in requests {
            self.end(request, FetchOutcome::Stalled, EndedBy::Us).await;
        }
    }

    async fn end_all(mut self) {
        self.commands.close();
        let mut requests: Vec<u64> = self.active.keys().copied().collect();
        requests.sort_unstable();
        for request in requests {
            self.end(request, FetchOutcome::Disconnected, EndedBy::Source).await;
        }
        while let Some(command) = self.commands.recv().await {
            if let GetterCommand::Fetch(fetch) = command {
                self.connection.shared.routes.remove_fetch(fetch.command);
                self.connection.report(fetch.never_began(FetchOutcome::Disconnected)).await;
            }
        }
    }
}
