//! Plain HTTP/1.1, byte by byte, so that a test can send what no client library would.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its head, as it came.
    pub head: String,
    /// What follows the head; chunked bodies are put together.
    pub body: String,
}

/// Sends a request with these headers and reads the answer to its end. `Connection: close` is added.
///
/// # Panics
/// If nobody answers in HTTP.
#[must_use]
pub fn request(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    try_request(address, method, path, headers, body).unwrap_or_else(|| panic!("nobody answers at {address}"))
}

/// The same; `None` if nobody answers.
#[must_use]
pub fn try_request(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    stream.write_all(text.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    // A server that refuses may reset the connection behind its answer.
    let _ = stream.read_to_end(&mut bytes);
    (!bytes.is_empty()).then(|| parse(&bytes))
}

/// Sends bytes as they stand, and gives back all that came until the server closed the connection.
///
/// # Panics
/// If nobody listens there, or the connection stays open for longer than a moment.
#[must_use]
pub fn exchange(address: &str, bytes: &[u8]) -> String {
    let mut wire = Wire::open(address);
    // A server that refuses may close before it has read all.
    let _ = wire.send(bytes);
    String::from_utf8_lossy(&wire.rest(TIMEOUT)).into_owned()
}

/// The answers in what came, each by its status.
#[must_use]
pub fn statuses(text: &str) -> Vec<u16> {
    let after = text.split("HTTP/1.").skip(1);
    after.filter_map(|answer| answer.split_whitespace().nth(1)?.parse().ok()).collect()
}

/// A connection on which nothing is sent or read but what a test says.
#[derive(Debug)]
pub struct Wire(TcpStream);

impl Wire {
    /// # Panics
    /// If nobody listens there.
    #[must_use]
    pub fn open(address: &str) -> Self {
        Self(TcpStream::connect(address).unwrap_or_else(|error| panic!("nobody listens at {address}: {error}")))
    }

    /// Whether the system took all of it.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// How often a part could be sent before the other end had enough; nothing is read meanwhile.
    pub fn send_until_refused(&mut self, part: &[u8], parts_max: usize) -> usize {
        let _ = self.0.set_write_timeout(Some(TIMEOUT));
        (0..parts_max).take_while(|_| self.send(part)).count()
    }

    /// What came first, if anything did within `limit`.
    pub fn first(&mut self, limit: Duration) -> Vec<u8> {
        let _ = self.0.set_read_timeout(Some(limit));
        let mut bytes = vec![0; 1 << 16];
        let count = self.0.read(&mut bytes).unwrap_or(0);
        bytes.truncate(count);
        bytes
    }

    /// All that came until the other end closed.
    ///
    /// # Panics
    /// If it does not close once nothing came for `silence_max`.
    #[must_use]
    pub fn rest(&mut self, silence_max: Duration) -> Vec<u8> {
        let _ = self.0.set_read_timeout(Some(silence_max));
        let mut bytes = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut bytes) {
            let waits = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            assert!(!waits, "the connection is still open after: {:?}", String::from_utf8_lossy(&bytes));
        }
        bytes
    }
}

fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP answer: {text:?}"));
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).expect("an answer has a status");
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(body) } else { body.to_owned() };
    Answer { status, head: head.to_owned(), body }
}

fn unchunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        let Some(part) = rest.get(..length).filter(|part| !part.is_empty()) else { break };
        out.push_str(part);
        body = rest.get(length + 2..).unwrap_or_default();
    }
    out
}
