//! Callers of the control API that take their time: they are given up, and honest calls are answered meanwhile.

use std::time::{Duration, Instant};

use mesh_tests::http::{Wire, statuses};
use mesh_tests::{Folder, TestNode, wait};

/// More than the API serves at once, and than one flood would need.
const CROWD: usize = 400;
/// What the API serves at once, and what a node opens by itself meanwhile.
const OPEN_FILES_MORE_MAX: usize = 128 + 12;
/// So long the command line tries to reach a node that holds the folder; after that it fails.
const ANSWER_MAX: Duration = Duration::from_secs(15);

struct Stage {
    _folder: Folder,
    node: TestNode,
    address: String,
    head: String,
    open_files: usize,
}

fn stage() -> Stage {
    let folder = Folder::new();
    let mut node = TestNode::on_loopback(&folder.path("node"));
    node.up();
    let _ = node.status();
    let (address, token) = node.api();
    let head = format!("Host: {address}\r\nAuthorization: Bearer {token}\r\n");
    let open_files = node.process().open_files();
    Stage { _folder: folder, node, address, head, open_files }
}

impl Stage {
    /// A crowd that each send the same and then nothing, nor read.
    fn crowd(&self, count: usize, bytes: &str) -> Vec<Wire> {
        let open = |_| {
            let mut wire = Wire::open(&self.address);
            // Those who came first may be gone by now.
            let _ = wire.send(bytes.as_bytes());
            wire
        };
        (0..count).map(open).collect()
    }

    fn call(&self, line: &str, rest: &str) -> Wire {
        let mut wire = Wire::open(&self.address);
        assert!(wire.send(format!("{line} HTTP/1.1\r\n{}{rest}\r\n", self.head).as_bytes()));
        wire
    }

    /// The command line is answered, and the crowd holds no more than its bound.
    fn assert_serves(&mut self) {
        for _ in 0..3 {
            let began = Instant::now();
            let _ = self.node.status();
            assert!(began.elapsed() < ANSWER_MAX, "an honest call took {:?}", began.elapsed());
        }
        let open_files = self.node.process().open_files();
        assert!(open_files <= self.open_files + OPEN_FILES_MORE_MAX, "{open_files}, before {}", self.open_files);
    }

    fn wait_until_all_are_gone(&mut self, limit: Duration) {
        let before = self.open_files;
        wait::until("the end of all slow callers", limit, || {
            (self.node.process().open_files() <= before).then_some(())
        });
    }
}

#[test]
fn callers_who_send_no_whole_head_are_given_up_and_honest_calls_answer() {
    let mut stage = stage();
    let half = format!("GET /v1/status HTTP/1.1\r\nHost: {}\r\nX: ", stage.address);
    let mut crowds: Vec<Wire> = Vec::new();
    for bytes in ["", "G", &half] {
        crowds.extend(stage.crowd(CROWD, bytes));
        stage.assert_serves();
    }
    // One that sends a byte now and then gains nothing by it.
    let mut dribbler = Wire::open(&stage.address);
    let began = Instant::now();
    wait::until("the end of one who dribbles", Duration::from_secs(30), || {
        wait::let_pass(Duration::from_millis(200));
        (!dribbler.send(b"x")).then_some(())
    });
    assert!(began.elapsed() < Duration::from_secs(15), "it lasted {:?}", began.elapsed());
    stage.wait_until_all_are_gone(Duration::from_secs(30));
    drop(crowds);
}

#[test]
fn callers_without_the_token_who_read_nothing_are_given_up_and_honest_calls_answer() {
    let mut stage = stage();
    let refused = format!("GET /v1/status HTTP/1.1\r\nHost: {}\r\n\r\n", stage.address);
    let crowd = stage.crowd(CROWD, &refused.repeat(20));
    stage.assert_serves();
    stage.wait_until_all_are_gone(Duration::from_secs(30));
    drop(crowd);
    let body = format!("POST /v1/share HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\n", stage.address);
    let crowd = stage.crowd(CROWD, &body);
    stage.assert_serves();
    stage.wait_until_all_are_gone(Duration::from_secs(30));
    drop(crowd);
}

/// Also who has the token does not get to keep what it does not use.
#[test]
fn admitted_callers_who_send_or_read_slowly_are_given_up_and_honest_calls_answer() {
    let mut stage = stage();
    let bodies: Vec<Wire> = (0..20).map(|_| stage.call("POST /v1/share", "Content-Length: 1000\r\n")).collect();
    // Far more answers than the system keeps for one who does not read.
    let ask = format!("GET /v1/openapi.json HTTP/1.1\r\n{}\r\n", stage.head).repeat(3000);
    let address = stage.address.clone();
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (address, ask) = (address.clone(), ask.clone());
            std::thread::spawn(move || {
                let mut wire = Wire::open(&address);
                let _ = wire.send_until_refused(ask.as_bytes(), 1);
                wire
            })
        })
        .collect();
    let streams = stage.crowd(20, &format!("GET /v1/events HTTP/1.1\r\n{}\r\n", stage.head));
    stage.assert_serves();
    let readers: Vec<Wire> = readers.into_iter().map(|reader| reader.join().expect("it sends")).collect();
    for mut wire in bodies {
        let answer = String::from_utf8_lossy(&wire.rest(Duration::from_secs(45))).into_owned();
        assert_eq!(statuses(&answer), [408], "{answer}");
    }
    drop(streams);
    stage.wait_until_all_are_gone(Duration::from_secs(45));
    drop(readers);
}

#[test]
fn event_streams_nobody_reads_leave_places_to_others() {
    let mut stage = stage();
    let mut streams: Vec<Wire> = (0..64).map(|_| stage.call("GET /v1/events", "")).collect();
    for wire in &mut streams {
        let answer = String::from_utf8_lossy(&wire.first(ANSWER_MAX)).into_owned();
        assert_eq!(statuses(&answer), [200], "{answer}");
    }
    let more = stage.call("GET /v1/events", "Connection: close\r\n").rest(ANSWER_MAX);
    assert_eq!(statuses(&String::from_utf8_lossy(&more)), [503]);
    stage.assert_serves();
    let crowd = stage.crowd(CROWD, "");
    stage.assert_serves();
    drop((streams, crowd));
    stage.wait_until_all_are_gone(Duration::from_secs(30));
    let answer = stage.call("GET /v1/events", "").first(ANSWER_MAX);
    assert_eq!(statuses(&String::from_utf8_lossy(&answer)), [200]);
}
