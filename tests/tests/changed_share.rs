//! A shared file that is changed while it is shared: never served, and both sides say what happened.

use std::fs;
use std::time::Duration;

use mesh_tests::{Scene, files, json, wait};

const MIB: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(15);

fn wait_until_noticed(scene: &Scene) {
    wait::until("the source to notice the change", LIMIT, || {
        let content = scene.source().content(&scene.id())?;
        (content["state"] == "changed").then_some(())
    });
}

fn finding(scene: &Scene) -> serde_json::Value {
    let doctor = scene.source().run(&["doctor"]);
    let findings = json::find(&doctor, "findings").and_then(|findings| findings.as_array()).expect("findings").clone();
    let found = findings.into_iter().find(|finding| finding["subject"] == "contents");
    found.unwrap_or_else(|| panic!("no finding on contents in {doctor}"))
}

#[test]
fn both_sides_say_that_the_file_was_changed() {
    let mut scene = Scene::on_loopback(3 * MIB);
    files::write_random(&scene.file, 3 * MIB, 4);
    let mut fetch = scene.start_fetch();
    let waiting = fetch.wait_for_event("transfer_waiting", LIMIT);
    assert!(json::text(&waiting, "why").contains("changed"), "{waiting}");
    assert!(fetch.runs(), "another source may come");
    wait_until_noticed(&scene);
    let finding = finding(&scene);
    assert!(json::text(&finding, "message").contains(&*scene.file.to_string_lossy()), "{finding}");
    assert!(json::text(&finding, "cure").contains("share it again"), "{finding}");
    let log = scene.sources[0].process().log();
    assert!(log.contains("changed"), "the source's own log says it, too: {log}");
    assert!(!scene.copy().exists(), "nothing wrong was shown");
}

#[test]
fn a_file_changed_midway_is_never_shown_mixed_and_the_old_bytes_complete_it() {
    let scene = Scene::slow_on_loopback(6 * MIB, "2MiB/s");
    let kept = scene.folder.path("kept");
    fs::copy(&scene.file, &kept).unwrap();
    let mut fetch = scene.begin_fetch();
    files::write_random(&scene.file, 6 * MIB, 4);
    let waiting = fetch.wait_for_event("transfer_waiting", LIMIT);
    assert!(json::text(&waiting, "why").contains("changed"), "{waiting}");
    assert!(!scene.copy().exists(), "nothing mixed was shown");
    // Restored and shared again, the same content goes on.
    fs::copy(&kept, &scene.file).unwrap();
    let _ = scene.source().share(&scene.file);
    let _ = fetch.wait(Duration::from_secs(30)).success();
    scene.assert_fetched();
}

#[test]
fn a_new_share_of_the_changed_file_is_a_content_of_its_own() {
    let scene = Scene::on_loopback(3 * MIB);
    files::write_random(&scene.file, 3 * MIB, 4);
    let ticket = scene.source().share(&scene.file);
    assert_ne!(mesh_tests::node::bare_ticket(&ticket), mesh_tests::node::bare_ticket(&scene.ticket));
    let _ = scene.getter.fetch(&ticket, &scene.copy());
    scene.assert_fetched();
}
