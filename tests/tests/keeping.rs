//! What received contents may take on disk: quota, collection, pins. Runs without root.

use std::path::PathBuf;
use std::time::Duration;

use mesh_tests::node::bare_ticket;
use mesh_tests::{Scene, TestNode, files, json};
use serde_json::Value;

const MIB: u64 = 1 << 20;

/// A scene in which the getter has fetched some files of a MiB each, the oldest first.
struct Fetched {
    scene: Scene,
    ids: Vec<String>,
    copies: Vec<PathBuf>,
}

impl Fetched {
    fn new(count: u64) -> Self {
        let scene = Scene::on_loopback(MIB);
        let mut fetched = Self { scene, ids: Vec::new(), copies: Vec::new() };
        (0..count).for_each(|number| fetched.fetch(number));
        fetched
    }

    fn share(&self, number: u64) -> String {
        let file = self.scene.folder.path(&format!("file{number}"));
        files::write_random(&file, MIB, 100 + number);
        self.scene.source().share(&file)
    }

    fn fetch(&mut self, number: u64) {
        let ticket = self.share(number);
        let copy = self.scene.folder.path(&format!("copy{number}"));
        let _ = self.scene.getter.fetch(&ticket, &copy);
        self.ids.push(bare_ticket(&ticket).trim_start_matches("mesh:").to_owned());
        self.copies.push(copy);
    }

    fn getter(&self) -> &TestNode {
        &self.scene.getter
    }

    /// Which copies are there; what is not is not in `ls`, either.
    fn there(&self) -> Vec<bool> {
        let seen = |(id, copy): (&String, &PathBuf)| {
            assert_eq!(self.getter().content(id).is_some(), copy.exists(), "{}", copy.display());
            copy.exists()
        };
        self.ids.iter().zip(&self.copies).map(seen).collect()
    }
}

fn collected(reply: &Value) -> (u64, u64) {
    (json::number(reply, "removed"), json::number(reply, "freed_bytes"))
}

#[test]
fn a_quota_removes_the_oldest_and_says_so() {
    let fetched = Fetched::new(3);
    assert_eq!(collected(&fetched.getter().run(&["gc"])), (0, 0), "without a quota everything stays");
    assert_eq!(collected(&fetched.getter().run(&["quota", "2MiB"])), (1, MIB));
    assert_eq!(fetched.there(), [false, true, true]);
    let spoken = fetched.getter().try_run(&["quota", "1536KiB"]).success();
    assert!(spoken.stdout.contains("1 content removed, 1.0 MiB freed"), "{}", spoken.stdout);
    assert_eq!(fetched.there(), [false, false, true]);
    assert_eq!(json::number(&fetched.getter().status(), "quota_bytes"), 1536 << 10);
}

#[test]
fn what_is_fetched_over_the_quota_takes_the_place_of_the_oldest_and_that_is_told() {
    let mut fetched = Fetched::new(2);
    let _ = fetched.getter().run(&["quota", "2MiB"]);
    let ticket = fetched.share(2);
    let copy = fetched.scene.folder.path("copy2");
    let outcome = fetched.getter().start_fetch(&ticket, &copy).wait(Duration::from_secs(20)).success();
    let told = outcome.stdout.lines().any(|line| line.contains("warning") && line.contains("quota"));
    assert!(told, "{}", outcome.stdout);
    fetched.ids.push(bare_ticket(&ticket).trim_start_matches("mesh:").to_owned());
    fetched.copies.push(copy);
    assert_eq!(fetched.there(), [false, true, true]);
}

#[test]
fn a_pin_is_kept_whatever_the_quota_until_it_is_taken_back() {
    let fetched = Fetched::new(3);
    let getter = fetched.getter();
    let _ = getter.run(&["pin", &fetched.ids[0]]);
    let _ = getter.run(&["pin", &fetched.ids[2][..12]]);
    let _ = getter.run(&["quota", "1MiB"]);
    assert_eq!(fetched.there(), [true, false, true]);
    assert_eq!(collected(&getter.run(&["gc"])), (0, 0));
    let _ = getter.run(&["unpin", &fetched.ids[0]]);
    assert_eq!(fetched.there(), [true, false, true], "unpinning removes nothing by itself");
    assert_eq!(collected(&getter.run(&["gc"])), (1, MIB));
    assert_eq!(fetched.there(), [false, false, true]);
}

#[test]
fn pins_and_the_quota_outlive_a_restart() {
    let mut fetched = Fetched::new(2);
    let _ = fetched.getter().run(&["pin", &fetched.ids[0]]);
    let _ = fetched.getter().run(&["quota", "2MiB"]);
    fetched.scene.getter.stop();
    fetched.scene.getter.up();
    assert_eq!(json::number(&fetched.getter().status(), "quota_bytes"), 2 * MIB);
    let _ = fetched.getter().run(&["quota", "1MiB"]);
    assert_eq!(fetched.there(), [true, false]);
}

