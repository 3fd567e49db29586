//! Hostile peers at every stage of the protocol: nodes stay up, in little memory, and honest transfers take at most twice
//! their usual time.
//!
//! The attacks of one stage come at once; in a soak each then comes alone, with more peers.

use std::process::Command;
use std::time::Duration;

use mesh_tests::place::system;
use mesh_tests::siege::Victim::{Getter, Source};
use mesh_tests::siege::{Blow, Victim};
use mesh_tests::{Running, Scene, Siege, soak, wait};

/// Far fewer than may connect at once.
const FILES_LEFT: usize = 20;

const fn blow(attack: &'static str, victim: Victim, at_once: usize) -> Blow {
    Blow { attack, victim, at_once, spread: false }
}

const fn spread(blow: Blow) -> Blow {
    Blow { spread: true, ..blow }
}

/// By how many bytes the getter grew while all attacks came at once.
fn besiege(blows: &[Blow]) -> u64 {
    let Some(mut siege) = Siege::new(env!("CARGO_BIN_EXE_mesh-hostile")) else { return 0 };
    let grown_bytes = siege.endure(blows);
    let more = soak::count(0, 5) as usize;
    for blow in blows.iter().filter(|_| more > 0) {
        let _ = siege.endure(&[Blow { at_once: blow.at_once * more, ..*blow }]);
    }
    siege.end();
    grown_bytes
}

#[test]
fn a_crowd_that_never_says_who_it_is_keeps_nobody_out_soak() {
    let _ = besiege(&[
        blow("silent", Source, 2000),
        spread(blow("silent", Source, 200)),
        blow("random-bytes", Source, 4),
        spread(blow("slow-drip", Source, 50)),
        spread(blow("half-select", Source, 50)),
        spread(blow("half-noise", Source, 50)),
        blow("silent", Getter, 200),
        blow("random-bytes", Getter, 4),
    ]);
}

#[test]
fn streams_that_are_wrong_endless_or_slow_do_no_harm_soak() {
    let _ = besiege(&[
        blow("half-yamux", Source, 2),
        blow("wild-frames", Source, 2),
        blow("absurd-windows", Source, 2),
        blow("held-streams", Source, 2),
        blow("huge-lengths", Source, 2),
        blow("endless-message", Source, 2),
        blow("half-message", Source, 2),
        blow("half-message-held", Source, 2),
        blow("message-drip", Source, 2),
        blow("random-streams", Source, 2),
        blow("held-streams", Getter, 2),
        blow("endless-message", Getter, 2),
        blow("random-streams", Getter, 2),
    ]);
}

#[test]
fn messages_that_are_broken_or_too_many_do_no_harm_soak() {
    let _ = besiege(&[
        blow("flipped-bytes", Source, 2),
        blow("wrong-lengths", Source, 2),
        blow("huge-counts", Source, 2),
        blow("asks-and-never-reads", Source, 2),
        blow("flood-of-wants", Source, 2),
        blow("flipped-bytes", Getter, 2),
        blow("flood-of-wants", Getter, 2),
    ]);
}

#[test]
fn records_that_are_forged_old_or_made_up_do_no_harm_soak() {
    let _ = besiege(&[
        blow("forged-records", Source, 2),
        blow("replayed-records", Source, 2),
        blow("rolled-back-records", Source, 2),
        blow("flood-of-announcements", Source, 2),
        blow("forged-records", Getter, 2),
        blow("flood-of-announcements", Getter, 2),
    ]);
}

#[test]
fn sources_that_lie_cost_little_time_soak() {
    let _ = besiege(&[
        blow("liar-refuses", Getter, 2),
        blow("liar-wrong-bytes", Getter, 2),
        blow("liar-wrong-pages", Getter, 2),
        blow("liar-unasked", Getter, 2),
        blow("liar-drips", Getter, 2),
        blow("liar-stalls", Getter, 2),
    ]);
}

#[test]
fn getters_that_ask_for_everything_take_no_more_than_strangers_get_soak() {
    let _ = besiege(&[
        blow("greedy", Source, 1),
        blow("greedy-deaf", Source, 1),
        blow("greedy-false-receipts", Source, 1),
        blow("greedy-no-receipts", Source, 1),
    ]);
}

#[test]
fn nodes_announced_that_do_not_exist_keep_nobody_from_those_that_do_soak() {
    let grown_bytes = besiege(&[blow("multicast", Getter, 1)]);
    assert!(grown_bytes < 10 << 20, "what was announced is kept: {grown_bytes} bytes");
}

/// The connections that others open take every file the node may have; when they are gone it takes connections again,
/// answers, and has not come to believe that it can't listen.
#[test]
fn a_node_that_ran_out_of_files_goes_on_when_there_are_some_again() {
    let mut scene = Scene::on_loopback(8 << 20);
    let source = scene.sources[0].process();
    let files_max = source.open_files() + FILES_LEFT;
    system(&format!("prlimit --pid {} --nofile={files_max}:{files_max}", source.id()));
    let address = scene.source().address();
    let mut parts = address.split('/').skip(2).step_by(2);
    let target = format!("{}:{}", parts.next().expect("an address"), parts.next().expect("a port"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-hostile"));
    command.args(["silent", &target, "--at-once", "100"]);
    let attacker = Running::start(command);
    let complaint = "a connection can't be accepted";
    wait::until("a node without files", Duration::from_secs(20), || {
        scene.sources[0].process().log().contains(complaint).then_some(())
    });
    drop(attacker);
    let _ = scene.fetch();
    let said = scene.source().run(&["doctor"]).to_string();
    assert!(!said.contains("can't listen"), "{said}");
    assert_eq!(scene.sources[0].process().log().matches(complaint).count(), 1, "it complains once a minute at most");
    scene.stop_and_replay();
}

#[test]
fn a_crowd_of_keys_keeps_nobody_out_soak() {
    let _ = besiege(&[blow("many-keys", Source, 200), blow("many-keys", Getter, 200)]);
}
