//! Two real nodes on loopback: what one shares the other gets, byte for byte, and both runs can be done again.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_node::{Config, Node, Overrides, StartError, journal};
use mesh_proto::bulk::TrafficClass;
use mesh_proto::port::view::GetReport;
use mesh_proto::port::{Event, UserCommand, UserReply};
use mesh_proto::record::Access;

/// Generous: the test fails by what it sees, and by this only if nothing happens at all.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(120);

fn config(folder: &Path, peers: Vec<String>) -> Config {
    let listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
    let overrides = Overrides { listen, peers, no_mdns: true, journal: true, ..Overrides::default() };
    Config::load(folder, &overrides).unwrap()
}

async fn share(node: &Node, path: &Path) -> String {
    let command = UserCommand::Share {
        path: path.display().to_string(),
        name: None,
        listed: Some(true),
        tags: Some(vec!["test".to_owned()]),
        access: Some(Access::Ticket),
    };
    match node.request(command).await {
        UserReply::Shared(shared) => shared.ticket,
        other => panic!("not shared: {other:?}"),
    }
}

async fn get(node: &Node, ticket: String, target: &Path) -> GetReport {
    let mut events = node.events();
    let command = UserCommand::Get {
        ticket,
        target: target.display().to_string(),
        seed_seconds: None,
        class: TrafficClass::Interactive,
        priority: 128,
    };
    let content = match node.request(command).await {
        UserReply::Getting(getting) => getting.content_id,
        other => panic!("not accepted: {other:?}"),
    };
    let complete = async {
        loop {
            match events.recv().await {
                Ok(Event::TransferComplete { report }) if report.content_id == content => return report,
                Ok(Event::TransferFailed { error, .. }) => panic!("{error}; {}", error.cure),
                Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(error) => panic!("the node ended: {error}"),
            }
        }
    };
    tokio::time::timeout(TRANSFER_TIMEOUT, complete).await.expect("the transfer did not end")
}

/// Bytes that do not repeat, always the same.
fn noise(len: usize, seed: u8) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new_keyed(&[seed; 32]).finalize_xof().fill(&mut bytes);
    bytes
}

/// Every file below `folder` with its bytes, in order.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push((path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

fn replay_all(data_folder: &Path) {
    let mut journals = 0;
    for entry in fs::read_dir(data_folder.join("journal")).unwrap() {
        let report = journal::replay(&entry.unwrap().path()).unwrap();
        assert!(report.same(), "{:#?}", report.difference);
        assert!(report.inputs > 3 && !report.torn);
        journals += 1;
    }
    assert!(journals > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_and_a_tree_arrive_and_both_runs_replay() {
    let root = tempfile::tempdir().unwrap();
    let big = root.path().join("big.bin");
    fs::write(&big, noise(20 * 1024 * 1024, 1)).unwrap();
    let tree = root.path().join("tree");
    fs::create_dir_all(tree.join("inner/empty")).unwrap();
    for number in 0..40_u8 {
        fs::write(tree.join(format!("inner/{number}.txt")), noise(usize::from(number) * 700, number)).unwrap();
    }
    fs::write(tree.join("large.bin"), noise(1_500_000, 99)).unwrap();

    let (giver_data, taker_data) = (root.path().join("giver"), root.path().join("taker"));
    let giver = Node::start(config(&giver_data, Vec::new())).await.unwrap();
    assert!(!giver.listening().is_empty());
    let taker = Node::start(config(&taker_data, giver.listening())).await.unwrap();

    let report = get(&taker, share(&giver, &big).await, &root.path().join("big.copy")).await;
    assert_eq!(report.size_bytes, 20 * 1024 * 1024);
    assert!(fs::read(&big).unwrap() == fs::read(root.path().join("big.copy")).unwrap());
    assert_eq!(report.blake3, blake3::hash(&fs::read(&big).unwrap()).to_string());

    get(&taker, share(&giver, &tree).await, &root.path().join("tree.copy")).await;
    assert!(files(&tree) == files(&root.path().join("tree.copy")));

    taker.stop().await;
    giver.stop().await;
    assert!(matches!(giver.request(UserCommand::Status).await, UserReply::Failed(_)));
    replay_all(&giver_data);
    replay_all(&taker_data);
}

/// Payload bytes counted, by the name of their direction.
async fn counted(node: &Node, direction: &str) -> u64 {
    let UserReply::Status(status) = node.request(UserCommand::Status).await else { panic!("no status") };
    let has = |labels: &[(String, String)], value: &str| labels.iter().any(|(_, label)| label == value);
    let of_payload = status.counters.iter().filter(|one| has(&one.labels, "payload") && has(&one.labels, direction));
    of_payload.map(|one| one.value).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_survives_a_stop() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file.bin");
    fs::write(&file, noise(3 * 1024 * 1024, 5)).unwrap();
    let (giver_data, taker_data) = (root.path().join("giver"), root.path().join("taker"));
    let giver = Node::start(config(&giver_data, Vec::new())).await.unwrap();
    let taker = Node::start(config(&taker_data, giver.listening())).await.unwrap();
    let report = get(&taker, share(&giver, &file).await, &root.path().join("copy.bin")).await;
    taker.stop().await;
    // The last receipt may still come, or may have been cut off.
    let sent = counted(&giver, "sent").await;
    assert!(sent > 0);
    giver.stop().await;
    // Stopping before anything happened must not wait for anything either.
    for _ in 0..2 {
        let taker = Node::start(config(&taker_data, Vec::new())).await.unwrap();
        assert_eq!(counted(&taker, "received").await, report.received_bytes);
        taker.stop().await;
    }
    let giver = Node::start(config(&giver_data, Vec::new())).await.unwrap();
    assert!(counted(&giver, "sent").await >= sent);
    giver.stop().await;
    replay_all(&giver_data);
    replay_all(&taker_data);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_on_one_folder_is_refused_until_the_first_stops() {
    let root = tempfile::tempdir().unwrap();
    let first = Node::start(config(root.path(), Vec::new())).await.unwrap();
    let second = Node::start(config(root.path(), Vec::new())).await;
    assert!(matches!(second, Err(StartError::InUse { pid: Some(pid), .. }) if pid == std::process::id()));
    let id = first.id();
    first.stop().await;
    let again = Node::start(config(root.path(), Vec::new())).await.unwrap();
    assert_eq!(again.id(), id);
    again.stop().await;
}
