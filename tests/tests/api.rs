//! The control API as another program meets it: byte by byte over TCP. Runs without root.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use mesh_tests::{Folder, Scene, TestNode, files, http};
use serde_json::Value;

fn running_node() -> (Folder, TestNode) {
    let folder = Folder::new();
    let mut node = TestNode::on_loopback(&folder.path("node"));
    node.up();
    (folder, node)
}

#[test]
fn only_the_token_opens_the_api() {
    let (_folder, node) = running_node();
    let (address, token) = node.api();
    let ask = |authorization: Option<&str>| {
        let mut headers = vec![("Host", address.as_str())];
        headers.extend(authorization.map(|value| ("Authorization", value)));
        http::request(&address, "GET", "/v1/status", &headers, "").status
    };
    assert_eq!(ask(Some(&format!("Bearer {token}"))), 200);
    assert_eq!(ask(None), 401);
    assert_eq!(ask(Some("Bearer wrong")), 401);
    assert_eq!(ask(Some(&format!("Bearer {}", &token[1..]))), 401);
}

#[test]
fn the_token_is_for_its_owner_only() {
    let (_folder, node) = running_node();
    let metadata = std::fs::metadata(node.data().join("api.token")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o077, 0);
}

#[test]
fn a_rebound_host_name_is_refused() {
    let (_folder, node) = running_node();
    let (address, token) = node.api();
    let bearer = format!("Bearer {token}");
    for host in ["evil.example", "127.0.0.1:1", "127.0.0.1", ""] {
        let headers = [("Host", host), ("Authorization", bearer.as_str())];
        let answer = http::request(&address, "GET", "/v1/status", &headers, "");
        assert!((400..500).contains(&answer.status), "Host {host:?} was answered {}", answer.status);
    }
}

#[test]
fn a_foreign_origin_is_refused() {
    let (_folder, node) = running_node();
    let (address, token) = node.api();
    let bearer = format!("Bearer {token}");
    let ask = |origin: &str| {
        let headers = [("Host", address.as_str()), ("Authorization", bearer.as_str()), ("Origin", origin)];
        http::request(&address, "GET", "/v1/status", &headers, "").status
    };
    assert_eq!(ask(&format!("http://{address}")), 200);
    assert!((400..500).contains(&ask("http://evil.example")));
    assert!((400..500).contains(&ask("null")));
}

#[test]
fn the_served_document_is_openapi_and_names_every_route() {
    let (_folder, node) = running_node();
    let answer = node.api_request("GET", "/v1/openapi.json", "");
    assert_eq!(answer.status, 200, "{answer:?}");
    let document: Value = serde_json::from_str(&answer.body).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    for path in ["/v1/status", "/v1/peers", "/v1/topology"] {
        assert!(paths.contains_key(path), "{path} is not in {:?}", paths.keys().collect::<Vec<_>>());
    }
}

#[test]
fn metrics_are_open_metrics() {
    let (_folder, node) = running_node();
    let answer = node.api_request("GET", "/metrics", "");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("openmetrics"), "{}", answer.head);
    assert!(answer.body.trim_end().ends_with("# EOF"), "{}", answer.body);
}

#[test]
fn metrics_count_what_was_fetched_and_given() {
    let scene = Scene::on_loopback(1 << 20);
    let _ = scene.fetch();
    let metric = |node: &TestNode, begin: &str, parts: &[&str]| {
        let body = node.api_request("GET", "/metrics", "").body;
        let found = body.lines().filter(|line| line.starts_with(begin) && parts.iter().all(|part| line.contains(part)));
        let values: Vec<u64> = found.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        assert!(!values.is_empty(), "no {begin} with {parts:?} in {body}");
        values.iter().sum::<u64>()
    };
    let payload = |direction| ["purpose=\"payload\"", direction];
    let received = metric(&scene.getter, "mesh_traffic_bytes_total{", &payload("direction=\"received\""));
    assert_eq!(received, 1 << 20);
    let sent = metric(scene.source(), "mesh_traffic_bytes_total{", &payload("direction=\"sent\""));
    assert_eq!(sent, 1 << 20);
    assert!(metric(&scene.getter, "mesh_events_total{", &["chunk_verified"]) > 0);
    assert_eq!(metric(&scene.getter, "mesh_contents ", &[]), 1);
}

/// The reference for what is valid: the parser that Prometheus' own Python client brings.
#[test]
fn metrics_are_valid_by_the_prometheus_client() {
    const PARSE: &str = "import sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as \
                         parse; print(len(list(parse(open(sys.argv[1]).read()))))";
    // The system's own comes second: where people put another before it, the library is often with the system's.
    let has_it = |program: &&str| {
        let output = Command::new(program).args(["-c", "import prometheus_client"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let Some(python) = ["python3", "/usr/bin/python3"].into_iter().find(has_it) else {
        eprintln!("SKIPPED: Python's prometheus_client is not installed");
        return;
    };
    let (folder, node) = running_node();
    let page = folder.path("metrics");
    std::fs::write(&page, node.api_request("GET", "/metrics", "").body).unwrap();
    let output = Command::new(python).args(["-c", PARSE, &page.to_string_lossy()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().unwrap() > 5);
}

#[test]
fn a_share_through_the_api_gives_a_ticket_that_fetches() {
    let (folder, node) = running_node();
    let file = folder.path("file");
    files::write_random(&file, 1 << 20, 7);
    let body = format!("{{\"path\": {:?}}}", file.to_string_lossy());
    let answer = node.api_request("POST", "/v1/share", &body);
    assert!((200..300).contains(&answer.status), "{answer:?}");
    let reply: Value = serde_json::from_str(&answer.body).unwrap();
    let ticket = mesh_tests::json::text(&reply, "ticket");
    let mut getter = TestNode::on_loopback(&folder.path("getter"));
    getter.up();
    let _ = getter.fetch(ticket, &folder.path("copy"));
    files::assert_same_file(&file, &folder.path("copy"));
}

#[test]
fn what_is_not_http_does_not_harm_the_node() {
    let (_folder, node) = running_node();
    let (address, _) = node.api();
    for garbage in ["\r\n\r\n", "GET", "\u{0}\u{1}\u{2}", "POST /v1/status HTTP/9.9\r\n\r\n"] {
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        stream.write_all(garbage.as_bytes()).unwrap();
    }
    let _ = node.status();
}
