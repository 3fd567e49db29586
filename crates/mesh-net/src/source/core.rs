//! The heart of a source: knows each request under way, and turns grants into pieces for the writer.
//!
//! Invariant: everything said about a request after its `SpanRequested` goes through the writer's queue, in order; so
//! `SpanWithdrawn` is the last of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_proto::CommandId;
use mesh_proto::bulk::{Packing, RefuseReason, SourceFrame, SpanRequest};
use mesh_proto::limits::SLICE_BYTES_MAX;
use mesh_proto::payload::{PayloadSource, PayloadStore, SourceError, SpanAddress};
use mesh_proto::port::NetInput;
use mesh_proto::port::net::{ServeId, ServeState};
use tokio::sync::mpsc;

use super::slices::SliceBuffer;
use super::writer::Piece;
use super::{SourceCommand, gone};
use crate::connection::{Connection, Counted, Shared};
use crate::framing::push_header;

/// Room in front of the payload for a slice's header, so that both are written at once.
pub(super) const HEAD_ROOM: usize = 64;

struct Serve {
    request: u64,
    span: SpanAddress,
    given: u64,
    left: u64,
    _counted: Counted,
}

/// The core. Runs until the reader has ended.
pub(super) struct Core {
    connection: Arc<Connection>,
    commands: mpsc::Receiver<SourceCommand>,
    pieces: mpsc::Sender<Piece>,
    serves: BTreeMap<ServeId, Serve>,
}

/// Bytes read for a grant.
struct Filled {
    source: Option<Box<dyn PayloadSource>>,
    buffer: SliceBuffer,
    bytes: usize,
    error: Option<SourceError>,
}

/// What is wanted of a span.
#[derive(Clone, Copy)]
struct Want {
    span: SpanAddress,
    /// Bytes of it that were given before.
    given: u64,
    bytes: usize,
}

impl Core {
    pub(super) fn new(
        connection: Arc<Connection>,
        commands: mpsc::Receiver<SourceCommand>,
        pieces: mpsc::Sender<Piece>,
    ) -> Self {
        Self { connection, commands, pieces, serves: BTreeMap::new() }
    }

    /// Works until the peer is gone, then answers what is left.
    pub(super) async fn run(mut self) {
        while let Some(command) = self.commands.recv().await {
            if matches!(command, SourceCommand::Ended) {
                break;
            }
            self.handle(command).await;
        }
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            match command {
                SourceCommand::Grant { command, serve, .. } => self.say(gone(command, serve)).await,
                SourceCommand::Requested { serve, .. } => self.withdraw(serve).await,
                _ => {}
            }
        }
        let serves: Vec<ServeId> = self.serves.keys().copied().collect();
        for serve in serves {
            self.remove(serve);
            self.withdraw(serve).await;
        }
    }

    async fn handle(&mut self, command: SourceCommand) {
        match command {
            SourceCommand::Grant { command, serve, bytes } => self.grant(command, serve, bytes).await,
            SourceCommand::Refuse { serve, reason } => self.refuse(serve, reason).await,
            SourceCommand::Requested { serve, request, counted } => self.add(serve, &request, counted),
            SourceCommand::TooMany { request } => {
                self.frame(&SourceFrame::Refused { request, reason: RefuseReason::Busy }).await;
            }
            SourceCommand::Cancelled { request } => self.cancel(request).await,
            SourceCommand::Ended => {}
        }
    }

    fn add(&mut self, serve: ServeId, request: &SpanRequest, counted: Counted) {
        let span = SpanAddress { content: request.content, chunks: request.chunks, skip_bytes: request.skip_bytes };
        let entry = Serve { request: request.request, span, given: 0, left: request.payload_bytes, _counted: counted };
        self.serves.insert(serve, entry);
    }

    async fn refuse(&mut self, serve: ServeId, reason: RefuseReason) {
        let Some(entry) = self.remove(serve) else {
            return;
        };
        self.frame(&SourceFrame::Refused { request: entry.request, reason }).await;
    }

    /// The peer's wish is gone. `End` tells it that no slice of it is under way any more.
    async fn cancel(&mut self, request: u64) {
        let of = self.serves.iter().find(|(_, entry)| entry.request == request).map(|(serve, _)| *serve);
        let Some(serve) = of else {
            return;
        };
        self.remove(serve);
        self.frame(&SourceFrame::End { request }).await;
        self.say(NetInput::SpanWithdrawn { serve }).await;
    }

    async fn grant(&mut self, command: CommandId, serve: ServeId, bytes: u64) {
        let Some(entry) = self.serves.get_mut(&serve) else {
            return self.say(gone(command, serve)).await;
        };
        let wanted = usize::try_from(bytes.min(entry.left)).unwrap_or(SLICE_BYTES_MAX).min(SLICE_BYTES_MAX);
        if wanted == 0 {
            return self.say(granted(command, serve, 0, ServeState::More)).await;
        }
        let shared = Arc::clone(&self.connection.shared);
        let buffer = shared.slices.take(wanted);
        let want = Want { span: entry.span, given: entry.given, bytes: wanted.min(buffer.payload_room()) };
        let (turn, source) = shared.sources.turn(serve).await;
        let Filled { source, buffer, bytes, error } = fill(&shared, want, source, buffer).await;
        if let Some(error) = error {
            // Others wait for these; what is said to the peer may wait for it.
            drop((turn, source, buffer));
            return self.fail(command, serve, error).await;
        }
        entry.given += bytes as u64;
        entry.left -= bytes as u64;
        let (request, ended) = (entry.request, entry.left == 0);
        match source {
            Some(source) if !ended => turn.keep(serve, source),
            _ => drop((turn, source)),
        }
        if ended {
            self.remove(serve);
        }
        let state = if ended { ServeState::Ended } else { ServeState::More };
        let answer = granted(command, serve, bytes as u64, state);
        self.put(slice(request, buffer, bytes, ended, answer)).await;
    }

    async fn fail(&mut self, command: CommandId, serve: ServeId, error: SourceError) {
        if let Some(entry) = self.remove(serve) {
            let reason = match error {
                SourceError::NotHeld => RefuseReason::NotHeld,
                _ => RefuseReason::Changed,
            };
            self.frame(&SourceFrame::Refused { request: entry.request, reason }).await;
        }
        self.say(granted(command, serve, 0, ServeState::Failed(error))).await;
    }

    fn remove(&mut self, serve: ServeId) -> Option<Serve> {
        self.connection.shared.routes.remove_serve(serve);
        self.connection.shared.sources.forget(serve);
        self.serves.remove(&serve)
    }

    async fn withdraw(&mut self, serve: ServeId) {
        self.connection.shared.routes.remove_serve(serve);
        self.say(NetInput::SpanWithdrawn { serve }).await;
    }

    async fn frame(&mut self, frame: &SourceFrame) {
        let mut bytes = Vec::new();
        push_header(&mut bytes, &frame.encode());
        self.put(Piece::Frame(bytes)).await;
    }

    async fn say(&mut self, input: NetInput) {
        self.put(Piece::Say(input)).await;
    }

    async fn put(&mut self, piece: Piece) {
        // The writer lives until this sender is gone.
        let _ = self.pieces.send(piece).await;
    }
}

