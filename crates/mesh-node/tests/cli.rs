//! The program from outside: help, usage errors, exit codes, JSON errors, identities, one node that others join.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn program(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-node"));
    command.env_remove("MESH_LOG").env("MESH_DATA", data);
    command
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    program(data).args(arguments).stdin(Stdio::null()).output().expect("the program runs")
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_names_every_command_and_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), &["--help"]);
    let help = text(&output.stdout);
    assert_eq!(code(&output), 0);
    for word in ["up", "share", "get", "browse", "doctor", "demo", "Exit codes:", "130  stopped"] {
        assert!(help.contains(word), "{word} is missing in {help}");
    }
    assert!(!help.contains("openapi"), "hidden commands stay hidden");
}

#[test]
fn usage_errors_end_with_2_and_are_json_if_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(code(&run(folder.path(), &["fetch"])), 2);
    assert_eq!(code(&run(folder.path(), &["get", "not-a-ticket"])), 2);
    for arguments in [["get", "not-a-ticket", "--json"], ["share", "--sideways", "--json"]] {
        let output = run(folder.path(), &arguments);
        assert_eq!(code(&output), 2);
        let error: Value = serde_json::from_slice(&output.stdout).expect("JSON on standard output");
        assert_eq!(error["error"]["kind"], "invalid");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn what_is_not_there_ends_with_3_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), &["share", "/no/such/file"]);
    assert_eq!(code(&output), 3);
    assert!(text(&output.stderr).contains("/no/such/file"));
    assert_eq!(code(&run(folder.path(), &["identity", "export", "/tmp/never-made"])), 3);
}

#[test]
fn no_peers_ends_with_6_once_the_time_is_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, target) = (folder.path().join("data"), folder.path().join("got"));
    let ticket = format!("mesh:{}?name=..%2Fx", "ab".repeat(32));
    let target = target.to_str().expect("a name");
    let arguments = ["get", &ticket, "-o", target, "--timeout", "1s", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];
    let output = program(&data).args(arguments).arg("--json").output().expect("the program runs");
    assert_eq!(code(&output), 6, "{}", text(&output.stderr));
    let error: Value = serde_json::from_slice(&output.stdout).expect("JSON on standard output");
    assert!(error["error"]["cure"].as_str().is_some_and(|cure| cure.contains("same command")));
    assert!(!folder.path().join("got").exists(), "nothing is left under the final name");
}

#[test]
fn the_document_and_completions_are_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let document: Value = serde_json::from_slice(&run(folder.path(), &["openapi"]).stdout).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    assert!(text(&run(folder.path(), &["completions", "bash"]).stdout).contains("mesh-node"));
    let pages = folder.path().join("man");
    assert_eq!(code(&run(folder.path(), &["man", pages.to_str().expect("a name")])), 0);
    assert!(pages.join("mesh-node.1").is_file());
}

