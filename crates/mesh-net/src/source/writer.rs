//! Puts a source's pieces on the stream, and answers each grant when its bytes were handed over.

use std::sync::Arc;

use futures::{AsyncWrite, AsyncWriteExt, io};
use mesh_proto::port::NetInput;
use mesh_proto::port::net::ServeState;
use tokio::sync::{mpsc, watch};

use super::gone;
use super::slices::SliceBuffer;
use crate::connection::Connection;

/// What the core passes on, in order.
pub(super) enum Piece {
    /// Bytes `start..end` of the buffer, and what to say once they are handed over.
    Slice { buffer: SliceBuffer, start: usize, end: usize, answer: NetInput },
    /// A frame without payload.
    Frame(Vec<u8>),
    /// Something to say now that all before it is done.
    Say(NetInput),
}

/// The writing side of a source's stream. Lives as long as the core, also when the stream does not.
pub(super) struct Writer<W> {
    pub(super) connection: Arc<Connection>,
    pub(super) stream: W,
    pub(super) pieces: mpsc::Receiver<Piece>,
    pub(super) ended: watch::Receiver<bool>,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Writes until the core is gone.
    pub(super) async fn run(mut self) {
        let mut broken = false;
        while let Some(piece) = self.pieces.recv().await {
            match piece {
                Piece::Say(input) => self.connection.report(input).await,
                Piece::Frame(bytes) => broken = broken || self.write(&bytes).await.is_err(),
                Piece::Slice { buffer, start, end, answer } => {
                    broken = broken || self.write(&buffer[start..end]).await.is_err();
                    drop(buffer);
                    self.answer(answer, broken).await;
                }
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = &mut self.stream;
        let written = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        tokio::select! {
            biased;
            _ = self.ended.wait_for(|ended| *ended) => Err(io::ErrorKind::BrokenPipe.into()),
            written = written => written,
        }
    }

    async fn answer(&self, answer: NetInput, broken: bool) {
        match answer {
            NetInput::Granted { command, serve, state, .. } if broken => {
                self.connection.report(gone(command, serve)).await;
                if state == ServeState::Ended {
                    self.connection.report(NetInput::SpanWithdrawn { serve }).await;
                }
            }
            answer => self.connection.report(answer).await,
        }
    }
}
