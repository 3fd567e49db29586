//! The whole API over a real socket, in front of a stub: guard, routes, document, events, metrics, stop.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use mesh_proto::port::user::{ErrorKind, UserError};
use mesh_proto::port::{Event, UserCommand, UserReply};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::broadcast;

use super::routes::{Action, Place, ROUTES};
use super::{Backend, Client, PendingReply, Server, openapi, samples};

const TOKEN: &str = "0123456789abcdef";

struct Stub {
    events: broadcast::Sender<Event>,
}

impl Backend for Stub {
    fn request(&self, command: UserCommand) -> PendingReply<'_> {
        Box::pin(async move {
            match command {
                UserCommand::Status => UserReply::Status(Box::new(samples::status())),
                UserCommand::List => UserReply::Contents(Vec::new()),
                UserCommand::Get { .. } => {
                    UserReply::Failed(UserError::new(ErrorKind::NoSpace, "the disk is full", "make room"))
                }
                _ => UserReply::Done,
            }
        })
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

struct Stage {
    server: Server,
    events: broadcast::Sender<Event>,
    client: Client,
    _folder: tempfile::TempDir,
}

async fn stage() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("api.token"), format!("{TOKEN}\n")).unwrap();
    let events = broadcast::Sender::new(16);
    let stub = Arc::new(Stub { events: events.clone() });
    let server = Server::start(stub, folder.path(), SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let client = Client::new(server.address(), TOKEN.to_owned());
    Stage { server, events, client, _folder: folder }
}

/// Sends a request as it stands and returns the status and the rest.
async fn raw(address: SocketAddr, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses a long body may close before it has read all of it.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, answer)
}

#[tokio::test]
async fn no_route_answers_without_the_guard() {
    let stage = stage().await;
    let address = stage.server.address();
    let mut heads: Vec<String> = Vec::new();
    for route in ROUTES {
        let path = route.path.replace("{content}", &"ab".repeat(32));
        heads.extend(["GET", "POST", "DELETE", "PUT", "OPTIONS"].map(|method| format!("{method} {path} HTTP/1.1")));
    }
    heads.extend(["GET / HTTP/1.1", "GET /v1/missing HTTP/1.1", "POST /v1/../v1/stop HTTP/1.1"].map(str::to_owned));
    for head in heads {
        let own = format!("{head}\r\nhost: {address}");
        assert_eq!(raw(address, &own, "").await.0, 401, "{head}");
        assert_eq!(raw(address, &format!("{own}\r\nauthorization: Bearer wrong"), "").await.0, 401, "{head}");
        let foreign = format!("{head}\r\nhost: evil.example\r\nauthorization: Bearer {TOKEN}");
        assert_eq!(raw(address, &foreign, "").await.0, 403, "{head}");
        let page = format!("{own}\r\norigin: http://evil.example\r\nauthorization: Bearer {TOKEN}");
        assert_eq!(raw(address, &page, "").await.0, 403, "{head}");
    }
    let stopped = tokio::time::timeout(std::time::Duration::from_millis(1), stage.server.stop_asked()).await;
    assert!(stopped.is_err(), "a call that was refused has stopped the node");
    stage.server.close().await;
}

#[tokio::test]
async fn with_the_token_unknown_routes_and_methods_are_told_apart() {
    let stage = stage().await;
    let address = stage.server.address();
    let head = |line: &str| format!("{line} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}");
    assert_eq!(raw(address, &head("GET /v1/missing"), "").await.0, 404);
    assert_eq!(raw(address, &head("DELETE /v1/status"), "").await.0, 405);
    let (status, answer) = raw(address, &head("POST /v1/share"), "{}").await;
    assert!(status == 400 && answer.contains("missing"), "{answer}");
    let (status, answer) = raw(address, &head("POST /v1/contents/zz/pin"), "").await;
    assert!(status == 400 && answer.contains("an id has 64 hex digits"), "{answer}");
    assert_eq!(raw(address, &head("POST /v1/share"), &" ".repeat(1024 * 1024 + 1)).await.0, 413);
    let get = r#"{"ticket":"mesh:x","target":"/tmp/x"}"#;
    let (status, answer) = raw(address, &head("POST /v1/get"), get).await;
    assert!(status == 507 && answer.contains("\"no_space\"") && answer.contains("make room"), "{answer}");
    stage.server.close().await;
}

