//! When the last byte came from a peer, and waiting that goes on while bytes come.
//!
//! On a link of a few kbit/s one frame takes a minute, and whatever is asked meanwhile is answered behind it. So what
//! waits for a peer here gives up after silence, never after a time on the clock.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// When the last byte came.
#[derive(Debug)]
pub(crate) struct Pulse {
    born: Instant,
    /// Finer than any answer is fast: rounded down, one that came at once would lie before its question.
    last_ns: AtomicU64,
}

impl Pulse {
    /// Counts from now.
    pub(crate) fn new() -> Self {
        Self { born: Instant::now(), last_ns: AtomicU64::new(0) }
    }

    /// Notes that a byte came.
    pub(crate) fn beat(&self) {
        let now_ns = u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last_ns.store(now_ns, Ordering::Relaxed);
    }

    /// When the last byte came.
    pub(crate) fn last(&self) -> Instant {
        self.born + Duration::from_nanos(self.last_ns.load(Ordering::Relaxed))
    }

    /// Returns once nothing came for so long, what was before the call not counted.
    pub(crate) async fn silent_for(&self, silence: Duration) {
        let began = Instant::now();
        loop {
            let end = self.last().max(began) + silence;
            if end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }
}

/// A stream on which each byte that comes is noted at once, and not when the frame it belongs to is whole.
#[derive(Debug)]
pub(crate) struct Beating<S> {
    inner: S,
    pulse: Arc<Pulse>,
}

impl<S> Beating<S> {
    pub(crate) fn new(inner: S, pulse: Arc<Pulse>) -> Self {
        Self { inner, pulse }
    }
}

impl Beating<libp2p::Stream> {
    /// The stream alone does not keep its connection open.
    pub(crate) fn ignore_for_keep_alive(&mut self) {
        self.inner.ignore_for_keep_alive();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Beating<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if matches!(read, Poll::Ready(Ok(1..))) {
            self.pulse.beat();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Beating<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::AsyncReadExt;
    use futures::io::Cursor;

    #[tokio::test(start_paused = true)]
    async fn a_byte_within_a_frame_is_noted() {
        let pulse = Arc::new(Pulse::new());
        let mut stream = Beating::new(Cursor::new([7u8; 3]), Arc::clone(&pulse));
        for _ in 0..3 {
            tokio::time::advance(Duration::from_secs(60)).await;
            stream.read_exact(&mut [0]).await.unwrap();
            assert_eq!(pulse.last(), Instant::now());
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(pulse.last().elapsed(), Duration::from_secs(60), "an end is no byte");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_begins_anew_with_each_byte() {
        let pulse = Arc::new(Pulse::new());
        let began = Instant::now();
        let beats = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(19)).await;
                pulse.beat();
            }
        };
        tokio::join!(beats, pulse.silent_for(Duration::from_secs(20)));
        assert_eq!(began.elapsed().as_secs(), 10 * 19 + 20);
    }
}
