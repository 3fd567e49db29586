//! A disk that fills up or can't be written to any more: nothing is lost, it is said, and it goes on. Needs root, to
//! mount small disks and to be somebody whom permissions stop.

use std::fs;
use std::time::Duration;

use mesh_tests::{Folder, Place, Running, Scene, SmallDisk, TestNode, files, json, wait};
use serde_json::Value;

const MIB: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(20);

/// A slow source, and a getter whose person fetches onto a small disk. Fields end in their order.
struct Trouble {
    scene: Scene,
    disk: SmallDisk,
}

impl Trouble {
    fn new(getter: Place, bytes: u64, disk_mebibytes: u64) -> Option<Self> {
        let folder = Folder::new();
        folder.open_to_all();
        let disk = SmallDisk::mount(&folder.path("disk"), disk_mebibytes)?;
        let source = TestNode::on_loopback(&folder.path("source"));
        let getter = TestNode::new(getter, &folder.path("getter")).loopback_only();
        let scene = Scene::new(folder, vec![source], getter, bytes);
        let _ = scene.source().run(&["limit", "--up", "4MiB/s"]);
        Some(Self { scene, disk })
    }

    /// The same, with a getter that is not root.
    fn of_a_stranger(bytes: u64) -> Option<Self> {
        Self::new(Place::stranger()?, bytes, 64)
    }

    fn get(&self) -> Running {
        self.scene.getter.start_fetch(&self.scene.ticket, &self.disk.path("copy"))
    }

    fn assert_whole(&self) {
        files::assert_same_file(&self.scene.file, &self.disk.path("copy"));
    }

    /// A report says that little more was received than the file has.
    fn assert_not_fetched_twice(&self, report: &Value) {
        let (received, size) = (json::number(report, "received_bytes"), json::number(report, "size_bytes"));
        assert!(received < size + 3 * MIB, "{received} bytes for a file of {size}");
    }
}

fn wait_for_why(fetch: &mut Running, word: &str) -> Value {
    fetch.wait_for_line(&format!("why it waits: {word}"), LIMIT, |event| {
        event["event"] == "transfer_waiting" && event["why"].as_str().is_some_and(|why| why.contains(word))
    })
}

#[test]
fn a_full_disk_pauses_a_transfer_which_goes_on_when_there_is_space() {
    let Some(trouble) = Trouble::new(Place::Here, 8 * MIB, 16) else { return };
    let mut fetch = trouble.get();
    let _ = fetch.wait_for_bytes(MIB, LIMIT);
    trouble.disk.fill();
    let waiting = wait_for_why(&mut fetch, "no space left");
    assert!(json::text(&waiting, "why").contains(&*trouble.disk.path("").to_string_lossy()), "{waiting}");
    let status = trouble.scene.getter.status();
    assert!(json::text(&status["transfers"][0], "waiting_for").contains("no space left"), "{status}");
    assert!(fetch.runs() && !trouble.disk.path("copy").exists());
    trouble.disk.empty();
    let outcome = fetch.wait(LIMIT).success();
    trouble.assert_whole();
    trouble.assert_not_fetched_twice(&outcome.json());
    let told = outcome.stdout.lines().filter(|line| line.contains("transfer_waiting")).count();
    assert_eq!(told, 1, "it is told once: {}", outcome.stdout);
    trouble.scene.stop_and_replay();
}

#[test]
fn who_made_space_need_not_wait() {
    let Some(trouble) = Trouble::new(Place::Here, 8 * MIB, 16) else { return };
    let mut fetch = trouble.get();
    let _ = fetch.wait_for_bytes(MIB, LIMIT);
    trouble.disk.fill();
    let _ = wait_for_why(&mut fetch, "no space left");
    trouble.disk.empty();
    let _ = trouble.scene.getter.run(&["resume", &trouble.scene.id()]);
    // Much sooner than it would be tried again by itself.
    let _ = fetch.wait(Duration::from_secs(5)).success();
    trouble.assert_whole();
}

#[test]
fn a_disk_full_from_the_start_is_said_and_waited_for() {
    let Some(trouble) = Trouble::new(Place::Here, 8 * MIB, 16) else { return };
    trouble.disk.fill();
    let mut fetch = trouble.get();
    let _ = wait_for_why(&mut fetch, "no space left");
    trouble.disk.empty();
    let _ = fetch.wait(LIMIT).success();
    trouble.assert_whole();
}

