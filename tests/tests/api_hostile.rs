//! Calls to the control API that no honest program would make: refused, said once in the log, and told nothing.

use std::time::Duration;

use mesh_tests::http::{self, Wire, statuses};
use mesh_tests::{Folder, TestNode, files, json};

const MIB: usize = 1 << 20;

/// A node that shares a file whose name nobody else should hear, and what its refusals must never say.
struct Stage {
    _folder: Folder,
    node: TestNode,
    address: String,
    token: String,
    secrets: Vec<String>,
}

fn stage() -> Stage {
    let folder = Folder::new();
    let mut node = TestNode::on_loopback(&folder.path("node")).with_variable("MESH_LOG", "info,mesh_node=trace");
    node.up();
    let file = folder.path("unheard-of-name");
    files::write_random(&file, 100_000, 3);
    let shared = node.run(&["share", &file.to_string_lossy()]);
    let (address, token) = node.api();
    let text = |value: &str| value.to_owned();
    let mut secrets = vec![token.clone(), text("unheard-of-name"), node.id()];
    secrets.push(text(json::text(&shared, "content_id")));
    secrets.push(node.data().to_string_lossy().into_owned());
    Stage { _folder: folder, node, address, token, secrets }
}

impl Stage {
    /// A head up to the empty line, with our host, and the token if `admitted`.
    fn head(&self, line: &str, admitted: bool) -> String {
        let token = if admitted { format!("Authorization: Bearer {}\r\n", self.token) } else { String::new() };
        format!("{line}\r\nHost: {}\r\nConnection: close\r\n{token}", self.address)
    }

    /// All that came back for these bytes; none of it is a secret.
    fn said(&self, bytes: &[u8]) -> String {
        let said = http::exchange(&self.address, bytes);
        let shown = String::from_utf8_lossy(bytes).chars().take(300).collect::<String>();
        for secret in &self.secrets {
            assert!(!said.contains(secret.as_str()), "{shown:?} was told {secret:?}: {said}");
        }
        assert!(!said.to_lowercase().contains("access-control-"), "{shown:?} is open to web pages: {said}");
        said
    }

    /// The one answer's status.
    fn status(&self, bytes: &[u8]) -> u16 {
        let said = self.said(bytes);
        let [status] = statuses(&said)[..] else {
            panic!("{:?} got not one answer: {said:?}", String::from_utf8_lossy(bytes));
        };
        status
    }

    /// Nothing that was sent has stopped it or changed its limit, and it still answers.
    fn assert_unharmed(&self) {
        assert_eq!(json::number(&self.node.status(), "limit_up_bytes_per_s"), 0);
    }
}

/// Request lines that a careless server takes for a route.
const TRICKS: [&str; 27] = [
    "GET //v1/contents HTTP/1.1",
    "GET /v1//contents HTTP/1.1",
    "GET /v1/contents/ HTTP/1.1",
    "GET /v1/./contents HTTP/1.1",
    "GET /v1/../v1/contents HTTP/1.1",
    "GET /v1/%2e%2e/v1/contents HTTP/1.1",
    "GET /v1%2fcontents HTTP/1.1",
    "GET /%76%31/contents HTTP/1.1",
    "GET /V1/CONTENTS HTTP/1.1",
    "GET /v1/contents;x=1 HTTP/1.1",
    "GET /v1/contents%00 HTTP/1.1",
    "GET /v1/contents%0d%0aX:1 HTTP/1.1",
    "GET \\v1\\contents HTTP/1.1",
    "GET ../../api.token HTTP/1.1",
    "GET /../../../../etc/passwd HTTP/1.1",
    "GET /v1/..%2f..%2fapi.token HTTP/1.1",
    "GET /api.token HTTP/1.1",
    "GET * HTTP/1.1",
    "POST /v1/contents/..%2f..%2fidentity/pin HTTP/1.1",
    "POST /v1/contents/%ff/pin HTTP/1.1",
    "DELETE /v1/contents/%2e%2e HTTP/1.1",
    "PUT /v1/limit HTTP/1.1",
    "PATCH /v1/limit HTTP/1.1",
    "OPTIONS /v1/limit HTTP/1.1",
    "TRACE /v1/limit HTTP/1.1",
    "get /v1/contents HTTP/1.1",
    "BREW /v1/contents HTTP/1.1",
];

