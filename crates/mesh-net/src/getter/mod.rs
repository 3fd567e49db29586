//! Fetches spans: one payload stream per connection, opened at the first fetch and kept for further ones.
//!
//! Three futures share one task: the reader takes slices off the stream, the core hands them to the sinks (on a
//! blocking thread) while the next slice is already being read, and the writer sends requests and receipts. The reader
//! never waits for the writer, so two nodes that fetch from each other can't block one another.

mod admission;
mod core;
mod outbox;
mod reader;
mod sink;

use std::sync::Arc;
use std::time::Duration;

use futures::AsyncReadExt;
use mesh_proto::CommandId;
use mesh_proto::bulk::SpanRequest;
use mesh_proto::port::NetInput;
use mesh_proto::port::net::FetchOutcome;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::buffer::{self, BufferPool};
use crate::connection::Connection;
use crate::streams::BULK;
use admission::Admission;
use core::{Core, Parts};
use outbox::Outbox;
use reader::{Arrival, Progress, Reader};

/// Commands that wait for one getter; more fetches are answered at once as disconnected.
const COMMANDS_MAX: usize = 1024;
/// Arrivals that wait for the core; buffers bound them before this does.
const ARRIVALS_MAX: usize = 4;
/// One span to fetch.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) command: CommandId,
    pub(crate) request: SpanRequest,
    pub(crate) stall: Duration,
}

impl Fetch {
    /// The answer to a fetch that never began.
    pub(crate) fn never_began(&self, outcome: FetchOutcome) -> NetInput {
        NetInput::Fetched { command: self.command, outcome, received_bytes: 0, chunks_verified: 0, aside_bytes: 0 }
    }
}

/// What a getter is told.
#[derive(Debug)]
pub(crate) enum GetterCommand {
    Fetch(Fetch),
    Cancel(CommandId),
}

/// The way to a connection's getter.
#[derive(Debug)]
pub(crate) struct Getter {
    commands: mpsc::Sender<GetterCommand>,
}

impl Getter {
    /// Starts the getter of a connection; its stream is being opened meanwhile.
    pub(crate) fn start(connection: Arc<Connection>) -> (Self, JoinHandle<()>) {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let task = tokio::spawn(run(connection, receiver));
        (Self { commands }, task)
    }

    /// Whether it still takes commands.
    pub(crate) fn lives(&self) -> bool {
        !self.commands.is_closed()
    }

    /// Hands a fetch over and registers its route; gives it back if the getter is gone or has too much to do.
    #[must_use]
    pub(crate) fn try_fetch(&self, connection: &Connection, fetch: Fetch) -> Option<Fetch> {
        let command = fetch.command;
        connection.shared.routes.add_fetch(command, self.commands.clone());
        let refused = self.commands.try_send(GetterCommand::Fetch(fetch)).err()?.into_inner();
        connection.shared.routes.remove_fetch(command);
        match refused {
            GetterCommand::Fetch(fetch) => Some(fetch),
            GetterCommand::Cancel(_) => None,
        }
    }
}

async fn run(connection: Arc<Connection>, commands: mpsc::Receiver<GetterCommand>) {
    let (arrivals_in, arrivals) = mpsc::channel(ARRIVALS_MAX);
    let (pool, give_back) = buffer::pool();
    let parts = Parts {
        admission: Arc::new(Admission::default()),
        outbox: Arc::new(Outbox::default()),
        progress: Arc::new(Progress::new()),
    };
    let core = Core::new(Arc::clone(&connection), commands, arrivals, parts.clone(), give_back);
    tokio::join!(core.run(), read_and_write(connection, arrivals_in, pool, parts));
}

/// Opens the stream, then reads and writes until it ends. The core learns of that when `arrivals` is dropped.
async fn read_and_write(
    connection: Arc<Connection>,
    arrivals: mpsc::Sender<Arrival>,
    pool: BufferPool,
    Parts { admission, outbox, progress }: Parts,
) {
    let stream = tokio::select! {
        () = connection.closed() => return,
        opened = connection.opener.open(BULK) => match opened {
            Ok(stream) => stream,
            Err(error) => return tracing::debug!(%error, "no payload stream"),
        },
    };
    progress.note();
    let (read_half, mut write_half) = stream.split();
    let reader = Reader {
        connection: Arc::clone(&connection),
        stream: read_half,
        arrivals,
        pool,
        admission,
        outbox: Arc::clone(&outbox),
        progress,
    };
    tokio::select! {
        () = reader.run() => {}
        () = outbox.write_to(&mut write_half) => {}
        () = connection.closed_for_long() => {}
    }
}
