//! The API's client: one connection per call, commands in, replies out.
//!
//! Calls have no time limit of their own: sharing a large folder may take minutes before it is answered. Only finding
//! out whether a node is there has one.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use mesh_proto::port::user::UserError;
use mesh_proto::port::{Event, UserCommand, UserReply};
use serde_json::Value;
use tokio::net::TcpStream;

use super::call::{Answer, call_of, reply_of};
use super::handlers::REPLY_HEADER;
use crate::data_folder::{api_access, running_pid};

/// How long a node may take to say that it is there.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest line of an event stream.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a call got no answer. Whether the node acted on it is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody answers.
    #[error("the running node does not answer at {address}: {source}")]
    Connect {
        /// Where it should.
        address: SocketAddr,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the running node broke: {0}")]
    Http(#[from] hyper::Error),
    /// What came is not what a node answers.
    #[error("the running node's answer makes no sense: {0}")]
    Answer(String),
}

/// A running node, seen through its API.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    token: String,
}

impl Client {
    /// A client for a known address.
    #[must_use]
    pub fn new(address: SocketAddr, token: String) -> Self {
        Self { address, token }
    }

    /// The node that runs on a data folder, if one does and answers.
    ///
    /// The token is shown only if the folder's lock is held: a node that died may have left an address behind on which
    /// by now a stranger listens.
    pub async fn find(data_folder: &Path) -> Option<Self> {
        running_pid(data_folder).ok().flatten()?;
        let access = api_access(data_folder).ok().flatten()?;
        let client = Self::new(access.address, access.token);
        let probe = tokio::time::timeout(PROBE_TIMEOUT, client.request(&UserCommand::Status)).await;
        match probe {
            Ok(Ok(_)) => Some(client),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no node answers for the data folder");
                None
            }
            Err(_) => None,
        }
    }

    /// Where the node's API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks for something.
    ///
    /// # Errors
    /// [`ClientError`] if no answer came; a refusal is a reply.
    pub async fn request(&self, command: &UserCommand) -> Result<UserReply, ClientError> {
        let call = call_of(command);
        let response = self.send(call.route.method.as_str(), &call.target, call.body).await?;
        let name = response.headers().get(REPLY_HEADER).and_then(|name| name.to_str().ok());
        let reply = name.unwrap_or(call.route.reply()).to_owned();
        let status = response.status();
        let view = body_of(response).await?;
        let nonsense = |error: serde_json::Error| ClientError::Answer(error.to_string());
        match status.is_success() {
            true => reply_of(Answer { reply, view }).map_err(nonsense),
            false => error_of(view).map(UserReply::Failed).map_err(nonsense),
        }
    }

    /// Asks the node to stop.
    ///
    /// # Errors
    /// [`ClientError`] if no answer came.
    pub async fn stop(&self) -> Result<(), ClientError> {
        let response = self.send("POST", "/v1/stop", String::new()).await?;
        match response.status().is_success() {
            true => Ok(()),
            false => Err(ClientError::Answer(format!("it refuses with status {}", response.status()))),
        }
    }

    /// Hears what happens from now on: once this returns, nothing is missed.
    ///
    /// # Errors
    /// [`ClientError`] if no stream came.
    pub async fn events(&self) -> Result<EventReader, ClientError> {
        let response = self.send("GET", "/v1/events", String::new()).await?;
        if !response.status().is_success() {
            return Err(ClientError::Answer(format!("it gives no events: status {}", response.status())));
        }
        Ok(EventReader { body: response.into_body(), buffer: Vec::new(), ready: VecDeque::new() })
    }

    /// The counters and gauges, as OpenMetrics text.
    ///
    /// # Errors
    /// [`ClientError`] if no answer came.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let response = self.send("GET", "/metrics", String::new()).await?;
        let bytes = response.into_body().collect().await?.to_bytes();
        String::from_utf8(bytes.into()).map_err(|error| ClientError::Answer(error.to_string()))
    }

    async fn send(&self, method: &str, target: &str, body: String) -> Result<Response<Incoming>, ClientError> {
        let connected = TcpStream::connect(self.address).await;
        let stream = connected.map_err(|source| ClientError::Connect { address: self.address, source })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the control API ended");
            }
        });
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, self.address.to_string())
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| ClientError::Answer(error.to_string()))?;
        Ok(sender.send_request(request).await?)
    }
}

async fn body_of(response: Response<Incoming>) -> Result<Value, ClientError> {
    let bytes = response.into_body().collect().await?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| ClientError::Answer(error.to_string()))
}

fn error_of(mut view: Value) -> Result<UserError, serde_json::Error> {
    serde_json::from_value(view.get_mut("error").map(Value::take).unwrap_or_default())
}

/// Reads events off a stream.
pub struct EventReader {
    body: Incoming,
    buffer: Vec<u8>,
    ready: VecDeque<Event>,
}

impl EventReader {
    /// The next event; `None` once the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let frame = self.body.frame().await?.ok()?;
            if let Some(bytes) = frame.data_ref() {
                self.buffer.extend_from_slice(bytes);
            }
            take_events(&mut self.buffer, &mut self.ready);
            if self.buffer.len() > EVENT_BYTES_MAX {
                return None;
            }
        }
    }
}

/// Moves complete lines out of the buffer. The server writes each event's data in one line; names repeat what the data
/// says, and comments keep the connection alive.
fn take_events(buffer: &mut Vec<u8>, ready: &mut VecDeque<Event>) {
    let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n') else {
        return;
    };
    for line in buffer[..end].split(|byte| *byte == b'\n') {
        if let Some(data) = line.strip_prefix(b"data:")
            && let Ok(event) = serde_json::from_slice(data)
        {
            ready.push_back(event);
        }
    }
    buffer.drain(..=end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let stream =
            b": listening\n\nevent: warning\ndata: {\"event\":\"warning\",\"message\":\"x\"}\n\nevent: lagged\n\
            data: {\"event\":\"lagged\",\"missed\":3}\n\ndata: {\"event\":\"listening\",\"address\":\"/ip4\"}\n\n";
        for cut in 1..stream.len() {
            let (mut buffer, mut ready) = (Vec::new(), VecDeque::new());
            for part in stream.chunks(cut) {
                buffer.extend_from_slice(part);
                take_events(&mut buffer, &mut ready);
            }
            let expected = [Event::Warning { message: "x".into() }, Event::Listening { address: "/ip4".into() }];
            assert_eq!(ready, expected);
        }
    }
}