#[test]
fn tricks_with_paths_and_methods_reach_no_route() {
    let stage = stage();
    for line in TRICKS {
        let status = stage.status(format!("{}\r\n", stage.head(line, false)).as_bytes());
        assert!([400, 401].contains(&status), "{line} without the token: {status}");
        let status = stage.status(format!("{}\r\n", stage.head(line, true)).as_bytes());
        assert!([400, 404, 405].contains(&status), "{line} with the token: {status}");
    }
    // A control character in the line, and what is not HTTP/1.
    let rest = stage.head("", true);
    for line in ["GET /v1/contents\0 HTTP/1.1", "GET /v1/con\ttents HTTP/1.1", "GET /v1/contents HTTP/2.0", "PRI *"] {
        assert_eq!(stage.status(format!("{line}{rest}\r\n").as_bytes()), 400, "{line:?}");
    }
    stage.assert_unharmed();
}

#[test]
fn a_target_that_names_its_host_must_name_ours() {
    let stage = stage();
    let own = format!("GET http://{}/v1/openapi.json HTTP/1.1", stage.address);
    assert_eq!(stage.status(format!("{}\r\n", stage.head(&own, true)).as_bytes()), 200);
    assert_eq!(stage.status(format!("{}\r\n", stage.head(&own, false)).as_bytes()), 401);
    for foreign in ["http://evil.example", "https://localhost:1", "http://u@127.0.0.1"] {
        let line = format!("GET {foreign}/v1/openapi.json HTTP/1.1");
        assert_eq!(stage.status(format!("{}\r\n", stage.head(&line, true)).as_bytes()), 403, "{line}");
    }
    let tunnel = stage.head("CONNECT evil.example:443 HTTP/1.1", true);
    assert_eq!(stage.status(format!("{tunnel}\r\n").as_bytes()), 403);
    let bare = format!("GET /v1/openapi.json HTTP/1.0\r\nAuthorization: Bearer {}\r\n\r\n", stage.token);
    assert_eq!(stage.status(bare.as_bytes()), 403, "no host at all");
    stage.assert_unharmed();
}

