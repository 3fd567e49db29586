//! A disk that is taken out while what lies on it is shared: it is said, nothing wrong is given, and it is offered again
//! when the disk is back. Needs root, to mount small disks.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mesh_tests::{Folder, Running, SmallDisk, TestNode, files, json, wait};

const MIB: u64 = 1 << 20;
/// Two looks at what is away, and some.
const LIMIT: Duration = Duration::from_secs(30);

/// A slow source that shares what lies on a disk that can be taken out. Fields end in their order.
struct Stick {
    source: TestNode,
    getter: TestNode,
    disk: SmallDisk,
    folder: Folder,
    ticket: String,
    id: String,
}

impl Stick {
    /// `make` makes what is shared, on the disk.
    fn new(make: impl Fn(&SmallDisk) -> PathBuf) -> Option<Self> {
        let folder = Folder::new();
        let disk = SmallDisk::mount(&folder.path("disk"), 32)?;
        let shared = make(&disk);
        let mut source = TestNode::on_loopback(&folder.path("source"));
        let mut getter = TestNode::on_loopback(&folder.path("getter"));
        source.up();
        getter.up();
        let _ = source.run(&["limit", "--up", "2MiB/s"]);
        let said = source.run(&["share", &shared.to_string_lossy()]);
        let [ticket, id] = ["ticket", "content_id"].map(|name| json::text(&said, name).to_owned());
        Some(Self { source, getter, disk, folder, ticket, id })
    }

    fn of_a_file() -> Option<Self> {
        Self::new(|disk| {
            files::write_random(&disk.path("file"), 6 * MIB, 6);
            disk.path("file")
        })
    }

    fn begin_fetch(&self) -> Running {
        let mut fetch = self.getter.start_fetch(&self.ticket, &self.copy());
        let _ = fetch.wait_for_bytes(MIB, LIMIT);
        fetch
    }

    fn copy(&self) -> PathBuf {
        self.folder.path("copy")
    }

    fn wait_for_state(&self, state: &str) {
        wait::until(&format!("the share to be {state}"), LIMIT, || {
            let content = self.source.content(&self.id).expect("it is not forgotten");
            (content["state"] == state).then_some(())
        });
    }

    /// Both sides say that it is away, and nothing wrong is shown.
    fn assert_away(&mut self, fetch: &mut Running) {
        let waiting = fetch.wait_for_event("transfer_waiting", LIMIT);
        assert!(!json::text(&waiting, "why").is_empty(), "{waiting}");
        self.wait_for_state("changed");
        let doctor = self.source.run(&["doctor"]).to_string();
        assert!(doctor.contains(self.disk.path("").to_string_lossy().trim_end_matches('/')), "{doctor}");
        let log = self.source.process().log();
        assert!(log.contains("no longer given"), "{log}");
        assert!(fetch.runs() && !self.copy().exists());
    }

    fn stop_and_replay(self) {
        self.source.stop_and_replay();
        self.getter.stop_and_replay();
    }
}

#[test]
fn a_file_on_a_stick_is_offered_again_when_the_stick_is_back() {
    let Some(mut stick) = Stick::of_a_file() else { return };
    let mut fetch = stick.begin_fetch();
    stick.disk.take_out();
    stick.assert_away(&mut fetch);
    stick.disk.put_back();
    stick.wait_for_state("shared");
    let report = fetch.wait(LIMIT).success().json();
    files::assert_same_file(&stick.disk.path("file"), &stick.copy());
    let (received, size) = (json::number(&report, "received_bytes"), json::number(&report, "size_bytes"));
    assert!(received < size + MIB, "{received} bytes for a file of {size}");
    stick.stop_and_replay();
}

#[test]
fn so_is_one_whose_file_system_numbers_its_files_anew() {
    let Some(mut stick) = Stick::of_a_file() else { return };
    let mut fetch = stick.begin_fetch();
    stick.disk.take_out();
    stick.assert_away(&mut fetch);
    stick.disk.put_back_renumbered();
    stick.wait_for_state("shared");
    let _ = fetch.wait(LIMIT).success();
    files::assert_same_file(&stick.disk.path("file"), &stick.copy());
    stick.source.stop();
    stick.source.up();
    let again = stick.folder.path("again");
    let _ = stick.getter.run(&["rm", &stick.id]);
    let _ = stick.getter.fetch(&ticket_of(&stick), &again);
    files::assert_same_file(&stick.disk.path("file"), &again);
}

/// The ticket with the address the source has now.
fn ticket_of(stick: &Stick) -> String {
    format!("mesh:{}?peer={}", stick.id, stick.source.address())
}

#[test]
fn the_whole_stick_is_offered_again_too() {
    // What is shared is the folder on which the disk is mounted: it is there without the disk, and empty.
    let Some(mut stick) = Stick::new(|disk| {
        files::write_tree(&disk.path("deep"), 100, 60_000, 7);
        disk.path("")
    }) else {
        return;
    };
    let mut fetch = stick.begin_fetch();
    stick.disk.take_out();
    stick.assert_away(&mut fetch);
    stick.disk.put_back();
    stick.wait_for_state("shared");
    let _ = fetch.wait(LIMIT).success();
    files::assert_same_tree(&stick.disk.path(""), &stick.copy());
}

#[test]
fn a_stick_that_was_away_at_the_start_is_not_forgotten() {
    let Some(mut stick) = Stick::of_a_file() else { return };
    stick.source.stop();
    stick.disk.take_out();
    stick.source.up();
    let mut fetch = stick.getter.start_fetch(&ticket_of(&stick), &stick.copy());
    stick.assert_away(&mut fetch);
    stick.disk.put_back();
    stick.wait_for_state("shared");
    let _ = fetch.wait(LIMIT).success();
    files::assert_same_file(&stick.disk.path("file"), &stick.copy());
}

#[test]
fn what_was_changed_meanwhile_is_not_offered() {
    let Some(mut stick) = Stick::of_a_file() else { return };
    let mut fetch = stick.begin_fetch();
    stick.disk.take_out();
    stick.assert_away(&mut fetch);
    files::write_random(&stick.folder.path("disk.taken-out").join("file"), 6 * MIB, 8);
    stick.disk.put_back();
    wait::let_pass(Duration::from_secs(12));
    stick.wait_for_state("changed");
    assert!(fetch.runs() && !stick.copy().exists());
    assert!(fs::metadata(stick.disk.path("file")).is_ok(), "the disk is back");
}