#[tokio::test]
async fn every_documented_operation_has_a_handler_and_the_reverse() {
    let stage = stage().await;
    let address = stage.server.address();
    let document = openapi::document();
    let mut documented = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            documented.insert((method.to_uppercase(), path.clone()));
            let target = path.replace("{content}", &"ab".repeat(32));
            if operation["operationId"] == "events" {
                continue;
            }
            let head = format!(
                "{} {target} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}",
                method.to_uppercase()
            );
            let (status, answer) = raw(address, &head, "").await;
            let required = operation["requestBody"]["required"] == true;
            assert_eq!(status, if required { 400 } else { 200 }, "{method} {path}: {answer}");
        }
    }
    let handled: BTreeSet<_> =
        ROUTES.iter().map(|route| (route.method.as_str().to_owned(), route.path.to_owned())).collect();
    assert_eq!(handled, documented);
    assert_eq!(handled.len(), ROUTES.len(), "a route stands twice in the table");
    stage.server.close().await;
}

#[test]
fn the_document_refers_only_to_what_it_has() {
    let document = openapi::document();
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "there is no schema {name:?}");
    }
    let operations: BTreeSet<&str> = ROUTES.iter().map(|route| route.operation).collect();
    assert_eq!(operations.len(), ROUTES.len(), "an operation id stands twice");
    for route in ROUTES {
        let in_path = route.path.matches('{').count();
        let declared = route.parameters.iter().filter(|parameter| parameter.place == Place::Path).count();
        assert_eq!(in_path, declared, "{}", route.path);
        let with_body = route.parameters.iter().any(|parameter| parameter.place == Place::Body);
        assert!(!with_body || matches!(route.action, Action::Command { .. }), "{}", route.path);
    }
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(schemas["status"]["properties"]["member"]["anyOf"][1], serde_json::json!({ "type": "null" }));
}

#[tokio::test]
async fn the_client_reads_replies_refusals_and_events() {
    let stage = stage().await;
    let status = stage.client.request(&UserCommand::Status).await.unwrap();
    assert_eq!(status, UserReply::Status(Box::new(samples::status())));
    assert_eq!(stage.client.request(&UserCommand::List).await.unwrap(), UserReply::Contents(Vec::new()));
    assert_eq!(stage.client.request(&UserCommand::Gc).await.unwrap(), UserReply::Done);
    let command = UserCommand::Get {
        ticket: "mesh:x".into(),
        target: "/x".into(),
        seed_seconds: None,
        class: mesh_proto::bulk::TrafficClass::Public,
        priority: 1,
    };
    let refused = stage.client.request(&command).await.unwrap();
    assert!(
        matches!(refused, UserReply::Failed(error) if error.kind == ErrorKind::NoSpace && error.cure == "make room")
    );
    let mut events = stage.client.events().await.unwrap();
    assert_eq!(stage.server.callers(), 1);
    let event = Event::Warning { message: "line\nbreak".into() };
    stage.events.send(event.clone()).unwrap();
    assert_eq!(events.next().await, Some(event));
    stage.server.close().await;
    assert_eq!(events.next().await, None, "closing ends the stream");
}

#[tokio::test]
async fn a_wrong_token_is_an_error_and_stop_is_heard() {
    let stage = stage().await;
    let stranger = Client::new(stage.server.address(), "wrong".into());
    let reply = stranger.request(&UserCommand::Status).await.unwrap();
    assert!(matches!(reply, UserReply::Failed(error) if error.kind == ErrorKind::Denied));
    assert!(stranger.stop().await.is_err());
    stage.client.stop().await.unwrap();
    stage.server.stop_asked().await;
    stage.server.close().await;
}

#[tokio::test]
async fn metrics_come_with_their_content_type() {
    let stage = stage().await;
    let address = stage.server.address();
    let head = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}");
    let (status, answer) = raw(address, &head, "").await;
    assert_eq!(status, 200);
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{answer}");
    assert!(answer.trim_end().ends_with("# EOF"), "{answer}");
    stage.server.close().await;
}

#[tokio::test]
async fn the_address_stands_in_the_folder_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let backend = || Arc::new(Stub { events: broadcast::Sender::new(1) });
    assert!(Server::start(backend(), folder.path(), listen).await.is_err(), "there is no token");
    std::fs::write(folder.path().join("api.token"), TOKEN).unwrap();
    let outside = SocketAddr::from(([0, 0, 0, 0], 0));
    assert!(Server::start(backend(), folder.path(), outside).await.is_err(), "it would listen to strangers");
    let server = Server::start(backend(), folder.path(), listen).await.unwrap();
    let file = folder.path().join("api.address");
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), server.address().to_string());
    assert!(Client::find(folder.path()).await.is_none(), "nobody holds the folder: the token is not shown");
    server.close().await;
    assert!(!file.exists());
}

#[test]
fn answers_are_plain_views() {
    let answer = super::call::answer_of(UserReply::Contents(Vec::new())).unwrap();
    assert_eq!((answer.reply.as_str(), answer.view), ("contents", Value::Array(Vec::new())));
}