#[test]
fn what_can_never_fit_into_the_quota_is_refused_before_it_is_fetched() {
    let fetched = Fetched::new(2);
    let getter = fetched.getter();
    let _ = getter.run(&["pin", &fetched.ids[0]]);
    let _ = getter.run(&["quota", "1536KiB"]);
    assert_eq!(fetched.there(), [true, false]);
    let ticket = fetched.share(2);
    let target = fetched.scene.folder.text("copy2");
    let refused = fetched.scene.try_get(&ticket, &target).refused(5, &["quota", "1.50 mib", "mesh-node quota"]);
    assert!(refused.stderr.contains("1.00 MiB"), "it says what is wanted and what pins take: {}", refused.stderr);
    assert_eq!(fetched.there(), [true, false], "nothing was removed in vain");
    let _ = getter.run(&["quota", "2MiB"]);
    let _ = fetched.scene.try_get(&ticket, &target).success();
    assert_eq!(fetched.there(), [true, false]);
    files::assert_same_file(&fetched.scene.folder.path("file2"), &fetched.scene.folder.path("copy2"));
}

#[test]
fn a_refused_fetch_does_not_stand_in_the_way_of_another_place() {
    let scene = Scene::on_loopback(2 * MIB);
    let _ = scene.getter.run(&["quota", "1MiB"]);
    let _ = scene.try_get(&scene.ticket, &scene.folder.text("elsewhere")).refused(5, &["quota"]);
    let failed = scene.at_getter().expect("it can be resumed");
    assert_eq!(failed["state"], "failed", "{failed}");
    let _ = scene.getter.run(&["quota", "0"]);
    let _ = scene.fetch();
    assert!(!scene.folder.path("elsewhere").exists());
}

#[test]
fn what_is_shared_in_place_neither_counts_nor_is_collected() {
    let scene = Scene::on_loopback(2 * MIB);
    assert_eq!(collected(&scene.source().run(&["quota", "1MiB"])), (0, 0));
    let _ = scene.source().run(&["unpin", &scene.id()]);
    assert_eq!(collected(&scene.source().run(&["gc"])), (0, 0));
    assert!(scene.file.exists());
    let _ = scene.fetch();
}

#[test]
fn a_limit_set_at_run_time_leaves_the_quota_to_the_configuration() {
    let mut node = Scene::on_loopback(MIB).getter;
    let said = node.run(&["limit", "--up", "1MiB"]);
    assert_eq!(json::number(&said, "limit_up_bytes_per_s"), MIB, "who sets a limit sees it");
    node.stop();
    node.configure("quota = \"7 MiB\"\nlimit_down = 5000\nlimit_up = 3\n");
    node.up();
    let status = node.status();
    assert_eq!(json::number(&status, "quota_bytes"), 7 * MIB);
    assert_eq!(node.try_run(&["quota"]).success().stdout.trim(), "quota 7.0 MiB");
    assert_eq!(json::number(&status, "limit_down_bytes_per_s"), 5000);
    assert_eq!(json::number(&status, "limit_up_bytes_per_s"), MIB, "what was set is kept");
}

#[test]
fn a_quota_that_pins_do_not_let_be_met_is_said() {
    let fetched = Fetched::new(2);
    let getter = fetched.getter();
    let _ = getter.run(&["pin", &fetched.ids[0]]);
    let reply = getter.run(&["quota", "512KiB"]);
    assert_eq!((collected(&reply), json::number(&reply, "over_bytes")), ((1, MIB), MIB / 2));
    let said = getter.try_run(&["gc"]).success().stdout;
    assert!(said.contains("still exceeded by 512.0 KiB") && said.contains("mesh-node unpin"), "{said}");
    let reply = getter.run(&["quota", "1MiB"]);
    assert_eq!(json::number(&reply, "over_bytes"), 0);
}

#[test]
fn what_a_person_changed_is_in_the_way_of_deleting_and_not_of_forgetting() {
    let fetched = Fetched::new(1);
    let getter = fetched.getter();
    std::fs::write(&fetched.copies[0], "mine now").unwrap();
    let refused = getter.try_run(&["rm", "--delete", &fetched.ids[0]]);
    let _ = refused.refused(8, &["no longer what was received", "without `--delete`"]);
    assert!(getter.content(&fetched.ids[0]).is_some());
    let _ = getter.try_run(&["rm", &fetched.ids[0]]).success();
    assert!(getter.content(&fetched.ids[0]).is_none());
    assert_eq!(std::fs::read_to_string(&fetched.copies[0]).unwrap(), "mine now");
}
