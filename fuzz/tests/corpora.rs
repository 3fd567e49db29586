//! Every input that was ever of interest, tried again: what the fuzzer found must not come back.
//!
//! The seeds are what the encoders write today. After a change of an encoding on purpose, run this once with
//! `MESH_FUZZ_SEEDS=write` (or `cargo xtask fuzz --seeds`), and commit what changed.

use std::panic::catch_unwind;

use mesh_fuzz::{Target, corpus, targets};

/// Writes the seeds instead of comparing them, if it is set to `write`.
const SEEDS_VARIABLE: &str = "MESH_FUZZ_SEEDS";
/// Files of one target, and bytes of one file: what is in the repository stays small.
const FILES_MAX: usize = 64;
const FILE_BYTES_MAX: usize = 20 * 1024;

fn failing(target: &Target) -> Vec<String> {
    let files = match corpus::files(target) {
        Ok(files) if !files.is_empty() => files,
        Ok(_) => return vec![format!("{}: there is no input", target.name)],
        Err(error) => return vec![format!("{}: {error}", target.name)],
    };
    let fails = |bytes: Vec<u8>| catch_unwind(|| (target.check)(&bytes)).is_err();
    let failing = files.into_iter().filter(|file| fails(file.bytes.clone()));
    failing.map(|file| format!("{}/{} breaks a property", target.name, file.name)).collect()
}

#[test]
fn every_input_keeps_the_properties_of_its_target() {
    let failing: Vec<String> = targets::ALL.iter().flat_map(failing).collect();
    assert!(failing.is_empty(), "{}", failing.join("\n"));
}

#[test]
fn seeds_are_what_the_encoders_write() {
    let write = std::env::var(SEEDS_VARIABLE).is_ok_and(|value| value == "write");
    for target in targets::ALL {
        if write {
            corpus::write_seeds(target).unwrap_or_else(|error| panic!("{}: {error}", target.name));
        }
        let files = corpus::files(target).unwrap_or_else(|error| panic!("{}: {error}", target.name));
        let kept: Vec<_> = files.into_iter().filter(|file| file.name.starts_with("seed-")).collect();
        let names = |seeds: &[mesh_fuzz::Seed]| seeds.iter().map(|seed| seed.name.clone()).collect::<Vec<_>>();
        let seeds = corpus::seeds(target);
        assert_eq!(names(&kept), names(&seeds), "{}: run `cargo xtask fuzz --seeds`", target.name);
        for (kept, seed) in kept.iter().zip(&seeds) {
            let why = "an encoding changed; if on purpose, run `cargo xtask fuzz --seeds`";
            assert!(kept == seed, "{}/{}: {why}", target.name, seed.name);
        }
    }
}

#[test]
fn every_folder_of_inputs_has_a_target_and_stays_small() {
    let mut named = std::collections::BTreeSet::new();
    for target in targets::ALL {
        assert!(named.insert(target.name), "two targets are called {}", target.name);
        let files = corpus::files(target).unwrap_or_else(|error| panic!("{}: {error}", target.name));
        assert!(files.len() <= FILES_MAX, "{} has {} files", target.name, files.len());
        let long = files.iter().find(|file| file.bytes.len() > FILE_BYTES_MAX);
        assert!(long.is_none(), "{}/{} is too long", target.name, long.map_or("", |file| &file.name));
    }
    let folder = corpus::folder(&targets::ALL[0]);
    for entry in std::fs::read_dir(folder.parent().expect("corpora")).expect("corpora") {
        let name = entry.expect("a folder").file_name().to_string_lossy().into_owned();
        assert!(named.contains(name.as_str()), "fuzz/corpora/{name} belongs to no target");
    }
}
