//! Serves spans: one task per payload stream that a peer opened.
//!
//! Three futures share it: the reader takes requests, receipts and cancellations; the core reads granted bytes from
//! their [`PayloadSource`](mesh_proto::payload::PayloadSource) on a blocking thread; the writer puts them on the stream
//! while the core already reads the next grant. Nothing is written without a grant.

mod core;
mod open;
mod reader;
mod slices;
mod writer;

use std::sync::Arc;

use futures::AsyncReadExt;
use mesh_proto::CommandId;
use mesh_proto::bulk::{RefuseReason, SpanRequest};
use mesh_proto::limits::{BULK_COMMANDS_MAX, SLICES_OUT_PER_STREAM_MAX};
use mesh_proto::port::NetInput;
use mesh_proto::port::net::{ServeId, ServeState};
use tokio::sync::{mpsc, watch};

use crate::connection::{Connection, Counted};
use crate::streams::Stream;
use core::Core;
pub(crate) use open::OpenSources;
use reader::Reader;
pub(crate) use slices::SliceBuffers;
use writer::Writer;

/// Pieces that wait for the writer: beside them one slice is being filled and one written.
const PIECES_MAX: usize = SLICES_OUT_PER_STREAM_MAX - 2;

/// What a source is told, by the brain or by its own reader.
pub(crate) enum SourceCommand {
    /// The brain permits bytes.
    Grant { command: CommandId, serve: ServeId, bytes: u64 },
    /// The brain ends a request.
    Refuse { serve: ServeId, reason: RefuseReason },
    /// The peer asks for a span.
    Requested { serve: ServeId, request: SpanRequest, counted: Counted },
    /// The peer asks for more than may wait.
    TooMany { request: u64 },
    /// The peer no longer wants it.
    Cancelled { request: u64 },
    /// The peer will say nothing more.
    Ended,
}

/// The answer to a grant for a request that is no more.
pub(crate) fn gone(command: CommandId, serve: ServeId) -> NetInput {
    NetInput::Granted { command, serve, sent_bytes: 0, state: ServeState::Gone }
}

/// Serves one stream until it ends.
pub(crate) async fn serve(connection: Arc<Connection>, stream: Stream, _counted: Counted) {
    let (commands_in, commands) = mpsc::channel(BULK_COMMANDS_MAX);
    let (pieces_in, pieces) = mpsc::channel(PIECES_MAX);
    let (ended_in, ended) = watch::channel(false);
    let (read_half, write_half) = stream.split();
    let reader = Reader { connection: Arc::clone(&connection), stream: read_half, core: commands_in, ended: ended_in };
    let core = Core::new(Arc::clone(&connection), commands, pieces_in);
    let writer = Writer { connection, stream: write_half, pieces, ended };
    tokio::join!(reader.run(), core.run(), writer.run());
}