/// A node that ends with the test.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a node and returns what it says when it is ready.
fn up(data: &Path) -> (Up, Value) {
    let mut child = program(data)
        .args(["up", "--json", "--no-mdns", "--stop-with-stdin", "--listen", "/ip4/127.0.0.1/tcp/0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    (Up(child), serde_json::from_str(&line).expect("JSON"))
}

#[test]
fn a_node_on_the_loopback_interface_says_that_nobody_joins_from_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let child = program(&folder.path().join("data"))
        .args(["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut node = Up(child.expect("the program runs"));
    let lines = BufReader::new(node.0.stdout.take().expect("a pipe")).lines();
    let said: Vec<String> =
        lines.map(|line| line.expect("a line")).take_while(|line| !line.contains("Ctrl-C")).collect();
    let said = said.join("\n");
    assert!(said.contains("this machine only") && !said.contains("same segment"), "{said}");
}

#[test]
fn commands_join_the_node_that_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (mut node, ready) = up(&data);
    let status: Value = serde_json::from_slice(&run(&data, &["status", "--json"]).stdout).expect("JSON");
    assert_eq!(status["node"], ready["node"]);
    assert_eq!(code(&run(&data, &["up"])), 9, "a second node on the folder is refused");
    assert_eq!(code(&run(&data, &["limit", "--up", "1MB"])), 0);

    let file = folder.path().join("a file");
    std::fs::write(&file, vec![7; 300_000]).expect("written");
    let shared = run(&data, &["share", file.to_str().expect("a name"), "--json"]);
    let shared: Value = serde_json::from_slice(&shared.stdout).expect("JSON");
    assert_eq!(shared["size_bytes"], 300_000);
    let id = shared["content_id"].as_str().expect("an id");
    assert_eq!(code(&run(&data, &["pin", &id[..8]])), 0);
    assert!(text(&run(&data, &["ls"]).stdout).contains("pinned"));
    assert_eq!(code(&run(&data, &["rm", &id[..8]])), 0);
    assert_eq!(code(&run(&data, &["rm", &id[..8]])), 3);
    assert!(file.is_file(), "what is shared is never touched");

    drop(node.0.stdin.take());
    assert!(node.0.wait().expect("it ends").success());
    assert!(!data.join("api.address").exists());
}

#[test]
fn an_identity_moves_to_another_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new, file) = (folder.path().join("old"), folder.path().join("new"), folder.path().join("keys"));
    let shown: Value = serde_json::from_slice(&run(&old, &["identity", "show", "--json"]).stdout).expect("JSON");
    let file = file.to_str().expect("a name");
    assert_eq!(code(&run(&old, &["identity", "export", file])), 0);
    assert_eq!(code(&run(&old, &["identity", "export", file])), 8, "an existing file is kept");
    assert_eq!(code(&run(&new, &["identity", "import", file])), 0);
    let moved: Value = serde_json::from_slice(&run(&new, &["identity", "show", "--json"]).stdout).expect("JSON");
    assert_eq!(shown["node"], moved["node"]);
}

#[test]
fn the_demo_verifies_what_it_fetched() {
    let folder = tempfile::tempdir().expect("a folder");
    let tree = folder.path().join("tree");
    std::fs::create_dir_all(tree.join("sub")).expect("made");
    std::fs::write(tree.join("sub/file"), vec![3; 700_000]).expect("written");
    let output = run(folder.path(), &["demo", tree.to_str().expect("a name"), "--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let getters = result["getters"].as_array().expect("a list");
    assert_eq!(getters.len(), 2);
    assert!(getters.iter().all(|getter| getter["verified"] == true), "{result}");
}

#[test]
fn the_demo_bans_a_source_that_gives_wrong_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), &["demo", "--corrupt"]);
    let shown = text(&output.stdout);
    assert_eq!(code(&output), 0, "{shown}{}", text(&output.stderr));
    assert!(shown.contains("BANNED"), "{shown}");
}

#[test]
fn a_share_seeds_until_it_is_interrupted_and_a_get_ends_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, vec![5; 1_000_000]).expect("written");
    let mut sharer = program(&folder.path().join("a"))
        .args(["share", "-q", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map(Up)
        .expect("the program runs");
    let mut ticket = String::new();
    BufReader::new(sharer.0.stdout.take().expect("a pipe")).read_line(&mut ticket).expect("a ticket");

    let got = folder.path().join("got");
    let got = got.to_str().expect("a name");
    let arguments = [
        "get",
        ticket.trim(),
        "-o",
        got,
        "--json",
        "--no-mdns",
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
        "--timeout",
        "30s",
    ];
    let output = run(&folder.path().join("b"), &arguments);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["received_bytes"], &report["seeding"]), (&Value::from(1_000_000), &Value::from(false)));
    assert!(std::fs::read(&file).expect("there") == std::fs::read(got).expect("there"));
    assert_eq!(code(&run(&folder.path().join("b"), &["get", ticket.trim(), "-o", file.to_str().expect("a name")])), 8);

    let signal = Command::new("kill").args(["-INT", &sharer.0.id().to_string()]).status();
    assert!(signal.expect("kill runs").success());
    assert!(sharer.0.wait().expect("it ends").success(), "an interrupted share has done what it should");
}
