//! Reads from a socket in large pieces while much is waiting there.
//!
//! What lies above it asks for 8 KiB at a time, which would be a system call for each half of a frame. A connection on
//! which little happens takes no memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{AsyncRead, AsyncWrite};
use mesh_proto::limits::READ_AHEAD_BYTES;

/// A stream that is read in large pieces. Writes go straight through.
pub(crate) struct ReadAhead<S> {
    stream: S,
    /// The last read gave all that was asked for: there may be more.
    is_busy: bool,
    /// Empty while it is not.
    ahead: Vec<u8>,
    given: usize,
    filled: usize,
}

impl<S> ReadAhead<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, is_busy: false, ahead: Vec::new(), given: 0, filled: 0 }
    }

    fn rest(&mut self) {
        self.is_busy = false;
        self.ahead = Vec::new();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.given == this.filled && !(this.is_busy && out.len() < READ_AHEAD_BYTES) {
            let read = Pin::new(&mut this.stream).poll_read(context, out);
            match &read {
                Poll::Ready(Ok(count)) if *count > 0 && *count == out.len() => this.is_busy = true,
                _ => this.rest(),
            }
            return read;
        }
        if this.given == this.filled {
            this.ahead.resize(READ_AHEAD_BYTES, 0);
            (this.given, this.filled) = (0, 0);
            match Pin::new(&mut this.stream).poll_read(context, &mut this.ahead) {
                Poll::Ready(Ok(count)) => this.filled = count,
                // Nobody knows when more comes.
                other => {
                    this.rest();
                    return other;
                }
            }
        }
        let count = out.len().min(this.filled - this.given);
        out[..count].copy_from_slice(&this.ahead[this.given..this.given + count]);
        this.given += count;
        if this.given == this.filled && this.filled < this.ahead.len() {
            this.rest();
        }
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{AsyncReadExt as _, FutureExt as _};
    use proptest::prelude::*;

    /// Gives bytes in portions; an empty portion is a moment in which there are none. Counts how often it was asked.
    struct Portions {
        portions: Vec<Vec<u8>>,
        asked: usize,
    }

    impl AsyncRead for Portions {
        fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
            let this = self.get_mut();
            this.asked += 1;
            let Some(portion) = this.portions.first_mut() else { return Poll::Ready(Ok(0)) };
            let count = portion.len().min(out.len());
            out[..count].copy_from_slice(&portion[..count]);
            portion.drain(..count);
            let was_empty = count == 0;
            if portion.is_empty() {
                this.portions.remove(0);
            }
            if was_empty {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Ok(count))
        }
    }

    fn reader(portions: Vec<Vec<u8>>) -> ReadAhead<Portions> {
        ReadAhead::new(Portions { portions, asked: 0 })
    }

    #[test]
    fn what_waits_is_read_in_few_calls_and_no_memory_stays() {
        let mut reader = reader(vec![vec![1; 1 << 20]]);
        let mut piece = [0; 8192];
        let mut count = 0;
        while count < 1 << 20 {
            count += reader.read(&mut piece).now_or_never().unwrap().unwrap();
        }
        assert!(reader.stream.asked < 20, "{} calls", reader.stream.asked);
        assert_eq!(reader.read(&mut piece).now_or_never().unwrap().unwrap(), 0, "its end is an end");
        assert_eq!(reader.ahead.capacity(), 0);
    }

    proptest! {
        #[test]
        fn the_same_bytes_come_however_they_are_asked_for(
            portions in proptest::collection::vec(0..200_000_usize, 0..8),
            pieces in proptest::collection::vec(1..100_000_usize, 1..8),
        ) {
            let bytes: Vec<u8> = (0..portions.iter().sum::<usize>()).map(|at| (at % 251) as u8).collect();
            let mut rest = bytes.as_slice();
            let portions: Vec<Vec<u8>> = portions
                .iter()
                .map(|length| {
                    let (portion, more) = rest.split_at(*length);
                    rest = more;
                    portion.to_vec()
                })
                .collect();
            let mut reader = reader(portions);
            let mut came = Vec::new();
            for length in pieces.iter().cycle() {
                let mut piece = vec![0; *length];
                let count = futures::executor::block_on(reader.read(&mut piece)).unwrap();
                if count == 0 {
                    break;
                }
                came.extend_from_slice(&piece[..count]);
            }
            prop_assert_eq!(came, bytes);
            prop_assert_eq!(reader.ahead.capacity(), 0, "a quiet connection takes no memory");
        }
    }
}
