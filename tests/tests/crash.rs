//! `kill -9` at random moments: what was kept is kept, and is not fetched again.

use std::time::Duration;

use mesh_proto::ChunkSet;
use mesh_tests::random::Random;
use mesh_tests::{Lan, Running, files, journal, json, wait};

const FILE_BYTES: u64 = 160 << 20;
const KILLS: u64 = 20;
const SEED: u64 = 0x6d65_7368;
/// What a kill may cost: what was on its way then, and a chunk's unverified part.
const COST_PER_KILL_BYTES_MAX: u64 = 2 << 20;

#[test]
fn a_getter_killed_twenty_times_resumes_where_it_stopped() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let (file, copy) = (folder.path().join("file"), folder.path().join("copy"));
    files::write_random(&file, FILE_BYTES, SEED);
    let source_host = lan.host();
    source_host.limit_rate(100);
    let getter_host = lan.host();
    let mut source = source_host.node(&folder.path().join("source"));
    let getter = getter_host.node(&folder.path().join("getter"));
    source.up();
    let ticket = source.share(&file);
    let start =
        || Running::start(getter.node_command(&["get", &ticket, "-o", &copy.to_string_lossy(), "--events", "--json"]));

    let mut random = Random::new(SEED);
    let before = getter_host.received_bytes();
    for kill in 0..KILLS {
        let mut getting = start();
        // Every other kill strikes anywhere, start-up included; the others once bytes have flowed again.
        if kill % 2 == 0 {
            let _ = getting.wait_for_event("transfer_progress", Duration::from_secs(60));
        }
        wait::let_pass(Duration::from_millis(random.between(10, 600)));
        assert!(getting.runs(), "the transfer ended before kill {kill} (seed {SEED:#x}); the file is too small");
        let _ = getting.kill();
        assert!(!copy.exists(), "a partial file stands under its final name after kill {kill} (seed {SEED:#x})");
    }
    let report = start().wait(Duration::from_secs(180)).success().json();
    files::assert_same_file(&file, &copy);
    let carried = getter_host.received_bytes() - before;
    println!("report: {report}\nseed {SEED:#x}: {carried} bytes carried for a file of {FILE_BYTES}");
    // Packets' heads and encryption take up to 6 %.
    let carried_max = FILE_BYTES + FILE_BYTES * 6 / 100 + KILLS * COST_PER_KILL_BYTES_MAX;
    assert!(carried <= carried_max, "{carried} bytes were carried, more than {carried_max} (seed {SEED:#x})");
    assert_eq!(json::text(&report, "blake3"), files::blake3_of(&file));
    // The first kills come before anything was begun; then every run finds all that the ones before it verified, and
    // asks for none of it.
    let mut verified = ChunkSet::new();
    for (number, run) in journal::fetch_runs(getter.data()).into_iter().enumerate() {
        let Some(found) = &run.found else { continue };
        let lost = verified.difference(found);
        assert!(lost.is_empty(), "run {number} does not find {lost:?} (seed {SEED:#x})");
        let again = run.asked.intersection(found);
        assert!(again.is_empty(), "run {number} asks again for {again:?} (seed {SEED:#x})");
        verified.union_with(&run.verified);
    }
    assert!(!verified.is_empty(), "the journals say nothing");
    source.stop_and_replay();
    getter.stop_and_replay();
}
