//! Control messages: one stream per direction and connection, opened by the side that sends on it.
//!
//! Invariant: a connection whose control stream can't be opened, or ends, is closed; so a message that was not
//! delivered is always followed by a `Disconnected`.
//!
//! Closing on purpose begins with the end of one's own control stream; the peer closes the connection once it has read
//! to that end. Closing at once instead would let TCP throw away what the peer has not read yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{AsyncWriteExt, io};
use mesh_proto::limits::{CONTROL_OUTBOX_BYTES_MAX, CONTROL_OUTBOX_FRAMES_MAX};
use mesh_proto::message::{Frame, Message};
use mesh_proto::port::NetInput;
use tokio::sync::mpsc;

use crate::connection::{Connection, Counted};
use crate::framing::{ReadEnd, push_control, read_control};
use crate::streams::{CONTROL, OpenError, Stream};

/// Messages are gathered up to so many bytes before they are written.
const BATCH_BYTES: usize = 64 * 1024;

/// Where messages to a peer wait. Dropping it ends the control stream once they are written.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    frames: mpsc::Sender<Vec<u8>>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// Where they come out, encoded.
#[derive(Debug)]
pub(crate) struct Waiting {
    frames: mpsc::Receiver<Vec<u8>>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// An empty outbox, and where what is put into it comes out.
pub(crate) fn outbox() -> (Outbox, Waiting) {
    let (sender, frames) = mpsc::channel(CONTROL_OUTBOX_FRAMES_MAX);
    let waiting_bytes = Arc::new(AtomicUsize::new(0));
    (Outbox { frames: sender, waiting_bytes: Arc::clone(&waiting_bytes) }, Waiting { frames, waiting_bytes })
}

impl Outbox {
    /// Puts a message in; `false` if too much waits already. Nobody misses what a stream that ended does not take.
    #[must_use]
    pub(crate) fn put(&self, message: &Message) -> bool {
        let mut frame = Vec::new();
        if !push_control(&mut frame, &message.encode_frame()) {
            tracing::error!(message = message.name(), "a message of ours is too long to send");
            return true;
        }
        let bytes = frame.len();
        if self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > CONTROL_OUTBOX_BYTES_MAX {
            return false;
        }
        !matches!(self.frames.try_send(frame), Err(mpsc::error::TrySendError::Full(_)))
    }
}

impl Waiting {
    async fn next(&mut self) -> Option<Vec<u8>> {
        let frame = self.frames.recv().await;
        self.note_taken(frame)
    }

    fn next_now(&mut self) -> Option<Vec<u8>> {
        let frame = self.frames.try_recv().ok();
        self.note_taken(frame)
    }

    fn note_taken(&self, frame: Option<Vec<u8>>) -> Option<Vec<u8>> {
        frame.inspect(|frame| {
            self.waiting_bytes.fetch_sub(frame.len(), Ordering::Relaxed);
        })
    }
}

/// Writes what is put into the outbox. When the outbox is dropped, writes the rest and ends the stream.
pub(crate) async fn send_messages(connection: Arc<Connection>, mut waiting: Waiting) {
    let stream = tokio::select! {
        () = connection.closed() => return,
        stream = connection.opener.open(CONTROL) => stream,
    };
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(OpenError::Gone) => return,
        Err(error) => return connection.close(format!("no control stream: {error}")).await,
    };
    connection.control_ready.store(true, Ordering::Relaxed);
    let written = tokio::select! {
        () = connection.closed() => return,
        written = write_all(&mut stream, &mut waiting) => written,
    };
    if let Err(error) = written {
        connection.close(format!("the control stream broke: {error}")).await;
    }
}

async fn write_all(stream: &mut Stream, waiting: &mut Waiting) -> io::Result<()> {
    let mut batch = Vec::new();
    while let Some(first) = waiting.next().await {
        let mut next = Some(first);
        while let Some(frame) = next {
            batch.extend_from_slice(&frame);
            next = if batch.len() < BATCH_BYTES { waiting.next_now() } else { None };
        }
        stream.write_all(&batch).await?;
        stream.flush().await?;
        batch.clear();
    }
    stream.close().await
}

/// Reads messages until the stream ends, which ends the connection.
pub(crate) async fn receive_messages(connection: Arc<Connection>, mut stream: Stream, _counted: Counted) {
    let end = tokio::select! {
        () = connection.closed_for_long() => return,
        end = read_all(&connection, &mut stream) => end,
    };
    match end {
        ReadEnd::Gone(why) => connection.close(format!("the peer closed its control stream: {why}")).await,
        ReadEnd::Malformed(why) => connection.fault(why).await,
    }
}

async fn read_all(connection: &Connection, stream: &mut Stream) -> ReadEnd {
    let (id, node) = (connection.id, connection.node);
    let mut frame = Vec::new();
    loop {
        if let Err(end) = read_control(stream, &mut frame).await {
            return end;
        }
        let input = match Message::decode_frame(&frame) {
            Ok(Frame::Known(message)) => NetInput::Received { connection: id, node, message },
            Ok(Frame::Unknown(number)) => NetInput::UnknownMessage { connection: id, node, number },
            Err(error) => return ReadEnd::Malformed(error.to_string()),
        };
        connection.report(input).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::extensions::Extensions;
    use mesh_proto::message::{Bye, PageReply};
    use mesh_proto::{ContentId, PageId};

    #[tokio::test]
    async fn what_waits_for_a_peer_is_bounded_in_bytes() {
        let (content, page, bytes) = (ContentId([0; 32]), PageId([0; 32]), Some(vec![0; 60_000]));
        let message = Message::PageReply(PageReply { content, page, bytes, extensions: Extensions::default() });
        let (outbox, _waiting) = outbox();
        let fit = (0..).take_while(|_| outbox.put(&message)).count();
        assert_eq!(fit, CONTROL_OUTBOX_BYTES_MAX / 60_100);
    }

    #[tokio::test]
    async fn what_was_taken_makes_room() {
        let bye = Message::Bye(Bye { reason: String::new(), extensions: Extensions::default() });
        let (outbox, mut waiting) = outbox();
        for _ in 0..10 * CONTROL_OUTBOX_FRAMES_MAX {
            assert!(outbox.put(&bye));
            assert!(waiting.next().await.is_some());
        }
        assert_eq!(outbox.waiting_bytes.load(Ordering::Relaxed), 0);
    }
}
