//! Control messages: one stream per direction and connection, opened by the side that sends on it.
//!
//! Invariant: a connection whose control stream can't be opened, or ends, is closed; so a message that was not
//! delivered is always followed by a `Disconnected`.
//!
//! Closing on purpose begins with the end of one's own control stream; the peer closes the connection once it has read
//! to that end. Closing at once instead would let TCP throw away what the peer has not read yet.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{AsyncWriteExt, io};
use mesh_proto::message::{Frame, Message};
use mesh_proto::port::NetInput;
use tokio::sync::mpsc;

use crate::connection::{Connection, Counted};
use crate::framing::{ReadEnd, push_control, read_control};
use crate::streams::{CONTROL, OpenError, Stream};

/// Messages are gathered up to so many bytes before they are written.
const BATCH_BYTES: usize = 64 * 1024;

/// Writes what is put into the outbox. When the outbox is dropped, writes the rest and ends the stream.
pub(crate) async fn send_messages(connection: Arc<Connection>, mut outbox: mpsc::Receiver<Message>) {
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
        written = write_all(&mut stream, &mut outbox) => written,
    };
    if let Err(error) = written {
        connection.close(format!("the control stream broke: {error}")).await;
    }
}

async fn write_all(stream: &mut Stream, outbox: &mut mpsc::Receiver<Message>) -> io::Result<()> {
    let mut batch = Vec::new();
    while let Some(first) = outbox.recv().await {
        let mut next = Some(first);
        while let Some(message) = next {
            if !push_control(&mut batch, &message.encode_frame()) {
                tracing::error!(message = message.name(), "a message of ours is too long to send");
            }
            next = if batch.len() < BATCH_BYTES { outbox.try_recv().ok() } else { None };
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
