//! What a getter has to say to its source: requests, receipts, cancellations.
//!
//! Invariant: putting something in never waits, so that reading never waits for writing. Bounded by the requests under
//! way: receipts of one request replace each other.

use std::collections::VecDeque;
use std::sync::Mutex;

use futures::{AsyncWrite, AsyncWriteExt};
use mesh_proto::bulk::GetterFrame;
use tokio::sync::Notify;

use crate::framing::push_header;
use crate::routes::lock;

/// Frames that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: Mutex<VecDeque<GetterFrame>>,
    filled: Notify,
}

impl Outbox {
    /// Queues a request or a cancellation.
    pub(super) fn push(&self, frame: GetterFrame) {
        lock(&self.frames).push_back(frame);
        self.filled.notify_one();
    }

    /// Queues a receipt, in place of an earlier one for the same request that still waits.
    pub(super) fn receipt(&self, request: u64, drained_bytes: u64) {
        let mut frames = lock(&self.frames);
        let waiting = frames.iter_mut().rev().find_map(|frame| match frame {
            GetterFrame::Receipt { request: of, drained_bytes } if *of == request => Some(drained_bytes),
            _ => None,
        });
        match waiting {
            Some(bytes) => *bytes = (*bytes).max(drained_bytes),
            None => frames.push_back(GetterFrame::Receipt { request, drained_bytes }),
        }
        drop(frames);
        self.filled.notify_one();
    }

    /// Writes whatever is put in. If the stream breaks, waits for the reader to notice.
    pub(super) async fn write_to<W: AsyncWrite + Unpin>(&self, stream: &mut W) {
        let mut bytes = Vec::new();
        loop {
            for frame in lock(&self.frames).drain(..) {
                push_header(&mut bytes, &frame.encode());
            }
            if bytes.is_empty() {
                self.filled.notified().await;
                continue;
            }
            let written = async {
                stream.write_all(&bytes).await?;
                stream.flush().await
            };
            if let Err(error) = written.await {
                tracing::debug!(%error, "a getter's stream takes nothing more");
                return std::future::pending().await;
            }
            bytes.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_of_one_request_replace_each_other() {
        let outbox = Outbox::default();
        (1..=1000).for_each(|bytes| outbox.receipt(7, bytes));
        outbox.receipt(8, 1);
        let frames = lock(&outbox.frames);
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[0], GetterFrame::Receipt { request: 7, drained_bytes: 1000 });
    }
}
