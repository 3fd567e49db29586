//! Hands slices to sinks on a blocking thread: the only place where fetched bytes meet the store.

use std::sync::Arc;

use mesh_proto::bulk::Packing;
use mesh_proto::payload::{PayloadSink, PayloadStore, SinkError, SinkProgress, SpanAddress};

use super::reader::Slice;

/// Why a slice did not reach its sink.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SliceError {
    /// The sink refused.
    Sink(SinkError),
    /// The packed bytes are not what their header says.
    Unpack(String),
}

/// A slice on its way to its sink.
pub(super) struct Job {
    pub(super) store: Arc<dyn PayloadStore>,
    pub(super) span: SpanAddress,
    /// `None` before the first slice.
    pub(super) sink: Option<Box<dyn PayloadSink>>,
    pub(super) slice: Slice,
}

/// What became of it.
pub(super) struct Done {
    pub(super) sink: Option<Box<dyn PayloadSink>>,
    pub(super) buffer: Vec<u8>,
    pub(super) result: Result<SinkProgress, SliceError>,
}

/// Writes a slice, off the event loop.
pub(super) async fn write(job: Job) -> Done {
    tokio::task::spawn_blocking(move || write_now(job)).await.unwrap_or_else(|error| Done {
        sink: None,
        buffer: Vec::new(),
        result: Err(SliceError::Sink(SinkError::Io { path: String::new(), why: format!("the store failed: {error}") })),
    })
}

/// Keeps an unfinished chunk's bytes aside, off the event loop; says how many.
pub(super) async fn set_aside(sink: Box<dyn PayloadSink>) -> u32 {
    tokio::task::spawn_blocking(move || sink.set_aside()).await.unwrap_or(0)
}

fn write_now(job: Job) -> Done {
    let Job { store, span, sink, slice } = job;
    let opened = sink.map_or_else(|| store.open_sink(span), Ok);
    let mut sink = match opened {
        Ok(sink) => sink,
        Err(error) => return Done { sink: None, buffer: slice.buffer, result: Err(SliceError::Sink(error)) },
    };
    let packed = &slice.buffer[..slice.filled];
    let result = match slice.packing {
        Packing::Raw => sink.write(packed).map_err(SliceError::Sink),
        Packing::Zstd => {
            unpack(packed, slice.content_bytes).and_then(|content| sink.write(&content).map_err(SliceError::Sink))
        }
    };
    Done { sink: Some(sink), buffer: slice.buffer, result }
}

/// Unpacks to exactly `content_bytes`, whatever the packed bytes claim.
fn unpack(packed: &[u8], content_bytes: usize) -> Result<Vec<u8>, SliceError> {
    let mut content = vec![0u8; content_bytes];
    let bytes = zstd::bulk::decompress_to_buffer(packed, &mut content[..])
        .map_err(|error| SliceError::Unpack(format!("a slice does not unpack: {error}")))?;
    match bytes == content_bytes {
        true => Ok(content),
        false => Err(SliceError::Unpack("a slice unpacks to less than it says".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_unpacks_to_what_it_says_or_not_at_all() {
        let packed = zstd::bulk::compress(&[7u8; 10_000], 3).unwrap();
        assert_eq!(unpack(&packed, 10_000).unwrap(), vec![7u8; 10_000]);
        assert!(unpack(&packed, 9_999).is_err());
        assert!(unpack(&packed, 10_001).is_err());
        assert!(unpack(b"nonsense", 10).is_err());
    }
}