#[test]
fn a_full_data_folder_loses_nothing() {
    let folder = Folder::new();
    let Some(disk) = SmallDisk::mount(&folder.path("disk"), 16) else { return };
    let source = TestNode::on_loopback(&folder.path("source"));
    let getter = TestNode::on_loopback(&disk.path("getter"));
    let scene = Scene::new(folder, vec![source], getter, 8 * MIB);
    let _ = scene.source().run(&["limit", "--up", "4MiB/s"]);
    let mut fetch = scene.begin_fetch();
    disk.fill();
    wait::let_pass(Duration::from_secs(1));
    disk.empty();
    let _ = fetch.wait_for_bytes(6 * MIB, LIMIT);
    let _ = fetch.wait(LIMIT).success();
    scene.assert_fetched();
    drop(scene);
}

#[test]
fn a_folder_that_nobody_may_write_to_any_more_is_said_and_the_same_get_goes_on() {
    let Some(trouble) = Trouble::of_a_stranger(8 * MIB) else { return };
    let mut fetch = trouble.get();
    let _ = fetch.wait_for_bytes(MIB, LIMIT);
    trouble.disk.set_writable(false);
    // As what it waits for, or as what ended it.
    let why = fetch.wait_for_text("why it does not go on", LIMIT, |line| {
        line.contains("ermission denied").then(|| line.to_owned())
    });
    assert!(why.contains(&*trouble.disk.path("copy").to_string_lossy()), "{why}");
    assert!(!trouble.disk.path("copy").exists());
    trouble.disk.set_writable(true);
    let outcome = trouble.get().wait(LIMIT).success();
    trouble.assert_whole();
    trouble.assert_not_fetched_twice(&outcome.json());
    trouble.scene.stop_and_replay();
}

#[test]
fn permission_lost_midway_pauses_a_transfer_which_goes_on_when_it_is_back() {
    let Some(trouble) = Trouble::of_a_stranger(8 * MIB) else { return };
    let mut fetch = trouble.get();
    let _ = fetch.wait_for_bytes(MIB, LIMIT);
    trouble.disk.set_writable(false);
    let _ = wait_for_why(&mut fetch, "ermission denied");
    trouble.disk.set_writable(true);
    let _ = fetch.wait(LIMIT).success();
    trouble.assert_whole();
}

/// A getter that comes back to find that its disk can't be written to any more, amid a transfer.
fn found_read_only() -> Option<Trouble> {
    let mut trouble = Trouble::new(Place::Here, 8 * MIB, 64)?;
    let mut fetch = trouble.get();
    let _ = fetch.wait_for_bytes(MIB, LIMIT);
    trouble.scene.getter.stop();
    let _ = fetch.wait(LIMIT);
    trouble.disk.set_read_only(true);
    trouble.scene.getter.up();
    Some(trouble)
}

#[test]
fn a_disk_found_read_only_after_a_restart_pauses_a_transfer_which_goes_on_later() {
    let Some(trouble) = found_read_only() else { return };
    let mut again = trouble.get();
    let _ = wait_for_why(&mut again, "ead-only");
    trouble.disk.set_read_only(false);
    let _ = again.wait(LIMIT).success();
    trouble.assert_whole();
}

#[test]
fn a_disk_found_read_only_after_a_restart_is_said_and_the_same_get_goes_on() {
    let Some(trouble) = found_read_only() else { return };
    wait::until("the cause to be shown", LIMIT, || {
        let status = trouble.scene.getter.status();
        json::find(&status, "waiting_for")?.as_str()?.contains("ead-only").then_some(())
    });
    trouble.disk.set_read_only(false);
    let outcome = trouble.get().wait(LIMIT).success();
    trouble.assert_whole();
    trouble.assert_not_fetched_twice(&outcome.json());
}

#[test]
fn a_stranger_s_folder_is_refused_before_anything_is_fetched() {
    let Some(trouble) = Trouble::of_a_stranger(MIB) else { return };
    trouble.disk.set_writable(false);
    let refused = trouble.scene.try_get(&trouble.scene.ticket, &trouble.disk.path("copy").to_string_lossy());
    let _ = refused.refused(4, &["permission denied", "who owns it"]);
    assert!(trouble.scene.at_getter().is_none());
    assert_eq!(fs::read_dir(trouble.disk.path("")).unwrap().count(), 0, "nothing is left there");
}