#[test]
fn heads_with_two_meanings_are_refused() {
    let stage = stage();
    let head = stage.head("POST /v1/limit HTTP/1.1", true);
    let body = "{\"up_bytes_per_s\":7}";
    for (extra, expected) in [
        ("Host: evil.example\r\n", 403),
        ("Authorization: Bearer x\r\n", 401),
        ("Origin: http://evil.example\r\n", 403),
        ("Origin: null\r\nOrigin: null\r\n", 403),
        ("X: a\r\n b\r\n", 400),
        ("X : a\r\n", 400),
        ("X\0: a\r\n", 400),
        ("X: a\0b\r\n", 400),
        ("Content-Length: 20\r\nContent-Length: 21\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: +20\r\n", 400),
        ("Content-Length: 20, 20\r\n", 400),
        ("Content-Length: 99999999999999999999999\r\n", 400),
        ("Transfer-Encoding: gzip\r\n", 400),
        ("Transfer-Encoding: chunked, gzip\r\n", 400),
    ] {
        let status = stage.status(format!("{head}{extra}\r\n{body}").as_bytes());
        assert_eq!(status, expected, "{extra:?}");
    }
    let old = head.replace("HTTP/1.1", "HTTP/1.0");
    let status = stage.status(format!("{old}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
    assert_eq!(status, 400, "HTTP/1.0 knows no chunks");
    for chunks in ["fffffffffffffffffff\r\n", "-1\r\n", "2\r\n{}ZZ0\r\n\r\n", "zz\r\n{}\r\n0\r\n\r\n"] {
        let status = stage.status(format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}").as_bytes());
        assert!([400, 413].contains(&status), "{chunks:?}: {status}");
    }
    stage.assert_unharmed();
}

/// Whatever the first request makes of the bytes behind it, they are no call unless they show the token themselves, and
/// none at all behind a refusal.
#[test]
fn what_stands_behind_a_refused_call_is_not_read() {
    let stage = stage();
    let kept = |admitted| stage.head("POST /v1/gc HTTP/1.1", admitted).replace("Connection: close\r\n", "");
    let stop = format!("{}\r\n", stage.head("POST /v1/stop HTTP/1.1", true));
    let unshown = format!("{}\r\n", stage.head("POST /v1/stop HTTP/1.1", false));
    assert_eq!(stage.status(format!("{}\r\n{stop}", kept(false)).as_bytes()), 401);
    assert_eq!(stage.status(format!("{}Content-Length: 3\r\n\r\n{{}} {stop}", kept(false)).as_bytes()), 401);
    let two = stage.said(format!("{}\r\n{unshown}", kept(true)).as_bytes());
    assert_eq!(statuses(&two), [200, 401], "{two}");
    // By its length the body is empty, by its chunks it ends before the second request, or the other way round.
    for lengths in
        ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 0"]
    {
        let two = stage.said(format!("{}{lengths}\r\n\r\n0\r\n\r\n{unshown}", kept(true)).as_bytes());
        assert!(!statuses(&two)[1..].iter().any(|status| (200..300).contains(status)), "{lengths}: {two}");
    }
    stage.assert_unharmed();
}

#[test]
fn heads_too_long_are_refused() {
    let stage = stage();
    let head = stage.head("GET /v1/openapi.json HTTP/1.1", true);
    // Twice the limit and more: what is read in one go is looked at as a whole.
    let long = format!("X: {}\r\n", "x".repeat(80 << 10));
    let many: String = (0..200).map(|number| format!("X-{number}: x\r\n")).collect();
    for extra in [long, many, "X: y\r\n".repeat(200)] {
        assert_eq!(stage.status(format!("{head}{extra}\r\n").as_bytes()), 431, "{:.20}", extra);
    }
    let endless = format!("GET /{} HTTP/1.1", "v1/".repeat(30_000));
    let status = stage.status(format!("{}\r\n", stage.head(&endless, true)).as_bytes());
    assert!([414, 431].contains(&status), "{status}");
    stage.assert_unharmed();
}

#[test]
fn bodies_too_long_are_refused_before_they_come() {
    let stage = stage();
    let head = |admitted| stage.head("POST /v1/share HTTP/1.1", admitted);
    for (admitted, expected) in [(false, 401), (true, 413)] {
        // Not one byte of it is sent: who waited for it would have to wait for ever.
        let declared = format!("{}Content-Length: 1099511627776\r\n\r\n", head(admitted));
        assert_eq!(stage.status(declared.as_bytes()), expected);
        let mut wire = Wire::open(&stage.address);
        assert!(wire.send(format!("{}Transfer-Encoding: chunked\r\n\r\n", head(admitted)).as_bytes()));
        let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
        let sent = wire.send_until_refused(&chunk, 4096);
        // What the system keeps between the two ends is sent as well.
        assert!(sent * chunk.len() < 32 * MIB, "{sent} chunks were taken, admitted: {admitted}");
    }
    stage.assert_unharmed();
}

/// Also with everything logged: neither the token, nor what was shown instead, nor what was asked.
#[test]
fn refusals_are_logged_a_few_times_and_say_nothing_of_what_was_asked() {
    let mut stage = stage();
    for number in 0..300 {
        let line = format!("GET /v1/status?asked-in-vain={number} HTTP/1.1");
        let wrong = format!("{}Authorization: Bearer shown-in-vain\r\n\r\n", stage.head(&line, false));
        assert_eq!(stage.status(wrong.as_bytes()), 401);
        let foreign = format!("{}Origin: http://evil.example\r\n\r\n", stage.head(&line, true));
        assert_eq!(stage.status(foreign.as_bytes()), 403);
        assert_eq!(stage.status(b"not-http\r\n\r\n"), 400);
    }
    let said = "the control API refused a call";
    let log = mesh_tests::wait::until("refusals in the log", Duration::from_secs(10), || {
        Some(stage.node.process().log()).filter(|log| log.contains(said))
    });
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(said)).collect();
    assert!((3..=10).contains(&lines.len()), "{lines:#?}");
    assert!(lines.iter().all(|line| line.contains("WARN")), "{lines:#?}");
    for unsaid in [stage.token.as_str(), "in-vain", "evil.example", "not-http"] {
        assert!(!log.contains(unsaid), "the log says {unsaid:?}");
    }
    stage.assert_unharmed();
}
