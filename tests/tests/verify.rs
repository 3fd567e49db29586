//! `verify`: damage on the disk is found, told, and repaired from peers. Runs without root.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use mesh_tests::{Scene, json, wait};

const MIB: u64 = 1 << 20;

fn damage(scene: &Scene) {
    let copy = File::options().write(true).open(scene.copy()).expect("the copy is there");
    copy.write_all_at(&[0x55; 100], 2 * MIB).expect("the disk takes it");
}

fn wait_until_whole(scene: &Scene) {
    wait::until("the repair", Duration::from_secs(15), || (scene.at_getter()?["state"] == "complete").then_some(()));
    scene.assert_fetched();
}

#[test]
fn what_is_whole_is_said_to_be_whole() {
    let scene = Scene::on_loopback(4 * MIB);
    let _ = scene.fetch();
    let said = scene.getter.try_run(&["verify", &scene.id()]).success();
    assert!(said.stdout.contains("all of it is as it should be"), "{}", said.stdout);
    let said = scene.source().try_run(&["verify", &scene.id()]).success();
    assert!(said.stdout.contains("all of it is as it should be"), "{}", said.stdout);
}

#[test]
fn damage_is_found_and_only_that_is_fetched_again() {
    let scene = Scene::on_loopback(4 * MIB);
    let _ = scene.fetch();
    let _ = scene.getter.run(&["pin", &scene.id()]);
    damage(&scene);
    let said = scene.getter.try_run(&["verify", &scene.id()]).success();
    assert!(said.stdout.contains("damaged") && said.stdout.contains("fetched again"), "{}", said.stdout);
    wait_until_whole(&scene);
    let content = scene.at_getter().expect("it is here");
    assert_eq!(content["pinned"], true, "a repair changes nothing of how it is treated: {content}");
    let received = json::number(&scene.getter.run(&["peers"]), "received_bytes");
    assert!((4 * MIB + 1..5 * MIB).contains(&received), "{received} bytes for 4 MiB and one repair");
    let _ = scene.getter.try_run(&["verify", &scene.id()]).success();
    scene.stop_and_replay();
}

#[test]
fn a_repair_cut_off_by_a_restart_goes_on_and_keeps_the_pin() {
    let mut scene = Scene::on_loopback(4 * MIB);
    let _ = scene.fetch();
    let _ = scene.getter.run(&["pin", &scene.id()]);
    scene.sources[0].stop();
    damage(&scene);
    let verified = scene.getter.run(&["verify", &scene.id()]);
    assert_eq!(verified["complete"], false, "{verified}");
    scene.getter.stop();
    let address = {
        scene.sources[0].up();
        scene.source().address()
    };
    scene.getter = scene.getter.with_options(&["--peer", &address]);
    scene.getter.up();
    wait_until_whole(&scene);
    assert_eq!(scene.at_getter().expect("it is here")["pinned"], true);
}

#[test]
fn a_copy_that_was_deleted_is_fetched_again() {
    let scene = Scene::on_loopback(4 * MIB);
    let _ = scene.fetch();
    fs::remove_file(scene.copy()).unwrap();
    let _ = scene.getter.run(&["verify", &scene.id()]);
    wait_until_whole(&scene);
}

#[test]
fn a_damaged_share_is_an_error_and_its_file_is_left_alone() {
    let scene = Scene::on_loopback(4 * MIB);
    let file = File::options().write(true).open(&scene.file).unwrap();
    file.write_all_at(&[0x55; 100], 2 * MIB).unwrap();
    let before = mesh_tests::files::blake3_of(&scene.file);
    let refused = scene.source().try_run(&["verify", &scene.id()]);
    let _ = refused.refused(7, &["no longer what was shared", "share"]);
    assert_eq!(mesh_tests::files::blake3_of(&scene.file), before);
}

#[test]
fn without_a_running_node_it_says_what_finishes_the_repair() {
    let mut scene = Scene::on_loopback(4 * MIB);
    let _ = scene.fetch();
    scene.getter.stop();
    damage(&scene);
    let said = scene.getter.try_run(&["verify", &scene.id()]).success();
    assert!(said.stdout.contains("mesh-node up"), "{}", said.stdout);
    scene.getter.up();
    wait_until_whole(&scene);
}
