//! Reusable payload buffers: memory is taken as bytes really arrive, and given back to a pool of fixed size.

use tokio::sync::mpsc;

/// Buffers one fetching stream may use at once: one being read, one being worked on, one on its way.
pub(crate) const BUFFERS_PER_STREAM: usize = 3;

/// Gives buffers out, waiting when all are in use.
pub(crate) struct BufferPool {
    free: mpsc::Receiver<Vec<u8>>,
}

/// Takes buffers back.
#[derive(Clone)]
pub(crate) struct BufferReturn {
    free: mpsc::Sender<Vec<u8>>,
}

/// A pool of [`BUFFERS_PER_STREAM`] buffers, all still empty.
pub(crate) fn pool() -> (BufferPool, BufferReturn) {
    let (sender, receiver) = mpsc::channel(BUFFERS_PER_STREAM);
    let back = BufferReturn { free: sender };
    (0..BUFFERS_PER_STREAM).for_each(|_| back.give(Vec::new()));
    (BufferPool { free: receiver }, back)
}

impl BufferPool {
    /// The next free buffer; its old bytes are still in it. `None` when nobody can give one back any more.
    pub(crate) async fn take(&mut self) -> Option<Vec<u8>> {
        self.free.recv().await
    }

    /// A free buffer, if there is one now.
    pub(crate) fn try_take(&mut self) -> Option<Vec<u8>> {
        self.free.try_recv().ok()
    }
}

impl BufferReturn {
    /// Puts a buffer back; a surplus one is simply freed.
    pub(crate) fn give(&self, buffer: Vec<u8>) {
        let _ = self.free.try_send(buffer);
    }
}