fn granted(command: CommandId, serve: ServeId, sent_bytes: u64, state: ServeState) -> NetInput {
    NetInput::Granted { command, serve, sent_bytes, state }
}

/// Puts a slice's header in front of its payload and, after the last one, the end behind it.
fn slice(request: u64, mut buffer: SliceBuffer, bytes: usize, ended: bool, answer: NetInput) -> Piece {
    let length = u32::try_from(bytes).expect("a slice is at most 1 MiB");
    let header =
        SourceFrame::Slice { request, packing: Packing::Raw, payload_bytes: length, content_bytes: length }.encode();
    let mut framed = Vec::with_capacity(HEAD_ROOM);
    push_header(&mut framed, &header);
    let start = HEAD_ROOM.checked_sub(framed.len()).expect("a slice's header has four numbers and a length");
    buffer[start..HEAD_ROOM].copy_from_slice(&framed);
    let mut end = HEAD_ROOM + bytes;
    if ended {
        framed.clear();
        push_header(&mut framed, &SourceFrame::End { request }.encode());
        buffer[end..end + framed.len()].copy_from_slice(&framed);
        end += framed.len();
    }
    Piece::Slice { buffer, start, end, answer }
}

/// Reads bytes of a span, off the event loop.
async fn fill(shared: &Shared, want: Want, source: Option<Box<dyn PayloadSource>>, buffer: SliceBuffer) -> Filled {
    let store = Arc::clone(&shared.store);
    tokio::task::spawn_blocking(move || fill_now(store.as_ref(), want, source, buffer)).await.unwrap_or_else(|error| {
        let error = SourceError::Io { path: String::new(), why: format!("the store failed: {error}") };
        Filled { source: None, buffer: shared.slices.take(0), bytes: 0, error: Some(error) }
    })
}

fn fill_now(
    store: &dyn PayloadStore,
    want: Want,
    source: Option<Box<dyn PayloadSource>>,
    mut buffer: SliceBuffer,
) -> Filled {
    let opened = source.map_or_else(|| open_at(store, want.span, want.given, &mut buffer), Ok);
    let mut source = match opened {
        Ok(source) => source,
        Err(error) => return Filled { source: None, buffer, bytes: 0, error: Some(error) },
    };
    let mut bytes = 0;
    let mut error = None;
    while bytes < want.bytes {
        match read_some(source.as_mut(), &mut buffer[HEAD_ROOM + bytes..HEAD_ROOM + want.bytes]) {
            Ok(read) => bytes += read,
            Err(why) => {
                error = Some(why);
                break;
            }
        }
    }
    Filled { source: Some(source), buffer, bytes, error }
}

/// Opens a span's source and reads past what was given before: that there was a source for it may be long ago.
fn open_at(
    store: &dyn PayloadStore,
    span: SpanAddress,
    given: u64,
    scratch: &mut [u8],
) -> Result<Box<dyn PayloadSource>, SourceError> {
    let mut source = store.open_source(span)?;
    let mut left = given;
    while left > 0 {
        let until = usize::try_from(left).unwrap_or(usize::MAX).min(scratch.len());
        left -= read_some(source.as_mut(), &mut scratch[..until])? as u64;
    }
    Ok(source)
}

/// Reads at least one byte; that there is none is a broken promise.
fn read_some(source: &mut dyn PayloadSource, buffer: &mut [u8]) -> Result<usize, SourceError> {
    match source.read(buffer)? {
        0 => Err(SourceError::NotHeld),
        read => Ok(read.min(buffer.len())),
    }
}
