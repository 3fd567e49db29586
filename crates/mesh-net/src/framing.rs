//! Length-prefixed frames on a stream, read with the limit checked before memory is taken.

use std::io;

use futures::{AsyncRead, AsyncReadExt};
use mesh_proto::limits::{BULK_HEADER_BYTES_MAX, CONTROL_FRAME_BYTES_MAX};

/// Why reading from a peer ended.
#[derive(Debug)]
pub enum ReadEnd {
    /// The stream or its connection ended.
    Gone(String),
    /// What came breaks the protocol.
    Malformed(String),
}

impl From<io::Error> for ReadEnd {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Gone("end of stream".to_owned()),
            _ => Self::Gone(error.to_string()),
        }
    }
}

/// Reads one `u16 LE length | header` frame of the bulk protocol into `header`.
///
/// # Errors
/// [`ReadEnd`] if the stream ends, or announces more than a header may have.
pub async fn read_header<R: AsyncRead + Unpin>(reader: &mut R, header: &mut Vec<u8>) -> Result<(), ReadEnd> {
    let mut length = [0u8; 2];
    reader.read_exact(&mut length).await?;
    let length = usize::from(u16::from_le_bytes(length));
    if length == 0 || length > BULK_HEADER_BYTES_MAX {
        return Err(ReadEnd::Malformed(format!("a payload header of {length} bytes")));
    }
    header.resize(length, 0);
    reader.read_exact(header).await?;
    Ok(())
}

/// Appends a header with its length in front.
///
/// # Panics
/// If the header is longer than any of ours.
pub fn push_header(out: &mut Vec<u8>, header: &[u8]) {
    let length = u16::try_from(header.len()).expect("our own headers are far below 64 KiB");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(header);
}

/// Reads one `u32 LE length | frame` frame of the control protocol into `frame`.
///
/// # Errors
/// [`ReadEnd`] if the stream ends, or announces more than a frame may have.
pub async fn read_control<R: AsyncRead + Unpin>(reader: &mut R, frame: &mut Vec<u8>) -> Result<(), ReadEnd> {
    let mut length = [0u8; 4];
    reader.read_exact(&mut length).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > CONTROL_FRAME_BYTES_MAX {
        return Err(ReadEnd::Malformed(format!("a control frame of {length} bytes")));
    }
    frame.clear();
    frame.resize(length, 0);
    reader.read_exact(frame).await?;
    Ok(())
}

/// Appends a control frame with its length in front; `false` if it is longer than any peer would take.
///
/// # Panics
/// Never: the limit is below what the length can say.
#[must_use]
pub fn push_control(out: &mut Vec<u8>, frame: &[u8]) -> bool {
    if frame.len() > CONTROL_FRAME_BYTES_MAX {
        return false;
    }
    let length = u32::try_from(frame.len()).expect("the limit is below 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(frame);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::io::Cursor;

    #[tokio::test]
    async fn a_frame_is_read_as_it_was_written() {
        let mut wire = Vec::new();
        push_header(&mut wire, b"abc");
        assert!(push_control(&mut wire, b"defg"));
        let mut reader = Cursor::new(wire);
        let mut frame = Vec::new();
        read_header(&mut reader, &mut frame).await.unwrap();
        assert_eq!(frame, b"abc");
        read_control(&mut reader, &mut frame).await.unwrap();
        assert_eq!(frame, b"defg");
        assert!(matches!(read_control(&mut reader, &mut frame).await, Err(ReadEnd::Gone(_))));
    }

    #[tokio::test]
    async fn a_length_over_the_limit_is_malformed() {
        let mut frame = Vec::new();
        let mut huge = Cursor::new(vec![0xff; 8]);
        assert!(matches!(read_control(&mut huge, &mut frame).await, Err(ReadEnd::Malformed(_))));
        let mut huge = Cursor::new(vec![0xff; 8]);
        assert!(matches!(read_header(&mut huge, &mut frame).await, Err(ReadEnd::Malformed(_))));
        assert_eq!(frame.capacity(), 0);
    }
}
