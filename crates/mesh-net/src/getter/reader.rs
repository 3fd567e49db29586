//! Takes slices off a getter's stream. Judges each header before it takes memory for what it announces.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

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

/// When the last byte came on a stream.
#[derive(Debug)]
pub(super) struct Pulse {
    born: Instant,
    last_ms: AtomicU64,
    waiting: AtomicBool,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self { born: Instant::now(), last_ms: AtomicU64::new(0), waiting: AtomicBool::new(false) }
    }

    /// Notes that a byte came.
    pub(super) fn beat(&self) {
        let now_ms = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When the last byte came; now, while it is us who do not read.
    pub(super) fn last(&self) -> Instant {
        match self.waiting.load(Ordering::Relaxed) {
            true => Instant::now(),
            false => self.born + Duration::from_millis(self.last_ms.load(Ordering::Relaxed)),
        }
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
    pub(super) pulse: Arc<Pulse>,
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
        self.note_bytes();
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
        match self.admission.close(request) {
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
            self.note_bytes();
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
            self.note_bytes();
        }
        Ok(())
    }

    async fn free_buffer(&mut self) -> Result<Vec<u8>, ReadEnd> {
        if let Some(buffer) = self.pool.try_take() {
            return Ok(buffer);
        }
        self.pulse.waiting.store(true, Ordering::Relaxed);
        let buffer = self.pool.take().await;
        self.pulse.beat();
        self.pulse.waiting.store(false, Ordering::Relaxed);
        buffer.ok_or_else(|| ReadEnd::Gone("the getter ended".to_owned()))
    }

    async fn pass_on(&self, arrival: Arrival) {
        self.pulse.waiting.store(true, Ordering::Relaxed);
        let _ = self.arrivals.send(arrival).await;
        self.pulse.beat();
        self.pulse.waiting.store(false, Ordering::Relaxed);
    }

    fn note_bytes(&self) {
        self.pulse.beat();
        self.connection.note_received();
    }
}
