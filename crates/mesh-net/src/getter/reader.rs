//! Takes slices off a getter's stream. Judges each header before it takes memory for what it announces.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{AsyncRead, AsyncReadExt};
use mesh_proto::bulk::{Packing, RefuseReason, SourceFrame};
use mesh_proto::limits::UNREQUESTED_BYTES_MAX;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::admission::{Admission, Verdict};
use super::outbox::Outbox;
use crate::buffer::BufferPool;
use crate::connection::Connection;
use crate::framing::{ReadEnd, read_header};
use crate::pulse::Pulse;

/// The first memory a slice gets; it doubles as bytes arrive.
const FIRST_BYTES: usize = 64 * 1024;

/// What came, in order.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A slice, or as much of it as came before the stream ended.
    Slice(Slice),
    /// The source says it sent all.
    End { request: u64 },
    /// The source sends no more.
    Refused { request: u64, reason: RefuseReason },
    /// Nothing more will come.
    Gone(String),
}

/// Bytes of one request.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) request: u64,
    pub(super) packing: Packing,
    pub(super) content_bytes: usize,
    /// The packed bytes are the first `filled` of this.
    pub(super) buffer: Vec<u8>,
    pub(super) filled: usize,
}

/// When the source last did what it can: a byte came on the stream, or it is us who do not read.
#[derive(Debug)]
pub(super) struct Progress {
    bytes: Pulse,
    waiting: AtomicBool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { bytes: Pulse::new(), waiting: AtomicBool::new(false) }
    }

    /// Notes that a byte came.
    pub(super) fn note(&self) {
        self.bytes.beat();
    }

    /// When that was; now, while it is us who do not read.
    pub(super) fn last(&self) -> Instant {
        match self.waiting.load(Ordering::Relaxed) {
            true => Instant::now(),
            false => self.bytes.last(),
        }
    }

    /// Waits for something of ours; the source is not to blame for how long it takes.
    async fn excuse<T>(&self, ours: impl Future<Output = T>) -> T {
        self.waiting.store(true, Ordering::Relaxed);
        let done = ours.await;
        self.bytes.beat();
        self.waiting.store(false, Ordering::Relaxed);
        done
    }
}

/// The reading side of a getter's stream.
pub(super) struct Reader<R> {
    pub(super) connection: Arc<Connection>,
    pub(super) stream: R,
    pub(super) arrivals: mpsc::Sender<Arrival>,
    pub(super) pool: BufferPool,
    pub(super) admission: Arc<Admission>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) progress: Arc<Progress>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Reads until the stream ends, and says why it did.
    pub(super) async fn run(mut self) {
        let end = self.read_frames().await;
        let why = match end {
            ReadEnd::Gone(why) => why,
            ReadEnd::Malformed(why) => {
                self.connection.fault(why.clone()).await;
                why
            }
        };
        self.pass_on(Arrival::Gone(why)).await;
    }

    async fn read_frames(&mut self) -> ReadEnd {
        let mut header = Vec::new();
        let mut unrequested = 0;
        loop {
            if let Err(end) = self.read_frame(&mut header, &mut unrequested).await {
                return end;
            }
            if unrequested > UNREQUESTED_BYTES_MAX {
                return ReadEnd::Malformed("payload nobody asked for".to_owned());
            }
        }
    }

    async fn read_frame(&mut self, header: &mut Vec<u8>, unrequested: &mut usize) -> Result<(), ReadEnd> {
        read_header(&mut self.stream, header).await?;
        self.progress.note();
        let frame = SourceFrame::decode(header).map_err(|error| ReadEnd::Malformed(error.to_string()))?;
        match frame {
            SourceFrame::Slice { request, packing, payload_bytes, content_bytes } => {
                let payload_bytes = payload_bytes as usize;
                match self.admission.judge(request, content_bytes) {
                    Verdict::Take => self.take(request, packing, payload_bytes, content_bytes as usize).await,
                    Verdict::Discard { drained_bytes } => {
                        self.skip(payload_bytes).await?;
                        self.outbox.receipt(request, drained_bytes);
                        Ok(())
                    }
                    Verdict::Unrequested => {
                        *unrequested += header.len() + payload_bytes;
                        self.skip(payload_bytes.min(UNREQUESTED_BYTES_MAX + 1)).await
                    }
                    Verdict::TooMuch => Err(ReadEnd::Malformed("more payload than was asked for".to_owned())),
                }
            }
            SourceFrame::End { request } => {
                self.pass_on_end(request, Arrival::End { request }, header.len(), unrequested).await;
                Ok(())
            }
            SourceFrame::Refused { request, reason } => {
                self.pass_on_end(request, Arrival::Refused { request, reason }, header.len(), unrequested).await;
                Ok(())
            }
        }
    }

    async fn pass_on_end(&mut self, request: u64, arrival: Arrival, header_bytes: usize, unrequested: &mut usize) {
        match self.admission.end(request) {
            true => self.pass_on(arrival).await,
            false => *unrequested += header_bytes,
        }
    }

    /// Reads a slice's payload. If the stream ends within it, passes on what came of it.
    async fn take(
        &mut self,
        request: u64,
        packing: Packing,
        payload_bytes: usize,
        content_bytes: usize,
    ) -> Result<(), ReadEnd> {
        let mut buffer = self.free_buffer().await?;
        let mut filled = 0;
        let end = loop {
            if filled == payload_bytes {
                break None;
            }
            if buffer.len() < payload_bytes && filled == buffer.len() {
                let room = (buffer.len() * 2).clamp(FIRST_BYTES, payload_bytes.max(FIRST_BYTES));
                buffer.resize(room, 0);
            }
            let until = payload_bytes.min(buffer.len());
            match self.stream.read(&mut buffer[filled..until]).await {
                Ok(0) => break Some(ReadEnd::Gone("the stream ended within a slice".to_owned())),
                Ok(bytes) => filled += bytes,
                Err(error) => break Some(error.into()),
            }
            self.progress.note();
        };
        let whole = filled == payload_bytes;
        if whole || (packing == Packing::Raw && filled > 0) {
            let content_bytes = if whole { content_bytes } else { filled };
            self.pass_on(Arrival::Slice(Slice { request, packing, content_bytes, buffer, filled })).await;
        }
        end.map_or(Ok(()), Err)
    }

    async fn skip(&mut self, mut bytes: usize) -> Result<(), ReadEnd> {
        let mut scratch = [0u8; 4096];
        while bytes > 0 {
            let until = bytes.min(scratch.len());
            match self.stream.read(&mut scratch[..until]).await? {
                0 => return Err(ReadEnd::Gone("the stream ended within a slice".to_owned())),
                read => bytes -= read,
            }
            self.progress.note();
        }
        Ok(())
    }

    async fn free_buffer(&mut self) -> Result<Vec<u8>, ReadEnd> {
        if let Some(buffer) = self.pool.try_take() {
            return Ok(buffer);
        }
        let buffer = self.progress.excuse(self.pool.take()).await;
        buffer.ok_or_else(|| ReadEnd::Gone("the getter ended".to_owned()))
    }

    async fn pass_on(&self, arrival: Arrival) {
        // A core that is gone takes nothing more, and misses nothing.
        let _ = self.progress.excuse(self.arrivals.send(arrival)).await;
    }
}
